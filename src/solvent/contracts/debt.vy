# pragma version 0.4.3
"""
@title Debt: cash and loans of accounts; the settlement asset itself lies in `Pool`
@license Apache-2.0
@notice An account keeps debt shares; `Pool` says what they owe. Repaying needs no price, borrowing goes through the
        gate of `margins`.
"""

from . import accounts
from . import errors
from . import margins
from . import transfers

uses: accounts
uses: margins


interface Pool:
    def lend(amount: uint256, receiver: address) -> uint256: nonpayable
    def repay(amount: uint256, shares_most: uint256, from_custody: bool) -> (uint256, uint256): nonpayable
    def custody_in(amount: uint256): nonpayable
    def custody_out(amount: uint256, receiver: address): nonpayable
    def debt_of(shares: uint256) -> uint256: view


event Borrowed:
    account: indexed(uint256)
    amount: uint256
    shares: uint256


event Repaid:
    account: indexed(uint256)
    amount: uint256
    shares: uint256


CASH: constant(uint256) = max_value(uint256)  # in place of a collateral's number in events: the settlement asset
RIGHT_FUNDS: constant(uint256) = 2
MASK_88: constant(uint256) = 2**88 - 1


@external
@nonreentrant
def deposit_cash(account: uint256, amount: uint256):
    """
    @notice Bring settlement asset from the caller's wallet.
    """
    accounts.check_right(account, msg.sender, RIGHT_FUNDS)
    word: uint256 = accounts.accounts[account]
    accounts.set_account(account, accounts.with_cash(word, (word & MASK_88) + amount))
    log accounts.Deposited(account=account, asset=CASH, amount=amount)
    transfers.take(accounts.settlement, accounts.pool, amount)
    extcall Pool(accounts.pool).custody_in(amount)


@external
@nonreentrant
def withdraw_cash(account: uint256, amount: uint256, receiver: address):
    """
    @notice Take cash out; unsettled profit is no cash.
    """
    accounts.check_right(account, msg.sender, RIGHT_FUNDS)
    errors.need(receiver != empty(address), errors.NO_RECEIVER)
    word: uint256 = accounts.accounts[account]
    word = accounts.with_cash(word, (word & MASK_88) - amount)
    accounts.set_account(account, word)
    margins.check_initial(account, word, 0)
    log accounts.Withdrawn(account=account, asset=CASH, amount=amount, receiver=receiver)
    extcall Pool(accounts.pool).custody_out(amount, receiver)


@external
@nonreentrant
def borrow(account: uint256, amount: uint256, receiver: address):
    """
    @notice Borrow settlement asset from the pool against the account.
    """
    accounts.check_right(account, msg.sender, RIGHT_FUNDS)
    errors.need(amount != 0 and receiver != empty(address), errors.NOTHING_OR_NOBODY)
    word: uint256 = accounts.accounts[account]
    # With one share more: shares are rounded up, and one may owe more than an atom.
    margins.check_initial(account, word + (1 << 88), amount)
    self.lend(account, word, amount, receiver)


@internal
def lend(account: uint256, word: uint256, amount: uint256, receiver: address):
    shares: uint256 = extcall Pool(accounts.pool).lend(amount, receiver)
    accounts.set_account(account, accounts.with_shares(word, accounts.shares_of(word) + shares))
    log Borrowed(account=account, amount=amount, shares=shares)


@external
@nonreentrant
def repay(account: uint256, amount: uint256) -> uint256:
    """
    @notice Pay an account's debt from the caller's wallet; anyone may.
    @param amount At most so much; the greatest number pays all.
    @return What was paid.
    """
    word: uint256 = accounts.accounts[account]
    paid: uint256 = min(amount, staticcall Pool(accounts.pool).debt_of(accounts.shares_of(word)))
    transfers.take(accounts.settlement, accounts.pool, paid)
    return self._repay(account, word, paid, False)


@external
@nonreentrant
def repay_from_cash(account: uint256, amount: uint256) -> uint256:
    """
    @notice Pay an account's debt from its cash.
    @return What was paid.
    """
    accounts.check_right(account, msg.sender, RIGHT_FUNDS)
    word: uint256 = accounts.accounts[account]
    return self._repay(account, word, min(amount, word & MASK_88), True)


@internal
def _repay(account: uint256, word: uint256, amount: uint256, from_cash: bool) -> uint256:
    shares: uint256 = accounts.shares_of(word)
    paid: uint256 = 0
    burned: uint256 = 0
    paid, burned = extcall Pool(accounts.pool).repay(amount, shares, from_cash)
    kept: uint256 = accounts.with_shares(word, shares - burned)
    if from_cash:
        kept = accounts.with_cash(kept, (word & MASK_88) - paid)
    accounts.set_account(account, kept)
    log Repaid(account=account, amount=paid, shares=burned)
    return paid
