"""Regulators' forms: figures by hand, the message's grammar, nothing invented, nothing a spreadsheet would run."""

import csv
import io
import json
import math
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
from tests.reports.forecasts import forecasts

from solvent.engine.files import read_book, read_market, read_policy
from solvent.engine.margined import Margined, PolicyChange, margined
from solvent.errors import SolventError
from solvent.models.backtests.summary import summarise
from solvent.reports import auth066, emir
from solvent.reports.disclosure import disclosure, haircut_tests, stress_losses
from solvent.reports.forms import Form, Item, form_csv, form_json, form_page
from solvent.reports.model_documentation import Evidence, digest, documentation, documentation_json, documentation_page

EXAMPLES = Path(__file__).parents[2] / "examples"
TAG = f"{{{auth066.NAMESPACE}}}"
LEI = "529900T8BM49AURSDO55"


@pytest.fixture(scope="module")
def held() -> Margined:
    market = read_market(EXAMPLES / "market-spot-perp.csv")
    book = read_book(EXAMPLES / "book-spot-perp.csv", market.universe, market).book
    return margined(book, market, read_policy("portfolio"))


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return forecasts()


def of(form: Form) -> dict[str, Item]:
    return {item.number: item for item in form.items}


# auth.066


def test_a_months_result_by_hand() -> None:
    rows = forecasts(31).filter((pl.col("model") == "right") & (pl.col("side") == "long"))
    loss = [0.2, 0.3, *[0.0] * 29]
    january = rows.with_columns(margin=pl.lit(0.1), loss=pl.Series(loss))
    (month,) = auth066.months(january, "right", 1000.0)
    sizes = [1000 * (math.exp(-0.1) - math.exp(-x)) for x in (0.2, 0.3)]
    assert (month.month, month.NumberOfObservations, month.NumberOfExceptions) == ("2021-01", 31, 2)
    assert month.Coverage == pytest.approx(29 / 31)
    assert month.LargestException == pytest.approx(max(sizes))
    assert month.AverageException == pytest.approx(sum(sizes) / 2)
    assert month.LargestExceptionIdentification == "BTC long 2021-01-02T00:00Z"


def test_a_short_loses_more_than_its_logarithm() -> None:
    rows = forecasts(31).filter((pl.col("model") == "right") & (pl.col("side") == "short"))
    (month,) = auth066.months(rows.with_columns(margin=pl.lit(0.1), loss=pl.lit(0.3)), "right", 1000.0)
    assert month.LargestException == pytest.approx(1000 * (math.exp(0.3) - math.exp(0.1)))


def test_months_add_up_to_the_whole(frame: pl.DataFrame) -> None:
    found = auth066.months(frame, "low", 1e6)
    whole = summarise(frame).filter(pl.col("model") == "low")
    assert sum(each.NumberOfObservations for each in found) == whole["observations"].sum()
    assert sum(each.NumberOfExceptions for each in found) == whole["exceptions"].sum()
    assert [each.month for each in found] == sorted({f"{each:%Y-%m}" for each in frame["ts"]})


def test_the_message_has_the_elements_of_its_definition_in_order(frame: pl.DataFrame) -> None:
    month = next(each for each in auth066.months(frame, "low", 1e6) if each.NumberOfExceptions)
    root = ElementTree.fromstring(auth066.message(month, "USD"))
    result = root.find(f"{TAG}CCPBckTstgRsltRpt/{TAG}MnthlyRslt")
    assert root.tag == f"{TAG}Document"
    assert result is not None
    names = ["NbOfObsrvtns", "NbOfXcptns", "Cvrg", "LrgstXcptn", "AvrgXcptn", "LrgstXcptnId"]
    assert [each.tag.removeprefix(TAG) for each in result] == names
    assert [each.tag.removeprefix(TAG) for each in result[5]] == ["Id", "Issr", "SchmeNm"]
    for amount in result[3:5]:
        assert amount.get("Ccy") == "USD"
        assert -Decimal(amount.text or "").as_tuple().exponent <= 5
    assert 0 <= Decimal(result[2].text or "") <= 1
    assert -Decimal(result[2].text or "").as_tuple().exponent <= 11


def test_a_month_without_exceptions_names_none(frame: pl.DataFrame) -> None:
    calm = frame.with_columns(margin=pl.lit(9.0))
    month = auth066.months(calm, "right", 1e6)[0]
    root = ElementTree.fromstring(auth066.message(month, "USD"))
    assert (month.Coverage, month.LargestException, month.AverageException) == (1.0, 0.0, 0.0)
    assert root.find(f".//{TAG}Cvrg").text == "1"  # type: ignore[union-attr]
    assert root.find(f".//{TAG}LrgstXcptnId") is None


