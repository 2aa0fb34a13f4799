# pragma version 0.4.3
"""
@title Vault: lenders' shares (ERC-20) and what they are worth (ERC-4626)
@license Apache-2.0
@notice What is given is rounded down, what is taken is rounded up.
"""

from . import errors
from . import reserves

uses: reserves


event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    value: uint256


event Approval:
    owner: indexed(address)
    spender: indexed(address)
    value: uint256


event Deposit:
    sender: indexed(address)
    owner: indexed(address)
    assets: uint256
    shares: uint256


event Withdraw:
    sender: indexed(address)
    receiver: indexed(address)
    owner: indexed(address)
    assets: uint256
    shares: uint256


VIRTUAL_SHARES: constant(uint256) = 10**6

name: public(constant(String[24])) = "Solvent settlement pool"
symbol: public(constant(String[8])) = "svPOOL"
decimals: public(immutable(uint8))

balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])
totalSupply: public(uint256)


@deploy
def __init__(units: uint8):
    decimals = units + 6


@external
@view
def totalAssets() -> uint256:
    """
    @notice What the shares are worth: idle money and debt with interest, less the reserve factor's part.
    """
    return reserves.total()


@internal
@view
def _to_shares(assets: uint256, up: bool) -> uint256:
    return self._scaled(assets, self.totalSupply + VIRTUAL_SHARES, reserves.total() + 1, up)


@internal
@view
def _to_assets(shares: uint256, up: bool) -> uint256:
    return self._scaled(shares, reserves.total() + 1, self.totalSupply + VIRTUAL_SHARES, up)


@internal
@pure
def _scaled(a: uint256, b: uint256, c: uint256, up: bool) -> uint256:
    product: uint256 = a * b
    if up:
        return (product + c - 1) // c
    return product // c


@external
@view
def convertToShares(assets: uint256) -> uint256:
    """
    @notice Shares for so much, rounded down.
    """
    return self._to_shares(assets, False)


@external
@view
def convertToAssets(shares: uint256) -> uint256:
    """
    @notice What shares are worth, rounded down.
    """
    return self._to_assets(shares, False)


@external
@view
def previewDeposit(assets: uint256) -> uint256:
    """
    @notice Shares that a deposit gives, rounded down.
    """
    return self._to_shares(assets, False)


@external
@view
def previewMint(shares: uint256) -> uint256:
    """
    @notice What shares cost, rounded up.
    """
    return self._to_assets(shares, True)


@external
@view
def previewWithdraw(assets: uint256) -> uint256:
    """
    @notice Shares that a withdrawal takes, rounded up.
    """
    return self._to_shares(assets, True)


@external
@view
def previewRedeem(shares: uint256) -> uint256:
    """
    @notice What shares bring, rounded down.
    """
    return self._to_assets(shares, False)


@internal
@view
def _room() -> uint256:
    cap: uint256 = reserves.terms >> 168
    total: uint256 = reserves.total()
    return cap - min(cap, total)


@external
@view
def maxDeposit(receiver: address) -> uint256:
    """
    @notice Room below the supply cap.
    """
    return self._room()


@external
@view
def maxMint(receiver: address) -> uint256:
    """
    @notice Shares for the room below the supply cap.
    """
    return self._to_shares(self._room(), False)


@internal
@view
def _most_out(owner: address) -> uint256:
    reserve: uint256 = reserves.total()
    debt: uint256 = 0
    interest: uint256 = 0
    debt, interest = reserves.accrued()
    # Idle money less what accrual would move to insurance: total - debt.
    return min(self._to_assets(self.balanceOf[owner], False), reserve - debt)


@external
@view
def maxWithdraw(owner: address) -> uint256:
    """
    @notice What an owner can take out now: the shares' worth, at most what is idle.
    """
    return self._most_out(owner)


