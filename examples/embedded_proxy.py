"""A proxy in a program of your own: old clients reach one server, newer ones another.

Usage: python examples/embedded_proxy.py PORT OLD_SERVER NEW_SERVER
"""

import asyncio
import contextlib
import sys
from typing import Any

from mcproxy import Proxy, Server, Session, Settings

BANNED = {"Griefer"}


def route(session: Session) -> str:
    return "old" if session.protocol < 765 else "new"  # 765 is 1.20.3


async def on_login(session: Session) -> str | None:
    # A coroutine: it may ask a database, and nobody else waits meanwhile.
    return f"§cNo entry, {session.name}." if session.name in BANNED else None


def on_status(session: Session, status: dict[str, Any]) -> dict[str, Any]:
    return {**status, "description": f"§aHello {session.client[0]}"}


async def main(port: str, old: str, new: str) -> None:
    servers = (Server("old", (old,)), Server("new", (new,)))
    settings = Settings(bind=(f"0.0.0.0:{port}",), servers=servers)
    async with Proxy(settings, route=route, on_login=on_login, on_status=on_status) as proxy:
        proxy.subscribe(lambda event: print(event, flush=True))
        print(f"listening on port {proxy.addresses[0][1]}", flush=True)
        await proxy.serve_forever()


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main(*sys.argv[1:]))
