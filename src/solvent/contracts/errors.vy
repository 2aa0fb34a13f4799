# pragma version 0.4.3
"""
@title Errors: what a call was refused for, as four bytes that every client decodes
@license Apache-2.0
@notice A revert carries the selector of the name, without arguments.
"""

ACCOUNT_CAP: constant(bytes4) = method_id("AccountCap()", output_type=bytes4)
AUCTION_RUNNING: constant(bytes4) = method_id("AuctionRunning()", output_type=bytes4)
BAD_PRICE: constant(bytes4) = method_id("BadPrice()", output_type=bytes4)
BAD_SIGNATURE: constant(bytes4) = method_id("BadSignature()", output_type=bytes4)
BELOW_INITIAL_MARGIN: constant(bytes4) = method_id("BelowInitialMargin()", output_type=bytes4)
BORROW_CAP: constant(bytes4) = method_id("BorrowCap()", output_type=bytes4)
DAILY_CAP: constant(bytes4) = method_id("DailyCap()", output_type=bytes4)
DEADLINE_PASSED: constant(bytes4) = method_id("DeadlinePassed()", output_type=bytes4)
DUST: constant(bytes4) = method_id("Dust()", output_type=bytes4)
FEE_ABOVE_LIMIT: constant(bytes4) = method_id("FeeAboveLimit()", output_type=bytes4)
FROM_THE_FUTURE: constant(bytes4) = method_id("FromTheFuture()", output_type=bytes4)
FUNDING_ABOVE_LIMIT: constant(bytes4) = method_id("FundingAboveLimit()", output_type=bytes4)
LOSS_NOT_SHARED: constant(bytes4) = method_id("LossNotShared()", output_type=bytes4)
MONEY_MISSING: constant(bytes4) = method_id("MoneyMissing()", output_type=bytes4)
MORE_THAN_OWED: constant(bytes4) = method_id("MoreThanOwed()", output_type=bytes4)
NO_LOSS: constant(bytes4) = method_id("NoLoss()", output_type=bytes4)
NO_POSITION: constant(bytes4) = method_id("NoPosition()", output_type=bytes4)
NO_RECEIVER: constant(bytes4) = method_id("NoReceiver()", output_type=bytes4)
NO_SUCH_PARAMETER: constant(bytes4) = method_id("NoSuchParameter()", output_type=bytes4)
NOT_A_SIGNER: constant(bytes4) = method_id("NotASigner()", output_type=bytes4)
NOT_ALL_HOLDERS: constant(bytes4) = method_id("NotAllHolders()", output_type=bytes4)
NOT_AUTHORISED: constant(bytes4) = method_id("NotAuthorised()", output_type=bytes4)
NOT_ENOUGH_IDLE: constant(bytes4) = method_id("NotEnoughIdle()", output_type=bytes4)
NOT_LATER: constant(bytes4) = method_id("NotLater()", output_type=bytes4)
NOT_LIQUIDATABLE: constant(bytes4) = method_id("NotLiquidatable()", output_type=bytes4)
NOT_LISTED: constant(bytes4) = method_id("NotListed()", output_type=bytes4)
NOT_PROPOSED: constant(bytes4) = method_id("NotProposed()", output_type=bytes4)
NOTHING_OR_NOBODY: constant(bytes4) = method_id("NothingOrNobody()", output_type=bytes4)
ONE_OWNER: constant(bytes4) = method_id("OneOwner()", output_type=bytes4)
OPEN_INTEREST_CAP: constant(bytes4) = method_id("OpenInterestCap()", output_type=bytes4)
ORDER_EXPIRED: constant(bytes4) = method_id("OrderExpired()", output_type=bytes4)
ORDER_FILLED: constant(bytes4) = method_id("OrderFilled()", output_type=bytes4)
ORDERS_DO_NOT_MATCH: constant(bytes4) = method_id("OrdersDoNotMatch()", output_type=bytes4)
OUTSIDE_BAND: constant(bytes4) = method_id("OutsideBand()", output_type=bytes4)
OUTSIDE_BOUND: constant(bytes4) = method_id("OutsideBound()", output_type=bytes4)
PRICE_BEYOND_LIMIT: constant(bytes4) = method_id("PriceBeyondLimit()", output_type=bytes4)
PRICE_MISSING: constant(bytes4) = method_id("PriceMissing()", output_type=bytes4)
PRICES_NOT_GOOD: constant(bytes4) = method_id("PricesNotGood()", output_type=bytes4)
SET_ONCE: constant(bytes4) = method_id("SetOnce()", output_type=bytes4)
SIGNERS_NOT_RISING: constant(bytes4) = method_id("SignersNotRising()", output_type=bytes4)
STEP_TOO_LARGE: constant(bytes4) = method_id("StepTooLarge()", output_type=bytes4)
STILL_UNHEALTHY: constant(bytes4) = method_id("StillUnhealthy()", output_type=bytes4)
SUPPLY_CAP: constant(bytes4) = method_id("SupplyCap()", output_type=bytes4)
TOO_FEW_SIGNATURES: constant(bytes4) = method_id("TooFewSignatures()", output_type=bytes4)
TOO_LARGE: constant(bytes4) = method_id("TooLarge()", output_type=bytes4)
TOO_LATE: constant(bytes4) = method_id("TooLate()", output_type=bytes4)
TOO_LITTLE_RECEIVED: constant(bytes4) = method_id("TooLittleReceived()", output_type=bytes4)
TOO_MANY_HOLDERS: constant(bytes4) = method_id("TooManyHolders()", output_type=bytes4)
TOO_MUCH_PAID: constant(bytes4) = method_id("TooMuchPaid()", output_type=bytes4)
TOO_SOON: constant(bytes4) = method_id("TooSoon()", output_type=bytes4)
TOTAL_CAP: constant(bytes4) = method_id("TotalCap()", output_type=bytes4)
TRANSFER_FAILED: constant(bytes4) = method_id("TransferFailed()", output_type=bytes4)
UNDER_LIQUIDATION: constant(bytes4) = method_id("UnderLiquidation()", output_type=bytes4)
UNHEALTHY: constant(bytes4) = method_id("Unhealthy()", output_type=bytes4)
UNSAFE_PARAMETER: constant(bytes4) = method_id("UnsafeParameter()", output_type=bytes4)
WRONG_PAIR: constant(bytes4) = method_id("WrongPair()", output_type=bytes4)


@internal
@pure
def need(ok: bool, error: bytes4):
    """
    @notice Revert with the error unless all is well.
    """
    if not ok:
        raw_revert(slice(convert(error, bytes32), 0, 4))
