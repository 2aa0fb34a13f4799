"""Who signs: an encrypted keystore, or a signer that runs elsewhere. Keys are never taken from arguments."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from solvent.chain.abi import chain_extra, checksum
from solvent.chain.rpc import Rpc, data, quantity
from solvent.errors import SolventError, problem


class Signer(Protocol):
    """Signs transactions of one address."""

    @property
    def address(self) -> str:
        """The sender, with the letters of EIP-55."""
        ...

    def sign(self, transaction: Mapping[str, Any]) -> bytes:
        """Raw signed transaction of an EIP-1559 transaction: its fields as eth-account names them."""
        ...


class KeySigner:
    """Signs in this process."""

    def __init__(self, account: Any) -> None:
        """account: a `LocalAccount` of eth-account."""
        self._account = account
        self.address = str(account.address)

    def sign(self, transaction: Mapping[str, Any]) -> bytes:
        """See `Signer`."""
        return bytes(self._account.sign_transaction(dict(transaction)).raw_transaction)

    def sign_digest(self, digest: bytes) -> bytes:
        """Signature of 32 bytes that the caller made himself, such as an EIP-712 digest: r, s, v."""
        return bytes(self._account.unsafe_sign_hash(digest).signature)

    def __repr__(self) -> str:
        return f"KeySigner({self.address})"


def from_keystore(path: Path, password: str) -> KeySigner:
    """A signer from an encrypted keystore file (version 3, as every wallet writes it). Raises SolventError."""
    account = chain_extra("eth_account").Account
    with contextlib.suppress(FileNotFoundError, PermissionError):
        if path.stat().st_mode & 0o077:
            raise SolventError(problem(str(path), None, "mode", oct(path.stat().st_mode & 0o777), "0o600: yours alone"))
    try:
        keystore = msgspec.json.decode(path.read_bytes())
        return KeySigner(account.from_key(account.decrypt(keystore, password)))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        # Never with the error's own text: libraries put into it what they could not read.
        raise SolventError(
            problem(str(path), None, "keystore", type(error).__name__, "a version 3 keystore and its password")
        ) from None


class RemoteSigner:
    """Asks a signer over JSON-RPC (`eth_signTransaction`), and checks what comes back."""

    def __init__(self, rpc: Rpc, address: str) -> None:
        self._rpc, self.address = rpc, checksum(address)

    def sign(self, transaction: Mapping[str, Any]) -> bytes:
        """See `Signer`. Raises SolventError where the answer is another transaction or another sender's."""
        asked = {
            "from": self.address,
            "to": transaction["to"],
            "data": "0x" + bytes(transaction["data"]).hex(),
            "type": "0x2",
            **{
                name: quantity(int(transaction[name]))
                for name in ("value", "gas", "nonce", "chainId", "maxFeePerGas", "maxPriorityFeePerGas")
            },
        }
        answer = self._rpc.call("eth_signTransaction", asked)
        raw = data(answer["raw"] if isinstance(answer, dict) else answer)
        found, sender = decoded(raw)
        wrong = sorted(name for name in found if _plain(found[name]) != _plain(transaction.get(name)))
        if sender != self.address:
            wrong.append("sender")
        if wrong:
            raise SolventError(problem("remote signer", None, wrong[0], "another", "the transaction asked for"))
        return raw


class WatchOnly:
    """An address without a key: for dry runs."""

    def __init__(self, address: str) -> None:
        self.address = checksum(address)

    def sign(self, transaction: Mapping[str, Any]) -> bytes:
        """See `Signer`. Always raises SolventError."""
        raise SolventError(problem("signer", None, "key", "none", "a keystore or a remote signer"))


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return bytes.fromhex(value.removeprefix("0x"))
    return bytes(value) if isinstance(value, (bytes, bytearray)) else value


FIELDS = ("to", "data", "value", "gas", "nonce", "chainId", "maxFeePerGas", "maxPriorityFeePerGas")


def decoded(raw: bytes) -> tuple[dict[str, Any], str]:
    """Fields and sender of a raw EIP-1559 transaction. Raises SolventError."""
    typed = chain_extra("eth_account.typed_transactions").TypedTransaction
    account = chain_extra("eth_account").Account
    try:
        found = typed.from_bytes(chain_extra("hexbytes").HexBytes(raw)).as_dict()
        return {name: found[name] for name in FIELDS}, str(account.recover_transaction(raw))
    except Exception as error:  # eth-account raises whatever its parts raise
        raise SolventError(
            problem("transaction", None, "raw", type(error).__name__, "a signed EIP-1559 transaction")
        ) from None
