"""What a report is drawn from: series over the ticks of a run and the list of what happened, as plain columns."""

from typing import TYPE_CHECKING, Any

import numpy as np

from solvent.domain import events as e
from solvent.engine.engine import Engine, TickReport
from solvent.engine.summary import fund_usd, margin_to_notional

if TYPE_CHECKING:
    import polars as pl

HEALTH_EDGES = (1.0, 1.15, 1.5, 2.0, 3.0)
"""Bands of health: below 1, to 1.15, to 1.5, to 2, to 3, above."""
BANDS = ("< 1", "1 - 1.15", "1.15 - 1.5", "1.5 - 2", "2 - 3", "> 3")


class Recorder:
    """Collects a row a tick and a row an event; cheap enough for every tick of a replay."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.ticks: list[dict[str, Any]] = []
        self.happened: list[dict[str, Any]] = []

    def add(self, report: TickReport) -> None:
        """Record one tick."""
        state, risk = self.engine.state, self.engine.risk
        row: dict[str, Any] = {"ts_ns": report.ts_ns, "degraded": report.degraded, "margin_s": report.margin_s}
        market = risk.market
        if market is not None:
            row |= {f"price_{a}": float(p) for a, p in zip(market.universe.assets, market.index_usd, strict=True)}
        row["insurance_usd"] = fund_usd(state, risk)
        if report.statement is not None:
            counts = np.bincount(np.digitize(report.statement.health, HEALTH_EDGES), minlength=len(BANDS))
            row |= dict(zip(BANDS, counts.tolist(), strict=True))
            row["equity_usd"] = float(report.statement.equity.sum())
            row["margin_to_notional"] = margin_to_notional(report.statement)
            row["initial_margin_usd"] = float(report.statement.initial_margin.sum())
            row["uncovered"] = int((report.statement.equity < 0).sum())
        self.ticks.append(row)
        for entry in report.entries:
            for event in entry.events:
                found = tape_row(event)
                if found:
                    self.happened.append({"ts_ns": report.ts_ns, **found})

    def frames(self) -> tuple["pl.DataFrame", "pl.DataFrame"]:
        """(ticks, tape) as polars frames; the tape names accounts and instruments."""
        import polars as pl

        state = self.engine.state
        columns = {"ts_ns": pl.Int64} if not self.ticks else None
        ticks = pl.DataFrame(self.ticks, columns, infer_schema_length=None)
        ticks = ticks.with_columns(pl.from_epoch("ts_ns", "ns").alias("ts"))
        rows = [
            {
                **row,
                "account": state.accounts[row["account"]].name,
                "instrument": state.universe[row["instrument"]].id if row["instrument"] >= 0 else "",
            }
            for row in self.happened
        ]
        schema = {
            "ts_ns": pl.Int64, "kind": pl.String, "account": pl.String, "instrument": pl.String,
            "usd": pl.Float64, "paid_usd": pl.Float64,
        }  # fmt: skip
        return ticks, pl.DataFrame(rows, schema=schema).with_columns(pl.from_epoch("ts_ns", "ns").alias("ts"))


def tape_row(event: e.Event) -> dict[str, Any] | None:
    """One row of the tape: kind, account, instrument (-1: several), usd, paid_usd; None for what is not on it."""
    match event:
        case e.Liquidated():
            legs = [leg[1] for leg in event.legs] or [asset for _, asset, _ in event.postings]
            return _tape("liquidation", event.account, legs[0], event.notional_micro, event.penalty_micro)
        case e.AuctionTaken():
            return _tape("auction", event.account, -1, event.notional_micro, event.price_micro)
        case e.Insured():
            return _tape("insurance", event.account, -1, event.shortfall_micro, event.paid_micro)
        case e.Deleveraged():
            return _tape("deleveraging", event.account, event.instrument, event.loss_micro, event.loss_micro)
        case e.LossShared():
            return _tape("shared loss", event.account, -1, event.shared_micro, event.bad_debt_micro)
    return None


def _tape(kind: str, account: int, instrument: int, micro: int, paid_micro: int) -> dict[str, Any]:
    return {
        "kind": kind,
        "account": account,
        "instrument": instrument,
        "usd": micro / 1e6,
        "paid_usd": paid_micro / 1e6,
    }
