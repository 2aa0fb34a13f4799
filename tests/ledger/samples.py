"""A small market and a day in its life: every command and every event once, with legs that balance."""

from collections.abc import Iterable

import msgspec
from hypothesis import strategies as st

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.adaptive import LOOSEN, RAISE, AdaptiveParams, Change, Evidence, EvidenceRow
from solvent.domain.book import Order
from solvent.domain.instruments import Instrument
from solvent.domain.owners import FEES, INSURANCE, MARKET, OUTSIDE, POOL, ROUNDING
from solvent.domain.policy import Policy
from solvent.domain.symbols import instrument, spot
from solvent.ledger import snapshots
from solvent.ledger.apply import apply_block
from solvent.ledger.journal import Journal
from solvent.ledger.state import State

USDC, BTC, PERPETUAL, OPTION = range(4)
MAKER, TAKER, LENDER = range(3)
HOUR_NS = 3_600 * 10**9

INSTRUMENTS: tuple[Instrument, ...] = (
    spot("USDC"),
    spot("BTC"),
    instrument("BTC/USDC:USDC"),
    instrument("BTC/USDC:USDC-241227-60000-C"),
)
POLICY = Policy(
    "desk",
    "1",
    "2024-01-01",
    "tests",
    margin={"rule": "portfolio", "haircut": 0.1, "tiers": [[1, 0.5], [2, 1.0]]},
    liquidation={"penalty": 0.02},
)


def listing() -> list[e.Entry]:
    """Instruments, a policy and three accounts."""
    names = ("maker", "taker", "lender")
    return [
        *(e.Entry(c.ListInstrument(each), (e.InstrumentListed(instrument=each),)) for each in INSTRUMENTS),
        e.Entry(c.SetPolicy(POLICY), (e.PolicySet(policy=POLICY),), origin="risk"),
        *(
            e.Entry(c.OpenAccount(name, "desk"), (e.AccountOpened(account=i, name=name, owner="desk"),))
            for i, name in enumerate(names)
        ),
        e.Entry(
            c.Load(LENDER, ((USDC, 7),)),
            (e.Loaded(account=LENDER, postings=((OUTSIDE, USDC, -7), (LENDER, USDC, 7))),),
            "operator",
        ),
    ]


def deposit(account: int, asset: int, atoms: int, reference: str = "", key: str = "") -> e.Entry:
    """Atoms from outside."""
    moved = ((OUTSIDE, asset, -atoms), (account, asset, atoms))
    event = e.Deposited(account=account, reference=reference, postings=moved)
    return e.Entry(c.Deposit(account, asset, atoms, reference), (event,), "owner", "custodian", key)


