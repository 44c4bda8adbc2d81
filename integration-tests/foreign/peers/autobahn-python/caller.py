"""Autobahn|Python caller: calls with 3, prints each progressive result and the result (or the error)."""

import asyncio
import sys

from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.types import CallOptions
from connection import ApplicationSession, arguments, run

parser = arguments()
# The library can cancel a call, but not choose a mode.
parser.add_argument("--cancel", choices=["default"], help="cancel at the first progressive result")
parser.add_argument("--details", action="store_true", help="take results with their details")
args = parser.parse_args()
succeeded = False


async def main(session: ApplicationSession) -> None:
    global succeeded

    def on_progress(result: object) -> None:
        print(f"Progress: {value(result)}", flush=True)
        if args.cancel:
            call.cancel()

    def value(result: object) -> object:
        return result.results[0] if args.details else result

    options = CallOptions(on_progress=on_progress, details=args.details)
    call = session.call(args.procedure, 3, options=options)
    try:
        print(f"Final: {value(await call)}", flush=True)
        succeeded = True
    except ApplicationError as error:
        print(f"Error: {error.error}", flush=True)
    except asyncio.CancelledError:
        # The library ends the call at once and tells nobody of the router's answer.
        print("Canceled", flush=True)


asyncio.run(run(args, main))
sys.exit(not succeeded)
