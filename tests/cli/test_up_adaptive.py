"""`solvent up --adaptive` and `solvent policy`: what changed, why, until when; and people who decide."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.console import Console
from tests.cli.test_live import CALM
from typer.testing import CliRunner

from solvent.cli.live import PolicyMove, screen
from solvent.cli.main import app
from solvent.cli.shows import happened, log_line, tick_figures
from solvent.engine.files import policy_text

runner = CliRunner()
MOVES = (
    PolicyMove("scan_range.BTC", 0.164, 0.21, "ramp", 1_717_765_200 * 10**9, "BTC long: 99% loss of a day 22%"),
    PolicyMove("scan_range.ETH", 0.16, 0.12, "a person", 0, "ETH short: 99% loss of a day 11%"),
)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """(candles that are calm for three days and wild after, a policy with small ranges)."""
    folder = tmp_path_factory.mktemp("market")
    random = np.random.default_rng(5)
    rows, price = ["ts,symbol,venue,open,high,low,close,volume_base"], 60_000.0
    for hour in range(92):
        path = price * np.exp(np.cumsum(random.normal(0, 0.0007 if hour < 78 else 0.012, 3)))
        day, of_day = divmod(hour, 24)
        high, low, close = max(price, *path), min(price, *path), path[-1]
        stamp = f"2024-06-{1 + day:02d}T{of_day:02d}:00:00Z"
        rows.append(f"{stamp},BTC/USDT,demo,{price:.2f},{high:.2f},{low:.2f},{close:.2f},10000")
        price = close
    candles, policy = folder / "jump.csv", folder / "small.toml"
    candles.write_text("\n".join(rows) + "\n")
    policy.write_text(policy_text("portfolio").replace("scan_range = { BTC = 0.16", "scan_range = { BTC = 0.08"))
    return str(candles), str(policy)


def run(*arguments: str) -> str:
    result = runner.invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def venue(market: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, object]]]:
    """A journal of an adaptive run through the jump, and what the run said tick by tick."""
    candles, policy = market
    store = str(tmp_path_factory.mktemp("venue") / "venue.journal")
    said = run(
        "up", "--source", f"replay:{candles}", "--policy", policy, "--adaptive", "--adaptive-every", "6",
        "--accounts", "20", "--store", store, "--speed", "0", "--json-lines",
    )  # fmt: skip
    return store, [json.loads(line) for line in said.splitlines()][:-1]


def test_the_run_says_what_changed_why_and_until_when(venue: tuple[str, list[dict[str, object]]]) -> None:
    _, ticks = venue
    told = [line for tick in ticks for line in tick["happened"] if line["kind"] == "policy"]  # type: ignore[attr-defined]
    assert told[0]["who"] == "loosen"
    (raised, *_) = [line for line in told if line["who"] == "raise"]
    assert "scan_range.BTC 8.00%" in raised["what"]
    assert "99% loss of a day" in raised["what"]
    moves = ticks[-1]["policy"]
    assert isinstance(moves, list)
    (move,) = [each for each in moves if each["waits_for"] == "ramp"]
    assert 0.08 < move["present"] < move["target"]
    assert move["end_ns"] > ticks[-1]["ts_ns"]  # type: ignore[operator]
    assert "BTC" in move["why"]


def test_the_journal_of_the_run_verifies_and_decides_the_same_again(
    venue: tuple[str, list[dict[str, object]]],
) -> None:
    assert "nothing was cut or altered" in run("journal", "verify", "--redecide", venue[0])
    exported = run("journal", "export", venue[0])
    (proposed, *_) = [json.loads(line) for line in exported.splitlines() if '"type":"PolicyProposed"' in line]
    assert proposed["origin"] == "engine"
    assert len(proposed["fields"]["evidence"]["data_digest"]) == 64


def test_people_list_propose_and_approve(market: tuple[str, str], tmp_path: Path) -> None:
    candles, policy = market
    store = str(tmp_path / "venue.journal")
    options = ["up", "--source", f"replay:{candles}", "--store", store, "--speed", "0", "--adaptive"]
    run(*options, "--policy", policy, "--accounts", "20", "--ticks", "290")
    assert "a person" in run("policy", "list", store)
    (waiting, *_) = json.loads(run("policy", "list", store, "--json"))
    assert waiting["by"] == ""
    said = run("policy", "propose", store, "scan_range.BTC=0.05", "--person", "ada", "--model", "hs-250")
    assert "loosen" in said
    number = str(max(each["proposal"] for each in json.loads(run("policy", "list", store, "--json"))))
    own = runner.invoke(app, ["policy", "approve", store, number, "--person", "ada"])
    assert own.exit_code == 2
    assert "other than the one who proposed" in own.output
    assert "approved" in run("policy", "approve", store, number, "--person", "grace")
    assert "withdrawn" in run("policy", "withdraw", store, str(waiting["proposal"]), "--person", "grace")
    assert "nothing is under way" in run("policy", "list", store)
    run(*options, "--ticks", "3")
    assert "nothing was cut or altered" in run("journal", "verify", "--redecide", store)


def test_a_venue_that_is_not_adaptive_says_so(market: tuple[str, str], tmp_path: Path) -> None:
    store = str(tmp_path / "plain.journal")
    said = run(
        "up", "--source", f"replay:{market[0]}", "--store", store, "--speed", "0", "--accounts", "20", "--ticks", "2",
        "--json-lines",
    )  # fmt: skip
    assert "policy" not in json.loads(said.splitlines()[0])
    assert "adaptive is off" in run("policy", "list", store)
    refused = runner.invoke(app, ["policy", "propose", store, "scan_range.BTC=0.1", "--person", "ada"])
    assert refused.exit_code == 2
    assert "--adaptive" in refused.output


def test_bad_arguments_are_named_all_at_once(tmp_path: Path) -> None:
    result = runner.invoke(app, ["policy", "propose", str(tmp_path / "no"), "a=b", "c", "--person", "ada"])
    assert result.exit_code == 2
    assert "a=b" in result.output
    assert "PARAMETER=VALUE" in result.output
    result = runner.invoke(app, ["policy", "approve", str(tmp_path / "no"), "1", "--person", "ada"])
    assert result.exit_code == 2
    assert "not there" in result.output
    assert not (tmp_path / "no").exists()


# ---- how it is shown


def drawn(policy: tuple[PolicyMove, ...], adaptive: bool = True) -> str:
    console = Console(width=140, height=40, force_terminal=False)
    view = msgspec.structs.replace(CALM, adaptive=adaptive, policy=policy)
    with console.capture() as capture:
        console.print(screen(view, 140, 40), height=40)
    return capture.get()


def test_the_screen_has_a_panel_of_what_is_under_way() -> None:
    shown = drawn(MOVES)
    assert "scan_range.BTC" in shown
    assert "16.40% → 21.00%" in shown
    assert "by 07 Jun 13:00" in shown
    assert "waits for a person" in shown
    assert "99% loss of a day" in shown
    assert "nothing is under way" in drawn(())
    assert "Policy" not in drawn((), adaptive=False)


def test_a_log_has_it_in_its_lines() -> None:
    view = msgspec.structs.replace(CALM, adaptive=True, policy=MOVES)
    assert "scan_range.BTC 16.40% -> 21.00% by 2024-06-07 13:00:00" in log_line(view)
    assert "scan_range.ETH 16.00% -> 12.00% waits for a person" in log_line(view)
    assert happened(CALM, view)
    assert tick_figures(view)["policy"][0]["target"] == 0.21
    assert "policy" not in tick_figures(CALM)


def test_the_screen_and_the_log_say_which_model_speaks() -> None:
    view = msgspec.structs.replace(CALM, adaptive=True, speaks=("BTC model 92d4b05f: long 4.0% -> 3.2%",))
    console = Console(width=140, height=40, force_terminal=False)
    with console.capture() as capture:
        console.print(screen(view, 140, 40), height=40)
    assert "BTC model 92d4b05f: long 4.0% -> 3.2%" in capture.get()
    assert "BTC model 92d4b05f" in log_line(view)
    assert tick_figures(view)["speaks"] == list(view.speaks)
    assert "speaks" not in tick_figures(CALM)
