"""How a run begins: instruments, policy, a first mark, then a generated or a given book."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from solvent.domain import commands as c
from solvent.domain.book import Book
from solvent.domain.events import Entry, Refused
from solvent.domain.instruments import STABLECOINS, USD, Instrument, Option, Spot
from solvent.domain.owners import INSURANCE
from solvent.domain.policy import Policy
from solvent.domain.symbols import instrument
from solvent.domain.universe import Universe
from solvent.engine.adaptive.parameters import differ_by_parameters_only
from solvent.engine.engine import Engine, Submission
from solvent.engine.generate import generate
from solvent.engine.risk import payment_asset
from solvent.engine.sources.tick import SourcePrice, Tick
from solvent.errors import SolventError, problem, raise_if

HOUSE_CASH = "USDC"
"""Settlement and payment asset of generated venues."""
PAR = "par"
"""Source of prices that are taken at 1 USD because nobody gives one."""


def instruments_for(assets: Sequence[str], prices: dict[str, float]) -> list[Instrument]:
    """The house's cash, a spot instrument for each asset, and a linear perpetual for each that is not a dollar."""
    coins = [asset for asset in assets if asset != HOUSE_CASH]
    found: list[Instrument] = [instrument(HOUSE_CASH)]
    found += [instrument(asset) for asset in coins]
    found += [
        instrument(f"{asset}/{HOUSE_CASH}:{HOUSE_CASH}", prices[asset]) for asset in coins if asset not in STABLECOINS
    ]
    return found


def instruments_of_book(
    ids: Iterable[str], house: Sequence[Instrument], prices: dict[str, float], file: str
) -> list[Instrument]:
    """What a book holds beyond the house's instruments, and the USD assets that it settles in.

    prices: USD by asset. Raises SolventError with every id that recorded prices cannot mark.
    """
    listed = {each.id for each in house}
    found: dict[str, Instrument] = {}
    faults = []
    for id in ids:
        try:
            each = instrument(id, prices.get(instrument(id).underlying, 0.0))
        except ValueError as error:
            faults.append(problem(file, None, "instrument", id, str(error)))
            continue
        if isinstance(each, Option):
            accepted = "spot, perpetuals and futures: candles hold no volatility to mark options with"
            faults.append(problem(file, None, "instrument", id, accepted))
        elif each.underlying not in prices and each.underlying not in STABLECOINS:
            faults.append(
                problem(file, None, "instrument", id, f"one of {', '.join(sorted(prices))}, which have prices")
            )
        elif not isinstance(each, Spot):
            found.setdefault(each.settlement, instrument(each.settlement))
            found.setdefault(each.id, each)
        else:
            found.setdefault(each.id, each)
    raise_if(faults)
    return [each for id, each in found.items() if id not in listed]


def with_cash(tick: Tick, cash: Iterable[str] = (HOUSE_CASH,)) -> Tick:
    """A tick in which each of `cash` (USD assets) has a price: at par where no source prices it."""
    priced = {price.name for price in tick.prices} | {USD}
    par = tuple(SourcePrice(name, PAR, 1.0) for name in cash if name not in priced)
    if not par:
        return tick
    return msgspec.structs.replace(tick, prices=(*tick.prices, *par))


def begin(engine: Engine, policy: Policy, instruments: Iterable[Instrument], first: Tick) -> None:
    """List instruments, set the policy and make the first mark. Raises SolventError with every refusal."""
    ts_ns = first.ts_ns
    all_accepted(engine.execute([Submission(c.ListInstrument(each)) for each in instruments], ts_ns))
    all_accepted(engine.execute([Submission(c.SetPolicy(policy))], ts_ns))
    all_accepted(engine.tick(first).entries)


def change_policy(engine: Engine, policy: Policy) -> None:
    """Set another policy from now on; nothing happens where it is the same. Raises SolventError if refused.

    An adaptive venue keeps what it has moved of the same policy: starting it again must not loosen anything.
    """
    state = engine.state
    if state.adaptive is not None and state.policy is not None and differ_by_parameters_only(policy, state.policy):
        return
    if policy != state.policy:
        all_accepted(engine.execute([Submission(c.SetPolicy(policy))], engine.state.ts_ns))


def prices_of(first: Tick) -> dict[str, float]:
    """Median price of each name in a tick."""
    rows: dict[str, list[float]] = {}
    for price in first.prices:
        rows.setdefault(price.name, []).append(price.price)
    return {name: sorted(found)[len(found) // 2] for name, found in rows.items()}


def load_generated(engine: Engine, prices: dict[str, float], accounts: int, seed: int, insurance_usd: float) -> None:
    """Fill the engine with a generated book. Raises SolventError with every refusal."""
    submissions = generate(engine.state.universe, prices, accounts, seed, insurance_usd)
    all_accepted(engine.execute(submissions, engine.state.ts_ns))


def load_book(engine: Engine, book: Book, insurance_usd: float) -> None:
    """Fill the engine with a given book; what it borrows is lent by a pool of the same size.

    Raises SolventError with every refusal.
    """
    all_accepted(engine.execute(book_commands(engine.state.universe, book, insurance_usd), engine.state.ts_ns))


def book_commands(universe: Universe, book: Book, insurance_usd: float) -> Iterator[Submission]:
    """Commands that fill an engine with a given book; what it borrows is lent by a pool of twice the size."""
    rows = [book.row(account) for account in range(len(book))]
    payment = payment_asset(universe)
    debts: dict[int, int] = {}
    for instruments, lots, _ in rows:
        for i, q in zip(instruments.tolist(), lots.tolist(), strict=True):
            if universe.terms.form[i] == 0 and q < 0:
                debts[i] = debts.get(i, 0) - q * universe.spot_of(i).lot_atoms
    for account, name in enumerate(book.names):
        yield Submission(c.OpenAccount(name, book.owners[account]))
    lender = len(book)
    name = "lender" if "lender" not in book.names else f"lender-{lender}"
    yield Submission(c.OpenAccount(name))
    for asset, atoms in debts.items():
        yield Submission(c.Deposit(lender, asset, 2 * atoms), "engine")
        yield Submission(c.Supply(lender, asset, 2 * atoms), "owner", name)
    if insurance_usd > 0:
        cash = round(insurance_usd * 10 ** universe.spot_of(payment).decimals)
        yield Submission(c.Deposit(INSURANCE, payment, cash), "engine")
    for account, (instruments, lots, cost) in enumerate(rows):
        balances, positions = [], []
        for i, q, quote in zip(instruments.tolist(), lots.tolist(), cost.tolist(), strict=True):
            unit = universe.spot_of(i).lot_atoms
            if universe.terms.form[i] == 0:
                balances.append((i, q * unit))
            else:
                positions.append((i, q, quote * unit))
        yield Submission(c.Load(account, tuple(balances), tuple(positions)))


def all_accepted(entries: Iterable[Entry]) -> None:
    """Raise one SolventError with every refusal among `entries`."""
    raise_if(
        [
            problem(type(entry.command).__name__, None, "command", str(entry.command), event.reason)
            for entry in entries
            for event in entry.events
            if isinstance(event, Refused)
        ]
    )


def missing_assets(wanted: Sequence[str], first: Tick) -> None:
    """Raise SolventError naming the assets that the first tick does not price."""
    priced = {price.name for price in first.prices}
    lacking = [asset for asset in wanted if asset not in priced]
    if lacking:
        accepted = f"one of {', '.join(sorted(priced))}"
        raise SolventError(*(problem("market", None, "asset", asset, accepted) for asset in lacking))