def trading() -> list[e.Entry]:
    """Deposits, a pool, a loan, a trade and everything around it."""
    verdicts = (e.Verdict(MAKER, 10**12, 10**11, 8 * 10**10),)
    order = Order(7, PERPETUAL, 5, 4_200_000)
    quotes = (c.Quote(USDC, 1_000_000), c.Quote(BTC, 42_000_000_000, state=1, volume_usd_daily=0))
    return [
        deposit(MAKER, USDC, 10**12, "wire-1", "key-1"),
        deposit(LENDER, BTC, 10**10, "wire-2", "key-2"),
        deposit(INSURANCE, USDC, 10**9),
        e.Entry(
            c.Supply(LENDER, BTC, 10**9),
            (
                e.Supplied(
                    account=LENDER,
                    asset=BTC,
                    shares=10**15,
                    postings=((LENDER, BTC, -(10**9)), (POOL, BTC, 10**9)),
                ),
            ),
        ),
        e.Entry(
            c.Withdraw(TAKER, BTC, 10**8),
            (e.Withdrawn(account=TAKER, postings=((TAKER, BTC, -(10**8)), (OUTSIDE, BTC, 10**8))),),
        ),
        e.Entry(
            c.Redeem(LENDER, BTC, 10**14),
            (
                e.Supplied(
                    account=LENDER,
                    asset=BTC,
                    shares=-(10**14),
                    postings=((POOL, BTC, -(10**8)), (LENDER, BTC, 10**8)),
                ),
            ),
        ),
        e.Entry(c.Withdraw(TAKER, BTC, 10**18), (e.Refused(reason="more than the pool has"),), key="key-3"),
        e.Entry(
            c.Transfer(MAKER, TAKER, USDC, 5),
            (e.Transferred(source=MAKER, target=TAKER, postings=((MAKER, USDC, -5), (TAKER, USDC, 5))),),
        ),
        e.Entry(c.Mark(quotes, (c.SourceVerdict(BTC, "x", 1, 2, "old"),)), (e.Marked(quotes=quotes),)),
        e.Entry(c.OpenOrder(MAKER, PERPETUAL, 5, 4_200_000), (e.OrderOpened(account=MAKER, order=order),), "owner"),
        e.Entry(
            c.OpenOrder(TAKER, PERPETUAL, -5, 4_300_000),
            (e.OrderOpened(account=TAKER, order=Order(8, PERPETUAL, -5, 4_300_000)),),
            "owner",
        ),
        e.Entry(c.CancelOrder(MAKER, 7), (e.OrdersCancelled(account=MAKER, orders=(7,), reason="asked"),)),
        e.Entry(
            c.Fill(PERPETUAL, MAKER, TAKER, 10, 4_200_000, buyer_fee_atoms=3),
            (
                e.Filled(
                    instrument=PERPETUAL,
                    buyer=MAKER,
                    seller=TAKER,
                    lots=10,
                    price_ticks=4_200_000,
                    verdicts=verdicts,
                    postings=((MAKER, USDC, -3), (FEES, USDC, 3)),
                    legs=((MAKER, PERPETUAL, 10, -42_000_000), (TAKER, PERPETUAL, -10, 42_000_000)),
                ),
            ),
            "venue",
        ),
    ]


