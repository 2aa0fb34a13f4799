"""Sweeps: ranges as they are written, the same book under each value, less margin means more shortfall."""

from pathlib import Path

import pytest
from tests.engine.crash import crash_file

from solvent.engine.replay import prepare, replay
from solvent.engine.summary import figures
from solvent.engine.sweep import Range, parse, run_sweep
from solvent.errors import SolventError


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("margin_scale=0.5:2", (0.5, 0.629961, 0.793701, 1.0, 1.25992, 1.5874, 2.0)),
        ("margin_scale=1:3:2", (1.0, 3.0)),
        ("offset_most=0:0.8:3", (0.0, 0.4, 0.8)),
    ],
)
def test_a_range_is_read_in_equal_ratios_or_steps(text: str, values: tuple[float, ...]) -> None:
    assert parse(text) == Range(text.split("=")[0], values)


@pytest.mark.parametrize(
    "text",
    ["", "margin_scale", "margin_scale=1", "margin_scale=2:1", "=1:2", "a=1:2:1", "a=1:2:101", "a=1:2:3:4", "a=x:2",
     "a=nan:2", "a=1:inf", "a=1:2:x"],
)  # fmt: skip
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SolventError, match="NAME=LO:HI"):
        parse(text)


def test_less_margin_costs_less_and_leaves_more_shortfall(tmp_path: Path) -> None:
    setup = prepare(crash_file(tmp_path), accounts=60, insurance_usd=2_000.0)
    told: list[tuple[int, int]] = []
    found = run_sweep(setup, Range("margin_scale", (0.5, 1.0, 2.0)), lambda *done: told.append(done), workers=1)
    cost, loss = found.frame["initial_margin_to_notional"].to_list(), found.frame["shortfall_usd"].to_list()
    assert cost == sorted(cost)
    assert loss == sorted(loss, reverse=True)
    assert loss[0] > loss[-1]
    assert told == [(1, 3), (2, 3), (3, 3)]
    plain = figures(replay(tmp_path / "crash.csv", accounts=60, insurance_usd=2_000.0).summary)
    assert found.frame.drop("value", "state_hash").to_dicts()[1] == {
        k: v for k, v in plain.items() if k != "state_hash"
    }


def test_processes_find_what_one_finds(tmp_path: Path) -> None:
    setup = prepare(crash_file(tmp_path, hours=34), accounts=20)
    wanted = Range("margin_scale", (1.0, 2.0))
    assert run_sweep(setup, wanted, workers=2).frame.equals(run_sweep(setup, wanted, workers=1).frame)


@pytest.mark.parametrize(
    ("name", "values"), [("nope", (1.0, 2.0)), ("steps", (1.0, 2.0)), ("margin_scale", (5.0, 50.0))]
)
def test_what_the_rule_does_not_have_or_take_is_refused_by_name(
    tmp_path: Path, name: str, values: tuple[float, ...]
) -> None:
    setup = prepare(crash_file(tmp_path, hours=4), accounts=10)
    with pytest.raises(SolventError) as caught:
        run_sweep(setup, Range(name, values), workers=1)
    assert name in str(caught.value)
    assert "margin_scale" in str(caught.value)
