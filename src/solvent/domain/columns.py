"""Columns of a frame as exact numbers, codes and times: fast over good rows, one problem for each bad one."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from solvent.domain.quantities import LOT_BOUND, whole
from solvent.errors import Problem, SolventError, problem

if TYPE_CHECKING:
    import polars as pl

I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

PROBLEMS_A_CHECK = 100
"""How many rows one check of a frame reports one by one; the rest are counted in one line."""
DIGITS_FAST = 18
"""Decimal digits that fit an int64; rows with more are read one by one."""
_NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)$"
_EPOCH_UNITS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (2**63, 1))
"""(bound, nanoseconds a unit): an epoch number is in s, ms, us or ns by its size."""
_TIME_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%Y-%m-%d %H:%M:%S%.f%z")


class Faults:
    """The problems of one frame, collected so that all can be told at once."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[Problem] = []
        self._more: list[Problem] = []

    def add(self, row: int | None, field: str, value: object, accepted: str) -> None:
        """One problem; `row` counts from 1."""
        self.found.append(problem(self.file, row, field, value, accepted))

    def rows(
        self,
        bad: Mask,
        field: str,
        values: "Sequence[Any] | pl.Series",
        accepted: str | Callable[[int], str],
        numbers: NDArray[Any] | None = None,
    ) -> None:
        """A problem for each row of a mask, the first `PROBLEMS_A_CHECK` one by one.

        numbers: row numbers where those are not 1, 2, 3, ...
        """
        positions = np.flatnonzero(bad)
        for i in positions[:PROBLEMS_A_CHECK].tolist():
            row = i + 1 if numbers is None else int(numbers[i])
            self.add(row, field, shown(values[i]), accepted if isinstance(accepted, str) else accepted(i))
        if len(positions) > PROBLEMS_A_CHECK:
            rest = f"{len(positions) - PROBLEMS_A_CHECK} more rows"
            self._more.append(problem(self.file, None, field, rest, "the same as for the rows above"))

    def stop(self) -> None:
        """Raise SolventError if anything was found."""
        if self.found:
            raise SolventError(*sorted(self.found, key=lambda each: each.row or 0), *self._more)


def shown(value: object) -> object:
    """A cell as it is printed in a problem: what is not there is called missing."""
    return "missing" if value is None or value == "" else value


def table(frame: Any, required: Sequence[str], optional: Sequence[str], faults: Faults) -> "pl.DataFrame":
    """The named columns of any frame with `__arrow_c_stream__`; raises SolventError for those missing."""
    import polars as pl

    if not hasattr(frame, "__arrow_c_stream__"):
        faults.add(None, "frame", type(frame).__name__, "a frame with __arrow_c_stream__ (polars, pyarrow, pandas)")
        faults.stop()
    try:
        read = frame if isinstance(frame, pl.DataFrame) else pl.DataFrame(frame)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        faults.add(None, "frame", str(error).splitlines()[0], "a table of named columns")
        faults.stop()
    names = {name.strip(): name for name in reversed(read.columns)}
    for name in required:
        if name not in names:
            faults.add(
                None,
                name,
                "missing column",
                f"columns {', '.join(required)}; found {', '.join(read.columns)}",
            )
    read = read.select(pl.col(names[name]).alias(name) for name in (*required, *optional) if name in names)
    for name, kind in read.schema.items():
        if kind.is_nested() or kind in (pl.Binary, pl.Object):
            faults.add(None, name, f"a column of {kind}", "text, numbers or times")
    faults.stop()
    return read


def texts(column: "pl.Series") -> "pl.Series":
    """A column as trimmed text, null where a cell is empty; categories and numbers become their text."""
    import polars as pl

    text = column.cast(pl.String, strict=False).str.strip_chars()
    return text.set(text == "", None)


