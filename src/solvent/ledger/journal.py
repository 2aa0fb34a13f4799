"""The journal: commands and what was decided for them, in durable blocks that are chained by hash."""

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from solvent.domain.events import Entry
from solvent.errors import JournalCorrupt, Problem, problem, raise_if
from solvent.ledger.image import STATE_VERSION

GENESIS = bytes(32)
"""Hash before the first block."""
JSON, ZLIB = 0, 1
"""Codecs of a payload: the JSON itself, or its deflated form."""
COMPRESS_ABOVE_BYTES = 65_536
"""Smaller payloads stay plain, so that any SQLite tool can read them."""
PAYLOAD_BYTES_MOST = 256 * 2**20
"""Of a block's JSON: bounds what a block may cost to read, deflated or not."""
_FAST = 1
CONFIRM = "`solvent journal confirm STORE` with the height and hash that the witness signed last"
"""What opens a restored journal to writers."""


class Head(NamedTuple):
    """Where a chain of blocks ends."""

    height: int = 0
    """Blocks so far; the first block has height 1."""
    ts_ns: int = 0
    hash: bytes = GENESIS


class Block(msgspec.Struct, frozen=True):
    """One group commit: whole or not at all."""

    height: int
    ts_ns: int
    """Set once by the writer; never below the last block's."""
    epoch: int
    """Of the writer: counts how often the journal was taken over."""
    state_version: int
    """`STATE_VERSION` of the `apply` that these events were decided for."""
    codec: int
    """JSON or ZLIB."""
    prev_hash: bytes
    hash: bytes
    """`block_hash` of everything else."""
    payload: bytes
    """JSON of the entries: exact for integers of any size, and readable without us."""

    @property
    def head(self) -> Head:
        """The chain's end at this block."""
        return Head(self.height, self.ts_ns, self.hash)

    def entries(self) -> tuple[Entry, ...]:
        """The decoded entries. Raises JournalCorrupt if they are none, in bounded memory."""
        try:
            return _decoder.decode(_inflate(self.payload) if self.codec == ZLIB else self.payload)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, zlib.error) as error:
            raise JournalCorrupt(
                problem("journal", self.height, "payload", str(error), "entries that can be read")
            ) from None


class Snapshot(msgspec.Struct, frozen=True):
    """A state at the end of a block, kept beside the chain to make recovery short."""

    height: int
    block_hash: bytes
    """Hash of the block at that height: a snapshot belongs to one chain only."""
    state_version: int
    state_hash: bytes
    digest: bytes
    """BLAKE2b-256 of everything else."""
    payload: bytes
    """Deflated `State.snapshot()`."""


class Journal(Protocol):
    """Where blocks are kept. One writer at a time; readers may read while it writes."""

    name: str
    """For messages: a file, a database."""

    def commit(self, entries: Sequence[Entry], ts_ns: int) -> int:
        """Append one block and return its height once it is durable.

        Raises StoreFull (nothing was written), StoreLost (it may or may not be there) or Fenced (another
        writer took over), after each of which the caller drops what it holds and recovers; SolventError for a
        time before the last block's or a payload above `PAYLOAD_BYTES_MOST` (nothing was written).
        """
        ...

    def head(self) -> Head:
        """The end of the chain as the store recorded it with the last commit."""
        ...

    def read(self, start: int = 1) -> Iterator[Block]:
        """Blocks from height `start` on, as they stand in the store: unchecked, but for what cannot be read.

        Raises JournalCorrupt or StoreLost.
        """
        ...

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot, and only the newest few."""
        ...

    def snapshots(self) -> Iterator[Snapshot]:
        """Snapshots as they stand in the store, newest first."""
        ...

    def faults(self) -> list[Problem]:
        """What the store's own check of itself finds."""
        ...

    def close(self) -> None:
        """Release the store."""
        ...


_decoder = msgspec.json.Decoder(tuple[Entry, ...])


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    plain = inflater.decompress(data, PAYLOAD_BYTES_MOST)
    if not inflater.eof:
        raise zlib.error(f"not deflated data of at most {PAYLOAD_BYTES_MOST} bytes")
    return plain


