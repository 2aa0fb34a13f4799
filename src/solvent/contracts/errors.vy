# pragma version 0.4.3
"""
@title Errors: what a call was refused for, as four bytes that every client decodes
@license Apache-2.0
@notice A revert carries the selector of the name in the comment, without arguments. Numbers and not bytes,
        because they make the shorter code.
"""

ACCOUNT_CAP: constant(uint256) = 2876772516  # AccountCap()
AUCTION_RUNNING: constant(uint256) = 3961901097  # AuctionRunning()
BAD_PRICE: constant(uint256) = 4246659913  # BadPrice()
BAD_SIGNATURE: constant(uint256) = 1557516851  # BadSignature()
BELOW_INITIAL_MARGIN: constant(uint256) = 1007912708  # BelowInitialMargin()
BORROW_CAP: constant(uint256) = 2795358276  # BorrowCap()
DAILY_CAP: constant(uint256) = 3150684262  # DailyCap()
DEADLINE_PASSED: constant(uint256) = 1895193770  # DeadlinePassed()
DUST: constant(uint256) = 3028292210  # Dust()
FEE_ABOVE_LIMIT: constant(uint256) = 3058095155  # FeeAboveLimit()
FROM_THE_FUTURE: constant(uint256) = 3805784782  # FromTheFuture()
FUNDING_ABOVE_LIMIT: constant(uint256) = 1216707114  # FundingAboveLimit()
LOSS_NOT_SHARED: constant(uint256) = 1264138821  # LossNotShared()
MONEY_MISSING: constant(uint256) = 1816964989  # MoneyMissing()
MORE_THAN_OWED: constant(uint256) = 2247004330  # MoreThanOwed()
NO_LOSS: constant(uint256) = 3701681480  # NoLoss()
NO_POSITION: constant(uint256) = 2884694068  # NoPosition()
NO_RECEIVER: constant(uint256) = 3362919305  # NoReceiver()
NO_SUCH_PARAMETER: constant(uint256) = 1226322484  # NoSuchParameter()
NOT_A_SIGNER: constant(uint256) = 3657652215  # NotASigner()
NOT_ALL_HOLDERS: constant(uint256) = 1332205639  # NotAllHolders()
NOT_AUTHORISED: constant(uint256) = 373882113  # NotAuthorised()
NOT_ENOUGH_IDLE: constant(uint256) = 2686975313  # NotEnoughIdle()
NOT_LATER: constant(uint256) = 3886031703  # NotLater()
NOT_LIQUIDATABLE: constant(uint256) = 3723196858  # NotLiquidatable()
NOT_LISTED: constant(uint256) = 1717312599  # NotListed()
NOT_PROPOSED: constant(uint256) = 4071128414  # NotProposed()
NOTHING_OR_NOBODY: constant(uint256) = 585560673  # NothingOrNobody()
ONE_OWNER: constant(uint256) = 2530209769  # OneOwner()
OPEN_INTEREST_CAP: constant(uint256) = 3198571360  # OpenInterestCap()
ORDER_EXPIRED: constant(uint256) = 3311956922  # OrderExpired()
ORDER_FILLED: constant(uint256) = 2843265033  # OrderFilled()
ORDERS_DO_NOT_MATCH: constant(uint256) = 841756794  # OrdersDoNotMatch()
OUTSIDE_BAND: constant(uint256) = 2368645697  # OutsideBand()
OUTSIDE_BOUND: constant(uint256) = 3413899669  # OutsideBound()
PRICE_BEYOND_LIMIT: constant(uint256) = 1736873292  # PriceBeyondLimit()
PRICE_MISSING: constant(uint256) = 2712654633  # PriceMissing()
PRICES_NOT_GOOD: constant(uint256) = 1879036622  # PricesNotGood()
SET_ONCE: constant(uint256) = 841844503  # SetOnce()
SIGNERS_NOT_RISING: constant(uint256) = 1618864249  # SignersNotRising()
STEP_TOO_LARGE: constant(uint256) = 2340064632  # StepTooLarge()
STILL_UNHEALTHY: constant(uint256) = 1406808080  # StillUnhealthy()
SUPPLY_CAP: constant(uint256) = 1574452290  # SupplyCap()
TOO_FEW_SIGNATURES: constant(uint256) = 3381910912  # TooFewSignatures()
TOO_LARGE: constant(uint256) = 562956807  # TooLarge()
TOO_LATE: constant(uint256) = 3973913641  # TooLate()
TOO_LITTLE_RECEIVED: constant(uint256) = 3388288113  # TooLittleReceived()
TOO_MANY_HOLDERS: constant(uint256) = 1356221122  # TooManyHolders()
TOO_MUCH_PAID: constant(uint256) = 2665234870  # TooMuchPaid()
TOO_SOON: constant(uint256) = 1877835141  # TooSoon()
TOTAL_CAP: constant(uint256) = 418797640  # TotalCap()
TRANSFER_FAILED: constant(uint256) = 2428038168  # TransferFailed()
UNDER_LIQUIDATION: constant(uint256) = 773657  # UnderLiquidation()
UNHEALTHY: constant(uint256) = 2109186164  # Unhealthy()
UNSAFE_PARAMETER: constant(uint256) = 617388710  # UnsafeParameter()
WRONG_PAIR: constant(uint256) = 3348574434  # WrongPair()


@internal
@pure
def need(ok: bool, error: uint256):
    """
    @notice Revert with the error unless all is well.
    """
    if not ok:
        raw_revert(slice(convert(error << 224, bytes32), 0, 4))
