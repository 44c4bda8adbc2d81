"""What the callee and the caller share: their arguments, and a session made from them."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

from autobahn.asyncio.wamp import ApplicationRunner, ApplicationSession
from autobahn.wamp.serializer import SERID_TO_SER
from autobahn.wamp.types import SessionDetails


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True, help="ws://host:port/path or rs://host:port")
    parser.add_argument("--realm", default="realm1")
    parser.add_argument("--serializer", choices=["json", "msgpack", "cbor"], default="json")
    parser.add_argument("--procedure", default="com.myapp.longop")
    return parser


async def run(
    args: argparse.Namespace, main: Callable[[ApplicationSession], Awaitable[None]]
) -> None:
    """Joins, runs main and leaves; exits when the session ends before main does."""
    joined = asyncio.get_running_loop().create_future()

    class Session(ApplicationSession):
        def onJoin(self, details: SessionDetails) -> None:
            joined.set_result(self)

    async def work() -> None:
        session = await joined
        await main(session)
        session.leave()

    serializer = SERID_TO_SER[args.serializer]()
    runner = ApplicationRunner(args.url, args.realm, serializers=[serializer])
    _, protocol = await runner.run(Session, start_loop=False)
    worker = asyncio.create_task(work())
    await asyncio.wait([worker, protocol.is_closed], return_when=asyncio.FIRST_COMPLETED)
    if not worker.done():
        sys.exit("the session ended too early")
    worker.result()
    await protocol.is_closed