def codes(column: "pl.Series") -> tuple[I64, list[str]]:
    """Index of each cell in the distinct texts of a column, in order of appearance; -1 where empty."""
    import polars as pl

    text = texts(column)
    distinct = text.unique(maintain_order=True).drop_nulls()
    if not len(distinct):
        return np.full(len(text), -1, np.int64), []
    numbers = pl.Series(np.arange(len(distinct), dtype=np.int64))
    coded = text.replace_strict(distinct, numbers, default=-1, return_dtype=pl.Int64)
    return coded.fill_null(-1).to_numpy().astype(np.int64), distinct.to_list()


class Decimals(NamedTuple):
    """Numbers as mantissa x 10**-scale, exact where `fast`; other rows were not read."""

    mantissa: I64
    scale: I64
    fast: Mask


def decimals(column: "pl.Series") -> Decimals:
    """Exact decimals of a column of text, integers, Decimals or floats (by their shortest text)."""
    import polars as pl

    text = texts(column)
    well = text.str.contains(_NUMBER).fill_null(False)
    fraction = text.str.extract(r"\.([0-9]*)$").fill_null("").str.strip_chars_end("0")
    integer = text.str.extract(r"^[+-]?([0-9]*)").fill_null("").str.strip_chars_start("0")
    digits = integer + fraction
    fast = (well & (digits.str.len_bytes() <= DIGITS_FAST)).to_numpy().astype(np.bool_)
    size = digits.set(digits == "", "0").cast(pl.Int64, strict=False).fill_null(0).to_numpy().astype(np.int64)
    negative = text.str.starts_with("-").fill_null(False).to_numpy().astype(np.bool_)
    mantissa = np.where(fast, np.where(negative, -size, size), 0)
    return Decimals(mantissa, np.where(fast, fraction.str.len_bytes().to_numpy().astype(np.int64), 0), fast)


