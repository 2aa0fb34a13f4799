"""Price guards: each rejection and state with its reason, and what a minority of sources can never do."""

import itertools
import math
import time

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from solvent.valuation.guards import (
    FEW_SOURCES,
    FUTURE,
    NO_MAJORITY,
    NO_SOURCE,
    NOT_A_PRICE,
    OUTSIDE_BAND,
    OUTSIDE_SLOW_BAND,
    OWN_BOOK,
    STALE,
    WIDE_SPREAD,
    OracleParams,
    Source,
    capped_weights,
    guard,
    slow_price,
    weighted_median,
)

PARAMS = OracleParams()
DAY_S = 86_400.0


def sources(*prices: float) -> list[Source]:
    return [Source(f"venue {i}", price) for i, price in enumerate(prices)]


def rejections(found: object) -> list[str]:
    return [verdict.rejected for verdict in found.sources]  # type: ignore[attr-defined]


def test_median_of_agreeing_sources_is_ok() -> None:
    found = guard([Source("a", 100.0, 3.0, confidence=0.002), Source("b", 101.0, 1.0), Source("c", 100.5, 2.0)], PARAMS)
    assert (found.price, found.state, found.reason, found.age_s) == (100.5, "ok", "", 1.0)
    assert found.severity_price == found.price
    assert found.confidence == pytest.approx(0.005)  # half of the 1 % between them
    assert rejections(found) == ["", "", ""]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (Source("bad", 100.0, -2.5), FUTURE),
        (Source("bad", 100.0, -math.inf), FUTURE),
        (Source("bad", 100.0, 61.0), STALE),
        (Source("bad", 100.0, math.nan), STALE),
        (Source("bad", 0.0), NOT_A_PRICE),
        (Source("bad", -1.0), NOT_A_PRICE),
        (Source("bad", math.nan), NOT_A_PRICE),
        (Source("bad", math.inf), NOT_A_PRICE),
        (Source("bad", 100.0, weight=0.0), NOT_A_PRICE),
        (Source("bad", 100.0, confidence=math.nan), NOT_A_PRICE),
        (Source("bad", 100.0, own_book=True), OWN_BOOK),
        (Source("bad", 110.0), OUTSIDE_BAND),
        (Source("bad", 90.0), OUTSIDE_BAND),
    ],
)
def test_a_bad_source_is_rejected_with_its_reason_and_changes_nothing(source: Source, reason: str) -> None:
    good = sources(100.0, 100.2, 100.4)
    without, found = guard(good, PARAMS), guard([source, *good], PARAMS)
    assert rejections(found) == [reason, "", "", ""]
    assert (found.price, found.state, found.confidence) == (without.price, without.state, without.confidence)


def test_limits_themselves_are_accepted() -> None:
    found = guard([Source("a", 100.0, -2.0), Source("b", 100.0, 60.0), Source("c", 103.9, 0.0)], PARAMS)
    assert (found.state, rejections(found)) == ("ok", ["", "", ""])


def test_sources_of_one_origin_count_as_one() -> None:
    copies = [Source(f"copy {i}", 104.0, origin="one feed") for i in range(5)]
    found = guard([*sources(100.0, 100.0), *copies], PARAMS)
    assert found.price == 100.0
    # The same five, taken as independent, would have been the majority.
    independent = guard([*sources(100.0, 100.0), *[Source(f"v{i}", 104.0) for i in range(5)]], PARAMS)
    assert independent.price == 104.0
    # And one origin is one source where a minimum is asked for.
    assert guard(copies, PARAMS).reason == FEW_SOURCES


def test_weights_are_capped() -> None:
    heavy = [Source("heavy", 103.0, weight=100.0), *sources(100.0, 100.4, 100.8)]
    assert guard(heavy, PARAMS).price == pytest.approx(0.5 * (100.8 + 103.0))  # half of the weight, never more
    assert guard(heavy, OracleParams(source_weight_max=0.4)).price == 100.8
    assert capped_weights([100.0, 1.0, 1.0, 2.0], 0.5) == [4.0, 1.0, 1.0, 2.0]
    assert capped_weights([7.0, 1.0], 0.5) == [1.0, 1.0]
    assert capped_weights([1.0, 1.0, 1.0], 0.5) == [1.0, 1.0, 1.0]


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=8), st.floats(0.05, 1.0))
def test_capped_weights_hold_the_cap_and_never_raise_a_weight(weights: list[float], most: float) -> None:
    found = capped_weights(weights, most)
    assert max(found) <= max(most, 1 / len(weights)) * sum(found) * (1 + 1e-9)
    if len(weights) * most > 1.0:
        assert all(cut <= weight for cut, weight in zip(found, weights, strict=True))


