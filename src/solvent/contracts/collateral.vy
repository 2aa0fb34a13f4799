# pragma version 0.4.3
"""
@title Collateral: what is brought and taken out, and the caps on what is brought
@license Apache-2.0
@notice Each function checks, changes state, and calls tokens last.
"""

from ethereum.ercs import IERC20

from . import accounts
from . import errors
from . import listings
from . import margins
from . import transfers

uses: accounts
uses: listings
uses: margins


RIGHT_FUNDS: constant(uint256) = 2
MASK_29: constant(uint256) = 2**29 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_96: constant(uint256) = 2**96 - 1
MASK_128: constant(uint256) = 2**128 - 1

# total 128 | day 32 | deposited that day 96 bits
totals: uint256[16]


@external
@nonreentrant
def deposit(account: uint256, asset: uint256, amount: uint256):
    """
    @notice Bring collateral from the caller's wallet.
    """
    accounts.check_right(account, msg.sender, RIGHT_FUNDS)
    listing: uint256 = listings.tokens[asset]
    errors.need(listing & (2**160 - 1) != 0 and amount != 0, errors.NOT_LISTED)
    pair: uint256 = asset >> 1
    offset: uint256 = (asset & 1) << 7
    amounts: uint256 = accounts.balances[account][pair]
    balance: uint256 = ((amounts >> offset) & MASK_128) + amount
    self._count_deposit(asset, amount, balance, listing)
    word: uint256 = accounts.accounts[account]
    if (word >> (184 + asset)) & 1 == 0:
        accounts.set_account(account, word | (1 << (184 + asset)))
    accounts.balances[account][pair] = (amounts & (MASK_128 << (128 - offset))) | (balance << offset)
    log accounts.Deposited(account=account, asset=asset, amount=amount)
    token: address = convert(listing & (2**160 - 1), address)
    transfers.take(token, self, amount)
    held: uint256 = staticcall IERC20(token).balanceOf(self)
    errors.need(held >= self.totals[asset] & MASK_128, errors.MONEY_MISSING)


@internal
def _count_deposit(asset: uint256, amount: uint256, balance: uint256, listing: uint256):
    """
    @notice Hold a deposit to the caps of the listing: in total, of one account, and a day.
    """
    totals: uint256 = self.totals[asset]
    unit: uint256 = pow_mod256(10, (listing >> 160) & 255)
    total: uint256 = (totals & MASK_128) + amount
    day: uint256 = block.timestamp // 86_400
    today: uint256 = amount
    if (totals >> 128) & MASK_32 == day:
        today += totals >> 160
    errors.need(total <= ((listing >> 168) & MASK_29) * unit, errors.TOTAL_CAP)
    errors.need(balance <= ((listing >> 197) & MASK_29) * unit, errors.ACCOUNT_CAP)
    errors.need(today <= ((listing >> 226) & MASK_29) * unit, errors.DAILY_CAP)
    errors.need(total <= MASK_128 and today <= MASK_96, errors.TOO_LARGE)
    self.totals[asset] = total | (day << 128) | (today << 160)


@external
@nonreentrant
def withdraw(account: uint256, asset: uint256, amount: uint256, receiver: address):
    """
    @notice Take collateral out; an account that owes nothing needs no price for it.
    """
    accounts.check_right(account, msg.sender, RIGHT_FUNDS)
    errors.need(amount != 0 and receiver != empty(address), errors.NOTHING_OR_NOBODY)
    pair: uint256 = asset >> 1
    offset: uint256 = (asset & 1) << 7
    amounts: uint256 = accounts.balances[account][pair]
    balance: uint256 = ((amounts >> offset) & MASK_128) - amount
    word: uint256 = accounts.accounts[account]
    accounts.balances[account][pair] = (amounts & (MASK_128 << (128 - offset))) | (balance << offset)
    if balance == 0:
        word &= ~(1 << (184 + asset))
        accounts.set_account(account, word)
    self.totals[asset] -= amount
    margins.check_initial(account, word, 0)
    log accounts.Withdrawn(account=account, asset=asset, amount=amount, receiver=receiver)
    token: address = convert(listings.tokens[asset] & (2**160 - 1), address)
    transfers.send(token, receiver, amount)


@external
@view
def total(asset: uint256) -> uint256:
    """
    @notice Atoms of a collateral that all accounts hold.
    """
    return self.totals[asset] & MASK_128
