"""Every lending rule on whole books: against the protocol's own test, properties, refusals, admissibility."""

from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.margin.rules.lending_verdicts import VERDICTS, Rows, aave3, trove
from tests.margin.rules.lending_worlds import (
    MARKET,
    NOW_NS,
    PRICES,
    RULES,
    UNIVERSE,
    market_of,
    prepared_of,
    random_book,
)

from solvent.domain.book import Book
from solvent.domain.instruments import Perpetual
from solvent.domain.market import Market
from solvent.domain.policy import Policy, parameters
from solvent.domain.symbols import spot
from solvent.domain.universe import Universe
from solvent.engine.files import read_policy
from solvent.errors import SolventError
from solvent.margin.rule import rule
from solvent.margin.rules.lending import PreparedLending

seeds = st.integers(0, 2**32 - 1)
every_rule = pytest.mark.parametrize("name", RULES)


def sides(book: Book, account: int) -> tuple[Rows, Rows]:
    """Atoms held and owed by id."""
    rows = []
    for i, lots in zip(*(x.tolist() for x in book.row(account)[:2]), strict=True):
        each: Any = book.universe[i]
        rows.append((each.id, lots * each.lot_atoms))
    return [(id, n) for id, n in rows if n > 0], [(id, -n) for id, n in rows if n < 0]


def params_of(name: str, table: dict[str, Any] | None = None) -> Any:
    found, problems = parameters(rule(name).Params, table or read_policy(name).margin, "policy", frozenset({"rule"}))
    assert problems == []
    return found


def policy_with(name: str, **changed: Any) -> Policy:
    ready = read_policy(name)
    return msgspec.structs.replace(ready, margin={**ready.margin, **changed})


@every_rule
@settings(max_examples=15)
@given(seed=seeds)
def test_exact_verdict_is_the_protocols_own(name: str, seed: int) -> None:
    prepared = prepared_of(name)
    book = random_book(prepared, seed, 40)
    params = params_of(name)
    for account in range(len(book)):
        held, owed = sides(book, account)
        assert prepared.exact(book, account).liquidatable == VERDICTS[name](held, owed, params), (held, owed)


@every_rule
@settings(max_examples=15)
@given(seed=seeds)
def test_float_form_agrees_where_it_is_certain(name: str, seed: int) -> None:
    prepared = prepared_of(name)
    book = random_book(prepared, seed, 200)
    statement = prepared.assess(book)
    exact = [prepared.exact(book, account) for account in range(len(book))]
    sure = statement.certain
    below = statement.equity < statement.initial_margin
    assert (statement.liquidatable[sure] == np.array([x.liquidatable for x in exact])[sure]).all()
    assert (below[sure] == np.array([x.below_initial for x in exact])[sure]).all()
    size = statement.liabilities + statement.collateral_value + statement.equity.clip(0)
    grain = 3e-6 + 10 * prepared.shared.tables.grain_usd.max()
    for column in ("equity", "initial_margin", "maintenance_margin"):
        wanted = np.array([getattr(x, column) for x in exact]) / 1e6
        error = np.abs(getattr(statement, column) - wanted)
        jumps = ~sure if name == "crvusd" else np.zeros(len(book), np.bool_)  # the next band
        assert (error <= 1e-11 * size + grain)[~jumps].all(), column
    assert sure.mean() > 0.3  # the band is no excuse


@every_rule
def test_an_uncertain_account_is_one_at_its_threshold(name: str) -> None:
    prepared = prepared_of(name)
    book = random_book(prepared, 7, 4000)
    statement = prepared.assess(book)
    at = ~statement.certain
    gap = np.minimum(
        np.abs(statement.equity - statement.maintenance_margin), np.abs(statement.equity - statement.initial_margin)
    )
    size = np.abs(statement.equity) + statement.liabilities
    grain = 10 * prepared.shared.tables.grain_usd.max()
    assert name == "crvusd" or (gap[at] <= 1e-12 * size[at] + grain + 1e-12).all()


