"""Figures of a run: every event drawn once, areas add up, losses step down to what nobody bore."""

import math
from pathlib import Path

import polars as pl
import pytest
from tests.engine.crash import crash_file

from solvent.engine.record import BANDS
from solvent.engine.replay import Run, replay
from solvent.engine.summary import Summary
from solvent.reports import figures as draw


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return replay(crash_file(tmp_path_factory.mktemp("candles")), accounts=80, insurance_usd=2_000.0)


def made(events: list[tuple[int, str, str, str, float]], ticks: int = 6) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Frames with a tick a second and some events (tick, kind, account, instrument, usd)."""
    rows = [{"ts_ns": k * 10**9, "price_BTC": 100.0 + k, "insurance_usd": 1.0} for k in range(ticks)]
    tape = [
        {"ts_ns": k * 10**9, "kind": kind, "account": account, "instrument": instrument, "usd": usd, "paid_usd": 0.0}
        for k, kind, account, instrument, usd in events
    ]
    return pl.DataFrame(rows), pl.DataFrame(tape)


def test_events_of_a_span_are_one_mark_at_its_largest_event() -> None:
    ticks, tape = made(
        [(1, "liquidation", "a", "BTC", 5.0), (2, "liquidation", "b", "BTC", 7.0), (2, "auction", "a", "", 1.0)]
    )
    found = draw.by_span(ticks, tape)
    assert found.select("ts_ns", "kind", "usd", "events", "accounts").rows() == [
        (10**9, "liquidation", 5.0, 1, 1),
        (2 * 10**9, "auction", 1.0, 1, 1),
        (2 * 10**9, "liquidation", 7.0, 1, 1),
    ]
    many, tape = made([(k, "liquidation", f"a{k}", "BTC", float(k)) for k in range(1, 401)], ticks=401)
    spans = draw.by_span(many, tape)
    assert len(spans) <= draw.BINS_MOST
    assert spans["usd"].sum() == sum(range(1, 401))
    assert spans["events"].sum() == 400
    assert set(spans["ts_ns"].to_list()) <= set(tape["ts_ns"].to_list())


def test_marks_lie_on_the_price_and_their_area_is_in_proportion() -> None:
    ticks, tape = made([(1, "liquidation", "a", "BTC", 100.0), (3, "liquidation", "b", "BTC", 25.0)])
    (trace,) = draw.bubbles(ticks, tape, "BTC")
    assert list(trace.y) == [101.0, 103.0]
    diameter = [math.sqrt(2 * size / trace.marker.sizeref) for size in trace.marker.size]
    assert diameter == pytest.approx([draw.BUBBLE_PX, draw.BUBBLE_PX / 2])


def test_losses_have_a_scale_of_their_own() -> None:
    ticks, tape = made([(1, "liquidation", "a", "BTC", 1e6), (1, "insurance", "a", "BTC", 10.0)])
    notional, loss = draw.bubbles(ticks, tape, "BTC")
    assert (notional.marker.symbol, loss.marker.symbol) == ("circle", "diamond")
    assert math.sqrt(2 * loss.marker.size[0] / loss.marker.sizeref) == pytest.approx(draw.DIAMOND_PX)


def test_an_assets_events_are_those_in_its_instruments() -> None:
    _, tape = made(
        [
            (1, "liquidation", "a", "BTC", 1.0),
            (1, "liquidation", "a", "BTC@custodian", 2.0),
            (1, "liquidation", "a", "BTC/USDC:USDC", 4.0),
            (1, "liquidation", "a", "BTCB/USDC:USDC", 8.0),
            (1, "auction", "a", "", 16.0),
        ]
    )
    assert draw.of_asset(tape, "BTC")["usd"].sum() == 7.0


def test_every_account_is_in_one_band_at_every_tick(run: Run) -> None:
    total = run.ticks.select(pl.sum_horizontal(*BANDS)).to_series()
    assert set(total.to_list()) == {run.summary.accounts}
    assert [list(trace.y) for trace in draw.band_areas(run.ticks)] == [run.ticks[band].to_list() for band in BANDS]


def test_the_overview_draws_all_that_was_liquidated(run: Run) -> None:
    figure = draw.overview(run.ticks, run.tape, "BTC")
    drawn = {trace.name: sum(row[0] for row in trace.customdata) for trace in figure.data if trace.customdata}
    told = run.tape.group_by("kind").agg(pl.col("usd").sum())
    assert drawn == pytest.approx({draw.KIND_WORDS[kind]: usd for kind, usd in told.rows()})
    assert run.tape["kind"].n_unique() >= 4, "the crash has losses to draw"


def test_the_losses_step_down_to_what_nobody_bore() -> None:
    summary = Summary(
        shortfall_usd=100.0, insurance_used_usd=50.0, deleveraged_loss_usd=40.0, socialised_loss_usd=8.0,
        surplus_usd=3.0, bad_debt_usd=5.0,
    )  # fmt: skip
    (bars,) = draw.waterfall(summary).data
    steps = dict(zip(bars.x, zip(bars.base, bars.y, strict=True), strict=True))
    assert steps == {
        "shortfall": (0.0, 100.0),
        "insurance": (50.0, 50.0),
        "deleveraging": (10.0, 40.0),
        "shared by others": (2.0, 8.0),
        "surplus, to insurance": (2.0, 3.0),
        "bad debt": (0.0, 5.0),
    }


def test_the_frontier_shows_cost_against_loss() -> None:
    frame = pl.DataFrame(
        {
            "value": [0.5, 1.0],
            "initial_margin_to_notional": [0.1, 0.2],
            "shortfall_usd": [9.0, 1.0],
            "insurance_used_usd": [4.0, 1.0],
            "penalties_usd": [2.0, 3.0],
        }
    )
    main = draw.frontier(frame, "margin_scale").data[0]
    assert (list(main.x), list(main.y)) == ([0.1, 0.2], [9.0, 1.0])
    assert list(main.text) == ["margin_scale 0.5", "margin_scale 1"]


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0.0, "0"), (12.3, "12"), (999.6, "1,000"), (1_234.0, "1.23k"), (999_900.0, "1,000k"), (66_566_573.0, "66.6M")],
)
def test_amounts_are_short(amount: float, text: str) -> None:
    assert draw.short_usd(amount) == text


def test_a_run_without_events_is_drawn(tmp_path: Path) -> None:
    calm = replay(crash_file(tmp_path, hours=4), accounts=10)
    assert len(calm.tape) == 0
    assert len(draw.overview(calm.ticks, calm.tape, "BTC").data) == 1 + len(BANDS) + 1
    assert len(draw.prices(calm.ticks, calm.tape, ["BTC", "ETH"]).data) == 2
