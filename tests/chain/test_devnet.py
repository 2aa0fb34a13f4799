"""The devnet in one command: everything runs, the keeper earns, mirror and contracts agree, and it ends by itself."""

import json
from pathlib import Path

import pytest
from tests.chain.nodes import ANVIL
from typer.testing import CliRunner

from solvent.chain.devnet import CRASH, Devnet, key, prices
from solvent.chain.node import devnode
from solvent.cli.devnet import line, screen
from solvent.cli.main import app
from solvent.errors import SolventError

TICKS = 16


def test_a_crash_is_survived_in_process() -> None:
    survived("", "in-process chain")


def test_a_crash_is_survived_on_anvil(node_modules: Path) -> None:
    program = node_modules / ANVIL
    if not program.is_file():
        pytest.skip("needs anvil: npm has no binary for this machine")
    survived(str(program), "anvil")


def survived(program: str, node: str) -> None:
    with devnode(program) as (rpc, what):
        assert what == node
        devnet = Devnet(rpc)
        frames = [devnet.step(factor) for factor in prices(TICKS, seed=7)]
    assert [each.tick for each in frames] == list(range(1, TICKS + 1))
    assert max(each.liquidatable for each in frames) > 0
    assert frames[-1].liquidatable == 0
    assert frames[-1].liquidated >= 2
    assert frames[-1].keeper_profit > 0
    assert devnet.mirror.counts["differences"] == 0
    assert frames[-1].checked > TICKS * 8
    keeper = next(each for each in frames[-1].people if each.name == "keeper")
    assert keeper.health > 1
    text = line(frames[-1])
    assert text.isascii()
    assert "differences 0" in text
    assert screen(frames[-1], TICKS) is not None


def test_prices_fall_by_the_crash_and_repeat() -> None:
    path = list(prices(100, seed=3))
    assert path == list(prices(100, seed=3))
    assert path != list(prices(100, seed=4))
    assert path[0] == pytest.approx(1.0, abs=0.01)
    assert path[-1] == pytest.approx(1.0 - CRASH, abs=0.06)


def test_the_command_prints_a_line_of_json_a_block() -> None:
    result = CliRunner().invoke(app, ["chain", "devnet", "--ticks", "3", "--node", "local", "--json-lines"])
    assert result.exit_code == 0, result.output
    rows = [json.loads(each) for each in result.stdout.splitlines()]
    assert [each["tick"] for each in rows] == [1, 2, 3]
    assert {each["differences"] for each in rows} == {0}
    assert {each["name"] for each in rows[0]["people"]} >= {"keeper", "long", "short", "borrower 0"}


def test_another_node_is_refused() -> None:
    result = CliRunner().invoke(app, ["chain", "devnet", "--node", "mainnet"])
    assert result.exit_code == 2 or isinstance(result.exception, SolventError)
    assert key("keeper").address != key("lender").address
