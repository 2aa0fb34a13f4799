"""Keeps a copy of our contracts by their logs, and holds it to the chain's own view to the last integer."""

from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import lru_cache

import msgspec

from solvent.chain.artifacts import artifact
from solvent.chain.deploy import Contracts
from solvent.chain.desk import Block, block_at
from solvent.chain.logs import EventTable, Log, LogReader, Reorged
from solvent.chain.plan import Deployment, Guards
from solvent.chain.rpc import Rpc, RpcError, number, quantity
from solvent.chain.standing import POLLED, Ledger, Standing
from solvent.errors import SolventError, problem

FINALITY_BLOCKS = 12
TRIES = 8
"""How often one advance follows a chain that changes under it."""
WAD = 10**18


class Difference(msgspec.Struct, frozen=True):
    """An account of which mirror and chain say something else."""

    account: int
    block: int
    field: str
    ours: int
    theirs: int


class Mirror:
    """`head` is the newest block's, `final` lags by the stated finality: no reorg within it reaches `final`."""

    def __init__(self, rpc: Rpc, at: Deployment, finality_blocks: int = FINALITY_BLOCKS) -> None:
        """Reads nothing but what never changes. Raises SolventError."""
        self.contracts = Contracts(rpc, at)
        self.rpc, self.at, self.finality_blocks = rpc, at, finality_blocks
        self._names = {getattr(at, each).lower(): each for each in ("clearing", "pool", "prices", "auction")}
        self.counts: Counter[str] = Counter()
        self.block = Block(at.from_block, "", 0)
        self.touched: set[int] = set()
        """Accounts that changed since a reader last cleared this."""
        self._begin()

    def _begin(self) -> None:
        """Start over from the first block."""
        prices, pool = self.contracts.prices, self.contracts.pool
        guards = Guards(*(int(prices.view(each)) for each in Guards.__struct_fields__))
        self.final = Ledger(guards, 10 ** (int(pool.view("decimals")) - 12))
        self.head = deepcopy(self.final)
        self._unfinal: list[tuple[Log, int]] = []
        """Logs above finality with the times of their blocks."""
        self._reader = LogReader(self.rpc, list(self._names), [])
        if self.at.from_block > 0:
            self._reader.start_after(self.at.from_block - 1)

    def advance(self, until: int | None = None) -> Block:
        """Read up to a block (default: the newest) and return it. Raises SolventError.

        A reorg above finality is rolled back; one below it starts the mirror over and is counted.
        """
        for _ in range(TRIES):
            try:
                block = block_at(self.rpc, "latest" if until is None else max(until, self.block.number))
                found = self._reader.advance(block.number)
            except Reorged as reorg:
                self._roll_back(reorg.last.number)
                continue
            self._take(found, block)
            if self._reader.checkpoints[-1].hash == block.hash:
                return block
            # The chain changed between the two questions: the next look says how.
        raise SolventError(problem("mirror", None, "chain", f"changed {TRIES} times", "a chain that stands still"))

    def _roll_back(self, last: int) -> None:
        self.counts["reorgs"] += 1
        beyond = last < self.block.number - self.finality_blocks and self.block.number > self.at.from_block
        if beyond or not self._reader.checkpoints:
            self.counts["reorgs_beyond_finality"] += beyond
            self.touched |= self.head.accounts.keys()
            self._begin()
            return
        self._unfinal = [each for each in self._unfinal if number(each[0].block_number) <= last]
        self.touched |= self.head.accounts.keys()
        self.head = deepcopy(self.final)
        for log, time in self._unfinal:
            self._apply(self.head, log, time)
        self.touched |= self.head.accounts.keys()

    def _take(self, found: Sequence[Log], block: Block) -> None:
        times = self._times(found)
        for log in found:
            time = times[number(log.block_number)]
            self._apply(self.head, log, time)
            self._unfinal.append((log, time))
        last_final = block.number - self.finality_blocks
        ripe = sum(number(log.block_number) <= last_final for log, _ in self._unfinal)
        for log, time in self._unfinal[:ripe]:
            self._apply(self.final, log, time)
        del self._unfinal[:ripe]
        self.head.polled = self._polled(block)
        self.block = block
        self.counts["logs"] += len(found)

    def _times(self, found: Sequence[Log]) -> dict[int, int]:
        """Times of the blocks that hold logs: interest counts seconds."""
        blocks = sorted({number(log.block_number) for log in found})
        answers = self.rpc.results([("eth_getBlockByNumber", [quantity(each), False]) for each in blocks])
        return {each: number(answer["timestamp"]) for each, answer in zip(blocks, answers, strict=True)}

    def _polled(self, block: Block) -> dict[tuple[int, int], tuple[int, int]]:
        """Pairs that feeds price are read, not rebuilt: their answers are in no log of ours."""
        wanted = [
            (pair, halves) for pair, word in self.head.pairs.items() if word & POLLED for halves in self._halves(pair)
        ]
        prices = self.contracts.prices
        answers = self.rpc.batch(
            [prices.asked("quotes", halves << 2 * pair, 0, tag=quantity(block.number)) for pair, halves in wanted]
        )
        found = {}
        for key, answer in zip(wanted, answers, strict=True):
            if not isinstance(answer, RpcError):  # a feed that reverts: nothing can be said of it
                state, words = prices.answer("quotes", answer)
                found[key] = (int(state), int(words[0]))
        return found

    def _halves(self, pair: int) -> list[int]:
        listed = sum(1 << half for half in range(2) if self.head.clearing.get(256 * (2 * pair + half)))
        return [each for each in (1, 2, 3) if each & listed == each]

    def _apply(self, ledger: Ledger, log: Log, time: int) -> None:
        spec = _events().events.get(log.topics[0])
        contract = self._names.get(log.address.lower())
        if spec is None or contract is None:
            return
        values = {name: int(topic, 16) for (name, _), topic in zip(spec.indexed, log.topics[1:], strict=True)}
        body = log.data[2:]
        values |= {name: int(body[64 * i : 64 * i + 64], 16) for i, (name, _) in enumerate(spec.words)}
        apply(ledger, contract, spec.name, values, time)
        self.touched |= {values[name] for name in ("account", "taker") if name in values}

    def check(self, accounts: Sequence[int] | None = None) -> list[Difference]:
        """Compare accounts (default: all) with the contract's own view at the block last read. Raises RpcError."""
        block, clearing = self.block, self.contracts.clearing
        wanted = sorted(self.head.accounts) if accounts is None else list(accounts)
        rows, tag = [(each,) for each in wanted], quantity(block.number)
        standings = clearing.views("standing", rows, tag)
        verdicts = clearing.views("has_initial", rows, tag)
        found = []
        for account, standing, verdict in zip(wanted, standings, verdicts, strict=True):
            ours = (*self.head.assess(account, block.timestamp), int(self.head.has_initial(account, block.timestamp)))
            names = (*Standing._fields, "has_initial")
            found += [
                Difference(account, block.number, name, mine, int(theirs))
                for name, mine, theirs in zip(names, ours, (*standing, verdict), strict=True)
                if mine != int(theirs)
            ]
        self.counts["checked"] += len(wanted)
        self.counts["differences"] += len(found)
        return found


