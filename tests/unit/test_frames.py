"""Frames: split however the bytes are cut, joined, compressed and decompressed."""

import gc
import random
import resource
import zlib
from array import array

import pytest

from mcproxy._speedups.wire.cursor import Reader
from mcproxy._speedups.wire.frames import (
    MAX_FRAME,
    Frame,
    FrameJoiner,
    FrameSplitter,
    join_frame,
    scan_frames,
)
from mcproxy.errors import LocalProtocolError, ReleasedError, RemoteProtocolError

from .wire_bytes import varint


def framed(body: bytes) -> bytes:
    return varint(len(body)) + body


def deflated(packet: bytes, claimed: int | None = None) -> bytes:
    return framed(varint(len(packet) if claimed is None else claimed) + zlib.compress(packet))


def split(splitter: FrameSplitter, *pieces: bytes) -> list[bytes]:
    return [bytes(frame) for piece in pieces for frame in splitter.feed(piece)]


PACKETS = [b"\0", b"\1" * 127, b"\2" * 128, b"\3" * 300, b"\4" * 20000, b"\5"]
STREAM = b"".join(framed(packet) for packet in PACKETS)


def test_whole_frames_are_split():
    assert split(FrameSplitter(), STREAM) == PACKETS


def test_single_bytes_give_the_same_frames():
    assert split(FrameSplitter(), *(STREAM[i : i + 1] for i in range(len(STREAM)))) == PACKETS


@pytest.mark.parametrize("size", [2, 3, 5, 7, 127, 128, 129, 1000, 20000])
def test_pieces_of_any_size_give_the_same_frames(size):
    pieces = [STREAM[i : i + size] for i in range(0, len(STREAM), size)]
    assert split(FrameSplitter(), *pieces) == PACKETS


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_any_buffer_is_fed(kind):
    assert split(FrameSplitter(), kind(STREAM[:150]), kind(STREAM[150:])) == PACKETS


def test_a_buffer_that_the_caller_reuses_does_not_change_frames():
    buffer = bytearray(framed(b"\0abc"))
    (frame,) = FrameSplitter().feed(buffer)
    buffer[:] = bytes(len(buffer))
    assert bytes(frame) == b"\0abc"


def test_the_longest_frame_is_split():
    body = random.Random(1).randbytes(MAX_FRAME)
    assert split(
        FrameSplitter(), *[framed(body)[i : i + 65536] for i in range(0, 2**21 + 3, 65536)]
    ) == [body]


