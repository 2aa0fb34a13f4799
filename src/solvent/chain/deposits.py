"""Transfers to the venue's address become deposits in the engine: at finality, once, and taken back if a reorg does."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec

from solvent.chain.abi import call_data, checksum, decode
from solvent.chain.desk import block_at
from solvent.chain.intents import IntentLog
from solvent.chain.logs import Log, LogReader, Reorged
from solvent.chain.rpc import Rpc, data, number, quantity
from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.engine.engine import Submission
from solvent.errors import SolventError, problem

TRANSFER = "0x" + "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""Topic of `Transfer(address,address,uint256)`, indexed sender and receiver."""
WATCHED_BLOCKS = 256
"""So long after it was credited a deposit is looked at again."""
CALLER = "chain"
TRIES = 8
"""How often one step follows a chain that changes under it."""

Ask: TypeAlias = Callable[[Sequence[Submission]], Sequence[e.Entry]]
"""Hands commands to the engine as one block, durable on return."""
Holder: TypeAlias = Callable[[str], int | None]
"""Account of the engine that an address deposits for; None: nobody's."""


class Seen(msgspec.Struct, frozen=True, tag=True):
    """A transfer to the venue, as a block holds it."""

    reference: str
    """chain:transaction:log index, and :n where a reorg has undone it n times."""
    transaction: str
    ordinal: int
    """Among the transfers to the venue in its transaction: log indices move in a reorg, this does not."""
    block: int
    block_hash: str
    sender: str
    asset: int
    atoms: int


class Credited(msgspec.Struct, frozen=True, tag=True):
    """The engine has it."""

    seen: Seen
    account: int


class Reversed(msgspec.Struct, frozen=True, tag=True):
    """A reorg beyond finality has undone it."""

    reference: str
    recovered: bool
    """Whether the account still had it."""


