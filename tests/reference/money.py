"""Accounts, their cash and the lending pools; semantics 3 and 8."""

from fractions import Fraction
from math import ceil, floor

from tests.reference.gates import (
    ATOMS,
    known_account,
    known_asset,
    known_instrument,
    marked,
    market_of,
    money_may_leave,
    shut,
    within_bounds,
)
from tests.reference.world import DAY_NS, HOUR_NS, Account, World, need

from solvent.domain import commands as c
from solvent.domain.owners import INSURANCE, MARKET, OUTSIDE, POOL, ROUNDING

NAME_MOST = 200
VIRTUAL_SHARES, VIRTUAL_ATOMS = 10**6, 1
"""Shares and atoms that nobody owns fix the first price of a pool's share."""
YEAR_S = 31_536_000


def open_account(world: World, command: c.OpenAccount) -> None:
    need(0 < len(command.name) <= NAME_MOST, "a name")
    need(all(each.name != command.name for each in world.accounts), "a name that no account has")
    if command.isolated >= 0:
        known_asset(world, command.isolated)
    world.accounts.append(Account(command.name, command.owner or command.name, command.isolated))


def freeze(world: World, command: c.Freeze) -> None:
    need((command.account >= 0) != (command.instrument >= 0), "an account or an instrument")
    if command.account >= 0:
        known_account(world, command.account)
        world.accounts[command.account] = world.accounts[command.account]._replace(frozen=command.on)
    else:
        known_instrument(world, command.instrument)
        (world.frozen.add if command.on else world.frozen.discard)(command.instrument)


def deposit(world: World, command: c.Deposit) -> None:
    account, asset = command.account, command.asset
    known_asset(world, asset)
    need(0 < command.atoms < ATOMS, "atoms above 0")
    need(not command.reference or command.reference not in world.references, "a reference never credited")
    if account != INSURANCE:
        known_account(world, account)
        need(world.accounts[account].isolated in (-1, asset), "the settlement asset of the isolated account")
        marked(world, asset)
        _deposit_caps(world, command)
    world.pay(OUTSIDE, account, asset, command.atoms)
    within_bounds(world)
    if command.reference:
        world.references.add(command.reference)
    if account != INSURANCE:
        market_of(world)
        key = world.now_ns // DAY_NS, asset
        world.deposited[key] = world.deposited.get(key, 0) + command.atoms