def falling() -> list[e.Entry]:
    """Funding, interest, settlement, the waterfall and the end of an instrument."""
    call = e.Staged(account=TAKER, stage="called")
    closing = ((TAKER, PERPETUAL, 4, -16_800_000), (MARKET, PERPETUAL, -4, 16_800_000))
    return [
        e.Entry(
            c.Settle(PERPETUAL),
            (
                e.Settled(
                    instrument=PERPETUAL,
                    price_ticks=4_100_000,
                    postings=((MAKER, USDC, -9), (TAKER, USDC, 9)),
                    legs=((MAKER, PERPETUAL, 0, 9), (TAKER, PERPETUAL, 0, -9)),
                ),
            ),
        ),
        e.Entry(
            c.Fund(PERPETUAL, 8, 10**8),
            (
                e.Funded(
                    instrument=PERPETUAL,
                    interval=8,
                    rate_e12=10**8,
                    postings=((MAKER, USDC, -3), (TAKER, USDC, 2), (ROUNDING, USDC, 1)),
                ),
            ),
        ),
        e.Entry(
            c.Accrue(BTC, 480_000),
            (e.Accrued(asset=BTC, interval=480_000, rate_e18=7, postings=((TAKER, BTC, -10), (POOL, BTC, 10))),),
        ),
        e.Entry(c.MarginCall(TAKER), (call,)),
        e.Entry(
            c.Liquidate(TAKER),
            (
                e.Staged(account=TAKER, stage="liquidating"),
                e.Liquidated(account=TAKER, notional_micro=4, penalty_micro=1, legs=closing),
            ),
        ),
        e.Entry(
            c.StartAuction(TAKER),
            (
                e.Staged(account=TAKER, stage="auction"),
                e.AuctionStarted(account=TAKER, start_ns=HOUR_NS, slice_e9=10**9),
            ),
        ),
        e.Entry(
            c.ResetAuction(TAKER),
            (e.AuctionStarted(account=TAKER, start_ns=2 * HOUR_NS, slice_e9=5 * 10**8, resets=1),),
        ),
        e.Entry(
            c.Bid(TAKER, MARKET, 10**8),
            (
                e.AuctionTaken(
                    account=TAKER,
                    bidder=MARKET,
                    share_e9=10**8,
                    price_micro=-5,
                    postings=((TAKER, USDC, -1), (MARKET, USDC, 1)),
                ),
            ),
            "keeper",
        ),
        e.Entry(
            c.Insure(TAKER),
            (
                e.Insured(
                    account=TAKER,
                    paid_e42=2 * 10**36,
                    shortfall_e42=2 * 10**36,
                    instrument=PERPETUAL,
                    postings=((INSURANCE, USDC, -2), (TAKER, USDC, 2)),
                ),
            ),
        ),
        e.Entry(
            c.Deleverage(TAKER, PERPETUAL),
            (
                e.Deleveraged(
                    account=TAKER,
                    instrument=PERPETUAL,
                    lots=1,
                    price_ticks=4_200_000,
                    legs=((TAKER, PERPETUAL, 1, -4_200_000), (MAKER, PERPETUAL, -1, 4_200_000)),
                ),
            ),
        ),
        e.Entry(
            c.Socialise(TAKER),
            (e.LossShared(account=TAKER, shared_e42=10**36, postings=((POOL, BTC, -1000), (TAKER, BTC, 1000))),),
        ),
        e.Entry(
            c.Sweep(USDC),
            (e.Swept(asset=USDC, postings=((ROUNDING, USDC, -1), (INSURANCE, USDC, 1))),),
        ),
        e.Entry(c.Freeze(account=MAKER), (e.Frozen(account=MAKER),), "operator"),
        e.Entry(c.Freeze(instrument=OPTION), (e.Frozen(instrument=OPTION),), "operator"),
        e.Entry(c.DelistInstrument(OPTION), (e.InstrumentDelisted(instrument=OPTION),)),
        e.Entry(c.Expire(OPTION, 1), (e.Expired(instrument=OPTION, price_ticks=1),)),
    ]


def adapting() -> list[e.Entry]:
    """The policy is raised, loosened, let go and held; a ramp is left under way."""
    rows = (EvidenceRow("BTC", "long", 0.1, 0.1, 0.99, 500, 5, 500, 1.0),)
    evidence = Evidence("stack", "0" * 64, 1, 2, rows)
    target = msgspec.structs.replace(POLICY, notes="raised")
    up, down = (Change("scan_range.BTC", 0.16, 0.18),), (Change("scan_range.ETH", 0.16, 0.15),)
    proposals = [
        e.PolicyProposed(
            proposal=1, direction=RAISE, changes=up, evidence=evidence, target_policy=target, ramp=up, start_ns=1
        ),
        e.PolicyProposed(proposal=2, direction=LOOSEN, changes=down, evidence=evidence, by="ada"),
        e.PolicyProposed(proposal=3, direction=LOOSEN, changes=down, evidence=evidence, by="ada"),
    ]
    return [
        e.Entry(c.EnableAdaptive(), (e.AdaptiveEnabled(params=AdaptiveParams()),), "operator"),
        *(e.Entry(c.ProposePolicy((("scan_range.BTC", 0.18),), evidence), (each,)) for each in proposals),
        e.Entry(c.WithdrawProposal(2), (e.ProposalWithdrawn(proposal=2, by="ada"),), "risk", "ada"),
        e.Entry(
            c.ApprovePolicy(3),
            (e.PolicyApproved(proposal=3, by="grace", policy=POLICY, target_policy=target, changes=down),),
            "risk",
            "grace",
        ),
        e.Entry(c.RampPolicy(), (e.PolicyRamped(policy=POLICY, changes=(Change("scan_range.BTC", 0.16, 0.17),)),)),
        e.Entry(c.RampPolicy(), (e.RampHeld(proposals=(1,), accounts=(TAKER,)),)),
    ]


