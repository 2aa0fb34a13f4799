# pragma version 0.4.3
"""
@title Reserves: the money of the pool, what is lent of it, and the interest that accrues
@license Apache-2.0
@notice The token balance is at least idle + insurance + custody:
          idle       lenders' money that is not lent; with the debt it is what the shares are worth
          insurance  the junior tranche: takes losses before the shares do
          custody    accounts' cash and what losers paid in for winners; it belongs to `Clearing`
        Tokens sent here by mistake belong to nobody and change nothing. Debt is rounded up.
"""

from ethereum.ercs import IERC20

from . import errors
from . import packing
from . import transfers


event Accrued:
    interest: uint256
    reserve: uint256
    debt: uint256


event InsuranceAdded:
    source: indexed(address)
    amount: uint256


event ParameterSet:
    key: indexed(uint256)
    value: uint256


BPS: constant(uint256) = 10_000
YEAR_S: constant(uint256) = 31_536_000
MASK_16: constant(uint256) = 2**16 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_104: constant(uint256) = 2**104 - 1
MASK_128: constant(uint256) = 2**128 - 1

# Parameters; the key is the field.
BASE_BPS: constant(uint256) = 0
SLOPE_LOW_BPS: constant(uint256) = 1
SLOPE_HIGH_BPS: constant(uint256) = 2
KINK_BPS: constant(uint256) = 3
RESERVE_BPS: constant(uint256) = 4
BORROW_CAP: constant(uint256) = 5
SUPPLY_CAP: constant(uint256) = 6

asset: public(immutable(address))
steward: public(immutable(address))

# debt 104 | debt shares 104 | accrued at 32 | yearly rate in bps 16 bits: one slot says what a share owes
loans: uint256
# idle 128 | insurance 128 bits
cash: uint256
custody: public(uint256)
# five rates of 16 bits | borrow cap 88 | supply cap 88 bits
terms: uint256


@deploy
def __init__(asset_: address, steward_: address, terms_: uint256[7]):
    asset = asset_
    steward = steward_
    for i: uint256 in range(7):
        self.put(i, terms_[i])
    self.loans = (block.timestamp << 208) | (terms_[0] << 240)


@internal
@view
def _interest(loans: uint256) -> uint256:
    """
    @notice Interest since the last accrual, rounded up.
    """
    # Below 2**104 * 2**16 * 2**32.
    grown: uint256 = unsafe_mul(
        unsafe_mul(loans & MASK_104, loans >> 240), unsafe_sub(block.timestamp, (loans >> 208) & MASK_32)
    )
    return unsafe_div(unsafe_add(grown, BPS * YEAR_S - 1), BPS * YEAR_S)


@internal
@view
def accrued() -> (uint256, uint256):
    """
    @notice Debt with interest up to now, rounded up, and the interest in it.
    """
    loans: uint256 = self.loans
    interest: uint256 = self._interest(loans)
    return unsafe_add(loans & MASK_104, interest), interest


