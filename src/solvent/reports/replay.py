"""The page of a replay: its figures, what happened when, who bore the losses, and what the words mean."""

from typing import TYPE_CHECKING

from solvent.domain.instruments import STABLECOINS
from solvent.engine.replay import Run
from solvent.engine.summary import Summary
from solvent.engine.sweep import Sweep
from solvent.reports import figures as draw
from solvent.reports.page import page, plot, prose, section, table, terms, tiles

if TYPE_CHECKING:
    import polars as pl

ACCOUNTS_SHOWN = 20
ASSETS_SHOWN = 12
MEANINGS = {
    "shortfall": "What accounts owed beyond what they owned when they were closed.",
    "insurance": "The fund that pays a shortfall first; it is fed by its share of penalties.",
    "deleveraging": "Closing winners of the opposite side at the bankrupt account's price, when the fund is spent.",
    "shared by others": "What remains: a debt is borne by its pool's lenders, a loss by those with unsettled profit.",
    "bad debt": "What nobody could bear. It is nothing unless pool and winners are empty too.",
    "health": "Equity over maintenance margin: below 1 an account is liquidated.",
    "partial liquidation": "Closing the least that restores health 1.15, against the outside market at a worse price.",
    "auction": "A whole slice of an account on offer at a falling price, where partial steps would not do.",
    "initial margin to notional": "What an account must have to open a position: what leverage costs.",
    "conserved": "Every atom of every asset is accounted for: all balances, positions and quote legs sum to zero.",
    "state hash": "Of everything that the ledger knows at the end: the same run gives the same hash on every machine.",
}


def replay_page(run: Run, sweep: Sweep | None = None) -> str:
    """A whole HTML document; it needs nothing else."""
    summary = run.summary
    lead = f"{run.start} to {run.end} UTC. {run.book}. Policy {run.policy.label} of {run.policy.as_of}."
    parts = [tiles(headline(summary)), *[prose(note, "note") for note in run.notes]]
    if len(run.ticks):
        parts += _plots(run)
    parts.append(_losses(summary))
    if sweep is not None:
        parts.append(_swept(sweep))
    parts += [_accounts(run.tape), section("What the words mean", terms(MEANINGS))]
    footer = f"State hash {summary.state_hash}. Made by Solvent from recorded prices; a model, not a forecast."
    assets = ", ".join(each for each in main_asset(run.ticks, run.tape) if each not in STABLECOINS)
    return page(f"Replay of {assets}" if assets else "Replay", lead, parts, footer)


def headline(summary: Summary) -> dict[str, str]:
    """The figures that matter first."""
    usd = draw.short_usd
    return {
        "accounts": f"{summary.accounts:,}",
        "accounts liquidated": f"{summary.accounts_liquidated:,}",
        "notional liquidated, USD": usd(summary.liquidated_notional_usd),
        "shortfall, USD": usd(summary.shortfall_usd),
        "paid by insurance, USD": usd(summary.insurance_used_usd),
        "shared by others, USD": usd(summary.socialised_loss_usd + summary.deleveraged_loss_usd),
        "bad debt, USD": usd(summary.bad_debt_usd),
        "initial margin to notional": f"{summary.initial_margin_to_notional:.1%}",
        "conserved": "yes" if summary.conserved else "NO",
        "state hash": summary.state_hash[:8],
    }


def main_asset(ticks: "pl.DataFrame", tape: "pl.DataFrame") -> list[str]:
    """Assets with a price, those first in whose instruments most was liquidated."""
    priced = [name.removeprefix("price_") for name in ticks.columns if name.startswith("price_")]
    usd = {asset: float(draw.of_asset(tape, asset)["usd"].sum()) for asset in priced}
    return sorted(priced, key=lambda asset: (asset in STABLECOINS, -usd[asset]))


