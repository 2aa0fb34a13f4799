"""The fused kernels against numpy: worst scenario by rows and with linear instruments folded, expected shortfall."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from solvent.margin import kernel
from solvent.margin.kernel import add_rows, highest, tail_mean, worst_folded, worst_rows

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Case:
    """A random book of accounts x instruments over scenarios; lots and values are small whole numbers.

    All sums are then exact in floats, so that every order of adding gives the same bits.
    """

    def __init__(self, seed: int, accounts: int, scenarios: int, instruments: int = 12, assets: int = 3) -> None:
        rng = np.random.default_rng(seed)
        self.length = rng.integers(0, 11, accounts)
        self.start = np.concatenate([[0], np.cumsum(self.length + 1)[:-1]]) if accounts else self.length
        size = int((self.length + 1).sum())
        self.instrument = rng.integers(0, instruments, size)
        self.lots = rng.integers(-50, 51, size)
        self.underlying = rng.integers(0, assets, instruments)
        self.option = np.where(rng.random(instruments) < 0.4, 0, -1)
        self.option[self.option == 0] = np.arange((self.option == 0).sum())
        self.delta = rng.integers(-20, 21, instruments).astype(float)
        self.moves = rng.integers(-9, 10, (assets, scenarios)).astype(float)
        self.options = rng.integers(-99, 100, (max(1, (self.option >= 0).sum()), scenarios)).astype(float)

    def values(self) -> F64:
        """(I, S) change of value of one lot of every instrument."""
        linear = self.delta[:, None] * self.moves[self.underlying]
        return np.where(self.option[:, None] >= 0, self.options[self.option], linear)

    def totals(self) -> F64:
        """(A, S) as numpy has them."""
        values, found = self.values(), np.zeros((len(self.length), self.moves.shape[1]))
        for a, (first, size) in enumerate(zip(self.start, self.length, strict=True)):
            held = slice(first, first + size)
            found[a] = self.lots[held] @ values[self.instrument[held]]
        return found

    def rows(self) -> F64:
        return worst_rows(self.start, self.length, self.instrument, self.lots, self.values())

    def folded(self) -> F64:
        return worst_folded(
            self.start, self.length, self.instrument, self.lots, self.underlying, self.delta, self.moves,
            self.option, self.options,
        )  # fmt: skip


@given(st.integers(0, 2**32 - 1), st.integers(0, 40), st.integers(1, 70))
def test_worst_scenario_is_numpys(seed: int, accounts: int, scenarios: int) -> None:
    case = Case(seed, accounts, scenarios)
    expected = case.totals().min(axis=1)
    assert np.array_equal(case.rows(), expected)
    assert np.array_equal(case.folded(), expected)


def test_control_another_lot_is_noticed() -> None:
    case = Case(1, 40, 9)
    expected = case.totals().min(axis=1)
    case.lots[case.start[case.length > 0][0]] += 7
    assert not np.array_equal(case.rows(), expected)
    assert not np.array_equal(case.folded(), expected)


def test_an_exposure_that_nets_to_zero_on_the_way_is_listed_once() -> None:
    """One asset, many instruments, +1 -1 +1 -1 ...: the list of touched assets has room for one."""
    size = 64
    case = Case(0, 1, 5, instruments=size, assets=1)
    case.length, case.start = np.array([size]), np.array([0])
    case.instrument, case.lots = np.arange(size), np.tile([1, -1], size // 2)
    case.option, case.delta = np.full(size, -1), np.ones(size)
    assert case.folded().tolist() == [0.0]
    case.lots[-1] = 3
    assert np.array_equal(case.folded(), case.totals().min(axis=1))


@pytest.mark.parametrize("form", ["rows", "folded"])
def test_threads_and_cuts_change_no_bit(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    case = Case(9, 3_000, 26)
    case.moves, case.options, case.delta = (
        rng.normal(size=each.shape) for each in (case.moves, case.options, case.delta)
    )
    serial = getattr(case, form)()
    monkeypatch.setattr(kernel, "PARALLEL_FROM", 1)
    assert getattr(case, form)().tobytes() == serial.tobytes()


def test_many_accounts_start_the_threads() -> None:
    case = Case(3, kernel.PARALLEL_FROM, 3)
    assert np.array_equal(case.rows(), case.totals().min(axis=1))


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e9, 1e9)), st.integers(1, 40))
def test_tail_mean_is_the_mean_of_the_largest(values: F64, count: int) -> None:
    count = min(count, len(values))
    expected = np.sort(values)[-count:].mean()
    assert tail_mean(values, count) == pytest.approx(expected, rel=1e-12, abs=1e-3)
    assert highest(values) == tail_mean(values, 1) == values.max()


def test_add_rows_adds_to_what_is_there() -> None:
    case = Case(5, 1, 6)
    into = np.ones(6)
    add_rows(0, int(case.length[0]), case.instrument, case.lots, case.values(), into)
    assert np.array_equal(into, 1 + case.totals()[0])
