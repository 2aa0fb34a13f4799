"""Volatility surfaces: the closed formula, interpolation in time, no-arbitrage checks, quotes, serialisation."""

import itertools
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.errors import SolventError
from solvent.valuation.surfaces import GridSurface, Surface, SviSlice, SviSurface

# Smiles like those of BTC options: total variance that grows with time, puts dearer than calls.
SVI = SviSurface(
    (
        SviSlice(years=0.02, a=0.004, b=0.03, rho=-0.2, m=0.01, sigma=0.1),
        SviSlice(years=0.25, a=0.06, b=0.12, rho=-0.25, m=0.02, sigma=0.3),
        SviSlice(years=1.0, a=0.25, b=0.25, rho=-0.3, m=0.05, sigma=0.5),
    )
)
GRID = GridSurface(
    years=(0.1, 0.5),
    log_moneyness=((-0.2, 0.0, 0.2), (-0.5, 0.5)),
    vols=((0.9, 0.7, 0.8), (0.85, 0.75)),
)


def test_svi_equals_the_closed_formula_on_its_expiries() -> None:
    for smile in SVI.slices:
        for k in (-2.0, -0.3, 0.0, 0.02, 0.7, 2.0):
            root = math.sqrt((k - smile.m) ** 2 + smile.sigma**2)
            w = smile.a + smile.b * (smile.rho * (k - smile.m) + root)
            assert SVI.vol(k, smile.years) == pytest.approx(math.sqrt(w / smile.years), rel=1e-14)


@pytest.mark.parametrize("surface", [SVI, GRID])
def test_total_variance_is_linear_in_time_and_volatility_flat_outside(surface: Surface) -> None:
    years = [smile.years for smile in surface.slices] if isinstance(surface, SviSurface) else surface.years
    k = np.linspace(-0.6, 0.6, 7)
    for before, after in itertools.pairwise(years):
        w_before, w_after = (surface.vol(k, t) ** 2 * t for t in (before, after))
        for share in (0.25, 0.9):
            t = (1 - share) * before + share * after
            np.testing.assert_allclose(surface.vol(k, t) ** 2 * t, (1 - share) * w_before + share * w_after)
    for t, edge in ((-1.0, years[0]), (0.0, years[0]), (years[0] / 9, years[0]), (9.0, years[-1])):
        np.testing.assert_array_equal(surface.vol(k, t), surface.vol(k, edge))


def test_grid_returns_its_quotes_is_linear_in_variance_between_and_flat_in_the_wings() -> None:
    for t, nodes, vols in zip(GRID.years, GRID.log_moneyness, GRID.vols, strict=True):
        np.testing.assert_allclose(GRID.vol(nodes, t), vols, rtol=1e-14)
    assert GRID.vol(0.1, 0.1) == pytest.approx(math.sqrt((0.7**2 + 0.8**2) / 2))
    np.testing.assert_allclose(GRID.vol([-9.0, 9.0], 0.1), [0.9, 0.8])


@pytest.mark.parametrize("surface", [SVI, GRID])
def test_shapes_broadcast_and_points_do_not_depend_on_each_other(surface: Surface) -> None:
    k, t = np.linspace(-1.0, 1.0, 5)[:, None], np.array([0.0, 0.02, 0.3, 0.5, 2.0])
    grid = surface.vol(k, t)
    assert grid.shape == (5, 5)
    singles = [[float(surface.vol(float(a), float(b))) for b in t] for a in k[:, 0]]
    np.testing.assert_array_equal(grid, singles)
    assert surface.vol(0.1, 0.3).shape == ()
    assert surface.vol([], []).shape == (0,)
    assert np.isnan(surface.vol([np.nan, 0.0], [0.1, np.nan])).all()


@pytest.mark.parametrize("surface", [SVI, GRID])
def test_surfaces_survive_json(surface: Surface) -> None:
    text = msgspec.json.encode(surface)
    assert msgspec.json.decode(text, type=Surface) == surface
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text.replace(b'"years"', b'"year"'), type=Surface)


slices = st.builds(
    SviSlice,
    years=st.just(0.1),
    a=st.floats(0.001, 0.3),
    b=st.floats(0.0, 0.5),
    rho=st.floats(-0.9, 0.9),
    m=st.floats(-0.3, 0.3),
    sigma=st.floats(0.01, 1.0),
)


@given(first=slices, rises=st.lists(st.floats(0.0, 0.5), min_size=1, max_size=3), data=st.data())
def test_svi_volatility_is_positive_and_total_variance_never_falls(
    first: SviSlice, rises: list[float], data: st.DataObject
) -> None:
    surface = SviSurface(
        (
            first,
            *(
                msgspec.structs.replace(first, years=0.1 * 2**i, a=first.a + sum(rises[:i]))
                for i in range(1, len(rises) + 1)
            ),
        )
    )
    assert surface.check() == []
    points = data.draw(st.lists(st.floats(0.001, 3.0), min_size=2, max_size=6).map(sorted))
    k = np.linspace(-2.0, 2.0, 9)
    vols = surface.vol(k[:, None], np.array(points))
    assert (vols > 0.0).all()
    assert (np.diff(vols**2 * points, axis=1) >= -1e-12).all()


