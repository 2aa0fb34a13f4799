"""Cases of derivatives venues: every published vector is known and passes; inputs in other forms mean the same."""

from pathlib import Path
from typing import Any

import pytest

from solvent.conform.core import read, run
from solvent.conform.derivatives import CASES
from solvent.conform.derivatives_chains import mango_banks


def test_every_vector_is_known_and_passes(shared: Path) -> None:
    report = run(read([shared / "vectors" / "derivatives"]), CASES)
    assert [row.id for row in report.rows if row.status != "passed"] == []
    assert {(row.suite, row.fn) for row in report.rows} == set(CASES)


def found(suite: str, fn: str, inputs: Any = None, tables: Any = None, **vector: Any) -> Any:
    return CASES[suite, fn]({"fn": fn, "inputs": inputs, **vector}, tables or {})


def test_integers_may_be_text() -> None:
    inputs = {"base_1e6": "20000", "max_1e6": "50000", "last_active_slot": "0", "slot": "10000"}
    assert found("drift_v2", "liquidation_fee_by_age", inputs) == 30_000


def test_an_unbounded_amount_is_max() -> None:
    inputs = {"shortage_1e6": 1, "margin_ratio_1e4": 1, "liq_fee_1e6": 100, "if_fee_1e6": 0, "oracle_1e6": 10**6}
    assert found("drift_v2", "base_to_cover_margin_shortage", inputs) == "MAX"


@pytest.mark.parametrize(
    "banks",
    [
        {"t2": {"deposits": 5, "dstart": 7}},
        {"2": {"deposits": 5, "dstart": 7}},
        [{}, {"deposits": 5, "dstart": 7}],
        [None, [5, 0, 7]],
    ],
)
def test_banks_may_be_listed_or_named(banks: Any) -> None:
    row = mango_banks(banks)["t2"]
    assert (row["deposits"], row["dstart"]) == (5, 7)
    assert mango_banks(None) == {}


def test_a_step_without_new_marks_goes_on_from_the_last() -> None:
    params = {
        "starting_mtm_pct": 0.98,
        "fast_cutoff_pct": 0.8,
        "fast_length": 100,
        "slow_length": 14_400,
        "insolvent_length": 600,
        "liquidator_fee_rate": 0.02,
        "buffer_margin_pct": 0.2,
    }
    first = {"seconds_since_start": 0, "mtm": 119.3, "mm": -103.0, "percent_wanted": 0.05}
    one, two = found(
        "derive_auction",
        "dutch_auction",
        tables={"params": params},
        steps=[first, {"seconds_since_start": 0, "percent_wanted": 1.0}],
    )
    assert two["buffer_margin"] == one["post_bm"]
    assert two["max_fraction"] == one["post_max_fraction"]
    assert two["post_bm"] == pytest.approx(0.0, abs=1e-9)


def test_an_option_without_a_vol_takes_it_from_the_smile(shared: Path) -> None:
    file = read([shared / "vectors" / "derivatives" / "derive_pmrm2.json"])[0]
    vector = file.vectors[4].seen
    portfolio = file.tables["portfolios"][vector["portfolio"]]
    expiries = [
        {**expiry, "options": [{k: v for k, v in option.items() if k != "vol"} for option in expiry["options"]]}
        for expiry in portfolio["expiries"]
    ]
    bare = {**file.tables, "portfolios": {vector["portfolio"]: {**portfolio, "expiries": expiries}}}
    case = CASES["derive_pmrm2", "pmrm2_margin"]
    assert len(expiries) == 3
    assert case(vector, bare)["IM"] == pytest.approx(case(vector, file.tables)["IM"], rel=1e-9)
