"""A chain in this process: its own mempool, blocks by true effective tip, base fee, gas limit, reorgs, time."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from solvent.chain.abi import chain_extra, keccak
from solvent.chain.evm import ZERO_HASH, Environment, Evm, Executed, InvalidTransaction, ancestors
from solvent.chain.mempool import Mempool, PoolRefused, Waiting
from solvent.chain.rpc import EndpointLost
from solvent.chain.transactions import base_fee_after
from solvent.errors import SolventError, problem

CHAIN_ID = 31_337
GAS_LIMIT = 30_000_000
BASE_FEE = 10**9
BLOCK_TIME_S = 12
START_S = 1_700_000_000
ACCOUNTS = 10
ACCOUNT_WEI = 10_000 * 10**18
COINBASE = b"\xc0" * 20
REORG_MOST = 256


class Included(msgspec.Struct, frozen=True):
    """A transaction in its block."""

    waiting: Waiting
    executed: Executed
    gas_price: int
    cumulative_gas: int
    first_log: int
    """Index of its first log in the block."""


class Block(msgspec.Struct, frozen=True):
    """One block and the state after it."""

    environment: Environment
    parent_hash: bytes
    hash: bytes
    state_root: bytes
    gas_used: int
    included: tuple[Included, ...]

    @property
    def number(self) -> int:
        """Height; 0 for the first."""
        return self.environment.number


class LocalChain:
    """Blocks are made by `mine`; nothing happens by itself. Time is a figure that blocks carry, not a clock.

    Methods may be called from several threads.
    """

    def __init__(
        self,
        chain_id: int = CHAIN_ID,
        gas_limit: int = GAS_LIMIT,
        base_fee: int = BASE_FEE,
        block_time_s: int = BLOCK_TIME_S,
        start_s: int = START_S,
        slots: int | None = None,
    ) -> None:
        """base_fee: wei of the first block. slots: most waiting transactions."""
        self.evm = Evm(chain_id)
        self.lock = threading.RLock()
        self.gas_limit, self.block_time_s = gas_limit, block_time_s
        self.pool = Mempool() if slots is None else Mempool(slots)
        self.automine = False
        account = chain_extra("eth_account").Account
        self.keys = [account.from_key(keccak(f"solvent local account {i}".encode())) for i in range(ACCOUNTS)]
        """Funded accounts of this chain; their keys are public, for tests and shows alone."""
        root = self.evm.genesis({bytes.fromhex(each.address[2:]): ACCOUNT_WEI for each in self.keys})
        first = Environment(0, start_s, gas_limit, base_fee, COINBASE)
        self.blocks = [Block(first, ZERO_HASH, _hash(first, ZERO_HASH, root, (), 0), root, 0, ())]
        self.found: dict[bytes, tuple[int, int]] = {}
        """Block number and index of each transaction in a block."""
        self._next_base_fee: int | None = None
        self._next_timestamp: int | None = None
        self._salt = 0
        self._snapshots: list[tuple[int, bytes, int]] = []
        self._calls: tuple[Any, Any] = (None, None)

    @property
    def head(self) -> Block:
        """The newest block."""
        return self.blocks[-1]

    def block(self, number: int) -> Block:
        """A block by number. Raises SolventError."""
        if not 0 <= number < len(self.blocks):
            raise SolventError(problem("chain", None, "block", number, f"0 to {len(self.blocks) - 1}"))
        return self.blocks[number]

    def next_environment(self) -> Environment:
        """What the next block will be made with."""
        head = self.head.environment
        return Environment(
            number=head.number + 1,
            timestamp=max(self._next_timestamp or head.timestamp + self.block_time_s, head.timestamp + 1),
            gas_limit=self.gas_limit,
            base_fee=self.next_base_fee(),
            coinbase=COINBASE,
            previous_hashes=tuple(ancestors([each.hash for each in self.blocks[-256:]])),
        )

    def next_base_fee(self) -> int:
        """Base fee of the next block, wei."""
        if self._next_base_fee is not None:
            return self._next_base_fee
        head = self.head
        return base_fee_after(head.environment.base_fee, head.gas_used, head.environment.gas_limit)

    def set_next_base_fee(self, wei: int) -> None:
        """Of the next block alone: a spike that then follows the rule."""
        self._next_base_fee = wei

    def set_next_timestamp(self, timestamp: int) -> None:
        """Of the next block alone. Raises SolventError where it is not later than the head."""
        if timestamp <= self.head.environment.timestamp:
            raise SolventError(problem("chain", None, "timestamp", timestamp, "one after the newest block's"))
        self._next_timestamp = timestamp

    def read(self, block: Block | None = None, environment: Environment | None = None) -> Any:
        """A state to call and look at: the head's, or an earlier block's. Base fee 0, so that calls cost nothing."""
        block = block or self.head
        key = (block.hash, environment)
        if self._calls[0] != key:
            free = msgspec.structs.replace(environment or block.environment, base_fee=0)
            self._calls = (key, self.evm.state(block.state_root, free))
        return self._calls[1]

    def nonce(self, address: bytes) -> int:
        """Transactions of an account in blocks."""
        return int(self.read().get_nonce(address))

    def send(self, raw: bytes) -> bytes:
        """Put a signed transaction into the pool; its hash. Raises InvalidTransaction or PoolRefused."""
        with self.lock:
            transaction = self.evm.transaction(raw)
            sender = bytes(transaction.sender)
            if transaction.gas > self.gas_limit:
                raise PoolRefused("exceeds block gas limit", transaction.gas, f"at most {self.gas_limit}")
            if transaction.intrinsic_gas > transaction.gas:
                raise PoolRefused("intrinsic gas too low", transaction.gas, f"{transaction.intrinsic_gas} or more")
            cost = transaction.gas * transaction.max_fee_per_gas + transaction.value
            if cost > int(self.read().get_balance(sender)):
                raise PoolRefused("insufficient funds for gas * price + value", cost, "what the sender holds")
            each = self.pool.add(transaction, raw, self.nonce(sender), self.next_base_fee())
            if self.automine:
                self.mine()
            return each.hash

    def mine(self, first: Sequence[bytes] = ()) -> Block:
        """Make the next block of what waits. first: raw transactions that the builder puts before all others."""
        with self.lock:
            environment = self.next_environment()
            state = self.evm.state(self.head.state_root, environment)
            builder = _Builder(self.evm, state, environment)
            for raw in first:
                builder.take(self._outside(raw))
            order = self.pool.ordered(environment.base_fee, lambda sender: int(state.get_nonce(sender)))
            while (best := order.peek()) is not None:
                if best.gas > environment.gas_limit - builder.gas_used:
                    order.skip()
                    continue
                taken = builder.take(best)
                order.advance() if taken else order.skip()
                if not taken:
                    self.pool.drop(best.hash)
            return self._append(environment, builder)

    def _outside(self, raw: bytes) -> Waiting:
        """A transaction that never was in the pool: private order flow."""
        transaction = self.evm.transaction(raw)
        pool = Mempool()
        return pool.add(transaction, raw, int(transaction.nonce), 0)

    def _append(self, environment: Environment, builder: "_Builder") -> Block:
        root = self.evm.commit(builder.state)
        hashes = tuple(each.waiting.hash for each in builder.included)
        block_hash = _hash(environment, self.head.hash, root, hashes, self._salt)
        block = Block(environment, self.head.hash, block_hash, root, builder.gas_used, tuple(builder.included))
        self.blocks.append(block)
        self._next_base_fee = self._next_timestamp = None
        for index, each in enumerate(block.included):
            self.found[each.waiting.hash] = (block.number, index)
            self.pool.forget_below(each.waiting.sender, each.waiting.nonce + 1)
        return block

    def reorg(self, depth: int, keep: bool = True) -> Block:
        """Replace the last `depth` blocks by as many empty ones with other hashes.

        keep: whether what they held waits again, as in real nodes, or is lost. Raises SolventError.
        """
        with self.lock:
            if not 0 < depth < min(len(self.blocks), REORG_MOST + 1):
                raise SolventError(problem("chain", None, "depth", depth, f"1 to {len(self.blocks) - 1}"))
            dropped = [each for block in self.blocks[-depth:] for each in block.included]
            last_s = self.head.environment.timestamp
            del self.blocks[-depth:]
            self._salt += 1
            for each in dropped:
                del self.found[each.waiting.hash]
            waiting, self.pool = self.pool, Mempool(self.pool.slots)
            for index in range(depth):
                if index == depth - 1:
                    self._next_timestamp = max(last_s, self.head.environment.timestamp + 1)
                self.mine()
            self.pool = waiting
            if keep:
                for each in dropped:
                    self._wait_again(each.waiting)
            return self.head

    def _wait_again(self, each: Waiting) -> None:
        try:
            self.pool.add(each.transaction, each.raw, self.nonce(each.sender), self.next_base_fee())
        except PoolRefused:
            return

    def snapshot(self) -> int:
        """Remember the chain as it is, without what waits; the number by which `revert` returns to it."""
        with self.lock:
            self._snapshots.append((len(self.blocks), self.head.hash, self.gas_limit))
            return len(self._snapshots) - 1

    def revert(self, number: int) -> bool:
        """Return to a snapshot; False where there is none of this number, or a reorg has dropped its block."""
        with self.lock:
            if not 0 <= number < len(self._snapshots):
                return False
            count, block_hash, gas_limit = self._snapshots[number]
            if len(self.blocks) < count or self.blocks[count - 1].hash != block_hash:
                return False
            del self.blocks[count:], self._snapshots[number:]
            self.found = {each: place for each, place in self.found.items() if place[0] < count}
            self.pool, self.gas_limit, self.automine = Mempool(self.pool.slots), gas_limit, False
            self._next_base_fee = self._next_timestamp = None
            self._salt += 1
            return True

    def set_balance(self, address: bytes, wei: int) -> None:
        """Give an account a balance, in a block of its own."""
        with self.lock:
            environment = self.next_environment()
            state = self.evm.state(self.head.state_root, environment)
            state.set_balance(address, wei)
            self._append(environment, _Builder(self.evm, state, environment))

    def call(
        self, transaction: Mapping[str, Any], block: Block | None = None, environment: Environment | None = None
    ) -> Executed:
        """Execute `from, to, data, gas, value` without changing anything. Raises InvalidTransaction."""
        with self.lock:
            state = self.read(block, environment)
            gas = min(int(transaction.get("gas") or self.gas_limit), self.gas_limit)
            sender, to = transaction.get("from") or bytes(20), transaction.get("to") or b""
            return self.evm.call(state, sender, to, transaction.get("data", b""), gas, transaction.get("value", 0))

    def estimate_gas(self, transaction: Mapping[str, Any]) -> tuple[int, Executed]:
        """A gas limit with which a call succeeds in the next block, and what it does with the block's limit.

        At most a 50th above the least one: each caller keeps a 64th from its callee, so a little more than what is
        used is needed, mostly.
        """
        environment = self.next_environment()
        most = self.call({**transaction, "gas": self.gas_limit}, None, environment)
        low, high, guess = most.gas_needed - 1, self.gas_limit, most.gas_needed * 65 // 64
        while most.succeeded and high - low > 1 + high // 50:
            if self._succeeds(transaction, guess, environment):
                high = guess
            else:
                low = guess
            guess = min((low + high) // 2, low * 21 // 20)
        return high, most

    def _succeeds(self, transaction: Mapping[str, Any], gas: int, environment: Environment) -> bool:
        try:
            return self.call({**transaction, "gas": gas}, None, environment).succeeded
        except InvalidTransaction:
            return False

    @property
    def name(self) -> str:
        """As an endpoint."""
        return "in-process chain"

    def post(self, body: bytes) -> bytes:
        """As an endpoint: see `Endpoint`."""
        from solvent.chain.local_rpc import answer

        try:
            return answer(self, body)
        except msgspec.MsgspecError as error:
            raise EndpointLost(self.name, str(error)) from None


class _Builder:
    """A block under construction."""

    def __init__(self, evm: Evm, state: Any, environment: Environment) -> None:
        self.evm, self.state, self.environment = evm, state, environment
        self.included: list[Included] = []
        self.gas_used = self._logs = 0

    def take(self, each: Waiting) -> bool:
        """Execute the next transaction, unless the state does not allow it."""
        try:
            executed = self.evm.apply(self.state, each.transaction)
        except InvalidTransaction:
            return False
        self.gas_used += executed.gas_used
        price = each.fees.price(self.environment.base_fee)
        self.included.append(Included(each, executed, price, self.gas_used, self._logs))
        self._logs += len(executed.logs)
        return True


def _hash(environment: Environment, parent: bytes, root: bytes, hashes: Sequence[bytes], salt: int) -> bytes:
    """A block's hash: of its own content, not of a header that another client would write."""
    figures = (environment.number, environment.timestamp, environment.gas_limit, environment.base_fee, salt)
    return keccak(parent + root + b"".join(each.to_bytes(32, "big") for each in figures) + b"".join(hashes))
