"""A link with a delay: two network namespaces, joined by TUN devices that hold every packet back.

Unlike a delay in a program that passes bytes on, this one holds back the SYN as well, so that
connecting costs a round trip as it does over a real distance. Needs root and `/dev/net/tun`.
"""

from __future__ import annotations

import collections
import ctypes
import fcntl
import os
import select
import signal
import socket
import stat
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

NEAR, FAR = "10.99.0.1", "10.99.0.2"

_CLONE_NEWNET = 0x40000000
_TUN = Path("/dev/net/tun")
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFDSTADDR = 0x8914, 0x8916, 0x8918
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_PACKET = 65536


class Link:
    """This process is at the near end, what `far` runs is at the other."""

    def __init__(self, one_way: float) -> None:
        """``one_way``: seconds that each packet takes."""
        self._children: list[int] = []
        # A child that is forked here stays in the far namespace when we go on to the near one.
        _new_namespace()
        self._far = _tun("far", FAR, NEAR)
        self._tell, far_end = socket.socketpair()
        self._children.append(_fork(lambda: _runs_what_it_is_told(far_end)))
        far_end.close()
        _new_namespace()
        self._near = _tun("near", NEAR, FAR)
        self._children.append(_fork(lambda: _delay(self._near, self._far, one_way)))

    def far(self) -> socket.socket:
        """A listening socket at the far end, on any port of `FAR`."""
        self._tell.send(b"?")
        _, (fd, *_), _, _ = socket.recv_fds(self._tell, 1, 1)
        return socket.socket(fileno=fd)

    def close(self) -> None:
        """Take the link down."""
        for child in self._children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        for fd in (self._near, self._far):
            os.close(fd)
        self._tell.close()


def _runs_what_it_is_told(asked: socket.socket) -> None:
    # A socket belongs to the namespace in which it was made, wherever it is used.
    while asked.recv(1):
        listener = socket.create_server((FAR, 0), backlog=1024)
        socket.send_fds(asked, [b"!"], [listener.fileno()])
        listener.close()


def _delay(one: int, other: int, seconds: float) -> None:
    """Pass packets on in both directions, each so many seconds after it came."""
    on_the_way: collections.deque[tuple[float, int, bytes]] = collections.deque()
    poller = select.poll()
    for fd in (one, other):
        os.set_blocking(fd, False)
        poller.register(fd, select.POLLIN)
    while True:
        wait = None if not on_the_way else max(0.0, on_the_way[0][0] - time.monotonic())
        # poll() counts whole milliseconds: the last one is spent looking.
        ready = poller.poll(None if wait is None else int(wait * 1000))
        now = time.monotonic()
        for fd, _ in ready:
            on_the_way.append((now + seconds, other if fd == one else one, os.read(fd, _PACKET)))
        while on_the_way and on_the_way[0][0] <= time.monotonic():
            _, fd, packet = on_the_way.popleft()
            os.write(fd, packet)


def _new_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "cannot make a network namespace (are you root?)")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        _up(any_socket, "lo")


def _tun(name: str, own: str, peer: str) -> int:
    """A TUN device in this namespace, point to point; the descriptor of its other side."""
    fd = _open_tun()
    fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for request, address in ((_SIOCSIFADDR, own), (_SIOCSIFDSTADDR, peer)):
            packed = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(any_socket, request, struct.pack("16s16s8x", name.encode(), packed))
        _up(any_socket, name)
    return fd


def _open_tun() -> int:
    if _TUN.exists():
        return os.open(_TUN, os.O_RDWR)
    # Some containers have the driver and not the node.
    with tempfile.TemporaryDirectory() as folder:
        node = Path(folder) / "tun"
        os.mknod(node, stat.S_IFCHR | 0o600, os.makedev(10, 200))
        return os.open(node, os.O_RDWR)


def _up(any_socket: socket.socket, name: str) -> None:
    flags = struct.pack("16sH22x", name.encode(), _IFF_UP | _IFF_RUNNING)
    fcntl.ioctl(any_socket, _SIOCSIFFLAGS, flags)


def _fork(work: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    _work_and_end(work)


def _work_and_end(work: Callable[[], None]) -> NoReturn:
    try:
        work()
    finally:
        os._exit(0)
