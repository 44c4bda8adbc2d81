"""Autobahn|Python publishes and subscribes: patterns, lists of receivers, retained events, the history, sealed payloads."""

import asyncio
import json
import sys

from autobahn.wamp.types import EncodedPayload, EventDetails, PublishOptions, RegisterOptions, SubscribeOptions
from connection import ApplicationSession, arguments, run

args = arguments().parse_args()


class Codec:
    """Seals the payloads of `com.sealed.` with an algorithm of its own."""

    def encode(self, _originating, uri, args=None, kwargs=None):
        if not uri.startswith("com.sealed."):
            return None
        sealed = bytes(byte ^ 0xFF for byte in json.dumps([args, kwargs]).encode())
        return EncodedPayload(sealed, "x_own", "json")

    def decode(self, _originating, uri, encoded):
        args, kwargs = json.loads(bytes(byte ^ 0xFF for byte in encoded.payload))
        return uri, args, kwargs


async def main(session: ApplicationSession) -> None:
    came: asyncio.Queue = asyncio.Queue()

    async def subscribe(kind: str, topic: str, **options) -> None:
        def on_event(number: int, details: EventDetails) -> None:
            came.put_nowait((kind, number, bool(details.retained)))

        await session.subscribe(on_event, topic, SubscribeOptions(details=True, **options))

    async def publish(topic: str, number: int, **options) -> None:
        options = PublishOptions(acknowledge=True, exclude_me=False, **options)
        await session.publish(topic, number, options=options)

    async def take(count: int) -> list:
        return sorted([await came.get() for _ in range(count)])

    await subscribe("exact", "com.events.a")
    await subscribe("prefix", "com.events.", match="prefix")
    await subscribe("wildcard", "com..a", match="wildcard")
    await publish("com.events.a", 1)
    print("Matches:", *[f"{kind} {number}" for kind, number, _ in await take(3)], flush=True)
    await publish("com.events.b", 2, eligible=[session._session_id])
    await publish("com.events.b", 3, exclude=[session._session_id])
    await publish("com.events.b", 4)
    print("Received:", *[number for _, number, _ in await take(2)], flush=True)
    await publish("com.kept.x", 5, retain=True)
    await subscribe("kept", "com.kept.x", get_retained=True)
    print("Retained:", *[f"{number} {retained}" for _, number, retained in await take(1)], flush=True)
    pattern = await session.call("wamp.subscription.lookup", "com.events.", {"match": "prefix"})
    history = await session.call("wamp.subscription.get_events", pattern)
    print("History:", *[event["args"][0] for event in history.results], flush=True)
    session.set_payload_codec(Codec())
    await subscribe("sealed", "com.sealed.a")
    await publish("com.sealed.a", 6)
    await session.register(lambda number: number + 1, "com.sealed.next", RegisterOptions())
    result = await session.call("com.sealed.next", 7)
    print("Sealed:", *[number for _, number, _ in await take(1)], result, flush=True)


asyncio.run(run(args, main))
sys.exit(0)
