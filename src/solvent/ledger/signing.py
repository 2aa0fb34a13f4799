"""Signatures of the journal's head: who holds one can show later what the writer acknowledged.

Ed25519 (RFC 8032). What is signed is the line `solvent head,HEIGHT,TS_NS,HASH`.
"""

import os
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from solvent.errors import SolventError, problem
from solvent.ledger.journal import Head

PASSPHRASE = "SOLVENT_KEY_PASSPHRASE"
"""Environment variable that opens a key file with a passphrase."""


class SignedHead(msgspec.Struct, frozen=True):
    """A head of the chain, and who vouches for it. All but the height and time in hexadecimal."""

    height: int
    ts_ns: int
    hash: str
    key: str
    """The signer's public key, 32 bytes."""
    signature: str
    """64 bytes."""

    def faults(self) -> str:
        """What is wrong with the signature, or an empty string."""
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.key)).verify(
                bytes.fromhex(self.signature), _message(Head(self.height, self.ts_ns, bytes.fromhex(self.hash)))
            )
        except (InvalidSignature, ValueError) as error:
            return f"not a signature of this head by this key {error}".strip()
        return ""


class Signer:
    """Signs heads with a key that stays in memory."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw().hex()
        """The public key, 32 bytes in hexadecimal: what others check signatures with."""

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "Signer":
        """The key of a PEM file that its owner alone can read; its passphrase stands in `PASSPHRASE`.

        Raises SolventError for a file that is missing, open to others, no Ed25519 key, or locked.
        """
        file = Path(path)
        try:
            mode, data = file.stat().st_mode, file.read_bytes()
        except OSError as error:
            raise SolventError(problem(str(path), None, "key", error.strerror or "", "a key file")) from None
        if mode & 0o077:
            accepted = "a file for its owner alone: chmod 600"
            raise SolventError(problem(str(path), None, "mode", oct(mode & 0o777), accepted))
        passphrase = os.environ.get(PASSPHRASE)
        try:
            key = serialization.load_pem_private_key(data, passphrase.encode() if passphrase else None)
        except (ValueError, TypeError) as error:
            accepted = f"an Ed25519 key in PEM, its passphrase in {PASSPHRASE}"
            raise SolventError(problem(str(path), None, "key", str(error), accepted)) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise SolventError(problem(str(path), None, "key", type(key).__name__, "an Ed25519 key"))
        return cls(key)

    def sign(self, head: Head) -> SignedHead:
        """Vouch for a head."""
        signature = self._key.sign(_message(head)).hex()
        return SignedHead(head.height, head.ts_ns, head.hash.hex(), self.public, signature)


def _message(head: Head) -> bytes:
    return f"solvent head,{head.height},{head.ts_ns},{head.hash.hex()}\n".encode()


def make_key(path: str | os.PathLike[str]) -> Signer:
    """Write a new key to a new file that its owner alone can read; locked with `PASSPHRASE` where that is set.

    Raises SolventError where the file is there or cannot be written.
    """
    key, passphrase = Ed25519PrivateKey.generate(), os.environ.get(PASSPHRASE)
    locked = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        raise SolventError(problem(str(path), None, "key", error.strerror or "", "a new file")) from None
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(handle)
    return Signer(key)
