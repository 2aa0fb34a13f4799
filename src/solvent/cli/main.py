"""What people type: one table of commands, each loaded only when it is called."""

import gc
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from solvent import __version__
from solvent.errors import SolventError

EXIT_BAD_INPUT = 2


class Command(NamedTuple):
    """Where a command lives, and the line that `solvent --help` shows for it."""

    module: str
    function: str
    """A function in typer's form, or a `typer.Typer` that holds several subcommands."""
    help: str


COMMANDS: dict[str, Command] = {
    "attack": Command("solvent.cli.attack", "attack_command", "Attack the default venue: what it brings, and guards."),
    "backtest": Command("solvent.cli.backtest", "backtest_command", "Margins of a model or policy against what came."),
    "backup": Command("solvent.cli.backup", "backup_command", "Copy a journal into a file, while it is written to."),
    "calibrate": Command(
        "solvent.cli.calibrate", "calibrate_command", "Make a policy from recorded prices, with its evidence."
    ),
    "chain": Command("solvent.cli.chain", "app", "Run a small chain of your own, or a keeper on any."),
    "collateral": Command(
        "solvent.cli.collateral", "collateral_command", "Which assets may be collateral, on what terms, and why."
    ),
    "compare": Command("solvent.cli.compare", "compare_command", "The same accounts under several policies."),
    "conform": Command("solvent.cli.conform", "conform_command", "Run reference vectors against our functions."),
    "deposits": Command("solvent.cli.deposits", "app", "Deposits that wait for a second person: list, confirm, drop."),
    "disclose": Command("solvent.cli.disclose", "app", "Regulators' forms: PFMI, auth.066, EMIR, model documentation."),
    "fetch": Command("solvent.cli.fetch", "fetch_command", "Write candles of an exchange to a file."),
    "journal": Command("solvent.cli.journal", "app", "Verify, export or watch a journal."),
    "keeper": Command("solvent.cli.keeper", "keeper_command", "Liquidate on a venue, within limits, and show it live."),
    "lab": Command("solvent.cli.lab", "app", "Simulate thresholds, cascades and contagion."),
    "liquidation-price": Command(
        "solvent.cli.liquidation_price", "liquidation_price_command", "At which prices accounts are liquidated."
    ),
    "margin": Command("solvent.cli.margin", "margin_command", "Margin a book once, and explain it."),
    "policies": Command("solvent.cli.policies", "policies_command", "List the ready-made policies, or print one."),
    "policy": Command("solvent.cli.policy", "app", "Changes of a venue's policy: list, propose, approve, withdraw."),
    "reconcile": Command("solvent.cli.reconcile", "reconcile_command", "Custody against the ledger, asset by asset."),
    "replay": Command("solvent.cli.replay", "replay_command", "A book through recorded prices, and what was lost."),
    "restore": Command("solvent.cli.backup", "restore_command", "Copy a backup into an empty store."),
    "simulate-faults": Command(
        "solvent.cli.simulate_faults", "simulate_faults_command", "A venue through failing disks, clocks and clients."
    ),
    "snapshot": Command("solvent.cli.snapshot", "snapshot_command", "Write an exchange's market to a file."),
    "train": Command("solvent.cli.train", "train_command", "Models of the next hour, for a policy to name."),
    "what-if": Command(
        "solvent.cli.what_if", "what_if_command", "Margins after a shock, a trade, a deposit, a policy."
    ),
    "up": Command("solvent.cli.up", "up_command", "Run a venue on a market and show it live; `./run` alone does."),
}


def _load(name: str) -> Any:
    """The typer command behind a name: here its module, with numba or polars in its wake, is imported."""
    entry = COMMANDS[name]
    loaded = getattr(import_module(entry.module), entry.function)
    if isinstance(loaded, typer.Typer):
        return typer.main.get_command(loaded)
    single = typer.Typer(add_completion=False)
    single.command(name)(loaded)
    return typer.main.get_command(single)


class LazyGroup(TyperGroup):
    """Shows its commands from the table, loads only the one that is called, and reports bad input."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in COMMANDS.items():
            self.add_command(TyperCommand(name, help=entry.help))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else _load(name), rest

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except SolventError as error:
            _report(error)
            raise typer.Exit(EXIT_BAD_INPUT) from error


def _report(error: SolventError) -> None:
    """Print an error on stderr, a problem a line, as plain text."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    for number, line in enumerate(str(error).splitlines()):
        label = Text("error: ", "bold red") if number == 0 else Text("  ")
        console.print(label + Text(_printable(line)), soft_wrap=True)


def _printable(line: str) -> str:
    """The line with what a terminal would obey written out: a file's values may hold escape sequences."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"solvent {__version__}")
        raise typer.Exit


@app.callback()
def _solvent(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Keep a book of leveraged crypto accounts solvent: margin, liquidate, replay, explain."""


def run() -> None:
    """The `solvent` command: exits with 2 on bad input or usage, 130 when interrupted."""
    # Events are millions of tuples that live as long as the run and hold no cycles: look for cycles seldom.
    gc.set_threshold(100_000, 50, 1_000)
    app(prog_name="solvent")
