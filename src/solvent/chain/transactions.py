"""Transactions of one sender: built, signed, sent, replaced by dearer ones, followed to their receipts."""

from collections.abc import Sequence
from typing import Any

import msgspec

from solvent.chain.abi import checksum, keccak
from solvent.chain.nonces import Nonces
from solvent.chain.rpc import EndpointsLost, Rpc, RpcError, number, quantity
from solvent.chain.signers import Signer
from solvent.errors import SolventError, problem

REPLACE_STEP = (9, 8)
"""A replacement bids at least 12.5 % more in both fees: nodes want 10 %."""
KNOWN = ("already known", "already imported", "known transaction")
"""What nodes say of a transaction that they have: it is sent."""


class Fees(msgspec.Struct, frozen=True):
    """Bid for a unit of gas, wei (EIP-1559)."""

    most: int
    """maxFeePerGas: base fee and tip together never exceed it."""
    tip: int
    """maxPriorityFeePerGas: what the builder of the block gets."""

    def effective_tip(self, base_fee: int) -> int:
        """What a builder earns at a base fee; negative where the block cannot hold it."""
        return min(self.tip, self.most - base_fee)

    def price(self, base_fee: int) -> int:
        """What a unit of gas costs at a base fee."""
        return min(self.most, base_fee + self.tip)


def stepped(fees: Fees, wanted: Fees | None = None) -> Fees:
    """The least fees that replace `fees` in every pool, raised to `wanted` where that is more."""
    up, down = REPLACE_STEP
    most, tip = -(-fees.most * up // down), -(-fees.tip * up // down)
    # A tip of 0 times 9/8 is 0: one wei more keeps it strictly above.
    most, tip = max(most, fees.most + 1), max(tip, fees.tip + 1)
    if wanted is not None:
        most, tip = max(most, wanted.most), max(tip, wanted.tip)
    return Fees(max(most, tip), tip)


class Receipt(msgspec.Struct, frozen=True):
    """What became of a transaction in a block."""

    transaction_hash: str
    block_number: int
    block_hash: str
    succeeded: bool
    gas_used: int
    gas_price: int
    """What a unit cost, wei."""
    logs: tuple[dict[str, Any], ...]

    @property
    def gas_wei(self) -> int:
        """What the transaction cost."""
        return self.gas_used * self.gas_price


class Sent(msgspec.Struct, frozen=True):
    """A signed transaction; its replacements share its nonce."""

    nonce: int
    to: str
    data: bytes
    gas: int
    fees: Fees
    raw: bytes
    hashes: tuple[str, ...]
    """Of it and of those it replaced, newest last: any of them may be the one that a block holds."""

    @property
    def hash(self) -> str:
        """Of the newest."""
        return self.hashes[-1]


class Sender:
    """One address on one chain; the only one that uses its nonces."""

    def __init__(self, rpc: Rpc, signer: Signer, chain_id: int) -> None:
        self.rpc, self.signer, self.chain_id = rpc, signer, chain_id
        self.nonces = Nonces(self.confirmed())

    def confirmed(self) -> int:
        """Transactions of the sender in the latest block."""
        return number(self.rpc.call("eth_getTransactionCount", self.signer.address, "latest"))

    def sign(self, to: str, data: bytes, gas: int, fees: Fees, replaces: Sent | None = None) -> Sent:
        """A transaction with a nonce of its own, or that of the one it replaces. Raises SolventError."""
        if replaces is not None and fees != stepped(replaces.fees, fees):
            raise SolventError(problem("transaction", None, "fees", fees, f"at least {stepped(replaces.fees)}"))
        nonce = self.nonces.take() if replaces is None else replaces.nonce
        try:
            raw = self.signer.sign(self._fields(nonce, to, data, gas, fees))
        except BaseException:
            if replaces is None:
                self.nonces.give_back(nonce)
            raise
        hashes = (*(replaces.hashes if replaces else ()), "0x" + keccak(raw).hex())
        return Sent(nonce, to, data, gas, fees, raw, hashes)

    def _fields(self, nonce: int, to: str, data: bytes, gas: int, fees: Fees) -> dict[str, Any]:
        return {
            "type": 2,
            "chainId": self.chain_id,
            "nonce": nonce,
            "to": checksum(to),
            "data": data,
            "value": 0,
            "gas": gas,
            "maxFeePerGas": fees.most,
            "maxPriorityFeePerGas": fees.tip,
        }

    def send(self, signed: Sequence[Sent]) -> list[RpcError | None]:
        """Send in one batch; what each node said, None where it was taken.

        A first transaction that was refused gives its nonce back. Where no endpoint answered, nothing is given
        back: one of them may have it.
        """
        answers = self.rpc.batch([("eth_sendRawTransaction", ["0x" + each.raw.hex()]) for each in signed])
        said: list[RpcError | None] = []
        for answer in answers:
            refused = isinstance(answer, RpcError) and not any(known in answer.text.lower() for known in KNOWN)
            said.append(answer if refused else None)
        for each, refusal in zip(reversed(signed), reversed(said), strict=True):
            if refusal is not None and len(each.hashes) == 1:
                self.nonces.give_back(each.nonce)
        return said

    def receipts(self, sent: Sequence[Sent]) -> list[Receipt | None]:
        """Receipt of each, under whichever of its hashes a block holds it; None where none does yet."""
        hashes = [found for each in sent for found in each.hashes]
        answers = dict(zip(hashes, receipts(self.rpc, hashes), strict=True))
        return [next((answers[each] for each in one.hashes if answers[each] is not None), None) for one in sent]


def receipts(rpc: Rpc, hashes: Sequence[str]) -> list[Receipt | None]:
    """Receipts by hash, in one batch. Raises SolventError."""
    return [
        None if found is None else receipt_of(found)
        for found in rpc.results([("eth_getTransactionReceipt", [each]) for each in hashes])
    ]


def receipt_of(found: dict[str, Any]) -> Receipt:
    """A receipt as the node writes it."""
    return Receipt(
        str(found["transactionHash"]),
        number(found["blockNumber"]),
        str(found["blockHash"]),
        number(found["status"]) == 1,
        number(found["gasUsed"]),
        number(found["effectiveGasPrice"]),
        tuple(found["logs"]),
    )


def base_fee_after(base_fee: int, gas_used: int, gas_limit: int) -> int:
    """Base fee of the next block, wei.

    Notes
    -----
    EIP-1559: moves by an eighth of its relative distance from half full; rises by at least 1.
    """
    target = gas_limit // 2
    if gas_used == target:
        return base_fee
    if gas_used > target:
        return base_fee + max(base_fee * (gas_used - target) // target // 8, 1)
    return base_fee - base_fee * (target - gas_used) // target // 8


def wait_receipt(rpc: Rpc, transaction_hash: str, polls: int, pause: Any) -> Receipt:
    """Ask `polls` times, calling `pause` between. Raises EndpointsLost where no receipt came."""
    for _ in range(polls):
        found = receipts(rpc, [transaction_hash])[0]
        if found is not None:
            return found
        pause()
    raise EndpointsLost(problem("node", None, "receipt", transaction_hash, f"a receipt within {polls} looks"))


def tip_percentile(rpc: Rpc, blocks: int, percentile: float) -> int:
    """Median over recent blocks of the tip at a percentile of their transactions, wei; 0 where nothing was paid."""
    history = rpc.call("eth_feeHistory", quantity(blocks), "latest", [percentile])
    tips = sorted(number(each[0]) for each in history.get("reward") or [])
    return tips[len(tips) // 2] if tips else 0
