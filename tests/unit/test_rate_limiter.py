"""Token buckets and connection counts per prefix: exact for each, bounded and fair for all."""

from __future__ import annotations

import random
import threading

import pytest

from mcproxy._speedups.match.limits import RateLimiter


def addresses(count: int, seed: int) -> list[bytes]:
    chosen = random.Random(seed)
    return [chosen.randbytes(4) for _ in range(count)]


def test_a_burst_passes_and_one_more_does_not() -> None:  # M-12
    limiter = RateLimiter(rate=2, burst=5)
    assert [limiter.allow("192.0.2.1", 0) for _ in range(6)] == [True] * 5 + [False]


def test_tokens_come_back_at_the_rate() -> None:
    limiter = RateLimiter(rate=2, burst=1)
    assert limiter.allow("192.0.2.1", 0)
    assert not limiter.allow("192.0.2.1", 0.499)
    assert limiter.allow("192.0.2.1", 0.5)
    assert not limiter.allow("192.0.2.1", 0.5)


def test_what_is_refused_costs_no_token() -> None:
    limiter = RateLimiter(rate=1, burst=1)
    assert limiter.allow("192.0.2.1", 0)
    for moment in range(1, 100):
        assert not limiter.allow("192.0.2.1", moment / 100)
    assert limiter.allow("192.0.2.1", 1)


def test_one_more_connection_than_may_be_open_is_refused_until_one_ends() -> None:
    limiter = RateLimiter(rate=1000, burst=100, concurrent=3)
    assert [limiter.enter("192.0.2.1", 0) for _ in range(4)] == [True, True, True, False]
    limiter.leave("192.0.2.1")
    assert limiter.enter("192.0.2.1", 0)
    assert not limiter.enter("192.0.2.1", 0)


def test_each_address_has_its_own_bucket() -> None:
    limiter = RateLimiter(rate=1, burst=1)
    assert limiter.allow("192.0.2.1", 0)
    assert limiter.allow("192.0.2.2", 0)


def test_all_addresses_of_an_ipv6_64_share_a_bucket() -> None:
    limiter = RateLimiter(rate=1, burst=2)
    assert limiter.allow("2001:db8:0:1::1", 0)
    assert limiter.allow("2001:db8:0:1:ffff:ffff:ffff:ffff", 0)
    assert not limiter.allow("2001:db8:0:1:8000::", 0)
    assert limiter.allow("2001:db8:0:2::1", 0)


def test_prefix_lengths_can_be_chosen() -> None:
    limiter = RateLimiter(rate=1, burst=1, prefix_v4=24, prefix_v6=48)
    assert limiter.allow("192.0.2.1", 0)
    assert not limiter.allow("192.0.2.255", 0)
    assert limiter.allow("192.0.3.1", 0)
    assert limiter.allow("2001:db8:1:1::1", 0)
    assert not limiter.allow("2001:db8:1:2::1", 0)
    assert limiter.allow("2001:db8:2::1", 0)


def test_with_prefixes_of_no_bits_everybody_shares_one_bucket_per_family() -> None:
    limiter = RateLimiter(rate=1, burst=1, prefix_v4=0, prefix_v6=0)
    assert limiter.allow("192.0.2.1", 0)
    assert not limiter.allow("203.0.113.9", 0)
    assert limiter.allow("2001:db8::1", 0)
    assert not limiter.allow("::1", 0)


def test_ipv4_in_ipv6_form_is_ipv4() -> None:
    limiter = RateLimiter(rate=1, burst=1)
    assert limiter.allow("192.0.2.1", 0)
    assert not limiter.allow("::ffff:192.0.2.1", 0)
    assert limiter.allow("::ffff:192.0.2.2", 0)


def test_a_million_addresses_take_no_more_memory() -> None:
    limiter = RateLimiter(rate=1, burst=10, entries=4096)
    before = limiter.size
    for address in addresses(1_000_000, 1):
        limiter.allow(address, 0)
    assert limiter.size == before < 256 * 1024
    assert limiter.remembered(0) <= 4096
    assert limiter.remembered(1000) == 0


def test_a_million_strangers_do_not_wash_an_offender_clean() -> None:
    limiter = RateLimiter(rate=0.001, burst=10, entries=4096)
    offender = "198.51.100.7"
    while limiter.allow(offender, 0):
        pass
    for address in addresses(1_000_000, 2):
        limiter.allow(address, 0)
    assert not limiter.allow(offender, 0)


def test_a_million_strangers_do_not_close_the_door_to_anybody() -> None:
    limiter = RateLimiter(rate=1, burst=10, concurrent=5, entries=4096)
    player = "203.0.113.9"
    refused = 0
    for number, address in enumerate(addresses(1_000_000, 3)):
        limiter.allow(address, number / 1e6)
        if number % 100_000 == 0:
            refused += not limiter.allow(player, number / 1e6)
    assert refused == 0


def test_open_connections_are_counted_however_many_strangers_come() -> None:
    limiter = RateLimiter(rate=1000, burst=1000, concurrent=2, entries=4096)
    assert limiter.enter("203.0.113.9", 0)
    assert limiter.enter("203.0.113.9", 0)
    for address in addresses(200_000, 4):
        limiter.allow(address, 0)
    assert not limiter.enter("203.0.113.9", 0)


def test_a_table_full_of_open_connections_refuses_nobody() -> None:
    limiter = RateLimiter(rate=1000, burst=1, concurrent=1, entries=8)
    assert all(limiter.enter(address, 0) for address in addresses(1000, 5))
    assert limiter.remembered(0) == 8


def test_threads_share_the_tokens_exactly() -> None:
    limiter = RateLimiter(rate=0.001, burst=1000)
    passed: list[int] = []

    def take() -> None:
        passed.append(sum(limiter.allow("192.0.2.1", 0) for _ in range(1000)))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 1000


@pytest.mark.parametrize(
    ("rate", "burst", "more"),
    [
        (0, 1, {}),
        (1, 0, {}),
        (float("nan"), 1, {}),
        (1, 1, {"prefix_v4": 33}),
        (1, 1, {"prefix_v6": 65}),
        (1, 1, {"entries": 0}),
    ],
)
def test_numbers_out_of_range_are_refused(rate: float, burst: int, more: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"rate|burst|prefix|entries"):
        RateLimiter(rate, burst, **more)


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        RateLimiter(1, 1).allow("example.com")
