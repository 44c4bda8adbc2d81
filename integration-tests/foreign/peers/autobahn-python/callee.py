"""Autobahn|Python callee: answers n with progress 0..n-1, each followed by a nod (a line of stdin), then n."""

import asyncio
import sys

from autobahn.wamp.types import CallDetails, RegisterOptions
from connection import ApplicationSession, arguments, run

args = arguments().parse_args()


async def main(session: ApplicationSession) -> None:
    nods = asyncio.Semaphore(0)

    async def longop(n: int, details: CallDetails) -> int:
        for i in range(n):
            details.progress(i)
            await nods.acquire()
        return n

    await session.register(longop, args.procedure, RegisterOptions(details=True))
    print("Registered", flush=True)

    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    async for _ in lines:
        nods.release()


asyncio.run(run(args, main))
