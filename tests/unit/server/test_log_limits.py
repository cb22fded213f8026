"""An attack cannot fill a disk with its refusals."""

from __future__ import annotations

import pytest

from mcproxy_server.log import LineLimiter, RepeatLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> LineLimiter:
    return LineLimiter(10, clock)


def test_ten_lines_of_all_kinds_in_a_second(limiter: LineLimiter) -> None:
    assert [limiter.admit(f"reason {number % 3}") for number in range(25)] == (
        [True] * 10 + [False] * 15
    )


def test_the_second_slides_so_that_its_turn_gives_no_more(
    limiter: LineLimiter, clock: Clock
) -> None:
    clock.now = 100.9
    assert sum(limiter.admit("silent") for _ in range(20)) == 10
    clock.now = 101.1  # another second of the clock, but 0.2 s later
    assert sum(limiter.admit("silent") for _ in range(20)) == 0
    clock.now = 101.9
    assert sum(limiter.admit("silent") for _ in range(20)) == 10


def test_the_rest_is_summed_up_by_reason_after_ten_seconds(
    limiter: LineLimiter, clock: Clock
) -> None:
    for _ in range(10):
        limiter.admit("filtered")
    for reason in ("filtered", "unknown host", "filtered"):
        limiter.admit(reason)
    clock.now += 9.9
    assert limiter.summary() is None
    clock.now += 0.1
    assert limiter.summary() == {"filtered": 2, "unknown host": 1}
    assert limiter.summary() is None


def test_ten_seconds_of_attack_are_at_most_a_hundred_lines_and_one(
    limiter: LineLimiter, clock: Clock
) -> None:
    lines = summaries = 0
    for _ in range(10_000):
        lines += limiter.admit("flood")
        summaries += limiter.summary() is not None
        clock.now += 0.001
    assert lines <= 100
    assert summaries <= 1


def test_nothing_left_out_gives_no_summary(limiter: LineLimiter, clock: Clock) -> None:
    limiter.admit("filtered")
    clock.now += 60
    assert limiter.summary() is None


def test_at_the_end_the_rest_is_told_at_once(limiter: LineLimiter) -> None:
    for _ in range(12):
        limiter.admit("filtered")
    assert limiter.summary(final=True) == {"filtered": 2}


class TestATroubleThatLasts:
    def test_has_a_line_a_minute_with_how_often_it_came(self, clock: Clock) -> None:
        limiter = RepeatLimiter(clock)
        assert [limiter.admit("backend down") for _ in range(4)] == [1, 0, 0, 0]
        clock.now += 60
        assert limiter.admit("backend down") == 4
        clock.now += 60
        assert limiter.admit("backend down") == 1

    def test_does_not_hide_another(self, clock: Clock) -> None:
        limiter = RepeatLimiter(clock)
        assert [limiter.admit(name) for name in ("a", "b", "a")] == [1, 1, 0]

    def test_is_remembered_among_a_bounded_number(self, clock: Clock) -> None:
        limiter = RepeatLimiter(clock)
        for number in range(5000):
            limiter.admit(number)
        assert limiter.admit(4999) == 0
        assert limiter.admit(0) == 1
