"""Autobahn|Python joins with one authentication method, and prints its identity or the reason why it may not join."""

import asyncio
import sys

from autobahn.asyncio.wamp import ApplicationRunner, ApplicationSession
from autobahn.wamp.auth import create_authenticator
from autobahn.wamp.message import Welcome
from autobahn.wamp.serializer import SERID_TO_SER
from autobahn.wamp.types import Challenge, CloseDetails, SessionDetails
from connection import arguments

parser = arguments()
parser.add_argument("--method", required=True, help="ticket, wampcra, cryptosign or scram")
parser.add_argument("--authid", required=True)
parser.add_argument("--secret", required=True)
args = parser.parse_args()

NAMES = {"ticket": "ticket", "wampcra": "secret", "cryptosign": "privkey", "scram": "password"}


class Session(ApplicationSession):
    def onConnect(self) -> None:
        secret = {NAMES[args.method]: args.secret}
        self.login = create_authenticator(args.method, authid=args.authid, **secret)
        self.join(args.realm, [args.method], args.authid, authextra=self.login.authextra)

    def onChallenge(self, challenge: Challenge) -> str:
        return self.login.on_challenge(self, challenge)

    def onWelcome(self, welcome: Welcome) -> str | None:
        return self.login.on_welcome(self, welcome.authextra)

    def onJoin(self, details: SessionDetails) -> None:
        print(f"Joined: {details.authid} {details.authrole} {details.authmethod}", flush=True)
        self.leave()

    def onLeave(self, details: CloseDetails) -> None:
        if details.reason.startswith("wamp.error."):
            print(f"Refused: {details.reason}", flush=True)
        self.disconnect()


async def main() -> None:
    runner = ApplicationRunner(args.url, args.realm, serializers=[SERID_TO_SER[args.serializer]()])
    _, protocol = await runner.run(Session, start_loop=False)
    await protocol.is_closed


asyncio.run(main())
sys.exit(0)
