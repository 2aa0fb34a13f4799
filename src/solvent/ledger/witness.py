"""Witnesses: signed heads of the journal, kept where whoever rewrites the journal cannot reach.

The chain of hashes shows that blocks fit each other, not that they are the ones that were acknowledged: whoever owns
the store can write a whole new chain, or cut the end off. A head that was signed and kept elsewhere tells.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from solvent.errors import Problem, SolventError, problem
from solvent.ledger.journal import Head, Journal
from solvent.ledger.signing import SignedHead, Signer

EVERY_S = 60.0


class Witness(Protocol):
    """Where signed heads are kept: they are added and never changed."""

    def record(self, signed: SignedHead) -> None:
        """Keep a head; durable on return. Raises SolventError."""
        ...

    def heads(self) -> Iterator[SignedHead]:
        """All heads, in the order in which they were kept. Raises SolventError for what cannot be read."""
        ...


class FileWitness:
    """A file of JSON lines, on another disk or machine than the journal."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def record(self, signed: SignedHead) -> None:
        """Append a line; durable on return. Raises SolventError."""
        try:
            handle = os.open(self.path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
            try:
                os.write(handle, msgspec.json.encode(signed) + b"\n")
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            accepted = "a file that can be written"
            raise SolventError(problem(str(self.path), None, "witness", error.strerror or "", accepted)) from None

    def heads(self) -> Iterator[SignedHead]:
        """The lines. Raises SolventError for a file that is missing or holds something else."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            accepted = "a witness's file"
            raise SolventError(problem(str(self.path), None, "witness", error.strerror or "", accepted)) from None
        for row, line in enumerate(data.splitlines(), 1):
            try:
                yield msgspec.json.decode(line, type=SignedHead)
            except msgspec.MsgspecError as error:
                raise SolventError(problem(str(self.path), row, "head", str(error), "a signed head")) from None


class PublishedWitness:
    """A witness behind two functions: a second store, a contract, a newspaper."""

    def __init__(self, publish: Callable[[SignedHead], None], read: Callable[[], Sequence[SignedHead]]) -> None:
        self.record = publish
        self._read = read

    def heads(self) -> Iterator[SignedHead]:
        """What `read` returns."""
        return iter(self._read())


class Witnessing:
    """Tells a witness of the head at an interval, and at the end."""

    def __init__(
        self, signer: Signer, witness: Witness, every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.signer, self.witness, self.every_s = signer, witness, every_s
        self._clock = clock
        self._due = -float("inf")
        self._told = -1

    def durable(self, head: Head) -> None:
        """A block became durable: tell the witness if it is time."""
        if self._clock() >= self._due:
            self.close(head)

    def close(self, head: Head) -> None:
        """Tell the witness of this head now, if it does not know it."""
        if head.height != self._told:
            self.witness.record(self.signer.sign(head))
            self._told = head.height
        self._due = self._clock() + self.every_s


def check(journal: Journal, witness: Witness, name: str, keys: frozenset[str] = frozenset()) -> list[Problem]:
    """Everything in which a journal differs from what a witness was told: rewritten blocks, a tail that was cut.

    name: of the witness, for messages. keys: public keys that may have signed; none: any one key that signed all.
    """
    found: list[Problem] = []
    heads = list(witness.heads())
    if not heads:
        return [problem(name, None, "heads", "none", "heads of this journal")]
    trusted = keys or frozenset({heads[0].key})
    for row, signed in enumerate(heads, 1):
        if signed.key not in trusted:
            found.append(problem(name, row, "key", signed.key, f"{', '.join(sorted(trusted))}"))
        elif fault := signed.faults():
            found.append(problem(name, row, "signature", signed.signature, fault))
    sound = [signed for signed in heads if signed.key in trusted and not signed.faults()]
    wanted = {signed.height: signed for signed in sound if signed.height}
    for height in sorted(wanted):
        block = next(journal.read(height), None)
        signed = wanted[height]
        if block is None or block.height != height:
            accepted = f"block {height:,} with hash {signed.hash}, which was signed: the tail was cut"
            found.append(problem(journal.name, height, "height", journal.head().height, accepted))
            break
        if block.hash.hex() != signed.hash:
            accepted = f"{signed.hash}, which was signed: the chain was rewritten"
            found.append(problem(journal.name, height, "hash", block.hash.hex(), accepted))
            break
    return found
