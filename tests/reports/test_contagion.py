"""Pages of contagion: figures draw the frames as they are, names are text, and alarms are told."""

import numpy as np
import polars as pl
import pytest

from solvent.lab.cascade import EDGES, LIQUIDITY_LEFT, Ladder, cascade_frame, heat_frame, totals_frame
from solvent.lab.exposures import Exposures, exposures_of, failures, outcome
from solvent.reports import contagion as draw

KAPPAS = {"BTC": 1e-8}


@pytest.fixture
def ladder() -> Ladder:
    sold = np.zeros(len(EDGES) - 1)
    sold[4], sold[20] = 2e6, 5e5
    return Ladder("BTC", "down", np.exp(-EDGES[1:]) - 1, sold, (sold > 0).astype(np.int64))


@pytest.fixture
def held() -> Exposures:
    debts = pl.DataFrame({"debtor": ["<b>a</b>", "b"], "creditor": ["b", "c"], "amount": [50.0, 40.0]})
    assets = pl.DataFrame({"institution": ["<b>a</b>", "b", "c"], "external_assets": [60.0, 5.0, 1.0]})
    return exposures_of(debts, assets)


def test_the_heat_map_has_a_row_a_level_of_liquidity(ladder: Ladder) -> None:
    heat = heat_frame([ladder], KAPPAS)
    (trace,) = draw.heat_figure(heat).data
    assert [len(row) for row in trace.z] == [len(ladder.move)] * len(LIQUIDITY_LEFT)
    assert trace.z[0][4] == pytest.approx(2.0)
    assert trace.z[1][4] == pytest.approx(2.0 / LIQUIDITY_LEFT[1])
    assert list(trace.x) == ladder.move.tolist()


def test_bars_are_what_is_liquidated(ladder: Ladder) -> None:
    (trace,) = draw.density_figure(cascade_frame([ladder], KAPPAS)).data
    assert sum(trace.y) == 2.5e6


def test_the_cascade_page_names_the_nearest_runaway_and_a_calm_book_says_so(ladder: Ladder) -> None:
    frames = [make([ladder], KAPPAS) for make in (cascade_frame, heat_frame, totals_frame)]
    text = draw.cascade_page(*frames, "7 accounts")
    assert "4.9% away" in text
    assert ">runs away<" not in text  # the wall ends behind itself
    calm = ladder._replace(liquidated_usd=0 * ladder.liquidated_usd)
    frames = [make([calm], KAPPAS) for make in (cascade_frame, heat_frame, totals_frame)]
    assert "No price within reach liquidates anybody." in draw.cascade_page(*frames, "7 accounts")


def test_names_of_institutions_are_text_and_defaults_are_counted(held: Exposures) -> None:
    found = outcome(held, {"<b>a</b>": 1.0})
    text = draw.contagion_page(found, failures(held, held.names), "a shock")
    assert "<b>a</b>" not in text.split("<h2>")[1].split("<table>")[1]
    assert "&lt;b&gt;a&lt;/b&gt;" in text
    assert int(found.frame["defaulted"].sum()) == 2
    assert "<b>2</b><span>defaults</span>" in text
    assert "Each failing alone" in text
    assert "Each failing alone" not in draw.contagion_page(found, None, "a shock")


def test_an_alarm_is_told(held: Exposures) -> None:
    found = outcome(held, {})
    assert "Alarm" not in draw.contagion_page(found, None, "")
    debts = pl.DataFrame({"debtor": ["a", "b"], "creditor": ["b", "a"], "amount": [50.0, 50.0]})
    assets = pl.DataFrame({"institution": ["a", "b"], "external_assets": [10.0, 5.0]})
    assert "Alarm" in draw.contagion_page(outcome(exposures_of(debts, assets), {}), None, "")


def test_signs_are_kept() -> None:
    assert draw.signed_usd(-1_200_000) == "-1.2M"
    assert draw.signed_usd(340_000) == "340k"
