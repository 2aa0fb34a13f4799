"""The command line's frame: what is listed, what is loaded when, and how errors leave it."""

import re
import subprocess
import sys
from importlib import import_module
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

from solvent import __version__
from solvent.cli import main
from solvent.cli.main import COMMANDS, Command, app
from solvent.errors import SolventError, problem

HEAVY = {"apsw", "ccxt", "numba", "numpy", "plotly", "polars", "scipy"}

runner = CliRunner()


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module with commands of its own, in the table for the length of a test."""
    module = ModuleType("solvent_test_room")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(COMMANDS, "work", Command(module.__name__, "work", "Do the work."))
    return module


def test_version() -> None:
    result = runner.invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"solvent {__version__}\n")


def test_help_lists_every_command_and_loads_nothing_heavy() -> None:
    code = """
import sys
from solvent.cli.main import app
try:
    app(["--help"], prog_name="solvent")
finally:
    print("LOADED", *sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    shown, _, loaded = result.stdout.partition("LOADED ")
    for name, command in COMMANDS.items():
        assert re.search(rf"\b{re.escape(name)}\b", shown), name
        assert command.help.split()[0] in shown
    assert not HEAVY & {module.partition(".")[0] for module in loaded.split()}
    assert not [command.module for command in COMMANDS.values() if command.module in loaded.split()]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_row_of_the_table_leads_to_a_command(name: str) -> None:
    command = COMMANDS[name]
    assert callable(getattr(import_module(command.module), command.function))
    assert runner.invoke(app, [name, "--help"]).exit_code == 0


def test_a_function_gets_its_arguments(room: ModuleType) -> None:
    def work(times: int, loud: bool = False) -> None:
        typer.echo(f"{times} {loud}")

    room.work = work
    assert runner.invoke(app, ["work", "3", "--loud"]).stdout == "3 True\n"


def test_a_typer_holds_subcommands(room: ModuleType) -> None:
    room.work = typer.Typer()
    room.work.command("begin")(lambda: typer.echo("begun"))
    room.work.command("end")(lambda: typer.echo("ended"))
    assert runner.invoke(app, ["work", "end"]).stdout == "ended\n"


def test_bad_input_exits_with_2_and_says_everything_on_stderr(room: ModuleType) -> None:
    def work() -> None:
        faults = [problem("book.csv", row, "quantity", "ten", "a decimal number") for row in range(1, 26)]
        raise SolventError(*faults, message="the book cannot be read")

    room.work = work
    result = runner.invoke(app, ["work"])
    assert (result.exit_code, result.stdout) == (2, "")
    lines = result.stderr.splitlines()
    assert lines[0] == "error: the book cannot be read"
    assert lines[1].strip() == "book.csv row 1: quantity = ten: a decimal number"
    assert lines[-1].strip() == "... and 5 more problems"


def test_an_escape_sequence_in_a_file_does_not_reach_the_terminal(room: ModuleType) -> None:
    def work() -> None:
        raise SolventError(problem("book.csv", 1, "account", "\x1b[2Jx[red]y", "a name"))

    room.work = work
    result = runner.invoke(app, ["work"])
    assert r"account = \x1b[2Jx[red]y: a name" in result.stderr
    assert "\x1b" not in result.stderr


def test_a_programmer_error_is_not_taken_for_bad_input(room: ModuleType) -> None:
    def work() -> None:
        raise ZeroDivisionError

    room.work = work
    assert isinstance(runner.invoke(app, ["work"]).exception, ZeroDivisionError)


def test_an_interrupt_exits_with_130(room: ModuleType) -> None:
    def work() -> None:
        raise KeyboardInterrupt

    room.work = work
    assert runner.invoke(app, ["work"]).exit_code == 130


def test_an_unknown_command_exits_with_2_and_suggests_one(room: ModuleType) -> None:
    room.work = print
    result = runner.invoke(app, ["worc"])
    assert result.exit_code == 2
    assert "Did you mean 'work'?" in result.stderr


def test_run_is_the_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["solvent", "--version"])
    with pytest.raises(SystemExit) as leaving:
        main.run()
    assert leaving.value.code == 0
