"""Gearbox's split of a liquidated account."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.liquidation.payment_split import Params, Payments, liquidation_payments

amounts = st.integers(0, 10**30)


@given(amounts, amounts, amounts, amounts, st.integers(0, 10_000), st.integers(0, 10_000))
def test_pool_and_owner_share_the_funds(
    value: int, debt: int, interest: int, fees: int, discount: int, fee: int
) -> None:
    found = liquidation_payments(Params(discount, fee), value, debt, interest, fees)
    funds = value * discount // 10_000
    assert found.amount_to_pool + found.remaining == funds or found.amount_to_pool > funds
    assert found.profit == 0 or found.loss == 0
    assert found.amount_to_pool - found.profit + found.loss == debt + interest
    assert found.remaining == 0 or found.loss == 0


@pytest.mark.parametrize(
    ("debt", "interest", "params", "expected"),
    [
        (5000, 2000, Params(), Payments(8150, 1450, 1150, 0)),
        (6500, 2000, Params(), Payments(9600, 0, 1100, 0)),
        (7000, 3000, Params(), Payments(9600, 0, 0, 400)),
        (6500, 2000, Params(token_fee_bps=50), Payments(9600, 0, 1052, 0)),
        (7000, 3000, Params(token_fee_bps=50), Payments(9600, 0, 0, 448)),
    ],
)
def test_the_protocols_own_cases(debt: int, interest: int, params: Params, expected: Payments) -> None:
    """Gearbox-protocol/core-v3, CreditLogic.unit.t.sol, U:[CL-4]; fees are half of interest."""
    assert liquidation_payments(params, 10_000, debt, interest, interest // 2) == expected
