"""What systemd and the program tell each other: sockets to serve, and how it is going.

Without systemd nothing here does anything. See sd_listen_fds(3) and sd_notify(3).
"""

from __future__ import annotations

import contextlib
import os
import socket
import time

__all__ = ["ActivationError", "listen_sockets", "notify", "reloading"]

_FIRST = 3
"""The number of the first descriptor that is passed: SD_LISTEN_FDS_START."""


class ActivationError(Exception):
    """Why the sockets that systemd passed cannot be served, in one line."""


def listen_sockets() -> list[socket.socket]:
    """The listening sockets that were passed to this process.

    What is passed on to child processes does not name them any more. Raises `ActivationError`
    for what is not a listening TCP socket.
    """
    meant_for = os.environ.pop("LISTEN_PID", None)
    count = os.environ.pop("LISTEN_FDS", None)
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    if meant_for != str(os.getpid()) or count is None or not count.isdigit():
        return []
    sockets = []
    for index in range(int(count)):
        name = names[index] if index < len(names) and names[index] else "unnamed"
        sockets.append(_listening(_FIRST + index, name))
    return sockets


def notify(**fields: str | int) -> None:
    """Tell systemd, as ``notify(READY=1, STATUS="two servers")``, if it wants to know.

    Never fails: that nobody listens is no reason not to serve.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address[0] == "@":  # a name in the abstract namespace, unix(7)
        address = "\0" + address[1:]
    text = "\n".join(f"{key}={value}" for key, value in fields.items())
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as connection,
    ):
        connection.sendto(text.encode(), address)


def reloading() -> None:
    """Tell systemd that a reload begins; ``READY=1`` ends it."""
    notify(RELOADING=1, MONOTONIC_USEC=time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)


def _listening(number: int, name: str) -> socket.socket:
    try:
        os.set_inheritable(number, False)
        one = socket.socket(fileno=number)
    except OSError:
        raise ActivationError(f"LISTEN_FDS: descriptor {number} ({name}) is no socket") from None
    tcp = one.family in (socket.AF_INET, socket.AF_INET6) and one.type == socket.SOCK_STREAM
    if not tcp or not one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise ActivationError(
            f"LISTEN_FDS: descriptor {number} ({name}) is no listening TCP socket; "
            "the socket unit needs ListenStream= with a port"
        )
    return one
