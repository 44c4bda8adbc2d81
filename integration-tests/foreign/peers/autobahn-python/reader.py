"""Autobahn|Python subscriber and callee: prints what it is sent, by the number that is its first argument."""

import asyncio

from connection import ApplicationSession, arguments, run

args = arguments().parse_args()


async def main(session: ApplicationSession) -> None:
    def on_event(*payload: object, **_keywords: object) -> None:
        number = payload[0] if payload else None
        # What else there is may be too long to be printed.
        print(f"Event: {number}" if type(number) is int and 0 < number < 1000 else "Event: -", flush=True)

    await session.subscribe(on_event, "poison.topic")
    await session.register(lambda *_, **__: None, args.procedure)
    print("Ready", flush=True)
    await asyncio.get_running_loop().create_future()


asyncio.run(run(args, main))
