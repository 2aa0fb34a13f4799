"""The loop: one writer, blocks whole or not at all, time that never goes back, answers that come once."""

from typing import Any

import pytest
from tests.engine.desk import BTC, HOUR_NS, PERP, USDC, Desk, events_of, lots, submission, usdc

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.engine import engine as engines
from solvent.engine.engine import Engine, Submission
from solvent.engine.sources.tick import SourcePrice, Tick
from solvent.errors import SolventError, StoreLost
from solvent.ledger.journal import MemoryJournal
from solvent.ledger.recovery import recover


@pytest.fixture
def desk() -> Desk:
    return Desk()


def ticks(desk: Desk, ts_ns: int, **prices: float) -> Tick:
    rows = tuple(SourcePrice(name, "venue", price) for name, price in {**desk.prices, **prices}.items())
    return Tick(ts_ns, rows, {}, {"BTC": 0.6})


def test_a_tick_is_one_block(desk: Desk) -> None:
    height = desk.state.height
    report = desk.tick(60)
    assert desk.state.height == report.height == height + 1
    (block,) = desk.engine.journal.read(height + 1)
    assert block.entries() == report.entries
    assert block.ts_ns == desk.now_ns


def test_time_never_goes_back(desk: Desk) -> None:
    account = desk.open("owner")
    before = desk.state.ts_ns
    desk.engine.execute([Submission(c.Deposit(account, USDC, 1), "engine")], before - HOUR_NS)
    assert desk.state.ts_ns == before


def test_a_late_tick_marks_nothing_and_its_refusal_stands_in_the_journal(desk: Desk) -> None:
    quotes = dict(desk.state.quotes)
    report = desk.engine.tick(ticks(desk, desk.now_ns - 1, BTC=1.0))
    (refused,) = report.entries[0].events
    assert isinstance(refused, e.Refused)
    assert desk.state.quotes == quotes
    assert report.height == desk.state.height
    desk.tick(1, BTC=61_000.0)  # the marker did not take the late price in
    assert desk.state.quotes[BTC].state == 0


