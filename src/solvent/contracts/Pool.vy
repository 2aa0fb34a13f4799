# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Pool: lenders' shares of the settlement asset, the loans made of it, and the fund that loses first
@license Apache-2.0
@custom:kill Supply and borrow caps of zero (through the Steward) stop new lending; lenders withdraw what is idle
             and borrowers repay for ever.
@notice An ERC-4626 vault. Its token balance is at least idle + insurance + custody:
        idle       lenders' money that is not lent; with the debt it is what the shares are worth
        insurance  the junior tranche: takes losses before the shares do
        custody    accounts' cash and what losers paid in for winners; it belongs to `Clearing`
        Tokens sent here by mistake belong to nobody and change nothing. Debt is rounded up, shares are rounded down.
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed

from . import errors
from . import packing

implements: IERC20


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


event Accrued:
    interest: uint256
    reserve: uint256
    debt: uint256


event Lent:
    amount: uint256
    shares: uint256


event Repaid:
    amount: uint256
    shares: uint256


event InsuranceAdded:
    source: indexed(address)
    amount: uint256


event InsurancePaid:
    amount: uint256


event LossShared:
    amount: uint256
    debt_shares: uint256


event CustodyMoved:
    amount: int256


event ParameterSet:
    key: indexed(uint256)
    value: uint256


BPS: constant(uint256) = 10_000
YEAR_S: constant(uint256) = 31_536_000
VIRTUAL_SHARES: constant(uint256) = 10**6
MASK_16: constant(uint256) = 2**16 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_88: constant(uint256) = 2**88 - 1
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

name: public(constant(String[24])) = "Solvent settlement pool"
symbol: public(constant(String[8])) = "svPOOL"
decimals: public(immutable(uint8))
asset: public(immutable(address))
steward: public(immutable(address))
deployer: immutable(address)

clearing: public(address)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])
totalSupply: public(uint256)

# debt 104 | debt shares 104 | accrued at 32 | yearly rate in bps 16 bits: one slot says what a share owes
loans: uint256
# idle 128 | insurance 128 bits
cash: uint256
custody: public(uint256)
# five rates of 16 bits | borrow cap 88 | supply cap 88 bits
terms: uint256


@deploy
@payable
def __init__(asset_: address, steward_: address, terms_: uint256[7]):
    """
    @param asset_ The settlement asset, of 6 to 18 decimals, without fees on transfer and without rebases.
    @param steward_ The only one who changes parameters.
    @param terms_ base, low slope, high slope (bps a year), kink, reserve factor (bps), borrow cap, supply cap (atoms).
    """
    asset = asset_
    steward = steward_
    deployer = msg.sender
    units: uint8 = staticcall IERC20Detailed(asset_).decimals()
    errors.need(units >= 6 and units <= 18, errors.UNSAFE_PARAMETER)
    decimals = units + 6
    for i: uint256 in range(7):
        self._set_parameter(i, terms_[i])
    self.loans = (block.timestamp << 208) | (terms_[0] << 240)


@external
def wire(clearing_: address):
    """
    @notice Name the Clearing that may lend; the deployer, once.
    """
    errors.need(msg.sender == deployer and self.clearing == empty(address), errors.NOT_AUTHORISED)
    errors.need(clearing_ != empty(address), errors.NO_RECEIVER)
    self.clearing = clearing_


# Interest


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
def _accrued() -> (uint256, uint256):
    """
    @notice Debt with interest up to now, rounded up, and the interest in it.
    """
    loans: uint256 = self.loans
    interest: uint256 = self._interest(loans)
    return unsafe_add(loans & MASK_104, interest), interest


