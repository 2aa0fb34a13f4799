"""Waiting transactions: by sender and nonce, replaced by dearer ones, the cheapest thrown out when it is full."""

import heapq
from collections.abc import Iterator
from typing import Any

import msgspec

from solvent.chain.transactions import Fees
from solvent.errors import SolventError, problem

REPLACE_PERCENT = 10
"""A replacement bids at least so much more in both fees, as nodes ask by default."""
SLOTS = 5_120
SLOTS_A_SENDER = 64
GAP_MOST = 64
"""A nonce so far above the next one is refused."""


class PoolRefused(SolventError):
    """A transaction that the pool does not take; `text` is what nodes answer."""

    def __init__(self, text: str, value: object, accepted: str) -> None:
        self.text = text
        super().__init__(problem("pool", None, text, value, accepted))


class Waiting(msgspec.Struct, frozen=True):
    """One transaction of the pool."""

    hash: bytes
    raw: bytes
    transaction: Any
    """As the virtual machine reads it."""
    sender: bytes
    nonce: int
    gas: int
    fees: Fees
    arrival: int
    """Order of arrival: the earlier of two equal bids goes first."""


class Mempool:
    """What senders wait with. It knows no state: the next nonce of a sender is asked of its owner."""

    def __init__(self, slots: int = SLOTS) -> None:
        """slots: most transactions at a time."""
        self.slots = slots
        self._senders: dict[bytes, dict[int, Waiting]] = {}
        self._by_hash: dict[bytes, Waiting] = {}
        self._arrivals = 0
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._by_hash)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(list(self._by_hash.values()))

    def get(self, transaction_hash: bytes) -> Waiting | None:
        """A waiting transaction."""
        return self._by_hash.get(transaction_hash)

    def add(self, found: Any, raw: bytes, next_nonce: int, base_fee: int) -> Waiting:
        """Take a transaction. next_nonce: of its sender's account. Raises PoolRefused.

        One whose fee is below the base fee waits: the base fee may fall.
        """
        fees = Fees(int(found.max_fee_per_gas), int(found.max_priority_fee_per_gas))
        self._arrivals += 1
        each = Waiting(
            bytes(found.hash), raw, found, bytes(found.sender), int(found.nonce), int(found.gas), fees, self._arrivals
        )
        if each.hash in self._by_hash:
            raise PoolRefused("already known", "0x" + each.hash.hex(), "a new transaction")
        if fees.tip > fees.most:
            raise PoolRefused("max priority fee per gas higher than max fee per gas", fees.tip, f"<= {fees.most}")
        if each.nonce < next_nonce:
            raise PoolRefused("nonce too low", each.nonce, f"{next_nonce} or above")
        if each.nonce > next_nonce + GAP_MOST:
            raise PoolRefused("nonce too high", each.nonce, f"at most {next_nonce + GAP_MOST}")
        own = self._senders.get(each.sender, {})
        old = own.get(each.nonce)
        if old is not None and not replaces(fees, old.fees):
            raise PoolRefused("replacement transaction underpriced", fees, f"{REPLACE_PERCENT} % above {old.fees}")
        if old is None and len(own) >= SLOTS_A_SENDER:
            raise PoolRefused("account limit exceeded", len(own), f"at most {SLOTS_A_SENDER} waiting transactions")
        if old is not None:
            self.drop(old.hash)
        elif len(self) >= self.slots:
            self._make_room(each, base_fee)
        self._senders.setdefault(each.sender, {})[each.nonce] = each
        self._by_hash[each.hash] = each
        return each

    def _make_room(self, newcomer: Waiting, base_fee: int) -> None:
        """Throw out the worst bid, with what its sender has behind it. Raises PoolRefused if the newcomer is worst."""
        worst = min(self._by_hash.values(), key=lambda each: (each.fees.effective_tip(base_fee), -each.arrival))
        if newcomer.fees.effective_tip(base_fee) <= worst.fees.effective_tip(base_fee):
            raise PoolRefused("transaction underpriced", newcomer.fees, f"above {worst.fees}: the pool is full")
        for nonce in [nonce for nonce in self._senders[worst.sender] if nonce >= worst.nonce]:
            self.drop(self._senders[worst.sender][nonce].hash)
            self.evicted += 1

    def drop(self, transaction_hash: bytes) -> Waiting | None:
        """Take a transaction out."""
        each = self._by_hash.pop(transaction_hash, None)
        if each is not None:
            own = self._senders[each.sender]
            del own[each.nonce]
            if not own:
                del self._senders[each.sender]
        return each

    def forget_below(self, sender: bytes, nonce: int) -> None:
        """A block holds these nonces of a sender now."""
        for old in [each for each in self._senders.get(sender, {}) if each < nonce]:
            self.drop(self._senders[sender][old].hash)

    def next_nonce(self, sender: bytes, confirmed: int) -> int:
        """First nonce without a gap behind what waits."""
        own = self._senders.get(sender, {})
        while confirmed in own:
            confirmed += 1
        return confirmed

    def ordered(self, base_fee: int, nonces: Any) -> "Order":
        """The order in which a builder takes them; `nonces(sender)` is the next of an account."""
        heads = {sender: own[nonces(sender)] for sender, own in self._senders.items() if nonces(sender) in own}
        return Order(self._senders, heads, base_fee)


def replaces(fees: Fees, old: Fees) -> bool:
    """Whether a bid is high enough to take the place of another."""
    least = 100 + REPLACE_PERCENT
    return fees.most * 100 >= old.most * least and fees.tip * 100 >= old.tip * least and fees != old


class Order:
    """Best effective tip first, earlier arrival among equals, nonces of a sender in their order."""

    def __init__(self, senders: dict[bytes, dict[int, Waiting]], heads: dict[bytes, Waiting], base_fee: int) -> None:
        self._senders, self._base_fee = senders, base_fee
        self._heap = [self._key(each) for each in heads.values()]
        heapq.heapify(self._heap)

    def _key(self, each: Waiting) -> tuple[int, int, bytes, int]:
        return -each.fees.effective_tip(self._base_fee), each.arrival, each.sender, each.nonce

    def peek(self) -> Waiting | None:
        """The best one that the base fee allows."""
        if not self._heap or -self._heap[0][0] < 0:
            return None
        _, _, sender, nonce = self._heap[0]
        return self._senders[sender][nonce]

    def advance(self) -> None:
        """The best one was taken: its sender's next nonce comes in."""
        _, _, sender, nonce = heapq.heappop(self._heap)
        following = self._senders[sender].get(nonce + 1)
        if following is not None:
            heapq.heappush(self._heap, self._key(following))

    def skip(self) -> None:
        """The best one does not fit: neither does anything behind it."""
        heapq.heappop(self._heap)
