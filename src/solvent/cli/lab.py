"""`solvent lab`: experiments on whole markets: thresholds by simulation, cascades of a book, contagion of debts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import polars as pl
    from rich.table import Table

    from solvent.lab.congestion import Replay
    from solvent.lab.exposures import Outcome
    from solvent.lab.thresholds import Threshold

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Experiments on whole markets.")

ROWS_SHOWN = 25
FAILURES_MOST = 50
"""So many institutions, those that owe most, are failed in turn."""

AsJson = Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")]
Report = Annotated[Path | None, typer.Option(help="Write an HTML page with plots to this file.")]


@app.command("thresholds")
def thresholds_command(
    data: Annotated[list[Path], typer.Option(help="Candles, daily or finer: CSV, Parquet, ...; may be repeated.")],
    asset: Annotated[list[str], typer.Option(help="Collateral; may be repeated, or separated by commas.")],
    start: Annotated[str, typer.Option("--from", help="First candle's time, UTC; default: all there is.")] = "",
    end: Annotated[str, typer.Option("--to", help="Last candle's time, UTC, included.")] = "",
    bonus: Annotated[float, typer.Option(help="Liquidation bonus, a fraction.")] = 0.05,
    borrows: Annotated[float, typer.Option(help="Borrowed against the asset, USD.")] = 100e6,
    latency: Annotated[float, typer.Option(help="Lag of oracle and keepers, seconds.")] = 600.0,
    capacity: Annotated[float, typer.Option(help="What keepers can repay in an hour, USD.")] = 100e6,
    gas: Annotated[float, typer.Option(help="Cost of a liquidation, USD.")] = 50.0,
    volume: Annotated[float | None, typer.Option(help="Traded a day, USD. Default: the file's median.")] = None,
    liquidity: Annotated[float, typer.Option(help="Part of the volume or reserve that is left under stress.")] = 0.2,
    reserve: Annotated[float | None, typer.Option(help="Sell into a pool x y = k with this reserve, USD.")] = None,
    vol_multiple: Annotated[float, typer.Option(help="Moves of the paths times so much.")] = 2.0,
    paths: Annotated[int, typer.Option(help="Days that are simulated.")] = 4_000,
    seed: Annotated[int, typer.Option(help="Of borrowers and paths.")] = 1,
    as_json: AsJson = False,
    report: Report = None,
) -> None:
    """The largest liquidation threshold whose bad debt stays rare and small, and the loan-to-value below it.

    Draws stressed days from the asset's own history and runs a pool of borrowers, keepers and a market that their
    sales move through them, at every threshold with the same paths: the 95 % tail of a day's bad debt must stay
    below 0.1 % of borrows and the 99 % tail below 1 %. Says what forbids more.
    """
    import msgspec

    from solvent.cli.shown import console, json_text
    from solvent.engine.files import read_candles, write_bytes
    from solvent.engine.sources.windows import time_ns
    from solvent.lab.paths import bars
    from solvent.lab.thresholds import Setting, simulate_threshold

    assets = [each.strip().upper() for text in asset for each in text.split(",") if each.strip()]
    first, last = (time_ns(text, field) if text else None for text, field in ((start, "--from"), (end, "--to")))
    candles = read_candles(data, assets, first, last)
    setting = Setting(
        bonus=bonus,
        borrows_usd=borrows,
        latency_s=latency,
        capacity_usd_hourly=capacity,
        gas_usd=gas,
        volume_usd_daily=volume,
        liquidity_left=liquidity,
        vol_multiple=vol_multiple,
        paths=paths,
        seed=seed,
    )
    if reserve is not None:
        setting = msgspec.structs.replace(setting, impact_law="constant_product", reserve_usd=reserve)
    found = [simulate_threshold(each, bars(candles, each), setting) for each in assets]
    if report is not None:
        from solvent.reports.thresholds import thresholds_page

        first_day, last_day = candles["ts"].dt.strftime("%Y-%m-%d")[[0, -1]]
        span = f"{first_day} to {last_day}"
        label = f"{setting.paths:,} stressed days drawn from {span}, moves times {setting.vol_multiple:g}."
        write_bytes(report, thresholds_page(found, label).encode())
    if as_json:
        rows = [{**_plain(each), "curve": each.curve.to_dicts()} for each in found]
        typer.echo(json_text({"setting": msgspec.structs.asdict(setting), "assets": rows}))
        return
    out = console()
    out.print(thresholds_table(found))
    for each in found:
        for reason in each.reasons:
            out.print(f"{each.asset}: not higher: {reason}", style="dim")
    _wrote(report)


def _plain(found: "Threshold") -> dict[str, Any]:
    names = ("asset", "liquidation_threshold", "loan_to_value", "cushion", "toxic_bound", "latency_bound")
    return {**{name: getattr(found, name) for name in names}, "reasons": list(found.reasons)}


def thresholds_table(found: "Sequence[Threshold]") -> "Table":
    """A line an asset: what was chosen, the bounds, and bad debt at the choice."""
    from solvent.cli.shown import add_numbers, new_table, plain

    table = new_table("asset", title="largest threshold whose bad debt stays rare and small; parts of borrows")
    add_numbers(table, "liquidation\nthreshold", "loan to\nvalue", "cushion", "toxic\nbound", "latency\nbound")
    add_numbers(table, "bad debt\nmean", "95 %\ntail", "99 %\ntail", "up to", "repaid\nmean")
    for each in found:
        at = each.curve.filter((each.curve["liquidation_threshold"] - each.liquidation_threshold).abs() < 1e-6)
        names = ("bad_debt_mean", "bad_debt_95", "bad_debt_99", "bad_debt_99_high", "repaid_mean")
        tails = [f"{at[name][0]:.3%}" if len(at) else "-" for name in names]
        bounds = (each.loan_to_value, each.cushion, each.toxic_bound, each.latency_bound)
        chosen = f"{each.liquidation_threshold:.0%}" if each.liquidation_threshold else "none"
        table.add_row(plain(each.asset), chosen, *(f"{x:.1%}" for x in bounds), *tails)
    return table


@app.command("cascade")
def cascade_command(
    book: Annotated[Path, typer.Option(help="Accounts: CSV, Parquet, Arrow, or JSON of ccxt or Deribit.")],
    market: Annotated[Path, typer.Option(help="Prices: CSV, Parquet, Arrow, or JSON with surfaces.")],
    policy: Annotated[str, typer.Option(help="A ready-made policy by name, or a TOML file.")] = "portfolio",
    asset: Annotated[list[str] | None, typer.Option(help="Whose price moves; may be repeated. Default: each.")] = None,
    closed_share: Annotated[float, typer.Option(help="Part of an account's exposure that liquidation closes.")] = 1.0,
    kappa: Annotated[float | None, typer.Option(help="Return per USD sold. Default: from the market's volume.")] = None,
    volume: Annotated[float, typer.Option(help="Traded a day where the market does not say, USD.")] = 50e6,
    as_json: AsJson = False,
    report: Report = None,
) -> None:
    """What each price sells, how far that moves the price, and how near the point is where it runs away.

    At every price the exposure of the accounts that are liquidated there, q, times the impact of a dollar sold,
    kappa, is the branching ratio R: from R = 1 on each liquidation sets off more than itself. First moves of 5 to
    30 % are followed to their end.
    """
    from solvent.cli.shown import console, json_text, plain
    from solvent.domain.instruments import STABLECOINS
    from solvent.engine.files import read_book, read_market, read_policy, write_bytes
    from solvent.errors import raise_if
    from solvent.lab.cascade import cascade_frame, heat_frame, ladders, market_kappas, options_problems, totals_frame

    raise_if(options_problems(closed_share, kappa, volume))
    prices = read_market(market)
    rows = read_book(book, prices.universe, prices).book
    chosen = read_policy(policy)
    assets = [each.upper() for each in asset or [each for each in prices.universe.assets if each not in STABLECOINS]]
    found = [each for name in assets for each in ladders(rows, prices, chosen, name, closed_share)]
    kappas = market_kappas(prices, assets, volume) if kappa is None else dict.fromkeys(assets, kappa)
    frame, totals = cascade_frame(found, kappas), totals_frame(found, kappas)
    if report is not None:
        from solvent.reports.contagion import cascade_page

        label = f"{len(rows):,} accounts under {chosen.label}."
        write_bytes(report, cascade_page(frame, heat_frame(found, kappas), totals, label).encode())
    held = frame.filter(frame["accounts"] > 0)
    if as_json:
        values = {"policy": chosen.label, "kappa_per_usd": kappas, "bins": held.to_dicts(), "shocks": totals.to_dicts()}
        typer.echo(json_text(values))
        return
    out = console()
    out.print(plain(f"{len(rows):,} accounts under {chosen.label}"), style="bold")
    out.print(totals_table(totals, kappas))
    out.print()
    out.print(bins_table(held))
    _wrote(report)


def totals_table(totals: "pl.DataFrame", kappas: dict[str, float]) -> "Table":
    """A line an asset, side and first move: where it ends."""
    from solvent.cli.shown import add_numbers, new_table, plain, usd

    table = new_table("asset", title="where first moves end once what they liquidate has moved the price too")
    add_numbers(
        table, "kappa\nbp per M USD", "first\nmove", "ends at", "amplified", "liquidated\nUSD", "R = 1\nat", "R most"
    )
    last = ""
    for row in totals.iter_rows(named=True):
        key = f"{row['asset']} {row['direction']}"
        again, last = key == last, key
        table.add_row(
            plain("" if again else row["asset"]),
            "" if again else f"{kappas[row['asset']] * 1e10:,.3g}",
            f"{row['shock']:+.0%}",
            "runs away" if row["total"] is None else f"{row['total']:+.2%}",
            "-" if row["amplification"] is None else f"{row['amplification']:,.3f}",
            usd(row["liquidated_usd"]),
            "" if again else "never" if row["distance"] is None else f"{row['distance']:+.1%}",
            "" if again else f"{row['branching_most']:,.3g}",
        )
    return table


def bins_table(held: "pl.DataFrame") -> "Table":
    """The prices that liquidate most."""
    from solvent.cli.shown import add_numbers, new_table, plain, usd

    shown = held.sort("branching", descending=True).head(ROWS_SHOWN)
    rest = f", the {len(shown)} largest of {len(held)}" if len(held) > len(shown) else ""
    table = new_table("asset", title=f"prices that liquidate, in steps of 1 %{rest}")
    add_numbers(table, "move to", "accounts", "liquidated\nUSD", "R")
    for row in shown.iter_rows(named=True):
        cells = (f"{row['move']:+.1%}", f"{row['accounts']:,}", usd(row["liquidated_usd"]), f"{row['branching']:,.3g}")
        table.add_row(plain(row["asset"]), *cells)
    return table


@app.command("contagion")
def contagion_command(
    exposures: Annotated[Path, typer.Option(help="Debts: columns debtor, creditor, amount in USD.")],
    assets: Annotated[
        Path, typer.Option(help="Columns institution, external_assets and, if any, external_liabilities in USD.")
    ],
    shock: Annotated[
        list[str] | None, typer.Option(help="NAME=0.3: part of its external assets lost; `*` all others; repeatable.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Part of its external assets that a defaulter recovers.")] = 1.0,
    beta: Annotated[float, typer.Option(help="Part of its claims that a defaulter recovers.")] = 1.0,
    as_json: AsJson = False,
    report: Report = None,
) -> None:
    """Who can pay when everyone settles at once, how losses spread before that, and whose failure hurts most.

    Clearing by Eisenberg and Noe (with recoveries below 1: Rogers and Veraart), linear DebtRank, and the spectral
    radius of the leverage matrix, whose alarm is 1.
    """
    from solvent.cli.shown import console, json_text
    from solvent.engine.files import read_rows, write_bytes
    from solvent.lab.exposures import exposures_of, failures, outcome

    (debts, debts_file), (own, own_file) = read_rows(exposures), read_rows(assets)
    held = exposures_of(debts, own, debts_file, own_file)
    found = outcome(held, _shocks(shock or ()), alpha, beta)
    largest = found.frame.sort("obligations_usd", descending=True).head(FAILURES_MOST)["institution"].to_list()
    fragile = failures(held, largest, alpha, beta)
    if report is not None:
        from solvent.reports.contagion import contagion_page

        label = f"{len(held.names):,} institutions; shock: {', '.join(shock) if shock else 'none'}."
        write_bytes(report, contagion_page(found, fragile, label).encode())
    if as_json:
        values = {
            "spectral_radius": found.spectral_radius,
            "alarm": found.spectral_radius >= 1,
            "institutions": found.frame.to_dicts(),
            "failures": fragile.to_dicts(),
        }
        typer.echo(json_text(values))
        return
    out = console()
    alarm = ", alarm: small losses grow by themselves" if found.spectral_radius >= 1 else ""
    out.print(f"spectral radius of the leverage matrix {found.spectral_radius:,.3f}{alarm}", style="bold")
    out.print(institutions_table(found))
    out.print()
    out.print(failures_table(fragile))
    _wrote(report)


def _shocks(texts: Sequence[str]) -> dict[str, float]:
    """NAME=PART of each. Raises SolventError with all that are neither."""
    from solvent.errors import Problem, problem, raise_if

    found: dict[str, float] = {}
    faults: list[Problem] = []
    for text in texts:
        name, _, part = text.rpartition("=")
        try:
            found[name.strip()] = float(part)
        except ValueError:
            faults.append(problem("argument", None, "shock", text, "NAME=PART with a part from 0 to 1"))
    raise_if(faults)
    return found


def institutions_table(found: "Outcome") -> "Table":
    """A line an institution, those that lose most first."""
    from solvent.cli.shown import add_numbers, new_table, plain, usd

    shown = found.frame.sort("debtrank", "obligations_usd", descending=True).head(ROWS_SHOWN)
    rest = f", {len(shown)} of {len(found.frame):,}" if len(found.frame) > len(shown) else ""
    table = new_table("institution", title=f"after the shock{rest}; USD")
    add_numbers(table, "owes", "equity", "pays", "paid")
    table.add_column("")
    add_numbers(table, "equity\nafter", "DebtRank")
    for row in shown.iter_rows(named=True):
        table.add_row(
            plain(row["institution"]),
            *(usd(row[name]) for name in ("obligations_usd", "equity_usd", "payment_usd")),
            f"{row['paid']:.1%}",
            "defaults" if row["defaulted"] else "",
            usd(row["equity_after_usd"]),
            f"{row['debtrank']:.1%}",
        )
    return table


def failures_table(fragile: "pl.DataFrame") -> "Table":
    """A line an institution that fails alone, the most harmful first."""
    from solvent.cli.shown import add_numbers, new_table, plain, usd

    table = new_table("institution", title="each failing alone: what it does to the others")
    add_numbers(table, "owes\nUSD", "further\ndefaults", "unpaid\nUSD", "equity\nlost")
    for name, owes, defaults, unpaid, part in fragile.head(ROWS_SHOWN).iter_rows():
        table.add_row(plain(name), usd(owes), f"{defaults:,}", usd(unpaid), f"{part:.1%}")
    return table


@app.command("congestion")
def congestion_command(
    gas: Annotated[Path, typer.Option(help="Gas prices: ts and gas_price_p30_gwei, _p60_, _p90_, one row a bin.")],
    auctions: Annotated[
        Path, typer.Option(help="last_bid_ts, lot_eth, best_price_dai_per_eth, market_price_eth_usd, a row an auction.")
    ],
    day: Annotated[str, typer.Option(help="The day to replay.")] = "2020-03-12",
    cap: Annotated[
        list[str] | None,
        typer.Option(help="HOUR:GWEI that keepers pay from an hour on; repeat it.", show_default=False),
    ] = None,
    keepers: Annotated[int, typer.Option(min=1, max=16, help="Bidders with that cap.")] = 3,
    as_json: AsJson = False,
    report: Report = None,
) -> None:
    """A recorded day's auctions at its gas prices: as English auctions, and as ours, with the same capped keepers.

    Blocks are filled by price from a pool in which the keepers' bids wait behind dearer ones; bidders who wait for
    nothing have no cap. Counts who wins for nothing in each, beside the record.
    """
    import msgspec
    import polars as pl

    from solvent.cli.shown import console, json_text
    from solvent.engine.files import read_rows, write_bytes
    from solvent.lab.congestion import Setting, replay
    from solvent.reports.congestion import congestion_page, figures

    prices, lots = read_rows(gas)[0], read_rows(auctions)[0]
    if "ts" in prices.columns:
        prices = prices.filter(pl.col("ts").dt.strftime("%Y-%m-%d") == day)
    setting = Setting(keepers=keepers)
    if cap:
        setting = msgspec.structs.replace(setting, caps=_caps(cap))
    found = replay(prices, lots, setting)
    if report is not None:
        write_bytes(report, congestion_page(found, f"{day}, {len(found.english.start_s):,} auctions.").encode())
    if as_json:
        values = {"day": day, "setting": msgspec.to_builtins(setting), "hours": found.hours.to_dicts()}
        typer.echo(json_text(values | {"totals": figures(found)}))
        return
    out = console()
    out.print(congestion_table(found))
    for name, text in figures(found).items():
        out.print(f"{name}: {text}", highlight=False)
    _wrote(report)


def _caps(texts: Sequence[str]) -> tuple[tuple[int, float], ...]:
    """HOUR:GWEI of each, from hour 0 on. Raises SolventError with all that are neither."""
    from solvent.errors import Problem, problem, raise_if

    found: dict[int, float] = {}
    faults: list[Problem] = []
    for text in texts:
        hour, _, gwei = text.partition(":")
        try:
            found[int(hour)] = float(gwei)
            is_good = 0 <= int(hour) <= 23 and float(gwei) > 0
        except ValueError:
            is_good = False
        if not is_good:
            faults.append(problem("argument", None, "cap", text, "HOUR:GWEI with an hour from 0 to 23"))
    if not faults and 0 not in found:
        faults.append(problem("argument", None, "cap", ", ".join(texts), "one from hour 0 on, such as 0:101"))
    raise_if(faults)
    return tuple(sorted(found.items()))


def congestion_table(found: "Replay") -> "Table":
    """A line an hour: gas, auctions, and who won for nothing."""
    from solvent.cli.shown import add_numbers, new_table

    table = new_table("hour", title="won for nothing")
    add_numbers(table, "gas price\ngwei", "auctions", "recorded", "English", "ours", "English\npaid", "ours\npaid")
    for row in found.hours.iter_rows(named=True):
        table.add_row(
            f"{row['hour']:02d}:00",
            f"{row['gas_price_p30_gwei']:.0f}",
            *(f"{row[name]:,}" for name in ("auctions", "recorded", "english", "dutch")),
            *(f"{row[name]:.1%}" for name in ("english_paid_share", "dutch_paid_share")),
        )
    return table


def _wrote(report: Path | None) -> None:
    if report is not None:
        typer.echo(f"\nwrote {report}")
