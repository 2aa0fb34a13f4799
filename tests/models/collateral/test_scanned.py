"""Terms of what the scenarios scan: the sale alone, what stands behind it, and no more than the scenarios leave."""

from datetime import date, timedelta

import msgspec
import numpy as np
import pytest

from solvent.engine.collateral import read_rules
from solvent.models.collateral.assess import Assessment, assess
from solvent.models.collateral.facts import Facts
from solvent.models.collateral.history import History
from solvent.models.collateral.scanned import claim_cost, sale_cost, scanned_terms
from solvent.models.collateral.weights import SizeTiers

START = date(2020, 1, 1)


def assessed(**stated: object) -> Assessment:
    """A coin with 3 % a day and a billion USD of volume."""
    close = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.03, 900)))
    days = np.arange(900) + np.datetime64(START, "D")
    own = History("X", days, close * 1.01, close * 0.99, close, np.full((1, 900), 1e9), np.full(900, np.nan))
    known = {"kind": "coin", "launched": "2015-01-01", "chain": "Test", "source": "a test", "as_of": "2022-01-01"}
    facts = msgspec.convert({**known, **stated}, Facts)
    return assess({"X": own}, {"X": facts}, read_rules(), START + timedelta(days=900))["X"]


def test_a_liquid_coin_pays_the_least() -> None:
    each = assessed()
    terms = scanned_terms(each, 0.8, 0.0055)
    assert terms["scanned"]
    assert (terms["haircut_initial"], terms["haircut_maintenance"]) == (0.03, 0.02)
    assert (terms["borrow_initial"], terms["borrow_maintenance"]) == (0.03, 0.02)
    assert terms["tier_add"] == list(each.tiers.add)
    assert terms["haircut_initial"] < each.haircut, "the full haircut has the price's risk in it"


def test_a_wide_spread_and_a_rough_price_cost_more() -> None:
    each = assessed()
    values = {**each.values, "spread": 0.06, "sigma_daily": 0.10}
    rough = msgspec.structs.replace(each, values=values)
    # 6 % / 2 and the square-root law on 2 % of a day's volume: 0.8 x 10 % x sqrt(0.02)
    assert sale_cost(rough) == pytest.approx(0.03 + 0.8 * 0.10 * np.sqrt(0.02))
    terms = scanned_terms(rough, 0.8, 0.0055)
    assert terms["haircut_initial"] == 0.0414
    assert terms["haircut_maintenance"] == 0.0331


def test_who_stands_behind_it_is_added() -> None:
    wrapped = assessed(wrapping="custodial")
    assert claim_cost(wrapped) == pytest.approx(0.02)
    assert claim_cost(assessed()) == 0.0
    terms = scanned_terms(wrapped, 0.8, 0.0055)
    assert (terms["haircut_initial"], terms["haircut_maintenance"]) == (0.05, 0.04)


def test_maintenance_pays_for_a_liquidation() -> None:
    terms = scanned_terms(assessed(), 0.8, 0.055)
    assert terms["haircut_maintenance"] == 0.055
    assert terms["haircut_initial"] == 0.055, "never below maintenance"


def test_no_more_than_the_scenarios_leave() -> None:
    each = msgspec.structs.replace(assessed(), tiers=SizeTiers((1e6, 1e7), (0.05, 0.4)))
    terms = scanned_terms(each, 0.28, 0.0055)
    assert terms["tier_add"] == [0.05, 0.26]
    assert terms["haircut_maintenance"] + max(terms["tier_add"]) <= 0.28