@lru_cache
def _events() -> EventTable:
    return EventTable(*(artifact(each).abi for each in ("Clearing", "Pool", "Prices", "Auction")))


def apply(ledger: Ledger, contract: str, event: str, values: Mapping[str, int], time: int) -> None:
    """Change a ledger by one log; what says nothing of accounts, prices or the pool changes nothing."""
    if event == "ParameterSet":
        if contract != "prices":
            getattr(ledger, contract)[values["key"]] = values["value"]
        if contract == "pool":
            _store(ledger, time)
    elif event == "AccountSet":
        ledger.accounts[values["account"]] = values["word"]
    elif event == "PositionSet":
        ledger.positions.setdefault(values["account"], {})[values["market"]] = values["word"]
    elif event in ("Deposited", "Withdrawn"):
        row = ledger.balances.setdefault(values["account"], {})
        amount = values["amount"] if event == "Deposited" else -values["amount"]
        row[values["asset"]] = row.get(values["asset"], 0) + amount
    elif event == "Sliced":
        _slice(ledger, values)
    elif event == "PairPriced":
        ledger.pairs[values["pair"]] = values["word"]
    elif event == "MarkPriced":
        ledger.marks[values["market"]] = values["word"]
    elif contract == "pool":
        _lend(ledger, event, values, time)


def _slice(ledger: Ledger, values: Mapping[str, int]) -> None:
    """Part of every collateral goes to the taker, rounded down; cash and debt stand in the accounts' words."""
    row = ledger.balances.setdefault(values["account"], {})
    other = ledger.balances.setdefault(values["taker"], {})
    for asset, amount in row.items():
        if asset < 16:
            moved = amount * values["fraction_e18"] // WAD
            row[asset] = amount - moved
            other[asset] = other.get(asset, 0) + moved


def _lend(ledger: Ledger, event: str, values: Mapping[str, int], time: int) -> None:
    """What moves the pool's debt, idle money or insurance."""
    if event == "Accrued":
        ledger.debt = values["debt"]
        ledger.idle -= values["reserve"]
        ledger.insurance += values["reserve"]
        return  # stored by the event that follows
    if event == "InsuranceAdded":
        ledger.insurance += values["amount"]
        return
    if event == "InsurancePaid":
        ledger.insurance -= values["amount"]
        return
    if event == "Lent":
        ledger.debt += values["amount"]
        ledger.debt_shares += values["shares"]
        ledger.idle -= values["amount"]
    elif event == "Repaid":
        ledger.debt -= values["amount"]
        ledger.debt_shares -= values["shares"]
        ledger.idle += values["amount"]
    elif event == "LossShared":
        ledger.debt -= values["amount"]
        ledger.debt_shares -= values["debt_shares"]
    elif event == "Deposit":
        ledger.idle += values["assets"]
    elif event == "Withdraw":
        ledger.idle -= values["assets"]
    else:
        return
    _store(ledger, time)


def _store(ledger: Ledger, time: int) -> None:
    """The rate from now on, as `Pool._store` sets it."""
    ledger.accrued_at = time
    ledger.rate_bps = ledger.new_rate() if ledger.pool.get(3) else ledger.rate_bps