@internal
def accrue() -> (uint256, uint256, uint256, uint256):
    """
    @notice Debt, debt shares, idle and insurance as of now; nothing is stored but by `store`.
    @dev The reserve factor's part of the interest goes to insurance as far as there is idle money for it.
    """
    loans: uint256 = self.loans
    cash: uint256 = self.cash
    interest: uint256 = self._interest(loans)
    debt: uint256 = unsafe_add(loans & MASK_104, interest)
    idle: uint256 = cash & MASK_128
    insurance: uint256 = cash >> 128
    if interest != 0:
        reserve: uint256 = min(interest * ((self.terms >> 64) & MASK_16) // BPS, idle)
        idle = unsafe_sub(idle, reserve)
        insurance += reserve
        log Accrued(interest=interest, reserve=reserve, debt=debt)
    return debt, (loans >> 104) & MASK_104, idle, insurance


@internal
def store(debt: uint256, shares: uint256, idle: uint256, insurance: uint256):
    """
    @notice Write the state, with the rate that its utilisation gives from now on.
    """
    errors.need(debt <= MASK_104 and shares <= MASK_104 and idle <= MASK_128, errors.TOO_LARGE)
    terms: uint256 = self.terms
    rate: uint256 = self._rate(debt, idle, terms)
    self.loans = debt | (shares << 104) | (block.timestamp << 208) | (rate << 240)
    self.cash = idle | (insurance << 128)


@internal
@pure
def _rate(debt: uint256, idle: uint256, terms: uint256) -> uint256:
    """
    @notice Kinked rate in bps a year, rounded up.
    """
    if debt == 0:
        return terms & MASK_16
    kink: uint256 = (terms >> 48) & MASK_16
    # Debt is below 2**104, idle below 2**128, the kink between 0 and BPS, use at most BPS: nothing overflows.
    whole: uint256 = unsafe_add(debt, idle)
    use: uint256 = unsafe_div(unsafe_add(unsafe_mul(debt, BPS), unsafe_sub(whole, 1)), whole)
    sloped: uint256 = unsafe_mul(min(use, kink), (terms >> 16) & MASK_16)
    rate: uint256 = unsafe_add(terms & MASK_16, unsafe_div(unsafe_add(sloped, unsafe_sub(kink, 1)), kink))
    if use > kink:
        rate += unsafe_div((use - kink) * ((terms >> 32) & MASK_16) + BPS - kink - 1, BPS - kink)
    return min(rate, MASK_16)


@internal
@view
def total() -> uint256:
    debt: uint256 = 0
    interest: uint256 = 0
    debt, interest = self.accrued()
    idle: uint256 = self.cash & MASK_128
    reserve: uint256 = min(interest * ((self.terms >> 64) & MASK_16) // BPS, idle)
    return debt + idle - reserve


@internal
@view
def check_holdings():
    """
    @notice A token that keeps a fee or lies is found out by what is here.
    """
    cash: uint256 = self.cash
    held: uint256 = staticcall IERC20(asset).balanceOf(self)
    errors.need(held >= (cash & MASK_128) + (cash >> 128) + self.custody, errors.MONEY_MISSING)


@internal
def take(amount: uint256):
    transfers.take(asset, self, amount)
    self.check_holdings()


@internal
def send(receiver: address, amount: uint256):
    transfers.send(asset, receiver, amount)


@external
@nonreentrant
def insure(amount: uint256):
    """
    @notice Give money to the insurance fund; it does not come back.
    """
    errors.need(amount <= MASK_128, errors.TOO_LARGE)
    self.cash += amount << 128
    log InsuranceAdded(source=msg.sender, amount=amount)
    self.take(amount)


@external
@view
def state() -> (uint256, uint256, uint256, uint256, uint256):
    """
    @notice Stored debt, debt shares, idle, insurance and the yearly rate in bps, all as of the last accrual.
    """
    return (
        self.loans & MASK_104,
        (self.loans >> 104) & MASK_104,
        self.cash & MASK_128,
        self.cash >> 128,
        self.loans >> 240,
    )


@internal
@pure
def _place(key: uint256) -> (uint256, uint256):
    """
    @notice Offset and width of a parameter.
    """
    errors.need(key <= SUPPLY_CAP, errors.NO_SUCH_PARAMETER)
    if key <= RESERVE_BPS:
        return 16 * key, 16
    return 80 + 88 * (key - BORROW_CAP), 88


@external
@view
def parameter(key: uint256) -> uint256:
    """
    @notice A parameter's present value.
    """
    offset: uint256 = 0
    width: uint256 = 0
    offset, width = self._place(key)
    return packing.field(self.terms, offset, width)


@external
def set_parameter(key: uint256, setting: uint256):
    """
    @notice Change a parameter from now on; the Steward alone, who keeps bounds, steps and delays.
    """
    errors.need(msg.sender == steward, errors.NOT_AUTHORISED)
    debt: uint256 = 0
    shares: uint256 = 0
    idle: uint256 = 0
    insurance: uint256 = 0
    debt, shares, idle, insurance = self.accrue()
    self.put(key, setting)
    self.store(debt, shares, idle, insurance)


@internal
def put(key: uint256, setting: uint256):
    offset: uint256 = 0
    width: uint256 = 0
    offset, width = self._place(key)
    if key == KINK_BPS:
        errors.need(setting > 0 and setting < BPS, errors.UNSAFE_PARAMETER)
    if key == RESERVE_BPS:
        errors.need(setting <= BPS, errors.UNSAFE_PARAMETER)
    self.terms = packing.with_field(self.terms, offset, width, setting)
    log ParameterSet(key=key, value=setting)
