"""What the proxy uses for one unit of work stays below benchmarks/limits.toml.

Counted, not timed: system calls under strace, instructions under callgrind, calls of
malloc through a library that is loaded before it.
"""

import pytest

from benchmarks.count import LIMITS, WORKS, allocations, instructions, system_calls
from benchmarks.programs import MCPROXY


@pytest.mark.parametrize("work", LIMITS["system_calls"])
def test_system_calls_stay_below_their_limit(work):  # S-03
    calls = system_calls(MCPROXY, WORKS[work])
    assert sum(calls.values()) <= LIMITS["system_calls"][work], calls


@pytest.mark.parametrize("work", LIMITS["allocations"])
def test_allocations_stay_below_their_limit(work):  # S-03
    assert allocations(MCPROXY, WORKS[work]) <= LIMITS["allocations"][work]


@pytest.mark.parametrize("function", LIMITS["instructions"])
def test_instructions_stay_below_their_limit(function):  # S-03
    assert 0 < instructions(function) <= LIMITS["instructions"][function]


def test_a_relayed_message_is_received_and_sent_once():  # M-06
    calls = system_calls(MCPROXY, WORKS["message"])
    assert calls["recvfrom"] == pytest.approx(1, abs=0.02)
    assert calls["sendto"] == pytest.approx(1, abs=0.02)