@pytest.mark.parametrize("prefix", [b"\x80\x80\x80", b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\x7f"])
def test_a_length_above_three_bytes_is_refused(prefix):
    with pytest.raises(RemoteProtocolError, match="longer than 2097151 bytes"):
        list(FrameSplitter().feed(prefix))
    with pytest.raises(RemoteProtocolError, match="longer than 2097151 bytes"):
        split(FrameSplitter(), *(prefix[i : i + 1] for i in range(len(prefix))))


def test_a_frame_above_the_bound_is_refused_at_its_length():
    splitter = FrameSplitter(max_frame=300)
    assert split(splitter, framed(bytes(300))) == [bytes(300)]
    with pytest.raises(RemoteProtocolError, match="longer than 300"):
        list(splitter.feed(varint(301)))


def test_a_broken_stream_stays_broken():
    splitter = FrameSplitter(max_frame=10)
    with pytest.raises(RemoteProtocolError):
        list(splitter.feed(b"\x0b"))
    with pytest.raises(RemoteProtocolError):
        list(splitter.feed(framed(b"fine")))


def test_frames_in_front_of_the_broken_one_are_returned():
    frames = iter(FrameSplitter(max_frame=10).feed(framed(b"fine") + b"\x0b"))
    assert bytes(next(frames)) == b"fine"
    with pytest.raises(RemoteProtocolError):
        next(frames)


def test_sixteen_empty_frames_are_passed_over():
    assert split(FrameSplitter(), bytes(16) + framed(b"x") + bytes(16) + framed(b"y")) == [
        b"x",
        b"y",
    ]


def test_a_longer_run_of_empty_frames_is_refused_serverbound_only():
    with pytest.raises(RemoteProtocolError, match="empty frames"):
        split(FrameSplitter(), bytes(9), bytes(8))
    assert split(FrameSplitter(direction="clientbound"), bytes(1000) + framed(b"x")) == [b"x"]


def test_a_frame_used_after_the_next_feed_raises():
    splitter = FrameSplitter()
    (frame,) = splitter.feed(framed(b"\0abc"))
    splitter.feed(b"")
    for use in (bytes, len, memoryview, Reader, lambda f: f.packet_id):
        with pytest.raises(ReleasedError):
            use(frame)


@pytest.mark.parametrize("cut", [0, 1, 3])
def test_a_view_taken_in_time_stays_unchanged(cut):
    splitter = FrameSplitter()
    splitter.feed(framed(b"\0abc")[:cut])
    assert list(splitter) == []
    (frame,) = splitter.feed(framed(b"\0abc")[cut:])
    view = memoryview(frame)
    del frame
    for _ in range(10):
        split(splitter, framed(b"\xff" * 5)[:2], framed(b"\xff" * 5)[2:])
    gc.collect()
    assert view.tobytes() == b"\0abc"
    assert view.readonly


def test_an_inflated_view_stays_unchanged_while_others_are_inflated():
    splitter = FrameSplitter(0)
    frames = list(splitter.feed(b"".join(deflated(bytes([i]) * 100) for i in range(10))))
    assert [bytes(frame) for frame in frames] == [bytes([i]) * 100 for i in range(10)]
    views = [memoryview(frame) for frame in frames]
    split(splitter, *(deflated(b"\xff" * 100) for _ in range(10)))
    assert [view.tobytes() for view in views] == [bytes([i]) * 100 for i in range(10)]


def test_the_packet_id_is_read():
    (frame,) = FrameSplitter().feed(framed(varint(300) + b"rest"))
    assert frame.packet_id == 300
    (frame,) = FrameSplitter().feed(framed(b"\x80"))
    with pytest.raises(RemoteProtocolError, match="no id"):
        _ = frame.packet_id


def test_what_the_loop_left_behind_is_pending_and_comes_first():
    splitter = FrameSplitter()
    assert bytes(next(iter(splitter.feed(framed(b"a") + framed(b"b") + b"\x05c")))) == b"a"
    assert splitter.pending == framed(b"b") + b"\x05c"
    assert split(splitter, b"dddd") == [b"b", b"cdddd"]
    assert splitter.pending == b""


def test_frames_left_behind_in_the_carry_survive_it():
    splitter = FrameSplitter()
    splitter.feed(framed(b"a") + framed(b"b") + b"\x03c")
    splitter.feed(b"")
    first = next(splitter)
    second = next(splitter)
    with pytest.raises(StopIteration):
        next(splitter)
    assert (bytes(first), bytes(second)) == (b"a", b"b")
    assert split(splitter, b"dd" + framed(b"e")) == [b"cdd", b"e"]


def test_frames_that_nobody_asks_for_do_not_pile_up():
    splitter = FrameSplitter(max_frame=100)
    splitter.feed(framed(bytes(100)) * 2)
    with pytest.raises(LocalProtocolError, match="not been asked for"):
        splitter.feed(b"")
    assert len(list(splitter)) == 2
    splitter.feed(b"")


def address_space() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()


def test_an_announced_length_takes_no_memory():
    before = address_space()
    splitters = [FrameSplitter(0) for _ in range(500)]
    for splitter in splitters:
        split(splitter, varint(MAX_FRAME), b"x" * 100)
    claims = [FrameSplitter(0) for _ in range(500)]
    for splitter in claims:
        with pytest.raises(RemoteProtocolError):
            split(splitter, deflated(b"x", claimed=MAX_FRAME))
    assert address_space() - before < 200_000_000  # as announced, it would be two gigabytes


@pytest.mark.parametrize("threshold", [0, 1, 64, 256])
def test_compressed_frames_are_split(threshold):
    packets = [bytes([i]) * (threshold + i) for i in range(1, 20)] + [
        random.Random(2).randbytes(70000)
    ]
    stream = b"".join(deflated(packet) for packet in packets)
    assert split(FrameSplitter(threshold), stream) == packets
    assert (
        split(FrameSplitter(threshold), *(stream[i : i + 11] for i in range(0, len(stream), 11)))
        == packets
    )


def test_packets_below_the_threshold_come_as_they_are():
    assert split(FrameSplitter(64), framed(b"\0" + b"x" * 63)) == [b"x" * 63]


def test_a_large_uncompressed_packet_is_refused_serverbound_only():
    frame = framed(b"\0" + b"x" * 64)
    with pytest.raises(RemoteProtocolError, match="not compressed"):
        split(FrameSplitter(64), frame)
    # Modded backends send large packets as they are.
    assert split(FrameSplitter(64, direction="clientbound"), frame) == [b"x" * 64]


def test_a_small_compressed_packet_is_refused():
    with pytest.raises(RemoteProtocolError, match="below the compression threshold"):
        split(FrameSplitter(64), deflated(b"x" * 63))


@pytest.mark.parametrize("size", [1, 99, 101, 4095, 4097, 10**6])
def test_a_claimed_size_must_be_exact(size):
    with pytest.raises(RemoteProtocolError, match="claimed size"):
        split(FrameSplitter(0), deflated(b"x" * 100, claimed=size))


@pytest.mark.parametrize(
    ("direction", "limit"), [("serverbound", 2 << 20), ("clientbound", 8 << 20)]
)
def test_a_claimed_size_above_the_limit_is_refused(direction, limit):
    assert len(split(FrameSplitter(0, direction=direction), deflated(bytes(limit)))[0]) == limit
    with pytest.raises(RemoteProtocolError, match=f"larger than {limit} bytes"):
        split(FrameSplitter(0, direction=direction), deflated(bytes(limit + 1)))
    with pytest.raises(RemoteProtocolError, match="larger than 1000 bytes"):
        split(FrameSplitter(0, direction=direction, max_inflated=1000), deflated(bytes(1001)))


@pytest.mark.parametrize(
    "body",
    [
        varint(100) + b"not zlib",
        varint(100) + zlib.compress(bytes(100))[:-1],
        varint(100) + zlib.compress(bytes(100))[:-5],
        varint(100) + zlib.compress(bytes(100))[:-1] + b"\0",
        varint(100) + zlib.compress(bytes(100)) + b"\0",
        varint(100),
        varint(-1) + zlib.compress(bytes(100)),
        b"\x80",
        b"\xff" * 6,
    ],
)
def test_a_malformed_compressed_packet_is_refused(body):
    with pytest.raises(RemoteProtocolError):
        split(FrameSplitter(0, direction="clientbound"), framed(body))


def test_the_splitter_works_on_after_many_packets_with_one_context():
    splitter = FrameSplitter(0, direction="clientbound")
    for size in (1, 5000, 10, 200000, 3, 70000, 65536, 4096):
        packet = random.Random(size).randbytes(size)
        assert split(splitter, deflated(packet)) == [packet]


def test_compression_switched_on_in_the_loop_holds_from_the_next_frame():
    splitter = FrameSplitter()
    seen = []
    for frame in splitter.feed(framed(b"\3\x40") + deflated(b"x" * 64)):
        seen.append(bytes(frame))
        splitter.set_compression(64)
    assert seen == [b"\3\x40", b"x" * 64]


def test_joined_frames_are_what_the_standard_says():
    assert join_frame(b"\0") == b"\1\0"
    assert join_frame(b"x" * 300) == b"\xac\x02" + b"x" * 300
    assert join_frame(b"x" * 63, 64) == b"\x40\0" + b"x" * 63
    frame = join_frame(b"x" * 64, 64)
    assert frame[0] == len(frame) - 1
    assert frame[1] == 64
    assert zlib.decompress(frame[2:]) == b"x" * 64


@pytest.mark.parametrize("level", [-1, 0, 1, 9])
def test_what_is_joined_is_split(level):
    joiner = FrameJoiner(256, level=level)
    packets = [
        random.Random(n).randbytes(n // 2) + bytes(n - n // 2) for n in (1, 255, 256, 70000, 257)
    ]
    stream = b"".join(joiner.join(packet) for packet in packets)
    assert split(FrameSplitter(256), stream) == packets


def test_packets_that_no_frame_can_hold_are_refused():
    assert len(join_frame(bytes(MAX_FRAME))) == MAX_FRAME + 3
    with pytest.raises(LocalProtocolError, match="at most 2097151"):
        join_frame(bytes(MAX_FRAME + 1))
    with pytest.raises(LocalProtocolError):
        join_frame(random.Random(3).randbytes(MAX_FRAME), 0)
    with pytest.raises(LocalProtocolError):
        join_frame(bytes((8 << 20) + 1), 0)
    with pytest.raises(LocalProtocolError):
        join_frame(b"")
    assert len(join_frame(bytes(8 << 20), 0)) < 20000


def test_switching_compression_on_in_the_joiner_holds_from_the_next_packet():
    joiner = FrameJoiner()
    assert joiner.join(b"\3\x40") == b"\2\3\x40"
    joiner.set_compression(64)
    assert joiner.join(b"\2") == b"\2\0\2"


def test_frames_are_counted_without_objects():
    data = framed(b"abc") + b"\0" + framed(b"x" * 200) + b"\x05ab"
    assert scan_frames(data) == (2, len(data) - 3)
    spans = array("i", bytes(8 * 10))
    assert scan_frames(data, spans) == (2, len(data) - 3)
    assert [data[a:b] for a, b in zip(spans[0:4:2], spans[1:4:2], strict=True)] == [
        b"abc",
        b"x" * 200,
    ]
    assert scan_frames(data, array("i", bytes(8))) == (1, 4)
    assert scan_frames(b"") == (0, 0)
    with pytest.raises(RemoteProtocolError, match="frame at byte 4 is longer than 100"):
        scan_frames(data[0:4] + data[5:], max_frame=100)


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match="direction"):
        FrameSplitter(direction="sideways")
    with pytest.raises(ValueError, match="max_frame"):
        FrameSplitter(max_frame=MAX_FRAME + 1)
    with pytest.raises(ValueError, match="max_inflated"):
        FrameSplitter(max_inflated=0)
    with pytest.raises(ValueError, match="level"):
        FrameJoiner(level=10)


def test_a_frame_that_no_splitter_made_is_no_frame():
    with pytest.raises(ReleasedError):
        bytes(Frame())
