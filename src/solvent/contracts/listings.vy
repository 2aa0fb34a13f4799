# pragma version 0.4.3
"""
@title Listings: the parameters of collaterals and markets, which the Steward alone changes
@license Apache-2.0
@notice All that a check reads of one collateral or market lies in one word. Here are no bounds, steps or delays: those
        are the Steward's.
"""

from . import accounts
from . import errors
from . import packing

uses: accounts


event ParameterSet:
    key: indexed(uint256)
    value: uint256


BPS: constant(uint256) = 10_000
DECIMALS_MOST: constant(uint256) = 27  # of a unit: what is deposited a day has 96 bits

# Parameters, by field; the key of one is field + 256 * index.
TOKEN: constant(uint256) = 0
CAP_TOTAL: constant(uint256) = 1
CAP_ACCOUNT: constant(uint256) = 2
CAP_DAILY: constant(uint256) = 3
UNIT_DECIMALS: constant(uint256) = 4
WEIGHT_INITIAL: constant(uint256) = 5
WEIGHT_MAINTENANCE: constant(uint256) = 6
MULTIPLIER: constant(uint256) = 7
RATE_MAINTENANCE: constant(uint256) = 8
RATE_INITIAL: constant(uint256) = 9
BAND_BPS: constant(uint256) = 10
FEE_MOST_BPS: constant(uint256) = 11
OPEN_INTEREST_CAP: constant(uint256) = 12

steward: public(immutable(address))

# token 160 | unit decimals 8 | total cap 29 | account cap 29 | daily cap 29 bits, caps in listed units
tokens: uint256[16]
# four collaterals of 64 bits a word: unit decimals 8 | initial weight 16 | maintenance weight 16
risks: uint256[4]
# multiplier 64 | maintenance rate 16 | initial rate 16 | band 16 | most fee 16 | open-interest cap 64 bits
terms: uint256[16]


@deploy
def __init__(steward_: address):
    steward = steward_


@external
@view
def terms_word(market: uint256) -> uint256:
    """
    @notice multiplier 64 | maintenance rate 16 | initial rate 16 | band 16 | most fee 16 | open-interest cap 64 bits.
    """
    return self.terms[market]


@internal
@pure
def _place(field: uint256, index: uint256) -> (uint256, uint256):
    """
    @notice Offset and width of a parameter in its word.
    """
    if field == TOKEN:
        return 0, 160
    if field <= CAP_DAILY:
        return 139 + 29 * field, 29
    if field == UNIT_DECIMALS:
        return 64 * (index & 3), 8
    if field <= WEIGHT_MAINTENANCE:
        return 64 * (index & 3) + 8 + 16 * (field - WEIGHT_INITIAL), 16
    if field == MULTIPLIER:
        return 0, 64
    if field == OPEN_INTEREST_CAP:
        return 128, 64
    errors.need(field < OPEN_INTEREST_CAP, errors.NO_SUCH_PARAMETER)
    return 64 + 16 * (field - RATE_MAINTENANCE), 16


@internal
@view
def _parameter(field: uint256, index: uint256) -> uint256:
    offset: uint256 = 0
    width: uint256 = 0
    offset, width = self._place(field, index)
    word: uint256 = self.terms[index]
    if field <= CAP_DAILY:
        word = self.tokens[index]
    elif field <= WEIGHT_MAINTENANCE:
        word = self.risks[index >> 2]
    return packing.field(word, offset, width)


@external
@view
def parameter(key: uint256) -> uint256:
    """
    @notice A parameter's present value; its key is field + 256 * index.
    """
    return self._parameter(key & 255, key >> 8)


@external
def set_parameter(key: uint256, setting: uint256):
    """
    @notice Change a parameter; the Steward alone, who keeps bounds, steps and delays.
    @dev A token and a market's multiplier are set once, and a unit before its token: they say what amounts mean.
    """
    errors.need(msg.sender == steward, errors.NOT_AUTHORISED)
    field: uint256 = key & 255
    index: uint256 = key >> 8
    first: uint256 = field
    if field == UNIT_DECIMALS:
        errors.need(setting <= DECIMALS_MOST, errors.UNSAFE_PARAMETER)
        first = TOKEN
    if first == TOKEN or first == MULTIPLIER:
        errors.need(self._parameter(first, index) == 0, errors.SET_ONCE)
    offset: uint256 = 0
    width: uint256 = 0
    offset, width = self._place(field, index)
    if field <= CAP_DAILY:
        self.tokens[index] = packing.with_field(self.tokens[index], offset, width, setting)
    elif field <= WEIGHT_MAINTENANCE:
        self.risks[index >> 2] = packing.with_field(self.risks[index >> 2], offset, width, setting)
        if field == UNIT_DECIMALS:
            self.tokens[index] = packing.with_field(self.tokens[index], 160, 8, setting)
    else:
        self.terms[index] = packing.with_field(self.terms[index], offset, width, setting)
    errors.need(self._parameter(WEIGHT_INITIAL, index) <= self._parameter(WEIGHT_MAINTENANCE, index), errors.UNSAFE_PARAMETER)
    errors.need(self._parameter(WEIGHT_MAINTENANCE, index) < BPS, errors.UNSAFE_PARAMETER)
    errors.need(self._parameter(RATE_MAINTENANCE, index) <= self._parameter(RATE_INITIAL, index), errors.UNSAFE_PARAMETER)
    # Above the whole notional a lower price would ask for less than it takes away.
    errors.need(self._parameter(RATE_INITIAL, index) <= BPS, errors.UNSAFE_PARAMETER)
    errors.need(setting != convert(accounts.settlement, uint256) or field != TOKEN, errors.UNSAFE_PARAMETER)
    log ParameterSet(key=key, value=setting)
