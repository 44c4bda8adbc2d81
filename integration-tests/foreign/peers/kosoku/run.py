"""WebSocket conformance by kosoku: the cases of Autobahn's testsuite against an echo, chapters 1 to 7, 9 and 10.

`run.py client ADDRESS` tests the server at that address. `run.py server` serves a client: it prints its port first. Both
then print a line for each case: its id, the verdict on its messages, the verdict on its end.
"""

import asyncio
import sys

from kosoku import FailureError, run_fuzzingclient, run_fuzzingserver

# Compression, which is not offered.
EXCLUDED = ["12.*", "13.*"]


async def results() -> list:
    try:
        if sys.argv[1] == "client":
            return await run_fuzzingclient(f"ws://{sys.argv[2]}", None, EXCLUDED, concurrency=4)
        async with run_fuzzingserver(None, EXCLUDED, port=0) as server:
            print(server.port, flush=True)
            return await server.get_result()
    except FailureError as failure:
        return failure.results


for result in asyncio.run(results()):
    verdict = result.behavior.value.replace(" ", "-")
    print(result.case_id, verdict, result.behavior_close.value.replace(" ", "-"), flush=True)
