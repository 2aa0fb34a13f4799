"""The state as sorted rows: what snapshots hold and what the state hash covers."""

import hashlib
from typing import TYPE_CHECKING

import msgspec

from solvent.domain.adaptive import Adaptive
from solvent.domain.book import Order
from solvent.domain.commands import Quote
from solvent.domain.instruments import Instrument
from solvent.domain.policy import Policy
from solvent.domain.universe import Universe
from solvent.errors import SolventError, problem
from solvent.ledger.records import Account, Auction, HeldDeposit, Pool, Receipt

if TYPE_CHECKING:
    from solvent.ledger.state import State

STATE_VERSION = 1
"""Raised whenever the same events would add up to another state, or the image takes another form."""


class Image(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything that matters of a state, in an order that does not depend on how it came about."""

    version: int
    height: int
    ts_ns: int
    marked_ns: int
    next_order: int
    instruments: tuple[Instrument, ...]
    policy: Policy | None
    accounts: list[tuple[str, str, int, str, bool]]
    """name, owner, isolated, stage, frozen."""
    balances: list[tuple[int, int, int]]
    """owner, asset, atoms."""
    positions: list[tuple[int, int, int, int]]
    """owner, instrument, lots, quote atoms."""
    shares: list[tuple[int, int, int]]
    """asset, account, shares."""
    orders: list[tuple[int, Order]]
    """account, order."""
    quotes: list[tuple[Quote, int]]
    """quote, time of its last change."""
    funded: list[tuple[int, int]]
    accrued: list[tuple[int, int]]
    delisted: list[int]
    frozen: list[int]
    expired: list[int]
    auctions: list[tuple[int, int, int, int]]
    """account, start, slice, resets."""
    insured_day: int
    insured: list[tuple[str, int]]
    insured_instruments: list[tuple[int, int]]
    deposited_day: int
    deposited: list[tuple[int, int]]
    references: list[str]
    receipts: list[tuple[str, str, str, int, int]]
    """caller, key, digest, height, position."""
    adaptive: Adaptive | None = None
    """Left out where there is none: such a state is what it was before there were any. So are these two."""
    held_deposits: list[tuple[str, int, int, int, str]] = []
    """reference, account, asset, atoms, who reported it."""
    withheld: list[int] = []


_decoder = msgspec.json.Decoder(Image)


def image_of(state: "State") -> Image:
    """The sorted rows of a state."""
    return Image(
        version=STATE_VERSION,
        height=state.height,
        ts_ns=state.ts_ns,
        marked_ns=state.marked_ns,
        next_order=state.next_order,
        instruments=state.universe.instruments,
        policy=state.policy,
        accounts=[(each.name, each.owner, each.isolated, each.stage, each.frozen) for each in state.accounts],
        balances=sorted((o, asset, atoms) for o, row in state.balances.items() for asset, atoms in row.items()),
        positions=sorted((o, i, lots, quote) for o, row in state.positions.items() for i, (lots, quote) in row.items()),
        shares=sorted((asset, a, shares) for asset, pool in state.pools.items() for a, shares in pool.shares.items()),
        orders=[(a, row[id]) for a, row in sorted(state.orders.items()) for id in sorted(row)],
        quotes=[(state.quotes[i], state.quoted_ns[i]) for i in sorted(state.quotes)],
        funded=sorted(state.funded.items()),
        accrued=sorted(state.accrued.items()),
        delisted=sorted(state.delisted),
        frozen=sorted(state.frozen),
        expired=sorted(state.expired),
        auctions=sorted((account, *auction) for account, auction in state.auctions.items()),
        insured_day=state.insured_day,
        insured=sorted(state.insured.items()),
        insured_instruments=sorted(state.insured_instruments.items()),
        deposited_day=state.deposited_day,
        deposited=sorted(state.deposited.items()),
        references=sorted(state.references),
        receipts=sorted((*key, *receipt) for key, receipt in state.receipts.items()),
        adaptive=state.adaptive,
        held_deposits=sorted((reference, *held) for reference, held in state.held_deposits.items()),
        withheld=sorted(state.withheld),
    )


def encode(state: "State") -> bytes:
    """Canonical JSON: rows sorted by us, the policy's tables by the encoder; integers are exact."""
    return msgspec.json.encode(image_of(state), order="sorted")


def state_hash(state: "State") -> bytes:
    """BLAKE2b-256 of the image, less what only says where in the journal something stands.

    Heights are left out because the same entries cut into other blocks are the same state.
    """
    image = image_of(state)
    receipts = [(*row[:3], 0, 0) for row in image.receipts]
    plain = msgspec.structs.replace(image, height=0, receipts=receipts)
    return hashlib.blake2b(msgspec.json.encode(plain, order="sorted"), digest_size=32, person=b"solvent state").digest()


def decode(data: bytes) -> Image:
    """Read an image. Raises SolventError if it is none, or of another state version."""
    try:
        image = _decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise SolventError(problem("snapshot", None, "json", str(error), "a state image")) from None
    if image.version != STATE_VERSION:
        raise SolventError(problem("snapshot", None, "version", image.version, f"state version {STATE_VERSION}"))
    return image


def fill(state: "State", image: Image) -> None:
    """Put the rows of an image into an empty state, with everything that is derived from them."""
    state.height, state.ts_ns, state.marked_ns = image.height, image.ts_ns, image.marked_ns
    state.universe, state.policy, state.next_order = (
        Universe(image.instruments),
        image.policy,
        image.next_order,
    )
    state.adaptive = image.adaptive
    for row in image.accounts:
        account = Account(*row)
        state.index[account.name] = len(state.accounts)
        state.owned.setdefault(account.owner, []).append(len(state.accounts))
        state.accounts.append(account)
    for owner, asset, atoms in image.balances:
        state.balances.setdefault(owner, {})[asset] = atoms
        if owner >= 0 and atoms < 0:
            state.loans[asset] = state.loans.get(asset, 0) - atoms
            state.borrowers.setdefault(asset, set()).add(owner)
    for owner, instrument, lots, quote in image.positions:
        state.positions.setdefault(owner, {})[instrument] = (lots, quote)
        state.holders.setdefault(instrument, set()).add(owner)
    for asset, holder, shares in image.shares:
        pool = state.pools.setdefault(asset, Pool())
        pool.shares[holder] = shares
        pool.total += shares
    for holder, order in image.orders:
        state.orders.setdefault(holder, {})[order.id] = order
    for quoted, changed_ns in image.quotes:
        state.quotes[quoted.instrument], state.quoted_ns[quoted.instrument] = quoted, changed_ns
    state.funded, state.accrued = dict(image.funded), dict(image.accrued)
    state.delisted, state.frozen, state.expired = set(image.delisted), set(image.frozen), set(image.expired)
    state.auctions = {account: Auction(*row) for account, *row in image.auctions}
    state.insured_day, state.insured = image.insured_day, dict(image.insured)
    state.insured_instruments = dict(image.insured_instruments)
    state.deposited_day, state.deposited = image.deposited_day, dict(image.deposited)
    state.references = set(image.references)
    state.receipts = {(row[0], row[1]): Receipt(*row[2:]) for row in image.receipts}
    state.held_deposits = {row[0]: HeldDeposit(*row[1:]) for row in image.held_deposits}
    state.withheld = set(image.withheld)
