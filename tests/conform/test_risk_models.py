"""Cases of tail models: the reference files pass, other inputs work, wrong numbers fail."""

import math
from pathlib import Path

import pytest

from solvent.conform.cases import all_cases
from solvent.conform.core import Report, VectorFile, read, run
from solvent.conform.risk_models import CASES
from solvent.conform.series import percent_returns

SUITES = ("var_textbook", "volatility_models")


def found(suite: str, fn: str, **inputs: object) -> dict:
    return dict(CASES[suite, fn]({"fn": fn, "inputs": inputs}, {}))


@pytest.mark.parametrize("suite", SUITES)
def test_the_reference_files_pass(shared: Path, suite: str) -> None:
    pytest.importorskip("arch", reason="needs the extra `models`")
    report = run(read([shared / "vectors" / "risk" / f"{suite}.json"]), CASES)
    assert report.is_clean, [row.reasons for row in report.rows if row.status != "passed"]


def test_a_wrong_number_fails(shared: Path) -> None:
    file = read([shared / "vectors" / "risk" / "var_textbook.json"])[0]
    import msgspec

    vectors = tuple(
        msgspec.structs.replace(each, expected={"VaR": each.expected["VaR"] + 2})
        for each in file.vectors
        if each.fn == "var_normal"
    )
    report: Report = run([VectorFile(file.file, file.family, file.suite, file.tables, vectors)], CASES)
    assert report.totals["failed"] == len(vectors) > 0


def test_they_are_known_to_the_command() -> None:
    assert CASES.keys() <= all_cases().keys()


def test_single_values_and_lists_are_both_taken() -> None:
    assert found("volatility_models", "ewma_effective_days", lambda_=0.94)["days"] == 74
    assert found("var_textbook", "age_weights", lambda_=0.5, window=2, age=2)["weight"] == pytest.approx(1 / 3)
    assert len(found("var_textbook", "age_weights", lambda_=1.0, window=4)["weight"]) == 4
    evt = found("var_textbook", "evt_pot", u=1.0, beta=0.5, xi=0.0, n=100, n_u=10, q=0.99)
    assert evt["VaR"] == pytest.approx(1.0 + 0.5 * math.log(10))


def test_an_infinite_shortfall_is_null() -> None:
    assert found("var_textbook", "evt_pot", u=1.0, beta=0.5, xi=1.2, n=100, n_u=10, q=[0.99])["ES"] == [None]


def test_a_variance_without_a_mean_is_null() -> None:
    update = found("volatility_models", "garch_update", omega=1e-6, alpha=0.2, beta=0.8, sigma_prev=0.01, u_prev=0.0)
    assert update["long_run_var"] is None


@pytest.mark.parametrize(
    ("spec", "likelihood"),
    [
        ("GARCH(1,1) const mean normal", -6936.72),
        ({"o": 1}, -6822.88),
        ("TARCH(1,1,1)", -6799.18),
        ({"o": 1, "power": 1.0, "dist": "StudentsT"}, -6722.15),
    ],
)
def test_the_models_of_archs_documentation(spec: object, likelihood: float) -> None:
    pytest.importorskip("arch", reason="needs the extra `models`")
    data = "arch.data.sp500 Adj Close 1999-01-04..2018-12-31, 100*pct_change, n=5030"
    assert len(percent_returns(data)) == 5030
    fit = found("volatility_models", "arch_fit_published", data=data, spec=spec, backcast="arch default")
    assert fit["loglik"] == pytest.approx(likelihood, abs=0.01)


def test_data_may_be_numbers_and_unknown_words_are_refused() -> None:
    assert percent_returns([1, -2.5]).tolist() == [1.0, -2.5]
    with pytest.raises(ValueError, match="DEM/GBP"):
        percent_returns("some series")
