"""The keeper's loop: follow what was sent, look, decide, simulate, bid; one step a block."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec

from solvent.chain.keeper.amm import Pairs, Reserves
from solvent.chain.keeper.bid import ceiling_wei, first_bid, raised_bid
from solvent.chain.keeper.decide import Prices, plan
from solvent.chain.keeper.flow import OrderFlow, PublicFlow
from solvent.chain.keeper.ledger import Entry, ProfitLedger
from solvent.chain.keeper.venue import Bounds, Job, Opportunities, Venue
from solvent.chain.limits import LimitReached, Meter
from solvent.chain.rpc import EndpointsLost, Rpc, RpcError, number, quantity
from solvent.chain.transactions import Fees, Receipt, Sender, Sent, base_fee_after, stepped, tip_percentile
from solvent.errors import SolventError

ONE = 10**8
"""Units of the limits in one of base currency."""
CANCEL_GAS = 21_000
RELAY_BLOCKS = 25
"""How long a relay may hold a transaction; the executor's deadline is stricter."""
PAID_SLACK = 500_000
"""A job may pay a 500,000th more than forecast: interest of the blocks between."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the keeper works. Values in base currency (USD)."""

    profit_least: float = 1.0
    """Behind gas."""
    profit_kept: float = 0.5
    """Share of the forecast profit below which the executor reverts."""
    price_band: float = 0.03
    """Furthest a pair may stand from the venue's own price, relative."""
    bid_share: float = 0.5
    """Most of the profit that becomes tip."""
    tip_percentile: float = 60.0
    """Of recent blocks, where bids begin."""
    gas_share: float = 0.9
    """Of a block's gas limit that is filled."""
    gas_margin: float = 1.15
    """Gas limit of a transaction over its estimate."""
    deadline_s: int = 60
    finality_blocks: int = 2
    """Blocks on top of a receipt before it is booked."""
    large_value: float = 50_000.0
    """Jobs of at least this value are checked on a second endpoint."""
    lookahead: float = 0.02
    """Fall of all prices but a dollar's under which accounts count as next."""
    keep_collateral: bool = False
    dry_run: bool = False
    simulate: bool = True
    """Have the node execute each job first. Only a dry run without an executor can do without."""


class Head(msgspec.Struct, frozen=True):
    """The newest block, and the base fee of the next."""

    number: int
    hash: str
    timestamp: int
    gas_limit: int
    next_base_fee: int


class Flight(msgspec.Struct):
    """A job under way."""

    job: Job
    bounds: Bounds
    sent: Sent
    ceiling: int
    """Wei a unit of gas may cost."""
    sent_block: int
    receipt: Receipt | None = None
    cancelled: bool = False


class Report(msgspec.Struct, frozen=True):
    """One step."""

    head: Head
    liquidatable: int
    """Accounts."""
    next: int
    """Accounts that the lookahead would add."""
    profitable: int
    jobs: tuple[Job, ...]
    """Sent, or that would be in a dry run."""
    in_flight: int
    decision_s: float
    """Opportunities, sizes and the fill."""