@every_rule
@settings(max_examples=10)
@given(seed=seeds, more=st.integers(1, 10**12))
def test_more_collateral_never_lowers_what_is_left(name: str, seed: int, more: int) -> None:
    prepared = prepared_of(name)
    book = random_book(prepared, seed, 20)
    for account in range(len(book)):
        position = prepared.position(book, account)
        if not position.pledged:
            continue
        before, asset = prepared.exact(book, account), position.pledged[0][0]
        book.add(account, asset, more)
        after = prepared.exact(book, account)
        assert after.equity - after.maintenance_margin >= before.equity - before.maintenance_margin - 1


@every_rule
@settings(max_examples=10)
@given(seed=seeds, times=st.integers(2, 9))
def test_a_multiple_of_a_healthy_account_is_healthy(name: str, seed: int, times: int) -> None:
    prepared = prepared_of(name)
    if not prepared.rule.homogeneous:
        pytest.skip(f"{name} is not homogeneous")
    book = random_book(prepared, seed, 20)
    grown = Book(book.universe, book.names)
    for account in range(len(book)):
        for i, lots in zip(*(x.tolist() for x in book.row(account)[:2]), strict=True):
            grown.add(account, i, lots * times)
        if not prepared.exact(book, account).liquidatable:
            assert not prepared.exact(grown, account).liquidatable


