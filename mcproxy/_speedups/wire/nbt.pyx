"""Named binary tags, as far as texts of the protocol need them.

From 1.20.3 (protocol 765) on, a text component in the configuration and play states is one tag
without a name: a string, or a compound. https://minecraft.wiki/w/NBT_format

Tags become plain values: compounds dict, lists and arrays of numbers list, strings str, numbers
int and float, byte arrays bytes. Which of its number types a number had is not kept, so this is
for texts and not for worlds.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t
from libc.stdlib cimport free, malloc

from mcproxy._speedups.wire.cursor cimport Reader, Writer, load_u16, load_u32, load_u64

from mcproxy.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["MAX_DEPTH", "decode_nbt", "encode_nbt", "read_nbt", "write_nbt"]

cdef extern from "Python.h":
    object PyUnicode_DecodeUTF16(const char*, Py_ssize_t, const char* errors, int* byteorder)

cdef enum tag:
    END = 0
    BYTE = 1
    SHORT = 2
    INT = 3
    LONG = 4
    FLOAT = 5
    DOUBLE = 6
    BYTE_ARRAY = 7
    STRING = 8
    LIST = 9
    COMPOUND = 10
    INT_ARRAY = 11
    LONG_ARRAY = 12
    MIXED = -1                      # a list whose values differ in type: see write_list

cdef enum:
    DEPTH_MAX = 512                 # as the game
    VALUES_MAX = 65536
    STRING_BYTES_MAX = 65535

MAX_DEPTH = DEPTH_MAX


cdef object refusal(Reader reader, str what):
    return RemoteProtocolError(f"NBT at byte {reader.position} {what}")


cdef int modified_utf8(const uint8_t* p, const uint8_t* end, uint16_t* out) noexcept nogil:
    # Java's DataInput.readUTF: the number of UTF-16 units, or -1 if it is malformed.
    cdef int n = 0
    while p < end:
        if p[0] < 0x80:
            out[n] = p[0]
            p += 1
        elif p[0] & 0xE0 == 0xC0 and end - p >= 2 and p[1] & 0xC0 == 0x80:
            out[n] = <uint16_t>(((p[0] & 0x1F) << 6) | (p[1] & 0x3F))
            p += 2
        elif (p[0] & 0xF0 == 0xE0 and end - p >= 3 and p[1] & 0xC0 == 0x80
              and p[2] & 0xC0 == 0x80):
            out[n] = <uint16_t>(((p[0] & 0x0F) << 12) | ((p[1] & 0x3F) << 6) | (p[2] & 0x3F))
            p += 3
        else:
            return -1
        n += 1
    return n


cdef str read_string(Reader reader):
    cdef uint16_t length = load_u16(reader.fixed("NBT string", 2))
    cdef const uint8_t* data
    cdef uint16_t* units
    cdef int n
    if length == 0:
        return ""
    data = reader.fixed("NBT string", length)
    units = <uint16_t*>malloc(2 * <size_t>length)
    if units == NULL:
        raise MemoryError
    try:
        n = modified_utf8(data, data + length, units)
        if n < 0:
            raise refusal(reader, "has a string that is not modified UTF-8")
        # Java allows half a surrogate pair; here it becomes U+FFFD.
        return native_utf16(units, n)
    finally:
        free(units)


cdef str native_utf16(const uint16_t* units, int n):
    cdef uint16_t probe = 1
    cdef int order = -1 if (<uint8_t*>&probe)[0] else 1
    return PyUnicode_DecodeUTF16(<const char*>units, 2 * n, b"replace", &order)


cdef int32_t read_count(Reader reader, int64_t* budget, bint counted) except -1:
    cdef int32_t count = <int32_t>load_u32(reader.fixed("NBT count", 4))
    if count < 0:
        raise refusal(reader, "has a negative count")
    if counted:
        if count > budget[0]:
            raise refusal(reader, "has too many values")
        budget[0] -= count
    return count


cdef bint is_wrapper(value) except -1:
    return isinstance(value, dict) and len(<dict>value) == 1 and "" in <dict>value


cdef object read_list(Reader reader, int depth, int64_t* budget):
    cdef int kind = reader.fixed("NBT list", 1)[0]
    cdef int32_t count = read_count(reader, budget, True)
    cdef list values = []
    if kind == END and count:
        raise refusal(reader, "has a list of nothing")
    for _ in range(count):
        value = read_value(reader, kind, depth, budget)
        if is_wrapper(value):
            # What a list of mixed types wraps its values in, from 1.21.5 on.
            value = (<dict>value)[""]
        values.append(value)
    return values


cdef object read_compound(Reader reader, int depth, int64_t* budget):
    cdef dict values = {}
    cdef int kind
    while True:
        kind = reader.fixed("NBT compound", 1)[0]
        if kind == END:
            return values
        budget[0] -= 1
        if budget[0] < 0:
            raise refusal(reader, "has too many values")
        name = read_string(reader)
        values[name] = read_value(reader, kind, depth, budget)


cdef double read_float(Reader reader, int kind) except? -1.0:
    return reader.f32() if kind == FLOAT else reader.f64()


cdef object read_value(Reader reader, int kind, int depth, int64_t* budget):
    if kind == BYTE:
        return reader.i8()
    if kind == SHORT:
        return <int16_t>load_u16(reader.fixed("NBT short", 2))
    if kind == INT:
        return <int32_t>load_u32(reader.fixed("NBT int", 4))
    if kind == LONG:
        return <int64_t>load_u64(reader.fixed("NBT long", 8))
    if kind == FLOAT or kind == DOUBLE:
        return read_float(reader, kind)
    if kind == STRING:
        return read_string(reader)
    if kind == BYTE_ARRAY:
        return reader.take(read_count(reader, budget, False))
    if kind == INT_ARRAY:
        return [reader.i32() for _ in range(read_count(reader, budget, True))]
    if kind == LONG_ARRAY:
        return [reader.i64() for _ in range(read_count(reader, budget, True))]
    if kind != LIST and kind != COMPOUND:
        raise refusal(reader, f"has the unknown tag {kind}")
    if depth == 0:
        raise refusal(reader, f"is nested more than {DEPTH_MAX} deep")
    if kind == LIST:
        return read_list(reader, depth - 1, budget)
    return read_compound(reader, depth - 1, budget)


def read_nbt(Reader reader not None, *, int64_t max_values=VALUES_MAX):
    """Read one tag without a name from a Reader; None for the end tag.

    At most 512 levels and ``max_values`` values. Raises RemoteProtocolError for anything that
    is not such a tag.
    """
    cdef int kind = reader.fixed("NBT tag", 1)[0]
    return None if kind == END else read_value(reader, kind, DEPTH_MAX, &max_values)


def decode_nbt(data, /, *, int64_t max_values=VALUES_MAX):
    """The value of one tag without a name that fills ``data``; see :func:`read_nbt`."""
    cdef Reader reader = Reader(data)
    value = read_nbt(reader, max_values=max_values)
    reader.end()
    return value


cdef int kind_of(value) except -2:
    if isinstance(value, str):
        return STRING
    if isinstance(value, bool):
        return BYTE
    if isinstance(value, int):
        if INT32_MIN <= value <= INT32_MAX:
            return INT
        if INT64_MIN <= value <= INT64_MAX:
            return LONG
        raise LocalProtocolError(f"{value} does not fit into NBT")
    if isinstance(value, float):
        return DOUBLE
    if isinstance(value, dict):
        return COMPOUND
    if isinstance(value, (list, tuple)):
        return LIST
    if isinstance(value, bytes):
        return BYTE_ARRAY
    raise LocalProtocolError(f"NBT has no {type(value).__name__}")


cdef int kind_of_list(values) except -2:
    cdef int common = END
    cdef int kind
    for value in values:
        kind = kind_of(value)
        if common == END or (common == INT and kind == LONG):
            common = kind
        elif kind != common and not (common == LONG and kind == INT):
            return MIXED
    return common


cdef int write_string(Writer writer, str value) except -1:
    cdef bytes encoded
    if value.isascii() and "\0" not in value:
        encoded = value.encode("ascii")
    else:
        encoded = to_modified_utf8(value)
    if len(encoded) > STRING_BYTES_MAX:
        raise LocalProtocolError(f"an NBT string has at most 65535 bytes, not {len(encoded)}")
    writer.u16(len(encoded)).raw(encoded)
    return 0


cdef bytes to_modified_utf8(str value):
    cdef bytes units
    cdef const uint8_t* p
    cdef const uint8_t* end
    cdef bytes encoded
    cdef uint8_t* out
    cdef uint16_t unit
    try:
        units = value.encode("utf-16-be")
    except UnicodeEncodeError as error:
        raise LocalProtocolError("an NBT string has half a surrogate pair") from error
    p = <const uint8_t*>PyBytes_AS_STRING(units)
    end = p + len(units)
    encoded = PyBytes_FromStringAndSize(NULL, 3 * (len(units) // 2))
    out = <uint8_t*>PyBytes_AS_STRING(encoded)
    while p < end:
        unit = load_u16(p)
        p += 2
        if 0 < unit < 0x80:
            out[0] = <uint8_t>unit
            out += 1
        elif unit < 0x800:
            out[0] = 0xC0 | <uint8_t>(unit >> 6)
            out[1] = 0x80 | <uint8_t>(unit & 0x3F)
            out += 2
        else:
            out[0] = 0xE0 | <uint8_t>(unit >> 12)
            out[1] = 0x80 | <uint8_t>((unit >> 6) & 0x3F)
            out[2] = 0x80 | <uint8_t>(unit & 0x3F)
            out += 3
    return encoded[:out - <uint8_t*>PyBytes_AS_STRING(encoded)]


cdef int write_list(Writer writer, values, int depth) except -1:
    cdef int kind = kind_of_list(values)
    writer.u8(COMPOUND if kind == MIXED else kind).i32(len(values))
    for value in values:
        if kind == MIXED and not isinstance(value, dict) or is_wrapper(value):
            value = {"": value}
        write_value(writer, COMPOUND if kind == MIXED else kind, value, depth)
    return 0


cdef int write_compound(Writer writer, dict values, int depth) except -1:
    cdef int kind
    for name, value in values.items():
        if not isinstance(name, str):
            raise LocalProtocolError("names in NBT are str")
        kind = kind_of(value)
        writer.u8(kind)
        write_string(writer, name)
        write_value(writer, kind, value, depth)
    writer.u8(END)
    return 0


cdef int write_value(Writer writer, int kind, value, int depth) except -1:
    if kind == STRING:
        return write_string(writer, value)
    if kind == BYTE:
        writer.boolean(value)
    elif kind == INT:
        writer.i32(value)
    elif kind == LONG:
        writer.i64(value)
    elif kind == DOUBLE:
        writer.f64(value)
    elif kind == BYTE_ARRAY:
        writer.i32(len(value)).raw(value)
    elif depth == 0:
        raise LocalProtocolError(f"NBT is nested at most {DEPTH_MAX} deep")
    elif kind == LIST:
        write_list(writer, value, depth - 1)
    else:
        write_compound(writer, value, depth - 1)
    return 0


def write_nbt(Writer writer not None, value) -> None:
    """Write a value as one tag without a name.

    dict, list, tuple, str, bool (a byte), int (int or long, whichever fits), float (a double)
    and bytes; None is the end tag. A list of mixed types wraps its values as 1.21.5 and newer
    read it: for older clients make all of them compounds. Raises LocalProtocolError for
    anything else, and leaves the writer as it was.
    """
    cdef size_t before = writer.size
    cdef int kind = END if value is None else kind_of(value)
    try:
        writer.u8(kind)
        if kind != END:
            write_value(writer, kind, value, DEPTH_MAX)
    except BaseException:
        writer.size = before
        raise


def encode_nbt(value, /) -> bytes:
    """The bytes of a value as one tag without a name; see :func:`write_nbt`."""
    writer = Writer()
    write_nbt(writer, value)
    return bytes(writer)
