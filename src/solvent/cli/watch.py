"""What is shown of a running engine: gathered between blocks as plain data, one whole view at a time."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from solvent.cli.live import Auction, Happening, Latency, PolicyMove, Price, Standing, View
from solvent.cli.printable import printable
from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.adaptive import Evidence
from solvent.domain.instruments import Spot
from solvent.engine.adaptive.moves import Move, moves_of
from solvent.engine.decide.liquidation import discount_e18
from solvent.engine.engine import Engine, TickReport
from solvent.engine.record import BANDS, HEALTH_EDGES, tape_row
from solvent.engine.summary import Tally, fund_usd
from solvent.ledger.records import HEALTHY
from solvent.margin.statement import Statement

HISTORY_TICKS = 240
"""Of prices and fund: what the sparklines show."""
LATENCIES = 1_000
"""Ticks over which percentiles are taken."""
RATE_S = 5.0
"""Wall time over which commands are counted."""
WORST = 40
TAPE = 60
TAPE_FROM_USD = 1.0
"""Dust is not news."""
TAPE_OF_A_KIND = 3
"""Lines that one kind gets a tick, the largest by USD; the rest is one more line."""


class Watch:
    """A listener of an engine. `view` is replaced whole after each block, for readers in other threads."""

    def __init__(self, engine: Engine, source: str, store: str, wall: Callable[[], float] = time.perf_counter) -> None:
        """Starts counting now. wall: seconds that pass for whoever watches."""
        self.engine, self.tally = engine, Tally(engine.state, engine.risk)
        self._wall = wall
        self._times: deque[tuple[int, float]] = deque(maxlen=HISTORY_TICKS)
        self._history: dict[str, deque[float]] = {}
        self._fund: deque[float] = deque(maxlen=HISTORY_TICKS)
        self._margin_s: deque[float] = deque(maxlen=LATENCIES)
        self._commit_s: deque[float] = deque(maxlen=LATENCIES)
        self._counts: deque[tuple[float, int]] = deque([(wall(), 0)])
        self._tape: deque[Happening] = deque(maxlen=TAPE)
        self._states: dict[str, str] = {}
        self._refused, self._refused_last = 0, ""
        self.evidence: Callable[[], Evidence | None] = lambda: None
        """What an adaptive venue looked at last."""
        self.view = View(
            source=printable(source), store=printable(store), ts_ns=engine.state.ts_ns, height=engine.state.height
        )

    def add(self, report: TickReport) -> None:
        """Take one tick in. Called between blocks, in the writer's thread."""
        self.tally.add(report)
        self._margin_s.append(report.margin_s)
        self._commit_s.append(report.commit_s)
        self._sources(report)
        happened = [*self._price_changes(report.ts_ns), *self._policy_changes(report), *self._happened(report)]
        self._tape.extend(reversed(happened))  # the weightiest comes to stand on top
        found = self.tally.summary
        self._fund.append(fund_usd(self.engine.state, self.engine.risk))
        self._times.append((report.ts_ns, self._wall()))
        self.view = msgspec.structs.replace(
            self.view,
            ts_ns=report.ts_ns,
            height=report.height,
            ticks=found.ticks,
            accounts=len(self.engine.state.accounts),
            prices=self._prices(),
            history_s=(report.ts_ns - self._times[0][0]) / 1e9,
            bands=() if report.statement is None else health_bands(report.statement),
            worst=() if report.statement is None else self._worst(report.statement),
            stages=dict(Counter(each.stage for each in self.engine.state.accounts if each.stage != HEALTHY)),
            auctions=self._auctions(),
            auctioned=found.auctions,
            tape=tuple(reversed(self._tape)),
            liquidations=found.liquidations,
            liquidated_usd=found.liquidated_notional_usd,
            adaptive=self.engine.state.adaptive is not None,
            policy=self._policy(),
            speaks=tuple(speakers(self.evidence())),
            fund_usd=self._fund[-1],
            fund_start_usd=found.insurance_start_usd,
            fund_history=tuple(self._fund),
            shortfall_usd=found.shortfall_usd,
            insurance_used_usd=found.insurance_used_usd,
            deleveraged=found.deleveraged_accounts,
            socialised_usd=found.socialised_loss_usd,
            bad_debt_usd=found.bad_debt_usd,
            commands=found.commands,
            commands_per_s=self._rate(len(report.entries)),
            margin=latency_of(self._margin_s),
            commit=latency_of(self._commit_s),
            margin_s=report.margin_s,
            commit_s=report.commit_s,
            refused_prices=self._refused,
            refused_last=self._refused_last,
        )

    def _rate(self, commands: int) -> float:
        """Commands a second of wall time over the last `RATE_S`."""
        now = self._wall()
        self._counts.append((now, commands))
        while len(self._counts) > 2 and self._counts[0][0] < now - RATE_S:
            self._counts.popleft()
        elapsed = now - self._counts[0][0]
        return sum(n for _, n in list(self._counts)[1:]) / elapsed if elapsed > 0 else 0.0

    def _prices(self) -> tuple[Price, ...]:
        market = self.engine.risk.market
        if market is None:
            return ()
        rows = []
        for asset, price in zip(market.universe.assets, market.index_usd.tolist(), strict=True):
            history = self._history.setdefault(asset, deque(maxlen=HISTORY_TICKS))
            history.append(price)
            state = self.engine.marker.states.get(asset, "ok")
            rows.append(Price(printable(asset), price, price / history[0] - 1.0, state, tuple(history)))
        # What moves comes first: dollars are the last thing to look at.
        return tuple(sorted(rows, key=lambda row: 0.5 < row.price_usd < 2.0 and abs(row.change) < 0.02))

    def heard(self, ts_ns: int, entry: e.Entry) -> None:
        """Take in a proposal that was sent between two ticks. Called while no block is decided."""
        lines = [line for event in entry.events if (line := policy_happening(ts_ns, event)) is not None]
        self._tape.extend(lines)
        self.view = msgspec.structs.replace(self.view, tape=tuple(reversed(self._tape)), policy=self._policy())

    def _policy(self) -> tuple[PolicyMove, ...]:
        """What is under way; of several ramps of one parameter the one that goes furthest."""
        found: dict[tuple[str, bool], Move] = {}
        for move in moves_of(self.engine.state):
            key = move.parameter, move.end_ns > 0
            if key not in found or found[key].target < move.target:
                found[key] = move
        return tuple(
            PolicyMove(
                printable(each.parameter),
                each.present,
                each.target,
                each.waits_for,
                each.end_ns,
                printable(each.reason),
            )
            for each in found.values()
        )

    def _policy_changes(self, report: TickReport) -> Iterator[Happening]:
        """Ramps that were held or came to their end; each step of one is not news."""
        for event in events_of(report):
            line = policy_happening(report.ts_ns, event)
            if line is not None:
                yield line

    def _price_changes(self, ts_ns: int) -> Iterator[Happening]:
        """Prices that fell into doubt or came out of it."""
        marker = self.engine.marker
        for name, state in marker.states.items():
            if state != self._states.get(name, "ok"):
                why = f": {marker.reasons.get(name, '')}" if state != "ok" else ""
                yield Happening(ts_ns, "price", printable(name), printable(f"{state}{why}"))
        self._states = dict(marker.states)

    def _sources(self, report: TickReport) -> None:
        """Count the source prices that the guards refused."""
        for entry in report.entries:
            if isinstance(entry.command, c.Mark):
                for verdict in (each for each in entry.command.sources if each.rejected):
                    instrument = self.engine.state.universe[verdict.instrument]
                    name = instrument.asset if isinstance(instrument, Spot) else instrument.id
                    self._refused += 1
                    self._refused_last = printable(f"{name} {verdict.source}: {verdict.rejected}")

    def _happened(self, report: TickReport) -> Iterator[Happening]:
        """Lines for the tape: the largest of each kind, then what was left out."""
        state = self.engine.state
        kinds: dict[str, list[dict[str, Any]]] = {}
        for event in events_of(report):
            row = tape_row(event)
            if row is not None and row["usd"] >= TAPE_FROM_USD:
                kinds.setdefault(row["kind"], []).append(row)
        for kind in sorted(kinds, key=_SEVERITY.index):
            rows = sorted(kinds[kind], key=lambda row: -row["usd"])
            for row in rows[:TAPE_OF_A_KIND]:
                what = state.universe[row["instrument"]].id if row["instrument"] >= 0 else ""
                name = state.accounts[row["account"]].name
                yield Happening(report.ts_ns, kind, printable(name), printable(what), row["usd"])
            if more := rows[TAPE_OF_A_KIND:]:
                yield Happening(report.ts_ns, kind, f"{len(more):,} more", "", sum(row["usd"] for row in more))

    def _worst(self, statement: Statement) -> tuple[Standing, ...]:
        """The worst accounts at the mark, with their health after this block."""
        rows = worst_rows(statement, WORST)
        if not len(rows):
            return ()
        ids = statement.account[rows]
        now = self.engine.risk.statement(ids).health.tolist()
        columns = (statement.equity, statement.initial_margin, statement.maintenance_margin, statement.health)
        figures = zip(*(column[rows].tolist() for column in columns), strict=True)
        accounts = [self.engine.state.accounts[account] for account in ids.tolist()]
        return tuple(
            Standing(printable(each.name), equity, initial, maintenance, marked, health, each.stage)
            for each, (equity, initial, maintenance, marked), health in zip(accounts, figures, now, strict=True)
        )

    def _auctions(self) -> tuple[Auction, ...]:
        state, risk = self.engine.state, self.engine.risk
        running = sorted(state.auctions.items(), key=lambda item: (item[1].start_ns, item[0]))
        return tuple(
            Auction(
                printable(state.accounts[account].name),
                (state.ts_ns - each.start_ns) / 1e9,
                1.0 - discount_e18(state, risk, account) / 1e18,
            )
            for account, each in running
        )


