"""The pool of blocks: leases, use counts, the bound."""

import gc

import pytest

from mcproxy._speedups.buffers import Pool
from mcproxy.errors import PoolExhausted, ReleasedError


def test_a_lease_is_a_writable_buffer_of_one_block():  # M-11
    with Pool(4096, 1, 1).lease() as lease:
        assert len(lease) == 4096
        memoryview(lease)[:5] = b"hello"
        assert bytes(memoryview(lease)[:5]) == b"hello"


def test_blocks_do_not_overlap():
    pool = Pool(100, 3, 50)
    leases = [pool.lease() for _ in range(50)]
    for i, lease in enumerate(leases):
        memoryview(lease)[:] = bytes([i]) * 100
    assert [bytes(memoryview(lease)) for lease in leases] == [bytes([i]) * 100 for i in range(50)]


def test_the_bound_is_kept_and_counted():
    pool = Pool(64, 0, 2)
    first, second = pool.lease(), pool.lease()
    with pytest.raises(PoolExhausted, match="all 2 blocks"):
        pool.lease()
    assert pool.stats() == {
        "allocated": 2,
        "in_use": 2,
        "peak": 2,
        "most": 2,
        "leases": 2,
        "refused": 1,
    }
    first.release()
    pool.lease().release()
    second.release()
    assert (pool.stats()["in_use"], pool.stats()["peak"]) == (0, 2)


def test_blocks_are_allocated_ahead_and_used_again():
    pool = Pool(64, 8, 100)
    assert pool.stats()["allocated"] == 8
    for _ in range(1000):
        pool.lease().release()
    assert pool.stats()["allocated"] == 8


def test_use_after_release_raises():
    lease = Pool(64, 1, 1).lease()
    lease.release()
    for use in (memoryview, bytes, len, type(lease).retain, type(lease).release):
        with pytest.raises(ReleasedError):
            use(lease)
    with pytest.raises(ReleasedError), lease:
        pass
    assert lease.uses == 0


def test_a_block_goes_back_with_its_last_use():
    pool = Pool(64, 1, 1)
    lease = pool.lease()
    assert lease.retain() is lease
    assert lease.uses == 2
    lease.release()
    with pytest.raises(PoolExhausted):
        pool.lease()
    lease.release()
    pool.lease().release()


def test_a_view_keeps_a_released_block_from_others():
    pool = Pool(64, 2, 2)
    lease = pool.lease()
    view = memoryview(lease)
    view[:3] = b"abc"
    lease.release()
    other = pool.lease()
    memoryview(other)[:3] = b"xyz"
    with pytest.raises(PoolExhausted):
        pool.lease()
    assert bytes(view[:3]) == b"abc"
    view.release()
    pool.lease()


def test_a_forgotten_lease_goes_back():
    pool = Pool(64, 1, 1)
    lease = pool.lease()
    del lease
    gc.collect()
    pool.lease().release()


def test_leases_outlive_their_pool():
    lease = Pool(64, 1, 1).lease()
    gc.collect()
    memoryview(lease)[:] = b"x" * 64
    lease.release()


@pytest.mark.parametrize("sizes", [(0, 0, 1), (64, 2, 1), (64, 0, 0)])
def test_a_pool_that_cannot_work_is_refused(sizes):
    with pytest.raises(ValueError, match="a pool has blocks"):
        Pool(*sizes)
