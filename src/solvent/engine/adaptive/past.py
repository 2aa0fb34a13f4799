"""A journal's marks in order, read once for everything that has to remember them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from solvent.domain import events as e
from solvent.domain.commands import Quote
from solvent.domain.instruments import Instrument
from solvent.ledger.journal import Journal


class PastMark(NamedTuple):
    """One mark with what was known by then. Lists and mappings grow as the reading goes on: use them at once."""

    ts_ns: int
    instruments: Sequence[Instrument]
    quotes: Mapping[int, Quote]
    """The newest of each instrument."""
    fresh: Sequence[Quote]
    """Those of this mark."""


def past_marks(journal: Journal) -> Iterator[PastMark]:
    """All marks of a journal, oldest first."""
    listed: list[Instrument] = []
    quotes: dict[int, Quote] = {}
    for block in journal.read():
        for event in (event for entry in block.entries() for event in entry.events):
            if isinstance(event, e.InstrumentListed):
                listed.append(event.instrument)
            elif isinstance(event, e.Marked):
                quotes.update((quote.instrument, quote) for quote in event.quotes)
                yield PastMark(event.ts_ns or block.ts_ns, listed, quotes, event.quotes)
