"""Facts: as they were on a day, who is affiliated, and the tables that come with the package."""

from datetime import date

import pytest

from solvent.engine.collateral import read_facts, read_rules
from solvent.errors import SolventError
from solvent.models.collateral.facts import backs_algorithmic, facts_at, facts_of, is_affiliated

ROW = {"kind": "coin", "launched": date(2020, 1, 1), "chain": "Test", "source": "a test", "as_of": date(2024, 1, 1)}


def test_changes_hold_for_their_days_only() -> None:
    change = {"from": date(2022, 1, 2), "until": date(2022, 1, 4), "redemption": "suspended", "source": "a test"}
    facts = facts_of({"x": {**ROW, "redemption": "open", "changes": [change]}})["X"]
    states = [facts_at(facts, date(2022, 1, day)).redemption for day in range(1, 6)]
    assert states == ["open", "suspended", "suspended", "open", "open"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "pebble"}, {"colour": "red"}, {"reserve_quality": 1.5}, {"stablecoin": "fiat"}, {"exit_days": -1.0},
        {"represents": "X"}, {"launched": date(2025, 1, 1)}, {"kind": "stablecoin"},
    ],
)  # fmt: skip
def test_facts_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SolventError):
        facts_of({"X": {**ROW, **wrong}})
    assert facts_of({"X": ROW}), "the control"


def test_the_shipped_table_holds_to_its_sources() -> None:
    facts = read_facts()
    assert len(facts) >= 50
    assert all(each.source and each.as_of == date(2024, 12, 31) for each in facts.values())
    assert facts["BTC"].launched == date(2009, 1, 3)
    assert facts["UST"].stablecoin == "algorithmic"
    assert facts["UST"].backing == ("LUNA",)
    assert {facts[asset].represents for asset in ("WETH", "STETH", "WEETH")} == {"ETH"}
    assert facts_at(facts["STETH"], date(2022, 6, 18)).redemption == "none"
    assert facts_at(facts["STETH"], date(2024, 6, 18)).redemption == "limited"
    assert facts_at(facts["USDC"], date(2023, 3, 12)).redemption == "suspended"
    assert facts_at(facts["USDC"], date(2023, 3, 11)).redemption == "open", "not known when the day began"


def test_what_falls_with_the_own_token() -> None:
    facts = read_facts()
    fallen = {asset for asset in facts if is_affiliated(asset, "BNB", facts)}
    assert fallen == {"BNB", "WBETH"}
    assert {asset for asset in facts if is_affiliated(asset, "LUNA", facts)} == {"LUNA", "UST"}
    assert not is_affiliated("NEW", "BNB", facts)
    with pytest.raises(SolventError, match="own_token"):
        is_affiliated("BTC", "NEW", facts)


def test_what_backs_an_algorithmic_coin_once_there_is_one() -> None:
    facts = read_facts()
    assert backs_algorithmic("LUNA", facts, date(2022, 5, 1))
    assert not backs_algorithmic("LUNA", facts, date(2020, 1, 1))
    assert not backs_algorithmic("USDC", facts, date(2022, 5, 1)), "DAI is over-collateralised"


def test_the_shipped_rules_are_read() -> None:
    assert [rule.name for rule in read_rules()] == [
        "known", "own token", "algorithmic", "liquidity", "age", "volatility", "peg", "issuer", "custody", "wrapping",
        "redemption", "chain",
    ]  # fmt: skip
