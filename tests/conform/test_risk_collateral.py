"""The cases of haircuts and of liquidity: every vector passes, no altered one does, other cases run too."""

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from tests.conform.vectors import faults

from solvent.conform.compare import differences
from solvent.conform.core import VectorFile, read, run
from solvent.conform.risk_collateral import CASES
from solvent.conform.values import number

SUITES = ("haircuts_regulatory", "liquidity_execution")


@pytest.fixture(scope="module")
def files(shared: Path) -> list[VectorFile]:
    return read(shared / "vectors" / "risk" / f"{name}.json" for name in SUITES)


def test_every_vector_passes_and_every_case_is_exercised(files: list[VectorFile]) -> None:
    report = run(files, CASES)
    assert faults(report) == []
    assert report.totals["passed"] >= 13
    assert {(each.suite, vector.fn) for each in files for vector in each.vectors} == set(CASES)


def perturbed(expected: Any, by: Fraction) -> Iterator[Any]:
    """The expected object once for each of its leaves, with that leaf moved."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            yield from ({**expected, key: other} for other in perturbed(value, by))
    elif isinstance(expected, list):
        for i, value in enumerate(expected):
            yield from ([*expected[:i], other, *expected[i + 1 :]] for other in perturbed(value, by))
    elif isinstance(expected, str):
        yield expected + "-not"
    else:
        value = number(expected)
        assert value is not None
        yield value + by


def test_no_perturbed_expectation_passes(files: list[VectorFile]) -> None:
    tried = 0
    for each in files:
        for vector in each.vectors:
            found = CASES[each.suite, vector.fn](vector.seen, each.tables)
            # Found may itself stand a tolerance away from what is printed.
            for wrong in perturbed(vector.expected, 3 * vector.tolerance.abs + Fraction(1, 10**15)):
                tried += 1
                assert differences(wrong, found, vector.tolerance), (each.suite, vector.id, wrong)
    assert tried >= 50


def found(suite: str, fn: str, **inputs: Any) -> Any:
    return CASES[suite, fn]({"inputs": inputs}, {"vectors": {}})


def test_other_values_and_edges() -> None:
    assert list(found("haircuts_regulatory", "haircut_horizon_scaling", H10=[10])["H20"]) == pytest.approx(
        [14.1421], abs=1e-4
    )
    assert list(found("haircuts_regulatory", "haircut_horizon_scaling", H5=[10])["H20"]) == [20.0]
    assert found("haircuts_regulatory", "comprehensive_exposure", E=100, C=0) == {"E_star": 100.0}
    assert found("haircuts_regulatory", "comprehensive_exposure", E="100", He=None, C=500, Hc="0.1") == {"E_star": 0.0}
    assert found("liquidity_execution", "sqrt_impact_optimal_size", sigma_daily=0.04, adv=1e8, bonus=0)["R_star"] == 0
    assert found("liquidity_execution", "constant_product_optimal_size", pool_side=1e7, bonus=0)["profit"] == 0
    assert found("liquidity_execution", "almgren_chriss_min_impact", X=0, T=5, N=5, eta=1e-6)["E"] == 0
    assert found("liquidity_execution", "amihud", ret=[0.1, 0.2], dollar_volume=[1e6, 0])["illiq"] == pytest.approx(
        1e-7
    )


def test_a_schedule_without_risk_aversion_is_equal_slices() -> None:
    inputs = {"X": 100, "T": 4, "N": 4, "sigma": 1, "gamma": 0, "eta": 1, "epsilon": 0, "lam": 0}
    schedule = found("liquidity_execution", "almgren_chriss_holdings", **inputs)
    assert list(schedule["holdings"]) == [100, 75, 50, 25, 0]
    assert schedule["E_minus_twap"] == pytest.approx(0.0)


@pytest.mark.parametrize("bonus", [0.01, 0.05, 0.2])
def test_the_search_agrees_with_the_closed_forms(bonus: float) -> None:
    root = {"Y": 1.0, "sigma_daily": 0.06, "adv": 5e7, "bonus": bonus}
    pool = {"pool_side": 3e6, "bonus": bonus}
    searched = found("liquidity_execution", "sqrt_impact_optimal_size_numeric", **(root | pool))
    closed = found("liquidity_execution", "sqrt_impact_optimal_size", **root)
    assert searched["R_star"] == pytest.approx(closed["R_star"], rel=1e-5)
    assert searched["seized"] == pytest.approx(
        found("liquidity_execution", "constant_product_optimal_size", **pool)["seized"], rel=1e-5
    )


def test_a_case_may_refer_to_others_of_its_file(shared: Path, tmp_path: Path) -> None:
    document = json.loads((shared / "vectors" / "risk" / "liquidity_execution.json").read_text())
    for vector in document["vectors"]:
        vector["id"] = f"case {vector['id']}"
        names = vector["inputs"].get("same_as")
        if names:
            vector["inputs"]["same_as"] = [f"case {name}" for name in names]
    document["vectors"].reverse()
    path = tmp_path / "renamed.json"
    path.write_text(json.dumps(document))
    assert run(read([path]), CASES).is_clean
