"""The page of a comparison: every plot drawn from the statements, names escaped, nothing infinite in the data."""

import math

import msgspec
import polars as pl
import pytest
from tests.engine.pair_rule import pair_policy

from solvent.engine.compare import Comparison, compare
from solvent.engine.files import read_policy
from solvent.margin.rule import BUILT_IN
from solvent.reports.compare import (
    POINTS_MOST,
    comparison_page,
    health_figure,
    make_up_figure,
    margin_figure,
    scatter_figure,
    state_figure,
)

PORTFOLIO = read_policy("portfolio")
STRICT = msgspec.structs.replace(PORTFOLIO, version="2", margin={**PORTFOLIO.margin, "margin_scale": 1.4})
MARKET = pl.DataFrame({"instrument": ["BTC", "USDC", "BTC/USDC:USDC"], "price": ["60000", "1", "60000"]})
NASTY = "<b>bold</b>"


def comparison(accounts: int = 0) -> Comparison:
    rows = [(NASTY, "BTC", "1"), ("long", "USDC", "53000"), ("long", "BTC/USDC:USDC", "5")]
    rows += [("cash", "USDC", "1")]
    rows += [(f"a{i}", "BTC", str(1 + i)) for i in range(accounts)]
    frame = pl.DataFrame(rows, schema=["account", "instrument", "quantity"], orient="row")
    return compare(frame, MARKET, [PORTFOLIO, STRICT, pair_policy()])


@pytest.fixture(autouse=True)
def pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUILT_IN, "pair", "tests.engine.pair_rule:PairRule")


def test_bars_are_the_margins_of_each_policy_and_refused_ones_have_none() -> None:
    found = comparison()
    bars = {trace.name: list(trace.y) for trace in margin_figure(found).data}
    assert bars["portfolio v1"] == found.answers[0].statement.maintenance_margin.tolist()
    assert bars["pair"][1] is None
    assert bars["equity"] == pytest.approx([60000, 53000, 1])


def test_points_lie_on_the_margins_of_both_and_the_diagonal_is_drawn() -> None:
    found = comparison()
    strict, pair, diagonal = scatter_figure(found).data
    margins = [answer.statement.initial_margin for answer in found.answers]
    assert list(strict.x) == [margins[0][0], margins[0][1]]  # cash needs none, and no logarithm
    assert list(strict.y) == [margins[1][0], margins[1][1]]
    assert list(pair.text) == ["&lt;b&gt;bold&lt;/b&gt;"]
    assert list(diagonal.x) == list(diagonal.y)


def test_a_large_book_is_thinned_out() -> None:
    found = comparison(POINTS_MOST + 10)
    assert len(scatter_figure(found).data[0].x) <= POINTS_MOST
    assert len(margin_figure(found).data[0].x) == 24


def test_health_is_a_share_that_rises() -> None:
    for trace in health_figure(comparison()).data:
        assert list(trace.y) == sorted(trace.y)
        assert 0 <= trace.y[0] <= trace.y[-1] <= 1
    strict = health_figure(comparison()).data[1]
    below = next(y for x, y in zip(strict.x, strict.y, strict=True) if x == 1.0)
    assert below == pytest.approx(1 / 3)


def test_states_are_counted_by_policy() -> None:
    counts = {trace.name: list(trace.x) for trace in state_figure(comparison()).data}
    assert counts == {"healthy": [3, 2, 2], "liquidatable": [0, 1, 0], "refused": [0, 0, 1]}


def test_what_a_margin_is_made_of_adds_up_to_it() -> None:
    found = comparison()
    figure = make_up_figure(found, 1)
    sums = [0.0, 0.0]
    for trace in figure.data:
        assert list(trace.y) == ["portfolio v1", "portfolio v2"]  # the third rule refuses the account
        sums = [one + (other or 0) for one, other in zip(sums, trace.x, strict=True)]
    margins = [float(answer.statement.maintenance_margin[1]) for answer in found.answers]
    assert sums == pytest.approx(margins[:2], abs=0.01)
    assert math.isnan(margins[2])
    assert figure.layout.shapes[0].x0 == pytest.approx(53000)
    assert not make_up_figure(found, 0).layout.shapes  # equity far beyond the margin would dwarf it


def test_the_page_holds_everything_once_and_no_markup_of_names() -> None:
    html = comparison_page(comparison())
    for heading in ("Policies", "Margin by policy", "Health", "Accounts that change state", "Refused"):
        assert html.count(f"<h2>{heading}</h2>") == 1
    assert NASTY not in html
    assert "Infinity" not in html.split("Plotly.newPlot", 1)[1]
    assert "BTC/USDC:USDC (perpetual): spot" in html
    assert html == comparison_page(comparison())


def test_the_page_of_policies_that_agree_says_so() -> None:
    frame = pl.DataFrame({"account": ["a"], "instrument": ["BTC"], "quantity": ["1"]})
    html = comparison_page(compare(frame, MARKET, [PORTFOLIO, PORTFOLIO]))
    assert "None: every policy" in html
    assert "<h2>Refused</h2>" not in html
