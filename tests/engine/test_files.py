"""Files in and out: every format, every limit, every failure one SolventError; writes whole or not at all."""

import gzip
import io
import json
import os
import time
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.domain.market import Market
from solvent.engine import files, read
from solvent.engine.files import read_book, read_candles, read_funding, read_market, read_policy
from solvent.engine.market_json import market_json
from solvent.errors import SolventError
from solvent.valuation.surfaces import GridSurface, SviSlice, SviSurface

TS = "2024-05-01T00:00:00Z"
OPTION = "BTC/USD:BTC-241227-60000-C"
ROWS = {
    "account": ["a", "a", "b"],
    "instrument": ["BTC", "BTC/USDC:USDC", "USDC"],
    "quantity": ["1.5", "-2", "100.25"],
    "entry_price": [None, "50000", None],
    "note": ["x", "y", "z"],
}
MARKET = Market.from_frame(
    pl.DataFrame(
        {
            "instrument": ["BTC", "USDC", "BTC/USDC:USDC", OPTION],
            "price": ["50123.45", "0.9998", "50130.5", None],
            "ts": [TS] * 4,
        }
    ),
    surfaces={"BTC": GridSurface((0.5, 1.0), ((-0.2, 0.2), (0.0,)), ((0.7, 0.6), (0.65,)))},
)
UNIVERSE = MARKET.universe


def refused(call: Any, *arguments: Any, **more: Any) -> list[tuple[int | None, str]]:
    with pytest.raises(SolventError) as caught:
        call(*arguments, **more)
    assert caught.value.problems
    return [(each.row, each.field) for each in caught.value.problems]


def lots(book: Any, account: str) -> dict[str, int]:
    instruments, quantity, _ = book.row(book.index(account))
    return {UNIVERSE[i].id: q for i, q in zip(instruments.tolist(), quantity.tolist(), strict=True)}