def test_own_book_has_bounded_weight_in_marks_and_none_in_collateral() -> None:
    own = Source("us", 104.0, weight=50.0, own_book=True)
    others = sources(100.0, 101.0, 102.0)
    assert rejections(guard([own, *others], PARAMS)) == [OWN_BOOK, "", "", ""]
    found = guard([own, *others], PARAMS, own_book_counts=True)
    assert rejections(found) == ["", "", "", ""]
    assert found.price == pytest.approx(101.5)  # a quarter of the weight: as one of four
    twice = guard([own, msgspec.structs.replace(own, name="us again"), *others], PARAMS, own_book_counts=True)
    assert twice.price == found.price
    alone = guard([own], PARAMS, own_book_counts=True)
    assert (alone.state, alone.reason, rejections(alone)) == ("halted", NO_SOURCE, [OWN_BOOK])


def test_a_move_that_all_share_is_accepted() -> None:
    before = guard(sources(100.0, 100.2, 99.9), PARAMS)
    after = guard(sources(60.0, 60.12, 59.94), PARAMS, last_price=before.price, last_age_s=1.0, slow_price=100.0)
    assert (after.state, after.price) == ("ok", 60.0)


def test_too_few_sources_degrade_to_the_last_good_price_while_it_is_young() -> None:
    one = sources(90.0)
    young = guard(one, PARAMS, last_price=100.0, last_age_s=30.0)
    assert (young.price, young.state, young.reason, young.age_s) == (100.0, "degraded", FEW_SOURCES, 30.0)
    old = guard(one, PARAMS, last_price=100.0, last_age_s=601.0)
    assert (old.price, old.state) == (90.0, "degraded")
    never = guard(one, PARAMS)
    assert (never.price, never.state, never.severity_price) == (90.0, "degraded", None)
    assert guard(one, OracleParams(minimum_sources=1)).state == "ok"


def test_two_that_disagree_are_neither_believed() -> None:
    found = guard(sources(100.0, 120.0), PARAMS, last_price=101.0, last_age_s=5.0)
    assert (found.state, found.reason, found.price) == ("degraded", NO_MAJORITY, 101.0)
    assert rejections(found) == [OUTSIDE_BAND, OUTSIDE_BAND]
    assert guard(sources(100.0, 120.0), PARAMS).price == 110.0


def test_half_against_half_is_no_majority() -> None:
    found = guard(sources(100.0, 101.0, 50.0, 50.0), PARAMS, last_price=100.0)
    assert (found.state, found.reason, found.price) == ("degraded", NO_MAJORITY, 100.0)


def test_wide_spread_and_the_slow_band_degrade() -> None:
    assert guard(sources(100.0, 104.5), PARAMS).reason == WIDE_SPREAD
    crash = sources(49.0, 49.1, 49.2)
    found = guard(crash, PARAMS, last_price=51.0, last_age_s=1.0, slow_price=100.0)
    assert (found.state, found.reason, found.price) == ("degraded", OUTSIDE_SLOW_BAND, 51.0)
    assert guard(crash, PARAMS, slow_price=98.0).state == "ok"


def test_without_a_fresh_source_the_last_price_stands_for_ten_minutes() -> None:
    stale = [Source("a", 100.0, 61.0)]
    found = guard(stale, PARAMS, last_price=100.0, last_age_s=600.0)
    assert (found.price, found.state, found.reason, found.severity_price) == (100.0, "halted", NO_SOURCE, 100.0)
    gone = guard(stale, PARAMS, last_price=100.0, last_age_s=600.1)
    assert (gone.price, gone.state, gone.severity_price) == (None, "halted", None)
    assert guard([], PARAMS).price is None


