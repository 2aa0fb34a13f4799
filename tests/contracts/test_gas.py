"""Gas is exactly what the snapshot says, and below the bars. `SOLVENT_WRITE_GAS=1` writes it first."""

import json
import os

import pytest
from tests.contracts import page
from tests.contracts.gas import COUNTS, SNAPSHOT, measured, write


@pytest.fixture(scope="module", autouse=True)
def _rewritten() -> None:
    if os.environ.get("SOLVENT_WRITE_GAS") == "1":
        write()
        page.write()


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(("kind", "feeds"), [("packed", False), ("pull", True)])
def test_gas_is_that_of_the_snapshot(kind: str, feeds: bool, count: int) -> None:
    kept = json.loads(SNAPSHOT.read_text())
    assert {operation: kinds[kind][str(count)] for operation, kinds in kept.items()} == measured(feeds, count), (
        "rewrite it with SOLVENT_WRITE_GAS=1 if the change is meant"
    )


@pytest.mark.parametrize(
    ("operation", "kind", "most"),
    [
        ("deposit again", "packed", 62_000),
        ("borrow near the limit", "packed", 95_000),
        ("borrow near the limit", "pull", 130_000),
        ("withdraw with a loan", "packed", 90_000),
        ("liquidate, part", "packed", 130_000),
        ("liquidate, part", "pull", 165_000),
        ("health view, execution", "pull", 62_000),
    ],
)
def test_four_collaterals_cost_at_most(operation: str, kind: str, most: int) -> None:
    assert json.loads(SNAPSHOT.read_text())[operation][kind]["4"] <= most


@pytest.mark.parametrize(("kind", "most"), [("packed", 4_000), ("pull", 13_000)])
def test_a_further_collateral_costs_a_health_view_at_most(kind: str, most: int) -> None:
    """From four to eight."""
    gas = json.loads(SNAPSHOT.read_text())["health view, execution"][kind]
    assert gas["8"] - gas["4"] <= 4 * most
