"""Random runs: the engine and the slow reference answer every command alike."""

import ast
from collections import Counter
from pathlib import Path

import pytest
from tests.reference.runs import run

HERE = Path(__file__).parent
RUNS, RUNS_NIGHTLY, STEPS, STEPS_NIGHTLY = 20, 1_000, 40, 80
OURS = ("compare.py", "runs.py")
"""Drive both sides, and so may know the engine; so may tests."""


@pytest.fixture(scope="module")
def counts() -> Counter[str]:
    """What the quick runs did."""
    return sum((run(seed, STEPS).counts for seed in range(RUNS)), Counter())


def test_engine_and_reference_agree_on_every_command(counts: Counter[str]) -> None:
    assert counts["verdicts"] > 3_000
    assert counts["verdicts equal to the digit"] >= 0.98 * counts["verdicts"]
    assert counts["leaned"] <= 0.01 * counts["verdicts"]


def test_the_runs_reach_every_part_of_the_model(counts: Counter[str]) -> None:
    """Accepted and refused: a run in which nothing happens would agree too."""
    for kind in ("Deposit", "Withdraw", "Fill", "OpenOrder", "Mark", "Settle", "Fund", "MarginCall", "Liquidate"):
        assert counts[f"{kind} accepted"] > 0, kind
    for kind in ("Withdraw", "Fill", "OpenOrder", "MarginCall", "Liquidate", "Bid", "Insure"):
        assert counts[f"{kind} refused"] > 0, kind
    assert counts["Insure accepted"] + counts["Bid accepted"] + counts["Deleverage accepted"] > 3


@pytest.mark.nightly
@pytest.mark.parametrize("first", range(RUNS, RUNS + RUNS_NIGHTLY, 50))
def test_a_thousand_runs(first: int) -> None:
    counts = sum((run(seed, STEPS_NIGHTLY).counts for seed in range(first, first + 50)), Counter())
    assert counts["verdicts"] > 5_000


def test_the_reference_imports_nothing_of_the_engine() -> None:
    """Commands, owners, instruments and policies are data; everything else it has to know by itself."""
    for path in sorted(HERE.glob("*.py")):
        if path.name in OURS or path.name.startswith("test_"):
            continue
        modules = {
            name
            for node in ast.walk(ast.parse(path.read_text()))
            for name in (
                [node.module or ""] if isinstance(node, ast.ImportFrom)
                else [each.name for each in node.names] if isinstance(node, ast.Import) else []
            )
        }  # fmt: skip
        foreign = {name for name in modules if name.startswith("solvent") and not name.startswith("solvent.domain")}
        assert not foreign, (path.name, foreign)
        assert not {"numba", "numpy", "solvent.domain.universe", "solvent.domain.market"} & modules, path.name
