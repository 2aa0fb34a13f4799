# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Clearing: cross-margin accounts of collateral, cash, debt and linear perpetual positions
@license Apache-2.0
@custom:kill No switch stops withdrawals or repayments. New risk stops where the Steward sets deposit caps, borrow
             cap, weights or open-interest caps to zero, or where prices halt.
@notice Collateral lies here, the settlement asset in `Pool`. What accounts may do is in the modules, one idea each:
          accounts    words of accounts, balances and positions; operators
          listings    parameters of collaterals and markets
          margins     equity and margin, and the gates that ask them
          collateral  deposits and withdrawals, and their caps
          debt        cash and loans
          orders      signed orders, filled and cancelled
          markets     fills, positions, settled profits and losses
        Here is what the Auction alone may do, and the insurance that it owes.
        Logs rebuild all accounts: each new account and position word is an event, and balances move with
        `Deposited`, `Withdrawn` and `Sliced`.
        Each function checks, accrues, changes state, and calls tokens last.
"""

from . import accounts
from . import collateral
from . import debt
from . import errors
from . import listings
from . import margins
from . import markets
from . import orders
from . import packing

initializes: accounts
initializes: listings[accounts := accounts]
initializes: margins[accounts := accounts, listings := listings]
initializes: collateral[accounts := accounts, listings := listings, margins := margins]
initializes: debt[accounts := accounts, margins := margins]
initializes: orders[accounts := accounts]
initializes: markets[accounts := accounts, listings := listings, margins := margins, debt := debt, orders := orders]

exports: (
    accounts.pool,
    accounts.prices,
    accounts.settlement,
    accounts.operators,
    accounts.set_operator,
    accounts.account_word,
    accounts.balance_of,
    accounts.position_word,
)
exports: (
    listings.steward,
    listings.terms_word,
    listings.parameter,
    listings.set_parameter,
)
exports: (
    margins.standing,
    margins.has_initial,
)
exports: (
    collateral.deposit,
    collateral.withdraw,
    collateral.total,
)
exports: (
    debt.deposit_cash,
    debt.withdraw_cash,
    debt.borrow,
    debt.repay,
    debt.repay_from_cash,
)
exports: (
    orders.filled,
    orders.order_digest,
    orders.cancel,
)
exports: (
    markets.fill,
    markets.settle,
    markets.market_state,
)


interface Pool:
    def pay_insurance(amount: uint256) -> uint256: nonpayable
    def share_loss(amount: uint256, shares_most: uint256) -> uint256: nonpayable
    def insure_from_custody(amount: uint256): nonpayable
    def debt_of(shares: uint256) -> uint256: view


event LossTaken:
    account: indexed(uint256)
    insurance: uint256
    lenders: uint256


event Sliced:
    account: indexed(uint256)
    taker: indexed(uint256)
    fraction_e18: uint256
    paid: uint256
    fee: uint256


event InsuranceSwept:
    amount: uint256


WAD: constant(uint256) = 10**18
RIGHT_FUNDS: constant(uint256) = 2
MASK_16: constant(uint256) = 2**16 - 1
MASK_88: constant(uint256) = 2**88 - 1
MASK_128: constant(uint256) = 2**128 - 1

deployer: immutable(address)

auction: public(address)
insurance_owed: public(uint256)


@deploy
@payable
def __init__(steward_: address, pool_: address, prices_: address):
    """
    @param steward_ The only one who changes parameters.
    @param pool_ Where the settlement asset lies and debt comes from.
    @param prices_ Guarded prices.
    """
    accounts.__init__(pool_, prices_)
    listings.__init__(steward_)
    deployer = msg.sender


@external
def wire(auction_: address):
    """
    @notice Name the Auction that may move accounts under liquidation; the deployer, once.
    """
    errors.need(msg.sender == deployer and self.auction == empty(address), errors.NOT_AUTHORISED)
    errors.need(auction_ != empty(address), errors.NO_RECEIVER)
    self.auction = auction_


@external
@nonreentrant
def sweep_insurance():
    """
    @notice Move penalties that takers paid into the insurance fund; anyone may.
    """
    amount: uint256 = self.insurance_owed
    self.insurance_owed = 0
    log InsuranceSwept(amount=amount)
    extcall Pool(accounts.pool).insure_from_custody(amount)


@external
@nonreentrant
def set_auction(account: uint256, start: uint256):
    """
    @notice Begin (a time in s) or end (0) an account's liquidation.
    """
    errors.need(msg.sender == self.auction, errors.NOT_AUTHORISED)
    accounts.set_account(account, packing.with_field(accounts.accounts[account], 216, 40, start))


@external
@nonreentrant
def take(
    account: uint256,
    taker: uint256,
    caller: address,
    fraction_e18: uint256,
    paid: uint256,
    fee: uint256,
    start: uint256,
):
    """
    @notice Move a slice of everything that an account has and owes to a taker, who pays into its cash.
    @param caller Who acts for the taker: its owner or an operator for funds.
    @param fee Part of `paid` that goes to insurance.
    @param start What the account's auction start is afterwards; 0 ends the liquidation.
    """
    errors.need(msg.sender == self.auction, errors.NOT_AUTHORISED)
    accounts.check_right(taker, caller, RIGHT_FUNDS)
    errors.need(account >> 8 != taker >> 8 and fraction_e18 <= WAD, errors.ONE_OWNER)
    word: uint256 = accounts.accounts[account]
    other: uint256 = accounts.accounts[taker]
    word, other = self._take_balances(account, taker, word, other, fraction_e18)
    cash: uint256 = (word & MASK_88) * fraction_e18 // WAD
    shares: uint256 = accounts.shares_of(word) * fraction_e18 // WAD
    self.insurance_owed += fee
    word = accounts.with_cash(word, (word & MASK_88) - cash + paid - fee)
    word = accounts.with_shares(word, accounts.shares_of(word) - shares)
    other = accounts.with_cash(other, (other & MASK_88) + cash - paid)
    other = accounts.with_shares(other, accounts.shares_of(other) + shares)
    accounts.set_account(account, packing.with_field(word, 216, 40, start))
    accounts.set_account(taker, other)
    log Sliced(account=account, taker=taker, fraction_e18=fraction_e18, paid=paid, fee=fee)
    margins.check_initial(taker, other, 0)


@external
@nonreentrant
def absorb(account: uint256, taker: uint256, payout: uint256, lenders_most: uint256) -> (uint256, uint256):
    """
    @notice Pay for an account that is worth less than nothing, before its taker gets it: insurance first, then
            lenders lose what was lent.
    @param payout What the taker asks for.
    @param lenders_most What of it the lenders may lose.
    @return What insurance paid in cash, and what the lenders lost of the account's debt.
    """
    errors.need(msg.sender == self.auction, errors.NOT_AUTHORISED)
    insured: uint256 = extcall Pool(accounts.pool).pay_insurance(payout)
    other: uint256 = accounts.accounts[taker]
    accounts.set_account(taker, accounts.with_cash(other, (other & MASK_88) + insured))
    word: uint256 = accounts.accounts[account]
    shares: uint256 = accounts.shares_of(word)
    lenders: uint256 = min(payout - insured, lenders_most)
    if shares != 0 and lenders != 0:
        lenders = min(lenders, staticcall Pool(accounts.pool).debt_of(shares))
        shares -= extcall Pool(accounts.pool).share_loss(lenders, shares)
        accounts.set_account(account, accounts.with_shares(word, shares))
    else:
        lenders = 0
    log LossTaken(account=account, insurance=insured, lenders=lenders)
    return insured, lenders


@external
@nonreentrant
def move_position(account: uint256, market: uint256, lots: int256, amount: int256, index: uint256):
    """
    @notice Add lots and quote to a position; the Auction keeps their sums over all accounts.
    """
    errors.need(msg.sender == self.auction, errors.NOT_AUTHORISED)
    markets.move(account, market, lots, amount, index)


@external
@nonreentrant
def set_deficit(market: uint256, deficit: uint256):
    """
    @notice The loss that a market's winners still have to share.
    """
    errors.need(msg.sender == self.auction, errors.NOT_AUTHORISED)
    markets.set_funds(market, markets.funds[market] & MASK_128, deficit)


@internal
def _take_balances(
    account: uint256, taker: uint256, word: uint256, other: uint256, fraction_e18: uint256
) -> (uint256, uint256):
    """
    @notice Move the slice of each collateral, rounded down; the two account words with their bitmaps.
    """
    assets: uint256 = (word >> 184) & MASK_16
    kept: uint256 = assets
    gained: uint256 = 0
    for pair: uint256 in range(8):
        if assets >> (2 * pair) == 0:
            break
        if (assets >> (2 * pair)) & 3 == 0:
            continue
        amounts: uint256 = accounts.balances[account][pair]
        low: uint256 = unsafe_div(unsafe_mul(amounts & MASK_128, fraction_e18), WAD)
        high: uint256 = unsafe_div(unsafe_mul(amounts >> 128, fraction_e18), WAD)
        rest: uint256 = unsafe_sub(amounts, low | (high << 128))
        if rest & MASK_128 == 0:
            kept &= ~(1 << (2 * pair))
        if rest >> 128 == 0:
            kept &= ~(2 << (2 * pair))
        if low != 0:
            gained |= 1 << (2 * pair)
        if high != 0:
            gained |= 2 << (2 * pair)
        # Totals are below 2**128, so the halves of the taker's word cannot run over.
        accounts.balances[account][pair] = rest
        accounts.balances[taker][pair] = unsafe_add(accounts.balances[taker][pair], low | (high << 128))
    return (word & ~(MASK_16 << 184)) | (kept << 184), other | (gained << 184)