@external
@view
def maxRedeem(owner: address) -> uint256:
    """
    @notice Shares that an owner can redeem now.
    """
    return min(self.balanceOf[owner], self._to_shares(self._most_out(owner), False))


@external
@nonreentrant
def deposit(assets: uint256, receiver: address) -> uint256:
    """
    @notice Lend `assets` to the pool for shares, rounded down.
    """
    shares: uint256 = self._to_shares(assets, False)
    self._deposit(assets, shares, receiver)
    return shares


@external
@nonreentrant
def mint(shares: uint256, receiver: address) -> uint256:
    """
    @notice Buy `shares` for what they cost, rounded up.
    """
    assets: uint256 = self._to_assets(shares, True)
    self._deposit(assets, shares, receiver)
    return assets


@internal
def _deposit(assets: uint256, shares: uint256, receiver: address):
    errors.need(shares != 0 and receiver != empty(address), errors.NOTHING_OR_NOBODY)
    errors.need(assets <= self._room(), errors.SUPPLY_CAP)
    debt: uint256 = 0
    debt_shares: uint256 = 0
    idle: uint256 = 0
    insurance: uint256 = 0
    debt, debt_shares, idle, insurance = reserves.accrue()
    reserves.store(debt, debt_shares, idle + assets, insurance)
    self.totalSupply += shares
    self.balanceOf[receiver] += shares
    log Transfer(sender=empty(address), receiver=receiver, value=shares)
    log Deposit(sender=msg.sender, owner=receiver, assets=assets, shares=shares)
    reserves.take(assets)


@external
@nonreentrant
def withdraw(assets: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Take `assets` out for shares, rounded up.
    """
    shares: uint256 = self._to_shares(assets, True)
    self._withdraw(assets, shares, receiver, owner)
    return shares


@external
@nonreentrant
def redeem(shares: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Give `shares` for what they bring, rounded down.
    """
    assets: uint256 = self._to_assets(shares, False)
    self._withdraw(assets, shares, receiver, owner)
    return assets


@internal
def _withdraw(assets: uint256, shares: uint256, receiver: address, owner: address):
    errors.need(assets != 0 and receiver != empty(address), errors.NOTHING_OR_NOBODY)
    if msg.sender != owner:
        self._spend(owner, shares)
    debt: uint256 = 0
    debt_shares: uint256 = 0
    idle: uint256 = 0
    insurance: uint256 = 0
    debt, debt_shares, idle, insurance = reserves.accrue()
    errors.need(assets <= idle, errors.NOT_ENOUGH_IDLE)
    self.balanceOf[owner] -= shares
    self.totalSupply -= shares
    reserves.store(debt, debt_shares, idle - assets, insurance)
    log Transfer(sender=owner, receiver=empty(address), value=shares)
    log Withdraw(sender=msg.sender, receiver=receiver, owner=owner, assets=assets, shares=shares)
    reserves.send(receiver, assets)


@external
def transfer(receiver: address, amount: uint256) -> bool:
    """
    @notice ERC-20.
    """
    self._transfer(msg.sender, receiver, amount)
    return True


@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    """
    @notice ERC-20.
    """
    self._spend(owner, amount)
    self._transfer(owner, receiver, amount)
    return True


@external
def approve(spender: address, amount: uint256) -> bool:
    """
    @notice ERC-20; the greatest number is spent without end.
    """
    self.allowance[msg.sender][spender] = amount
    log Approval(owner=msg.sender, spender=spender, value=amount)
    return True


@internal
def _transfer(owner: address, receiver: address, amount: uint256):
    errors.need(receiver != empty(address), errors.NO_RECEIVER)
    self.balanceOf[owner] -= amount
    self.balanceOf[receiver] += amount
    log Transfer(sender=owner, receiver=receiver, value=amount)


@internal
def _spend(owner: address, amount: uint256):
    allowed: uint256 = self.allowance[owner][msg.sender]
    if allowed != max_value(uint256):
        self.allowance[owner][msg.sender] = allowed - amount