@pytest.mark.parametrize(("suspect", "severity"), [(50.0, 100 / 1.05), (99.0, 99.0), (200.0, 105.0)])
def test_severity_is_measured_inside_the_band_of_the_last_good_price(suspect: float, severity: float) -> None:
    found = guard(sources(suspect), PARAMS, last_price=100.0, last_age_s=1.0)
    assert found.severity_price == pytest.approx(severity)


def test_confidence_grows_with_age_past_the_soft_limit() -> None:
    ages = [0.0, 15.0, 25.0, 55.0]
    found = [guard([Source("a", 1.0, age), Source("b", 1.0, age)], PARAMS).confidence for age in ages]
    assert found == pytest.approx([0.0, 0.0, 0.001, 0.004])
    assert guard([], PARAMS, last_price=1.0, last_age_s=315.0).confidence == pytest.approx(0.03)


def test_weighted_median_by_hand() -> None:
    assert weighted_median([]) is None
    assert weighted_median([(3.0, 2.0)]) == 3.0
    assert weighted_median([(1.0, 1.0), (2.0, 1.0)]) == 1.5
    assert weighted_median([(9.0, 1.0), (1.0, 3.0), (2.0, 1.0)]) == 1.0
    assert weighted_median([(4.0, 1.0), (1.0, 1.0), (2.0, 2.0)]) == 2.0


honest_prices = st.lists(st.floats(99.0, 101.0), min_size=2, max_size=5)
any_price = st.one_of(st.floats(), st.floats(90.0, 112.0), st.floats(1e-6, 1e9))


@given(honest=honest_prices, data=st.data())
def test_a_minority_never_moves_the_price_outside_the_band(honest: list[float], data: st.DataObject) -> None:
    liars = data.draw(st.lists(any_price, max_size=len(honest) - 1))
    everyone = [*sources(*honest), *[Source(f"liar {i}", price) for i, price in enumerate(liars)]]
    found = guard(everyone, PARAMS)
    low, high = min(honest) / (1 + PARAMS.band), max(honest) * (1 + PARAMS.band)
    assert found.price is not None
    assert low <= found.price <= high
    # Nor does it get a true source rejected, and whoever is far off is named.
    assert rejections(found)[: len(honest)] == [""] * len(honest)
    for verdict in found.sources[len(honest) :]:
        far = not low / 1.06 <= verdict.price <= high * 1.06
        assert verdict.rejected in (OUTSIDE_BAND, NOT_A_PRICE) or not far


@given(
    honest=st.lists(st.tuples(st.floats(99.0, 101.0), st.floats(0.1, 10.0)), min_size=1, max_size=4),
    liars=st.lists(st.tuples(any_price, st.floats(0.1, 10.0)), max_size=4),
)
def test_an_ok_price_is_near_an_honest_one_whatever_the_weights(
    honest: list[tuple[float, float]], liars: list[tuple[float, float]]
) -> None:
    everyone = [Source(f"true {i}", price, weight=weight) for i, (price, weight) in enumerate(honest)]
    everyone += [Source(f"liar {i}", price, weight=weight) for i, (price, weight) in enumerate(liars)]
    weights = capped_weights([each.weight for each in everyone], PARAMS.source_weight_max)
    assume(2 * sum(weights[: len(honest)]) > sum(weights))
    found = guard(everyone, OracleParams(minimum_sources=1))
    assume(found.state == "ok")
    assert found.price is not None
    assert 99.0 / (1 + PARAMS.band) <= found.price <= 101.0 * (1 + PARAMS.band)


def test_control_a_majority_does_move_the_price() -> None:
    assert guard([*sources(100.0, 100.0), *[Source(f"l{i}", 150.0) for i in range(3)]], PARAMS).price == 150.0


@given(
    st.lists(st.tuples(st.floats(80.0, 120.0), st.floats(-5.0, 70.0), st.floats(0.5, 4.0)), max_size=4, unique=True),
)
def test_order_and_scale_do_not_matter(rows: list[tuple[float, float, float]]) -> None:
    everyone = [Source(f"s{i}", price, age, weight=weight) for i, (price, age, weight) in enumerate(rows)]
    found = guard(everyone, PARAMS)
    for order in itertools.permutations(everyone):
        other = guard(order, PARAMS)
        assert (other.price, other.state, other.reason) == (found.price, found.state, found.reason)
    moved = [msgspec.structs.replace(each, price=each.price * 2.0) for each in everyone]
    assert guard(moved, PARAMS).price == (None if found.price is None else 2.0 * found.price)


