"""ISO 20022 auth.066: a month's back-test result of a margin model, as the message and as a table of months.

Source: message definition CCPBackTestingResultReportV01 (auth.066.001.01); its elements are MnthlyRslt with
NbOfObsrvtns, NbOfXcptns, Cvrg, LrgstXcptn, AvrgXcptn and LrgstXcptnId.
"""

import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import msgspec
import numpy as np

from solvent.errors import problem, raise_if
from solvent.models.backtests.summary import with_losses
from solvent.models.regulation import AUTH_066_FIELDS
from solvent.reports.forms import figures_page, table_csv
from solvent.reports.page import prose, section, table

if TYPE_CHECKING:
    import polars as pl

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:auth.066.001.01"
SOURCE = "ISO 20022 auth.066.001.01, CCPBackTestingResultReport"
ISSUER = "Solvent"
SCHEME = "MARG"
"""Of the message's codes of what an identification is of: margin account."""
NOTES = (
    "An observation is one asset and side on one day or hour: each is held as one account of the stated notional.",
    "An exception's size is the loss less the margin, of that notional; forecasts are log returns.",
    "The message has no field for the month: one message is one month's result.",
)


class Month(msgspec.Struct, frozen=True):
    """One month's result; amounts in the currency of the notional."""

    month: str
    """YYYY-MM."""
    NumberOfObservations: int
    NumberOfExceptions: int
    Coverage: float
    """Share of observations without an exception."""
    LargestException: float
    AverageException: float
    """Over exceptions; 0 where there is none."""
    LargestExceptionIdentification: str | None
    """Asset, side and time; None where there is none."""


def months(forecasts: "pl.DataFrame", model: str, notional: float) -> tuple[Month, ...]:
    """Results of one model by calendar month.

    forecasts: the frame of `models.backtests.summary`; notional: of each asset and side, in the currency reported.
    A short's loss of log return l is notional (e^l - 1), a long's notional (1 - e^-l).
    Raises SolventError for an absent model and a notional that is not above 0.
    """
    import polars as pl

    frame = with_losses(forecasts)
    known = frame["model"].unique(maintain_order=True).to_list()
    problems = []
    if model not in known:
        problems.append(problem("forecasts", None, "model", model, f"one of {', '.join(known) or 'none'}"))
    if not notional > 0.0 or not np.isfinite(notional):
        problems.append(problem("auth.066", None, "notional", notional, "a number above 0"))
    raise_if(problems, "no back-test report")
    sign = pl.when(pl.col("side") == "long").then(-1.0).otherwise(1.0)
    size = sign * ((sign * pl.col("loss")).exp() - (sign * pl.col("margin")).exp()) * notional
    mine = frame.filter(pl.col("model") == model).with_columns(
        size=size, is_exception=pl.col("loss") > pl.col("margin"), month=pl.col("ts").dt.strftime("%Y-%m")
    )
    return tuple(_month(str(key[0]), part) for key, part in mine.group_by(["month"], maintain_order=True))


def _month(month: str, rows: "pl.DataFrame") -> Month:
    import polars as pl

    beyond = rows.filter(pl.col("is_exception")).sort("size", descending=True, maintain_order=True)
    sizes = beyond["size"].to_numpy()
    first = beyond.row(0, named=True) if len(beyond) else None
    return Month(
        month, len(rows), len(beyond), 1.0 - len(beyond) / len(rows),
        float(sizes.max()) if len(sizes) else 0.0, float(sizes.mean()) if len(sizes) else 0.0,
        f"{first['asset']} {first['side']} {first['ts']:%Y-%m-%dT%H:%MZ}" if first else None,
    )  # fmt: skip


def message(month: Month, currency: str) -> str:
    """The month as the XML message. Raises SolventError for what is no currency code of three capitals."""
    if not re.fullmatch("[A-Z]{3}", currency):
        raise_if([problem("auth.066", None, "currency", currency, "three capital letters, such as USD")])
    document = ElementTree.Element("Document", xmlns=NAMESPACE)
    result = ElementTree.SubElement(ElementTree.SubElement(document, "CCPBckTstgRsltRpt"), "MnthlyRslt")

    def add(name: str, text: str, **attributes: str) -> None:
        ElementTree.SubElement(result, name, attributes).text = text

    add("NbOfObsrvtns", str(month.NumberOfObservations))
    add("NbOfXcptns", str(month.NumberOfExceptions))
    add("Cvrg", f"{month.Coverage:.11f}".rstrip("0").rstrip("."))
    add("LrgstXcptn", f"{month.LargestException:.5f}", Ccy=currency)
    add("AvrgXcptn", f"{month.AverageException:.5f}", Ccy=currency)
    if month.LargestExceptionIdentification is not None:
        identified = ElementTree.SubElement(result, "LrgstXcptnId")
        for name, content in (("Id", month.LargestExceptionIdentification), ("Issr", ISSUER), ("SchmeNm", SCHEME)):
            ElementTree.SubElement(identified, name).text = content
    ElementTree.indent(document)
    text: str = ElementTree.tostring(document, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def as_values(found: tuple[Month, ...], model: str, notional: float, currency: str) -> dict[str, Any]:
    """All months as plain values."""
    return {
        "form": "auth.066.001.01", "source": SOURCE, "model": model, "notional": notional, "currency": currency,
        "notes": list(NOTES), "months": [msgspec.to_builtins(each) for each in found],
    }  # fmt: skip


def months_csv(found: tuple[Month, ...]) -> str:
    """A line a month."""
    rows = [["" if each is None else each for each in msgspec.structs.astuple(month)] for month in found]
    return table_csv(["month", *AUTH_066_FIELDS], rows)


def months_page(found: tuple[Month, ...], model: str, notional: float, currency: str) -> str:
    """The months as an HTML page."""
    rows = [
        [
            each.month, f"{each.NumberOfObservations:,}", f"{each.NumberOfExceptions:,}", f"{each.Coverage:.4%}",
            f"{each.LargestException:,.2f}", f"{each.AverageException:,.2f}",
            each.LargestExceptionIdentification or "-",
        ]
        for each in found
    ]  # fmt: skip
    observed, exceptions = (sum(getattr(each, name) for each in found) for name in AUTH_066_FIELDS[:2])
    figures = {
        "model": model, "months": f"{len(found)}", "observations": f"{observed:,}", "exceptions": f"{exceptions:,}",
        "coverage": f"{1 - exceptions / observed:.3%}" if observed else "-", "notional each": f"{notional:,.0f}",
    }  # fmt: skip
    head = ["month", "observations", "exceptions", "coverage", f"largest, {currency}", f"average, {currency}", "which"]
    parts = [section("By month", table(head, rows, right=range(1, 6))), *(prose(note, "note") for note in NOTES)]
    return figures_page("Back-test result report", f"{model}, by month.", figures, parts, SOURCE)
