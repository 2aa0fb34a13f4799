"""`solvent keeper` and `solvent chain`: a dry run says what it would do, a real one sends it, keys stay secret."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account
from rich.console import Console
from tests.chain.keeper_desk import KEY, Desk, local_desk
from tests.chain.nodes import installed
from typer.testing import CliRunner

from solvent.chain.local import LocalChain
from solvent.chain.local_http import LocalServer
from solvent.chain.rpc import connect
from solvent.cli.keeper_view import screen
from solvent.cli.main import app

runner = CliRunner()


@pytest.fixture(scope="module")
def venue() -> Iterator[tuple[LocalChain, Desk, str]]:
    chain, desk = local_desk(installed())
    desk.borrow(1, 10.0, 16_000.0)
    desk.crash(1_850.0)
    with LocalServer(chain) as server:
        yield chain, desk, server.url


def arguments(desk: Desk, url: str) -> list[str]:
    return [
        "keeper", "--venue", "aave-v3", "--rpc", url, "--pool", desk.market.pool.address, "--blocks", "1",
        "--executor", desk.executor.address, "--native", desk.weth.address, "--pair", desk.pair.address,
    ]  # fmt: skip


def test_a_dry_run_needs_no_key(venue: tuple[LocalChain, Desk, str]) -> None:
    chain, desk, url = venue
    asked = [*arguments(desk, url), "--dry-run", "--address", desk.account.address, "--json-lines"]
    result = runner.invoke(app, asked)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["liquidatable"] == 1
    assert found["jobs"][0]["repay_usd"] == pytest.approx(8_000, rel=1e-3)
    assert len(chain.pool) == 0


def test_a_dry_run_needs_no_executor_either(venue: tuple[LocalChain, Desk, str]) -> None:
    """Funds without end, and nothing simulated; gas is valued by the reserve called WETH."""
    _, desk, url = venue
    asked = ["keeper", "--venue", "aave-v3", "--rpc", url, "--pool", desk.market.pool.address, "--dry-run"]
    result = runner.invoke(app, [*asked, "--pair", desk.pair.address, "--blocks", "1", "--json-lines"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["jobs"][0]["repay_usd"] == pytest.approx(8_000, rel=1e-3)


def test_all_that_is_missing_is_named_at_once(venue: tuple[LocalChain, Desk, str]) -> None:
    result = runner.invoke(
        app, ["keeper", "--rpc", venue[2], "--signer", venue[2], "--address", Account.from_key(KEY).address]
    )
    assert result.exit_code == 2
    text = " ".join(result.output.split())
    assert "--pool: none is known on chain" in text
    assert "--executor, or --dry-run" in text


def test_an_asset_that_is_no_reserve_is_named(venue: tuple[LocalChain, Desk, str]) -> None:
    asked = ["keeper", "--rpc", venue[2], "--pool", venue[1].market.pool.address, "--dry-run", "--native", "WPOL"]
    result = runner.invoke(app, asked)
    assert result.exit_code == 2
    assert "the asset of one of its reserves: " in " ".join(result.output.split())


def test_a_keystore_liquidates_and_the_ledger_and_metrics_are_written(
    venue: tuple[LocalChain, Desk, str], tmp_path: Path
) -> None:
    chain, desk, url = venue
    number = chain.snapshot()
    keystore, password = tmp_path / "key.json", tmp_path / "password"
    keystore.write_text(json.dumps(Account.encrypt(KEY, "secret", kdf="pbkdf2", iterations=2)))
    password.write_text("secret\n")
    keystore.chmod(0o600)
    metrics = tmp_path / "keeper.prom"
    files = ["--keystore", str(keystore), "--password-file", str(password), "--metrics", str(metrics)]
    result = runner.invoke(app, [*arguments(desk, url), *files])
    assert result.exit_code == 0, result.output
    assert "1 liquidatable" in result.stdout
    assert "secret" not in result.output
    assert len(chain.pool) == 1
    chain.mine()
    assert [each.executed.succeeded for each in chain.head.included] == [True]
    assert 'event="sent"} 1' in metrics.read_text()
    assert chain.revert(number)


@pytest.mark.parametrize(
    ("change", "accepted"),
    [
        (["--venue", "compound"], "one of aave-v3"),
        ([], "--keystore FILE"),
        (["--second", "ftp://x", "--dry-run"], "a URL such as"),
    ],
)
def test_bad_input_is_named(venue: tuple[LocalChain, Desk, str], change: list[str], accepted: str) -> None:
    result = runner.invoke(app, [*arguments(venue[1], venue[2]), *change])
    assert result.exit_code == 2
    assert accepted in " ".join(result.output.split())


def test_the_live_view_shows_jobs_and_profit(venue: tuple[LocalChain, Desk, str]) -> None:
    chain, desk, _ = venue
    number = chain.snapshot()
    keeper = desk.keeper()
    console = Console(width=120, height=40, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(screen(keeper, "aave-v3"))
    keeper.step()
    console.print(screen(keeper, "aave-v3"))
    for _ in range(4):
        desk.mine()
        keeper.step()
    console.print(screen(keeper, "aave-v3"))
    text = console.export_text()
    assert "reading accounts" in text
    assert "waiting" in text
    assert re.search(r"earned 32\d\.\d\d USD", text)
    assert chain.revert(number)


def test_a_node_serves_until_it_is_told_to_stop() -> None:
    code = "from solvent.cli.main import run; run()"
    command = [sys.executable, "-c", code, "chain", "node", "--port", "0", "--block-time", "0.05"]
    node = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert node.stdout is not None
        match = re.search(r"http://\S+:\d+", node.stdout.readline())
        assert match is not None
        rpc, end = connect([match[0]]), time.monotonic() + 20
        while rpc.call("eth_blockNumber") == "0x0":
            assert time.monotonic() < end
        node.terminate()
        assert node.wait(20) == 0
    finally:
        node.kill()
        node.wait()
