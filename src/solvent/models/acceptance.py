"""Whether a backtest is good enough for a policy to be written: stated criteria, and every one that fails.

Many assets are many tests, and some fail by chance: within each criterion Holm's method (1979) holds the chance that
a right model is refused anywhere to `SIZE`. Too few exceptions are no reason to refuse: they cost, they do not harm.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from solvent.models.backtests import coverage

SIZE = 0.05
CRITERIA: Mapping[str, str] = {
    "kupiec": "the stack's exceptions of each asset and side are not too many (Kupiec)",
    "conditional_coverage": "they come one by one (Christoffersen, number and order), unless refused for too few",
    "held": "the policy's own price moves, calibrated every 30 days, have not too many exceptions over their horizon",
    "together": "the mean of exceptions over all assets and sides is within what Kupiec accepts of a single one",
    "data": "every asset has enough days, and they reach the day of calibration",
}
"""Name -> what must hold; the first three at 5 % over all assets and sides together (Holm)."""


class Failure(NamedTuple):
    """A criterion that fails, and where."""

    criterion: str
    asset: str
    """Empty where it is of all together."""
    side: str
    value: str
    accepted: str

    @property
    def name(self) -> str:
        """Asset, side and criterion, as far as there are any."""
        return " ".join(each for each in (self.asset, self.side, self.criterion) if each)


class Tested(NamedTuple):
    """One test of one asset and side."""

    asset: str
    side: str
    p_value: float
    value: str
    accepted: str


def failures(daily: pl.DataFrame, held: pl.DataFrame, horizons: Mapping[str, int]) -> tuple[Failure, ...]:
    """Every criterion of coverage that fails, with its figures.

    daily, held: rows of `summarise` of the stack's forecasts and of the policy's moves. horizons: days of each asset
    that the latter last for: neighbouring losses overlap, so that many of them count as one.
    """
    rows = daily.to_dicts()
    found: list[Failure] = []
    for criterion, tests in (
        ("kupiec", [kupiec(row, 1) for row in rows]),
        ("conditional_coverage", [conditional(row) for row in rows]),
        ("held", [kupiec(row, horizons[row["asset"]]) for row in held.to_dicts()]),
    ):
        refused = holm([test.p_value for test in tests])
        found += [
            Failure(criterion, test.asset, test.side, test.value, test.accepted)
            for test, no in zip(tests, refused, strict=True)
            if no
        ]
    return (*found, *_together(rows))


def kupiec(row: Mapping[str, Any], overlapping: int) -> Tested:
    """Kupiec's test against too many exceptions; p is 1 where there are few enough."""
    size, count = row["observations"] // overlapping, round(row["exceptions"] / overlapping)
    probability = coverage.promised(row["level"])
    many = size > 0 and count > probability * size
    p_value = coverage.kupiec(size, count, probability).p_value if many else 1.0
    low, high = coverage.kupiec_region(size, probability) if size else (0, 0)
    value = f"{count} of {size} losses beyond, p {p_value:.2g}"
    return Tested(row["asset"], row["side"], p_value, value, f"{low} to {high} alone, {SIZE:.0%} over all (Holm)")


def conditional(row: Mapping[str, Any]) -> Tested:
    """Christoffersen's test of number and order; p is 1 where only too few exceptions refuse it."""
    few = row["exceptions"] <= coverage.promised(row["level"]) * row["observations"]
    p_value = row["independence_p"] if few else row["conditional_coverage_p"]
    value = f"{row['exceptions']} of {row['observations']} losses beyond, p {1.0 if p_value is None else p_value:.2g}"
    return Tested(
        row["asset"], row["side"], 1.0 if p_value is None else p_value, value, f"above {SIZE:.0%} over all (Holm)"
    )


def holm(p_values: Sequence[float], size: float = SIZE) -> list[bool]:
    """Which of many tests are refused, so that one right hypothesis is refused with a chance of at most `size`.

    The smallest p is held against size / n, the next against size / (n - 1), until one passes.
    Source: S. Holm, "A simple sequentially rejective multiple test procedure" (1979).
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    refused = [False] * len(p_values)
    for rank, i in enumerate(order):
        if p_values[i] > size / (len(order) - rank):
            break
        refused[i] = True
    return refused


def _together(rows: Iterable[Mapping[str, Any]]) -> list[Failure]:
    """Assets fall on the same days, so that all of them say hardly more than one: the mean is held like one."""
    rows = list(rows)
    if not rows:
        return []
    size = round(sum(row["observations"] for row in rows) / len(rows))
    mean = sum(row["exceptions"] for row in rows) / len(rows)
    _, high = coverage.kupiec_region(size, coverage.promised(rows[0]["level"]))
    if mean <= high:
        return []
    return [Failure("together", "", "", f"{mean:.1f} of {size} losses beyond on average", f"at most {high}")]