def _deposit_caps(world: World, command: c.Deposit) -> None:
    """Of the listing: owner, total, a day."""
    asset = command.asset
    limit = world.parameters.limits.get(world.terms[asset].id)
    if not limit:
        return
    owner = world.accounts_of(world.accounts[command.account].owner)
    held = command.atoms + sum(max(0, world.balance(each, asset)) for each in owner)
    total = command.atoms - world.balance(OUTSIDE, asset) - world.balance(INSURANCE, asset)
    today = command.atoms + world.deposited.get((world.now_ns // DAY_NS, asset), 0)
    for atoms, name in ((held, "owner"), (total, "total"), (today, "daily")):
        usd, units = limit.get(f"{name}_usd"), limit.get(f"{name}_units")
        need(usd is None or atoms * world.market.atom_usd[asset] <= usd, f"{name} cap")
        need(units is None or atoms <= units * world.terms[asset].payer_atoms, f"{name} cap")


def _leaves(world: World, account: int, target: int, asset: int, atoms: int) -> None:
    """Money moves out of an account, through the gates."""
    known_account(world, account)
    known_asset(world, asset)
    need(0 < atoms < ATOMS, "atoms above 0")
    marked(world, asset)
    market_of(world)
    before = world.copy()
    world.pay(account, OUTSIDE, asset, atoms)
    money_may_leave(before, world, account, asset)
    world.pay(OUTSIDE, target, asset, atoms)


def withdraw(world: World, command: c.Withdraw) -> None:
    _leaves(world, command.account, OUTSIDE, command.asset, command.atoms)


def transfer(world: World, command: c.Transfer) -> None:
    known_account(world, command.target)
    known_account(world, command.source)
    need(command.source != command.target, "two accounts")
    source, target = world.accounts[command.source], world.accounts[command.target]
    need(source.owner == target.owner, "accounts of one owner")
    need(target.isolated in (-1, command.asset), "the settlement asset of the isolated account")
    _leaves(world, command.source, command.target, command.asset, command.atoms)
    within_bounds(world)


def load(world: World, command: c.Load) -> None:
    known_account(world, command.account)
    market_of(world)
    account, isolated = command.account, world.accounts[command.account].isolated
    need(not world.balances(account) and not world.positions(account), "an account that has nothing")
    for asset, atoms in command.balances:
        known_asset(world, asset)
        marked(world, asset)
        need(isolated in (-1, asset), "the settlement asset of the isolated account")
        world.pay(OUTSIDE, account, asset, atoms)
    for i, lots, quote in command.positions:
        known_instrument(world, i)
        need(not shut(world, i), "an instrument that is open")
        marked(world, i)
        need(world.terms[i].form != "spot", "a derivative")
        need(isolated in (-1, world.terms[i].payer), "the settlement asset of the isolated account")
        world.give(MARKET, account, i, lots, quote)
    within_bounds(world)


# ---- pools


def all_shares(world: World, asset: int) -> int:
    """In lenders' hands."""
    return sum(shares for (_, held), shares in world.shares.items() if held == asset)


def bought(world: World, asset: int, atoms: int, value: int | None = None) -> int:
    """Shares for atoms, down."""
    value = world.balance(POOL, asset) if value is None else value
    return atoms * (all_shares(world, asset) + VIRTUAL_SHARES) // (value + VIRTUAL_ATOMS)


def redeemed(world: World, asset: int, shares: int) -> int:
    """Atoms for shares, down."""
    return shares * (world.balance(POOL, asset) + VIRTUAL_ATOMS) // (all_shares(world, asset) + VIRTUAL_SHARES)


def mint(world: World, owner: int, asset: int, shares: int) -> None:
    after = world.shares.get((owner, asset), 0) + shares
    world.shares[owner, asset] = after
    if not after:
        del world.shares[owner, asset]


def supply(world: World, command: c.Supply) -> None:
    account, asset, atoms = command.account, command.asset, command.atoms
    need(account >= 0 and atoms <= world.balance(account, asset), "at most the balance")
    before = world.copy()
    _leaves(world, account, POOL, asset, atoms)
    shares = bought(before, asset, atoms)
    need(shares > 0, "at least one share")
    mint(world, account, asset, shares)


def redeem(world: World, command: c.Redeem) -> None:
    known_account(world, command.account)
    known_asset(world, command.asset)
    need(0 < command.shares <= world.shares.get((command.account, command.asset), 0), "shares that it has")
    atoms = redeemed(world, command.asset, command.shares)
    need(0 < atoms <= world.cash(command.asset), "cash in the pool")
    world.pay(POOL, command.account, command.asset, atoms)
    mint(world, command.account, command.asset, -command.shares)


def accrue(world: World, command: c.Accrue) -> None:
    """Interest: loans up, lenders down, the rest to insurance; in shares what the pool has no cash for."""
    asset = command.asset
    known_asset(world, asset)
    last = world.accrued.get(asset, command.interval - 1)
    need(last < command.interval <= world.now_ns // HOUR_NS, "an hour not accrued yet, nor in the future")
    curve, loans, cash = world.parameters.curve(world.terms[asset].id), world.loans(asset), world.cash(asset)
    used = Fraction(loans, loans + cash) if loans else Fraction(0)
    kink = curve["kink_utilisation"]
    rate = curve["base_annual"] + curve["slope_low_annual"] * min(Fraction(1), used / kink)
    rate += curve["slope_high_annual"] * max(Fraction(0), used - kink) / (1 - kink)
    rate = Fraction(ceil(rate * 10**18), 10**18)
    share = rate * (command.interval - last) * 3600 / YEAR_S
    owed = {a: ceil(-n * share) for a in range(len(world.accounts)) if (n := world.balance(a, asset)) < 0}
    lenders = floor(sum(owed.values()) * (1 - curve["reserve_factor"]))
    reserve = sum(owed.values()) - lenders
    for account, atoms in owed.items():
        world.pay(account, POOL, asset, atoms)
    paid = min(reserve, cash)
    world.pay(POOL, INSURANCE, asset, paid)
    if reserve > paid:  # the pool keeps it, and owes it in shares priced at what lenders have without it
        unpaid = reserve - paid
        mint(world, INSURANCE, asset, bought(world, asset, unpaid, world.balance(POOL, asset) - unpaid))
    world.accrued[asset] = command.interval


def sweep(world: World, command: c.Sweep) -> None:
    """What rounding left over to insurance, and what the pool can give back of what insurance lent it."""
    asset = command.asset
    known_asset(world, asset)
    before = world.copy()
    world.pay(ROUNDING, INSURANCE, asset, max(0, world.balance(ROUNDING, asset)))
    value, shares = before.balance(POOL, asset), all_shares(before, asset)
    given = world.cash(asset) * (shares + VIRTUAL_SHARES) // (value + VIRTUAL_ATOMS)
    given = min(given, world.shares.get((INSURANCE, asset), 0))
    back = redeemed(before, asset, given)
    if back > 0:
        world.pay(POOL, INSURANCE, asset, back)
        mint(world, INSURANCE, asset, -given)
    need(world.atoms != before.atoms, "something to sweep")
