"""EMIR's margin data: a row an account with the 29 fields of the daily report to a trade repository.

Source: Delegated Regulation (EU) 2022/1855, Annex, Table 3. Order and names of the fields are as known to us;
those of `VERIFIED` were read in guidance on it, the others were not checked against the published text.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from solvent.engine.margined import Margined
from solvent.engine.verdicts import REFUSED
from solvent.errors import problem, raise_if
from solvent.reports.forms import figures_page, finite, table_csv, utc
from solvent.reports.page import prose, section, table

SOURCE = "Delegated Regulation (EU) 2022/1855, Annex, Table 3 (margin data)"
FIELDS = (
    "Reporting timestamp",
    "Report submitting entity ID",
    "Entity responsible for reporting",
    "Counterparty 1 (Reporting counterparty)",
    "Counterparty 2 identifier type",
    "Counterparty 2",
    "Collateral timestamp",
    "Collateral portfolio indicator",
    "Collateral portfolio code",
    "UTI",
    "Collateralisation category",
    "Initial margin posted by the counterparty 1 (pre-haircut)",
    "Initial margin posted by the counterparty 1 (post-haircut)",
    "Currency of the initial margin posted",
    "Variation margin posted by the counterparty 1 (pre-haircut)",
    "Variation margin posted by the counterparty 1 (post-haircut)",
    "Currency of the variation margins posted",
    "Excess collateral posted by the counterparty 1",
    "Currency of the excess collateral posted",
    "Initial margin collected by the counterparty 1 (pre-haircut)",
    "Initial margin collected by the counterparty 1 (post-haircut)",
    "Currency of initial margin collected",
    "Variation margin collected by the counterparty 1 (pre-haircut)",
    "Variation margin collected by the counterparty 1 (post-haircut)",
    "Currency of variation margin collected",
    "Excess collateral collected by the counterparty 1",
    "Currency of excess collateral collected",
    "Action type",
    "Event date",
)
"""Field 3.n is `FIELDS[n - 1]`."""
VERIFIED = frozenset({9, 11, 12, 28, 29})
CATEGORIES = ("UNCL", "PRC1", "PRC2", "PRCL", "OWC1", "OWC2", "OWP1", "OWP2", "FLCL")
ACTIONS = ("NEWT", "MARU", "EROR", "CORR")
CURRENCY = "USD"
NOTES = (
    "The venue is counterparty 1 and collects; it posts nothing, so the fields of what it posts are empty.",
    "Held collateral counts as initial margin collected up to what is required after haircuts; the rest is excess. "
    "The part before haircuts is in the same proportion.",
    "After haircuts is the policy's own figure, in which unsettled profit and loss are netted with the balances.",
    "Variation margin: this book settles profit in the ledger and does not say what was paid as variation margin.",
    "The collateralisation category is that of the agreement with the account, not of what is held today.",
)
WHY_EMPTY: Mapping[int, str] = {
    1: "set when the report is submitted",
    10: "not used where margin is reported by portfolio",
    **dict.fromkeys((12, 13, 14, 15, 16, 17, 18, 19), "nothing is posted by counterparty 1"),
    **dict.fromkeys((23, 24, 25), "not told apart from other settlement in a book"),
}
"""Fields that are empty in every row, and why."""


class Parties(msgspec.Struct, frozen=True):
    """What a book does not know; None where not given."""

    submitter: str | None = None
    """LEI."""
    responsible: str | None = None
    """LEI."""
    counterparty: str | None = None
    """LEI of counterparty 1."""
    category: str | None = None
    """One of `CATEGORIES`, by the agreement."""
    action: str | None = None
    """One of `ACTIONS`."""
    accounts: Mapping[str, str] = {}
    """account -> LEI of counterparty 2."""


def margin_rows(margined: Margined, parties: Parties | None = None) -> list[dict[str, Any]]:
    """A row an account that the rule margins, with all of `FIELDS`; None where a field is not known or not used.

    Raises SolventError for codes and identifiers that the report does not take.
    """
    parties = parties or Parties()
    raise_if(party_problems(parties, margined), "no margin report")
    book, statement = margined.book, margined.answer.statement
    held = np.sum([*margined.held_usd.values(), np.zeros(len(book))], axis=0)
    found = []
    for account in np.flatnonzero(margined.answer.state != REFUSED).tolist():
        before = float(held[account])
        after = min(max(float(statement.collateral_value[account]), 0.0), before)  # profit may count as collateral
        margin = min(after, float(statement.initial_margin[account]))
        margin_before = min(before, before * margin / after) if after > 0.0 else 0.0
        found.append(_row(margined, parties, book.names[account], margin_before, margin, before - margin_before))
    return found


def _row(
    margined: Margined, parties: Parties, account: str, margin_before: float, margin_after: float, excess: float
) -> dict[str, Any]:
    time = utc(margined.market.ts_ns)
    other = parties.accounts.get(account)
    values: dict[int, Any] = {
        2: parties.submitter, 3: parties.responsible, 4: parties.counterparty,
        5: None if other is None else True, 6: other, 7: time, 8: True, 9: account, 11: parties.category,
        20: round(margin_before, 5), 21: round(margin_after, 5), 22: CURRENCY,
        26: round(excess, 5), 27: CURRENCY, 28: parties.action, 29: time[:10],
    }  # fmt: skip
    return {name: values.get(number) for number, name in enumerate(FIELDS, 1)}


def party_problems(parties: Parties, margined: Margined) -> list[Any]:
    """Codes outside their lists, identifiers that are no LEI, accounts that the book does not have."""
    found = []
    for name, value, accepted in (
        ("category", parties.category, CATEGORIES),
        ("action", parties.action, ACTIONS),
    ):
        if value is not None and value not in accepted:
            found.append(problem("emir", None, name, value, f"one of {', '.join(accepted)}"))
    leis = [("submitter", parties.submitter), ("responsible", parties.responsible),
            ("counterparty", parties.counterparty), *parties.accounts.items()]  # fmt: skip
    found += [
        problem("emir", None, name, value, "an LEI: 18 letters and digits with its two check digits")
        for name, value in leis
        if value is not None and not is_lei(value)
    ]
    found += [
        problem("emir", None, "account", name, "an account of the book")
        for name in parties.accounts
        if name not in margined.book.names
    ]
    return found


def is_lei(text: str) -> bool:
    """Whether a text is an LEI: ISO 17442, check digits by ISO 7064 MOD 97-10."""
    if not re.fullmatch(r"[A-Z0-9]{18}[0-9]{2}", text):
        return False
    return int("".join(str(int(each, 36)) for each in text)) % 97 == 1


def margin_json(rows: list[dict[str, Any]]) -> str:
    """All rows with what each field is and why some are empty."""
    fields = [
        {"number": f"3.{number}", "name": name, "number_verified": number in VERIFIED,
         "empty_because": WHY_EMPTY.get(number)}
        for number, name in enumerate(FIELDS, 1)
    ]  # fmt: skip
    document = {"form": "EMIR margin data", "source": SOURCE, "notes": list(NOTES), "fields": fields, "rows": rows}
    return json.dumps(finite(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def margin_csv(rows: list[dict[str, Any]]) -> str:
    """A line an account; empty where not known or not used."""
    return table_csv(FIELDS, [[_cell(row[name]) for name in FIELDS] for row in rows])


def margin_page(rows: list[dict[str, Any]]) -> str:
    """Accounts with the fields that are filled, and a list of those that are not."""
    filled = [name for name in FIELDS if any(row[name] is not None for row in rows)]
    numbers = {name: number for number, name in enumerate(FIELDS, 1)}
    head = [f"3.{numbers[name]} {name}" for name in filled]
    empty = [
        [f"3.{number}", name, WHY_EMPTY.get(number, "not given")]
        for number, name in enumerate(FIELDS, 1)
        if name not in filled
    ]
    figures = {
        "accounts": f"{len(rows):,}",
        "initial margin, USD": f"{sum(row[FIELDS[20]] for row in rows):,.0f}",
        "excess collateral, USD": f"{sum(row[FIELDS[25]] for row in rows):,.0f}",
        "fields filled": f"{len(filled)} of {len(FIELDS)}",
    }
    parts = [
        section("Accounts", table(head, [[_cell(row[name]) for name in filled] for row in rows])),
        section("Fields without a value", table(["field", "", "why"], empty)),
        *(prose(note, "note") for note in NOTES),
    ]
    return figures_page("EMIR margin data", "A row an account, as counterparty 1 collects.", figures, parts, SOURCE)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.5f}" if isinstance(value, float) else str(value)
