"""What to bid for a place in the block: never more than the job brings, and more each block that it waits."""

from solvent.chain.transactions import Fees, stepped

TIP_LEAST = 10**7
"""A hundredth of a gwei: below it many builders do not look."""


def ceiling_wei(profit: float, native_price: float, gas: int) -> int:
    """What a unit of gas may cost before the job loses, wei.

    Parameters
    ----------
    profit : float
        Base currency, gas not yet paid.
    native_price : float
        Base currency of 1e18 wei.
    """
    return max(int(profit / native_price * 1e18 / gas), 0) if native_price > 0 else 0


def first_bid(ceiling: int, base_fee: int, recent_tip: int, share: float) -> Fees | None:
    """A bid for the next block; None where the base fee alone eats the profit.

    Parameters
    ----------
    base_fee, recent_tip : int
        Of the next block, and what recent blocks took, wei.
    share : float
        Most of the profit behind the base fee that may become tip. Competing keepers bid that away to the last
        (an all-pay auction gives the prize to the builder), so what is kept must be fixed beforehand.

    Notes
    -----
    The maximum fee leaves room for the base fee to double; builders and pools that sort by maximum fee see it too.
    """
    if ceiling <= base_fee + TIP_LEAST:
        return None
    tip = min(max(recent_tip, TIP_LEAST), max(int((ceiling - base_fee) * share), TIP_LEAST))
    return Fees(min(2 * base_fee + tip, ceiling), tip)


def raised_bid(old: Fees, ceiling: int, base_fee: int, recent_tip: int, share: float) -> Fees | None:
    """A dearer bid that every pool accepts in place of `old`; None where it would cost more than the job allows."""
    wanted = first_bid(ceiling, base_fee, recent_tip, share)
    if wanted is None:
        return None
    fees = stepped(old, wanted)
    tip_most = max(int((ceiling - base_fee) * share), TIP_LEAST)
    return fees if fees.most <= ceiling and fees.tip <= tip_most else None
