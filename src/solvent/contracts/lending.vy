# pragma version 0.4.3
"""
@title Lending: loans, losses, insurance and custody, for Clearing alone
@license Apache-2.0
@notice Debt shares are rounded up where debt begins and down where it ends.
"""

from . import errors
from . import reserves

uses: reserves


event Lent:
    amount: uint256
    shares: uint256


event Repaid:
    amount: uint256
    shares: uint256


event InsurancePaid:
    amount: uint256


event LossShared:
    amount: uint256
    debt_shares: uint256


event CustodyMoved:
    amount: int256


BPS: constant(uint256) = 10_000
YEAR_S: constant(uint256) = 31_536_000
MASK_32: constant(uint256) = 2**32 - 1
MASK_88: constant(uint256) = 2**88 - 1
MASK_104: constant(uint256) = 2**104 - 1
MASK_128: constant(uint256) = 2**128 - 1

clearing: public(address)


@external
def lend(amount: uint256, receiver: address) -> uint256:
    """
    @notice Lend idle money, to `receiver` or into custody (the zero address); never beyond the borrow cap.
    @return Debt shares, rounded up.
    """
    errors.need(msg.sender == self.clearing, errors.NOT_AUTHORISED)
    debt: uint256 = 0
    shares: uint256 = 0
    idle: uint256 = 0
    insurance: uint256 = 0
    debt, shares, idle, insurance = reserves.accrue()
    errors.need(amount <= idle, errors.NOT_ENOUGH_IDLE)
    minted: uint256 = amount
    if debt != 0 and shares != 0:
        # Below 2**128 * 2**104.
        minted = unsafe_div(unsafe_add(unsafe_mul(amount, shares), unsafe_sub(debt, 1)), debt)
    debt += amount
    errors.need(debt <= (reserves.terms >> 80) & MASK_88, errors.BORROW_CAP)
    reserves.store(debt, shares + minted, idle - amount, insurance)
    log Lent(amount=amount, shares=minted)
    if receiver == empty(address):
        reserves.custody += amount
    else:
        reserves.send(receiver, amount)
    return minted


@external
def repay(amount: uint256, shares_most: uint256, from_custody: bool) -> (uint256, uint256):
    """
    @notice Pay back money that Clearing has just sent here, or that is in custody.
    @param shares_most Debt shares of the account: it pays at most what they owe.
    @return What was paid, and the debt shares that it ends, rounded down.
    """
    errors.need(msg.sender == self.clearing, errors.NOT_AUTHORISED)
    debt: uint256 = 0
    shares: uint256 = 0
    idle: uint256 = 0
    insurance: uint256 = 0
    debt, shares, idle, insurance = reserves.accrue()
    owed: uint256 = self._owed(shares_most, debt, shares)
    paid: uint256 = min(amount, owed)
    burned: uint256 = shares_most
    if paid < owed:
        burned = paid * shares // debt
    if from_custody:
        reserves.custody -= paid
    reserves.store(debt - paid, shares - burned, idle + paid, insurance)
    log Repaid(amount=paid, shares=burned)
    if not from_custody:
        reserves.check_holdings()
    return paid, burned


@external
def share_loss(amount: uint256, shares_most: uint256) -> uint256:
    """
    @notice End debt that nobody will pay: the lenders' shares lose it.
    @return Debt shares that it ends, rounded down.
    """
    errors.need(msg.sender == self.clearing, errors.NOT_AUTHORISED)
    debt: uint256 = 0
    shares: uint256 = 0
    idle: uint256 = 0
    insurance: uint256 = 0
    debt, shares, idle, insurance = reserves.accrue()
    owed: uint256 = self._owed(shares_most, debt, shares)
    errors.need(amount <= owed, errors.MORE_THAN_OWED)
    burned: uint256 = shares_most
    if amount < owed:
        burned = amount * shares // debt
    reserves.store(debt - amount, shares - burned, idle, insurance)
    log LossShared(amount=amount, debt_shares=burned)
    return burned


@external
def pay_insurance(amount: uint256) -> uint256:
    """
    @notice Move insurance into custody, as much as there is.
    @return What was moved.
    """
    errors.need(msg.sender == self.clearing, errors.NOT_AUTHORISED)
    cash: uint256 = reserves.cash
    paid: uint256 = min(amount, cash >> 128)
    reserves.cash = cash - (paid << 128)
    reserves.custody += paid
    log InsurancePaid(amount=paid)
    return paid


@external
def insure_from_custody(amount: uint256):
    """
    @notice Move fees and penalties from custody to insurance.
    """
    errors.need(msg.sender == self.clearing, errors.NOT_AUTHORISED)
    errors.need(amount <= MASK_128, errors.TOO_LARGE)
    reserves.custody -= amount
    reserves.cash += amount << 128
    log reserves.InsuranceAdded(source=msg.sender, amount=amount)


@external
def custody_in(amount: uint256):
    """
    @notice Money that Clearing has just sent here becomes accounts' cash; refused if it did not arrive whole.
    """
    errors.need(msg.sender == self.clearing, errors.NOT_AUTHORISED)
    reserves.custody += amount
    reserves.check_holdings()
    log CustodyMoved(amount=convert(amount, int256))


@external
def custody_out(amount: uint256, receiver: address):
    """
    @notice Pay accounts' cash out.
    """
    errors.need(msg.sender == self.clearing, errors.NOT_AUTHORISED)
    reserves.custody -= amount
    log CustodyMoved(amount=-convert(amount, int256))
    reserves.send(receiver, amount)


@external
@view
def lendable() -> uint256:
    """
    @notice What could be lent now: idle money, below the borrow cap.
    """
    debt: uint256 = 0
    interest: uint256 = 0
    debt, interest = reserves.accrued()
    cap: uint256 = (reserves.terms >> 80) & MASK_88
    return min(reserves.total() - debt, cap - min(cap, debt))


@external
@view
def debt_of(shares: uint256) -> uint256:
    """
    @notice What debt shares owe now, rounded up.
    """
    # Interest and `_owed` written out: every health check of a debtor asks this.
    loans: uint256 = reserves.loans
    total: uint256 = (loans >> 104) & MASK_104
    if total == 0:
        return shares
    debt: uint256 = loans & MASK_104
    grown: uint256 = unsafe_mul(
        unsafe_mul(debt, loans >> 240), unsafe_sub(block.timestamp, (loans >> 208) & MASK_32)
    )
    debt = unsafe_add(debt, unsafe_div(unsafe_add(grown, BPS * YEAR_S - 1), BPS * YEAR_S))
    return unsafe_div(unsafe_add(unsafe_mul(shares, debt), unsafe_sub(total, 1)), total)


@internal
@pure
def _owed(part: uint256, debt: uint256, shares: uint256) -> uint256:
    if shares == 0:
        return part  # before the first loan a share is an atom
    # Below 2**104 * 2**104.
    return unsafe_div(unsafe_add(unsafe_mul(part, debt), unsafe_sub(shares, 1)), shares)
