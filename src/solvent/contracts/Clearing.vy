# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Clearing: cross-margin accounts of collateral, cash, debt and linear perpetual positions
@license Apache-2.0
@custom:kill No switch stops withdrawals or repayments. New risk stops where the Steward sets deposit caps, borrow
             cap, weights or open-interest caps to zero, or where prices halt.
@notice An account is owner * 256 + a number of its owner's choice. Collateral lies here, the settlement asset in
        `Pool`. Collaterals, markets and accounts are packed:
          account   cash 88 | debt shares 96 | collaterals 16 | markets 16 | auction start 32 | auction resets 8 bits
          balances  two collaterals of 128 bits a word
          position  lots 64 | quote leg 96 | funding index 96 bits, all signed
        Logs rebuild all accounts: each new account and position word is an event, and balances move with
        `Deposited`, `Withdrawn` and `Sliced`.
        Each function checks, accrues, changes state, and calls tokens last.
"""

from ethereum.ercs import IERC20

from . import errors
from . import health
from . import packing
from . import signatures


interface Prices:
    def mark_quote(market: uint256) -> (uint256, uint256): view
    def pair_quotes(assets: uint256) -> uint256[9]: view


interface Pool:
    def lend(amount: uint256, receiver: address) -> uint256: nonpayable
    def repay(amount: uint256, shares_most: uint256, from_custody: bool) -> (uint256, uint256): nonpayable
    def share_loss(amount: uint256, shares_most: uint256) -> uint256: nonpayable
    def pay_insurance(amount: uint256) -> uint256: nonpayable
    def insure_from_custody(amount: uint256): nonpayable
    def custody_in(amount: uint256): nonpayable
    def custody_out(amount: uint256, receiver: address): nonpayable
    def debt_of(shares: uint256) -> uint256: view
    def lendable() -> uint256: view
    def asset() -> address: view
    def decimals() -> uint8: view


event AccountSet:
    account: indexed(uint256)
    word: uint256


event PositionSet:
    account: indexed(uint256)
    market: uint256
    word: uint256


event Deposited:
    account: indexed(uint256)
    asset: indexed(uint256)
    amount: uint256


event Withdrawn:
    account: indexed(uint256)
    asset: indexed(uint256)
    amount: uint256
    receiver: address


event Borrowed:
    account: indexed(uint256)
    amount: uint256
    shares: uint256


event Repaid:
    account: indexed(uint256)
    amount: uint256
    shares: uint256


event Filled:
    market: indexed(uint256)
    buyer: indexed(uint256)
    seller: indexed(uint256)
    lots: uint256
    price: uint256
    buyer_fee: uint256
    seller_fee: uint256
    buyer_order: bytes32
    seller_order: bytes32


event OrderCancelled:
    account: indexed(uint256)
    order: bytes32


event Settled:
    account: indexed(uint256)
    market: indexed(uint256)
    amount: int256
    lent: uint256


event FundsSet:
    market: indexed(uint256)
    word: uint256


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


event OperatorSet:
    owner: indexed(address)
    operator: indexed(address)
    rights: uint256


event InsuranceSwept:
    amount: uint256


event ParameterSet:
    key: indexed(uint256)
    value: uint256


struct Order:
    account: uint256
    market: uint256
    buy: bool
    lots: uint256
    price: uint256
    fee_most_bps: uint256
    nonce: uint256
    expiry: uint256
    operator: address


BPS: constant(uint256) = 10_000
WAD: constant(uint256) = 10**18
CASH: constant(uint256) = max_value(uint256)  # in place of a collateral's number in events: the settlement asset
HOLDERS_MOST: constant(uint256) = 512
DECIMALS_MOST: constant(uint256) = 27  # of a unit: what is deposited a day has 96 bits
RIGHT_TRADE: constant(uint256) = 1
RIGHT_FUNDS: constant(uint256) = 2
MASK_16: constant(uint256) = 2**16 - 1
MASK_48: constant(uint256) = 2**48 - 1
MASK_29: constant(uint256) = 2**29 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_64: constant(uint256) = 2**64 - 1
MASK_88: constant(uint256) = 2**88 - 1
MASK_96: constant(uint256) = 2**96 - 1
MASK_128: constant(uint256) = 2**128 - 1
MARKETS_OF: constant(uint256) = MASK_16 << 200

NAME_HASH: constant(bytes32) = keccak256("Solvent Clearing")
ORDER_TYPEHASH: constant(bytes32) = keccak256(
    "Order(uint256 account,uint256 market,bool buy,uint256 lots,uint256 price,uint256 fee_most_bps,uint256 nonce,uint256 expiry,address operator)"
)

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
pool: public(immutable(address))
prices: public(immutable(address))
settlement: public(immutable(address))
PRICE_UNIT: immutable(uint256)
deployer: immutable(address)

auction: public(address)
accounts: HashMap[uint256, uint256]
balances: HashMap[uint256, uint256[8]]
positions: HashMap[uint256, uint256[16]]
# token 160 | unit decimals 8 | total cap 29 | account cap 29 | daily cap 29 bits, caps in listed units
tokens: uint256[16]
# total 128 | day 32 | deposited that day 96 bits
totals: uint256[16]
# four collaterals of 64 bits a word: unit decimals 8 | initial weight 16 | maintenance weight 16
risks: uint256[4]
# multiplier 64 | maintenance rate 16 | initial rate 16 | band 16 | most fee 16 | open-interest cap 64 bits
terms: uint256[16]
# long lots 64 | holders 32 bits
sizes: uint256[16]
# pot 128 | deficit 128 bits: what losers paid in for winners, and losses that winners still have to share
funds: uint256[16]
insurance_owed: public(uint256)
operators: public(HashMap[address, HashMap[address, uint256]])
filled: public(HashMap[bytes32, uint256])


@deploy
@payable
def __init__(steward_: address, pool_: address, prices_: address):
    """
    @param steward_ The only one who changes parameters.
    @param pool_ Where the settlement asset lies and debt comes from.
    @param prices_ Guarded prices.
    """
    steward = steward_
    pool = pool_
    prices = prices_
    settlement = staticcall Pool(pool_).asset()
    # Shares have six decimals more than the asset: atoms in 1e-6 of it are 10 ** (decimals - 6).
    PRICE_UNIT = 10 ** (convert(staticcall Pool(pool_).decimals(), uint256) - 12)
    deployer = msg.sender


@external
def wire(auction_: address):
    """
    @notice Name the Auction that may move accounts under liquidation; the deployer, once.
    """
    errors.need(msg.sender == deployer and self.auction == empty(address), errors.NOT_AUTHORISED)
    errors.need(auction_ != empty(address), errors.NO_RECEIVER)
    self.auction = auction_


# Who may act


@internal
@view
def _check_right(account: uint256, caller: address, right: uint256):
    owner: address = convert(account >> 8, address)
    if caller != owner:
        errors.need(self.operators[owner][caller] & right != 0, errors.NOT_AUTHORISED)


@external
def set_operator(operator: address, rights: uint256):
    """
    @notice Let another act for all accounts of the caller.
    @param rights 1 sign orders and cancel them, 2 move funds and bid; added up; 0 takes all back.
    """
    errors.need(rights <= 3, errors.UNSAFE_PARAMETER)
    self.operators[msg.sender][operator] = rights
    log OperatorSet(owner=msg.sender, operator=operator, rights=rights)


# Words of state, each with its event


@internal
def _set_account(account: uint256, word: uint256):
    self.accounts[account] = word
    log AccountSet(account=account, word=word)


@internal
def _set_funds(market: uint256, pot: uint256, deficit: uint256):
    word: uint256 = packing.with_field(pot, 128, 128, deficit)
    self.funds[market] = word
    log FundsSet(market=market, word=word)


@internal
@pure
def _with_cash(word: uint256, cash: uint256) -> uint256:
    errors.need(cash <= MASK_88, errors.TOO_LARGE)
    return ((word >> 88) << 88) | cash


@internal
@pure
def _with_shares(word: uint256, shares: uint256) -> uint256:
    errors.need(shares <= MASK_96, errors.TOO_LARGE)
    return (word & ~(MASK_96 << 88)) | (shares << 88)


@internal
@pure
def _shares(word: uint256) -> uint256:
    return (word >> 88) & MASK_96


# Health


@internal
@view
def _assess(account: uint256, word: uint256, new_debt: uint256, initial: bool) -> (int256, uint256, uint256):
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
        owed += staticcall Pool(pool).debt_of(shares, skip_contract_check=True)
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
        quotes: uint256[9] = staticcall Prices(prices).pair_quotes(assets, skip_contract_check=True)
        if quotes[8] > state:
            state = quotes[8]
        worth: uint256 = 0
        counted: uint256 = 0
        price_unit: uint256 = PRICE_UNIT
        risks: uint256 = 0
        for pair: uint256 in range(8):
            if counted >= lacking:
                break
            if assets & 3 != 0:
                if risks == 0:
                    risks = self.risks[pair >> 1] >> ((pair & 1) << 7)
                amounts: uint256 = self.balances[account][pair]
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
            quote, state = staticcall Prices(prices).mark_quote(market)
            profit: int256 = 0
            required: uint256 = 0
            profit, required = health.position_terms(
                self.positions[account][market], quote, self.terms[market], initial
            )
            profits += profit
            margin += required
            worst = max(worst, state)
        rest >>= 1
    return profits, margin, worst


@internal
@view
def _check_initial(account: uint256, word: uint256, new_debt: uint256):
    """
    @notice The gate of withdrawals, loans and takers: initial margin at good prices, and no liquidation under way.
    """
    errors.need(word >> 216 == 0, errors.UNDER_LIQUIDATION)
    if new_debt == 0 and (word & MARKETS_OF) == 0 and self._shares(word) == 0:
        return  # nothing owed: needs no price, so it works when nobody signs any more
    equity: int256 = 0
    margin: uint256 = 0
    state: uint256 = 0
    equity, margin, state = self._assess(account, word, new_debt, True)
    errors.need(state == health.OK, errors.PRICES_NOT_GOOD)
    errors.need(equity >= convert(margin, int256), errors.BELOW_INITIAL_MARGIN)


@internal
@view
def _has_initial(account: uint256, word: uint256, new_debt: uint256) -> bool:
    equity: int256 = 0
    margin: uint256 = 0
    state: uint256 = 0
    equity, margin, state = self._assess(account, word, new_debt, True)
    return state == health.OK and equity >= convert(margin, int256)


@external
@view
@nonreentrant
def standing(account: uint256) -> (int256, uint256, uint256, uint256):
    """
    @notice Equity, maintenance margin (atoms), price state, and when liquidation began (0: it did not).
    """
    word: uint256 = self.accounts[account]
    equity: int256 = 0
    margin: uint256 = 0
    state: uint256 = 0
    equity, margin, state = self._assess(account, word, 0, False)
    return equity, margin, state, word >> 216


@external
@view
@nonreentrant
def has_initial(account: uint256) -> bool:
    """
    @notice Whether an account has its initial margin at good prices.
    """
    return self._has_initial(account, self.accounts[account], 0)


# Collateral


@external
@nonreentrant
def deposit(account: uint256, asset: uint256, amount: uint256):
    """
    @notice Bring collateral from the caller's wallet.
    """
    self._check_right(account, msg.sender, RIGHT_FUNDS)
    listing: uint256 = self.tokens[asset]
    errors.need(listing & (2**160 - 1) != 0 and amount != 0, errors.NOT_LISTED)
    pair: uint256 = asset >> 1
    offset: uint256 = (asset & 1) << 7
    amounts: uint256 = self.balances[account][pair]
    balance: uint256 = ((amounts >> offset) & MASK_128) + amount
    self._count_deposit(asset, amount, balance, listing)
    word: uint256 = self.accounts[account]
    if (word >> (184 + asset)) & 1 == 0:
        self._set_account(account, word | (1 << (184 + asset)))
    self.balances[account][pair] = (amounts & (MASK_128 << (128 - offset))) | (balance << offset)
    log Deposited(account=account, asset=asset, amount=amount)
    token: address = convert(listing & (2**160 - 1), address)
    self._take_token(token, self, amount)
    held: uint256 = staticcall IERC20(token).balanceOf(self)
    errors.need(held >= self.totals[asset] & MASK_128, errors.MONEY_MISSING)


@internal
def _take_token(token: address, receiver: address, amount: uint256):
    done: bool = extcall IERC20(token).transferFrom(msg.sender, receiver, amount, default_return_value=True)
    errors.need(done, errors.TRANSFER_FAILED)


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
    self._check_right(account, msg.sender, RIGHT_FUNDS)
    errors.need(amount != 0 and receiver != empty(address), errors.NOTHING_OR_NOBODY)
    pair: uint256 = asset >> 1
    offset: uint256 = (asset & 1) << 7
    amounts: uint256 = self.balances[account][pair]
    balance: uint256 = ((amounts >> offset) & MASK_128) - amount
    word: uint256 = self.accounts[account]
    self.balances[account][pair] = (amounts & (MASK_128 << (128 - offset))) | (balance << offset)
    if balance == 0:
        word &= ~(1 << (184 + asset))
        self._set_account(account, word)
    self.totals[asset] -= amount
    self._check_initial(account, word, 0)
    log Withdrawn(account=account, asset=asset, amount=amount, receiver=receiver)
    token: address = convert(self.tokens[asset] & (2**160 - 1), address)
    held: uint256 = staticcall IERC20(token).balanceOf(self, skip_contract_check=True)
    errors.need(extcall IERC20(token).transfer(receiver, amount, default_return_value=True), errors.TRANSFER_FAILED)
    # A token that takes more than it is told to would take it from the other accounts.
    left: uint256 = staticcall IERC20(token).balanceOf(self, skip_contract_check=True)
    errors.need(left + amount >= held, errors.MONEY_MISSING)


# Cash and debt


@external
@nonreentrant
def deposit_cash(account: uint256, amount: uint256):
    """
    @notice Bring settlement asset from the caller's wallet.
    """
    self._check_right(account, msg.sender, RIGHT_FUNDS)
    word: uint256 = self.accounts[account]
    self._set_account(account, self._with_cash(word, (word & MASK_88) + amount))
    log Deposited(account=account, asset=CASH, amount=amount)
    self._take_token(settlement, pool, amount)
    extcall Pool(pool).custody_in(amount)


@external
@nonreentrant
def withdraw_cash(account: uint256, amount: uint256, receiver: address):
    """
    @notice Take cash out; unsettled profit is no cash.
    """
    self._check_right(account, msg.sender, RIGHT_FUNDS)
    errors.need(receiver != empty(address), errors.NO_RECEIVER)
    word: uint256 = self.accounts[account]
    word = self._with_cash(word, (word & MASK_88) - amount)
    self._set_account(account, word)
    self._check_initial(account, word, 0)
    log Withdrawn(account=account, asset=CASH, amount=amount, receiver=receiver)
    extcall Pool(pool).custody_out(amount, receiver)


@external
@nonreentrant
def borrow(account: uint256, amount: uint256, receiver: address):
    """
    @notice Borrow settlement asset from the pool against the account.
    """
    self._check_right(account, msg.sender, RIGHT_FUNDS)
    errors.need(amount != 0 and receiver != empty(address), errors.NOTHING_OR_NOBODY)
    word: uint256 = self.accounts[account]
    # With one share more: shares are rounded up, and one may owe more than an atom.
    self._check_initial(account, word + (1 << 88), amount)
    self._borrow(account, word, amount, receiver)


@internal
def _borrow(account: uint256, word: uint256, amount: uint256, receiver: address):
    shares: uint256 = extcall Pool(pool).lend(amount, receiver)
    self._set_account(account, self._with_shares(word, self._shares(word) + shares))
    log Borrowed(account=account, amount=amount, shares=shares)


@external
@nonreentrant
def repay(account: uint256, amount: uint256) -> uint256:
    """
    @notice Pay an account's debt from the caller's wallet; anyone may.
    @param amount At most so much; the greatest number pays all.
    @return What was paid.
    """
    word: uint256 = self.accounts[account]
    paid: uint256 = min(amount, staticcall Pool(pool).debt_of(self._shares(word)))
    self._take_token(settlement, pool, paid)
    return self._repay(account, word, paid, False)


@external
@nonreentrant
def repay_from_cash(account: uint256, amount: uint256) -> uint256:
    """
    @notice Pay an account's debt from its cash.
    @return What was paid.
    """
    self._check_right(account, msg.sender, RIGHT_FUNDS)
    word: uint256 = self.accounts[account]
    return self._repay(account, word, min(amount, word & MASK_88), True)


@internal
def _repay(account: uint256, word: uint256, amount: uint256, from_cash: bool) -> uint256:
    shares: uint256 = self._shares(word)
    paid: uint256 = 0
    burned: uint256 = 0
    paid, burned = extcall Pool(pool).repay(amount, shares, from_cash)
    kept: uint256 = self._with_shares(word, shares - burned)
    if from_cash:
        kept = self._with_cash(kept, (word & MASK_88) - paid)
    self._set_account(account, kept)
    log Repaid(account=account, amount=paid, shares=burned)
    return paid


# Fills


@external
@nonreentrant
def fill(
    buyer: Order,
    buyer_signature: Bytes[520],
    seller: Order,
    seller_signature: Bytes[520],
    lots: uint256,
    price: uint256,
    fees_bps: uint256[2],
):
    """
    @notice Match two signed orders; the caller is the operator of both, or they name none.
    @param lots Whole lots to fill, at most what is left of either order.
    @param price Ticks a lot, within both limits and the market's band around the guarded mark.
    @param fees_bps Fees of buyer and seller on the notional, within each order's limit; they stay in the market's pot.
    """
    market: uint256 = buyer.market
    errors.need(buyer.buy and not seller.buy and seller.market == market and lots != 0, errors.ORDERS_DO_NOT_MATCH)
    errors.need(buyer.account >> 8 != seller.account >> 8, errors.ONE_OWNER)
    errors.need(price <= buyer.price and price >= seller.price, errors.PRICE_BEYOND_LIMIT)
    buyer_hash: bytes32 = self._use_order(buyer, buyer_signature, lots, fees_bps[0])
    seller_hash: bytes32 = self._use_order(seller, seller_signature, lots, fees_bps[1])
    terms: uint256 = self.terms[market]
    quote: uint256 = self._good_quote(market)
    mark: uint256 = quote & (2**48 - 1)
    off: uint256 = convert(abs(convert(price, int256) - convert(mark, int256)), uint256)
    errors.need(off * BPS <= mark * ((terms >> 96) & MASK_16), errors.OUTSIDE_BAND)
    errors.need(max(fees_bps[0], fees_bps[1]) <= (terms >> 112) & MASK_16, errors.FEE_ABOVE_LIMIT)
    notional: uint256 = lots * price * (terms & MASK_64)
    buyer_fee: uint256 = (notional * fees_bps[0] + BPS - 1) // BPS
    seller_fee: uint256 = (notional * fees_bps[1] + BPS - 1) // BPS
    before: uint256 = self.sizes[market] & MASK_64
    signed_lots: int256 = convert(lots, int256)
    amount: int256 = convert(notional, int256)
    self._trade(buyer.account, market, signed_lots, -amount - convert(buyer_fee, int256), quote, terms)
    self._trade(seller.account, market, -signed_lots, amount - convert(seller_fee, int256), quote, terms)
    after: uint256 = self.sizes[market] & MASK_64
    errors.need(after <= before or after <= (terms >> 128) & MASK_64, errors.OPEN_INTEREST_CAP)
    log Filled(
        market=market,
        buyer=buyer.account,
        seller=seller.account,
        lots=lots,
        price=price,
        buyer_fee=buyer_fee,
        seller_fee=seller_fee,
        buyer_order=buyer_hash,
        seller_order=seller_hash,
    )


@internal
def _use_order(order: Order, signature: Bytes[520], lots: uint256, fee_bps: uint256) -> bytes32:
    """
    @notice Check an order's signature and limits, and count the fill by its struct hash.
    """
    errors.need(block.timestamp <= order.expiry, errors.ORDER_EXPIRED)
    errors.need(fee_bps <= order.fee_most_bps, errors.FEE_ABOVE_LIMIT)
    errors.need(order.operator == empty(address) or order.operator == msg.sender, errors.NOT_AUTHORISED)
    hashed: bytes32 = self._order_hash(order)
    done: uint256 = self.filled[hashed] + lots
    errors.need(done <= order.lots, errors.ORDER_FILLED)
    self.filled[hashed] = done
    digest: bytes32 = signatures.digest(NAME_HASH, hashed)
    owner: address = convert(order.account >> 8, address)
    if not signatures.wallet_agrees(owner, digest, signature):
        self._check_right(order.account, signatures.recovered(digest, signature), RIGHT_TRADE)
    return hashed


@internal
@pure
def _order_hash(order: Order) -> bytes32:
    return keccak256(abi_encode(ORDER_TYPEHASH, order))


@external
@view
def order_digest(order: Order) -> (bytes32, bytes32):
    """
    @notice Struct hash, under which fills and cancellation are kept, and the EIP-712 digest to sign.
    """
    hashed: bytes32 = self._order_hash(order)
    return hashed, signatures.digest(NAME_HASH, hashed)


@external
def cancel(order: Order):
    """
    @notice Void an order for good, whoever matches; the owner or an operator with the right to trade.
    """
    self._check_right(order.account, msg.sender, RIGHT_TRADE)
    hashed: bytes32 = self._order_hash(order)
    # Lots are below 2**63: nothing can be added to this.
    self.filled[hashed] = 2**128
    log OrderCancelled(account=order.account, order=hashed)


@internal
@view
def _good_quote(market: uint256) -> uint256:
    quote: uint256 = 0
    state: uint256 = 0
    quote, state = staticcall Prices(prices).mark_quote(market)
    errors.need(state == health.OK, errors.PRICES_NOT_GOOD)
    return quote


@internal
def _trade(account: uint256, market: uint256, lots: int256, amount: int256, quote: uint256, terms: uint256):
    """
    @notice Change a position and hold the account to the gate: it has initial margin, or the fill neither raises
            its requirement nor lowers what is left over it, at the guarded mark, of both margins.
    """
    old: uint256 = self.positions[account][market]
    new: uint256 = self._move_position(account, market, lots, amount, quote >> 148)
    word: uint256 = self.accounts[account]
    errors.need(word >> 216 == 0, errors.UNDER_LIQUIDATION)
    if self._has_initial(account, word, 0):
        return
    equity: int256 = 0
    margin: uint256 = 0
    for initial: bool in [True, False]:
        required: uint256 = 0
        equity, margin = health.position_terms(old, quote, terms, initial)
        spare: int256 = equity - convert(margin, int256)
        equity, required = health.position_terms(new, quote, terms, initial)
        is_less: bool = required <= margin and equity - convert(required, int256) >= spare
        errors.need(is_less, errors.BELOW_INITIAL_MARGIN)


@internal
def _move_position(
    account: uint256, market: uint256, lots: int256, amount: int256, index: uint256
) -> uint256:
    """
    @notice Add lots and quote to a position with its funding paid; keep bitmap, holders and open interest.
    """
    held: int256 = 0
    leg: int256 = 0
    held, leg = health.funded(self.positions[account][market], index, self.terms[market])
    new_lots: int256 = held + lots
    new_leg: int256 = leg + amount
    word: uint256 = packing.unsigned(new_lots, 64) | (packing.unsigned(new_leg, 96) << 64) | (index << 160)
    is_flat: bool = new_lots == 0 and new_leg == 0
    if is_flat:
        word = 0
    size: uint256 = self.sizes[market]
    long: int256 = convert(size & MASK_64, int256) + max(new_lots, 0) - max(held, 0)
    holders: uint256 = size >> 64
    state: uint256 = self.accounts[account]
    bit: uint256 = 1 << (200 + market)
    if is_flat != (state & bit == 0):
        if is_flat:
            holders -= 1
        else:
            holders += 1
            errors.need(holders <= HOLDERS_MOST, errors.TOO_MANY_HOLDERS)
        self._set_account(account, state ^ bit)
    self.sizes[market] = packing.with_field(convert(long, uint256), 64, 32, holders)
    self.positions[account][market] = word
    log PositionSet(account=account, market=market, word=word)
    return word


# Profit and loss


@external
@nonreentrant
def settle(account: uint256, market: uint256):
    """
    @notice Turn unsettled profit into cash as far as losers paid in, or a loss into a payment; anyone may.
    @dev A loss takes the cash that no debt needs, then a loan that collateral alone must carry, both at maintenance
         weights: losses of markets never become the lenders'.
    """
    word: uint256 = self.accounts[account]
    errors.need((word >> (200 + market)) & 1 == 1, errors.NO_POSITION)
    quote: uint256 = self._good_quote(market)
    profit: int256 = 0
    required: uint256 = 0
    profit, required = health.position_terms(self.positions[account][market], quote, self.terms[market], False)
    pot: uint256 = self.funds[market] & MASK_128
    deficit: uint256 = self.funds[market] >> 128
    lent: uint256 = 0
    cash: uint256 = word & MASK_88
    if profit > 0:
        errors.need(deficit == 0, errors.LOSS_NOT_SHARED)
        won: uint256 = min(convert(profit, uint256), pot)
        pot -= won
        cash += won
        profit = convert(won, int256)
    else:
        loss: uint256 = convert(-profit, uint256)
        lost: uint256 = 0
        lost, lent = self._collected(account, word, loss)
        cash = cash + lent - lost
        pot += lost
        profit = -convert(lost, int256)
    self._set_funds(market, pot, deficit)
    word = self._with_cash(self.accounts[account], cash)
    self._set_account(account, word)
    self._move_position(account, market, 0, -profit, quote >> 148)
    log Settled(account=account, market=market, amount=profit, lent=lent)


@internal
def _collected(account: uint256, word: uint256, loss: uint256) -> (uint256, uint256):
    """
    @notice What of a loss an account can pay without its positions, and what of that is lent to it.
    """
    cash: uint256 = word & MASK_88
    if loss <= cash and self._shares(word) == 0:
        return loss, 0
    equity: int256 = 0
    margin: uint256 = 0
    state: uint256 = 0
    equity, margin, state = self._assess(account, word & ~MARKETS_OF, 0, False)
    spare: uint256 = 0
    if state == health.OK:
        spare = convert(max(equity - convert(margin, int256), 0), uint256)
    elif self._shares(word) == 0:
        spare = cash
    if loss > cash and word >> 216 == 0:
        amount: uint256 = min(loss - cash, staticcall Pool(pool).lendable())
        if amount != 0 and spare > cash + amount:
            self._borrow(account, word, amount, empty(address))
            equity, margin, state = self._assess(account, self.accounts[account], 0, False)
            errors.need(equity + convert(amount, int256) >= convert(margin, int256), errors.UNHEALTHY)
            return cash + amount, amount
    return min(loss, min(cash, spare)), 0


@external
@nonreentrant
def sweep_insurance():
    """
    @notice Move penalties that takers paid into the insurance fund; anyone may.
    """
    amount: uint256 = self.insurance_owed
    self.insurance_owed = 0
    log InsuranceSwept(amount=amount)
    extcall Pool(pool).insure_from_custody(amount)


# Liquidation, for Auction alone


@external
@nonreentrant
def set_auction(account: uint256, start: uint256):
    """
    @notice Begin (a time in s) or end (0) an account's liquidation.
    """
    errors.need(msg.sender == self.auction, errors.NOT_AUTHORISED)
    self._set_account(account, packing.with_field(self.accounts[account], 216, 40, start))


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
    self._check_right(taker, caller, RIGHT_FUNDS)
    errors.need(account >> 8 != taker >> 8 and fraction_e18 <= WAD, errors.ONE_OWNER)
    word: uint256 = self.accounts[account]
    other: uint256 = self.accounts[taker]
    word, other = self._take_balances(account, taker, word, other, fraction_e18)
    cash: uint256 = (word & MASK_88) * fraction_e18 // WAD
    shares: uint256 = self._shares(word) * fraction_e18 // WAD
    self.insurance_owed += fee
    word = self._with_cash(word, (word & MASK_88) - cash + paid - fee)
    word = self._with_shares(word, self._shares(word) - shares)
    other = self._with_cash(other, (other & MASK_88) + cash - paid)
    other = self._with_shares(other, self._shares(other) + shares)
    self._set_account(account, packing.with_field(word, 216, 40, start))
    self._set_account(taker, other)
    log Sliced(account=account, taker=taker, fraction_e18=fraction_e18, paid=paid, fee=fee)
    self._check_initial(taker, other, 0)


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
    insured: uint256 = extcall Pool(pool).pay_insurance(payout)
    other: uint256 = self.accounts[taker]
    self._set_account(taker, self._with_cash(other, (other & MASK_88) + insured))
    word: uint256 = self.accounts[account]
    shares: uint256 = self._shares(word)
    lenders: uint256 = min(payout - insured, lenders_most)
    if shares != 0 and lenders != 0:
        lenders = min(lenders, staticcall Pool(pool).debt_of(shares))
        shares -= extcall Pool(pool).share_loss(lenders, shares)
        self._set_account(account, self._with_shares(word, shares))
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
    self._move_position(account, market, lots, amount, index)


@external
@nonreentrant
def set_deficit(market: uint256, deficit: uint256):
    """
    @notice The loss that a market's winners still have to share.
    """
    errors.need(msg.sender == self.auction, errors.NOT_AUTHORISED)
    self._set_funds(market, self.funds[market] & MASK_128, deficit)


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
        amounts: uint256 = self.balances[account][pair]
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
        self.balances[account][pair] = rest
        self.balances[taker][pair] = unsafe_add(self.balances[taker][pair], low | (high << 128))
    return (word & ~(MASK_16 << 184)) | (kept << 184), other | (gained << 184)


# Reading


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


@external
@view
def terms_word(market: uint256) -> uint256:
    """
    @notice multiplier 64 | maintenance rate 16 | initial rate 16 | band 16 | most fee 16 | open-interest cap 64 bits.
    """
    return self.terms[market]


@external
@view
def market_state(market: uint256) -> (uint256, uint256, uint256, uint256):
    """
    @notice Long lots, holders, the pot that losers paid in, and the loss that winners have to share.
    """
    return (
        self.sizes[market] & MASK_64,
        self.sizes[market] >> 64,
        self.funds[market] & MASK_128,
        self.funds[market] >> 128,
    )


@external
@view
def total(asset: uint256) -> uint256:
    """
    @notice Atoms of a collateral that all accounts hold.
    """
    return self.totals[asset] & MASK_128


# Parameters


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
    errors.need(setting != convert(settlement, uint256) or field != TOKEN, errors.UNSAFE_PARAMETER)
    log ParameterSet(key=key, value=setting)
