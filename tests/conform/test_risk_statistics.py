"""The cases of risk statistics: published numbers, altered ones fail, and edges that other cases may ask for."""

import math
from pathlib import Path
from typing import Any

import pytest
from tests.conform.vectors import faults

from solvent.conform.core import Report, Row, VectorFile, read, run
from solvent.conform.risk_statistics import CASES, FUNCTIONS

NEEDS_OBSERVATIONS = "es_unconditional_normal_matlab"
"""Its inputs name a sample by its size alone; statistic, p-value and result are those of data it does not carry."""


@pytest.fixture(scope="module")
def files(shared: Path) -> list[VectorFile]:
    return read([shared / "vectors" / "risk" / f"{suite}.json" for suite in FUNCTIONS])


def test_every_vector_passes_that_says_what_it_is_about(files: list[VectorFile]) -> None:
    report = run(files, CASES)
    others = Report(tuple(row for row in report.rows if row.id != NEEDS_OBSERVATIONS))
    assert faults(others) == []
    assert len(others.rows) >= 48


def test_without_observations_the_critical_value_is_compared_and_the_rest_is_named(files: list[VectorFile]) -> None:
    row = next(row for row in run(files, CASES).rows if row.id == NEEDS_OBSERVATIONS)
    assert row.status == "passed"
    assert [each.partition(":")[0] for each in row.reasons] == ["statistic", "p_value", "result"]
    assert row.found["critical"] == pytest.approx(row.expected["critical"], abs=0.02)


def test_with_its_published_summary_it_has_the_published_statistic(files: list[VectorFile]) -> None:
    row: Row = next(row for row in run(files, CASES).rows if row.id == NEEDS_OBSERVATIONS)
    sample = {"failures": 57, "observed_severity": 1.4221, "expected_severity": 1.1928}
    found = call("es_backtests", "es_unconditional_test", {**row.inputs["inputs"], **sample})
    assert found["statistic"] == pytest.approx(row.expected["statistic"], abs=1e-4)
    assert found["p_value"] == pytest.approx(row.expected["p_value"], abs=1e-3)
    assert found["result"] == row.expected["result"]


def test_every_case_is_exercised(files: list[VectorFile]) -> None:
    assert {(each.suite, vector.fn) for each in files for vector in each.vectors} == set(CASES)


def call(suite: str, fn: str, inputs: dict[str, Any]) -> Any:
    return CASES[suite, fn]({"inputs": inputs}, {})


def test_no_exceptions_at_all() -> None:
    counts = {"n00": 249, "n01": 0, "n10": 0, "n11": 0}
    sample = {"T": 250, "exceptions": 0, "p": 0.01}
    assert call("var_backtests", "kupiec_pof", sample)["LR"] == pytest.approx(-500 * math.log(0.99))
    joint = call("var_backtests", "christoffersen_conditional_coverage", sample | counts)
    assert joint["LR"] == pytest.approx(-500 * math.log(0.99))
    assert call("var_backtests", "kupiec_reject", sample)["reject_5pct"] is True
    assert math.isnan(call("var_backtests", "tuff", {"first_failure": None, "p": 0.01})["LR"])


def test_one_count_and_a_list_of_counts_agree() -> None:
    one = call("var_backtests", "traffic_light_cumulative", {"T": 500, "p": 0.05, "exceptions": 30})
    several = call("var_backtests", "traffic_light_cumulative", {"T": 500, "p": 0.05, "exceptions": [30, 31]})
    assert one["cum_prob"] == several["cum_prob"][0] < several["cum_prob"][1]


def test_counts_come_from_hits_or_followers_too() -> None:
    hits = [0, 1, 1, 0, 0, 0, 1, 0]
    from_hits = call("var_backtests", "christoffersen_independence", {"hits": hits})
    stated = {"n00": 2, "n01": 2, "n10": 2, "n11": 1}
    assert from_hits == call("var_backtests", "christoffersen_independence", stated)
    followers = call("var_backtests", "christoffersen_independence", {"T": 252, "exceptions": 6, "following": 4})
    assert followers["LR"] == pytest.approx(25.837, abs=0.02)


@pytest.mark.parametrize("inputs", [{"dist": "t", "nu": 3}, {"dist": "t3"}, {"dist": "student_t(3)"}])
def test_ways_to_name_a_distribution(inputs: dict[str, Any]) -> None:
    asked = {"T": 250, "alpha": 0.025, "test_level": 0.05} | inputs
    assert call("es_backtests", "acerbi_szekely_z2_critical", asked)["critical"] == pytest.approx(-0.81, abs=0.03)


def test_a_put_and_a_call_differ_by_the_discounted_forward() -> None:
    terms = {"F": 110, "K": 100, "r": 0.05, "T": 0.5, "vol": 0.3}
    call_price, put_price = (call("black76", "black76_price", terms | {"type": side})["price"] for side in "CP")
    assert call_price - put_price == pytest.approx(10 * math.exp(-0.025))


def test_a_tracker_is_clipped_only_where_that_is_stated() -> None:
    inputs = {"base": [1] * 30, "loss": [100] * 30, "eta": 0.1, "alpha": 0.01}
    free = call("conformal", "log_quantile_tracker", inputs)
    clipped = call("conformal", "log_quantile_tracker", inputs | {"clip": 0.7})
    assert free["theta_end"] == pytest.approx(30 * 0.099)
    assert clipped["theta_end"] == 0.7
