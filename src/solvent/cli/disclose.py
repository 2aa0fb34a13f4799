"""`solvent disclose`: regulators' forms from a book, its policy, a journal and backtest forecasts."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from solvent.errors import problem, raise_if

if TYPE_CHECKING:
    import polars as pl

    from solvent.engine.margined import Margined

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Regulators' forms: what can be computed is filled, what cannot is named with what it would take.",
)

BookFile = Annotated[Path | None, typer.Option("--book", help="Accounts; with --market and --policy.")]
MarketFile = Annotated[Path | None, typer.Option("--market", help="Prices of the book.")]
PolicyName = Annotated[str, typer.Option("--policy", help="A ready-made policy by name, or a TOML file.")]
JournalStore = Annotated[
    str, typer.Option("--journal", help="A journal in place of a book: SQLite file or postgresql://...")
]
ForecastsFile = Annotated[Path, typer.Option("--forecasts", help="What `solvent backtest --out` writes.")]
Model = Annotated[str, typer.Option("--model", help="Of the forecasts; may be left out where they hold one.")]
Out = Annotated[Path | None, typer.Option("--out", help="File to write; its ending says the format. Else JSON.")]


@app.command("pfmi")
def pfmi_command(
    book: BookFile = None,
    market: MarketFile = None,
    policy: PolicyName = "portfolio",
    journal: JournalStore = "",
    forecasts: Annotated[Path | None, typer.Option("--forecasts", help="What `solvent backtest --out` writes.")] = None,
    model: Model = "",
    out: Out = None,
) -> None:
    """Public quantitative disclosure of a clearing house: resources, haircuts, margin, backtests, concentration.

    Formats: .json, .csv, .html.
    """
    from solvent.reports.disclosure import disclosure
    from solvent.reports.forms import form_csv, form_json, form_page

    kind = ending(out, "json", "csv", "html")
    frame = None if forecasts is None else read_forecasts(forecasts)
    held = position(book, market, policy, journal, needed=frame is None)
    form = disclosure(held, frame, None if frame is None else chosen(frame, model))
    write(out, {"json": form_json, "csv": form_csv, "html": form_page}[kind](form))


@app.command("auth066")
def auth066_command(
    forecasts: ForecastsFile,
    notional: Annotated[float, typer.Option(help="Of every asset and side, in the currency; sizes the exceptions.")],
    model: Model = "",
    currency: Annotated[str, typer.Option(help="Three-letter code.")] = "USD",
    month: Annotated[str, typer.Option(help="YYYY-MM of the message; by default the last month.")] = "",
    out: Out = None,
) -> None:
    """ISO 20022 auth.066: a month's back-test result as the XML message; all months as JSON, CSV or HTML.

    Formats: .xml, .json, .csv, .html.
    """
    from solvent.reports import auth066

    kind = ending(out, "json", "xml", "csv", "html")
    frame = read_forecasts(forecasts)
    name = chosen(frame, model)
    found = auth066.months(frame, name, notional)
    names = [each.month for each in found]
    wanted = month or names[-1]
    raise_if([] if wanted in names else [problem("auth.066", None, "--month", month, f"{names[0]} to {names[-1]}")])
    single = auth066.message(found[names.index(wanted)], currency)
    if kind == "xml":
        write(out, single)
    elif kind == "csv":
        write(out, auth066.months_csv(found))
    elif kind == "html":
        write(out, auth066.months_page(found, name, notional, currency))
    else:
        from solvent.cli.shown import json_text

        write(out, json_text(auth066.as_values(found, name, notional, currency)) + "\n")


@app.command("emir")
def emir_command(
    book: BookFile = None,
    market: MarketFile = None,
    policy: PolicyName = "portfolio",
    journal: JournalStore = "",
    submitter: Annotated[str, typer.Option(help="LEI of who submits.")] = "",
    responsible: Annotated[str, typer.Option(help="LEI of the entity responsible for reporting.")] = "",
    counterparty: Annotated[str, typer.Option(help="LEI of the venue: counterparty 1.")] = "",
    category: Annotated[str, typer.Option(help="Collateralisation by the agreement, such as OWC1.")] = "",
    action: Annotated[str, typer.Option(help="NEWT, MARU, EROR or CORR.")] = "",
    account: Annotated[list[str] | None, typer.Option(help="ACCOUNT=LEI of a counterparty 2; may be repeated.")] = None,
    out: Out = None,
) -> None:
    """EMIR margin data: the 29 fields of a daily report, a row an account.

    Formats: .json, .csv, .html.
    """
    from solvent.reports.emir import Parties, margin_csv, margin_json, margin_page, margin_rows

    kind = ending(out, "json", "csv", "html")
    held = position(book, market, policy, journal, needed=True)
    assert held is not None
    parties = Parties(
        submitter or None, responsible or None, counterparty or None, category or None, action or None,
        named(account or []),
    )  # fmt: skip
    rows = margin_rows(held, parties)
    write(out, {"json": margin_json, "csv": margin_csv, "html": margin_page}[kind](rows))


@app.command("model")
def model_command(
    forecasts: ForecastsFile,
    model: Model = "",
    data: Annotated[
        list[Path] | None, typer.Option(help="Data of the backtest, for its hash; may be repeated.")
    ] = None,
    policy: Annotated[str, typer.Option(help="The policy that uses the model.")] = "",
    journal: Annotated[str, typer.Option(help="Where policies came into effect, for the log of overrides.")] = "",
    out: Out = None,
) -> None:
    """Documentation pack of a margin model: parameters, hashes, tests, live monitoring, procyclicality, overrides.

    Formats: .json, .html.
    """
    from solvent.engine.files import file_sha256, read_policy
    from solvent.engine.margined import policy_changes
    from solvent.ledger.stores import open_journal
    from solvent.reports.model_documentation import Evidence, documentation, documentation_json, documentation_page

    kind = ending(out, "json", "html")
    frame = read_forecasts(forecasts)
    name = chosen(frame, model)
    changes = None
    if journal:
        with closing(open_journal(journal, writer=False)) as held:
            changes = policy_changes(held)
    evidence = Evidence(
        parameters(frame, name),
        {path.name: file_sha256(path) for path in [forecasts, *(data or [])]},
        read_policy(policy) if policy else None,
        changes,
    )
    document = documentation(frame, name, evidence)
    write(out, documentation_page(document, frame) if kind == "html" else documentation_json(document))


def parameters(forecasts: "pl.DataFrame", model: str) -> str | None:
    """The catalogue's model of this name with all its parameters; None for one that is not in it."""
    from solvent.models.catalogue import MODELS

    return repr(MODELS[model](float(forecasts["level"][0]), 1)) if model in MODELS else None


