"""Withdrawals: debited in the engine, signed, sent, confirmed: each exactly once, whatever crashes or is replaced."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from solvent.chain.abi import call_data, checksum, keccak
from solvent.chain.deposits import CALLER, Ask
from solvent.chain.desk import block_at
from solvent.chain.intents import IntentLog
from solvent.chain.rpc import EndpointsLost, Rpc, RpcError, number, quantity
from solvent.chain.signers import Signer
from solvent.chain.transactions import Fees, Receipt, base_fee_after, receipts, stepped, tip_percentile
from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.engine.engine import Submission
from solvent.errors import SolventError, problem

GAS = 120_000
TIP_LEAST = 10**8
PATIENCE_BLOCKS = 3
"""After so many blocks without a receipt the bid is raised."""
TRANSFER = "transfer(address,uint256)"


class Asked(msgspec.Struct, frozen=True, tag=True):
    """Somebody wants money out."""

    id: str
    account: int
    owner: str
    asset: int
    atoms: int
    receiver: str


class Debited(msgspec.Struct, frozen=True, tag=True):
    """The engine has taken it from the account; it needs a transaction (again: the old nonce went elsewhere)."""

    id: str


class Signed(msgspec.Struct, frozen=True, tag=True):
    """A transaction that may be sent, and is sent again as long as no block holds it."""

    id: str
    nonce: int
    raw: str
    hash: str
    fee_most: int
    fee_tip: int
    block: int
    """Newest when it was signed."""


class Ended(msgspec.Struct, frozen=True, tag=True):
    """`confirmed` at finality, `refused` by the engine, or `refunded` because the token would not move."""

    id: str
    outcome: str
    detail: str


class Withdrawal(msgspec.Struct):
    """Where one stands."""

    asked: Asked
    debited: bool = False
    signed: list[Signed] = []
    """Of its present nonce, oldest first: a block holds one of them at most."""
    ended: Ended | None = None


class Withdrawals:
    """One address that pays out; the only one that uses its nonces."""

    def __init__(
        self, ask: Ask, rpc: Rpc, signer: Signer, tokens: Mapping[int, str], *, finality_blocks: int, log: Path | None
    ) -> None:
        """tokens: asset of the engine -> address. Raises SolventError."""
        self.rpc, self.signer, self.finality_blocks = rpc, signer, finality_blocks
        self._ask = ask
        self._tokens = {asset: checksum(each) for asset, each in tokens.items()}
        self.chain_id = number(rpc.call("eth_chainId"))
        self.log = IntentLog(log, Asked | Debited | Signed | Ended)
        self.all: dict[str, Withdrawal] = {}
        for line in self.log.lines:
            self._remember(line)

    def _remember(self, line: Asked | Debited | Signed | Ended) -> None:
        if isinstance(line, Asked):
            self.all[line.id] = Withdrawal(line)
            return
        each = self.all[line.id]
        if isinstance(line, Debited):
            each.debited, each.signed = True, []
        elif isinstance(line, Signed):
            each.signed = [*each.signed, line]
        else:
            each.ended = line

    def _keep(self, line: Asked | Debited | Signed | Ended) -> None:
        self.log.append(line)
        self._remember(line)

    @property
    def open(self) -> list[Withdrawal]:
        """Those that have not ended, in the order of asking."""
        return [each for each in self.all.values() if each.ended is None]

    def ask(self, asked: Asked) -> None:
        """Note a withdrawal; the same again changes nothing. Raises SolventError for another under the same id."""
        if asked.asset not in self._tokens or asked.atoms <= 0:
            accepted = "a positive amount of a token that is paid out here"
            raise SolventError(problem("withdrawal", None, "asset, atoms", f"{asked.asset}, {asked.atoms}", accepted))
        old = self.all.get(asked.id)
        if old is None:
            self._keep(msgspec.structs.replace(asked, receiver=checksum(asked.receiver)))
        elif old.asked != msgspec.structs.replace(asked, receiver=checksum(asked.receiver)):
            raise SolventError(problem("withdrawal", None, "id", asked.id, "an id that was not used for another one"))

    def step(self) -> None:
        """Take every open withdrawal as far as it goes now. Raises SolventError where no endpoint answers."""
        head = block_at(self.rpc).number
        for each in self.open:
            if not each.debited:
                self._debit(each)
            if each.debited and each.ended is None:
                self._follow(each, head)

    def _debit(self, each: Withdrawal) -> None:
        """Under its key the engine debits once, however often it is asked."""
        asked = each.asked
        command = c.Withdraw(asked.account, asked.asset, asked.atoms)
        (entry,) = self._ask([Submission(command, "owner", asked.owner, f"withdrawal:{asked.id}")])
        refused = entry.events[0]
        if isinstance(refused, e.Refused):
            self._keep(Ended(asked.id, "refused", refused.reason))
        else:
            self._keep(Debited(asked.id))

    def _follow(self, each: Withdrawal, head: int) -> None:
        if not each.signed:
            self._sign(each, self._free_nonce(), self._fees(), head)
            return
        found = self._receipt(each)
        if found is not None:
            if head - found.block_number >= self.finality_blocks:
                self._end(each, found)
        elif self._nonce_at(head - self.finality_blocks) > each.signed[-1].nonce and self._receipt(each) is None:
            # Another transaction has used the nonce for good, so none of ours will ever be in a block.
            self._keep(Debited(each.asked.id))
            self._follow(each, head)
        elif head - each.signed[-1].block >= PATIENCE_BLOCKS:
            last = each.signed[-1]
            fees = stepped(Fees(last.fee_most, last.fee_tip), self._fees())
            self._sign(each, last.nonce, fees, head)
        else:
            self._send(each.signed[-1])

    def _receipt(self, each: Withdrawal) -> Receipt | None:
        """Of whichever of its transactions a block holds."""
        found = receipts(self.rpc, [one.hash for one in each.signed])
        return next((one for one in found if one is not None), None)

    def _end(self, each: Withdrawal, found: Receipt) -> None:
        asked = each.asked
        if found.succeeded:
            self._keep(Ended(asked.id, "confirmed", found.transaction_hash))
            return
        # The token did not move: the debit is undone, under a reference that counts once.
        reference = f"refund:{asked.id}"
        command = c.Deposit(asked.account, asked.asset, asked.atoms, reference)
        self._ask([Submission(command, "operator", CALLER, reference)])
        self._keep(Ended(asked.id, "refunded", found.transaction_hash))

    def _sign(self, each: Withdrawal, nonce: int, fees: Fees, head: int) -> None:
        """Sign, keep, then send: what is on its way is always in the log."""
        asked = each.asked
        raw = self.signer.sign(
            {
                "type": 2, "chainId": self.chain_id, "nonce": nonce, "to": self._tokens[asked.asset],
                "data": call_data(TRANSFER, asked.receiver, asked.atoms), "value": 0, "gas": GAS,
                "maxFeePerGas": fees.most, "maxPriorityFeePerGas": fees.tip,
            }
        )  # fmt: skip
        self._keep(Signed(asked.id, nonce, "0x" + raw.hex(), "0x" + keccak(raw).hex(), fees.most, fees.tip, head))
        self._send(each.signed[-1])

    def _send(self, signed: Signed) -> None:
        """Offer a transaction to the node; one that it has, or will not take now, is offered again at the next step."""
        try:
            self.rpc.call("eth_sendRawTransaction", signed.raw)
        except (RpcError, EndpointsLost):
            return

    def _free_nonce(self) -> int:
        """The lowest that no block and no open withdrawal uses."""
        taken = {each.signed[-1].nonce for each in self.open if each.signed}
        nonce = number(self.rpc.call("eth_getTransactionCount", self.signer.address, "latest"))
        while nonce in taken:
            nonce += 1
        return nonce

    def _nonce_at(self, block: int) -> int:
        if block < 0:
            return 0
        return number(self.rpc.call("eth_getTransactionCount", self.signer.address, quantity(block)))

    def _fees(self) -> Fees:
        head = self.rpc.call("eth_getBlockByNumber", "latest", False)
        base_fee = base_fee_after(*(number(head[each]) for each in ("baseFeePerGas", "gasUsed", "gasLimit")))
        tip = max(tip_percentile(self.rpc, 4, 60.0), TIP_LEAST)
        return Fees(2 * base_fee + tip, tip)