def block_hash(
    height: int, ts_ns: int, epoch: int, state_version: int, codec: int, prev_hash: bytes, payload: bytes
) -> bytes:
    """BLAKE2b-256 (personalised `solvent block`) of `height,ts,epoch,version,codec,prev` and the payload.

    The numbers stand in decimal and prev in hexadecimal, separated by commas and closed by a newline.
    """
    header = f"{height},{ts_ns},{epoch},{state_version},{codec},{prev_hash.hex()}\n".encode()
    digest = hashlib.blake2b(header, digest_size=32, person=b"solvent block")
    digest.update(payload)
    return digest.digest()


def seal(head: Head, entries: Sequence[Entry], ts_ns: int, epoch: int) -> Block:
    """The block that follows `head`. Raises SolventError for a time that goes back or too many entries."""
    payload, codec = msgspec.json.encode(entries), JSON
    found = []
    if ts_ns < head.ts_ns:
        found.append(problem("block", head.height + 1, "ts_ns", ts_ns, f"at least the last block's {head.ts_ns}"))
    if len(payload) > PAYLOAD_BYTES_MOST:
        found.append(problem("block", head.height + 1, "payload", len(payload), f"<= {PAYLOAD_BYTES_MOST} bytes"))
    raise_if(found)
    if len(payload) > COMPRESS_ABOVE_BYTES:
        payload, codec = zlib.compress(payload, _FAST), ZLIB
    height = head.height + 1
    digest = block_hash(height, ts_ns, epoch, STATE_VERSION, codec, head.hash, payload)
    return Block(height, ts_ns, epoch, STATE_VERSION, codec, head.hash, digest, payload)


def check_link(name: str, head: Head, block: Block) -> list[Problem]:
    """Everything that is wrong with a block as the successor of `head`, its entries aside."""

    def wrong(field: str, value: object, accepted: str) -> Problem:
        return problem(name, block.height, field, value, accepted)

    found = []
    if block.height != head.height + 1:
        found.append(wrong("height", block.height, f"{head.height + 1}: blocks are missing or repeated"))
    if block.prev_hash != head.hash:
        found.append(wrong("prev_hash", block.prev_hash.hex(), f"{head.hash.hex()}, the hash of the block before"))
    digest = block_hash(
        block.height,
        block.ts_ns,
        block.epoch,
        block.state_version,
        block.codec,
        block.prev_hash,
        block.payload,
    )
    if block.hash != digest:
        found.append(wrong("hash", block.hash.hex(), f"{digest.hex()}: the block was altered"))
    if block.ts_ns < head.ts_ns:
        found.append(wrong("ts_ns", block.ts_ns, f"at least the last block's {head.ts_ns}"))
    if block.state_version != STATE_VERSION:
        found.append(wrong("state_version", block.state_version, f"{STATE_VERSION}, which this version applies"))
    if block.codec not in (JSON, ZLIB):
        found.append(wrong("codec", block.codec, f"{JSON} (JSON) or {ZLIB} (deflated)"))
    return found


def entry_at(journal: Journal, height: int, position: int) -> Entry:
    """The entry that a `Receipt` names: the answer to a repeated idempotency key. Raises JournalCorrupt."""
    block = next(journal.read(height), None)
    if block is None or block.height != height:
        raise JournalCorrupt(problem(journal.name, height, "height", "missing", "the block of a receipt"))
    return block.entries()[position]


class MemoryJournal:
    """A journal that lasts as long as its process: for tests, and replays that nobody wants to keep."""

    SNAPSHOTS_KEPT = 3

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.blocks: list[Block] = []
        self.kept: list[Snapshot] = []

    def commit(self, entries: Sequence[Entry], ts_ns: int) -> int:
        """Append one block. Raises SolventError for a time before the last block's or too long a payload."""
        block = seal(self.head(), entries, ts_ns, epoch=1)
        self.blocks.append(block)
        return block.height

    def head(self) -> Head:
        """The end of the chain."""
        return self.blocks[-1].head if self.blocks else Head()

    def read(self, start: int = 1) -> Iterator[Block]:
        """Blocks from height `start` on."""
        for position in range(max(0, start - 1), len(self.blocks)):
            yield self.blocks[position]

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot, and only the newest few."""
        self.kept = [*(each for each in self.kept if each.height != snapshot.height), snapshot][-self.SNAPSHOTS_KEPT :]

    def snapshots(self) -> Iterator[Snapshot]:
        """Snapshots, newest first."""
        yield from reversed(self.kept)

    def faults(self) -> list[Problem]:
        """None: there is no store that could be damaged."""
        return []

    def close(self) -> None:
        """Nothing to release."""