class TestBooks:
    @pytest.mark.parametrize("name", ["b.csv", "b.tsv", "b.parquet", "b.arrow", "b.feather", "b.json"])
    def test_every_format_gives_the_same_book(self, tmp_path: Path, name: str) -> None:
        frame = pl.DataFrame(ROWS)
        path = tmp_path / name
        if name.endswith(".tsv"):
            frame.write_csv(path, separator="\t")
        else:
            files.write_frame(path, frame)
        found = read_book(path, UNIVERSE)
        assert found.reported is None
        assert found.book.names == ["a", "b"]
        assert lots(found.book, "a") == {"BTC": 150_000_000, "BTC/USDC:USDC": -200_000}
        assert lots(found.book, "b") == {"USDC": 100_250_000}

    @pytest.mark.parametrize("pack", ["gz", "zip"])
    def test_compressed_files(self, tmp_path: Path, pack: str) -> None:
        data = pl.DataFrame(ROWS).write_csv().encode()
        path = tmp_path / f"book.csv.{pack}"
        if pack == "gz":
            path.write_bytes(gzip.compress(data))
        else:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("book.csv", data)
        assert lots(read_book(path, UNIVERSE).book, "b") == {"USDC": 100_250_000}

    def test_json_rows_may_hold_numbers_with_a_point_exactly(self, tmp_path: Path) -> None:
        path = tmp_path / "book.json"
        rows = [("BTC", "0.12345678"), ("USDC", "-3")]
        objects = [f'{{"account": 1, "instrument": "{name}", "quantity": {quantity}}}' for name, quantity in rows]
        path.write_text(f"[{', '.join(objects)}]")
        assert lots(read_book(path, UNIVERSE).book, "1") == {"BTC": 12_345_678, "USDC": -3_000_000}

    def test_problems_name_the_file_and_row_as_it_is_numbered(self, tmp_path: Path) -> None:
        path = tmp_path / "desk.csv"
        path.write_text("account,instrument,quantity\na,BTC,1\na,BTCC,1\na,BTC,1e3\n")
        with pytest.raises(SolventError, match=r"desk\.csv row 2: instrument = BTCC: one of BTC") as caught:
            read_book(path, UNIVERSE)
        assert "desk.csv row 3: quantity = 1e3" in str(caught.value)

    def test_a_million_rows(self, tmp_path: Path) -> None:
        size = 200_000 * 5
        frame = pl.DataFrame(
            {
                "account": np.repeat(np.arange(size // 5), 5),
                "instrument": np.array(["BTC", "USDC", "BTC/USDC:USDC", "USDC", "BTC"])[np.arange(size) % 5],
                "quantity": np.arange(size) % 997,
            }
        )
        path = tmp_path / "big.parquet"
        frame.write_parquet(path)
        started = time.perf_counter()
        book = read_book(path, UNIVERSE, MARKET).book
        assert time.perf_counter() - started < 15
        assert len(book) == size // 5


class TestMarkets:
    @pytest.mark.parametrize("name", ["m.csv", "m.parquet", "m.arrow"])
    def test_tables(self, tmp_path: Path, name: str) -> None:
        plain = Market.from_frame(
            pl.DataFrame({"instrument": ["BTC", "BTC/USDC:USDC"], "price": ["50123.45", "50130.5"], "ts": [TS] * 2})
        )
        files.write_market(tmp_path / name, plain)
        again = read_market(tmp_path / name)
        assert list(again.universe) == list(plain.universe)
        assert (again.ticks == plain.ticks).all()
        assert again.ts_ns == plain.ts_ns

    def test_json_keeps_surfaces_and_everything_else(self, tmp_path: Path) -> None:
        files.write_market(tmp_path / "m.json", MARKET, source="test")
        again = read_market(tmp_path / "m.json")
        assert list(again.universe) == list(UNIVERSE)
        assert again.ts_ns == MARKET.ts_ns
        assert dict(again.surfaces) == dict(MARKET.surfaces)
        for name in ("ticks", "price", "vol_annual", "forward", "confidence", "state", "slow_price"):
            np.testing.assert_array_equal(getattr(again, name), getattr(MARKET, name))
        np.testing.assert_array_equal(again.vol(), MARKET.vol())
        assert market_json(again) == market_json(MARKET)

    def test_a_table_holds_no_surfaces(self, tmp_path: Path) -> None:
        assert refused(files.write_market, tmp_path / "m.csv", MARKET) == [(None, "file")]
        assert not (tmp_path / "m.csv").exists()

    def test_svi_surfaces_and_faulty_ones(self, tmp_path: Path) -> None:
        path = tmp_path / "m.json"
        good = SviSurface((SviSlice(0.5, 0.04, 0.1, -0.3, 0.0, 0.2),))
        row = {"instrument": OPTION}
        document = {"ts": TS, "instruments": [{"instrument": "BTC", "price": "5e4"}, row], "surfaces": {"BTC": None}}
        for surface, accepted in ((good, True), (SviSurface((SviSlice(0.5, -9.0, 0.1, -0.3, 0.0, 0.2),)), False)):
            import msgspec

            path.write_bytes(msgspec.json.encode(document | {"surfaces": {"BTC": surface}}))
            if accepted:
                assert dict(read_market(path).surfaces) == {"BTC": good}
            else:
                assert refused(read_market, path) == [(1, "a")]

    def test_rows_alone_and_time_as_given(self, tmp_path: Path) -> None:
        path = tmp_path / "m.json"
        path.write_text('[{"instrument": "BTC", "price": 50000.5}, {"instrument": "ETH", "price": "3000"}]')
        made = read_market(path, ts_ns=5 * 10**18)
        assert made.ts_ns == 5 * 10**18
        assert made.price[:2].tolist() == [50000.5, 3000.0]
        before = time.time_ns()
        assert before <= read_market(path).ts_ns <= time.time_ns()


class TestPolicies:
    TOML = 'name = "mine"\nversion = "1"\nas_of = "2024-05-01"\nsource = "test"\n[margin]\nrule = "portfolio"\n'

    def test_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.toml"
        path.write_text(self.TOML)
        assert read_policy(path).rule == "portfolio"
        assert read_policy(str(path)).label == read_policy(path).label

    def test_unknown_names_say_what_there_is(self) -> None:
        with pytest.raises(SolventError, match="name = no-such-policy: one of"):
            read_policy("no-such-policy")

    @pytest.mark.parametrize(
        "text", ["x = [", "\xff\xfe", "a = 1\n", "x = " + "[" * 5000, "x = 1e", "# " + "x" * (1 << 20)]
    )
    def test_what_is_no_policy(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "p.toml"
        path.write_bytes(text.encode("latin-1"))
        assert refused(read_policy, path)


class TestCandles:
    def test_several_files_add_up_and_must_have_all_assets(self, tmp_path: Path) -> None:
        pl.DataFrame({"ts": [0, 3600], "asset": ["BTC", "BTC"], "close": [1.0, 2.0]}).write_parquet(
            tmp_path / "one.parquet"
        )
        pl.DataFrame({"ts": [0, 3600], "asset": ["ETH", "ETH"], "close": [1.0, 2.0]}).write_csv(tmp_path / "two.csv")
        paths = [tmp_path / "one.parquet", tmp_path / "two.csv"]
        assert read_candles(paths, ["BTC", "ETH"])["asset"].to_list() == ["BTC", "ETH"] * 2
        assert refused(read_candles, paths, ["BTC", "XRP"]) == [(None, "asset")]
        assert refused(read_candles, paths, ["BTC"], 10**18) == [(None, "asset")]

    def test_all_reference_files_read(self, shared: Path) -> None:
        expected = {
            "prices_intraday/binance_perp_1h_2023_2024.parquet": (["BTC", "PEPE"], None),
            "prices_intraday/binance_spot_1h_2021_2023.parquet": (["BTC", "UST", "USDC"], None),
            "prices_intraday/binance_spot_1h_close_2017_2021.parquet": (["BTC", "NANO"], None),
            "prices_intraday/btc_perp_1m_2022_01.parquet": (["BTC"], 45_031),
            "prices_intraday/crash_2024_08_perp_30m.parquet": (["BTC", "SOL"], None),
            "prices_intraday/crash_days_eth_10m.parquet": (["ETH"], 720),
            "prices_intraday/crash_windows_2023_2024_5m.parquet": (["BTC", "ETH"], None),
            "prices_intraday/dai_usd_5m_2019_2020.parquet": (["DAI"], 38_431),
            "prices_intraday/hourly_2017_2021.parquet": (["BTC", "XRP"], None),
            "prices_intraday/ust_usdt_15m.parquet": (["UST"], 13_412),
            "prices_daily/crypto_daily_ohlcv.parquet": (["USDC", "LUNA"], None),
            "prices_daily/steth_eth_ratio.parquet": (["STETH", "ETH"], 2_892),
        }
        there = {f"{p.parent.name}/{p.name}" for p in (shared / "data").glob("prices_*/*.parquet")}
        assert there <= set(expected)
        for name, (assets, rows) in expected.items():
            table = read_candles(shared / "data" / name, assets)
            assert set(table["asset"]) == set(assets), name
            assert table["close"].min() > 0, name  # type: ignore[operator]
            assert rows is None or len(table) == rows, name
            daily = table.group_by("asset", pl.col("ts").dt.date()).agg(pl.col("volume_usd").sum())
            assert daily["volume_usd"].max() < 1.1e12, name  # type: ignore[operator]

    def test_reference_funding(self, shared: Path) -> None:
        daily = read_funding(shared / "data/funding/btc_perp_funding_daily.parquet")
        assert len(daily) == 3 * 1_940
        assert daily["rate"].min() == pytest.approx(-0.00127, abs=2e-5)
        exact = read_funding(shared / "data/funding/btc_perp_funding_8h.parquet")
        both = exact.join(daily, on=["ts", "asset"])
        assert len(both) == len(exact)
        assert np.corrcoef(both["rate"], both["rate_right"])[0, 1] > 0.8
        assert set(read_funding(shared / "data/funding/perp_funding_8h_multi.parquet")["asset"]) >= {"BTC", "ETH"}


class TestWriting:
    def test_a_failed_write_leaves_the_old_file_and_nothing_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "out.csv"
        path.write_text("old")

        def broken(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", broken)
        assert refused(files.write_bytes, path, b"new") == [(None, "file")]
        assert path.read_text() == "old"
        assert os.listdir(tmp_path) == ["out.csv"]

    def test_a_write_replaces_the_file_with_usual_permissions(self, tmp_path: Path) -> None:
        path = tmp_path / "out.bin"
        files.write_bytes(path, b"one")
        files.write_bytes(path, b"two")
        assert path.read_bytes() == b"two"
        assert path.stat().st_mode & 0o777 == 0o666 & ~files._umask()

    def test_places_that_cannot_be_written(self, tmp_path: Path) -> None:
        assert refused(files.write_bytes, tmp_path / "no" / "x.json", b"") == [(None, "file")]
        assert refused(files.write_frame, tmp_path / "x.xls", pl.DataFrame()) == [(None, "file")]


class TestRefusals:
    def test_what_is_no_file(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.csv")
        (tmp_path / "folder.csv").mkdir()
        for name in ("absent.csv", "pipe.csv", "folder.csv", "x.xlsx", "noending", "nul\0.csv", ".gz"):
            assert refused(read_book, tmp_path / name, UNIVERSE) == [(None, "file")]
        assert refused(read_book, "/dev/zero", UNIVERSE) == [(None, "file")]

    @pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow", "json", "csv.gz", "csv.zip"])
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\0" * 100,
            b"PAR1" * 9,
            b"ARROW1\0\0" * 9,
            b"PK\x03\x04" + b"\0" * 50,
            b"\x1f\x8b\x08" + b"x" * 50,
            b"\x28\xb5\x2f\xfd" + b"z" * 50,
            b"{}",
            b"[[1]]",
            b'"',
            b"5",
        ],
    )
    def test_other_bytes(self, tmp_path: Path, suffix: str, content: bytes) -> None:
        path = tmp_path / f"x.{suffix}"
        path.write_bytes(content)
        assert refused(read_book, path, UNIVERSE)
        if suffix == "json" and content == b"{}":
            return
        assert refused(read_market, path)
        assert refused(read_candles, path)
        assert refused(read_funding, path)

    @pytest.mark.parametrize("kind", ["parquet", "arrow"])
    def test_every_cut_and_many_flips_of_a_binary_file(self, kind: str) -> None:
        buffer = io.BytesIO()
        frame = pl.DataFrame({**ROWS, "number": [1.0, 2.0, None]})
        frame.write_parquet(buffer) if kind == "parquet" else frame.write_ipc(buffer, compression="zstd")
        data = buffer.getvalue()
        for cut in range(0, len(data), 7):
            assert refused(read.frame_of, data[:cut], kind, "x")
        random = np.random.default_rng(5)
        outcomes = {"read": 0, "refused": 0}
        for _ in range(400):
            bad = bytearray(data)
            for at in random.integers(0, len(data), 1 + int(random.integers(3))):
                bad[at] ^= int(random.integers(1, 256))
            try:
                read.frame_of(bytes(bad), kind, "x")
                outcomes["read"] += 1
            except SolventError:
                outcomes["refused"] += 1
        assert outcomes["refused"] > 100

    @given(st.binary(max_size=300), st.sampled_from(["csv", "parquet", "arrow"]))
    def test_garbage_bytes(self, data: bytes, kind: str) -> None:
        try:
            assert isinstance(read.frame_of(data, kind, "x"), pl.DataFrame)
        except SolventError as error:
            assert error.problems  # noqa: PT017

    @given(st.binary(max_size=60) | st.text(alphabet='[]{}",:0123456789.e-\\ntrue', max_size=60).map(str.encode))
    def test_garbage_json(self, data: bytes) -> None:
        try:
            value = read.json_of(data, "x")
        except SolventError as error:
            assert error.problems  # noqa: PT017
        else:
            assert json.loads(data) == value or b"." in data or b"e" in data


class TestLimits:
    """A bad file costs bounded time and memory: each limit refuses before the work is done."""

    def test_json_that_is_deep_or_wide_or_large(self) -> None:
        for data, field in (
            (b"[" * 1_000_000, "nesting"),
            (b'{"a":' * 40 + b"1" + b"}" * 40, "nesting"),
            (b"[" + b"[]," * 1_000_001 + b"[]]", "objects and lists"),
            (b" " * (read.JSON_BYTES_MOST + 1), "bytes"),
            (b'["' + b'\\"' * 4_000_000, "json"),
            (b"[1e999999999]", "json"),
            (b"[" + b"9" * 100_000 + b"]", "json"),
        ):
            started = time.perf_counter()
            assert refused(read.json_of, data, "x") == [(None, field)]
            assert time.perf_counter() - started < 3

    def test_brackets_inside_strings_do_not_count(self) -> None:
        assert read.json_of(b'["[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\"[["]', "x")

    def test_a_compressed_bomb_is_stopped_while_it_inflates(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bomb = gzip.compress(b"0" * (1 << 26))
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.csv", b"0" * (1 << 26))
        for data in (bomb, packed.getvalue()):
            tracemalloc.start()
            assert refused(read.inflated, data, "x", 1 << 20) == [(None, "decompressed size")]
            assert tracemalloc.get_traced_memory()[1] < 8 << 20
            tracemalloc.stop()

    def test_rows_columns_and_cells_of_a_csv(self) -> None:
        wide = ",".join(f"c{i}" for i in range(read.COLUMNS_MOST + 1)).encode()
        assert refused(read.frame_of, wide, "csv", "x") == [(None, "columns")]
        assert refused(read.frame_of, b"a" * (read.HEADER_BYTES_MOST + 1), "csv", "x") == [(None, "header")]
        assert refused(read.frame_of, b"a\n" + b"\n" * (read.ROWS_MOST + 1), "csv", "x") == [(None, "rows")]
        narrow = ",".join(f"c{i}" for i in range(200)).encode()
        assert refused(read.frame_of, narrow + b"\n" * 600_000, "csv", "x") == [(None, "cells")]

    def test_a_parquet_file_of_few_bytes_and_many_rows(self) -> None:
        buffer = io.BytesIO()
        pl.DataFrame({"quantity": pl.repeat(1, read.ROWS_MOST + 1, dtype=pl.Int8, eager=True)}).write_parquet(
            buffer, compression="zstd"
        )
        assert len(buffer.getvalue()) < 1_000_000
        assert refused(read.frame_of, buffer.getvalue(), "parquet", "x") == [(None, "rows")]

    @pytest.mark.parametrize("kind", ["parquet", "arrow"])
    def test_columns_and_decompressed_size_of_binary_files(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def written(frame: pl.DataFrame) -> bytes:
            buffer = io.BytesIO()
            frame.write_parquet(buffer, compression="zstd") if kind == "parquet" else frame.write_ipc(
                buffer, compression="zstd"
            )
            return buffer.getvalue()

        wide = written(pl.DataFrame({f"c{i}": [1] for i in range(read.COLUMNS_MOST + 1)}))
        assert refused(read.frame_of, wide, kind, "x") == [(None, "columns")]
        text = written(pl.DataFrame({"account": ["a" * 1_000_000 + str(i) for i in range(4)]}))
        monkeypatch.setattr(read, "INFLATED_BYTES_MOST", 1 << 20)
        assert len(text) < 1 << 16
        assert refused(read.frame_of, text, kind, "x") == [(None, "decompressed size")]

    def test_a_file_above_the_limit_is_not_read_whole(self, tmp_path: Path) -> None:
        path = tmp_path / "big.csv"
        with path.open("wb") as stream:
            stream.truncate(files.FILE_BYTES_MOST + 1)
        path_toml = tmp_path / "big.toml"
        with path_toml.open("wb") as stream:
            stream.truncate(1 << 40)
        assert refused(read_policy, path_toml) == [(None, "bytes")]
        assert refused(read_book, path, UNIVERSE) == [(None, "bytes")]
