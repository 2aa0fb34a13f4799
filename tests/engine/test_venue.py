"""A venue begins, goes on from its journal, takes commands while it runs, and leaves nothing behind on bad input."""

import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path

import pytest
from tests.engine.sources.exchange_server import Exchange, serving

from solvent.domain import commands as c
from solvent.domain.events import Deposited, Entry, Liquidated
from solvent.domain.owners import INSURANCE, MARKET
from solvent.engine.engine import TickReport
from solvent.engine.venue import Venue, VenueOptions, open_source, open_venue, sold_usd
from solvent.errors import Fenced, SolventError
from solvent.ledger.recovery import verify
from solvent.ledger.sqlite import SqliteJournal

SMALL = VenueOptions(accounts=60, insurance_usd=1e5)
CRASH = Path(__file__).parent.parent.parent / "examples" / "candles-crash.csv"
STEP_NS = 300 * 10**9


def options(store: Path, **changes: object) -> VenueOptions:
    return VenueOptions(store=str(store), **changes)  # type: ignore[arg-type]


def run(venue: Venue, ticks: int) -> list[TickReport]:
    return list(islice(venue.run(), ticks))


def prices(venue: Venue) -> dict[str, float]:
    market = venue.engine.risk.market
    assert market is not None
    return dict(zip(market.universe.assets, market.index_usd.tolist(), strict=True))


class TestBegin:
    def test_every_tick_is_a_durable_block_of_a_conserved_state(self) -> None:
        said: list[str] = []
        with open_venue(SMALL, said.append) as venue:
            reports = run(venue, 30)
            assert venue.engine.journal.head().height == venue.engine.state.height
        assert [each.height for each in reports] == list(range(5, 35))
        assert all(each.commit_s > 0 and each.statement is not None for each in reports)
        assert [b.ts_ns - a.ts_ns for a, b in pairwise(reports)] == [STEP_NS] * 29
        assert len(venue.engine.state.accounts) == 61  # and the lender
        assert venue.engine.state.conserved()
        assert "book of 60 accounts, seed 7" in said

    def test_a_recorded_market_gives_its_ticks_and_then_ends(self) -> None:
        with open_venue(VenueOptions(source=f"replay:{CRASH}", accounts=50, assets=("BTC",))) as venue:
            assert set(prices(venue)) == {"BTC", "USDC"}
            reports = list(venue.run())
        assert len(reports) > 10
        assert any(isinstance(event, Liquidated) for r in reports for entry in r.entries for event in entry.events)

    def test_a_live_market_is_asked_at_its_own_pace(self) -> None:
        pytest.importorskip("ccxt")
        exchange, slept = Exchange(), list[float]()
        exchange.stamp_s = int(time.time())
        with serving(exchange) as url:
            wanted = VenueOptions(source="ccxt:bitstamp", accounts=50, endpoint=url, ticks_per_s=0.1)
            with open_venue(wanted, sleep=slept.append) as venue:
                reports = run(venue, 2)
                assert prices(venue)["BTC"] == pytest.approx(60_000.0)
        assert slept == [10.0, 10.0]
        assert abs(reports[-1].ts_ns - time.time_ns()) < 60e9


class TestGoingOn:
    def test_it_goes_on_where_the_journal_ended(self, tmp_path: Path) -> None:
        store = tmp_path / "a.journal"
        with open_venue(options(store, accounts=60)) as venue:
            ended = run(venue, 12)[-1]
            before, left = prices(venue), venue.engine.state.hash()
        with open_venue(options(store, seed=8)) as venue:
            assert venue.engine.state.hash() == left
            first = run(venue, 1)[0]
            after = prices(venue)
        assert (first.ts_ns, first.height) == (
            ended.ts_ns + STEP_NS,
            ended.height + 2,
        )  # the block between notes the snapshot
        assert after == pytest.approx(before, rel=0.05)

    def test_what_was_committed_survives_a_run_that_broke_off(self, tmp_path: Path) -> None:
        store = tmp_path / "a.journal"
        venue = open_venue(options(store, accounts=60))
        reports = run(venue, 3)
        with open_venue(options(store)) as again:
            assert again.engine.state.height == reports[-1].height
            with pytest.raises(Fenced, match="another writer"):
                run(venue, 1)
        assert verify(SqliteJournal(store, writer=False)).problems == []

    def test_what_cannot_change_is_refused_all_at_once(self, tmp_path: Path) -> None:
        store = tmp_path / "a.journal"
        with open_venue(options(store, accounts=60)) as venue:
            height = venue.engine.state.height
        with pytest.raises(SolventError) as caught:
            open_venue(options(store, accounts=99, insurance_usd=1.0, assets=("BTC", "XRP")))
        assert [each.field for each in caught.value.problems] == ["accounts", "insurance", "assets"]
        assert "61 accounts" in str(caught.value)
        assert SqliteJournal(store, writer=False).head().height == height + 1  # its snapshot was noted at the end

    def test_another_policy_takes_effect(self, tmp_path: Path) -> None:
        store = tmp_path / "a.journal"
        with open_venue(options(store, accounts=60)):
            pass
        policy = CRASH.parent / "policy-cautious.toml"
        for _ in range(2):
            with open_venue(options(store, policy=str(policy))) as venue:
                assert venue.engine.state.policy is not None
                assert venue.engine.state.policy.name != "portfolio"
                height = venue.engine.state.height
        assert height == 7  # a snapshot, the change, a snapshot; the second time there was nothing to change

    def test_a_recorded_market_that_is_over_says_so(self, tmp_path: Path) -> None:
        wanted = options(tmp_path / "a.journal", source=f"replay:{CRASH}", accounts=50)
        with open_venue(wanted) as venue:
            list(venue.run())
        with pytest.raises(SolventError, match=r"none: some after the end of .*a\.journal"):
            open_venue(options(tmp_path / "a.journal", source=f"replay:{CRASH}"))

    def test_a_beginning_that_was_cut_short_is_not_taken_for_a_venue(self, tmp_path: Path) -> None:
        from solvent.domain.symbols import instrument
        from solvent.engine.engine import Engine, Submission

        journal = SqliteJournal(tmp_path / "a.journal")
        Engine(journal).execute([Submission(c.ListInstrument(instrument("USDC")))], 1)
        journal.close()
        with pytest.raises(SolventError, match="cut short"):
            open_venue(options(tmp_path / "a.journal"))


