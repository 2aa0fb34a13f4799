"""Paired timing with a clock of our own: order alternates, ratios are taken round by round."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def paired() -> ModuleType:
    spec = importlib.util.spec_from_file_location("paired", FOLDER / "paired.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Clock:
    """Advances only when a candidate runs; the machine gets slower with every round."""

    def __init__(self) -> None:
        self.now = 0.0
        self.runs: list[str] = []

    def takes(self, name: str, seconds: float) -> None:
        self.runs.append(name)
        self.now += seconds * (1 + len(self.runs) // 2)


def test_ratios_hold_on_a_machine_that_slows_down(paired: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(paired.time, "perf_counter", lambda: clock.now)
    slow, fast = lambda: clock.takes("slow", 0.6), lambda: clock.takes("fast", 0.2)
    baseline, other = paired.paired({"fast": fast, "slow": slow}, rounds=11, warm_ups=1)
    assert clock.runs[:8] == ["fast", "slow", "fast", "slow", "slow", "fast", "fast", "slow"]
    assert (baseline.name, baseline.ratio, other.name) == ("fast", 1.0, "slow")
    assert other.ratio == pytest.approx(3.0, rel=0.15)
    assert other.ratio_low <= other.ratio <= other.ratio_high
    # The absolute times of the same run differ by much more than that.
    assert other.median_ms > 3 * other.best_ms / 2


def test_report_prints_a_table_or_one_json_object(paired: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    timings = paired.paired({"one": lambda: None, "two": lambda: sum(range(100))}, rounds=3)
    paired.report("title", timings, facts={"rows": 7})
    table = capsys.readouterr().out
    assert all(word in table for word in ("title", "one", "two", "median ms", "rows: 7"))
    paired.report("title", timings, facts={"rows": 7}, as_json=True)
    read = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in read["timings"]] == ["one", "two"]
    assert read["facts"] == {"rows": 7}
    assert read["machine"]["processors"] >= 1
