"""The supervisors' table, its errors, and what stands in for it at other sizes."""

import pytest

from solvent.models.backtests.traffic_light import false_alarm, missed_alarm, traffic_light


def test_the_table_of_250_days() -> None:
    lights = [traffic_light(250, count, 0.01) for count in range(12)]
    assert [each.zone for each in lights] == ["green"] * 5 + ["yellow"] * 5 + ["red"] * 2
    assert [each.plus_factor for each in lights] == [0, 0, 0, 0, 0, 0.4, 0.5, 0.65, 0.75, 0.85, 1, 1]
    assert [each.multiplier for each in lights] == [1.5] * 5 + [1.7, 1.76, 1.83, 1.88, 1.92, 2.0, 2.0]


def test_cumulative_probabilities_of_the_table() -> None:
    printed = [0.0811, 0.2858, 0.5432, 0.7581, 0.8922, 0.9588, 0.9863, 0.9960, 0.9989, 0.9997, 0.9999]
    assert [traffic_light(250, count, 0.01).cumulative for count in range(11)] == pytest.approx(printed, abs=6e-5)


def test_a_published_sample() -> None:
    found = traffic_light(1043, 57, 0.05)
    assert (found.zone, found.cumulative, found.type_one) == ("green", *map(approx, (0.77913, 0.26396)))


def test_both_errors_of_the_green_zone() -> None:
    """A model of 3 % passes for one of 1 % in 12.8 % of all years: why 250 days are not enough."""
    assert false_alarm(250, 4, 0.01) == pytest.approx(0.108, abs=6e-4)
    assert missed_alarm(250, 4, 0.03) == pytest.approx(0.128, abs=6e-4)


def test_elsewhere_factors_rise_through_the_yellow_zone() -> None:
    plus = [traffic_light(500, count, 0.01).plus_factor for count in range(20)]
    assert plus == sorted(plus)
    assert (plus[0], plus[-1]) == (0.0, 1.0)
    yellow = [x for x in plus if 0.0 < x < 1.0]
    assert len(yellow) >= 5
    assert min(yellow) > 0.2


def test_a_model_that_fails_every_other_day_is_red_and_has_the_full_factor() -> None:
    assert traffic_light(100, 60, 0.5).plus_factor in (0.0, 1.0)
    assert traffic_light(100, 90, 0.5).zone == "red"


def approx(value: float) -> object:
    return pytest.approx(value, abs=2e-5)
