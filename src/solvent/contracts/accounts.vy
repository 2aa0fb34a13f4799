# pragma version 0.4.3
"""
@title Accounts: the words that they are kept in, and who may act for them
@license Apache-2.0
@notice An account is owner * 256 + a number of its owner's choice.
          account   cash 88 | debt shares 96 | collaterals 16 | markets 16 | auction start 32 | auction resets 8 bits
          balances  two collaterals of 128 bits a word
          position  lots 64 | quote leg 96 | funding index 96 bits, all signed
        Each new account word is an event.
"""

from . import errors
from . import packing


interface Pool:
    def asset() -> address: view
    def decimals() -> uint8: view


event AccountSet:
    account: indexed(uint256)
    word: uint256


event OperatorSet:
    owner: indexed(address)
    operator: indexed(address)
    rights: uint256


event Deposited:
    account: indexed(uint256)
    asset: indexed(uint256)
    amount: uint256


event Withdrawn:
    account: indexed(uint256)
    asset: indexed(uint256)
    amount: uint256
    receiver: address


MASK_88: constant(uint256) = 2**88 - 1
MASK_96: constant(uint256) = 2**96 - 1

pool: public(immutable(address))
prices: public(immutable(address))
settlement: public(immutable(address))
PRICE_UNIT: immutable(uint256)

accounts: HashMap[uint256, uint256]
balances: HashMap[uint256, uint256[8]]
positions: HashMap[uint256, uint256[16]]
operators: public(HashMap[address, HashMap[address, uint256]])


@deploy
def __init__(pool_: address, prices_: address):
    pool = pool_
    prices = prices_
    settlement = staticcall Pool(pool_).asset()
    # Shares have six decimals more than the asset: atoms in 1e-6 of it are 10 ** (decimals - 6).
    PRICE_UNIT = 10 ** (convert(staticcall Pool(pool_).decimals(), uint256) - 12)


@external
def set_operator(operator: address, rights: uint256):
    """
    @notice Let another act for all accounts of the caller.
    @param rights 1 sign orders and cancel them, 2 move funds and bid; added up; 0 takes all back.
    """
    errors.need(rights <= 3, errors.UNSAFE_PARAMETER)
    self.operators[msg.sender][operator] = rights
    log OperatorSet(owner=msg.sender, operator=operator, rights=rights)


@internal
@view
def check_right(account: uint256, caller: address, right: uint256):
    owner: address = convert(account >> 8, address)
    if caller != owner:
        errors.need(self.operators[owner][caller] & right != 0, errors.NOT_AUTHORISED)


@internal
def set_account(account: uint256, word: uint256):
    self.accounts[account] = word
    log AccountSet(account=account, word=word)


@internal
@pure
def with_cash(word: uint256, cash: uint256) -> uint256:
    errors.need(cash <= MASK_88, errors.TOO_LARGE)
    return ((word >> 88) << 88) | cash


@internal
@pure
def with_shares(word: uint256, shares: uint256) -> uint256:
    errors.need(shares <= MASK_96, errors.TOO_LARGE)
    return (word & ~(MASK_96 << 88)) | (shares << 88)


@internal
@pure
def shares_of(word: uint256) -> uint256:
    return (word >> 88) & MASK_96


@external
@view
def account_word(account: uint256) -> uint256:
    """
    @notice cash 88 | debt shares 96 | collaterals 16 | markets 16 | auction start 32 | auction resets 8 bits.
    """
    return self.accounts[account]


@external
@view
def balance_of(account: uint256, asset: uint256) -> uint256:
    """
    @notice Atoms of a collateral.
    """
    return packing.field(self.balances[account][asset >> 1], (asset & 1) << 7, 128)


@external
@view
def position_word(account: uint256, market: uint256) -> uint256:
    """
    @notice lots 64 | quote leg 96 | funding index 96 bits, all signed.
    """
    return self.positions[account][market]
