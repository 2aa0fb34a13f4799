"""Closing legs against the outside market: impact, prices, swaps for the payment asset; semantics 9, 10."""

from fractions import Fraction
from math import ceil, floor, isqrt

from tests.reference.gates import shut
from tests.reference.margin import Row, assess
from tests.reference.trading import payable, trade
from tests.reference.world import World

from solvent.domain.owners import MARKET

E9 = 10**9


def legs_of(world: World, account: int) -> dict[int, int]:
    """Signed lots of all positions and balances but the payment asset; nothing frozen or expired."""
    payment = world.payment_of(account)
    lots = {a: atoms // world.terms[a].lot_atoms for a, atoms in world.balances(account).items()}
    lots |= {i: q for i, (q, _) in world.positions(account).items()}
    return {i: q for i, q in lots.items() if q and i != payment and not shut(world, i)}


def exposure(world: World, i: int) -> Fraction:
    """USD of a lot."""
    usd: Fraction = world.market.exposure[i]
    return usd


def impact_e9(world: World, i: int, lots: int) -> int:
    """Y σ sqrt(Q / V), up to 1e-9, capped; Q with what the outside market took of it since the mark."""
    p, market = world.parameters.liquidation, world.market
    size = abs(lots) * exposure(world, i) + world.taken_usd.get(i, Fraction(0))
    volume = market.volume[market.terms[i].asset] or p["volume_usd_daily_default"]
    square = (p["impact_factor"] * p["volatility_daily"] * E9) ** 2 * size / volume
    root = isqrt(floor(square))
    return min(root + (root * root != square), ceil(p["impact_most"] * E9))


def fill_ticks(world: World, i: int, lots: int, impact: int) -> int:
    """The mark worsened; an option's by a share of its underlying's price."""
    each, market = world.terms[i], world.market
    mark = base = market.quotes[i].ticks
    if each.form == "option":
        tick_usd = each.factor * market.atom_usd[each.payer]
        base = ceil(exposure(world, i) / tick_usd)
    worse = ceil(Fraction(base * impact, E9))
    return max(0 if each.form == "option" else 1, mark - worse if lots > 0 else mark + worse)


def lot_cost_usd(world: World, i: int, lots: int, impact: int) -> Fraction:
    """USD that a lot's price gives up, in whole ticks."""
    each, market = world.terms[i], world.market
    if each.form == "spot":
        return exposure(world, i) * Fraction(impact, E9)
    mark, ticks = market.quotes[i].ticks, fill_ticks(world, i, lots, impact)
    atoms = each.factor * (Fraction(1, ticks) - Fraction(1, mark) if each.form == "inverse" else ticks - mark)
    return abs(atoms) * market.atom_usd[each.payer]


def swap(world: World, account: int, asset: int, atoms: int, impact: int = 0) -> None:
    """Sell atoms (negative: buy back a debt) for the payment asset, at value less impact, against the account."""
    payment = world.payment_of(account)
    unit = world.market.atom_usd
    sign = 1 if atoms > 0 else -1
    paid = floor(atoms * unit[asset] * (E9 - sign * impact) / (E9 * unit[payment]))
    world.pay(account, MARKET, asset, atoms)
    world.pay(MARKET, account, payment, paid)


def bought_for(world: World, account: int, asset: int, cash: int, impact: int = 0) -> int:
    """Atoms of an asset that so much of the payment asset buys, down."""
    unit, payment = world.market.atom_usd, world.payment_of(account)
    return floor(cash * E9 * unit[payment] / (unit[asset] * (E9 + impact)))


def close(world: World, account: int, i: int, lots: int, impact: int, atoms: int | None = None) -> int:
    """Close signed lots of a leg; a debt is bought back as far as there is cash. Returns the lots closed.

    atoms: of a spot leg, where fewer than the whole lots are sold.
    """
    each = world.terms[i]
    if each.form == "spot":
        sold = lots * each.lot_atoms if atoms is None else atoms
        if lots < 0:
            cash = payable(world, account, world.payment_of(account))
            sold = -min(-sold, -world.balance(account, i), bought_for(world, account, i, cash, impact))
        swap(world, account, i, sold, impact)
        lots = sold // each.lot_atoms if sold >= 0 else -(-sold // each.lot_atoms)
    else:
        buyer, seller = (MARKET, account) if lots > 0 else (account, MARKET)
        trade(world, buyer, seller, i, abs(lots), fill_ticks(world, i, lots, impact), forced=True)
    world.taken_usd[i] = world.taken_usd.get(i, Fraction(0)) + abs(lots) * exposure(world, i)
    return lots


def alone(world: World, account: int, legs: dict[int, int]) -> dict[int, int]:
    """Maintenance margin of each leg by itself, entered at the mark, 1e-6 USD."""
    found = {}
    for i, lots in legs.items():
        each = world.terms[i]
        quote = each.quote(lots, world.market.quotes[i].ticks) if each.form in ("linear", "inverse") else 0
        entered = quote // each.lot_atoms * each.lot_atoms
        row = Row({i: lots * each.lot_atoms}, {}) if each.form == "spot" else Row({}, {i: (lots, entered)})
        found[i] = assess(world.market, row, []).maintenance
    return found
