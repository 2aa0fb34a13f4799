"""Policies side by side: who changes state, who is refused, and terms that add up to the difference."""

from decimal import Decimal

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.pair_rule import pair_policy

import solvent as sv
from solvent.domain.policy import Policy
from solvent.engine.compare import Comparison, compare
from solvent.engine.files import read_policy
from solvent.engine.term_rows import TOTALS, telling, term_rows
from solvent.engine.verdicts import ACCOUNT_STATES, HEALTHY, LIQUIDATABLE, REFUSED
from solvent.errors import SolventError
from solvent.margin.rule import BUILT_IN
from solvent.margin.statement import Explanation, Term

PRICES = {"BTC": "60000", "ETH": "3000", "USDC": "1", "BTC/USDC:USDC": "60000", "ETH/USDC:USDC": "3000"}
MARKET = pl.DataFrame({"instrument": list(PRICES), "price": list(PRICES.values())})
BOOK = pl.DataFrame(
    [
        ("calm", "USDC", "100000"),
        ("calm", "BTC", "1"),
        ("long", "USDC", "53000"),
        ("long", "BTC/USDC:USDC", "5"),
        ("spread", "USDC", "30000"),
        ("spread", "BTC/USDC:USDC", "2"),
        ("spread", "ETH/USDC:USDC", "-40"),
    ],
    schema=["account", "instrument", "quantity"],
    orient="row",
)
PORTFOLIO = read_policy("portfolio")


def scaled(scale: float, version: str = "2") -> Policy:
    return msgspec.structs.replace(PORTFOLIO, version=version, margin={**PORTFOLIO.margin, "margin_scale": scale})


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Policy:
    monkeypatch.setitem(BUILT_IN, "pair", "tests.engine.pair_rule:PairRule")
    return pair_policy()


@pytest.fixture(scope="module")
def two() -> Comparison:
    """The portfolio rule as it is, and with scan ranges a third wider."""
    return compare(BOOK, MARKET, [PORTFOLIO, scaled(4 / 3)])


def test_two_versions_differ_where_the_scan_is_paid(two: Comparison) -> None:
    assert two.labels == ("portfolio v1", "portfolio v2")
    assert two.answers[0].state.tolist() == [HEALTHY, HEALTHY, HEALTHY]
    assert two.answers[1].state.tolist() == [HEALTHY, LIQUIDATABLE, HEALTHY]
    assert two.changing().tolist() == [1]
    (flip,) = two.flips()
    assert (flip.liquidates, flip.spares, flip.accounts.tolist()) == ("portfolio v2", "portfolio v1", [1])
    gap = two.answers[1].statement.maintenance_margin - two.answers[0].statement.maintenance_margin
    assert two.margin_gap() == pytest.approx(np.abs(gap))


def test_terms_of_two_versions_differ_by_the_scan_alone_and_add_up_to_the_difference(two: Comparison) -> None:
    rows = two.terms(1)
    assert {row.name for row in rows if row.spread > Decimal("0.01")} == {"scan"}
    for total in TOTALS:
        difference = sum(
            ((row.amounts[1] or Decimal(0)) - (row.amounts[0] or Decimal(0)) for row in rows if row.total == total),
            Decimal(0),
        )
        first, second = (answer.explain(two.book, 1) for answer in two.answers)
        assert first is not None
        assert second is not None
        assert difference == second.totals[total] - first.totals[total]


def test_the_same_policy_twice_has_no_difference() -> None:
    found = compare(BOOK, MARKET, [PORTFOLIO, PORTFOLIO])
    assert found.changing().tolist() == []
    assert found.flips() == []
    assert [found.terms(i) for i in range(3)] == [(), (), ()]
    assert found.margin_gap().tolist() == [0, 0, 0]


