"""The page of a backtest: what it draws is what the frame holds, and its sentences are what the tests say."""

import numpy as np
import polars as pl
import pytest
from tests.reports.forecasts import forecasts

from solvent.errors import SolventError
from solvent.models.backtests.coverage import kupiec_region
from solvent.models.backtests.summary import summarise
from solvent.reports import backtest_figures as draw
from solvent.reports.backtest import backtest_page, every_cost, every_test, headline, reading, worst, z2_critical


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return forecasts()


@pytest.fixture(scope="module")
def summary(frame: pl.DataFrame) -> pl.DataFrame:
    return summarise(frame)


def of(frame: pl.DataFrame, model: str, side: str = "long") -> pl.DataFrame:
    return frame.filter((pl.col("model") == model) & (pl.col("side") == side))


def test_the_page_has_every_part_and_needs_nothing_else(frame: pl.DataFrame) -> None:
    html = backtest_page(frame, benchmark="low", notes=["a note"], source="made up")
    for heading in (
        "Exceptions on the return series", "Coverage over time", "Margin paths", "Cost against coverage",
        "Cost at equal coverage", "Scores against low", "Live monitoring", "Every model and test",
        "Every model and its cost",
    ):  # fmt: skip
        assert f"<h2>{heading}</h2>" in html
    assert "a note" in html
    assert "made up" in html
    assert "<script src=" not in html


def test_every_exception_is_drawn_on_its_return(frame: pl.DataFrame) -> None:
    figure = draw.exceptions(frame.filter(pl.col("model") == "low"), ["BTC"])
    marks = next(trace for trace in figure.data if trace.name == "exception")
    long, short = of(frame, "low"), of(frame, "low", "short")
    beyond = [
        *(-long["loss"].filter(long["loss"] > long["margin"])),
        *short["loss"].filter(short["loss"] > short["margin"]),
    ]
    assert sorted(marks.y) == pytest.approx(sorted(beyond), abs=1e-6)
    assert len(marks.y) > 20


def test_margins_stand_on_their_sides_of_zero(frame: pl.DataFrame) -> None:
    figure = draw.exceptions(frame.filter(pl.col("model") == "right"), ["BTC"])
    lines = {trace.name: np.array(trace.y) for trace in figure.data if trace.type == "scatter"}
    assert lines["margin of a long"].max() < 0.0 < lines["margin of a short"].min()


def test_coverage_ends_at_the_count_and_the_funnel_at_its_region(frame: pl.DataFrame, summary: pl.DataFrame) -> None:
    figure = draw.coverage_over_time(frame, [("BTC", "long")], ["right", "low"], 0.99)
    ends = {trace.name: trace.y[-1] for trace in figure.data}
    assert ends["low"] == of(summary, "low")["exceptions"][0]
    assert ends["right"] == of(summary, "right")["exceptions"][0]
    assert (ends["fewest accepted"], ends["accepted by Kupiec at 5 %"]) == kupiec_region(700, 0.01)
    assert ends["low"] > ends["accepted by Kupiec at 5 %"] >= ends["right"]


def test_cost_and_coverage_are_those_of_the_summary(summary: pl.DataFrame) -> None:
    figure = draw.cost_against_coverage(summary, ["BTC"], ["right", "low"], 0.99)
    points = {(trace.x[0], trace.y[0]) for trace in figure.data}
    assert points == set(summary.select("exception_rate", "mean_margin").rows())
    assert figure.layout.shapes[0].x0 == kupiec_region(700, 0.01)[0] / 700


def test_models_that_differ_by_a_factor_cost_the_same_at_equal_coverage(summary: pl.DataFrame) -> None:
    figure = draw.cost_at_equal_coverage(summary, ["right", "low"], "right")
    assert [trace.name for trace in figure.data] == ["low"]
    assert list(figure.data[0].y) == pytest.approx([0.0, 0.0])


def test_thinning_keeps_extremes(frame: pl.DataFrame) -> None:
    rows = of(frame, "right")
    few = draw.largest_of(rows, 50)
    assert len(few) <= 50
    assert few["loss"].abs().max() == rows["loss"].abs().max()
    assert few["ts"].is_sorted()
    assert len(draw.thinned(rows, 50)) <= 50
    assert draw.largest_of(rows, 10_000).equals(rows)


def test_sentences_say_what_the_tests_say(summary: pl.DataFrame) -> None:
    right, low = (reading(of(summary, model).row(0, named=True)) for model in ("right", "low"))
    assert "as many as a right model has" in right
    assert "never alerted" in right
    assert "too many" in low
    assert "found the margin too low" in low


def test_a_margin_far_too_high_reads_as_such() -> None:
    high = forecasts().with_columns(margin=pl.col("margin") * 5)
    row = of(summarise(high), "right").row(0, named=True)
    text = reading(row)
    assert "too few" in text
    assert "Beyond the margin stood" not in text
    assert "None: every loss was within" in worst(high, "right")


def test_headline_adds_up(summary: pl.DataFrame) -> None:
    tiles = headline(summary, "low")
    mine = summary.filter(pl.col("model") == "low")
    assert tiles["exceptions"] == f"{mine['exceptions'].sum():,} of 1,400"
    assert tiles["pass Kupiec"] == "0 of 2"
    assert headline(summary, "right")["pass Kupiec"] == "2 of 2"


def test_tables_mark_refusals_and_list_the_worst_first(frame: pl.DataFrame, summary: pl.DataFrame) -> None:
    assert "0.000 *" in every_test(summary)
    assert "against right" in every_cost(summary, "right")
    assert "against" not in every_cost(summary, None)
    ratios = of(frame, "low").with_columns(ratio=pl.col("loss") / pl.col("margin"))
    first = worst(frame, "low").split("<tbody>")[1].split("</tr>")[0]
    both = max(ratios["ratio"].max(), (of(frame, "low", "short")["loss"] / of(frame, "low", "short")["margin"]).max())
    assert f"{both:.2f}" in first


def test_z2_is_marked_where_it_is_below_the_critical_value(summary: pl.DataFrame) -> None:
    critical = z2_critical(summary)
    assert list(critical) == [(700, 0.99)]
    low, right = of(summary, "low")["z2"][0], of(summary, "right")["z2"][0]
    assert low < critical[700, 0.99] < right
    assert f"{low:.2f} *" in every_test(summary)
    assert f"{right:.2f} *" not in every_test(summary)


def test_names_in_a_frame_are_text_and_no_markup() -> None:
    evil = forecasts(300).with_columns(
        asset=pl.lit("<script>x</script>"), model=pl.lit("<b>m</b>")
    ).unique(["ts", "side"], keep="first", maintain_order=True)  # fmt: skip
    html = backtest_page(evil)
    assert "<script>x" not in html
    assert "<b>m</b>" not in html


def test_what_has_no_page_is_refused(frame: pl.DataFrame) -> None:
    two = pl.concat([frame, frame.with_columns(level=pl.lit(0.95))])
    for wrong, options, field in (
        (frame.head(0), {}, "rows"),
        (frame.drop("loss"), {}, "loss"),
        (two, {}, "level"),
        (frame, {"featured": "absent"}, "featured"),
        (frame, {"benchmark": "absent"}, "benchmark"),
    ):
        with pytest.raises(SolventError) as caught:
            backtest_page(wrong, **options)
        assert field in {each.field for each in caught.value.problems}
