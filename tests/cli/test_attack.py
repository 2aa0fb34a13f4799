"""`solvent attack` prints what attacks bring, and fails where one pays or a control does not."""

import json

import pytest
from typer.testing import CliRunner

from solvent.cli.main import app
from solvent.lab.attacks import table
from solvent.lab.attacks.attack import Attack
from solvent.lab.attacks.scene import BTC_PERP, USDC, Scene


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["attack", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_rows_as_json() -> None:
    (row,) = json.loads(run("off-market-trade", "--json"))
    assert list(row) == ["name", "profit_usd", "venue_loss_usd", "control_profit_usd"]
    assert row["name"] == "off-market-trade"
    assert row["profit_usd"] <= 0 < row["control_profit_usd"]


def test_the_table_names_the_guard() -> None:
    text = " ".join(run("stuck-price").split())
    assert "stuck-price yes 0.00" in text
    assert "fresh_age_s" in text


def test_an_unknown_name_lists_the_known_ones() -> None:
    assert "thin-collateral" in run("free-lunch", code=2)
    assert "one of the two" in run("--json", "--markdown", code=2)


def lucky(scene: Scene) -> None:
    """A bet that wins: what an attack that gets through looks like to the command."""
    trader = scene.joins("trader", {USDC: 1e6})
    scene.trades(BTC_PERP, trader, scene.maker, 10.0)
    scene.true["BTC"] += 100.0
    scene.tick(1.0)


@pytest.mark.parametrize("play", [lucky, lambda scene: None], ids=["an attack that pays", "a control that does not"])
def test_it_fails_where_a_guard_does_not_hold(play: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.ATTACKS, "new", Attack("new", "none", "none", play))  # type: ignore[arg-type]
    assert "NO" in run("new", code=1)
