#!/bin/sh
# Builds the fuzz targets with the nightly compiler and runs each for some seconds: `run.sh [SECONDS [TARGET …]]`.
# cargo-fuzz is not needed: the flags below are the ones it gives. A finding is written to artifacts/TARGET/.
set -eu
cd "$(dirname "$0")"
seconds=${1:-20}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- decode relay rawsocket websocket realm session

host=$(rustc +nightly -vV | sed -n 's/^host: //p')
RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
    -Ccodegen-units=1 --cfg fuzzing" \
    cargo +nightly build --quiet --release --bins --target "$host"

for target; do
    mkdir -p "corpus/$target" "artifacts/$target"
    printf '%s: ' "$target"
    log=$(mktemp)
    if "target/$host/release/$target" -max_total_time="$seconds" -max_len=4096 -rss_limit_mb=2048 -timeout=10 \
        -artifact_prefix="artifacts/$target/" "corpus/$target" "seeds/$target" >"$log" 2>&1; then
        grep '^Done' "$log" || tail -n 1 "$log"
        rm -f "$log"
    else
        tail -n 40 "$log"
        rm -f "$log"
        exit 1
    fi
done