def whole_lots(column: "pl.Series", which: I64, units: Sequence[Fraction], faults: Faults) -> I64:
    """Each cell as a whole number of `units[which]` lots; reports cells that are not, or that need 64 bits.

    column: quantities. which: index into `units` of each row, negative rows are skipped (they are at fault
    already). Text, integers and Decimals must divide exactly, floats within 1e-9 relative.
    """
    read = decimals(column)
    numerator, denominator, narrow = _factors(which, read.scale, units)
    fits = np.abs(read.mantissa.astype(np.float64)) * numerator / denominator < LOT_BOUND / 2
    done = read.fast & narrow & fits & (which >= 0) & (read.mantissa % denominator == 0)
    lots = np.where(done, read.mantissa // denominator * numerator, 0)
    if column.dtype.is_float():
        nearest = np.rint(read.mantissa / denominator)
        near = np.abs(read.mantissa - nearest * denominator) <= 1e-9 * np.abs(read.mantissa)
        floats = read.fast & narrow & fits & (which >= 0) & (numerator == 1) & ~done & near
        lots = np.where(floats, nearest.astype(np.int64), lots)
        done |= floats
    rest = np.flatnonzero(~done & (which >= 0))
    refused: dict[int, str] = {}
    for i in rest.tolist():
        try:
            count = whole(column[i], units[which[i]])
            if abs(count) >= LOT_BOUND:
                raise ValueError(f"a quantity of less than {LOT_BOUND} lots (63 bits)")
            lots[i] = count
        except ValueError as error:
            refused[i] = str(error)
    bad = np.zeros(len(column), np.bool_)
    bad[list(refused)] = True
    faults.rows(bad, column.name, column, lambda i: refused[i])
    return lots


def _factors(which: I64, scale: I64, units: Sequence[Fraction]) -> tuple[I64, I64, Mask]:
    """For each row n / d = 10**-scale / unit in lowest terms, and whether both fit an int64."""
    key, inverse = np.unique(np.maximum(which, 0) * 64 + scale, return_inverse=True)
    numerator, denominator = np.ones(len(key), np.int64), np.ones(len(key), np.int64)
    narrow = np.ones(len(key), np.bool_)
    for i, (unit, digits) in enumerate(zip((key // 64).tolist(), (key % 64).tolist(), strict=True)):
        factor = 1 / (units[unit] * 10**digits) if units else Fraction(1)
        narrow[i] = max(factor.numerator, factor.denominator) < 2**62
        if narrow[i]:
            numerator[i], denominator[i] = factor.numerator, factor.denominator
    return numerator[inverse], denominator[inverse], narrow[inverse]


def floats(column: "pl.Series") -> tuple[NDArray[np.float64], Mask]:
    """Numbers of a column, NaN where a cell is empty, and a mask of the cells that are no finite number."""
    import polars as pl

    empty = column.is_null()
    if column.dtype == pl.Boolean:
        return np.full(len(column), np.nan), (~empty).to_numpy().astype(np.bool_)
    if not column.dtype.is_numeric():
        text = texts(column)
        empty = text.is_null()
        column = text
    number = column.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy().astype(np.float64)
    return number, ~empty.to_numpy().astype(np.bool_) & ~np.isfinite(number)


def times_ns(column: "pl.Series") -> tuple[I64, Mask]:
    """UTC nanoseconds of the epoch, and a mask of the cells that are no time (empty ones included).

    Takes dates, datetimes (those without a zone are UTC), ISO 8601 text and epoch numbers in s, ms, us or ns.
    """
    import polars as pl

    if column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime):
        moments = column.cast(pl.Datetime("us")) if column.dtype == pl.Date else column
        return _bounded(moments.dt.epoch("us"))
    if column.dtype.is_numeric():
        return _epoch(column)
    text = texts(column)
    number = text.str.contains(_NUMBER).fill_null(False)
    epoch, no_epoch = _epoch(text.set(~number, None))
    time, no_time = _iso(text)
    numeric = number.to_numpy().astype(np.bool_)
    return np.where(numeric, epoch, time), np.where(numeric, no_epoch, no_time)


def _iso(text: "pl.Series") -> tuple[I64, Mask]:
    """ISO 8601 text; without a zone it is UTC."""
    import polars as pl

    plain = text.str.replace(r"\s*(?:Z|UTC|\+00:?00)$", "").str.replace(r"^([0-9-]{8,10})T", "${1} ")
    read = pl.Series([None] * len(text), dtype=pl.Datetime("us"))
    for form in _TIME_FORMATS:
        zoned = form.endswith("%z")
        kind: Any = pl.Datetime("us", "UTC") if zoned else pl.Datetime("us")
        one = plain.str.strptime(kind, form, strict=False)
        read = read.zip_with(read.is_not_null(), one.dt.replace_time_zone(None) if zoned else one)
    return _bounded(read.dt.epoch("us"))


def _bounded(epoch_us: "pl.Series") -> tuple[I64, Mask]:
    """Microseconds as nanoseconds, where those are a time from 1970 to 2262."""
    us = epoch_us.fill_null(-1).to_numpy().astype(np.int64)
    bad = (us < 0) | (us >= 2**63 // 1000)
    return np.where(bad, 0, us) * 1000, bad


def _epoch(text: "pl.Series") -> tuple[I64, Mask]:
    """Epoch numbers by their size; those in s or ms may have decimals."""
    import polars as pl

    size = text.cast(pl.Float64, strict=False)
    integer = text.cast(pl.Int64, strict=False)
    integer = integer.zip_with(integer.is_not_null(), size.cast(pl.Int64, strict=False))
    number = size.fill_null(np.nan).to_numpy().astype(np.float64)
    bad = ~np.isfinite(number) | (number < 0) | (number >= 2.0**63)
    units = np.zeros(len(number), np.int64)
    lower = 0.0
    for bound, unit in _EPOCH_UNITS:
        units[~bad & (number >= lower) & (number < bound)] = unit
        lower = float(bound)
    count = np.where(bad, 0, integer.fill_null(0).to_numpy().astype(np.int64))
    rest = np.where(~bad & (number < 2**53), number - count, 0.0)
    return count * units + np.rint(rest * units).astype(np.int64), bad
