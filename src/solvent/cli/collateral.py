"""`solvent collateral`: what may be collateral on a day, for how much, up to what size, and why."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from solvent.engine.collateral import Assessed
    from solvent.models.collateral.assess import Assessment

WIDE = 110
"""Terminal columns from which the reasons stand in the table."""
STEPPING = 0.01
"""From so far off its target on, a haircut is said to be on its way."""


def collateral_command(
    data: Annotated[list[Path], typer.Option(help="Candles: CSV, Parquet, Arrow; may be repeated, volumes compared.")],
    assets: Annotated[str, typer.Option(help="Assets, separated by commas; all of the files by default.")] = "",
    facts: Annotated[Path | None, typer.Option(help="TOML with facts of assets, over those that come with it.")] = None,
    at: Annotated[str, typer.Option(help="Assess as this day began (YYYY-MM-DD): only days before it count.")] = "",
    rules: Annotated[Path | None, typer.Option(help="TOML with eligibility rules instead of the default ones.")] = None,
    own_token: Annotated[str, typer.Option(help="The venue's own token: it and its issuer's others are refused.")] = "",
    funding: Annotated[
        list[Path] | None, typer.Option(help="Funding rates: unusual ones are a sign of stress.")
    ] = None,
    explain: Annotated[
        list[str] | None, typer.Option(help="Every rule, mark and part of this asset; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write a policy with these terms (.toml).")] = None,
) -> None:
    """Which assets may be collateral, and on what terms.

    Shows for each asset whether it counts and the rule that decided, its haircut and weight, size tiers, cap,
    loan-to-value and liquidation threshold, and its liquidity tier. Only what was known when the day began is
    used, so that a past day can be asked for.
    """
    from solvent.cli.shown import console, json_text
    from solvent.engine.collateral import assess_files, collateral_policy, read_facts, read_rules
    from solvent.engine.files import write_bytes

    wanted = [each.strip() for each in assets.split(",") if each.strip()] or None
    own = own_token.strip().upper()
    assessed = assess_files(data, wanted, day_of(at), read_facts(facts), read_rules(rules), own, funding or ())
    explained = [_one(assessed, name) for name in explain or ()]
    if out is not None:
        source = f"solvent collateral of {', '.join(path.name for path in data)}, days before {assessed.day}"
        write_bytes(out, collateral_policy(assessed, source).encode())
    if as_json:
        typer.echo(json_text(as_values(assessed)))
        return
    screen = console()
    for part in parts(assessed, explained, screen.width >= WIDE):
        screen.print(part)
    if out is not None:
        typer.echo(f"\nwrote {out}")


def day_of(text: str) -> date | None:
    """A day as people type it; None for nothing. Raises SolventError."""
    from solvent.errors import SolventError, problem

    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise SolventError(problem("command", None, "--at", text, "a day as 2024-12-31")) from None


def _one(assessed: "Assessed", name: str) -> "Assessment":
    """The assessment of an asset by name. Raises SolventError naming those that there are."""
    from solvent.errors import SolventError, problem

    found = {each.asset: each for each in assessed.assessments}
    asset = name.strip().upper()
    if asset not in found:
        raise SolventError(problem("command", None, "--explain", name, f"one of {', '.join(found)}"))
    return found[asset]


def parts(assessed: "Assessed", explained: "list[Assessment]", wide: bool = True) -> list[Any]:
    """What the terminal shows: all assets, or everything of those that are to be explained."""
    from rich.text import Text

    from solvent.cli.shown import plain

    if explained:
        return [part for each in explained for part in explanation(each)]
    counted = sum(each.eligible for each in assessed.assessments)
    title = f"collateral as {assessed.day} began: {counted} of {len(assessed.assessments)} assets count"
    found: list[Any] = [Text(title, "bold"), Text(), assets_table(assessed, wide)]
    for asset, fault in assessed.unread.items():
        found.append(Text.assemble(("not read ", "bold"), plain(f"{asset}: {fault}")))
    if assessed.assessments:
        found += [Text(), Text(f"--explain {assessed.assessments[0].asset} shows every rule and part of it", "dim")]
    return found


def assets_table(assessed: "Assessed", wide: bool) -> "Table":
    """A line an asset: those that count first, the largest caps first."""
    from solvent.cli.shown import add_numbers, new_table, plain

    table = new_table("asset", "counts")
    add_numbers(table, "haircut", "weight", "tiers", "cap USD", "LTV", "LT", "liquidity", "mark")
    if wide:
        table.add_column("why", overflow="fold")
    for each in sorted(assessed.assessments, key=lambda x: (not x.eligible, -x.cap.usd, x.asset)):
        cells: list[Any] = [plain(each.asset), counts(each), *(plain(text) for text in figures(each))]
        table.add_row(*cells, *([plain(why(each))] if wide else []), style="" if each.eligible else "dim")
    return table


def counts(each: "Assessment") -> "Text":
    """Yes, or the rule that refused it."""
    from rich.text import Text

    from solvent.cli.printable import printable

    return Text("yes", "green") if each.eligible else Text(f"no: {printable(each.eligibility.rule)}", "yellow")


def figures(each: "Assessment") -> list[str]:
    """The figures of a line; dashes where an asset does not count, but for what is known of its market."""
    liquidity = [f"tier {each.liquidity.tier}", f"{each.mark:.0f}"]
    if not each.eligible:
        return ["100.0%", "0.000", "-", "0", "-", "-", *liquidity]
    added = "/".join(f"+{add * 100:.1f}" for add in each.tiers.add) or "-"
    loan = each.loan
    rates = [f"{loan.loan_to_value:.1%}", f"{loan.liquidation_threshold:.1%}"]
    return [f"{each.haircut:.1%}", f"{each.weight:.3f}", added, f"{each.cap.usd:,.0f}", *rates, *liquidity]


def why(each: "Assessment") -> str:
    """What set the haircut and the cap, or why it does not count."""
    if not each.eligible:
        return each.eligibility.reason
    stress = f"; stress x {each.multiplier:g}: {', '.join(each.signals)}" if each.signals else ""
    moving = f"; stepping to {each.target:.1%}" if abs(each.haircut - each.target) >= STEPPING else ""
    return f"{_largest(each)}{stress}{moving}; cap: {each.cap.reason}"


def _largest(each: "Assessment") -> str:
    """The part of the haircut that is largest."""
    part = max(each.parts, key=lambda x: x.fraction)
    return f"{part.name} {part.fraction:.1%}"


def explanation(each: "Assessment") -> list[Any]:
    """Every rule, mark and part of one asset."""
    from rich.text import Text

    from solvent.cli.shown import plain

    title = f"{each.asset} as {each.day} began: {'counts' if each.eligible else 'does not count'}"
    found: list[Any] = [Text(title, "bold"), plain(each.eligibility.reason), Text(), rules_table(each), Text()]
    found += [marks_table(each), Text(), parts_table(each), Text()]
    return [*found, *(Text.assemble((f"{name:<22}", "bold"), plain(text)) for name, text in lines(each)), Text()]


def rules_table(each: "Assessment") -> "Table":
    """Every rule with its verdict and what decided it."""
    from solvent.cli.shown import new_table, plain

    table = new_table("rule", "holds", "by")
    for rule, verdict in each.eligibility.checks:
        answer = {True: "yes", False: "no", None: "unknown"}[verdict.holds]
        style = "" if verdict.holds else "yellow"
        table.add_row(plain(rule.name), answer, plain("; ".join(verdict.reasons)), style=style)
    return table


def marks_table(each: "Assessment") -> "Table":
    """The scorecard."""
    from solvent.cli.shown import add_numbers, new_table, plain

    table = new_table("subject")
    add_numbers(table, "mark", "weight")
    table.add_column("for")
    for mark in each.marks:
        table.add_row(mark.subject, f"{mark.mark:.0f}", str(mark.weight), plain(mark.reason))
    table.add_row("overall", f"{each.mark:.0f}", "", "of 100", style="bold")
    return table


def parts_table(each: "Assessment") -> "Table":
    """What the haircut is made of, and what is in force."""
    from solvent.cli.shown import add_numbers, new_table, plain

    table = new_table("haircut")
    add_numbers(table, "fraction")
    table.add_column("from")
    for part in each.parts:
        table.add_row(part.name, f"{part.fraction:.2%}", plain(part.detail))
    table.add_row("target", f"{each.target:.2%}", "the larger of what is at least, claims added", style="bold")
    moved = plain(each.moved or "has not moved")
    table.add_row("in force, new risk", f"{each.haircut:.2%}", moved, style="bold")
    table.add_row("in force, existing", f"{each.haircut_existing:.2%}", "raises come with notice, on a ramp")
    table.add_row("maintenance", f"{each.haircut_maintenance:.2%}", "at least what a liquidation costs")
    return table


def lines(each: "Assessment") -> list[tuple[str, str]]:
    """What is left to say, as name and text."""
    from itertools import pairwise

    edges = [0.0, *each.tiers.edges_usd, each.cap.usd]
    adds = [0.0, *each.tiers.add]
    tiers = [
        f"{top:,.0f} at {min(1.0, each.haircut + add):.1%}"
        for (_, top), add in zip(pairwise(edges), adds, strict=False)
    ]
    scenario = ", ".join(f"{asset} {move:+.0%}" for asset, move in each.scenario.items())
    score = ", ".join(f"{name} {part:.2f}" for name, part in each.liquidity.parts.items())
    ltv, threshold = each.loan.loan_to_value, each.loan.liquidation_threshold
    return [
        ("size tiers, up to USD", ", then ".join(tiers)),
        ("cap USD", f"{each.cap.usd:,.0f}: {each.cap.reason}"),
        ("loan-to-value", f"{ltv:.1%}, liquidation threshold {threshold:.1%}"),
        ("", f"{each.loan.reason}; bound {each.loan.bound:.1%}, toxic from {1 / (1 + each.loan.bonus):.1%}"),
        ("owed in it", f"{each.borrow_initial:.1%} initial, {each.borrow_maintenance:.1%} maintenance"),
        ("liquidity", f"tier {each.liquidity.tier}, score {each.liquidity.score:.2f}: {score}"),
        ("regime", f"x {each.multiplier:g}: {', '.join(each.signals) or 'calm'}"),
        *([("weight 0 for", f"exposure to {', '.join(each.zero_for)}")] if each.zero_for else []),
        *([("joint scenario", scenario)] if scenario else []),
    ]  # fmt: skip


def as_values(assessed: "Assessed") -> dict[str, Any]:
    """Everything as JSON values."""
    return {
        "at": assessed.day.isoformat(),
        "assets": [asset_values(each) for each in assessed.assessments],
        "unread": {asset: str(fault) for asset, fault in assessed.unread.items()},
    }


def asset_values(each: "Assessment") -> dict[str, Any]:
    """One asset as JSON values."""
    checks = [
        {"rule": rule.name, "because": rule.because, "holds": verdict.holds, "reasons": list(verdict.reasons)}
        for rule, verdict in each.eligibility.checks
    ]
    return {
        "asset": each.asset,
        "eligible": each.eligible,
        "rule": each.eligibility.rule,
        "reason": each.eligibility.reason,
        "haircut": each.haircut if each.eligible else 1.0,
        "weight": each.weight,
        "haircut_evidence": {
            "target": each.target,
            "new_risk": each.haircut,
            "existing": each.haircut_existing,
            "maintenance": each.haircut_maintenance,
            "moved": each.moved,
            "parts": [part._asdict() for part in each.parts],
        },
        "size_tiers": {"edges_usd": list(each.tiers.edges_usd), "add": list(each.tiers.add)},
        "cap_usd": each.cap.usd if each.eligible else 0.0,
        "cap_reason": each.cap.reason,
        "loan": each.loan._asdict(),
        "borrow_initial": each.borrow_initial,
        "borrow_maintenance": each.borrow_maintenance,
        "liquidity": {"tier": each.liquidity.tier, "score": each.liquidity.score, "parts": each.liquidity.parts},
        "mark": each.mark,
        "marks": [mark._asdict() for mark in each.marks],
        "regime": {"multiplier": each.multiplier, "signals": list(each.signals)},
        "zero_for": list(each.zero_for),
        "joint_scenario": each.scenario,
        "checks": checks,
        "values": dict(each.values),
    }