class TestCommands:
    def test_commands_share_the_writer_with_ticks_and_happen_at_the_markets_time(self) -> None:
        with open_venue(SMALL) as venue:
            reports = run(venue, 2)
            answers = [venue.engine.submit(c.Deposit(INSURANCE, 0, 10**6), "engine", "desk", f"k{n}") for n in "ab"]
            done = [each.result(10) for each in answers]
            later = run(venue, 1)[0]
        assert all(isinstance(each.entries[0].events[0], Deposited) for each in done)
        assert {each.ts_ns for each in done} == {reports[-1].ts_ns}
        assert reports[-1].height < done[0].height <= done[1].height < later.height
        assert venue.engine.state.conserved()

    def test_listeners_hear_of_a_tick_when_it_is_durable_and_before_its_answer(self) -> None:
        heard: list[tuple[int, int, str]] = []
        with open_venue(SMALL) as venue:
            engine = venue.engine
            engine.listeners.append(
                lambda r: heard.append((r.height, engine.journal.head().height, threading.current_thread().name))
            )
            for report in islice(venue.run(), 3):
                assert heard[-1] == (report.height, report.height, "journal-writer")
        assert len(heard) == 3


class TestBadInput:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Path]:
        yield tmp_path / "a.journal"
        assert list(tmp_path.iterdir()) == []

    def test_an_unknown_source(self, store: Path) -> None:
        with pytest.raises(SolventError, match="simulated, replay:PATH or ccxt:EXCHANGE"):
            open_venue(options(store, source="kraken"))

    def test_a_market_file_that_is_not_there(self, store: Path) -> None:
        with pytest.raises(SolventError, match=r"nowhere\.csv"):
            open_venue(options(store, source="replay:nowhere.csv"))

    def test_a_dollar_is_no_simulated_asset(self, store: Path) -> None:
        with pytest.raises(SolventError, match="USDT"):
            open_venue(options(store, assets=("BTC", "USDT")))

    def test_an_unknown_policy(self, store: Path) -> None:
        with pytest.raises(SolventError, match="nonesuch"):
            open_venue(options(store, policy="nonesuch"))

    def test_a_policy_that_the_engine_refuses(self, store: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        text = (CRASH.parent.parent / "src/solvent/policies/portfolio.toml").read_text()
        unsafe = tmp_path_factory.mktemp("policy") / "unsafe.toml"
        unsafe.write_text(text.replace("penalty_rate = 0.005", "penalty_rate = 0.9"))
        with pytest.raises(SolventError, match="penalty_rate"):
            open_venue(options(store, policy=str(unsafe)))


class TestImpact:
    @pytest.mark.parametrize(("side", "sign"), [(1, 1), (-1, -1)])
    def test_what_the_outside_market_takes_moves_a_simulated_price(self, side: int, sign: int) -> None:
        with open_venue(SMALL) as venue:
            engine = venue.engine
            perpetual = engine.state.universe.index("BTC/USDC:USDC")
            spot = engine.state.universe.index("ETH")
            lots = side * 10**6
            event = Liquidated(
                account=3, notional_micro=0, penalty_micro=0,
                legs=((3, perpetual, -lots, 0), (MARKET, perpetual, lots, 0)),
                postings=((3, spot, -side * 10**18), (MARKET, spot, side * 10**18)),
            )  # fmt: skip
            report = TickReport(0, 0, (Entry(c.Liquidate(3), (event,)),), None, 0, 0.0)
            sold = dict(sold_usd(engine, report))
            unit = float(engine.state.universe.terms.unit[perpetual])
            assert sold["BTC"] == pytest.approx(lots * unit * prices(venue)["BTC"])
            assert sold["ETH"] == pytest.approx(sign * prices(venue)["ETH"])

    def test_a_source_without_an_engine_begins_at_the_beginning(self) -> None:
        assert next(iter(open_source(SMALL))).ts_ns == next(iter(open_source(VenueOptions(seed=9)))).ts_ns


def test_a_forced_exit_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    venue = open_venue(SMALL)
    close: Callable[[], None] = venue.engine.close
    monkeypatch.setattr(venue.engine, "close", lambda: closed.append("engine"))
    with pytest.raises(KeyboardInterrupt), venue:
        raise KeyboardInterrupt
    assert closed == []
    close()
