"""One Ethereum virtual machine (py-evm, Cancun rules): blocks of transactions and calls on any past state."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from solvent.chain.abi import chain_extra, decode, keccak
from solvent.errors import SolventError, problem

ZERO_HASH = bytes(32)
CALL_SENDER = bytes(20)
MESSAGE_MOST = 200
"""Characters of a revert reason that are kept."""


class Environment(msgspec.Struct, frozen=True):
    """What a contract sees of its block."""

    number: int
    timestamp: int
    """Seconds since 1970."""
    gas_limit: int
    base_fee: int
    coinbase: bytes
    previous_hashes: tuple[bytes, ...] = ()
    """Newest first, at most 256."""


class Executed(msgspec.Struct, frozen=True):
    """What one transaction or call did."""

    succeeded: bool
    gas_used: int
    gas_needed: int
    """Before refunds: with less it would have run out."""
    output: bytes
    """Returned, or reverted with."""
    logs: tuple[tuple[bytes, tuple[int, ...], bytes], ...]
    created: bytes | None
    """Address of a new contract."""
    error: str = ""


class InvalidTransaction(SolventError):
    """A transaction that no block can hold in this state."""


class Evm:
    """Executes on states that are kept by their root, so that any earlier one can be returned to."""

    def __init__(self, chain_id: int) -> None:
        self._vm = chain_extra("eth.vm.forks.cancun").CancunVM
        database = chain_extra("eth.db.atomic").AtomicDB
        self._db = database(chain_extra("eth.db.backends.memory").MemoryDB())
        self.chain_id = chain_id

    def genesis(self, balances: Mapping[bytes, int]) -> bytes:
        """Root of a first state that holds these balances, wei."""
        blank = chain_extra("eth.constants").BLANK_ROOT_HASH
        state = self.state(blank, Environment(0, 0, 30_000_000, 0, CALL_SENDER))
        for address, balance in balances.items():
            state.set_balance(address, balance)
        return self.commit(state)

    def state(self, root: bytes, environment: Environment) -> Any:
        """A state that can be executed on and thrown away."""
        context = chain_extra("eth.vm.execution_context").ExecutionContext(
            coinbase=environment.coinbase,
            timestamp=environment.timestamp,
            block_number=environment.number,
            difficulty=0,
            mix_hash=keccak(environment.number.to_bytes(32, "big")),
            gas_limit=environment.gas_limit,
            prev_hashes=environment.previous_hashes,
            chain_id=self.chain_id,
            base_fee_per_gas=environment.base_fee,
            excess_blob_gas=0,
        )
        return self._vm.get_state_class()(self._db, context, root)

    def commit(self, state: Any) -> bytes:
        """Keep what was executed; the root by which it is found again."""
        state.persist()
        root: bytes = state.state_root
        return root

    def apply(self, state: Any, transaction: Any) -> Executed:
        """Execute a signed transaction. Raises InvalidTransaction and leaves the state as it was."""
        state.lock_changes()
        snapshot = state.snapshot()
        errors = (chain_extra("eth_utils").ValidationError, chain_extra("eth.exceptions").PyEVMError)
        try:
            return self._executed(transaction, state.apply_transaction(transaction))
        except errors as error:
            state.revert(snapshot)
            raise InvalidTransaction(problem("transaction", None, "state", str(error), "one that it allows")) from None

    def call(self, state: Any, sender: bytes, to: bytes, data: bytes, gas: int, value: int = 0) -> Executed:
        """Execute without paying for gas, and undo it. The state's base fee must be 0. Raises InvalidTransaction."""
        unsigned = self._vm.create_unsigned_transaction(
            nonce=state.get_nonce(sender), gas_price=0, gas=gas, to=to, value=value, data=data
        )
        transaction = chain_extra("eth.vm.spoof").SpoofTransaction(unsigned, from_=sender)
        state.lock_changes()
        snapshot = state.snapshot()
        try:
            return self._executed(transaction, state.apply_transaction(transaction))
        except chain_extra("eth_utils").ValidationError as error:
            raise InvalidTransaction(problem("call", None, "state", str(error), "one that it allows")) from None
        finally:
            state.revert(snapshot)

    def _executed(self, transaction: Any, computation: Any) -> Executed:
        failed = bool(computation.is_error)
        logs = tuple((bytes(a), tuple(int(each) for each in t), bytes(d)) for a, t, d in computation.get_log_entries())
        return Executed(
            succeeded=not failed,
            gas_used=int(self._vm.finalize_gas_used(transaction, computation)),
            gas_needed=int(transaction.gas - computation.get_gas_remaining()),
            output=bytes(computation.output),
            logs=logs,
            created=bytes(computation.msg.storage_address) if computation.msg.is_create and not failed else None,
            error=reason(bytes(computation.output), str(computation.error)) if failed else "",
        )

    def transaction(self, raw: bytes) -> Any:
        """A signed transaction from its bytes, its signature and chain checked. Raises InvalidTransaction."""
        builder = self._vm.get_transaction_builder()
        try:
            found = builder.decode(raw)
            found.validate()
            if not found.sender or found.chain_id != self.chain_id:
                raise ValueError(f"chain id {found.chain_id}")
        except Exception as error:  # py-evm and rlp raise whatever their parts raise
            text = str(error) or type(error).__name__
            accepted = f"a signed transaction of chain {self.chain_id}"
            raise InvalidTransaction(problem("transaction", None, "raw", text, accepted)) from None
        return found


@lru_cache(maxsize=1)
def _panic_selector() -> bytes:
    return keccak(b"Panic(uint256)")[:4]


def reason(output: bytes, otherwise: str) -> str:
    """Words of a revert, as text that a terminal can show."""
    if output[:4] == b"\x08\xc3\x79\xa0":
        try:
            text = str(decode(["string"], output[4:])[0])
        except SolventError:
            text = otherwise
    elif output[:4] == _panic_selector():
        text = f"panic {int.from_bytes(output[4:36], 'big'):#x}"
    else:
        text = f"0x{output[:36].hex()}" if output else otherwise
    return "".join(each if each.isprintable() else "?" for each in text)[:MESSAGE_MOST]


def ancestors(hashes: Sequence[bytes]) -> Iterator[bytes]:
    """The last 256 block hashes, newest first."""
    return reversed(hashes[-256:])
