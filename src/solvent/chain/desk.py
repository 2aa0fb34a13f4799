"""One key at work: sends one transaction after the other and waits until each is in a block."""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from solvent.chain.abi import checksum, keccak
from solvent.chain.artifacts import Artifact, Contract, why
from solvent.chain.rpc import EndpointsLost, Rpc, RpcError, number, quantity
from solvent.chain.signers import Signer
from solvent.chain.transactions import Fees, Receipt, Sender, base_fee_after, stepped, tip_percentile
from solvent.errors import SolventError, problem

GAS_MARGIN = (6, 5)
"""Gas limit over the estimate."""
POLLS = 600
POLLS_A_BID = 40
"""Looks for a receipt before the bid is raised."""
TIP_LEAST = 10**8


class Desk:
    """Deploys and calls. A chain that makes blocks when asked gives its `mine` as `pause`."""

    def __init__(self, rpc: Rpc, signer: Signer, chain_id: int, pause: Callable[[], Any] | None = None) -> None:
        """pause: between two looks for a receipt; default: a quarter of a second."""
        self.rpc, self.signer, self.chain_id = rpc, signer, chain_id
        self._sender = Sender(rpc, signer, chain_id)
        self._pause = pause or (lambda: time.sleep(0.25))

    def deploy(self, made: Artifact, *values: Any) -> str:
        """Deploy a contract; its address. Raises SolventError."""
        payload = made.creation(*values)
        gas = self._gas({"from": self.signer.address, "data": "0x" + payload.hex()}, made.name)
        nonce, fees = self._sender.nonces.take(), self._fees()
        fields = {
            "type": 2,
            "chainId": self.chain_id,
            "nonce": nonce,
            "to": "",
            "data": payload,
            "value": 0,
            "gas": gas,
        }
        raw = self.signer.sign({**fields, "maxFeePerGas": fees.most, "maxPriorityFeePerGas": fees.tip})
        self.rpc.call("eth_sendRawTransaction", "0x" + raw.hex())
        found = "0x" + keccak(raw).hex()
        for _ in range(POLLS):
            receipt = self.rpc.call("eth_getTransactionReceipt", found)
            if receipt is not None:
                if number(receipt["status"]) != 1:
                    raise SolventError(problem(made.name, None, "creation", "reverted", "a contract that deploys"))
                return checksum(str(receipt["contractAddress"]))
            self._pause()
        raise EndpointsLost(problem("node", None, "receipt", found, f"a receipt within {POLLS} looks"))

    def call(self, contract: Contract, function: str, *values: Any) -> Receipt:
        """Call a function and wait. Raises SolventError with the contract's own error where it would revert."""
        return self.send(contract.address, contract.payload(function, *values), function)

    def send(self, to: str, payload: bytes, name: str) -> Receipt:
        """Send a transaction, raise its bid while it waits, and return its receipt. Raises SolventError."""
        gas = self._gas({"from": self.signer.address, "to": to, "data": "0x" + payload.hex()}, name)
        self._sender.nonces.confirm(self._sender.confirmed())
        sent = self._sender.sign(to, payload, gas, self._fees())
        if (refused := self._sender.send([sent])[0]) is not None:
            raise refused
        for poll in range(1, POLLS + 1):
            receipt = self._sender.receipts([sent])[0]
            if receipt is not None:
                if not receipt.succeeded:
                    raise SolventError(problem("chain", None, name, "reverted in its block", "a call that succeeds"))
                return receipt
            if poll % POLLS_A_BID == 0:
                sent = self._sender.sign(to, payload, gas, stepped(sent.fees, self._fees()), sent)
                self._sender.send([sent])
            self._pause()
        raise EndpointsLost(problem("node", None, "receipt", sent.hash, f"a receipt within {POLLS} looks"))

    def _gas(self, asked: dict[str, Any], name: str) -> int:
        try:
            up, down = GAS_MARGIN
            return number(self.rpc.call("eth_estimateGas", asked)) * up // down
        except RpcError as error:
            raise SolventError(problem("chain", None, name, why(error), "a call that the contract takes")) from None

    def _fees(self) -> Fees:
        head = self.rpc.call("eth_getBlockByNumber", "latest", False)
        base_fee = base_fee_after(*(number(head[each]) for each in ("baseFeePerGas", "gasUsed", "gasLimit")))
        tip = max(tip_percentile(self.rpc, 4, 60.0), TIP_LEAST)
        return Fees(2 * base_fee + tip, tip)


class Block(msgspec.Struct, frozen=True):
    """A block's place and time."""

    number: int
    hash: str
    timestamp: int


def block_at(rpc: Rpc, tag: str | int = "latest") -> Block:
    """A block by number or tag. Raises SolventError."""
    found = rpc.call("eth_getBlockByNumber", tag if isinstance(tag, str) else quantity(tag), False)
    if found is None:
        raise SolventError(problem("chain", None, "block", tag, "a block that the node has"))
    return Block(number(found["number"]), str(found["hash"]), number(found["timestamp"]))
