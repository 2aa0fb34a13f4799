"""What all commands look at before they move anything: who and what is known, prices, margin after it; semantics 8."""

from collections.abc import Iterable
from fractions import Fraction
from math import ceil

from tests.reference.margin import MICRO, Verdict, verdict
from tests.reference.market import Market
from tests.reference.world import OK, World, need

ATOMS, LOTS = 2**127, 2**63


def market_of(world: World) -> Market:
    """The market of the last mark; refuses where there is none."""
    need(world.market is not None and bool(world.market.terms), "a policy and a mark")
    market: Market = world.market
    return market


def known_account(world: World, account: int) -> None:
    need(0 <= account < len(world.accounts), "an account")


def known_instrument(world: World, i: int) -> None:
    need(0 <= i < len(world.terms), "an instrument")


def known_asset(world: World, asset: int) -> None:
    known_instrument(world, asset)
    need(world.terms[asset].form == "spot", "a spot instrument")


def marked(world: World, i: int) -> None:
    """What has a mark, as all listed before it have."""
    need(world.market is not None and i < len(world.market.terms), "an instrument with a mark")


def shut(world: World, i: int) -> bool:
    """Nobody may trade it: expired or frozen."""
    return i in world.expired or i in world.frozen or 0 < world.terms[i].expiry_ns <= world.now_ns


def worst_state(world: World, instruments: Iterable[int]) -> int:
    """Of the prices that instruments depend on: their own, their payer's, their underlying's."""
    worst = OK
    for i in instruments:
        each = world.terms[i]
        for k in (i, each.payer, world.market.house_spot(each.asset)):
            if k in world.quotes and k not in world.expired:
                worst = max(worst, world.quotes[k].state)
    return worst


def trusted(world: World, instruments: Iterable[int]) -> bool:
    """Prices that are ok, and no clock that runs ahead of the marks: else no new risk."""
    ahead_s = Fraction(world.now_ns - world.marked_ns, 10**9)
    return ahead_s <= world.parameters.halt_age_s and worst_state(world, instruments) == OK


def at_least(world: World, more: int, less: int, doubt: int) -> bool:
    """more >= less; within the error of model values what the engine found."""
    if doubt and abs(more - less) <= doubt:
        world.leaned += 1
        return world.lean
    return more >= less


def acted_on(world: World, account: int) -> Verdict:
    """The verdict of an account; to the digit the engine's where they agree but for the error of model values."""
    found, told = verdict(world, account), world.told
    if told is None or told.account != account:
        return found
    theirs = told.equity, told.initial_margin, told.maintenance_margin
    close = all(abs(a - b) <= found.doubt for a, b in zip(theirs, found, strict=False))
    return Verdict(*theirs, found.doubt) if close else found


def actionable(world: World, account: int) -> Verdict:
    """The verdict of an account that prices allow to act on; refuses where they do not."""
    found = acted_on(world, account)
    need(priced(world, account, found), "prices that are ok, or a health far below 1")
    return found


def priced(world: World, account: int, found: Verdict) -> bool:
    """Degraded or halted: only far below maintenance margin; gone: never."""
    worst = worst_state(world, row_instruments(world, account))
    return worst == OK or (worst < 3 and found.equity < world.parameters.degraded_health * found.maintenance)


def row_instruments(world: World, account: int) -> list[int]:
    """Whatever an account has an entry in."""
    return [*world.balances(account), *world.positions(account)]


def within_bounds(world: World) -> None:
    """No pool lends more than it has; everything fits the ledger and the book."""
    for asset, each in enumerate(world.terms):
        need(each.form != "spot" or world.cash(asset) >= 0, "loans within the pool's cash")
    for (owner, asset), atoms in world.atoms.items():
        need(abs(atoms) < (LOTS * world.terms[asset].lot_atoms if owner >= 0 else ATOMS), "a balance below 2**63 lots")
    for (owner, i), (lots, quote) in world.held.items():
        need(abs(lots) < LOTS, "a position below 2**63 lots")
        need(abs(quote) < (LOTS * world.terms[i].lot_atoms if owner >= 0 else ATOMS), "a quote leg below 2**63 lots")


def money_may_leave(before: World, after: World, account: int, asset: int) -> None:
    """Equity at or above IM after it, good prices, no liquidation under way, cash that is there; what is not
    settled yet counts as equity, but nobody lends against it."""
    record = before.accounts[account]
    need(record.isolated in (-1, asset), "the settlement asset of the isolated account")
    need(not record.frozen and record.stage == "healthy", "an account that is healthy and not frozen")
    need(after.cash(asset) >= 0, "cash of its own, or of the pool for a loan")
    need(trusted(before, [*row_instruments(before, account), asset]), "prices that are ok")
    found = verdict(after, account)
    backed = unsettled_micro(before, account) if after.balance(account, asset) < 0 else 0
    need(
        at_least(after, found.equity - backed, found.initial, found.doubt), "equity at or above initial margin after it"
    )


def unsettled_micro(world: World, account: int) -> int:
    """Positive unsettled profits, up."""
    usd = Fraction(0)
    for i, (lots, quote) in world.positions(account).items():
        each = world.terms[i]
        usd += max(0, each.profit(lots, quote, world.quotes[i].ticks)) * world.market.atom_usd[each.payer]
    return ceil(usd * MICRO)


def risk_may_grow(before: World, after: World, account: int) -> None:
    """At or above IM after it; or IM does not rise and equity - IM does not fall."""
    now, then = verdict(before, account), verdict(after, account)
    good = trusted(before, {*row_instruments(before, account), *row_instruments(after, account)})
    doubt = now.doubt + then.doubt
    if not good or not at_least(after, then.equity, then.initial, then.doubt):
        better = at_least(after, now.initial, then.initial, doubt)
        better &= at_least(after, then.equity - then.initial, now.equity - now.initial, 2 * doubt)
        need(better, "equity at or above initial margin after it, or a trade that reduces risk")
