"""English auctions give lots away where keepers are priced out; ours do not; 2020-03-12 shows it."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from solvent.cli.main import app
from solvent.errors import SolventError
from solvent.lab.congestion import Replay, Setting, cap_at, replay
from solvent.reports.congestion import congestion_page, figures

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
GAS = SHARED / "gas" / "crash_days_gas_10m.parquet"
AUCTIONS = SHARED / "liquidations" / "maker_eth_flip_auctions.parquet"
DAY = datetime(2020, 3, 12, tzinfo=UTC)


def gas(p30: dict[int, float]) -> pl.DataFrame:
    """A day whose 30th percentile is as given by hour from an hour on."""
    times = [DAY + timedelta(minutes=10 * each) for each in range(144)]
    low = [next(p30[hour] for hour in sorted(p30, reverse=True) if hour <= time.hour) for time in times]
    columns = {"gas_price_p30_gwei": 1.0, "gas_price_p60_gwei": 1.2, "gas_price_p90_gwei": 1.6}
    return pl.DataFrame({"ts": times, **{name: [factor * each for each in low] for name, factor in columns.items()}})


def auctions(hours: list[float], lot: float = 50.0) -> pl.DataFrame:
    """Lots of ether at 140 USD that begin at these hours; the record says that each was paid."""
    return pl.DataFrame(
        {
            "last_bid_ts": [DAY + timedelta(hours=each) for each in hours],
            "lot_eth": [lot] * len(hours),
            "best_price_dai_per_eth": [130.0] * len(hours),
            "market_price_eth_usd": [140.0] * len(hours),
        }
    )


def test_capped_keepers_lose_english_auctions_and_not_ours() -> None:
    setting = Setting(caps=((0, 101.0),))
    found = replay(gas({0: 20.0, 10: 180.0, 12: 60.0}), auctions([9.5, 10.5, 11.0, 12.5]), setting)
    assert found.english.for_nothing.tolist() == [False, True, True, False]
    assert found.english.paid_share[[0, 3]].tolist() == [0.95, 0.95]
    assert not found.dutch.for_nothing.any()
    waits = found.dutch.taken_s - found.dutch.start_s
    assert waits[1] == pytest.approx(1.5 * 3_600, abs=60), "until the gas price falls at noon"
    assert waits[0] < 60
    assert found.dutch.paid_share.min() > 0.85
    assert found.hours["english"].to_list() == [0, 1, 1, 0]


def test_without_congestion_nobody_wins_for_nothing() -> None:
    """The control: the same bidders at gas prices that keepers pay."""
    found = replay(gas({0: 20.0}), auctions([1.0, 2.0, 3.0]))
    assert not found.english.for_nothing.any()
    assert not found.dutch.for_nothing.any()


def test_ours_is_given_away_only_after_half_a_day() -> None:
    """The control of the other side: who is priced out for longer than the price falls loses in ours too."""
    terms = Setting(caps=((0, 101.0),))
    quick = msgspec.structs.replace(terms, auctions=msgspec.structs.replace(terms.auctions, fast_s=60, slow_s=600))
    crowded = gas({0: 180.0})
    assert replay(crowded, auctions([1.0]), quick).dutch.for_nothing.tolist() == [True]


def test_a_cap_that_is_raised_raises_what_waits() -> None:
    caps = ((0, 101.0), (11, 200.0))
    found = replay(gas({0: 20.0, 10: 150.0}), auctions([10.9, 11.5]), Setting(caps=caps))
    assert found.english.for_nothing.tolist() == [False, False]
    assert found.english.taken_s[0] - found.english.start_s[0] < 600
    assert [cap_at(caps, each * 3_600) for each in (0, 10.99, 11, 23)] == [101.0, 101.0, 200.0, 200.0]


def test_lots_of_dust_are_left_out() -> None:
    assert len(replay(gas({0: 20.0}), auctions([1.0, 2.0], lot=50.0)).english.start_s) == 2
    with pytest.raises(SolventError, match="auctions of 2020-03-12"):
        replay(gas({0: 20.0}), auctions([1.0], lot=0.5))


def test_what_is_missing_is_named() -> None:
    with pytest.raises(SolventError, match="gas_price_p90_gwei"):
        replay(gas({0: 1.0}).drop("gas_price_p90_gwei"), auctions([1.0]))
    two = pl.concat([gas({0: 1.0}), gas({0: 1.0}).with_columns(pl.col("ts") + timedelta(days=1))])
    with pytest.raises(SolventError, match="one day"):
        replay(two, auctions([1.0]))


@pytest.fixture(scope="module")
def recorded() -> Replay:
    """Every fifth auction of the afternoon of 2020-03-12: the whole day takes the command half a minute."""
    if not (GAS.exists() and AUCTIONS.exists()):
        pytest.skip("needs ../shared/data beside the checkout")
    prices = pl.read_parquet(GAS).filter(pl.col("crash_day") == date(2020, 3, 12))
    lots = pl.read_parquet(AUCTIONS).filter(pl.col("last_bid_ts").dt.date() == date(2020, 3, 12))
    return replay(prices, lots.filter(pl.col("last_bid_ts").dt.hour().is_between(12, 17)).gather_every(5))


def test_the_replay_gives_away_what_was_given_away(recorded: Replay) -> None:
    hours = {row["hour"]: row for row in recorded.hours.iter_rows(named=True)}
    for hour in (13, 15, 16):
        assert hours[hour]["recorded"] > 0.75 * hours[hour]["auctions"]
        assert hours[hour]["english"] > 0.75 * hours[hour]["auctions"]
    assert hours[17]["recorded"] == hours[17]["english"] == 0
    total = len(recorded.english.start_s)
    assert abs(int(recorded.english.for_nothing.sum()) - recorded.recorded_for_nothing) < 0.15 * total


def test_ours_gives_nothing_away(recorded: Replay) -> None:
    assert recorded.dutch.for_nothing.sum() == 0
    assert np.isfinite(recorded.dutch.taken_s).all()
    assert recorded.dutch.paid_share.min() > 0.85


def test_the_page_and_the_figures(recorded: Replay) -> None:
    html = congestion_page(recorded, "2020-03-12")
    assert "for nothing" in html
    assert figures(recorded)["ours for nothing"] == "0"


def test_the_command(tmp_path: Path) -> None:
    gas({0: 20.0, 10: 180.0, 12: 60.0}).write_parquet(tmp_path / "gas.parquet")
    auctions([9.5, 10.5]).write_parquet(tmp_path / "auctions.parquet")
    shared = [
        "lab",
        "congestion",
        "--gas",
        str(tmp_path / "gas.parquet"),
        "--auctions",
        str(tmp_path / "auctions.parquet"),
    ]
    result = CliRunner().invoke(app, [*shared, "--cap", "0:101", "--json"])
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    assert [row["english"] for row in values["hours"]] == [0, 1]
    assert values["totals"]["ours for nothing"] == "0"
    page = tmp_path / "page.html"
    result = CliRunner().invoke(app, [*shared, "--cap", "0:101", "--report", str(page)])
    assert "won for nothing" in result.stdout
    assert page.read_text().startswith("<!doctype html>") or "<html" in page.read_text()
    for wrong in ("noon:3", "3:101", "24:1"):
        assert CliRunner().invoke(app, [*shared, "--cap", wrong]).exit_code == 2
