"""Regulators' forms as plain data: numbered items, each with a value or the reason why there is none."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from solvent.reports.page import page, prose, section, table, tiles

UNVERIFIED = "item number not checked against the published text"


class Item(msgspec.Struct, frozen=True):
    """One line of a form."""

    number: str
    name: str
    value: Any = None
    """Text, number, or a list of objects; None where it is not known."""
    unit: str = ""
    note: str = ""
    """How it was computed; of an unknown one, what would be needed."""
    verified: bool = False
    """Whether number and wording were read in the published text."""


class Form(msgspec.Struct, frozen=True):
    """A filled form."""

    form: str
    title: str
    source: str
    """The publication that it follows."""
    period: str
    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()
    groups: Mapping[str, str] = {}
    """Headings by the first part of items' numbers."""

    @property
    def known(self) -> int:
        """How many items have a value."""
        return sum(item.value is not None for item in self.items)


def unknown(number: str, name: str, needs: str, verified: bool = False) -> Item:
    """An item that these inputs do not answer."""
    return Item(number, name, None, note=f"not known: {needs}", verified=verified)


def form_json(form: Form) -> str:
    """The form as JSON; what is not known is null with its reason in `note`."""
    document = msgspec.to_builtins(form) | {"items_known": form.known, "items_total": len(form.items)}
    return json.dumps(finite(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def form_csv(form: Form) -> str:
    """A line an item; lists as JSON in their cell."""
    rows = [
        [item.number, item.name, cell(item.value), item.unit, item.note, "yes" if item.verified else "no"]
        for item in form.items
    ]
    return table_csv(["item", "name", "value", "unit", "note", "number_verified"], rows)


def form_page(form: Form) -> str:
    """The form as one HTML page; items grouped by the first part of their number."""
    lead = f"{form.title}. {form.period}. {form.known} of {len(form.items)} items are known."
    sections = [prose(note, "note") for note in form.notes]
    groups: dict[str, list[Item]] = {}
    for item in form.items:
        groups.setdefault(item.number.partition(".")[0], []).append(item)
    for number, items in groups.items():
        rows = [[_numbered(item), item.name, _shown(item.value), item.unit, item.note] for item in items]
        lists = [list_table(item) for item in items if _is_list(item.value)]
        heading = form.groups.get(number, number)
        sections.append(section(heading, table(["item", "", "value", "unit", "note"], rows, right=[2]), *lists))
    if any(not item.verified for item in form.items):
        sections.append(prose(f"* {UNVERIFIED}.", "note"))
    return page(form.form, lead, sections, f"After {form.source}. Made by Solvent from recorded data.")


def list_table(item: Item) -> str:
    """An item whose value is a list of objects, as a table of its own."""
    columns = list(dict.fromkeys(key for row in item.value for key in row))
    rows = [[_shown(row.get(key)) for key in columns] for row in item.value]
    return f"<h3>{_text(item.number)} {_text(item.name)}</h3>" + table(columns, rows, right=range(1, len(columns)))


def table_csv(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as CSV; a text that a spreadsheet would take for a formula is kept from it by an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([[_harmless(each) for each in row] for row in rows])
    return out.getvalue()


def figures_page(title: str, lead: str, figures: Mapping[str, str], sections: Sequence[str], source: str) -> str:
    """A page of headline figures over sections, for forms that are no list of items."""
    return page(title, lead, [tiles(figures), *sections], f"After {source}. Made by Solvent from recorded data.")


def cell(value: Any) -> str:
    """A value in a cell of text: empty where it is not known."""
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ""
    return value if isinstance(value, str) else json.dumps(finite(value), ensure_ascii=False)


def finite(value: Any) -> Any:
    """A value as JSON holds it: what is no finite number is null."""
    if isinstance(value, Mapping):
        return {str(key): finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def utc(ts_ns: int) -> str:
    """A time as ISO 8601 in UTC with Z."""
    return datetime.fromtimestamp(ts_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _harmless(value: Any) -> Any:
    risky = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r")
    return f"'{value}" if risky and not _is_number(value) else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)


def _numbered(item: Item) -> str:
    return item.number if item.verified else f"{item.number}\u00a0*"


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if _is_list(value):
        return f"{len(value)} rows below"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) >= 100 else f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else cell(value)


def _text(text: str) -> str:
    from html import escape

    return escape(text)
