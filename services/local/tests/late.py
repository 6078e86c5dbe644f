"""A server that says that it serves a while after it has started: `late.py ADDRESS SECONDS`."""

import asyncio
import sys

from kyara_rpc import ServiceSettings, serve_until_stopped


async def main(address: str, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await serve_until_stopped(ServiceSettings(listen=address), [], lambda _server: None)


asyncio.run(main(sys.argv[1], float(sys.argv[2])))