def custody() -> list[e.Entry]:
    """A deposit that waits, one that is dropped; an asset of which custody holds less than it should, and another."""
    held = [e.DepositHeld(account=MAKER, asset=USDC, atoms=10**13, reference=f"wire-{n}", by="ada") for n in (90, 91)]
    return [
        *(e.Entry(c.Deposit(MAKER, USDC, 10**13, each.reference), (each,), "operator", "ada") for each in held),
        e.Entry(
            c.ConfirmDeposit("wire-91", False),
            (e.DepositDropped(reference="wire-91", by="grace"),),
            "operator",
            "grace",
        ),
        *(
            e.Entry(
                c.Reconcile(asset, 5), (e.Reconciled(asset=asset, custody_atoms=5, ledger_atoms=6),), "operator", "ada"
            )
            for asset in (USDC, BTC)
        ),
    ]


def closing() -> list[e.Entry]:
    """The auction ends and the freeze is lifted."""
    released = e.WithdrawalsReleased(asset=USDC, by="grace", reason="counted again")
    return [
        e.Entry(c.ReleaseWithdrawals(USDC, "counted again"), (released,), "operator", "grace"),
        e.Entry(c.NoteSnapshot(1, NO_DIGEST), (e.SnapshotNoted(height=1, digest=NO_DIGEST),)),
        e.Entry(
            c.CloseAuction(TAKER),
            (e.AuctionClosed(account=TAKER), e.Staged(account=TAKER, stage="healthy")),
        ),
        e.Entry(c.Freeze(account=MAKER, on=False), (e.Frozen(account=MAKER, on=False),)),
    ]


def day() -> list[tuple[int, list[e.Entry]]]:
    """(time, entries) of five blocks."""
    blocks = [listing(), [*trading(), *adapting(), *custody()], falling()[:8], falling()[8:], closing()]
    return [(number * HOUR_NS, entries) for number, entries in enumerate(blocks, start=1)]


def write_day(journal: Journal, every: int) -> State:
    """Write the day with a snapshot every so many blocks, each noted in the block after it; the state it holds."""
    state, notes = State(), list[e.Entry]()
    for ts_ns, entries in day():
        apply_block(state, ts_ns, [*notes, *entries])
        journal.commit([*notes, *entries], ts_ns)
        note = snapshots.save_if_due(journal, state, every)
        notes = [] if note is None else [noted(note)]
    return state


def noted(note: c.NoteSnapshot) -> e.Entry:
    """The entry that makes a snapshot count."""
    return e.Entry(note, (e.SnapshotNoted(height=note.height, digest=note.digest),))


def unnoted(entries: Iterable[e.Entry]) -> list[e.Entry]:
    """Entries without what `write_day` added."""
    return [
        each for each in entries if not isinstance(each.command, c.NoteSnapshot) or each.command.digest == NO_DIGEST
    ]


NO_DIGEST = "00" * 32
BIG = 10**30
owners = st.integers(-7, 5)
atoms = st.integers(-BIG, BIG)
postings = st.lists(st.tuples(owners, st.integers(0, 3), atoms), max_size=12)
legs = st.lists(st.tuples(owners, st.integers(0, 3), st.integers(-(2**59), 2**59), atoms), max_size=12)


def balanced_postings(rows: list[tuple[int, int, int]]) -> tuple[e.Posting, ...]:
    """The rows with what `OUTSIDE` must give so that each asset sums to zero."""
    return (*rows, *((OUTSIDE, asset, -atoms) for _, asset, atoms in rows))


def balanced_legs(rows: list[tuple[int, int, int, int]]) -> tuple[e.Leg, ...]:
    """The same for legs, against the outside market."""
    return (*rows, *((MARKET, instrument, -lots, -quote) for _, instrument, lots, quote in rows))


def state_of_the_day(upto: int = 5) -> State:
    """The state after the first `upto` blocks."""
    state = State()
    for ts_ns, entries in day()[:upto]:
        apply_block(state, ts_ns, entries)
    return state