def _plots(run: Run) -> list[str]:
    assets = main_asset(run.ticks, run.tape)
    shown = [each for each in assets if each not in STABLECOINS or run.ticks[f"price_{each}"].n_unique() > 1]
    return [
        section(
            "What happened",
            prose(
                f"The price of {assets[0]} with what was liquidated at it in all instruments (area by USD), accounts "
                "by health at each mark, and the insurance fund."
            ),
            plot(draw.overview(run.ticks, run.tape, assets[0]), "overview", 860),
        ),
        section(
            "By asset",
            plot(draw.prices(run.ticks, run.tape, shown[:ASSETS_SHOWN]), "prices", 90 + 290 * -(-len(shown) // 2)),
        ),
        section("Liquidated over time", plot(draw.liquidated(run.ticks, run.tape), "liquidated", 340)),
        section(
            "Margin: its cost and its cover",
            prose(
                "Above, what margin asks for: initial margin over the notional it stands behind. Below, where it did "
                "not suffice: accounts whose equity was below zero before anybody could close them."
            ),
            plot(draw.coverage(run.ticks), "coverage", 460),
        ),
    ]


def _losses(summary: Summary) -> str:
    if not summary.shortfall_usd:
        return section("Who bore the losses", prose("Nobody: no account owed more than it owned."))
    text = "Shortfall = insurance + deleveraging + shared + bad debt - surplus, account by account, to the atom."
    return section("Who bore the losses", prose(text), plot(draw.waterfall(summary), "losses", 400))


def _swept(sweep: Sweep) -> str:
    columns = {
        "accounts_liquidated": "accounts liquidated",
        "liquidated_notional_usd": "notional, USD",
        "shortfall_usd": "shortfall, USD",
        "insurance_used_usd": "insurance, USD",
        "deleveraged_loss_usd": "deleveraging, USD",
        "socialised_loss_usd": "shared, USD",
        "uncovered_accounts_peak": "most below zero",
    }
    rows = [
        [
            f"{row['value']:.4g}",
            f"{row['initial_margin_to_notional']:.1%}",
            *(f"{row[name]:,.0f}" for name in columns),
        ]
        for row in sweep.frame.to_dicts()
    ]
    words = [sweep.parameter, "initial margin", *columns.values()]
    return section(
        "Capital efficiency against insolvency",
        prose(
            f"The same book under {len(rows)} values of {sweep.parameter}: less margin frees capital and leaves more "
            "accounts to fall below zero before they can be closed. The book does not follow the margin."
        ),
        plot(draw.frontier(sweep.frame, sweep.parameter), "frontier", 430),
        table(words, rows, right=range(len(words))),
    )


def _accounts(tape: "pl.DataFrame") -> str:
    """The accounts in which most was liquidated."""
    import polars as pl

    def of(kind: str, column: str) -> pl.Expr:
        return pl.when(pl.col("kind") == kind).then(pl.col(column)).otherwise(0.0).sum()

    closing = pl.col("kind").is_in(["liquidation", "auction"])
    rows = (
        tape.group_by("account")
        .agg(
            steps=closing.sum(),
            first=pl.col("ts_ns").min(),
            notional=pl.when(closing).then(pl.col("usd")).otherwise(0.0).sum(),
            penalty=of("liquidation", "paid_usd"),
            shortfall=of("insurance", "usd"),
            insured=of("insurance", "paid_usd"),
        )
        .sort(["notional", "account"], descending=[True, False])
        .head(ACCOUNTS_SHOWN)
    )
    if not len(rows):
        return section("Accounts liquidated most", prose("No account was liquidated."))
    when = pl.from_epoch(rows["first"], "ns").dt.strftime("%Y-%m-%d %H:%M").to_list()
    cells = [
        [
            row["account"],
            row["steps"],
            time,
            *(f"{row[n]:,.0f}" for n in ("notional", "penalty", "shortfall", "insured")),
        ]
        for row, time in zip(rows.to_dicts(), when, strict=True)
    ]
    columns = ("account", "steps", "first", "notional, USD", "penalties, USD", "shortfall, USD", "insured, USD")
    return section("Accounts liquidated most", table(columns, cells, right=(1, 3, 4, 5, 6)))