_SEVERITY = ("shared loss", "deleveraging", "insurance", "auction", "liquidation")


def speakers(evidence: Evidence | None) -> Iterator[str]:
    """By asset, which model speaks for its margin, and why; nothing where there is no predictive layer."""
    for asset in sorted({row.asset for row in evidence.rows}) if evidence else ():
        rows = [row for row in evidence.rows if row.asset == asset] if evidence else []
        said = rows[0].forecast
        if said is None:
            continue
        if said.margin is None:
            yield printable(f"{asset} core: {said.note}")
            continue
        moved = ", ".join(f"{row.side} {row.core:.1%} -> {row.prediction or row.core:.1%}" for row in rows)
        yield printable(f"{asset} model {said.model[:8]}: {moved}")


def policy_happening(ts_ns: int, event: e.Event) -> Happening | None:
    """One line for what happened to the policy; None for what is no news."""
    match event:
        case e.PolicyProposed():
            moved = ", ".join(f"{x.parameter} {x.before:.2%} → {x.after:.2%}" for x in event.changes)
            notice = f"; {len(event.accounts):,} accounts have notice" if event.accounts else ""
            return Happening(ts_ns, "policy", event.direction, printable(f"{moved}{notice}: {event.evidence.reason}"))
        case e.PolicyApproved():
            return Happening(ts_ns, "policy", "approved", printable(f"proposal {event.proposal} by {event.by}"))
        case e.ProposalWithdrawn():
            return Happening(ts_ns, "policy", "withdrawn", f"proposal {event.proposal}")
        case e.RampHeld():
            return Happening(ts_ns, "policy", "held", f"{len(event.accounts):,} accounts have notice first")
        case e.PolicyRamped() if event.finished:
            return Happening(ts_ns, "policy", "complete", "proposal " + ", ".join(map(str, event.finished)))
    return None


def events_of(report: TickReport) -> Iterator[e.Event]:
    """All events of a tick in order."""
    for entry in report.entries:
        yield from entry.events


def health_bands(statement: Statement) -> tuple[tuple[str, int], ...]:
    """Accounts by band of health."""
    counts = np.bincount(np.digitize(statement.health, HEALTH_EDGES), minlength=len(BANDS))
    return tuple(zip(BANDS, counts.tolist(), strict=True))


def worst_rows(statement: Statement, most: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Rows of the accounts with margin or debt, insolvent ones first by shortfall, then by health."""
    rows = np.flatnonzero((statement.maintenance_margin > 0) | (statement.equity < 0))
    order = np.lexsort((statement.health[rows], np.minimum(statement.equity[rows], 0.0)))
    return rows[order[:most]]


def latency_of(seconds: Sequence[float] | Iterable[float]) -> Latency:
    """Median and 99th percentile."""
    values = np.fromiter(seconds, np.float64)
    return Latency(*np.percentile(values, [50, 99]).tolist()) if len(values) else Latency()
