"""What Parquet and Arrow bytes say of their own size, read before anything of them is decoded.

A reader allocates what these headers announce, so that adding them up bounds its memory: Parquet's footer and
page headers (Thrift's compact protocol), Arrow's message headers (FlatBuffers). Sources: the formats' own
`parquet.thrift`, `Message.fbs` and protocol specifications. Malformed bytes raise ValueError.
"""

import struct
from typing import Any, NamedTuple

FOOTER_BYTES_MOST = 2 << 20
HEADERS_MOST = 200_000
"""Pages or messages of one file."""
ARROW_MAGIC = b"ARROW1"
_DEPTH_MOST = 16


class Size(NamedTuple):
    """What a file will be once it is decoded."""

    rows: int
    columns: int
    cells: int
    """Values of all columns, nested ones included."""
    uncompressed_bytes: int


class _Compact:
    """A reader of Thrift's compact protocol that keeps numbers and structs and steps over the rest."""

    def __init__(self, data: memoryview, at: int, end: int) -> None:
        self.data, self.at, self.end = data, at, min(end, len(data))

    def _byte(self) -> int:
        if self.at >= self.end:
            raise ValueError("a header that is cut short")
        self.at += 1
        return self.data[self.at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while shift < 70:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise ValueError("a number of more than 64 bits in a header")

    def _number(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _skip(self, size: int) -> None:
        if size > self.end - self.at:
            raise ValueError("a header that is cut short")
        self.at += size

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Fields of a struct by id: ints, lists of structs, structs; other kinds are left out."""
        fields: dict[int, Any] = {}
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._number()
            fields[field] = self._value(head & 15, depth + 1)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _DEPTH_MOST:
            raise ValueError("a header nested too deeply")
        if kind in (1, 2):
            return None
        if kind in (4, 5, 6):
            return self._number()
        if kind in (3, 7, 8):
            self._skip(self._varint() if kind == 8 else 1 if kind == 3 else 8)
            return None
        if kind in (9, 10):
            head = self._byte()
            size = head >> 4 if head >> 4 != 15 else self._varint()
            inner = head & 15
            if size > self.end - self.at:
                raise ValueError("a header that is cut short")
            inner = 3 if inner in (1, 2) else inner  # unlike as a field, a bool in a list is a byte
            return [self._value(inner, depth + 1) for _ in range(size)]
        if kind == 12:
            return self.struct(depth)
        if kind == 11:
            size = self._varint()
            kinds = self._byte() if size else 0
            if size > self.end - self.at:
                raise ValueError("a header that is cut short")
            for _ in range(size):
                self._value(kinds >> 4, depth + 1)
                self._value(kinds & 15, depth + 1)
            return None
        raise ValueError("an unknown type in a header")


def _int(fields: dict[int, Any], field: int) -> int:
    value = fields.get(field)
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"a header without field {field}")
    return value


def _structs(value: Any) -> list[dict[int, Any]]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ValueError("a header without its list")
    return value


def parquet_size(data: memoryview) -> Size:
    """Size of a Parquet file from its footer and every page header."""
    if len(data) < 12 or bytes(data[:4]) != b"PAR1" or bytes(data[-4:]) != b"PAR1":
        raise ValueError("Parquet bytes (PAR1 at both ends)")
    length = int.from_bytes(data[-8:-4], "little")
    if length > FOOTER_BYTES_MOST or length > len(data) - 12:
        raise ValueError(f"a footer of at most {FOOTER_BYTES_MOST} bytes")
    footer = _Compact(data, len(data) - 8 - length, len(data) - 8).struct()
    groups = _structs(footer.get(4, []))
    columns = sum(1 for each in _structs(footer.get(2)) if not each.get(5))
    rows = cells = size = pages = 0
    for group in groups:
        rows += _int(group, 3)
        for chunk in _structs(group.get(1)):
            meta = chunk.get(3)
            if not isinstance(meta, dict):
                raise ValueError("a column with its header in the file itself")
            values, inflated, pages = _pages(data, meta, pages)
            cells += max(values, _int(meta, 5), _int(group, 3))
            size += max(inflated, _int(meta, 6))
    return Size(max(rows, _int(footer, 3)), columns, cells, size)


def _pages(data: memoryview, meta: dict[int, Any], pages: int) -> tuple[int, int, int]:
    """Values and uncompressed bytes of one column chunk, and pages seen so far."""
    at = min(_int(meta, 9), meta[11]) if meta.get(11) else _int(meta, 9)
    end = at + _int(meta, 7)
    if end > len(data) or at < 4:
        raise ValueError("a column inside the file")
    values = inflated = 0
    while at < end:
        reader = _Compact(data, at, end)
        header = reader.struct()
        pages += 1
        if pages > HEADERS_MOST:
            raise ValueError(f"at most {HEADERS_MOST} pages")
        inflated += _int(header, 2)
        page = header.get(5) or header.get(8)
        values += _int(page, 1) if isinstance(page, dict) else 0
        at = reader.at + _int(header, 3)
    return values, inflated, pages


def arrow_size(data: memoryview) -> Size:
    """Size of an Arrow IPC file or stream from its message headers."""
    try:
        return _file_size(data) if bytes(data[:6]) == ARROW_MAGIC else _stream_size(data)
    except struct.error:
        raise ValueError("Arrow bytes that are whole") from None


def _file_size(data: memoryview) -> Size:
    """Adds up the record batches and dictionaries that a file's footer names."""
    length = int.from_bytes(data[-10:-6], "little")
    if bytes(data[-6:]) != ARROW_MAGIC or length > min(FOOTER_BYTES_MOST, len(data) - 18):
        raise ValueError(f"Arrow bytes with a footer of at most {FOOTER_BYTES_MOST} bytes")
    footer = _root(data, len(data) - 10 - length)
    total = Size(0, _vector(data, _table(data, footer, 1), 1)[1], 0, 0)
    for index in (2, 3):
        blocks_at, blocks = _vector(data, footer, index)
        if blocks > HEADERS_MOST:
            raise ValueError(f"at most {HEADERS_MOST} messages")
        for i in range(blocks):
            at, length, body = struct.unpack_from("<qi4xq", data, blocks_at + 24 * i)
            if min(at, length, body) < 0 or at + length + body > len(data):
                raise ValueError("messages inside the file")
            prefix = 8 if struct.unpack_from("<i", data, at)[0] == -1 else 4
            total = _added(total, _message_size(data, at + prefix, at + length, body))
    return total


def _stream_size(data: memoryview) -> Size:
    """Adds up the messages of a stream, one after the other."""
    total, at = Size(0, 0, 0, 0), 0
    for _ in range(HEADERS_MOST):
        if at + 4 > len(data):
            return total
        (length,) = struct.unpack_from("<i", data, at)
        at += 4
        if length == -1:
            (length,) = struct.unpack_from("<i", data, at)
            at += 4
        if length == 0:
            return total
        if not 0 < length <= FOOTER_BYTES_MOST or at + length > len(data):
            raise ValueError(f"messages with a header of at most {FOOTER_BYTES_MOST} bytes")
        message = _root(data, at)
        body = _scalar(data, message, 3, "<q")
        if not 0 <= body <= len(data) - at - length:
            raise ValueError("messages inside the file")
        total = _added(total, _message_size(data, at, at + length, body))
        at += length + body
    raise ValueError(f"at most {HEADERS_MOST} messages")


def _added(total: Size, one: Size) -> Size:
    rows, columns, cells, size = (a + b for a, b in zip(total, one, strict=True))
    return Size(rows, columns, cells, size)


def _message_size(data: memoryview, at: int, body_at: int, body: int) -> Size:
    """Size of one message: a schema, a dictionary or a record batch."""
    message = _root(data, at)
    kind = _scalar(data, message, 1, "<B")
    header = _table(data, message, 2)
    if kind == 1:
        return Size(0, _vector(data, header, 1)[1], 0, 0)
    if kind not in (2, 3):
        raise ValueError("record batches")
    one = _batch_size(data, _table(data, header, 1) if kind == 2 else header, body_at, body)
    return one if kind == 3 else one._replace(rows=0)


def _batch_size(data: memoryview, batch: int, body_at: int, body: int) -> Size:
    """Size of a record batch, what its compressed buffers say of themselves included."""
    rows = _scalar(data, batch, 0, "<q")
    nodes_at, nodes = _vector(data, batch, 1)
    buffers_at, buffers = _vector(data, batch, 2)
    if max(nodes, buffers) > HEADERS_MOST or rows < 0:
        raise ValueError(f"at most {HEADERS_MOST} buffers")
    lengths = [struct.unpack_from("<q", data, nodes_at + 16 * i)[0] for i in range(nodes)]
    cells = sum(max(each, rows) for each in lengths)
    inflated = body
    if _field(data, batch, 3):
        for i in range(buffers):
            offset, length = struct.unpack_from("<qq", data, buffers_at + 16 * i)
            if length < 8:
                continue
            if not 0 <= offset <= body - length:
                raise ValueError("buffers inside their message")
            (stated,) = struct.unpack_from("<q", data, body_at + offset)
            inflated += max(stated, 0)  # -1: this buffer is not compressed
    return Size(rows, 0, cells, inflated)


def _root(data: memoryview, at: int) -> int:
    return at + int(struct.unpack_from("<I", data, at)[0])


def _field(data: memoryview, table: int, index: int) -> int:
    """Where a field of a FlatBuffers table stands, 0 where it is absent."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    if vtable < 0:
        raise ValueError("Arrow bytes that are whole")
    (size,) = struct.unpack_from("<H", data, vtable)
    if 6 + 2 * index > size:
        return 0
    (offset,) = struct.unpack_from("<H", data, vtable + 4 + 2 * index)
    return table + offset if offset else 0


def _scalar(data: memoryview, table: int, index: int, form: str) -> int:
    at = _field(data, table, index)
    return int(struct.unpack_from(form, data, at)[0]) if at else 0


def _table(data: memoryview, table: int, index: int) -> int:
    at = _field(data, table, index)
    if not at:
        raise ValueError("Arrow messages with a header")
    return _root(data, at)


def _vector(data: memoryview, table: int, index: int) -> tuple[int, int]:
    """Where a vector's elements begin, and how many there are."""
    at = _field(data, table, index)
    if not at:
        return 0, 0
    start = _root(data, at)
    (length,) = struct.unpack_from("<I", data, start)
    if length > len(data):
        raise ValueError("Arrow bytes that are whole")
    return start + 4, length
