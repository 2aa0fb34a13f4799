"""Ways to a block: the public pool, or a relay that shows a transaction to builders alone."""

from collections.abc import Sequence
from typing import Protocol

from solvent.chain.rpc import Rpc, RpcError, quantity
from solvent.chain.transactions import Sender, Sent


class OrderFlow(Protocol):
    """Takes signed transactions on their way."""

    def submit(self, signed: Sequence[Sent], last_block: int) -> list[RpcError | None]:
        """What was said of each, None where it was taken. last_block: after which it is of no use."""
        ...


class PublicFlow:
    """The public pool: everybody sees it, and some run ahead; the executor's bounds are what protects."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def submit(self, signed: Sequence[Sent], last_block: int) -> list[RpcError | None]:
        """See `OrderFlow`."""
        return self._sender.send(signed)


class PrivateFlow:
    """A relay with `eth_sendPrivateTransaction`: nobody sees a transaction before its block does."""

    def __init__(self, sender: Sender, relay: Rpc) -> None:
        self._sender, self._relay = sender, relay

    def submit(self, signed: Sequence[Sent], last_block: int) -> list[RpcError | None]:
        """See `OrderFlow`."""
        asked = [{"tx": "0x" + each.raw.hex(), "maxBlockNumber": quantity(last_block)} for each in signed]
        answers = self._relay.batch([("eth_sendPrivateTransaction", [each]) for each in asked])
        said = [each if isinstance(each, RpcError) else None for each in answers]
        for each, refusal in zip(reversed(signed), reversed(said), strict=True):
            if refusal is not None and len(each.hashes) == 1:
                self._sender.nonces.give_back(each.nonce)
        return said