def test_a_commit_that_fails_is_forgotten(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    account = desk.open("owner")
    before = desk.state.hash()

    def lost(entries: Any, ts_ns: int) -> int:
        raise StoreLost(message="gone")

    with monkeypatch.context() as patch:
        patch.setattr(desk.engine.journal, "commit", lost)
        with pytest.raises(StoreLost):
            desk.engine.execute([Submission(c.Deposit(account, USDC, 1), "engine")], desk.now_ns)
        with pytest.raises(StoreLost):
            desk.engine.tick(ticks(desk, desk.now_ns + 1))
    assert desk.state.hash() == before
    desk.ok(c.Deposit(account, USDC, 1))
    assert recover(desk.engine.journal).hash() == desk.state.hash()


@pytest.mark.parametrize("tick", [True, False])
def test_a_block_that_breaks_half_way_leaves_nothing_behind(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tick: bool
) -> None:
    account = desk.open("owner")
    right = engines.decide

    def broken(state: Any, risk: Any, command: c.Command, *sender: Any) -> Any:
        if isinstance(command, (c.Withdraw, c.Accrue)):
            raise ZeroDivisionError
        return right(state, risk, command, *sender)

    desk.lend(BTC, 100)
    desk.ok(c.Withdraw(desk.open("borrower", 1_000.0), BTC, 50))
    before, height = desk.state.hash(), desk.state.height
    monkeypatch.setattr(engines, "decide", broken)
    both = [
        Submission(c.Deposit(account, USDC, 1), "engine"),
        submission(desk.state, c.Withdraw(account, USDC, 1)),
    ]
    later = ticks(desk, desk.now_ns + HOUR_NS)
    with pytest.raises(ZeroDivisionError):
        desk.engine.tick(later) if tick else desk.engine.execute(both, desk.now_ns)
    assert (desk.state.hash(), desk.state.height) == (before, height)


def test_an_engine_on_an_old_journal_goes_on(desk: Desk) -> None:
    long, short = desk.open("long", 20_000.0), desk.open("short", 20_000.0)
    desk.ok(desk.trade(PERP, long, short, lots(0.3)))
    desk.tick(5, BTC=59_000.0)
    again = Engine(desk.engine.journal)
    assert again.state.hash() == desk.state.hash()
    later = ticks(desk, desk.now_ns + 60 * 10**9, BTC=58_500.0)
    one, two = Engine(clone(desk.engine.journal)), Engine(clone(desk.engine.journal))
    assert one.tick(later).entries == two.tick(later).entries
    assert one.state.hash() == two.state.hash()


def clone(journal: MemoryJournal) -> MemoryJournal:
    found = MemoryJournal()
    found.blocks = list(journal.blocks)
    return found


def test_needless_commands_of_a_tick_leave_no_line(desk: Desk) -> None:
    desk.open("owner", 100.0)
    report = desk.tick(60 * 24)
    assert {type(entry.command).__name__ for entry in report.entries} == {"Mark", "Settle"}
    assert not events_of(report, e.Refused)
    assert desk.state.entries == len(report.entries)  # places in the block are those of the journal


def test_a_block_without_entries_is_not_made(desk: Desk) -> None:
    height, ts_ns = desk.state.height, desk.state.ts_ns
    assert desk.engine.execute([], desk.now_ns + 5) == []
    assert (desk.state.height, desk.state.ts_ns) == (height, ts_ns)
    account = desk.open("owner")
    assert recover(desk.engine.journal).hash() == desk.state.hash()
    assert account == 0


def test_nobody_is_liquidated_at_marks_too_old_to_count(desk: Desk) -> None:
    account = desk.load("long", {USDC: usdc(8_000)}, {PERP: lots(1)})
    stuck = Tick(desk.now_ns + HOUR_NS, (SourcePrice("BTC", "venue", 60_000.0, confidence=float("nan")),))
    desk.now_ns += HOUR_NS
    report = desk.engine.tick(stuck)
    assert not events_of(report, e.Liquidated)
    assert desk.stage(account) in ("healthy", "called")


def test_a_serving_engine_takes_commands_and_ticks_in_one_order(desk: Desk) -> None:
    account = desk.open("owner")
    desk.engine.serve()
    futures = [
        desk.engine.submit(c.Deposit(account, USDC, k + 1), "engine", key=f"k{k}", caller="desk") for k in range(50)
    ]
    report = desk.engine.tick(ticks(desk, desk.now_ns))
    assert [future.result().entries[0].key for future in futures] == [f"k{k}" for k in range(50)]
    assert report.height == desk.state.height
    again = desk.engine.submit(c.Deposit(account, USDC, 1), "engine", key="k0", caller="desk").result()
    assert again.entries[0].repeated
    desk.engine.close()
    assert desk.atoms(account) == 50 * 51 // 2
    assert recover(desk.engine.journal).hash() == desk.state.hash()


def test_commands_before_a_policy_are_refused_not_fatal() -> None:
    engine = Engine(MemoryJournal(), clock=lambda: 1)
    for command in (
        c.Fill(0, 0, 1, 1, 1), c.Accrue(0, 0), c.Liquidate(0), c.MarginCall(0), c.Insure(0), c.Socialise(0),
        c.Deleverage(0, 0), c.Bid(0, 0, 1), c.Settle(0), c.Fund(0, 0, 0), c.Expire(0, 1), c.Sweep(0), c.Freeze(),
        c.Deposit(0, 0, 1), c.Withdraw(0, 0, 1), c.Transfer(0, 1, 0, 1), c.Load(0), c.Supply(0, 0, 1),
        c.Redeem(0, 0, 1), c.OpenOrder(0, 0, 1, 1), c.CancelOrder(0, 0), c.StartAuction(0), c.ResetAuction(0),
        c.CloseAuction(0), c.DelistInstrument(0), c.Mark((c.Quote(0, 1),)),
    ):  # fmt: skip
        (entry,) = engine.execute([submission(engine.state, command)], 1)
        assert isinstance(entry.events[0], e.Refused), command
    with pytest.raises(SolventError, match="a policy"):
        engine.tick(Tick(2, ()))