def test_slow_price_lags_a_day_and_is_limited_to_six_percent_an_hour() -> None:
    # A small step: after a day 1 - 1/e of it has arrived.
    assert math.log(slow_price(100.0, 101.0, DAY_S) / 100.0) == pytest.approx(math.log(1.01) * (1 - math.exp(-1)))
    # A spike of one hour to twice the price lifts it by about a twenty-fourth of the move.
    assert slow_price(100.0, 200.0, 3_600.0) == pytest.approx(100.0 * 2 ** (1 / 24.5), rel=1e-3)
    # Ten times the price: the rate limit binds, up and down.
    assert slow_price(100.0, 1_000.0, 3_600.0) == pytest.approx(106.0)
    assert slow_price(100.0, 10.0, 3_600.0) == pytest.approx(100.0 / 1.06)
    assert slow_price(100.0, 120.0, 0.0) == 100.0
    assert slow_price(100.0, 120.0, 1e9) == pytest.approx(120.0)


@given(
    previous=st.floats(1e-6, 1e6),
    move=st.floats(-6.0, 6.0),
    first=st.floats(0.0, 2 * DAY_S),
    second=st.floats(0.0, 2 * DAY_S),
)
def test_slow_price_composes_stays_between_and_keeps_its_limit(
    previous: float, move: float, first: float, second: float
) -> None:
    price = previous * math.exp(move)
    at_once = slow_price(previous, price, first + second)
    assert slow_price(slow_price(previous, price, first), price, second) == pytest.approx(at_once, rel=1e-9)
    assert min(previous, price) * (1 - 1e-12) <= at_once <= max(previous, price) * (1 + 1e-12)
    most = math.log(1.06) * (first + second) / 3_600.0
    assert abs(math.log(at_once / previous)) <= most + 1e-9


def test_default_limits_are_safe_and_every_unsafe_one_is_named() -> None:
    assert PARAMS.check() == []
    assert OracleParams(minimum_sources=1, source_weight_max=1.0).check() == []
    unsafe = {
        "soft_age_s": [0.0, 61.0],
        "fresh_age_s": [700.0],
        "halt_age_s": [601.0],
        "skew_s": [-1.0, 61.0],
        "minimum_sources": [0],
        "source_weight_max": [0.0, 0.51],
        "own_book_weight_max": [-0.1, 0.5],
        "band": [0.0, 0.51],
        "spread_max": [0.0, 1.1],
        "slow_band": [0.04, 11.0],
        "degraded_health": [0.0, 1.01],
        "slow_delay_s": [0.0, math.inf],
        "slow_rate_hourly": [0.0, 1.01],
        "confidence_growth_per_s": [-0.1, 0.02],
    }
    assert set(unsafe) == set(OracleParams.__struct_fields__)
    for name, values in unsafe.items():
        for value in [*values, *([math.nan] if name != "minimum_sources" else [])]:
            fields = {each.field for each in OracleParams(**{name: value}).check("policy.toml")}
            assert f"oracle.{name}" in fields, (name, value)


def test_structs_survive_serialisation() -> None:
    found = guard(sources(100.0, 120.0, 100.1), PARAMS, last_price=100.0)
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found
    assert msgspec.json.decode(msgspec.json.encode(PARAMS), type=OracleParams) == PARAMS
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"fresh_age": 5}', type=OracleParams)


def test_fast_enough_for_every_tick() -> None:
    """Ten assets x 772 ticks in 0.3 s; here a tenth of that, with room for a busy machine."""
    three = sources(100.0, 100.1, 120.0)
    best = math.inf
    for _ in range(3):
        start = time.perf_counter()
        for _ in range(772):
            guard(three, PARAMS, last_price=100.0, last_age_s=1.0, slow_price=100.0)
            slow_price(100.0, 101.0, 60.0)
        best = min(best, time.perf_counter() - start)
    assert best < 0.1
