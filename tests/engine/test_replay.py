"""A replay: what it counts, what it says of its data, that it is repeatable, continued, and refuses bad input."""

from pathlib import Path

import polars as pl
import pytest
from tests.engine.crash import HOURS, crash_file

from solvent.domain.events import Entry, Event
from solvent.engine.engine import Redecider
from solvent.engine.replay import LOADED, Run, replay
from solvent.engine.summary import figures
from solvent.errors import SolventError
from solvent.ledger.journal import MemoryJournal
from solvent.ledger.recovery import recover, verify
from solvent.ledger.state import State

TICKS = HOURS
FIGURES = (
    "ticks, accounts, commands, liquidations, liquidated_notional_usd, penalties_usd, shortfall_usd, "
    "insurance_start_usd, insurance_used_usd, insurance_end_usd, deleveraged_accounts, socialised_loss_usd, "
    "bad_debt_usd, initial_margin_to_notional, uncovered_accounts_peak, ticks_degraded, conserved, state_hash"
)


@pytest.fixture(scope="module")
def fall(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crash_file(tmp_path_factory.mktemp("candles"))


def small(fall: Path, **changes: object) -> Run:
    return replay(fall, **{"accounts": 80, "insurance_usd": 2_000.0, **changes})  # type: ignore[arg-type]


def candles(tmp_path: Path, name: str, prices: dict[str, list[float | None]]) -> Path:
    """Hourly closes of a few assets from the start of 2024."""
    rows = [
        {"ts": f"2024-01-01T{hour:02d}:00:00Z", "asset": asset, "close": price}
        for asset, column in prices.items()
        for hour, price in enumerate(column)
        if price is not None
    ]
    pl.DataFrame(rows).write_csv(tmp_path / name)
    return tmp_path / name


@pytest.fixture(scope="module")
def crash(fall: Path) -> tuple[Run, MemoryJournal]:
    journal = MemoryJournal()
    return small(fall, journal=journal), journal


def test_a_crash_is_replayed_tick_by_tick_and_every_figure_is_there(
    fall: Path, crash: tuple[Run, MemoryJournal]
) -> None:
    found, journal = crash
    shown = figures(found.summary)
    assert set(FIGURES.split(", ")) <= shown.keys()
    assert (shown["ticks"], shown["accounts"], shown["conserved"]) == (TICKS, 81, True)
    assert len(found.ticks) == TICKS
    assert shown["liquidations"] > 10
    assert shown["shortfall_usd"] > 0, "the crash leaves somebody below zero"
    assert journal.head().height == LOADED + TICKS
    assert (found.start, found.end) == ("2024-06-01 00:45", "2024-06-03 23:45")
    assert found.book == "80 generated accounts, seed 7"


def test_losses_are_borne_to_the_cent(fall: Path, crash: tuple[Run, MemoryJournal]) -> None:
    s = crash[0].summary
    borne = s.insurance_used_usd + s.deleveraged_loss_usd + s.socialised_loss_usd + s.bad_debt_usd - s.surplus_usd
    assert s.shortfall_usd == pytest.approx(borne, abs=0.01)
    assert s.insurance_start_usd == 2_000


def test_the_journal_holds_the_run_and_decides_the_same_again(crash: tuple[Run, MemoryJournal]) -> None:
    found, journal = crash
    assert recover(journal).hash().hex() == found.summary.state_hash
    report = verify(journal, redecide=Redecider())
    assert report.problems == []
    assert report.redecided == report.entries > found.summary.commands


def test_a_decision_that_differs_is_noticed(crash: tuple[Run, MemoryJournal]) -> None:
    """The control: who forgets what the market took earlier in a tick fills liquidations at better prices."""

    class Forgetful(Redecider):
        def __call__(self, state: State, entry: Entry) -> tuple[Event, ...]:
            self._risk = None
            return super().__call__(state, entry)

    report = verify(crash[1], redecide=Forgetful())
    assert {each.field.split()[-1] for each in report.problems} >= {"Liquidate"}


def test_the_same_arguments_give_the_same_state_and_another_seed_does_not(
    fall: Path, crash: tuple[Run, MemoryJournal]
) -> None:
    again, other = small(fall), small(fall, seed=8)
    assert again.summary == crash[0].summary
    assert again.tape.equals(crash[0].tape)
    assert other.summary.state_hash != again.summary.state_hash


def test_more_insurance_leaves_less_for_others(fall: Path, crash: tuple[Run, MemoryJournal]) -> None:
    poor, rich = crash[0].summary, small(fall, insurance_usd=1e6).summary
    assert rich.deleveraged_accounts == rich.socialised_loss_usd == rich.bad_debt_usd == 0
    assert rich.insurance_used_usd == pytest.approx(rich.shortfall_usd)
    assert poor.deleveraged_accounts > 0


def test_progress_is_told_of_every_tick(fall: Path) -> None:
    told: list[tuple[int, int]] = []
    small(fall, end="2024-06-01T11:00", progress=lambda done, total: told.append((done, total)))
    assert told == [(k, 12) for k in range(1, 13)]


@pytest.mark.parametrize("blocks", [1, 2, 3, 4, 5, 36, LOADED + TICKS])
def test_a_run_goes_on_from_its_journal(fall: Path, crash: tuple[Run, MemoryJournal], blocks: int) -> None:
    whole, journal = crash
    part = MemoryJournal("part")
    part.blocks = journal.blocks[:blocks]
    found = small(fall, journal=part)
    assert found.summary.state_hash == whole.summary.state_hash
    assert [each.hash for each in part.blocks] == [each.hash for each in journal.blocks]
    done = max(0, blocks - LOADED)
    assert found.summary.ticks == TICKS - done
    assert any(note.startswith("continued from part") for note in found.notes) == (done > 0)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"seed": 8}, "command"),
        ({"accounts": 81}, "command"),
        ({"insurance_usd": 1.0}, "command"),
        ({"assets": ["BTC"]}, "command"),
        ({"start": "2024-06-01T03:00"}, "command"),
        ({"end": "2024-06-01T03:00"}, "tick 35"),
    ],
)
def test_a_journal_of_another_run_is_refused(
    fall: Path, crash: tuple[Run, MemoryJournal], changes: dict[str, object], field: str
) -> None:
    part = MemoryJournal("part")
    part.blocks = crash[1].blocks[: LOADED + 35]
    with pytest.raises(SolventError) as caught:
        small(fall, journal=part, **changes)
    (found,) = caught.value.problems
    assert (found.file, found.field) == ("part", field)
    assert len(part.blocks) == LOADED + 35, "nothing was written"


