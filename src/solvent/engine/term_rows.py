"""Terms of several explanations of one account beside one another: what differs, and by how much."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from solvent.margin.statement import Explanation

TOTALS = ("equity", "initial_margin", "maintenance_margin")

LEAST_USD = Decimal("0.005")
"""Half a cent: what is shown to cents and differs by less does not differ."""


class TermRow(NamedTuple):
    """One term in every explanation."""

    total: str
    """One of `TOTALS`."""
    name: str
    """The rule's own name for it."""
    instrument: str
    """What it comes from; empty where it is of the whole account."""
    amounts: tuple[Decimal | None, ...]
    """USD in each explanation; None where it has no such term or there is no explanation."""

    @property
    def spread(self) -> Decimal:
        """Largest less smallest amount, an absent one counting as 0."""
        amounts = [amount or Decimal(0) for amount in self.amounts]
        return max(amounts) - min(amounts)


def term_rows(explanations: Sequence[Explanation | None]) -> tuple[TermRow, ...]:
    """Terms that are not the same in all explanations, by total, the largest difference first.

    Terms meet by their total, name and instrument: two explanations by one rule differ term by term, those of
    two rules have terms of their own. Amounts of one total still add up to its difference.
    """
    amounts: dict[tuple[str, str, str], list[Decimal | None]] = {}
    for place, explanation in enumerate(explanations):
        for term in explanation.terms if explanation else ():
            row = amounts.setdefault((term.total, term.name, term.instrument), [None] * len(explanations))
            row[place] = (row[place] or Decimal(0)) + term.amount
    there = [place for place, explanation in enumerate(explanations) if explanation]
    rows = [TermRow(*key, tuple(row)) for key, row in amounts.items() if len({row[place] for place in there}) > 1]
    return tuple(sorted(rows, key=lambda row: (TOTALS.index(row.total), -row.spread, row.name, row.instrument)))


def telling(rows: Sequence[TermRow], least: Decimal = LEAST_USD) -> tuple[TermRow, ...]:
    """Rows that differ by at least `least` USD, of the totals that do.

    Rules cut an equity on which they agree into different terms: those make no difference.
    """
    there = [i for i in range(len(rows[0].amounts)) if any(row.amounts[i] is not None for row in rows)] if rows else []
    found: list[TermRow] = []
    for total in TOTALS:
        mine = [row for row in rows if row.total == total]
        sums = [sum((row.amounts[i] or Decimal(0) for row in mine), Decimal(0)) for i in there]
        if sums and max(sums) - min(sums) >= least:
            found += [row for row in mine if row.spread >= least]
    return tuple(found)
