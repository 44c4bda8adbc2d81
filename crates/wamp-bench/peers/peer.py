"""Autobahn|Python as a caller that stops reading, or as a callee that floods.

It prints a line when something happens: `registered`, `paused`, `resumed`; a caller at last a line of JSON.
"""

import argparse
import asyncio
import json
import sys
import time

from autobahn.asyncio.wamp import ApplicationRunner, ApplicationSession
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.serializer import SERID_TO_SER
from autobahn.wamp.types import CallDetails, CallOptions, RegisterOptions, SessionDetails

DIGITS = 16

parser = argparse.ArgumentParser()
parser.add_argument("role", choices=["caller", "callee"])
parser.add_argument("--url", required=True)
parser.add_argument("--realm", required=True)
parser.add_argument("--serializer", required=True)
parser.add_argument("--results", type=int, default=0)
parser.add_argument("--bytes", type=int, default=1024)
parser.add_argument("--pause", type=float, default=0)
args = parser.parse_args()


def say(line: str) -> None:
    print(line, flush=True)


async def flood(size: int, results: int, _millis: None, details: CallDetails) -> int:
    """As an application would: it sends without a thought, but lets others run in between."""
    filling = "0" * (size - DIGITS)
    try:
        for number in range(results):
            details.progress(f"{number:0{DIGITS}x}{filling}")
            await asyncio.sleep(0)
    except asyncio.CancelledError:
        # Nobody waits any more; the library would report it as a fault of this program.
        pass
    return results


async def callee(session: ApplicationSession) -> None:
    await session.register(flood, "bench.flood", RegisterOptions(details=True))
    await session.register(lambda value: value, "bench.echo")
    say("registered")
    # Until it is killed.
    await asyncio.Event().wait()


async def caller(session: ApplicationSession) -> None:
    seen = bytearray(args.results)
    counts = {"received": 0, "doubled": 0, "misordered": 0}
    highest = -1

    def on_progress(text: str) -> None:
        nonlocal highest
        number = int(text[:DIGITS], 16)
        counts["received"] += 1
        if seen[number]:
            counts["doubled"] += 1
        elif number < highest:
            counts["misordered"] += 1
        seen[number] = 1
        highest = max(highest, number)
        if counts["received"] == 1:
            say("paused")
            # The event loop stands still, and with it the reading of the socket.
            time.sleep(args.pause)
            say("resumed")

    options = CallOptions(on_progress=on_progress)
    call = session.call("bench.flood", args.bytes, args.results, None, options=options)
    sent = highest + 1
    try:
        sent = await call
        end = "result"
    except ApplicationError as error:
        end = error.error
        sent = highest + 1
    say(json.dumps({**counts, "lost": seen[:sent].count(0), "end": end}))


async def run() -> None:
    joined = asyncio.get_running_loop().create_future()

    class Session(ApplicationSession):
        def onJoin(self, details: SessionDetails) -> None:
            joined.set_result(self)

    runner = ApplicationRunner(args.url, args.realm, serializers=[SERID_TO_SER[args.serializer]()])
    _, protocol = await runner.run(Session, start_loop=False)

    async def work() -> None:
        session = await joined
        await {"caller": caller, "callee": callee}[args.role](session)
        session.leave()

    worker = asyncio.create_task(work())
    await asyncio.wait([worker, protocol.is_closed], return_when=asyncio.FIRST_COMPLETED)
    if not worker.done():
        sys.exit("the session ended too early")
    worker.result()


asyncio.run(run())
