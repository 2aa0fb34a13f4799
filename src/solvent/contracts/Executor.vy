# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
# pragma nonreentrancy off
"""
@title Executor: liquidations on a lending venue, with funds of its own
@license Apache-2.0
@notice Liquidates on a lending venue with its own funds, sells what it seizes on a constant-product pair, and reverts
    unless every bound of the keeper holds. The keeper's hot key can neither withdraw nor trade anywhere else.
@dev Venues follow Aave v3 (`liquidationCall`), pairs Uniswap v2 (`getReserves`, `swap`). The venue is allowed the
    amount of one call, and nothing after it. All bounds are on balances, so that neither needs to be believed.
@custom:kill The owner disallows the keeper with `set_keeper` and takes the funds with `withdraw`.
"""

interface Token:
    def balanceOf(owner: address) -> uint256: view
    def approve(spender: address, amount: uint256) -> bool: nonpayable
    def transfer(to: address, amount: uint256) -> bool: nonpayable

interface Venue:
    def liquidationCall(
        collateral: address, debt: address, user: address, debt_to_cover: uint256, receive_a_token: bool
    ): nonpayable

interface Pair:
    def getReserves() -> (uint112, uint112, uint32): view
    def token0() -> address: view
    def swap(amount0_out: uint256, amount1_out: uint256, to: address, data: Bytes[1]): nonpayable


event Liquidated:
    venue: indexed(address)
    user: indexed(address)
    collateral: address
    debt: address
    paid: uint256
    received: uint256
    proceeds: uint256

event KeeperSet:
    keeper: indexed(address)
    allowed: bool

event VenueSet:
    venue: indexed(address)
    allowed: bool

event PairSet:
    pair: indexed(address)
    allowed: bool

event Withdrawn:
    token: indexed(address)
    amount: uint256


FEE_ONE: constant(uint256) = 1000
FEE_LEFT: constant(uint256) = 997 # of what is sold, behind the pair's fee of 0.3 %

owner: public(immutable(address))
is_keeper: public(HashMap[address, bool])
is_venue: public(HashMap[address, bool])
is_pair: public(HashMap[address, bool])


@deploy
def __init__(keeper: address):
    """
    @notice The deployer owns the funds.
    @param keeper The key that may liquidate
    """
    owner = msg.sender
    self._set_keeper(keeper, True)


@external
@nonreentrant
def liquidate(
    venue: address,
    collateral: address,
    debt: address,
    user: address,
    debt_to_cover: uint256,
    pair: address,
    maximum_paid: uint256,
    minimum_received: uint256,
    minimum_profit: uint256,
    deadline: uint256,
) -> (uint256, uint256, uint256):
    """
    @notice Repay debt of a user, seize collateral and sell it.
    @param venue Pool with `liquidationCall`, of the owner's list
    @param collateral Token to seize
    @param debt Token to repay
    @param user Account to liquidate
    @param debt_to_cover Most to repay, and all that the venue is allowed; it takes less where its rule says so
    @param pair Where to sell what was seized, of the owner's list; empty to keep it
    @param maximum_paid Of the debt token
    @param minimum_received Of the collateral token
    @param minimum_profit Of the debt token after the sale; without a sale it is not looked at
    @param deadline Last second at which this may happen
    @return Paid, received, and proceeds of the sale
    """
    assert self.is_keeper[msg.sender], "keeper"
    assert self.is_venue[venue], "venue"
    assert pair == empty(address) or self.is_pair[pair], "pair"
    assert block.timestamp <= deadline, "deadline"
    assert collateral != debt, "same token"

    debt_before: uint256 = staticcall Token(debt).balanceOf(self)
    collateral_before: uint256 = staticcall Token(collateral).balanceOf(self)
    assert extcall Token(debt).approve(venue, debt_to_cover, default_return_value=True), "approve"
    extcall Venue(venue).liquidationCall(collateral, debt, user, debt_to_cover, False)
    assert extcall Token(debt).approve(venue, 0, default_return_value=True), "approve"
    debt_after: uint256 = staticcall Token(debt).balanceOf(self)
    paid: uint256 = debt_before - debt_after
    received: uint256 = staticcall Token(collateral).balanceOf(self) - collateral_before
    assert paid <= maximum_paid, "maximum paid"
    assert received >= minimum_received, "minimum received"

    proceeds: uint256 = 0
    if pair != empty(address):
        self._sell(pair, collateral, debt, received)
        proceeds = staticcall Token(debt).balanceOf(self) - debt_after
        assert proceeds >= paid + minimum_profit, "minimum profit"
    log Liquidated(
        venue=venue,
        user=user,
        collateral=collateral,
        debt=debt,
        paid=paid,
        received=received,
        proceeds=proceeds,
    )
    return paid, received, proceeds


@external
def set_keeper(keeper: address, allowed: bool):
    """
    @notice Who may liquidate with these funds.
    @param keeper Address of a key
    @param allowed Whether it may
    """
    assert msg.sender == owner, "owner"
    self._set_keeper(keeper, allowed)


@external
def set_venue(venue: address, allowed: bool):
    """
    @notice Where liquidations may happen: a venue is allowed tokens for the length of a call.
    @param venue Address of a pool
    @param allowed Whether it may be called
    """
    assert msg.sender == owner, "owner"
    self.is_venue[venue] = allowed
    log VenueSet(venue=venue, allowed=allowed)


@external
def set_pair(pair: address, allowed: bool):
    """
    @notice Where seized collateral may be sold.
    @param pair Address of a pair
    @param allowed Whether it may be used
    """
    assert msg.sender == owner, "owner"
    self.is_pair[pair] = allowed
    log PairSet(pair=pair, allowed=allowed)


@external
@nonreentrant
def withdraw(token: address, amount: uint256):
    """
    @notice Take funds back; they go to the owner and nowhere else.
    @param token Token to take
    @param amount How much
    """
    assert msg.sender == owner, "owner"
    log Withdrawn(token=token, amount=amount)
    assert extcall Token(token).transfer(owner, amount, default_return_value=True), "transfer"


@internal
def _set_keeper(keeper: address, allowed: bool):
    self.is_keeper[keeper] = allowed
    log KeeperSet(keeper=keeper, allowed=allowed)


@internal
def _sell(pair: address, sold: address, bought: address, amount: uint256):
    """
    @dev Constant product behind the fee, rounded down. The pair checks its own invariant; the caller the balance.
    """
    reserve0: uint112 = 0
    reserve1: uint112 = 0
    time: uint32 = 0
    reserve0, reserve1, time = staticcall Pair(pair).getReserves()
    is_first: bool = staticcall Pair(pair).token0() == sold
    reserve_in: uint256 = convert(reserve0 if is_first else reserve1, uint256)
    reserve_out: uint256 = convert(reserve1 if is_first else reserve0, uint256)
    behind_fee: uint256 = amount * FEE_LEFT
    out: uint256 = behind_fee * reserve_out // (reserve_in * FEE_ONE + behind_fee)
    assert extcall Token(sold).transfer(pair, amount, default_return_value=True), "transfer"
    if is_first:
        extcall Pair(pair).swap(0, out, self, b"")
    else:
        extcall Pair(pair).swap(out, 0, self, b"")
