"""The page of a replay: complete in itself, the same each time, its figures those of the run."""

import subprocess
from pathlib import Path

import polars as pl
import pytest
from tests.engine.crash import crash_file

from solvent.engine.replay import Run, replay
from solvent.engine.summary import Summary
from solvent.engine.sweep import Sweep
from solvent.reports.replay import MEANINGS, headline, main_asset, replay_page


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return replay(crash_file(tmp_path_factory.mktemp("candles")), accounts=80, insurance_usd=2_000.0)


def swept(run: Run) -> Sweep:
    row = {
        "value": 0.5, "initial_margin_to_notional": 0.123, "accounts_liquidated": 7, "liquidated_notional_usd": 1234.0,
        "shortfall_usd": 55_555.0, "insurance_used_usd": 1.0, "deleveraged_loss_usd": 0.0, "socialised_loss_usd": 0.0,
        "uncovered_accounts_peak": 3, "penalties_usd": 2.0,
    }  # fmt: skip
    return Sweep("margin_scale", pl.DataFrame([row, {**row, "value": 2.0}]))


def test_the_page_has_every_plot_the_figures_and_what_the_words_mean(run: Run) -> None:
    html = replay_page(run, swept(run))
    for name in ("overview", "prices", "liquidated", "coverage", "losses", "frontier"):
        assert f'<div id="{name}"' in html
    assert run.summary.state_hash in html
    assert run.policy.label in html
    assert all(word in html for word in MEANINGS)
    assert all(note in html for note in run.notes)
    assert "55,555" in html
    top = run.tape.group_by("account").agg(pl.col("usd").sum()).sort("usd", descending=True)["account"][0]
    assert f"<td>{top}</td>" in html
    assert html == replay_page(run, swept(run))
    assert 'src="http' not in html
    assert "<link" not in html


def test_without_a_sweep_there_is_no_frontier(run: Run) -> None:
    assert '<div id="frontier"' not in replay_page(run)


def test_a_run_in_which_nothing_happened_says_so(tmp_path: Path) -> None:
    html = replay_page(replay(crash_file(tmp_path, hours=4), accounts=10))
    assert "No account was liquidated." in html
    assert "no account owed more than it owned" in html


def test_the_headline_never_hides_a_broken_law() -> None:
    assert headline(Summary(conserved=False))["conserved"] == "NO"
    assert headline(Summary(conserved=True))["conserved"] == "yes"


def test_the_asset_that_suffered_most_comes_first_and_dollars_last(run: Run) -> None:
    usd = {asset: run.tape.filter(pl.col("instrument").str.starts_with(asset))["usd"].sum() for asset in ("BTC", "ETH")}
    assert main_asset(run.ticks, run.tape) == [*sorted(usd, key=lambda asset: -usd[asset]), "USDC"]


@pytest.mark.system("chromium")
def test_a_browser_draws_every_plot(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(replay_page(run, swept(run)))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000"]
    drawn = subprocess.run(
        ["chromium", *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert drawn.stdout.count('class="main-svg"') >= 6
    assert "partial liquidation" in drawn.stdout