def test_no_report_without_a_size_a_model_or_a_currency(frame: pl.DataFrame) -> None:
    for model, notional in (("right", 0.0), ("right", math.nan), ("absent", 1.0)):
        with pytest.raises(SolventError):
            auth066.months(frame, model, notional)
    with pytest.raises(SolventError):
        auth066.message(auth066.months(frame, "right", 1.0)[0], "usd")


def test_names_in_the_message_are_text() -> None:
    rows = forecasts(31).with_columns(asset=pl.lit("<A&B>"), loss=pl.lit(0.9))
    root = ElementTree.fromstring(auth066.message(auth066.months(rows, "right", 1.0)[0], "USD"))
    assert "<A&B>" in (root.find(f".//{TAG}Id").text or "")  # type: ignore[union-attr]


# PFMI


def test_margin_and_collateral_are_the_statements(held: Margined) -> None:
    items = of(disclosure(held, None, None))
    statement = held.answer.statement
    assert items["6.1.1"].value == pytest.approx(statement.initial_margin.sum())
    assert items["6.2.15"].value == pytest.approx(statement.collateral_value.sum())
    bitcoin, coins = held.market.universe.index("BTC"), 0.0
    for account in range(len(held.book)):
        instruments, lots, _ = held.book.row(account)
        coins += lots[(instruments == bitcoin) & (lots > 0)].sum() * held.market.universe.terms.lot_coins[bitcoin]
    by_asset = {row["asset"]: row["usd"] for row in items["6.2"].value}
    assert by_asset["BTC"] == pytest.approx(coins * held.market.price[bitcoin])


def test_backtest_items_are_those_of_the_last_year(frame: pl.DataFrame) -> None:
    items = of(disclosure(None, frame, "low"))
    mine = frame.filter((pl.col("model") == "low") & (pl.col("ts") > frame["ts"].max() - pl.duration(days=365)))
    beyond = (mine["loss"] - mine["margin"]).filter(mine["loss"] > mine["margin"])
    assert items["6.5.2"].value == len(mine) == 730
    assert items["6.5.1"].value == len(beyond)
    assert items["6.5.3"].value == pytest.approx(1 - len(beyond) / 730)
    assert items["6.5.4"].value == pytest.approx(beyond.max())
    assert items["6.5.5"].value == pytest.approx(beyond.mean())


def test_what_is_not_given_is_not_known_and_says_why(held: Margined, frame: pl.DataFrame) -> None:
    for form in (disclosure(held, None, None), disclosure(None, frame, "right"), disclosure(None, None, None)):
        for item in form.items:
            assert (item.value is None) == item.note.startswith("not known: ")
            assert not item.verified
    numbers = {tuple(of(form)) for form in (disclosure(held, frame, "right"),)}
    assert all(len(each) == len(set(each)) for each in numbers)
    assert disclosure(None, None, None).known == 0


def test_stress_losses_are_what_owners_lack(held: Margined) -> None:
    losses = stress_losses(held, -0.5)
    items = of(disclosure(held, None, None, stresses=(-0.5,)))
    assert len(losses) == len(set(held.book.owners))
    assert items["4.4.3"].value == pytest.approx(losses.max())
    assert items["4.4.7"].value == pytest.approx(np.sort(losses)[-2:].sum())
    assert stress_losses(held, 0.0).sum() <= losses.sum()


def test_haircuts_are_held_against_falls_unless_scenarios_charge_them(frame: pl.DataFrame) -> None:
    rows = frame.filter(pl.col("model") == "right")
    terms = {"BTC": {"haircut_maintenance": 0.05}, "ETH": {"haircut_maintenance": 0.05}}
    (found,) = haircut_tests(terms, rows)
    falls = 1 - np.exp(-rows.filter(pl.col("side") == "long")["loss"].to_numpy())
    assert found == {"asset": "BTC", "haircut": 0.05, "observations": 700, "exceeded": int((falls > 0.05).sum())}
    assert haircut_tests({"BTC": {"scanned": True, "haircut_maintenance": 0.02}}, rows) == []


def test_a_fund_and_changes_of_a_journal_stand_in_the_form(held: Margined) -> None:
    import msgspec

    with_fund = msgspec.structs.replace(held, insurance_usd=5e6, changes=(PolicyChange(0, "p@1", "somebody"),))
    items = of(disclosure(with_fund, None, None))
    assert items["4.1.4"].value == 5e6
    assert items["4.4.3"].note.endswith("the fund covers it")
    assert items["6.4.2"].value == [{"at": "1970-01-01T00:00:00Z", "policy": "p@1", "by": "somebody"}]


def test_a_model_must_be_named_where_there_are_several(frame: pl.DataFrame) -> None:
    with pytest.raises(SolventError):
        disclosure(None, frame, None)
    assert of(disclosure(None, frame.filter(pl.col("model") == "low"), None))["6.4.3"].value == "low"


# What forms look like


