"""The insurance fund: its own asset first, caps, never below zero, every atom accounted for."""

from hypothesis import given
from hypothesis import strategies as st

from solvent.pools.insurance import METHODS, Claim, InsuranceParams, Spent, pay

USDC, USDT, ETH = 0, 1, 2
USD = 10**24
"""Units of value to a USD in these tests: 1e-24 USD."""
VALUES = {USDC: USD // 10**6, USDT: 999 * USD // 10**9, ETH: 2000 * USD // 10**18}
FREE = InsuranceParams()


def claim(atoms: int, asset: int = USDC, day: int = 1, owner: str = "o", instrument: int = 7) -> Claim:
    return Claim(owner=owner, instrument=instrument, asset=asset, atoms=atoms, day=day)


balances = st.fixed_dictionaries(
    {USDC: st.integers(0, 10**13), USDT: st.integers(0, 10**13), ETH: st.integers(0, 10**22)}
)
caps = st.one_of(st.none(), st.integers(0, 10**7))
params = st.builds(InsuranceParams, owner_cap_usd_daily=caps, instrument_cap_usd_daily=caps, cap_usd_daily=caps)
claims = st.builds(
    Claim,
    owner=st.sampled_from("ab"),
    instrument=st.integers(0, 1),
    asset=st.sampled_from([USDC, USDT, ETH]),
    atoms=st.integers(1, 10**22),
    day=st.integers(1, 2),
)


def test_the_deficits_own_asset_pays_first() -> None:
    result = pay({USDC: 100, USDT: 10**9, ETH: 10**18}, VALUES, FREE, Spent(), claim(60), usd=USD)
    assert (result.paid, result.rest_atoms, result.balances[USDC]) == ({USDC: 60}, 0, 40)


def test_the_rest_is_paid_in_other_assets_largest_first_at_their_price() -> None:
    fund = {USDC: 40 * 10**6, USDT: 10**6, ETH: 10**18}
    result = pay(fund, VALUES, FREE, Spent(), claim(1040 * 10**6), usd=USD)
    assert result.paid == {USDC: 40 * 10**6, ETH: 5 * 10**17}
    assert result.covered_atoms == 1040 * 10**6
    assert result.balances == {USDC: 0, USDT: 10**6, ETH: 5 * 10**17}


def test_a_fund_that_is_too_small_pays_all_it_has() -> None:
    result = pay({USDC: 5, USDT: 0}, VALUES, FREE, Spent(), claim(9), usd=USD)
    assert (result.paid, result.covered_atoms, result.rest_atoms) == ({USDC: 5}, 5, 4)


def test_an_asset_without_a_price_is_left_alone() -> None:
    result = pay({USDC: 1, 9: 10**9}, VALUES, FREE, Spent(), claim(3), usd=USD)
    assert (result.paid, result.rest_atoms) == ({USDC: 1}, 2)


def test_each_cap_binds_alone_and_is_shared_by_the_day() -> None:
    fund, size = {USDC: 10**12}, claim(100 * 10**6)
    for capped in (
        InsuranceParams(owner_cap_usd_daily=30),
        InsuranceParams(instrument_cap_usd_daily=30),
        InsuranceParams(cap_usd_daily=30),
    ):
        first = pay(fund, VALUES, capped, Spent(), size, usd=USD)
        assert first.covered_atoms == 30 * 10**6
        again = pay(first.balances, VALUES, capped, first.spent, size, usd=USD)
        assert (again.paid, again.rest_atoms) == ({}, size.atoms)
        tomorrow = pay(again.balances, VALUES, capped, again.spent, claim(100 * 10**6, day=2), usd=USD)
        assert tomorrow.covered_atoms == 30 * 10**6


def test_a_cap_of_one_owner_leaves_the_others_theirs() -> None:
    capped = InsuranceParams(owner_cap_usd_daily=30)
    first = pay({USDC: 10**12}, VALUES, capped, Spent(), claim(10**9), usd=USD)
    other = pay(first.balances, VALUES, capped, first.spent, claim(10**9, owner="other"), usd=USD)
    assert other.covered_atoms == 30 * 10**6


@given(balances, params, st.lists(claims, max_size=6))
def test_nothing_is_lost_and_nothing_goes_below_zero(
    fund: dict[int, int], limits: InsuranceParams, wanted: list[Claim]
) -> None:
    spent, start, out = Spent(), dict(fund), dict.fromkeys(fund, 0)
    for each in wanted:
        result = pay(fund, VALUES, limits, spent, each, usd=USD)
        assert result.covered_atoms + result.rest_atoms == each.atoms
        assert min(result.balances.values()) >= 0
        paid = sum(VALUES[asset] * atoms for asset, atoms in result.paid.items())
        covered = result.covered_atoms * VALUES[each.asset]
        slack = max(VALUES.values()) * len(VALUES)
        assert covered - slack <= paid <= covered + slack, "no haircut, no premium beyond rounding"
        for asset, atoms in result.paid.items():
            out[asset] += atoms
        fund, spent = result.balances, result.spent
        _check_caps(limits, spent)
    assert {asset: fund[asset] + out[asset] for asset in fund} == start


def _check_caps(limits: InsuranceParams, spent: Spent) -> None:
    for cap, used in (
        (limits.cap_usd_daily, [spent.total]),
        (limits.owner_cap_usd_daily, spent.by_owner.values()),
        (limits.instrument_cap_usd_daily, spent.by_instrument.values()),
    ):
        assert cap is None or max(used, default=0) <= cap * USD
    assert spent.total == sum(spent.by_owner.values()) == sum(spent.by_instrument.values())


@given(balances, claims)
def test_a_deficit_is_covered_whenever_the_fund_is_worth_it(fund: dict[int, int], wanted: Claim) -> None:
    worth = sum(VALUES[asset] * atoms for asset, atoms in fund.items())
    result = pay(fund, VALUES, FREE, Spent(), wanted, usd=USD)
    slack = max(VALUES.values()) * len(VALUES)
    if worth >= wanted.atoms * VALUES[wanted.asset] + slack:
        assert result.rest_atoms == 0
    if worth + slack < wanted.atoms * VALUES[wanted.asset]:
        assert result.rest_atoms > 0, "the control: a fund that is worth less leaves a rest"


def test_negative_caps_are_refused() -> None:
    bad = InsuranceParams(owner_cap_usd_daily=-1, cap_usd_daily=-2)
    assert [p.field for p in bad.check()] == ["owner_cap_usd_daily", "cap_usd_daily"]
    assert FREE.check() == []
    assert METHODS["own_asset_first"] is pay
