"""What is claimed: for each, which runs are compared, and the figure that it must reach."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.measure import Run

Metric = Callable[[Run], float]


def cost(run: Run) -> float:
    return run.cost


def per_cpu(run: Run) -> float:
    return 1 / run.cost


def rate(run: Run) -> float:
    return run.rate


def p99(run: Run) -> float:
    return max(values["p99"] for values in run.latency.values())


def memory_kib(run: Run) -> float:
    return run.memory / run.units / 1024


@dataclass(frozen=True, slots=True)
class Claim:
    """``metric`` of mcproxy, divided by that of ``peer`` in the same round (None: as it is)."""

    id: str
    text: str
    work: str
    metric: Metric
    peer: str | None
    target: float
    at_most: bool = True
    ours: str = "mcproxy"
    unit: str = "×"


CLAIMS = (
    Claim("B-01", "player traffic: CPU a message, beside HAProxy", "players", cost, "haproxy", 0.8),
    Claim(
        "B-01", "player traffic: CPU a message, beside the floor", "players", cost, "direct", 1.1
    ),
    Claim("B-01", "player traffic: p99 latency, beside HAProxy", "players", p99, "haproxy", 1.0),
    Claim(
        "B-01",
        "players with eight bulk streams beside them: p99 latency, beside HAProxy",
        "mixed",
        p99,
        "haproxy",
        1.0,
    ),
    Claim(
        "B-01", "player traffic: CPU a message, beside Infrarust", "players", cost, "infrarust", 0.8
    ),
    Claim(
        "B-02",
        "ping-pong: messages a CPU-second, beside Infrarust",
        "pingpong",
        per_cpu,
        "infrarust",
        1.1,
        at_most=False,
    ),
    Claim(
        "B-03",
        "bulk: bytes a CPU-second, beside Infrarust with zero_copy",
        "bulk",
        per_cpu,
        "infrarust-splice",
        1.4,
        at_most=False,
    ),
    Claim(
        "B-02",
        "ping-pong: messages a CPU-second, beside HAProxy",
        "pingpong",
        per_cpu,
        "haproxy",
        1.2,
        at_most=False,
    ),
    Claim("B-02", "ping-pong: CPU a message, beside the floor", "pingpong", cost, "direct", 1.1),
    Claim(
        "B-03",
        "bulk: bytes a CPU-second, beside HAProxy with splice-auto",
        "bulk",
        per_cpu,
        "haproxy-splice",
        3.0,
        at_most=False,
    ),
    Claim(
        "B-03",
        "bulk: bytes a second, beside HAProxy",
        "bulk",
        rate,
        "haproxy",
        1.5,
        at_most=False,
    ),
    Claim(
        "B-04",
        "logins routed by name: CPU, beside HAProxy (plain TCP)",
        "joins",
        cost,
        "haproxy",
        1.0,
    ),
    Claim(
        "B-05",
        "status from the cache: CPU, beside HAProxy relaying it",
        "status",
        cost,
        "haproxy",
        0.5,
    ),
    Claim("B-06", "memory of an idle session", "idle", memory_kib, None, 2.0, unit="KiB"),
    Claim(
        "B-07",
        "two workers on busy cores: CPU a message, beside one worker",
        "pingpong",
        cost,
        "mcproxy",
        1.11,
        ours="mcproxy-two",
    ),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A claim with its figures, one a round."""

    claim: Claim
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def reached(self) -> bool:
        if self.claim.at_most:
            return self.median <= self.claim.target
        return self.median >= self.claim.target


def outcomes(runs: Sequence[Run]) -> list[Outcome]:
    """Every claim for which there are runs, in the order of their names."""
    found = {(run.work, run.program, run.round): run for run in runs}
    result = []
    for claim in sorted(CLAIMS, key=lambda claim: claim.id):
        values = []
        for (work, program, number), run in sorted(found.items()):
            if (work, program) != (claim.work, claim.ours):
                continue
            value = claim.metric(run)
            if claim.peer is not None:
                peer = found.get((work, claim.peer, number))
                if peer is None:
                    continue
                value /= claim.metric(peer)
            values.append(value)
        if values:
            result.append(Outcome(claim, tuple(values)))
    return result
