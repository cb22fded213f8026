"""Listening sockets: opened here, or inherited from the program that ran before."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mcproxy.errors import ConfigurationError

if TYPE_CHECKING:
    from mcproxy.proxy.events import Address

__all__ = ["adopt", "close_all", "open_listeners"]

BACKLOG = 4096
"""Connections that the kernel keeps for a worker that is busy."""


def open_listeners(address: Address, count: int, *, probe: bool) -> list[socket.socket]:
    """``count`` sockets that share one address; the kernel spreads connections over them.

    With SO_REUSEPORT a second proxy could share our port unseen, so with ``probe`` a plain
    socket tries it first. Raises `ConfigurationError`.
    """
    host, port = address
    sockets: list[socket.socket] = []
    try:
        if probe and port:
            _bound(host, port, shared=False).close()
        while len(sockets) < count:
            sockets.append(_bound(host, port, shared=True))
            port = sockets[0].getsockname()[1]
        for one in sockets:
            one.listen(BACKLOG)
    except OSError as error:
        close_all(sockets)
        raise ConfigurationError(_why_not(host, port, error)) from error
    return sockets


def adopt(sockets: Iterable[socket.socket]) -> dict[Address, list[socket.socket]]:
    """Inherited listening sockets, set up as our own are, by the address they are bound to."""
    found: dict[Address, list[socket.socket]] = {}
    for one in sockets:
        one.setblocking(False)
        _set_up(one)
        one.listen(BACKLOG)
        found.setdefault(one.getsockname()[:2], []).append(one)
    return found


def close_all(sockets: Iterable[socket.socket]) -> None:
    """Close them."""
    for one in sockets:
        one.close()


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    one = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _set_up(one)
        if family == socket.AF_INET6:
            # [::] and 0.0.0.0 are two addresses: who wants both binds both.
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if shared:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind((host, port))
    except BaseException:
        one.close()
        raise
    return one


def _set_up(one: socket.socket) -> None:
    """Set what accepted sockets inherit."""
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A client speaks first: the kernel wakes a worker when there is something to read, and
    # shows it a client that says nothing after a second.
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)


def _why_not(host: str, port: int, error: OSError) -> str:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return f"cannot listen on {where}: another program already does; stop it or change bind"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"cannot listen on {where}: this machine has no such address; change bind"
    if error.errno == errno.EACCES:
        return f"cannot listen on {where}: ports below 1024 need the right to; change bind"
    return f"cannot listen on {where}: {error.strerror}"