@internal
def _accrue() -> (uint256, uint256, uint256, uint256):
    """
    @notice Debt, debt shares, idle and insurance as of now; nothing is stored but by `_store`.
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
def _store(debt: uint256, shares: uint256, idle: uint256, insurance: uint256):
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


# Lending, for Clearing alone


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
    debt, shares, idle, insurance = self._accrue()
    errors.need(amount <= idle, errors.NOT_ENOUGH_IDLE)
    minted: uint256 = amount
    if debt != 0 and shares != 0:
        # Below 2**128 * 2**104.
        minted = unsafe_div(unsafe_add(unsafe_mul(amount, shares), unsafe_sub(debt, 1)), debt)
    debt += amount
    errors.need(debt <= (self.terms >> 80) & MASK_88, errors.BORROW_CAP)
    self._store(debt, shares + minted, idle - amount, insurance)
    log Lent(amount=amount, shares=minted)
    if receiver == empty(address):
        self.custody += amount
    else:
        self._send(receiver, amount)
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
    debt, shares, idle, insurance = self._accrue()
    owed: uint256 = self._owed(shares_most, debt, shares)
    paid: uint256 = min(amount, owed)
    burned: uint256 = shares_most
    if paid < owed:
        burned = paid * shares // debt
    if from_custody:
        self.custody -= paid
    self._store(debt - paid, shares - burned, idle + paid, insurance)
    log Repaid(amount=paid, shares=burned)
    if not from_custody:
        self._check_holdings()
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
    debt, shares, idle, insurance = self._accrue()
    owed: uint256 = self._owed(shares_most, debt, shares)
    errors.need(amount <= owed, errors.MORE_THAN_OWED)
    burned: uint256 = shares_most
    if amount < owed:
        burned = amount * shares // debt
    self._store(debt - amount, shares - burned, idle, insurance)
    log LossShared(amount=amount, debt_shares=burned)
    return burned


@external
def pay_insurance(amount: uint256) -> uint256:
    """
    @notice Move insurance into custody, as much as there is.
    @return What was moved.
    """
    errors.need(msg.sender == self.clearing, errors.NOT_AUTHORISED)
    cash: uint256 = self.cash
    paid: uint256 = min(amount, cash >> 128)
    self.cash = cash - (paid << 128)
    self.custody += paid
    log InsurancePaid(amount=paid)
    return paid


@external
def insure_from_custody(amount: uint256):
    """
    @notice Move fees and penalties from custody to insurance.
    """
    errors.need(msg.sender == self.clearing, errors.NOT_AUTHORISED)
    errors.need(amount <= MASK_128, errors.TOO_LARGE)
    self.custody -= amount
    self.cash += amount << 128
    log InsuranceAdded(source=msg.sender, amount=amount)


@external
def custody_in(amount: uint256):
    """
    @notice Money that Clearing has just sent here becomes accounts' cash; refused if it did not arrive whole.
    """
    errors.need(msg.sender == self.clearing, errors.NOT_AUTHORISED)
    self.custody += amount
    self._check_holdings()
    log CustodyMoved(amount=convert(amount, int256))


@external
def custody_out(amount: uint256, receiver: address):
    """
    @notice Pay accounts' cash out.
    """
    errors.need(msg.sender == self.clearing, errors.NOT_AUTHORISED)
    self.custody -= amount
    log CustodyMoved(amount=-convert(amount, int256))
    self._send(receiver, amount)


@external
@view
def lendable() -> uint256:
    """
    @notice What could be lent now: idle money, below the borrow cap.
    """
    debt: uint256 = 0
    interest: uint256 = 0
    debt, interest = self._accrued()
    cap: uint256 = (self.terms >> 80) & MASK_88
    return min(self._total() - debt, cap - min(cap, debt))


@external
@view
def debt_of(shares: uint256) -> uint256:
    """
    @notice What debt shares owe now, rounded up.
    """
    # `_interest` and `_owed` written out: every health check of a debtor asks this.
    loans: uint256 = self.loans
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


# The junior tranche


@external
@nonreentrant
def insure(amount: uint256):
    """
    @notice Give money to the insurance fund; it does not come back.
    """
    errors.need(amount <= MASK_128, errors.TOO_LARGE)
    self.cash += amount << 128
    log InsuranceAdded(source=msg.sender, amount=amount)
    self._take(msg.sender, amount)


# ERC-4626


@external
@view
def totalAssets() -> uint256:
    """
    @notice What the shares are worth: idle money and debt with interest, less the reserve factor's part.
    """
    return self._total()


@internal
@view
def _total() -> uint256:
    debt: uint256 = 0
    interest: uint256 = 0
    debt, interest = self._accrued()
    idle: uint256 = self.cash & MASK_128
    reserve: uint256 = min(interest * ((self.terms >> 64) & MASK_16) // BPS, idle)
    return debt + idle - reserve


@internal
@view
def _to_shares(assets: uint256, up: bool) -> uint256:
    return self._scaled(assets, self.totalSupply + VIRTUAL_SHARES, self._total() + 1, up)


@internal
@view
def _to_assets(shares: uint256, up: bool) -> uint256:
    return self._scaled(shares, self._total() + 1, self.totalSupply + VIRTUAL_SHARES, up)


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
    cap: uint256 = self.terms >> 168
    total: uint256 = self._total()
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
    reserve: uint256 = self._total()
    debt: uint256 = 0
    interest: uint256 = 0
    debt, interest = self._accrued()
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
    debt, debt_shares, idle, insurance = self._accrue()
    self._store(debt, debt_shares, idle + assets, insurance)
    self.totalSupply += shares
    self.balanceOf[receiver] += shares
    log Transfer(sender=empty(address), receiver=receiver, value=shares)
    log Deposit(sender=msg.sender, owner=receiver, assets=assets, shares=shares)
    self._take(msg.sender, assets)


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
    debt, debt_shares, idle, insurance = self._accrue()
    errors.need(assets <= idle, errors.NOT_ENOUGH_IDLE)
    self.balanceOf[owner] -= shares
    self.totalSupply -= shares
    self._store(debt, debt_shares, idle - assets, insurance)
    log Transfer(sender=owner, receiver=empty(address), value=shares)
    log Withdraw(sender=msg.sender, receiver=receiver, owner=owner, assets=assets, shares=shares)
    self._send(receiver, assets)


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


# Tokens


@internal
def _take(source: address, amount: uint256):
    errors.need(extcall IERC20(asset).transferFrom(source, self, amount, default_return_value=True), errors.TRANSFER_FAILED)
    self._check_holdings()


@internal
def _send(receiver: address, amount: uint256):
    held: uint256 = staticcall IERC20(asset).balanceOf(self, skip_contract_check=True)
    errors.need(extcall IERC20(asset).transfer(receiver, amount, default_return_value=True), errors.TRANSFER_FAILED)
    # A token that takes more than it is told to would take it from everybody here.
    left: uint256 = staticcall IERC20(asset).balanceOf(self, skip_contract_check=True)
    errors.need(left + amount >= held, errors.MONEY_MISSING)


@internal
@view
def _check_holdings():
    """
    @notice A token that keeps a fee or lies is found out by what is here.
    """
    cash: uint256 = self.cash
    held: uint256 = staticcall IERC20(asset).balanceOf(self)
    errors.need(held >= (cash & MASK_128) + (cash >> 128) + self.custody, errors.MONEY_MISSING)


# State and parameters


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
    debt, shares, idle, insurance = self._accrue()
    self._set_parameter(key, setting)
    self._store(debt, shares, idle, insurance)


@internal
def _set_parameter(key: uint256, setting: uint256):
    offset: uint256 = 0
    width: uint256 = 0
    offset, width = self._place(key)
    if key == KINK_BPS:
        errors.need(setting > 0 and setting < BPS, errors.UNSAFE_PARAMETER)
    if key == RESERVE_BPS:
        errors.need(setting <= BPS, errors.UNSAFE_PARAMETER)
    self.terms = packing.with_field(self.terms, offset, width, setting)
    log ParameterSet(key=key, value=setting)
