"""The protocol once more, slow and plain, to compare the compiled code with.

Everything here raises ValueError for what the compiled code refuses.
"""

import ipaddress
import re
import zlib


class Incomplete(Exception):
    pass


def varint(data: bytes, at: int, groups: int = 5) -> tuple[int, int]:
    value = 0
    for i in range(groups):
        if at + i >= len(data):
            raise Incomplete
        value += (data[at + i] & 127) * 128**i
        if data[at + i] < 128:
            value %= 2**32
            return (value - 2**32 if value >= 2**31 else value), at + i + 1
    raise ValueError("endless")


def write_varint(value: int) -> bytes:
    value %= 2**32
    out = []
    while value > 127:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


def inflate(body: bytes, threshold: int, serverbound: bool, limit: int) -> bytes:
    try:
        claimed, at = varint(body, 0)
    except Incomplete:
        raise ValueError("no size") from None
    if claimed == 0:
        if serverbound and len(body) - at >= threshold:
            raise ValueError("should be compressed")
        return body[at:]
    if claimed < threshold or claimed > limit:
        raise ValueError("bad size")
    stream = zlib.decompressobj()
    try:
        packet = stream.decompress(body[at:], claimed + 1)
    except zlib.error:
        raise ValueError("corrupt") from None
    if not stream.eof or stream.unused_data or len(packet) != claimed:
        raise ValueError("wrong size")
    return packet


def split(
    stream: bytes,
    threshold: int = -1,
    *,
    serverbound: bool = True,
    max_frame: int = 2**21 - 1,
    limit: int = 2**21,
) -> tuple[list[bytes], int | None]:
    """The packets, and how many bytes were left over; None if the stream is broken."""
    packets: list[bytes] = []
    at = run = 0
    while True:
        try:
            length, body = varint(stream, at, groups=3)
        except Incomplete:
            return packets, len(stream) - at
        except ValueError:
            return packets, None
        if length > max_frame:
            return packets, None
        if body + length > len(stream):
            return packets, len(stream) - at
        at = body + length
        if length == 0:
            run += 1
            if serverbound and run > 16:
                return packets, None
            continue
        run = 0
        packet = stream[body:at]
        if threshold >= 0:
            try:
                packet = inflate(packet, threshold, serverbound, limit)
            except ValueError:
                return packets, None
        packets.append(packet)


def utf16_units(text: str) -> int:
    return len(text.encode("utf-16-be")) // 2


def string(data: bytes, at: int, most: int) -> tuple[str, int]:
    length, at = varint(data, at)
    if length < 0 or length > 3 * most:
        raise ValueError("length")
    if at + length > len(data):
        raise Incomplete
    text = data[at : at + length].decode()
    if utf16_units(text) > most:
        raise ValueError("too long")
    return text, at + length


def handshake(body: bytes) -> tuple[int, str, int, int]:
    try:
        packet_id, at = varint(body, 0)
        protocol, at = varint(body, at)
        host, at = string(body, at, 32767)
        if at + 2 > len(body):
            raise Incomplete
        port = int.from_bytes(body[at : at + 2], "big")
        intent, at = varint(body, at + 2)
    except Incomplete:
        raise ValueError("cut off") from None
    if packet_id or at != len(body) or intent not in (1, 2, 3):
        raise ValueError("no handshake")
    if utf16_units(host.partition("\0")[0]) > 255:
        raise ValueError("too long")
    return protocol, host, port, intent


def login_start(body: bytes, protocol: int) -> tuple[str, bytes | None]:
    """For the released versions up to 777."""
    try:
        packet_id, at = varint(body, 0)
        name, at = string(body, at, 16)
        if protocol in (759, 760):
            signed, at = flag(body, at)
            if signed:
                at += 8
                for most in (512, 4096):
                    length, at = varint(body, at)
                    if not 0 <= length <= most:
                        raise ValueError("length")
                    at += length
        present = protocol >= 764
        if 760 <= protocol <= 763:
            present, at = flag(body, at)
    except Incomplete:
        raise ValueError("cut off") from None
    uuid = body[at : at + 16] if present else None
    if packet_id or not name or len(body) != at + (16 if present else 0):
        raise ValueError("no login start")
    return name, uuid


def flag(data: bytes, at: int) -> tuple[bool, int]:
    if at >= len(data):
        raise Incomplete
    return data[at] != 0, at + 1


def clean_host(raw: str) -> str:
    host = raw.split("\0")[0].split("///")[0].rstrip(".")
    if host.startswith("[") and host.endswith("]") and len(host) > 1:
        host = host[1:-1]
    if len(host.encode()) > 255:
        raise ValueError("too long")
    host = "".join(c.lower() if c.isascii() else c for c in host)
    if host.startswith("_dc-srv."):
        host = host.removeprefix("_dc-srv.")
        label, found, rest = host.partition("._minecraft._tcp.")
        if found and "." not in label:
            return rest
    return host.removeprefix("_minecraft._tcp.")


def proxy_header(data: bytes) -> tuple[int, object, object, int]:
    """(version, source, destination, size) of the header that the data begins with."""
    if data[:6] == b"PROXY "[: len(data)]:
        return proxy_line(data)
    signature = bytes.fromhex("0d0a0d0a000d0a515549540a")
    if data[:12] != signature[: len(data)]:
        raise ValueError("no header")
    if len(data) > 12 and data[12] not in (0x20, 0x21):
        raise ValueError("version or command")
    if len(data) < 16:
        raise Incomplete
    size = 16 + data[14] * 256 + data[15]
    family, transport = divmod(data[13], 16)
    if data[12] == 0x21:
        if family > 3 or transport > 2:
            raise ValueError("family or transport")
        if transport and size - 16 < (0, 12, 36, 216)[family]:
            raise ValueError("short block")
    if size > 2048:
        raise ValueError("long")
    if len(data) < size:
        raise Incomplete
    if data[12] == 0x20 or transport != 1 or family not in (1, 2):
        return 2, None, None, size
    width = 4 if family == 1 else 16
    block = data[16:]
    ports = block[2 * width : 2 * width + 4]
    return (
        2,
        (shown(ipaddress.ip_address(block[:width])), ports[0] * 256 + ports[1]),
        (shown(ipaddress.ip_address(block[width : 2 * width])), ports[2] * 256 + ports[3]),
        size,
    )


def proxy_line(data: bytes) -> tuple[int, object, object, int]:
    end = data[:107].find(b"\r\n")
    if end < 0:
        if len(data) < 107:
            raise Incomplete
        raise ValueError("no end")
    line = data[:end]
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return 1, None, None, end + 2
    number = rb"(0|[1-9][0-9]*)"
    found = re.fullmatch(rb"PROXY TCP([46]) ([^ %]+) ([^ %]+) " + number + b" " + number, line)
    if not found:
        raise ValueError("line")
    kind = ipaddress.IPv4Address if found[1] == b"4" else ipaddress.IPv6Address
    source, destination = (kind(part.decode("ascii")) for part in found.group(2, 3))
    ports = [int(part) for part in found.group(4, 5)]
    if max(ports) > 65535:
        raise ValueError("port")
    return 1, (shown(source), ports[0]), (shown(destination), ports[1]), end + 2


def shown(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> object:
    """IPv4 inside IPv6 counts as IPv4."""
    return getattr(address, "ipv4_mapped", None) or address