@every_rule
def test_split_and_offsetting_rows_change_nothing(name: str) -> None:
    prepared = prepared_of(name)
    book = random_book(prepared, 3, 300)
    doubled = Book(book.universe, book.names)
    for account in range(len(book)):
        i, lots, _ = (x.tolist() for x in book.row(account))
        extra = UNIVERSE.index("LINK")
        split = [(k, q // 3) for k, q in zip(i, lots, strict=True)] + [
            (k, q - q // 3) for k, q in zip(i, lots, strict=True)
        ]
        split += [(extra, 12345), (extra, -12345)]
        doubled.set_row(account, [k for k, _ in split], [q for _, q in split], [0] * len(split))
        assert prepared.exact(doubled, account) == prepared.exact(book, account)
    one, two = prepared.assess(book), prepared.assess(doubled)
    assert (one.equity == two.equity).all()
    assert (one.maintenance_margin == two.maintenance_margin).all()
    assert (one.initial_margin == two.initial_margin).all()


@every_rule
def test_terms_add_up_to_totals_and_name_the_toxic_ltv(name: str) -> None:
    prepared = prepared_of(name)
    book = random_book(prepared, 11, 60)
    for account in range(len(book)):
        found, exact = prepared.explain(book, account), prepared.exact(book, account)
        for total, amount in found.totals.items():
            assert amount == Decimal(getattr(exact, total)).scaleb(-6)
            assert sum((x.amount for x in found.terms if x.total == total), Decimal(0)) == amount
        weighed = [x for x in found.terms if x.name.startswith("collateral not counted")]
        assert all("toxic LTV" in x.detail for x in weighed)
        assert all(abs(x.amount) <= 2 for x in found.terms if x.name == "rounding")


@every_rule
def test_a_subset_is_assessed_as_in_the_whole(name: str) -> None:
    prepared = prepared_of(name)
    book = random_book(prepared, 5, 50)
    which = np.array([40, 3, 17])
    part, whole = prepared.assess(book, which), prepared.assess(book)
    assert part.names == tuple(book.names[a] for a in which)
    assert (part.maintenance_margin == whole.maintenance_margin[which]).all()
    assert len(prepared.assess(book, which[:0])) == 0


@every_rule
def test_the_digest_follows_prices_and_parameters(name: str) -> None:
    moved = market_of(UNIVERSE, {**PRICES, "ETH": "3000.26"})
    assert prepared_of(name).digest() == prepared_of(name).digest() != prepared_of(name, moved).digest()


@every_rule
def test_a_derivative_is_refused_with_the_rules_that_could(name: str) -> None:
    universe = UNIVERSE.listed(Perpetual("BTC/USDC:USDC", "BTC", "USDC"))
    market = Market(universe, NOW_NS, np.append(MARKET.ticks, 6_000_000))
    book = Book(universe, ["ann", "bob"])
    book.add(0, UNIVERSE.index("ETH"), 5)
    book.add(1, len(UNIVERSE), 5)
    prepared = prepared_of(name, market)
    for refused in (lambda: prepared.assess(book), lambda: prepared.exact(book, 1), lambda: prepared.explain(book, 1)):
        with pytest.raises(SolventError, match=r"bob = BTC/USDC:USDC \(perpetual\).*hyperliquid.*portfolio"):
            refused()
    assert prepared.assess(book, np.array([0])).equity[0] > 0  # and no one else


@every_rule
def test_a_missing_price_is_named(name: str) -> None:
    ticks = MARKET.ticks.copy()
    ticks[UNIVERSE.index("ETH")] = 0
    with pytest.raises(SolventError, match=r"ETH\.price = 0: a price above 0"):
        prepared_of(name, Market(UNIVERSE, NOW_NS, ticks))


@every_rule
def test_a_debt_that_no_market_lends_is_refused(name: str) -> None:
    prepared = prepared_of(name)
    book = Book(UNIVERSE, ["ann"])
    book.add(0, UNIVERSE.index("ETH"), 5)
    book.add(0, UNIVERSE.index("XYZ"), -5)
    with pytest.raises(SolventError, match=rf"ann = XYZ \(debt\).*{name} lends"):
        prepared.assess(book)
    with pytest.raises(SolventError, match=r"ann = XYZ \(debt\)"):
        prepared.exact(book, 0)


@pytest.mark.parametrize("name", [name for name in RULES if prepared_of(name).rule.isolated])
def test_isolated_positions_have_one_collateral(name: str) -> None:
    prepared = prepared_of(name)
    fixed = prepared.shared.fixed
    first, second, *_ = fixed.terms[0]
    loan = next(i for i, m in fixed.lender.items() if m == 0)
    book = Book(UNIVERSE, ["ann"])
    for i, lots in ((first, 10**9), (second, 10**9), (loan, -1)):
        book.add(0, i, lots)
    with pytest.raises(SolventError, match=r"positions of .* are isolated"):
        prepared.assess(book)
    with pytest.raises(SolventError, match=r"positions of .* are isolated"):
        prepared.exact(book, 0)


def test_debts_of_two_markets_are_refused() -> None:
    prepared = prepared_of("compound-v3")
    book = Book(UNIVERSE, ["ann"])
    for id, lots in (("WSTETH", 10**9), ("USDC", -5), ("WETH", -5)):
        book.add(0, UNIVERSE.index(id), lots)
    with pytest.raises(SolventError, match="debts of one market of compound-v3"):
        prepared.assess(book)


@every_rule
def test_what_no_market_takes_counts_in_equity_and_margins_alike(name: str) -> None:
    prepared = prepared_of(name)
    book = random_book(prepared, 2, 30)
    before = prepared.assess(book)
    for account in range(len(book)):
        book.add(account, UNIVERSE.index("XYZ"), 10**8)
    after = prepared.assess(book)
    headroom = after.equity - after.maintenance_margin - (before.equity - before.maintenance_margin)
    free = after.liabilities == 0
    assert np.allclose(after.equity - before.equity, 0.37)
    assert np.allclose(headroom[~free], 0, atol=1e-6 * (1 + before.liabilities[~free]))


# Admissibility


ADMISSIBLE = {
    "aave-v3": {"reserves": {"ETH": {"ltv": 0.8, "liquidation_threshold": 0.96, "liquidation_bonus": 0.05}}},
    "aave-v4": {"reserves": {"ETH": {"collateral_factor": 0.96, "maximum_bonus": 0.05}}},
    "compound-v3": {
        "comets": {"USDC": {"ETH": {"borrow_collateral_factor": 0.9, "liquidate_collateral_factor": 0.96,
                                    "liquidation_factor": 0.95}}}
    },
    "maker": {"ilks": {"ETH": {"liquidation_ratio": 1.1, "liquidation_penalty": 0.13}}},
    "liquity-v2": {"branches": {"ETH": {"minimum_ratio": 1.04, "critical_ratio": 1.5, "liquidation_penalty": 0.05}}},
    "silo-v2": {"silos": {"USDC": {"ETH": {"maximum_ltv": 0.9, "liquidation_threshold": 0.96,
                                           "liquidation_fee": 0.05}}}},
    "gearbox-v3": {"managers": {"USDC": {"ETH": {"liquidation_threshold": 0.95}}}},
}  # fmt: skip
"""Terms at which a liquidation at the trigger raises LTV."""


@pytest.mark.parametrize("name", ADMISSIBLE)
def test_thresholds_that_liquidations_cannot_save_are_refused_unless_flagged(name: str) -> None:
    unsafe = msgspec.structs.replace(read_policy(name), margin={"rule": name, **ADMISSIBLE[name]})
    with pytest.raises(SolventError, match=r"liquidation_threshold x \(1 \+ bonus\) < 1"):
        rule(name).prepare(UNIVERSE, MARKET, unsafe)
    flagged = msgspec.structs.replace(unsafe, margin={**unsafe.margin, "toxic_allowed": True})
    rule(name).prepare(UNIVERSE, MARKET, flagged)


@every_rule
def test_every_ready_made_policy_states_where_it_turns_toxic(name: str) -> None:
    found: Any = rule(name)
    params = params_of(name)
    assert found.check(params, UNIVERSE) == []
    toxic = found.toxic_ltv(params)
    rows = [row for market in found.markets(params, 2**40) for row in market.collaterals.items()]
    assert toxic
    for (id, terms), (key, ltv) in zip(rows, toxic.items(), strict=True):
        assert key.split("/")[0] == id
        assert terms.maintenance < ltv <= 1


def test_toxic_ltv_is_where_a_liquidation_starts_to_raise_ltv() -> None:
    for name, key, bonus in (("aave-v3", "ETH", 0.05), ("morpho-blue", "ETH/USDC", 0.0438), ("maker", "ETH", 0.13)):
        found: Any = rule(name)
        ltv = found.toxic_ltv(params_of(name))[key]
        assert ltv == pytest.approx(1 / (1 + bonus), abs=1e-4)
        for start, rises in ((ltv - 0.01, False), (ltv + 0.01, True)):
            repaid = 0.1
            after = (start - repaid) / (1 - repaid / ltv)
            assert (after > start) == rises


def test_eulers_toxic_ltv_follows_its_growing_discount() -> None:
    found: Any = rule("euler-v2")
    ltv = found.toxic_ltv(params_of("euler-v2"))["ETH/USDC"]
    assert ltv == pytest.approx(0.85**0.5)
    for start in (ltv - 0.01, ltv + 0.01):
        paid = max(0.85 / start, 0.85)  # of what is taken
        after = (start - 0.1 * paid) / (1 - 0.1)
        assert (after > start) == (start > ltv)


@every_rule
def test_weights_that_are_none_are_refused_at_once(name: str) -> None:
    def negative(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: negative(x) for key, x in value.items()}
        return -value if isinstance(value, float) else value

    ready = read_policy(name)
    broken = msgspec.structs.replace(ready, margin=negative(ready.margin))
    with pytest.raises(SolventError) as refused:
        rule(name).prepare(UNIVERSE, MARKET, broken)
    assert len(refused.value.problems) >= 1
    nan = msgspec.structs.replace(
        ready, margin={k: _with_nan(v) if isinstance(v, dict) else v for k, v in ready.margin.items()}
    )
    with pytest.raises(SolventError, match="NaN"):
        rule(name).prepare(UNIVERSE, MARKET, nan)


def _with_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_nan(x) for key, x in value.items()}
    return float("nan") if isinstance(value, float) else value


def test_an_asset_lent_by_two_markets_and_a_finer_weight_than_the_protocols_are_refused() -> None:
    twice = policy_with("maker", stablecoins=["DAI", "DAI"])
    with pytest.raises(SolventError, match="DAI = lent by two markets"):
        rule("maker").prepare(UNIVERSE, MARKET, twice)
    fine = policy_with("aave-v3", reserves={"ETH": {"ltv": 0.8, "liquidation_threshold": 0.83001}})
    with pytest.raises(SolventError, match="a multiple of 1/10000"):
        rule("aave-v3").prepare(UNIVERSE, MARKET, fine)


# What is a venue's own


@settings(max_examples=15)
@given(seed=seeds, ratio=st.sampled_from([1.05, 1.2, 1.35, 1.49, 1.6]), pool=st.sampled_from([0, 10**4, 10**12]))
def test_liquitys_recovery_mode(seed: int, ratio: float, pool: int) -> None:
    policy = policy_with("liquity-v1", system_ratio=ratio, stability_pool=pool)
    prepared = rule("liquity-v1").prepare(UNIVERSE, MARKET, policy)
    assert isinstance(prepared, PreparedLending)
    book = random_book(prepared, seed, 60)
    params = params_of("liquity-v1", policy.margin)
    statement = prepared.assess(book)
    for account in range(len(book)):
        held, owed = sides(book, account)
        wanted = trove(held, owed, params)
        assert prepared.exact(book, account).liquidatable == wanted
        assert not statement.certain[account] or statement.liquidatable[account] == wanted
    assert (statement.maintenance_margin <= statement.initial_margin).all()


def test_ramps_move_weights_with_time() -> None:
    end = NOW_NS // 10**9 + 500
    terms = {"borrow_ltv": 0.5, "liquidation_ltv": 0.6, "initial_ltv": 0.8, "ramp_end_s": end, "ramp_duration_s": 1000}
    policy = policy_with("euler-v2", vaults={"USDC": {"ETH": terms}})
    chosen = rule("euler-v2")
    book = Book(UNIVERSE, ["ann"])
    book.add(0, UNIVERSE.index("ETH"), 10**9)
    book.add(0, UNIVERSE.index("USDC"), -(2000 * 10**6))
    weights = []
    for later_s in (0, 250, 500, 9999):
        market = Market(UNIVERSE, NOW_NS + later_s * 10**9, MARKET.ticks)
        statement = chosen.prepare(UNIVERSE, market, policy).assess(book)
        weights.append(statement.collateral_value[0] / 3000.25)
    assert weights == pytest.approx([0.7, 0.65, 0.6, 0.6])
    thresholds = {"liquidation_threshold": 0.8, "final_threshold": 0.6, "ramp_start_s": end - 1000,
                  "ramp_duration_s": 1000}  # fmt: skip
    gearbox_policy = policy_with("gearbox-v3", managers={"USDC": {"ETH": thresholds}})
    statement = rule("gearbox-v3").prepare(UNIVERSE, MARKET, gearbox_policy).assess(book)
    assert statement.collateral_value[0] / 3000.25 == pytest.approx(0.7)


def test_a_quota_caps_what_counts() -> None:
    policy = policy_with("gearbox-v3", managers={"USDC": {"ETH": {"liquidation_threshold": 0.8, "quota_usd": 1000}}})
    prepared = rule("gearbox-v3").prepare(UNIVERSE, MARKET, policy)
    book = Book(UNIVERSE, ["ann", "bob"])
    for account, owed in enumerate((1001, 1000)):
        book.add(account, UNIVERSE.index("ETH"), 10**9)
        book.add(account, UNIVERSE.index("USDC"), -owed * 10**6)
    statement = prepared.assess(book)
    assert statement.collateral_value.tolist() == [1000, 1000]
    assert [prepared.exact(book, a).liquidatable for a in (0, 1)] == [True, False]


def test_euler_liquidates_at_equality_and_never_without_debt() -> None:
    prices = {**PRICES, "ETH": "2000", "USDC": "1"}
    prepared = prepared_of("euler-v2", market_of(UNIVERSE, prices))
    book = Book(UNIVERSE, ["at", "above", "free", "bare"])
    for account, (eth, usdc) in enumerate(((1, 1700), (1, 1699), (1, 0), (0, 5))):
        book.add(account, UNIVERSE.index("ETH"), eth * 10**9)
        book.add(account, UNIVERSE.index("USDC"), -usdc * 10**6)
    wanted = [True, False, False, True]
    assert [prepared.exact(book, a).liquidatable for a in range(4)] == wanted
    statement = prepared.assess(book)
    assert statement.liquidatable.tolist() == wanted
    assert statement.certain.tolist() == [False, True, True, True]


def test_margins_by_hand() -> None:
    """10 ETH at 2000 against 12,000 USDC under Aave v3: HF = 20,000 x 0.83 / 12,000."""
    market = market_of(UNIVERSE, {**PRICES, "ETH": "2000", "USDC": "1"})
    book = Book(UNIVERSE, ["ann"])
    book.add(0, UNIVERSE.index("ETH"), 10 * 10**9)
    book.add(0, UNIVERSE.index("USDC"), -12_000 * 10**6)
    prepared = prepared_of("aave-v3", market)
    statement = prepared.assess(book)
    assert statement.equity[0] == 8_000
    assert statement.maintenance_margin[0] == pytest.approx(20_000 * 0.17)
    assert statement.initial_margin[0] == pytest.approx(20_000 * 0.195)
    assert statement.venue_ratio is not None
    assert statement.venue_ratio[0] == pytest.approx(20_000 * 0.83 / 12_000)
    assert (statement.ratio_name, statement.leverage[0]) == ("health factor", 1.5)
    assert prepared.exact(book, 0) == (8_000 * 10**6, 3_900 * 10**6, 3_400 * 10**6, True)


def test_a_cheap_coin_is_priced_as_the_oracle_prices_it() -> None:
    """1e-8 USD is all that Aave sees: what is held rounds down, what is owed up."""
    coin = msgspec.structs.replace(spot("PEPE"), tick=Decimal("0.0000000001"), decimals=18, lot_atoms=10**12)
    universe = Universe([coin, spot("USDC")])
    market = Market(universe, NOW_NS, np.array([12_345, 10**6]))  # 0.0000012345
    table = {"PEPE": {"ltv": 0.5, "liquidation_threshold": 0.6}, "USDC": {"liquidation_threshold": 0.8}}
    prepared = rule("aave-v3").prepare(universe, market, policy_with("aave-v3", reserves=table))
    book = Book(universe, ["long", "short"])
    for account, sign in ((0, 1), (1, -1)):
        book.add(account, 0, sign * 10**9 * 10**6)
        book.add(account, 1, -sign * 500 * 10**6)
    statement = prepared.assess(book)
    assert statement.equity.tolist() == pytest.approx([1230 - 500, 500 - 1240])
    assert prepared.exact(book, 0).equity == 730 * 10**6


def test_control_another_threshold_gives_other_verdicts() -> None:
    prepared = prepared_of("aave-v3")
    book = random_book(prepared, 1, 200)
    params = params_of("aave-v3")
    lower = {
        id: msgspec.structs.replace(x, liquidation_threshold=x.liquidation_threshold - Decimal("0.01"))
        for id, x in params.reserves.items()
    }
    wrong = msgspec.structs.replace(params, reserves=lower)
    disagree = [a for a in range(200) if prepared.exact(book, a).liquidatable != aave3(*sides(book, a), wrong)]
    assert len(disagree) > 20
