"""One policy about every account: states, refusals by name, and nobody left out."""

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.engine.pair_rule import pair_policy

from solvent.domain.book import Book
from solvent.domain.market import Market
from solvent.domain.policy import Policy
from solvent.engine.files import read_policy
from solvent.engine.verdicts import (
    ACCOUNT_STATES,
    BELOW_INITIAL,
    HEALTHY,
    INSOLVENT,
    LIQUIDATABLE,
    REFUSED,
    labels,
    verdicts,
)
from solvent.errors import SolventError
from solvent.margin.rule import BUILT_IN

PRICES = {"BTC": "60000", "ETH": "3000", "USDC": "1", "BTC/USDC:USDC": "60000", "BTC/USD:BTC": "60000"}


def market() -> Market:
    return Market.from_frame(pl.DataFrame({"instrument": list(PRICES), "price": list(PRICES.values())}), ts_ns=1)


def book(rows: list[tuple[str, str, str]]) -> Book:
    prices = market()
    frame = pl.DataFrame(rows, schema=["account", "instrument", "quantity"], orient="row")
    return Book.from_frame(frame, prices.universe, prices)


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Policy:
    """The tiny rule under the name `pair`, and a policy for it."""
    monkeypatch.setitem(BUILT_IN, "pair", "tests.engine.pair_rule:PairRule")
    return pair_policy()


def test_states_are_the_worst_that_holds(pair: Policy) -> None:
    rows = [
        ("rich", "USDC", "1000"),
        ("tight", "USDC", "-700"),
        ("tight", "ETH", "0.34"),
        ("due", "USDC", "-900"),
        ("due", "ETH", "0.35"),
        ("gone", "USDC", "-1100"),
        ("gone", "ETH", "0.35"),
    ]
    found = verdicts(book(rows), market(), pair)
    assert found.state.tolist() == [HEALTHY, BELOW_INITIAL, LIQUIDATABLE, INSOLVENT]
    assert found.statement.liquidatable.tolist() == [False, False, True, True]
    assert found.counts() == dict(zip(ACCOUNT_STATES, [1, 1, 1, 1, 0], strict=True))


def test_who_holds_what_the_rule_names_is_refused_with_every_reason_and_the_rest_is_margined(pair: Policy) -> None:
    rows = [
        ("spot", "BTC", "1"),
        ("perp", "BTC/USDC:USDC", "1"),
        ("both", "BTC/USDC:USDC", "1"),
        ("both", "BTC/USD:BTC", "1"),
        ("owes", "ETH", "-1"),
        ("has", "ETH", "1"),
    ]
    found = verdicts(book(rows), market(), pair)
    assert [found.state[i] == REFUSED for i in range(5)] == [False, True, True, True, False]
    assert found.refusals[1].instruments == ("BTC/USDC:USDC",)
    assert set(found.refusals[2].instruments) >= {"BTC/USDC:USDC"}
    assert found.refusals[3].reason == "ETH (debt): ETH of your own"
    assert np.isnan(found.statement.equity).tolist() == [False, True, True, True, False]
    assert found.explain(book(rows), 1) is None
    assert found.explain(book(rows), 0) is not None
    assert found.reasons()["ETH (debt): ETH of your own"] == [3]


@pytest.mark.parametrize("silent", [False, True])
def test_accounts_refused_for_what_they_hold_together_are_found_alone(pair: Policy, silent: bool) -> None:
    rows = [(f"a{i}", asset, "1") for i in range(33) for asset in ("BTC", "USDC", "ETH")[: 3 if i in (4, 20) else 2]]
    found = verdicts(book(rows), market(), msgspec.structs.replace(pair, margin={**pair.margin, "silent": silent}))
    assert sorted(found.refusals) == [4, 20]
    assert "three assets" in found.refusals[4].reason
    assert found.refusals[4].instruments == ()
    assert (np.delete(found.state, [4, 20]) == HEALTHY).all()


def test_a_market_that_lacks_a_field_is_refused_for_everyone_with_the_field(pair: Policy) -> None:
    found = verdicts(
        book([("a", "BTC", "1")]), market(), msgspec.structs.replace(pair, margin={**pair.margin, "needs_volume": 1})
    )
    assert found.counts()["refused"] == 1
    assert "volume_usd_daily" in found.refusals[0].reason
    assert np.isnan(found.statement.maintenance_margin).all()
    assert found.prepared is None


def test_an_unsafe_policy_is_the_callers_fault(pair: Policy) -> None:
    with pytest.raises(SolventError, match="a safe policy"):
        verdicts(
            book([("a", "BTC", "1")]), market(), msgspec.structs.replace(pair, margin={**pair.margin, "unsafe": 1})
        )


def test_the_exact_form_decides_where_the_float_form_may_not(pair: Policy) -> None:
    """Equity is the margin to the cent; the exact form takes 1e-6 off it."""
    rows = [("edge", "ETH", "1"), ("edge", "USDC", "-2454.545455")]
    found = verdicts(book(rows), market(), pair)
    assert found.statement.certain.tolist() == [False]
    assert found.state.tolist() == [LIQUIDATABLE]
    assert found.statement.equity[0] == pytest.approx(545.454544, abs=1e-7)


def test_an_empty_book_has_no_states(pair: Policy) -> None:
    found = verdicts(Book(market().universe), market(), pair)
    assert (len(found.state), found.refusals) == (0, {})


def test_the_portfolio_rule_answers_for_all(pair: Policy) -> None:
    rows = [("a", "BTC", "1"), ("b", "BTC/USDC:USDC", "1")]
    found = verdicts(book(rows), market(), read_policy("portfolio"))
    assert found.refusals == {}
    assert found.label == "portfolio"
    assert found.statement.scenarios


def test_labels_say_no_more_than_they_must(pair: Policy) -> None:
    other = msgspec.structs.replace(pair, version="2")
    draft = msgspec.structs.replace(pair, version="draft")
    same = msgspec.structs.replace(pair, margin={"rule": "pair", "x": 1})
    portfolio = read_policy("portfolio")
    assert labels([pair, portfolio]) == ["pair", "portfolio"]
    assert labels([pair, other, draft, portfolio]) == ["pair v1", "pair v2", "pair draft", "portfolio"]
    assert labels([pair, same]) == [pair.label, same.label]
    assert labels([pair, pair]) == [f"{pair.label} (1)", f"{pair.label} (2)"]


def test_an_account_may_be_called_like_an_instrument(pair: Policy) -> None:
    rows = [("BTC", asset, "1") for asset in ("BTC", "USDC", "ETH")] + [("other", "BTC", "1")]
    found = verdicts(book(rows), market(), pair)
    assert list(found.refusals) == [0]


def test_one_reason_for_several_instruments_is_told_once(pair: Policy) -> None:
    rows = [("a", "BTC/USDC:USDC", "1"), ("b", "BTC/USD:BTC", "1")]
    found = verdicts(book(rows), market(), pair)
    assert found.reasons() == {"BTC/USDC:USDC, BTC/USD:BTC (perpetual): spot": [0, 1]}