def test_refused_accounts_stay_in_every_view(pair: Policy) -> None:
    found = compare(BOOK, MARKET, [PORTFOLIO, pair])
    assert found.states()[1].tolist() == [HEALTHY, REFUSED, REFUSED]
    assert found.common().tolist() == [True, False, False]
    assert found.changing().tolist() == []  # being refused is no state to be liquidated in
    assert found.flips() == []
    frame = found.to_frame()
    assert frame["account"].to_list() == ["calm", "calm", "long", "long", "spread", "spread"]
    row = frame.filter((pl.col("account") == "spread") & (pl.col("policy") == "pair")).to_dicts()[0]
    assert row["state"] == "refused"
    assert row["equity"] is None
    assert row["liquidatable"] is None
    assert "BTC/USDC:USDC" in row["refused_instruments"]
    assert "perpetual" in row["refused_reason"]
    assert frame["refused_reason"].null_count() == 4


def test_terms_of_two_rules_stand_beside_one_another_by_their_own_names(pair: Policy) -> None:
    found = compare(BOOK, MARKET, [PORTFOLIO, pair])
    rows = {(row.total, row.name): row.amounts for row in found.terms(0)}
    assert rows["maintenance_margin", "tenth"] == (None, Decimal("16000.000000000"))
    ours, theirs = rows["maintenance_margin", "scan"]
    assert ours is not None
    assert theirs is None


def test_the_frame_holds_the_statements(two: Comparison) -> None:
    frame = two.to_frame().filter(pl.col("policy") == "portfolio v2")
    statement = sv.assess(BOOK, MARKET, scaled(4 / 3))
    assert frame["equity"].to_list() == statement.equity.tolist()
    assert frame["maintenance_margin"].to_list() == statement.maintenance_margin.tolist()
    assert frame["state"].to_list() == [ACCOUNT_STATES[i] for i in two.answers[1].state]


def test_frames_of_others_and_names_are_taken() -> None:
    found = sv.compare(BOOK.to_arrow(), pa.table(MARKET.to_arrow()), ["portfolio", scaled(2.0)])
    assert found.labels == ("portfolio v1", "portfolio v2")


@pytest.mark.parametrize("policies", [[], ["portfolio"], ["portfolio"] * 17])
def test_too_few_and_too_many_policies(policies: list[str]) -> None:
    with pytest.raises(SolventError, match="2 to 16 policies"):
        compare(BOOK, MARKET, policies)


def test_an_unknown_policy_is_named() -> None:
    with pytest.raises(SolventError, match="nobody"):
        compare(BOOK, MARKET, ["portfolio", "nobody"])


AMOUNTS = st.decimals(-1000, 1000, places=3)
TERMS = st.lists(
    st.builds(Term, st.sampled_from(TOTALS), st.sampled_from("abc"), st.sampled_from(["", "BTC"]), AMOUNTS), max_size=8
)


@given(TERMS, TERMS)
def test_term_rows_keep_every_difference(one: list[Term], other: list[Term]) -> None:
    rows = term_rows([Explanation("x", {}, tuple(one)), None, Explanation("x", {}, tuple(other))])
    for total in TOTALS:
        expected = sum(t.amount for t in other if t.total == total) - sum(t.amount for t in one if t.total == total)
        assert sum((r.amounts[2] or 0) - (r.amounts[0] or 0) for r in rows if r.total == total) == expected
    assert all(row.amounts[1] is None for row in rows)
    assert all(row.amounts[0] != row.amounts[2] for row in rows)
    spreads = [(TOTALS.index(row.total), -row.spread) for row in rows]
    assert spreads == sorted(spreads)


def test_what_makes_no_difference_is_not_told() -> None:
    """Equity cut into other terms is the same equity; a margin's small term is noise."""
    ours = [Term("equity", "balance", "BTC", Decimal(100)), Term("maintenance_margin", "scan", "", Decimal(16))]
    theirs = [Term("equity", "collateral", "BTC", Decimal(100)), Term("maintenance_margin", "weight", "", Decimal(20))]
    theirs += [Term("maintenance_margin", "dust", "", Decimal("0.001"))]
    rows = term_rows([Explanation("x", {}, tuple(ours)), Explanation("x", {}, tuple(theirs)), None])
    assert len(rows) == 5
    assert [row.name for row in telling(rows)] == ["weight", "scan"]
    assert telling(()) == ()
