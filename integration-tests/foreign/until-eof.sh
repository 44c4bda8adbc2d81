#!/bin/sh
# Runs a program until the end of standard input, then sends it SIGTERM: so it never outlives who started it,
# however that one ended. Exits as the program does.
exec 3<&0
"$@" </dev/null 3<&- &
program=$!
{
    cat <&3
    kill "$program"
} >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait "$program"
code=$?
kill "$watcher" 2>/dev/null
exit "$code"
