"""The same replay under several values of one margin parameter: capital efficiency against insolvency."""

import multiprocessing
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from solvent.domain.policy import Policy
from solvent.domain.universe import Universe
from solvent.engine.params import check_rule
from solvent.engine.replay import Progress, Setup, run
from solvent.engine.summary import Summary, figures
from solvent.errors import SolventError, problem, raise_if
from solvent.ledger.journal import MemoryJournal
from solvent.margin.rule import rule

if TYPE_CHECKING:
    import polars as pl

VALUES = 7
VALUES_MOST = 100
WORKERS = 2


class Range(NamedTuple):
    """A parameter of the margin table and the values that it takes."""

    parameter: str
    values: tuple[float, ...]


class Sweep(NamedTuple):
    """What the runs came to."""

    parameter: str
    frame: "pl.DataFrame"
    """A row a run: `value` and the figures of its summary."""


def parse(text: str) -> Range:
    """Read `name=lo:hi` or `name=lo:hi:n`: n values (7) in equal ratios, or equal steps where lo is not above 0.

    Raises SolventError.
    """
    name, _, span = text.partition("=")
    try:
        low, high, *rest = (float(each) for each in span.split(":"))
        count = int(rest[0]) if rest else VALUES
    except (ValueError, OverflowError):
        low, high, count, rest = 0.0, 0.0, 0, []
    if not (name and -1e9 < low < high < 1e9 and 2 <= count <= VALUES_MOST and len(rest) < 2):
        accepted = f"NAME=LO:HI or NAME=LO:HI:N with LO below HI and N from 2 to {VALUES_MOST}: margin_scale=0.5:2"
        raise SolventError(problem("replay", None, "sweep", text, accepted))
    steps = [k / (count - 1) for k in range(count)]
    values = (low * (high / low) ** t if low > 0 else low + (high - low) * t for t in steps)
    return Range(name, tuple(float(f"{value:.6g}") for value in values))


def run_sweep(setup: Setup, wanted: Range, progress: Progress | None = None, workers: int = WORKERS) -> Sweep:
    """Replay a setup once a value, each from the same book, in `workers` processes of one thread each.

    The book does not follow the margin: whoever would lever more under less margin is not modelled. Raises
    SolventError for a parameter that the rule does not have as a number, and for values that it refuses.
    """
    check_sweep(setup.policy, wanted)
    setups = [_with(setup, wanted.parameter, value) for value in wanted.values]
    rows: list[dict[str, object]] = []
    for value, summary in zip(wanted.values, _summaries(setups, workers), strict=True):
        rows.append({"value": value, **figures(summary)})
        if progress is not None:
            progress(len(rows), len(setups))
    import polars as pl

    return Sweep(wanted.parameter, pl.DataFrame(rows))


def check_sweep(policy: Policy, wanted: Range) -> None:
    """Raise SolventError unless the parameter is a number of the policy's rule that may take all the values."""
    numbers = [each.name for each in msgspec.structs.fields(rule(policy.rule).Params) if each.type is float]
    if wanted.parameter not in numbers:
        accepted = f"a number of the rule {policy.rule}: {', '.join(numbers)}"
        raise SolventError(problem("replay", None, "sweep", wanted.parameter, accepted))
    policies = (_policy_with(policy, wanted.parameter, value) for value in wanted.values)
    raise_if([each for policy in policies for each in check_rule(policy, Universe())])


def _policy_with(policy: Policy, name: str, value: float) -> Policy:
    return msgspec.structs.replace(policy, margin={**policy.margin, name: value})


def _with(setup: Setup, name: str, value: float) -> Setup:
    return msgspec.structs.replace(setup, policy=_policy_with(setup.policy, name, value))


def _summaries(setups: list[Setup], workers: int) -> Iterable[Summary]:
    """Summaries in order; fresh processes, because threads of kernels do not survive a fork."""
    if workers == 1:
        yield from map(_summary, setups)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
        yield from pool.map(_summary, setups)


def _one_thread() -> None:
    import numba

    numba.set_num_threads(1)


def _summary(setup: Setup) -> Summary:
    return run(setup, MemoryJournal()).summary