@given(
    data=st.data(),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_grid_volatility_is_positive_and_total_variance_never_falls(
    data: st.DataObject, shape: tuple[int, int]
) -> None:
    expiries, strikes = shape
    years = [0.1 * (i + 1) for i in range(expiries)]
    nodes = tuple(np.linspace(-0.5, 0.5, strikes).tolist()) if strikes > 1 else (0.0,)
    w = np.zeros(strikes)
    rows = []
    for t in years:
        w = w + data.draw(st.lists(st.floats(0.001, 0.5), min_size=strikes, max_size=strikes).map(np.array))
        rows.append(tuple(np.sqrt(w / t).tolist()))
    surface = GridSurface(tuple(years), (nodes,) * expiries, tuple(rows))
    assert surface.check() == []
    t = np.linspace(0.01, 0.6, 25)
    vols = surface.vol(np.linspace(-0.8, 0.8, 9)[:, None], t)
    assert (vols > 0.0).all()
    assert (np.diff(vols**2 * t, axis=1) >= -1e-12).all()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"b": -0.1}, "b"),
        ({"rho": 1.0}, "rho"),
        ({"rho": math.nan}, "rho"),
        ({"sigma": 0.0}, "sigma"),
        ({"years": 0.0}, "years"),
        ({"m": math.inf}, "m"),
        ({"a": -0.2}, "a"),
        ({"b": 1.7}, "b"),
    ],
)
def test_check_names_what_is_wrong_with_an_svi_slice(change: dict[str, float], field: str) -> None:
    assert SVI.check() == []
    wrong = msgspec.structs.replace(SVI.slices[1], **change)
    problems = SviSurface((SVI.slices[0], wrong)).check("surface.json")
    assert (problems[0].row, problems[0].field, problems[0].file) == (2, field, "surface.json")


def test_check_finds_calendar_arbitrage_and_expiries_out_of_order() -> None:
    early, late = SVI.slices[1], SVI.slices[2]
    cheap = msgspec.structs.replace(late, a=0.01, b=0.05)
    problems = SviSurface((early, cheap)).check()
    assert [(each.row, each.field) for each in problems] == [(2, "years")]
    assert "total variance" in problems[0].accepted
    assert SviSurface((late, early)).check()[0].accepted == "finite and rising"
    assert SviSurface(()).check()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"years": (0.5, 0.1)}, "years"),
        ({"years": (0.0, 0.5)}, "years"),
        ({"years": (0.1,)}, "years, log_moneyness, vols"),
        ({"log_moneyness": ((0.0, -0.2, 0.2), (-0.5, 0.5))}, "log_moneyness"),
        ({"vols": ((0.9, 0.0, 0.8), (0.85, 0.75))}, "vols"),
        ({"vols": ((0.9, 0.7), (0.85, 0.75))}, "vols"),
        ({"vols": ((0.9, 0.7, 0.8), (0.2, 0.2))}, "years"),
    ],
)
def test_check_names_what_is_wrong_with_a_grid(change: dict[str, tuple[object, ...]], field: str) -> None:
    assert GRID.check() == []
    assert [each.field for each in msgspec.structs.replace(GRID, **change).check()] == [field]


def test_quotes_in_any_order_make_a_grid() -> None:
    rows = [
        (110.0, 0.5, 0.65, 101.0),
        (90.0, 0.1, 0.80, 100.0),
        (110.0, 0.1, 0.60, 100.0),
        (110.0, 0.1, 0.64, 100.0),  # call and put of one strike
        (80.0, 0.5, 0.75, 101.0),
    ]
    surface = GridSurface.from_quotes(*zip(*rows, strict=True))
    assert surface.years == (0.1, 0.5)
    assert surface.log_moneyness[0] == pytest.approx((math.log(0.9), math.log(1.1)))
    assert surface.vols[0] == pytest.approx((0.80, 0.62))
    assert surface.vol(math.log(80.0 / 101.0), 0.5) == pytest.approx(0.75)
    assert surface.check() == []


def test_every_bad_quote_is_named_at_once() -> None:
    with pytest.raises(SolventError) as caught:
        GridSurface.from_quotes([100.0, -1.0, 100.0], [0.1, 0.1, 0.0], [0.5, 0.5, math.nan], 100.0, file="q.csv")
    found = {(each.file, each.row, each.field) for each in caught.value.problems}
    assert found == {("q.csv", 2, "strike"), ("q.csv", 3, "years"), ("q.csv", 3, "vol")}
    with pytest.raises(SolventError, match="at least one quote"):
        GridSurface.from_quotes([], [], [], [])
