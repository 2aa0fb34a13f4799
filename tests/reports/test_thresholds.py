"""The page of thresholds: the curve as it was found, its limits, the choice and why not more."""

import numpy as np
import pytest

from solvent.lab.kernel_loans import BAD_DEBT, OUTPUTS, REPAID
from solvent.lab.thresholds import Threshold, curve_frame
from solvent.reports.thresholds import curve_figure, thresholds_page


@pytest.fixture
def found() -> Threshold:
    grid = np.array([0.5, 0.6, 0.7])
    results = np.zeros((3, 200, OUTPUTS))
    results[:, :, REPAID] = 10.0
    results[2, :30, BAD_DEBT] = 5.0
    curve = curve_frame(grid, results, 100.0, 0.05)
    return Threshold("E<TH", 0.6, 0.55, 0.05, 0.95, 0.65, ("at 70%: 95% tail",), curve)


def test_the_curve_is_drawn_with_intervals_limits_and_choice(found: Threshold) -> None:
    figure = curve_figure(found)
    lines = {trace.name: trace for trace in figure.data if trace.name}
    assert set(lines) == {"99 % tail", "95 % tail", "mean"}
    assert list(lines["99 % tail"].y) == [0, 0, 0.05]
    assert list(lines["mean"].y) == pytest.approx([0, 0, 0.0075])
    levels = [shape.y0 for shape in figure.layout.shapes if shape.y0 == shape.y1]
    assert sorted(levels) == [0.001, 0.01]
    assert [shape.x0 for shape in figure.layout.shapes if shape.x0 == shape.x1] == [0.6, 0.65]


def test_the_page_says_what_was_chosen_and_why_not_more(found: Threshold) -> None:
    text = thresholds_page([found], "200 days")
    assert "<h2>E&lt;TH</h2>" in text
    assert "<b>60%</b><span>liquidation threshold</span>" in text
    assert "Not higher: at 70%: 95% tail." in text
    assert found.curve["passes"].to_list() == [True, True, False]