def position(book: Path | None, market: Path | None, policy: str, journal: str, needed: bool) -> "Margined | None":
    """The book or the journal that is asked about; None where neither is given and none is needed.

    Raises SolventError for both, for a book without a market, and where one is needed.
    """
    from solvent.engine.files import read_book, read_market, read_policy
    from solvent.engine.margined import margined, margined_of_journal
    from solvent.ledger.stores import open_journal

    given = [name for name, value in (("--book", book), ("--market", market)) if value is not None]
    if journal and given:
        raise_if([problem("disclose", None, "--journal", journal, f"a journal, or {' and '.join(given)}, not both")])
    if journal:
        with closing(open_journal(journal, writer=False)) as held:
            return margined_of_journal(held)
    if book is not None and market is not None:
        prices = read_market(market)
        return margined(read_book(book, prices.universe, prices).book, prices, read_policy(policy))
    if given or needed:
        raise_if([problem("disclose", None, "--book", " ".join(given) or "none", "--book with --market, or --journal")])
    return None


def read_forecasts(path: Path) -> "pl.DataFrame":
    """A file of forecasts. Raises SolventError with all that is wrong."""
    from solvent.engine.files import read_rows
    from solvent.models.backtests.summary import typed

    return typed(*read_rows(path))


def chosen(forecasts: "pl.DataFrame", model: str) -> str:
    """The model that is asked for, or the only one. Raises SolventError naming those that there are."""
    known = forecasts["model"].unique(maintain_order=True).to_list()
    if model in known or (not model and len(known) == 1):
        return model or str(known[0])
    raise_if([problem("forecasts", None, "--model", model or "none", f"one of {', '.join(map(str, known))}")])
    raise AssertionError("unreachable")


def named(pairs: list[str]) -> dict[str, str]:
    """ACCOUNT=LEI as a mapping. Raises SolventError."""
    wrong = [problem("disclose", None, "--account", each, "ACCOUNT=LEI") for each in pairs if "=" not in each]
    raise_if(wrong)
    return {name: lei for name, _, lei in (each.rpartition("=") for each in pairs)}


def ending(out: Path | None, *kinds: str) -> str:
    """The format that a file's ending asks for; the first of `kinds` without a file. Raises SolventError."""
    kind = kinds[0] if out is None else out.suffix.lower().removeprefix(".")
    accepted = f"an ending of {', '.join('.' + each for each in kinds)}"
    raise_if([] if kind in kinds else [problem("disclose", None, "--out", str(out), accepted)])
    return kind


def write(out: Path | None, text: str) -> None:
    """To the file, or to stdout."""
    from solvent.engine.files import write_bytes

    if out is None:
        typer.echo(text, nl=False)
        return
    write_bytes(out, text.encode("utf-8"))
    typer.echo(f"wrote {out}")
