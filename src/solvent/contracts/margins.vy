# pragma version 0.4.3
"""
@title Margin: the walk over all that an account has and owes, and the gates that ask it
@license Apache-2.0
@notice The one place where terms are added. Collateral is valued in the same walk: a call for each pair would cost
        more than what it does. Of each collateral value and weighted value are rounded down.
"""

from . import accounts
from . import errors
from . import health
from . import listings

uses: accounts
uses: listings


interface Prices:
    def mark_quote(market: uint256) -> (uint256, uint256): view
    def pair_quotes(assets: uint256) -> uint256[9]: view


interface Pool:
    def debt_of(shares: uint256) -> uint256: view


BPS: constant(uint256) = 10_000
MASK_16: constant(uint256) = 2**16 - 1
MASK_48: constant(uint256) = 2**48 - 1
MASK_88: constant(uint256) = 2**88 - 1
MASK_96: constant(uint256) = 2**96 - 1
MASK_128: constant(uint256) = 2**128 - 1
MARKETS_OF: constant(uint256) = MASK_16 << 200


@internal
@view
def assess(account: uint256, word: uint256, new_debt: uint256, initial: bool) -> (int256, uint256, uint256):
    """
    @notice Equity, margin and the worst price state of an account; the one place where terms are added.
    @param word The account's word, which may differ from the stored one.
    @param new_debt Atoms to be added to the debt.
    @param initial Initial margin in place of maintenance; then the walk over collaterals ends as soon as equity
           covers the margin, because each of them adds to equity at least what it adds to the margin.
    """
    cash: int256 = convert(word & MASK_88, int256)
    owed: uint256 = new_debt
    shares: uint256 = (word >> 88) & MASK_96
    if shares != 0:
        owed += staticcall Pool(accounts.pool).debt_of(shares, skip_contract_check=True)
    settled: int256 = unsafe_sub(cash, convert(owed, int256))
    equity: int256 = settled
    margin: uint256 = 0
    state: uint256 = health.OK
    assets: uint256 = (word >> 184) & MASK_16
    markets: uint256 = (word >> 200) & MASK_16
    if markets != 0:
        profit: int256 = 0
        profit, margin, state = self._assess_positions(account, markets, initial)
        equity += profit
        if initial and settled < cash:
            # Unsettled profit carries positions, never a debt: else losses of a market would become the lenders'.
            equity = min(equity, settled + convert(margin, int256))
    # The walk ends at so much weighted collateral: what is still to come changes no verdict.
    lacking: uint256 = max_value(uint256)
    if initial:
        if markets == 0 and equity >= 0:
            return equity, 0, state  # no price matters
        lacking = convert(max(convert(margin, int256) - equity, 0), uint256)
    if assets != 0:
        quotes: uint256[9] = staticcall Prices(accounts.prices).pair_quotes(assets, skip_contract_check=True)
        if quotes[8] > state:
            state = quotes[8]
        worth: uint256 = 0
        counted: uint256 = 0
        price_unit: uint256 = accounts.PRICE_UNIT
        risks: uint256 = 0
        for pair: uint256 in range(8):
            if counted >= lacking:
                break
            if assets & 3 != 0:
                if risks == 0:
                    risks = listings.risks[pair >> 1] >> ((pair & 1) << 7)
                amounts: uint256 = accounts.balances[account][pair]
                quote: uint256 = quotes[pair]
                price: uint256 = quote & MASK_48
                other: uint256 = (quote >> 108) & MASK_48
                weights: uint256 = risks >> 24
                if initial:
                    price = health.initial_price(quote)
                    other = health.initial_price(quote >> 108)
                    weights = risks >> 8
                # Values, each rounded down, and then weighted, each rounded down. An amount of 128 bits times a price of
                # 48 and a unit of at most 10**12 is below 2**216, times a weight below 2**230, 16 of them below 2**234.
                price = unsafe_div(
                    unsafe_mul(unsafe_mul(amounts & MASK_128, price), price_unit), pow_mod256(10, risks & 255)
                )
                other = unsafe_div(
                    unsafe_mul(unsafe_mul(amounts >> 128, other), price_unit), pow_mod256(10, (risks >> 64) & 255)
                )
                worth = unsafe_add(worth, unsafe_add(price, other))
                counted = unsafe_add(
                    counted,
                    unsafe_add(
                        unsafe_div(unsafe_mul(price, weights & MASK_16), BPS),
                        unsafe_div(unsafe_mul(other, (weights >> 64) & MASK_16), BPS),
                    ),
                )
            risks >>= 128
            assets >>= 2
            if assets == 0:
                break
        equity = unsafe_add(equity, convert(worth, int256))
        margin = unsafe_add(margin, unsafe_sub(worth, counted))
    return equity, margin, state


@internal
@view
def _assess_positions(account: uint256, markets: uint256, initial: bool) -> (int256, uint256, uint256):
    """
    @notice Unsettled profits of an account, what its positions must hold, and the worst price state.
    @param markets Bitmap of the markets it has positions in.
    """
    profits: int256 = 0
    margin: uint256 = 0
    worst: uint256 = health.OK
    rest: uint256 = markets
    for market: uint256 in range(16):
        if rest == 0:
            break
        if rest & 1 != 0:
            quote: uint256 = 0
            state: uint256 = 0
            quote, state = staticcall Prices(accounts.prices).mark_quote(market)
            profit: int256 = 0
            required: uint256 = 0
            profit, required = health.position_terms(
                accounts.positions[account][market], quote, listings.terms[market], initial
            )
            profits += profit
            margin += required
            worst = max(worst, state)
        rest >>= 1
    return profits, margin, worst


@internal
@view
def check_initial(account: uint256, word: uint256, new_debt: uint256):
    """
    @notice The gate of withdrawals, loans and takers: initial margin at good prices, and no liquidation under way.
    """
    errors.need(word >> 216 == 0, errors.UNDER_LIQUIDATION)
    if new_debt == 0 and (word & MARKETS_OF) == 0 and accounts.shares_of(word) == 0:
        return  # nothing owed: needs no price, so it works when nobody signs any more
    equity: int256 = 0
    margin: uint256 = 0
    state: uint256 = 0
    equity, margin, state = self.assess(account, word, new_debt, True)
    errors.need(state == health.OK, errors.PRICES_NOT_GOOD)
    errors.need(equity >= convert(margin, int256), errors.BELOW_INITIAL_MARGIN)


@internal
@view
def holds_initial(account: uint256, word: uint256, new_debt: uint256) -> bool:
    equity: int256 = 0
    margin: uint256 = 0
    state: uint256 = 0
    equity, margin, state = self.assess(account, word, new_debt, True)
    return state == health.OK and equity >= convert(margin, int256)


@internal
@view
def good_quote(market: uint256) -> uint256:
    quote: uint256 = 0
    state: uint256 = 0
    quote, state = staticcall Prices(accounts.prices).mark_quote(market)
    errors.need(state == health.OK, errors.PRICES_NOT_GOOD)
    return quote


@external
@view
@nonreentrant
def standing(account: uint256) -> (int256, uint256, uint256, uint256):
    """
    @notice Equity, maintenance margin (atoms), price state, and when liquidation began (0: it did not).
    """
    word: uint256 = accounts.accounts[account]
    equity: int256 = 0
    margin: uint256 = 0
    state: uint256 = 0
    equity, margin, state = self.assess(account, word, 0, False)
    return equity, margin, state, word >> 216


@external
@view
@nonreentrant
def has_initial(account: uint256) -> bool:
    """
    @notice Whether an account has its initial margin at good prices.
    """
    return self.holds_initial(account, accounts.accounts[account], 0)