def test_forms_come_as_json_csv_and_page(held: Margined, frame: pl.DataFrame) -> None:
    form = disclosure(held, frame, "right")
    document = json.loads(form_json(form))
    assert document["items_known"] == form.known == sum(each["value"] is not None for each in document["items"])
    rows = list(csv.DictReader(io.StringIO(form_csv(form))))
    assert [row["item"] for row in rows] == [item.number for item in form.items]
    assert all((row["value"] == "") == (item.value is None) for row, item in zip(rows, form.items, strict=True))
    html = form_page(form)
    assert "5.1.1" in html
    assert "<h2>Default resources</h2>" in html


def test_a_spreadsheet_runs_nothing_and_a_page_shows_names_as_text() -> None:
    form = Form("f", "t", "s", "p", (Item("1", "=cmd()", "@x", "", "<b>n</b>"), Item("2", "loss", "-0.5")))
    text = form_csv(form)
    assert "'=cmd()" in text
    assert "'@x" in text
    assert ",-0.5," in text
    assert "<b>n</b>" not in form_page(form)


# EMIR


def test_margin_rows_have_all_fields_and_add_up(held: Margined) -> None:
    rows = emir.margin_rows(held)
    assert len(emir.FIELDS) == 29
    assert [list(row) for row in rows] == [list(emir.FIELDS)] * len(held.book)
    before = sum(held.held_usd.values())
    for place, row in enumerate(rows):
        margin, after, excess = row[emir.FIELDS[19]], row[emir.FIELDS[20]], row[emir.FIELDS[25]]
        assert margin + excess == pytest.approx(before[place], abs=1e-4)
        assert after <= margin + 1e-4
        assert after <= held.answer.statement.initial_margin[place] + 1e-4
        assert row["Event date"] == "2024-06-01"


def test_what_a_book_does_not_know_is_empty_unless_given(held: Margined) -> None:
    bare = emir.margin_rows(held)[0]
    assert [bare[emir.FIELDS[i]] for i in (0, 1, 2, 3, 5, 10, 27)] == [None] * 7
    parties = emir.Parties(LEI, LEI, LEI, "OWC1", "MARU", {held.book.names[0]: LEI})
    full = emir.margin_rows(held, parties)[0]
    assert [full[emir.FIELDS[i]] for i in (1, 2, 3, 5, 10, 27)] == [LEI, LEI, LEI, LEI, "OWC1", "MARU"]
    assert full["Counterparty 2 identifier type"] is True


def test_wrong_codes_are_listed_together(held: Margined) -> None:
    wrong = emir.Parties("nobody", None, LEI[:-1] + "6", "HALF", "DROP", {"absent": LEI})
    with pytest.raises(SolventError) as caught:
        emir.margin_rows(held, wrong)
    assert {each.field for each in caught.value.problems} == {
        "submitter",
        "counterparty",
        "category",
        "action",
        "account",
    }


def test_an_lei_has_check_digits() -> None:
    assert emir.is_lei(LEI)
    assert emir.is_lei("5493001KJTIIGC8Y1R12")
    assert not emir.is_lei(LEI.replace("T8", "8T"))
    assert not emir.is_lei(LEI.lower())


def test_margin_data_as_csv_json_and_page(held: Margined) -> None:
    rows = emir.margin_rows(held)
    read = list(csv.DictReader(io.StringIO(emir.margin_csv(rows))))
    assert [each["Collateral portfolio code"] for each in read] == held.book.names
    document = json.loads(emir.margin_json(rows))
    assert [each["number"] for each in document["fields"]] == [f"3.{i}" for i in range(1, 30)]
    assert "Fields without a value" in emir.margin_page(rows)


# Model documentation


def test_the_pack_holds_hashes_tests_and_verdicts(frame: pl.DataFrame) -> None:
    evidence = Evidence("Model(a=1)", {"data.csv": "00ff"}, read_policy("portfolio"), (PolicyChange(0, "p@1", ""),))
    right, low = (documentation(frame, model, evidence) for model in ("right", "low"))
    assert right["parameters_sha256"] == digest("Model(a=1)") != digest("Model(a=2)")
    assert right["policy"]["digest"] == read_policy("portfolio").digest().hex()
    assert right["overrides"] == [{"at": "1970-01-01T00:00:00Z", "policy": "p@1", "by": ""}]
    assert right["tests"] == summarise(frame.filter(pl.col("model") == "right")).to_dicts()
    assert all(each["kupiec_passes"] and each["e_process_passes"] for each in right["verdicts"])
    assert not any(each["kupiec_passes"] or each["e_process_passes"] for each in low["verdicts"])
    assert json.loads(documentation_json(right))["data_sha256"] == {"data.csv": "00ff"}


def test_a_pack_without_evidence_says_what_is_missing(frame: pl.DataFrame) -> None:
    document = documentation(frame, "right", Evidence())
    assert len(document["not_known"]) == 3
    html = documentation_page(document, frame)
    assert "Not known: overrides" in html
    with pytest.raises(SolventError):
        documentation(frame, "absent", Evidence())
