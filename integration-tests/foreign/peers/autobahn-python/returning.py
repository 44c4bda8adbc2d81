"""Autobahn|Python, as a component that connects again: prints a line each time it has joined."""

import asyncio
from urllib.parse import urlparse

from autobahn.asyncio.component import Component
from connection import arguments

args = arguments().parse_args()
endpoint = urlparse(args.url)
retries = {"max_retries": -1, "initial_retry_delay": 0.2, "retry_delay_growth": 1.0}
if endpoint.scheme == "rs":
    transport = {"type": "rawsocket", "url": args.url, "serializer": args.serializer}
    transport["endpoint"] = {"type": "tcp", "host": endpoint.hostname, "port": endpoint.port}
else:
    transport = {"type": "websocket", "url": args.url, "serializers": [args.serializer]}
component = Component(transports=[transport | retries], realm=args.realm)


@component.on_join
def joined(_session, _details) -> None:
    print("Joined", flush=True)


async def main() -> None:
    await component.start(loop=asyncio.get_running_loop())


asyncio.run(main())
