"""Active health checks: every address is asked now and then whether it serves.

A check asks for the status, as a client's server list does, or only connects. ``fall`` failures
in a row take an address out, ``rise`` successes bring it back; a new address counts as up until
it has failed so often. The checks of a server are spread over the interval, so that neither its
addresses nor many servers are asked at one moment.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mcproxy.errors import RemoteProtocolError
from mcproxy.minecraft.versions import newest
from mcproxy.proxy.events import AddressDown, AddressUp
from mcproxy.proxy.model import Health
from mcproxy.proxy.query import query_status, try_connect

if TYPE_CHECKING:
    from mcproxy._speedups.plane.engine import Target

__all__ = ["Check", "HealthChecks"]

CHECKS_AT_ONCE = 256
"""Checks that run side by side; the others wait."""
FIRST_WITHIN = 1.0
"""Seconds in which an address is first checked, however long the interval."""
JITTER = 0.1
"""Part of the interval by which it varies."""


@dataclass(frozen=True, slots=True)
class Check:
    """What is checked, and how. While two are equal, the count of failures goes on."""

    server: str
    target: Target
    health: Health
    host: str
    """Host name and port that a status request names."""
    port: int
    proxy_header: Literal["v1", "v2", False] = False
    """For a server that takes nothing without one."""


class HealthChecks:
    """The checks of one proxy, a task for each address.

    ``tell`` is called with each `AddressDown` and `AddressUp`. Lives in the event loop in which
    `follow` is called.
    """

    def __init__(self, tell: Callable[[AddressDown | AddressUp], None]) -> None:
        """Check nothing yet."""
        self._tell = tell
        self._tasks: dict[Check, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(CHECKS_AT_ONCE)

    def follow(self, checks: Iterable[Check]) -> None:
        """Make exactly these checks from now on; an interval of 0 means that there are none.

        An address that is no longer checked counts as up.
        """
        wanted = {check for check in checks if check.health.interval > 0}
        targets = {check.target for check in wanted}
        for check in [each for each in self._tasks if each not in wanted]:
            self._tasks.pop(check).cancel()
            if check.target not in targets:
                check.target.up = True
        for check in wanted - self._tasks.keys():
            self._tasks[check] = asyncio.get_running_loop().create_task(self._watch(check))

    async def stop(self) -> None:
        """Check nothing any more."""
        tasks = list(self._tasks.values())
        self.follow(())
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, check: Check) -> None:
        health = check.health
        in_a_row = 0
        await asyncio.sleep(random.uniform(0, min(health.interval, FIRST_WITHIN)))
        while True:
            async with self._room:
                fault = await _fault(check)
            # Only what speaks against the present verdict counts.
            in_a_row = in_a_row + 1 if (fault is None) != check.target.up else 0
            if in_a_row >= (health.fall if check.target.up else health.rise):
                in_a_row = 0
                self._change(check, fault)
            await asyncio.sleep(health.interval * random.uniform(1 - JITTER, 1 + JITTER))

    def _change(self, check: Check, fault: str | None) -> None:
        address = (check.target.host, check.target.port)
        check.target.up = fault is None
        if fault is None:
            self._tell(AddressUp(check.server, address))
        else:
            self._tell(AddressDown(check.server, address, fault))


async def _fault(check: Check) -> str | None:
    """What is wrong with an address, or None."""
    endpoint = (check.target.host, check.target.port)
    seconds = check.health.timeout
    try:
        async with asyncio.timeout(seconds):
            if check.health.status:
                await query_status(
                    [endpoint],
                    check.host,
                    check.port,
                    newest().protocol,
                    connect_timeout=seconds,
                    timeout=seconds,
                    proxy_header=check.proxy_header,
                )
            else:
                await try_connect(endpoint, seconds, check.proxy_header)
    except TimeoutError:
        return f"no answer in {seconds:g} s"
    except (OSError, RemoteProtocolError) as error:
        return str(error)
    return None