class Deposits:
    """Watches the tokens of one venue on one chain. `pending` is what is seen and not final."""

    def __init__(
        self,
        ask: Ask,
        rpc: Rpc,
        address: str,
        tokens: Mapping[str, int],
        holder: Holder,
        owner: Callable[[int], str],
        *,
        finality_blocks: int,
        from_block: int = 0,
        log: Path | None = None,
    ) -> None:
        """tokens: address -> asset of the engine. owner: who stands behind an account. Raises SolventError."""
        self.rpc, self.address, self.finality_blocks = rpc, checksum(address), finality_blocks
        self._ask, self._holder, self._owner = ask, holder, owner
        self._tokens = {checksum(each): asset for each, asset in tokens.items()}
        self.chain_id = number(rpc.call("eth_chainId"))
        self.log = IntentLog(log, Credited | Reversed)
        self._reader = LogReader(rpc, list(self._tokens), [TRANSFER])
        self._from_block = from_block
        self.pending: list[Seen] = []
        self.credited: dict[str, Credited] = {}
        self.undone: Counter[tuple[str, int]] = Counter()
        """How often each (transaction, ordinal) was taken back."""
        self.missing: dict[int, int] = {}
        """asset -> atoms that reorgs took and accounts no longer had."""
        self.unclaimed: list[Seen] = []
        for line in self.log.lines:
            self._remember(line)

    def _remember(self, line: Credited | Reversed) -> None:
        if isinstance(line, Credited):
            self.credited[line.seen.reference] = line
            return
        gone = self.credited.pop(line.reference).seen
        self.undone[gone.transaction, gone.ordinal] += 1
        if not line.recovered:
            self.missing[gone.asset] = self.missing.get(gone.asset, 0) + gone.atoms

    def step(self) -> int:
        """Look at the newest block; how many deposits were credited. Raises SolventError."""
        found = self._advance()
        self._undo(self._gone())
        known = {(each.seen.transaction, each.seen.ordinal) for each in self.credited.values()}
        fresh = [each for each in self._seen(found) if (each.transaction, each.ordinal) not in known]
        self.pending += fresh
        last_final = block_at(self.rpc).number - self.finality_blocks
        ripe = [each for each in self.pending if each.block <= last_final]
        self.pending = [each for each in self.pending if each.block > last_final]
        return sum(self._credit(each) for each in ripe)

    def _advance(self) -> list[Log]:
        """New logs; what a reorg has dropped is no longer pending."""
        for _ in range(TRIES):
            if not self._reader.checkpoints and self._from_block:
                self._reader.start_after(self._from_block - 1)
            try:
                return self._reader.advance()
            except Reorged as reorg:
                self.pending = [each for each in self.pending if each.block <= reorg.last.number]
        raise SolventError(problem("deposits", None, "chain", f"changed {TRIES} times", "a chain that stands still"))

    def _seen(self, found: Sequence[Log]) -> list[Seen]:
        """Transfers to the venue among logs; those of nothing are none."""
        seen, ordinals = [], Counter[str]()
        for log in found:
            if len(log.topics) != 3 or checksum(log.topics[2][-40:]) != self.address:
                continue
            ordinal = ordinals[log.transaction_hash]
            ordinals[log.transaction_hash] += 1
            atoms = int(log.data, 16)
            again = self.undone[log.transaction_hash, ordinal]
            reference = f"{self.chain_id}:{log.transaction_hash}:{number(log.log_index)}" + (
                f":{again}" if again else ""
            )
            if atoms:
                seen.append(
                    Seen(
                        reference, log.transaction_hash, ordinal, number(log.block_number), log.block_hash,
                        checksum(log.topics[1][-40:]), self._tokens[checksum(log.address)], atoms,
                    )
                )  # fmt: skip
        return seen

    def _credit(self, seen: Seen) -> bool:
        """One deposit into the engine: under its key a repeated one changes nothing."""
        account = self._holder(seen.sender)
        if account is None:
            self.unclaimed.append(seen)
            return False
        command = c.Deposit(account, seen.asset, seen.atoms, seen.reference)
        (entry,) = self._ask([Submission(command, "operator", CALLER, seen.reference)])
        if isinstance(entry.events[0], e.Refused):
            self.unclaimed.append(seen)
            return False
        self._keep(Credited(seen, account))
        return True

    def _keep(self, line: Credited | Reversed) -> None:
        self.log.append(line)
        self._remember(line)

    def _gone(self) -> list[Credited]:
        """Credited deposits whose block is no longer part of the chain, and that no other block of it holds."""
        head = block_at(self.rpc).number
        watched = [each for each in self.credited.values() if each.seen.block > head - WATCHED_BLOCKS]
        blocks = sorted({each.seen.block for each in watched})
        found = self.rpc.results([("eth_getBlockByNumber", [quantity(each), False]) for each in blocks])
        hashes = {block: None if each is None else each["hash"] for block, each in zip(blocks, found, strict=True)}
        moved = [each for each in watched if hashes[each.seen.block] != each.seen.block_hash]
        receipts = self.rpc.results([("eth_getTransactionReceipt", [each.seen.transaction]) for each in moved])
        return [each for each, receipt in zip(moved, receipts, strict=True) if receipt is None]

    def _undo(self, gone: Sequence[Credited]) -> None:
        """Answer a reorg beyond finality: take back what is still there, freeze the asset, compare with custody.

        The withdrawal that takes it back passes the same gates as any; what an account no longer has is missing,
        and the comparison then stops all withdrawals of the asset until somebody brings it.
        """
        for each in gone:
            seen = each.seen
            command = c.Withdraw(each.account, seen.asset, seen.atoms)
            key = f"undo:{seen.reference}"
            (entry,) = self._ask([Submission(command, "owner", self._owner(each.account), key)])
            recovered = not isinstance(entry.events[0], e.Refused)
            if not recovered:
                self._ask([Submission(c.Freeze(account=each.account), "operator", CALLER)])
            self._keep(Reversed(seen.reference, recovered))
        for asset in sorted({each.seen.asset for each in gone}):
            freeze = Submission(c.Freeze(instrument=asset), "operator", CALLER)
            self._ask([freeze, Submission(c.Reconcile(asset, self.custody(asset)), "operator", CALLER)])

    def custody(self, asset: int) -> int:
        """Atoms that the venue's address holds now. Raises RpcError."""
        token = next(each for each, found in self._tokens.items() if found == asset)
        payload = "0x" + call_data("balanceOf(address)", self.address).hex()
        return int(decode(("uint256",), data(self.rpc.call("eth_call", {"to": token, "data": payload}, "latest")))[0])
