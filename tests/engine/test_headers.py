"""Sizes from headers alone: true for files of every writer, and honest about files that lie."""

import io
import struct
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.engine.headers import HEADERS_MOST, arrow_size, parquet_size

FRAME = pl.DataFrame(
    {"account": [f"a{i}" for i in range(5000)], "quantity": [i * 0.5 for i in range(5000)], "n": range(5000)}
).with_columns(kind=pl.col("account").str.slice(1, 1).cast(pl.Categorical))


def written(write: Any) -> memoryview:
    buffer = io.BytesIO()
    write(buffer)
    return memoryview(buffer.getvalue())


@pytest.mark.parametrize("compression", ["uncompressed", "snappy", "zstd", "gzip"])
@pytest.mark.parametrize("group", [700, 100_000])
def test_parquet_of_polars(compression: Any, group: int) -> None:
    size = parquet_size(written(lambda b: FRAME.write_parquet(b, compression=compression, row_group_size=group)))
    assert (size.rows, size.columns, size.cells) == (5000, 4, 20_000)
    assert 50_000 < size.uncompressed_bytes < 200_000


def test_parquet_of_arrow_with_nested_columns() -> None:
    table = pa.table({"x": [[1, 2, 3]] * 1000, "y": [{"a": 1, "b": "t"}] * 1000})
    size = parquet_size(written(lambda b: pq.write_table(table, b, data_page_version="2.0")))
    assert (size.rows, size.columns) == (1000, 3)
    assert size.cells == 3000 + 1000 + 1000


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
@pytest.mark.parametrize("form", ["write_ipc", "write_ipc_stream"])
def test_arrow_of_polars(compression: Any, form: str) -> None:
    size = arrow_size(written(lambda b: getattr(FRAME, form)(b, compression=compression)))
    assert (size.rows, size.columns) == (5000, 4)
    assert size.cells >= 20_000
    assert size.uncompressed_bytes > 80_000


@pytest.mark.parametrize("new", [pa.ipc.new_file, pa.ipc.new_stream])
def test_arrow_of_arrow_in_many_batches(new: Any) -> None:
    table = FRAME.to_arrow()

    def write(buffer: io.BytesIO) -> None:
        with new(buffer, table.schema) as writer:
            writer.write_table(table, max_chunksize=512)

    size = arrow_size(written(write))
    assert (size.rows, size.columns) == (5000, 4)


def test_pages_count_although_the_footer_says_less() -> None:
    """A footer that claims 20 kB of 100: the page headers are added up and tell."""
    data = bytearray(written(lambda b: pl.DataFrame({"x": ["z" * 100_000] * 9}).write_parquet(b, compression="zstd")))
    honest = parquet_size(memoryview(data)).uncompressed_bytes
    told, lie = _varint(2 * honest), _varint(2 * 20_000)  # zigzag
    assert len(told) == len(lie) == 3
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    assert told in data[footer:]
    data[footer:] = data[footer:].replace(told, lie)
    assert parquet_size(memoryview(data)).uncompressed_bytes >= 100_000


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def test_a_compressed_arrow_buffer_that_announces_a_lot_is_believed() -> None:
    data = bytearray(
        written(lambda b: pl.DataFrame({"x": ["z" * 100_000] * 9}).write_ipc_stream(b, compression="zstd"))
    )
    honest = arrow_size(memoryview(data)).uncompressed_bytes
    at = bytes(data).rfind(struct.pack("<q", 900_000))
    if at < 0:
        at = bytes(data).rfind(struct.pack("<q", 100_000))
    assert at > 0
    data[at : at + 8] = struct.pack("<q", 2**50)
    assert arrow_size(memoryview(data)).uncompressed_bytes > 2**49 > honest


@given(st.binary(max_size=200))
def test_garbage_raises_value_errors_alone(data: bytes) -> None:
    for read, start, end in (
        (parquet_size, b"PAR1", len(data).to_bytes(4, "little") + b"PAR1"),
        (arrow_size, b"ARROW1\0\0", len(data).to_bytes(4, "little") + b"ARROW1"),
        (arrow_size, b"\xff\xff\xff\xff" + len(data).to_bytes(4, "little"), b"\0\0\0\0"),
    ):
        try:
            size = read(memoryview(start + data + end))
        except ValueError as error:
            assert str(error)  # noqa: PT017
        else:
            assert size.rows >= 0


def test_the_number_of_headers_is_limited() -> None:
    empty = written(lambda b: pl.DataFrame({"x": [1]}).write_ipc_stream(b))
    schema = _messages(empty)[0]
    with pytest.raises(ValueError, match="messages"):
        arrow_size(memoryview(schema * (HEADERS_MOST + 1)))


def _messages(data: memoryview) -> list[bytes]:
    (length,) = struct.unpack_from("<i", data, 4)
    return [bytes(data[: 8 + length])]
