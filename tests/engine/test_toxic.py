"""The LTV above which a liquidation makes things worse, of every lending policy and of no other."""

import pytest

from solvent.engine.files import policy_names, read_policy
from solvent.engine.toxic import toxic_ltvs
from solvent.margin.rule import rule


def test_it_is_one_over_one_plus_the_bonus() -> None:
    found = toxic_ltvs(read_policy("aave-v3"))
    assert found["ETH"] == pytest.approx(1 / 1.05)
    # A liquidation at that LTV leaves it; above it the same repayment raises it.
    for ltv, lower in ((0.999 * found["ETH"], True), (1.001 * found["ETH"], False)):
        debt, repaid = 100 * ltv, 10.0
        assert ((debt - repaid) / (100 - 1.05 * repaid) < ltv) == lower


@pytest.mark.parametrize("name", policy_names())
def test_rules_that_lend_against_weights_have_it_and_others_do_not(name: str) -> None:
    policy = read_policy(name)
    found = toxic_ltvs(policy)
    assert bool(found) == hasattr(rule(policy.rule), "toxic_ltv")
    assert all(0.5 < ltv <= 1 for ltv in found.values())
