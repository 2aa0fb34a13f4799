"""The systemic cases: every vector passes, altered ones do not, and inputs at the edges are answered."""

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.conform.vectors import faults

from solvent.conform.core import read, run
from solvent.conform.risk_systemic import CASES


def answer(fn: str, **inputs: Any) -> Any:
    return CASES["systemic_liquidation", fn]({"fn": fn, "inputs": inputs}, {})


def test_every_vector_passes_and_every_case_is_exercised(shared: Path) -> None:
    files = read([shared / "vectors" / "risk" / "systemic_liquidation.json"])
    report = run(files, CASES)
    assert faults(report) == []
    assert report.totals["passed"] >= 11
    assert {(each.suite, vector.fn) for each in files for vector in each.vectors} == set(CASES)


def test_other_inputs_give_other_results(shared: Path, tmp_path: Path) -> None:
    """A control: with an input moved, no vector passes."""
    path = shared / "vectors" / "risk" / "systemic_liquidation.json"
    document = json.loads(path.read_text())
    for vector in document["vectors"]:
        inputs = vector["inputs"]
        name = next(each for each in ("ea", "h1", "incentive", "C", "liq_price", "q") if each in inputs)
        moved = [0.97 * x for x in inputs[name]] if isinstance(inputs[name], list) else 0.97 * inputs[name]
        inputs[name] = moved
    (tmp_path / path.name).write_text(json.dumps(document))
    assert run(read([tmp_path]), CASES).totals["passed"] == 0


def test_inputs_that_are_left_out_have_their_usual_meaning() -> None:
    ring = [[0, 10], [8, 0]]
    full = answer("clearing_vector", L=ring, ea=[3, 0], el=None, alpha=None, beta=None)
    assert full["clearing"].tolist() == [10, 8]
    assert not full["default"].any()


def test_the_edges() -> None:
    assert answer("partial_liquidation_toxic", C=105, B=100, LT=0.8, bonus=0.05, repay=20)["toxic"] is False
    assert answer("partial_liquidation_toxic", C=104.9, B=100, LT=0.8, bonus=0.05, repay=20)["toxic"] is True
    whole = answer("partial_liquidation_health", C=100, B=80, LT=0.8, bonus=0.05, repay=80)
    assert math.isinf(whole["HF1"])
    assert answer("partial_liquidation_health", C=100, B=80, LT=0.8, bonus=0.05, repay=0)["delta"] == 0
    assert answer("toxic_ltv", incentive=0)["max_ltv"] == 1
    assert answer("toxic_ltv", incentive=Fraction(1, 20))["max_ltv"] == Fraction(20, 21)
    assert math.isinf(answer("cascade_amplification", kappa_impact=2, q=0.5)["amplification"])
    assert answer("cascade_amplification", kappa_impact=0, q=0.5)["amplification"] == 1
    assert answer("first_passage_liquidation", S0=1, liq_price=1.2, mu=0, sigma_annual=0.8, days=30)["prob"] == 1
    failed = answer("debtrank", leverage=[[0, 2], [2, 0]], h1=[0, 0.4])
    assert failed["h"].tolist() == [1, 1]
    assert failed["alarm"]