class Keeper:
    """Liquidates on one venue with one key. `counts` says what happened, by name."""

    def __init__(
        self,
        venue: Venue,
        pairs: Pairs,
        sender: Sender,
        meter: Meter,
        settings: Settings | None = None,
        *,
        ledger: ProfitLedger | None = None,
        flow: OrderFlow | None = None,
        second: Rpc | None = None,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        """second: another endpoint, by which large jobs are checked; without one they are not done."""
        self.venue, self.pairs, self.sender, self.meter = venue, pairs, sender, meter
        self.settings = settings or Settings()
        self.ledger = ledger or ProfitLedger()
        self.ledger.restore(meter, wall_s, ONE)
        self.flow = flow or PublicFlow(sender)
        self.second = second
        self.flights: dict[str, Flight] = {}
        self.counts: Counter[str] = Counter()
        self.last: Report | None = None
        self._wall_s = wall_s

    @property
    def rpc(self) -> Rpc:
        """The venue's client."""
        return self.venue.rpc

    def step(self) -> Report | None:
        """Act on the newest block; None where it is the one acted on before. Raises SolventError."""
        head = self._head()
        if self.last is not None and head.hash == self.last.head.hash:
            return None
        self._follow(head)
        self.venue.refresh(head.number)
        self.pairs.refresh(quantity(head.number))
        recent_tip = tip_percentile(self.rpc, 4, self.settings.tip_percentile)
        self._raise_bids(head, recent_tip)
        for _ in range(2):
            start = time.perf_counter()
            found = self.venue.opportunities()
            jobs, profitable = self._jobs(head, found, recent_tip)
            decision_s = time.perf_counter() - start
            simulated = self._simulated(jobs, head)
            # Filled by what a job was thought to take; where it takes much less or more, the block is filled again.
            if not simulated or not self.venue.learn_gas(max(gas for _, _, gas in simulated)):
                break
        done = self._send(self._agreed(simulated, head), head, recent_tip)
        liquidatable = len(found.accounts)
        self.last = Report(
            head, liquidatable, self._next() - liquidatable, profitable, tuple(done), len(self.flights), decision_s
        )
        return self.last

    def _head(self) -> Head:
        found = self.rpc.call("eth_getBlockByNumber", "latest", False)
        base_fee, used, limit = (number(found[each]) for each in ("baseFeePerGas", "gasUsed", "gasLimit"))
        following = base_fee_after(base_fee, used, limit)
        return Head(number(found["number"]), str(found["hash"]), number(found["timestamp"]), limit, following)

    def _next(self) -> int:
        """Accounts below health 1 if every price but a dollar's fell."""
        falling = [each.address for each in self.venue.assets() if not 0.9 < each.price < 1.1]
        moves = dict.fromkeys(falling, 1.0 - self.settings.lookahead)
        return len(self.venue.opportunities(moves).accounts)

    # What was sent ------------------------------------------------------------------------------------------------

    def _follow(self, head: Head) -> None:
        """Book what is final, send again what a reorg dropped, cancel what somebody else has done."""
        flights = list(self.flights.values())
        self.sender.nonces.confirm(self.sender.confirmed())
        if not flights:
            return
        waiting: list[Flight] = []
        for flight, receipt in zip(flights, self.sender.receipts([each.sent for each in flights]), strict=True):
            if flight.receipt is not None and (receipt is None or receipt.block_hash != flight.receipt.block_hash):
                self.counts["reorged"] += 1
            flight.receipt = receipt
            if receipt is None:
                waiting.append(flight)
            elif head.number - receipt.block_number >= self.settings.finality_blocks:
                self._book(flight, receipt)
        self._send_again(waiting)
        self._cancel([each for each in waiting if not each.cancelled], head)

    def _send_again(self, waiting: Sequence[Flight]) -> None:
        """A node that lost a transaction gets it once more; one that has it says so."""
        if waiting and isinstance(self.flow, PublicFlow):
            found = self.rpc.batch([("eth_getTransactionByHash", [each.sent.hash]) for each in waiting])
            lost = [each for each, known in zip(waiting, found, strict=True) if known is None]
            if lost:
                self.counts["sent_again"] += len(lost)
                self.sender.send([msgspec.structs.replace(each.sent) for each in lost])

    def _cancel(self, waiting: Sequence[Flight], head: Head) -> None:
        """Spend the nonce of a job that is gone or late on the cheapest transaction there is: others wait behind it."""
        if not waiting:
            return
        there = self.venue.still_there([each.job for each in waiting], self.rpc, quantity(head.number))
        for flight, is_there in zip(waiting, there, strict=True):
            if not is_there or head.timestamp >= flight.bounds.deadline_s:
                flight.cancelled = True
                self.counts["cancelled"] += 1
                self._raise_cancellation(flight, head, 0)

    def _raise_cancellation(self, flight: Flight, head: Head, recent_tip: int) -> None:
        """A cancellation must get into a block, so it follows the fees up to the limit of the key."""
        most = min(2 * head.next_base_fee + recent_tip, self.meter.limits.fee_most_wei)
        fees = stepped(flight.sent.fees, Fees(most, min(recent_tip, most)))
        if fees.most > self.meter.limits.fee_most_wei:
            self.counts["limit_fee_most_wei"] += 1
        else:
            self._replace(flight, self.sender.signer.address, b"", CANCEL_GAS, fees, head)

    def _raise_bids(self, head: Head, recent_tip: int) -> None:
        """What waits since an earlier block bids more, as far as the job carries it."""
        for flight in self.flights.values():
            if flight.receipt is not None or flight.sent_block >= head.number:
                continue
            if flight.cancelled:
                self._raise_cancellation(flight, head, recent_tip)
                continue
            old = flight.sent
            fees = raised_bid(old.fees, flight.ceiling, head.next_base_fee, recent_tip, self.settings.bid_share)
            if fees is None:
                self.counts["bid_at_limit"] += 1
                continue
            try:
                spend = int(flight.job.repay_value * ONE)
                self.meter.hold(flight.job.key, self.sender.chain_id, old.to, old.data, old.gas, fees.most, spend)
            except LimitReached as error:
                self.counts[f"limit_{error.field}"] += 1
                continue
            self._replace(flight, old.to, old.data, old.gas, fees, head)
            self.counts["bid_raised"] += 1

    def _replace(self, flight: Flight, to: str, data: bytes, gas: int, fees: Fees, head: Head) -> None:
        """Sign and send another transaction of the same nonce."""
        try:
            signed = self.sender.sign(to, data, gas, fees, flight.sent)
        except SolventError:
            self.counts["not_signed"] += 1
            return
        if self.flow.submit([signed], head.number + RELAY_BLOCKS)[0] is None:
            flight.sent, flight.sent_block = signed, head.number
        else:
            self.counts["replacement_refused"] += 1

    def _book(self, flight: Flight, receipt: Receipt) -> None:
        job = flight.job
        realised = self.venue.realised(job, receipt) if receipt.succeeded else None
        profit = repaid = 0.0
        if realised is not None:
            repaid = job.debt.value(realised.paid)
            kept = job.collateral.value(realised.received)
            profit = (job.debt.value(realised.proceeds) if job.pair else kept) - repaid
        gas_cost = receipt.gas_wei / 1e18 * self.venue.native_price()
        name = "cancelled_final" if flight.cancelled and realised is None else "reverted"
        self.counts["liquidated" if realised is not None else name] += 1
        entry = Entry(
            self._wall_s(), receipt.block_number, receipt.transaction_hash, job.key, realised is not None,
            job.gross_profit, profit, receipt.gas_wei, gas_cost, repaid,
        )  # fmt: skip
        self.ledger.append(entry)
        self.meter.settle(job.key, receipt.gas_wei, int(repaid * ONE), int(entry.net * ONE))
        del self.flights[job.key]

    # What to do ---------------------------------------------------------------------------------------------------

    def _jobs(self, head: Head, found: Opportunities, recent_tip: int) -> tuple[list[Job], int]:
        """Exact jobs for the next block, and how many accounts would pay."""
        settings = self.settings
        funds = self.venue.funds()
        exits: Mapping[tuple[str, str], Reserves] = self.pairs.believed(self.venue.assets(), settings.price_band)
        gas_price = (head.next_base_fee + recent_tip) / 1e18 * self.venue.native_price()
        prices = Prices(gas_price, settings.profit_least, settings.keep_collateral)
        flying = sum(each.sent.gas for each in self.flights.values() if each.receipt is None)
        room = int(head.gas_limit * settings.gas_share) - flying
        busy = {each.job.account for each in self.flights.values()}
        return plan(self.venue, found, exits, funds, prices, max(room, 0), busy)

    def _bounds(self, job: Job, head: Head) -> Bounds:
        """From prices that were guarded: the pair stands within its band of the venue's."""
        kept = int((job.proceeds - job.repay) * self.settings.profit_kept) if job.pair else 0
        return Bounds(
            maximum_paid=job.repay + job.repay // PAID_SLACK + 1,
            minimum_received=job.received - job.received // PAID_SLACK - 1,
            minimum_profit=max(kept, 0),
            deadline_s=head.timestamp + self.settings.deadline_s,
        )

    def _simulated(self, jobs: Sequence[Job], head: Head) -> list[tuple[Job, Bounds, int]]:
        """Jobs that the node executes without a revert, with the gas that they take."""
        planned = [(job, self._bounds(job, head)) for job in jobs]
        if not self.settings.simulate:
            return [(job, bounds, job.gas) for job, bounds in planned]
        calls = [self.venue.call(job, bounds) for job, bounds in planned]
        sender = self.sender.signer.address
        asked = [{"from": sender, "to": to, "data": "0x" + payload.hex()} for to, payload in calls]
        answers = self.rpc.batch([("eth_estimateGas", [each]) for each in asked])
        kept: list[tuple[Job, Bounds, int]] = []
        for (job, bounds), answer in zip(planned, answers, strict=True):
            if isinstance(answer, RpcError):
                self.counts["simulated_revert"] += 1
            else:
                kept.append((job, bounds, int(number(answer) * self.settings.gas_margin)))
        return kept

    def _agreed(self, jobs: Sequence[tuple[Job, Bounds, int]], head: Head) -> list[tuple[Job, Bounds, int]]:
        """Small jobs, and large ones of which a second endpoint says the same: health, and price of the pair."""
        large = [each[0] for each in jobs if each[0].repay_value >= self.settings.large_value]
        if not large:
            return list(jobs)
        agreed: set[str] = set()
        if self.second is None:
            self.counts["unchecked"] += len(large)
        else:
            try:
                tag = quantity(head.number)
                there = self.venue.still_there(large, self.second, tag)
                reserves = self.pairs.refresh(tag, self.second)
                agreed = {
                    job.key
                    for job, is_there in zip(large, there, strict=True)
                    if is_there and (not job.pair or self._same_sale(job, reserves))
                }
                self.counts["disputed"] += len(large) - len(agreed)
            except (RpcError, EndpointsLost):
                self.counts["second_lost"] += 1
        return [each for each in jobs if each[0].repay_value < self.settings.large_value or each[0].key in agreed]

    def _same_sale(self, job: Job, reserves: Mapping[tuple[str, str], Reserves]) -> bool:
        pair = reserves.get((job.collateral.address, job.debt.address))
        ours = self.pairs.reserves.get((job.collateral.address, job.debt.address))
        return pair is not None and pair == ours

    def _send(self, jobs: Sequence[tuple[Job, Bounds, int]], head: Head, recent_tip: int) -> list[Job]:
        """Bid for each job and send all in one batch."""
        done: list[Job] = []
        flights: list[Flight] = []
        for job, bounds, gas in jobs:
            ceiling = ceiling_wei(job.gross_profit - self.settings.profit_least, self.venue.native_price(), gas)
            fees = first_bid(ceiling, head.next_base_fee, recent_tip, self.settings.bid_share)
            if fees is None:
                self.counts["gas_too_dear"] += 1
                continue
            done.append(job)
            if not self.settings.dry_run and (sent := self._signed(job, bounds, gas, fees)) is not None:
                flights.append(Flight(job, bounds, sent, ceiling, head.number))
        if flights:
            said = self.flow.submit([each.sent for each in flights], head.number + RELAY_BLOCKS)
            for flight, refusal in zip(flights, said, strict=True):
                if refusal is None:
                    self.flights[flight.job.key] = flight
                    self.counts["sent"] += 1
                else:
                    self.meter.release(flight.job.key)
                    self.counts["refused"] += 1
        return done

    def _signed(self, job: Job, bounds: Bounds, gas: int, fees: Fees) -> Sent | None:
        to, payload = self.venue.call(job, bounds)
        try:
            spend = int(job.repay_value * ONE)
            self.meter.hold(job.key, self.sender.chain_id, to, payload, gas, fees.most, spend)
        except LimitReached as error:
            self.counts[f"limit_{error.field}"] += 1
            return None
        try:
            return self.sender.sign(to, payload, gas, fees)
        except SolventError:
            self.meter.release(job.key)
            self.counts["not_signed"] += 1
            return None


def metrics_text(keeper: Keeper) -> str:
    """What the keeper counts, in the text form of Prometheus."""
    report = keeper.last
    figures: dict[str, float] = {
        "solvent_keeper_profit_usd": keeper.ledger.net,
        "solvent_keeper_in_flight": len(keeper.flights),
        "solvent_keeper_gas_wei_today": keeper.meter.gas_wei,
        "solvent_keeper_endpoint_failures": keeper.rpc.fail_overs,
    }
    if report is not None:
        figures |= {
            "solvent_keeper_block": report.head.number,
            "solvent_keeper_base_fee_wei": report.head.next_base_fee,
            "solvent_keeper_liquidatable_accounts": report.liquidatable,
            "solvent_keeper_next_accounts": report.next,
            "solvent_keeper_decision_seconds": report.decision_s,
        }
    lines = [f"{name} {value}" for name, value in figures.items()]
    lines += [f'solvent_keeper_events_total{{event="{name}"}} {n}' for name, n in sorted(keeper.counts.items())]
    return "\n".join(lines) + "\n"