def test_a_book_of_a_file_is_replayed_with_its_own_instruments(fall: Path, tmp_path: Path) -> None:
    book = tmp_path / "book.csv"
    rows = ["hedger,BTC,2", "hedger,BTC/USD:BTC,-100000", "holder,USDC,50000", "holder,BTC/USDT:USDT,1.5"]
    book.write_text("account,instrument,quantity\n" + "\n".join(rows) + "\n")
    found = replay(fall, book=book, insurance_usd=1e5)
    assert found.book == "2 accounts of book.csv"
    assert found.summary.accounts == 3
    assert found.summary.conserved
    assert [note for note in found.notes if note.startswith("USDT")] == [
        "USDT: taken at 1 USD throughout, for want of a price"
    ]


def test_a_book_is_told_what_candles_cannot_mark(fall: Path, tmp_path: Path) -> None:
    book = tmp_path / "book.csv"
    book.write_text("account,instrument,quantity\na,DOGE/USDC:USDC,5\na,BTC-28JUN24-60000-C,1\na,what is this,1\n")
    with pytest.raises(SolventError) as caught:
        replay(fall, book=book)
    assert [each.value for each in caught.value.problems][:2] == ["DOGE/USDC:USDC", "BTC-28JUN24-60000-C"]
    assert "volatility" in str(caught.value)
    assert "BTC, ETH" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"accounts": 1}, "accounts = 1: from 2"),
        ({"seed": -1}, "seed = -1"),
        ({"insurance_usd": -5.0}, "insurance = -5.0"),
        ({"insurance_usd": float("nan")}, "insurance = nan"),
        ({"start": "yesterday"}, "from = yesterday: a date or time"),
        ({"start": "2030-01-01"}, "times that the file has"),
        ({"assets": ["BTC", "NOPE"]}, "NOPE"),
        ({"policy": "nope"}, "nope"),
        ({"funding": "nope.csv"}, "nope.csv"),
        ({"book": "nope.csv"}, "nope.csv"),
    ],
)
def test_bad_input_is_named(fall: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(SolventError) as caught:
        small(fall, **changes)
    assert words in str(caught.value)


def test_an_asset_that_begins_later_is_named_with_its_beginning(tmp_path: Path) -> None:
    late = candles(tmp_path, "late.csv", {"BTC": [60_000.0] * 6, "ETH": [None, None, *[3_000.0] * 4]})
    with pytest.raises(SolventError) as caught:
        replay(late, accounts=10)
    assert "asset = ETH" in str(caught.value)
    assert "it begins 2024-01-01 02:45" in str(caught.value)


def test_funding_moves_money_from_longs_to_shorts_at_funding_times(tmp_path: Path) -> None:
    flat = candles(tmp_path, "flat.csv", {"BTC": [60_000.0] * 20})
    rates = tmp_path / "rates.csv"
    rates.write_text("ts,asset,funding_rate_8h\n2024-01-01T08:00:00Z,BTC,0.01\n2024-01-01T16:00:00Z,BTC,0.01\n")
    journal = MemoryJournal()
    found = replay(flat, accounts=20, funding=rates, journal=journal)
    kinds = [type(e).__name__ for b in journal.read() for entry in b.entries() for e in entry.events]
    assert kinds.count("Funded") == 2
    assert "no funding for BTC" not in found.notes
    assert "no funding for BTC" in replay(flat, accounts=20).notes


class TestRealCrashes:
    """On the recorded prices beside the checkout."""

    @pytest.fixture
    def hourly(self, shared: Path) -> Path:
        return shared / "data/prices_intraday/hourly_2017_2021.parquet"

    @pytest.mark.parametrize(("insurance_usd", "suffices"), [(100_000.0, True), (5_000.0, False)])
    def test_black_thursday(self, shared: Path, hourly: Path, insurance_usd: float, suffices: bool) -> None:
        found = replay(
            hourly,
            start="2020-03-08",
            end="2020-03-16",
            assets=["BTC", "ETH", "LTC", "XRP"],
            funding=shared / "data/funding/btc_perp_funding_daily.parquet",
            accounts=500,
            insurance_usd=insurance_usd,
        )
        s = found.summary
        assert (s.ticks, s.conserved, s.bad_debt_usd) == (772, True, 0.0)
        assert (found.start, found.end) == ("2020-03-08 00:00", "2020-03-16 00:45")
        assert found.notes[0] == "no funding for ETH, LTC, XRP"
        assert s.uncovered_accounts_peak > 0
        assert s.accounts_liquidated > 100
        others = s.deleveraged_loss_usd + s.socialised_loss_usd
        assert (others == 0) is suffices
        assert (s.deleveraged_accounts == 0) is suffices
        assert s.shortfall_usd == pytest.approx(s.insurance_used_usd + others - s.surplus_usd, abs=0.01)
        low = found.ticks["price_BTC"].min()
        assert low == pytest.approx(3_816, rel=0.02), "the lows of the two venues are 3,782 and 3,850"

    def test_dollars_that_break_are_seen_before_the_hourly_file_has_them(self, shared: Path) -> None:
        found = replay(
            [
                shared / "data/prices_intraday/binance_spot_1h_2021_2023.parquet",
                shared / "data/prices_daily/crypto_daily_ohlcv.parquet",
            ],
            start="2023-03-08",
            end="2023-03-16",
            assets=["BTC", "ETH", "USDC"],
            accounts=60,
        )
        assert any("USDC" in note and "data begin 2023-03-11T14:00" in note for note in found.notes)
        assert any("USDC" in note and "coarser" in note for note in found.notes)
        assert found.ticks["price_USDC"].min() < 0.98
        assert found.summary.conserved

    def test_data_that_end_are_told(self, shared: Path) -> None:
        found = replay(
            shared / "data/prices_intraday/binance_spot_1h_2021_2023.parquet",
            start="2022-05-11",
            end="2022-05-14",
            assets=["BTC", "LUNA"],
            accounts=60,
        )
        assert any(note.startswith("LUNA") and "data end 2022-05-13" in note for note in found.notes)
        assert found.summary.ticks_degraded > 0
        assert found.summary.conserved
