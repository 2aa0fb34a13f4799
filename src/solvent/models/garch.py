"""GARCH, GJR and EGARCH with Student t residuals: estimated by arch, filtered by our own kernels.

The presample variance is the mean squared residual: with arch's own default, an exponential average of the first
observations, its estimates miss the published benchmark of Fiorentini, Calzolari and Panattoni (1996).
"""

import math
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from solvent.models.ewma import Ewma
from solvent.models.filtered import Filter
from solvent.models.kernel_filters import egarch_variances, garch_variances
from solvent.models.model import LEAST_RETURNS, Parametric, check_enough

F64 = np.ndarray[Any, np.dtype[np.float64]]
Kind = Literal["garch", "gjr", "egarch"]

PERCENT = 100.0
"""Estimation works on percent: likelihoods of raw returns are badly scaled."""
MEAN_SIZE_NORMAL = math.sqrt(2.0 / math.pi)
"""E|z| of a normal z, the constant that arch takes off |z| for every distribution."""
FREEDOM_LEAST, FREEDOM_MOST = 2.05, 500.0
PERSISTENCE_MOST = 0.9999
WARM_START_ALPHA = 0.01
"""A new estimate starts from the last one, which halves its time, unless that sits at the edge of its parameters."""
SHARE_LARGEST_MOST = 0.5
"""A single return with more than half of the window's squares is not estimated around: the fit would be about it."""


@dataclass(frozen=True)
class GarchFilter:
    """An estimated filter: parameters of the returns as fractions, and how many returns they were estimated on."""

    kind: Kind
    mean: float
    omega: float
    alpha: float
    gamma: float
    beta: float
    freedom: float
    start: float
    """Presample variance."""
    estimated_at: int
    note: str | None = None
    estimates: tuple[float, ...] = ()
    """As arch gives them, in percent."""

    def variances(self, returns: F64) -> F64:
        """Conditional variances of each return and of the next."""
        residuals = returns - self.mean
        parameters = (self.omega, self.alpha, self.gamma, self.beta)
        if self.kind == "egarch":
            return np.asarray(egarch_variances(residuals, *parameters, MEAN_SIZE_NORMAL, self.start))
        return np.asarray(garch_variances(residuals, *parameters, self.start))

    def step(self, variances: F64, returns: F64) -> F64:
        """The next variances of many paths."""
        residuals = returns - self.mean
        if self.kind == "egarch":
            z = residuals / np.sqrt(variances)
            size = self.alpha * (np.abs(z) - MEAN_SIZE_NORMAL) + self.gamma * z
            return np.asarray(np.exp(np.clip(self.omega + size + self.beta * np.log(variances), -36.0, 12.0)))
        size = np.where(residuals < 0, self.alpha + self.gamma, self.alpha)
        return np.asarray(self.omega + size * np.square(residuals) + self.beta * variances)


@dataclass(frozen=True)
class FellBack(Ewma):
    """The EWMA filter that speaks until the next estimate is due, because this one failed; `note` says why."""

    estimated_at: int = 0
    freedom: float = 4.0
    """Of the t distribution where one is asked for (risk practice for crypto without a fit)."""


@dataclass(frozen=True)
class Garch:
    """How a filter of the family is estimated: on the last `window` returns, anew every `refit_every` bars."""

    kind: Kind = "garch"
    window: int = 1500
    refit_every: int = 30

    def estimate(self, returns: F64, previous: GarchFilter | FellBack | None = None) -> Filter:
        """The filter, or `FellBack` to EWMA where the estimate fails or makes no stationary variance."""
        if previous is not None and 0 <= len(returns) - previous.estimated_at < self.refit_every:
            return previous
        window = returns[-self.window :]
        failure = _unfit(window)
        if failure is None:
            try:
                found = estimate_t(window, self.kind, len(returns), _start(previous))
            except (ValueError, FloatingPointError, np.linalg.LinAlgError) as error:
                failure = str(error).splitlines()[0]
            else:
                failure = _implausible(found, window)
                if failure is None:
                    return found
        return FellBack(note=f"{self.kind}-t: {failure}: EWMA instead", estimated_at=len(returns))


GARCH = Garch()


@dataclass(frozen=True)
class FittedT(Parametric):
    """A parametric forecast that remembers its filter."""

    filter: Any = None


@dataclass(frozen=True)
class GarchT:
    """The parametric forecast of a filter of the family: its next variance and Student t residuals."""

    filter: Garch = GARCH
    least: int = LEAST_RETURNS
    memory: int = 0

    def fit(self, returns: F64, previous: FittedT | None = None) -> FittedT:
        """Unit-variance t with the estimated degrees of freedom."""
        check_enough(returns, self.least)
        filter: Any = self.filter.estimate(returns, None if previous is None else previous.filter)
        deviation = math.sqrt(filter.variances(returns)[-1])
        return FittedT(filter.mean, deviation, filter.freedom, filter.note, filter)


def estimate_t(returns: F64, kind: Kind, estimated_at: int, start: tuple[float, ...] | None = None) -> GarchFilter:
    """Maximum likelihood with Student t residuals and a constant mean, from `start` where that is given.

    Raises ValueError where it does not converge.
    """
    scaled = returns * PERCENT
    result = arch_fit(scaled, kind, "t", start=start)
    if result.convergence_flag != 0 or not np.isfinite(result.params).all():
        raise ValueError("the estimate did not converge")
    found = {name: float(value) for name, value in result.params.items()}
    beta = found.get("beta[1]", 0.0)
    unit = PERCENT**2
    # ln s2 of percent is ln s2 of fractions plus a constant, which omega takes up
    omega = found["omega"] + (beta - 1.0) * math.log(unit) if kind == "egarch" else found["omega"] / unit
    return GarchFilter(
        kind,
        found["mu"] / PERCENT,
        omega,
        found["alpha[1]"],
        found.get("gamma[1]", 0.0),
        beta,
        min(max(found["nu"], FREEDOM_LEAST), FREEDOM_MOST),
        float(np.var(scaled)) / unit,
        estimated_at,
        estimates=tuple(float(each) for each in result.params),
    )


def arch_fit(
    returns: F64,
    kind: Kind,
    distribution: Any,
    cov_type: Any = "classic",
    backcast: Any = "mean square",
    start: tuple[float, ...] | None = None,
    **spec: Any,
) -> Any:
    """arch's own result: constant mean, order one.

    returns: in percent. cov_type: "classic" gives standard errors from the Hessian, "robust" those of Bollerslev
    and Wooldridge. backcast: presample variance, by default the mean squared residual; None is arch's own.
    start: parameters to begin at. spec: what else `arch_model` takes, such as `power`.
    """
    from arch import arch_model

    name, asymmetric = {"garch": ("GARCH", 0), "gjr": ("GARCH", 1), "egarch": ("EGARCH", 1)}[kind]
    stated = {"vol": name, "p": 1, "o": asymmetric, "q": 1, "rescale": False, **spec}
    model = arch_model(returns, mean="Constant", dist=distribution, **stated)
    if backcast == "mean square":
        backcast = float(np.var(returns))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return model.fit(
            disp="off", show_warning=False, backcast=backcast, cov_type=cov_type,
            starting_values=None if start is None else np.array(start),
        )  # fmt: skip


def garch_update(omega: float, alpha: float, beta: float, deviation: float, last_return: float) -> float:
    """Variance of the next bar from this bar's deviation and return (Bollerslev 1986)."""
    return omega + alpha * last_return**2 + beta * deviation**2


def long_run_variance(omega: float, alpha: float, beta: float) -> float:
    """omega / (1 - alpha - beta). Raises ValueError where the variance has no mean."""
    if alpha + beta >= 1.0:
        raise ValueError(f"alpha + beta = {alpha + beta}: below 1 for a long-run variance")
    return omega / (1.0 - alpha - beta)


def garch_forecast(persistence: float, long_run: float, variance: float, bars: int) -> float:
    """Variance `bars` ahead: V_L + (alpha + beta)^h (s2 - V_L)."""
    return long_run + persistence**bars * (variance - long_run)


def _start(previous: GarchFilter | FellBack | None) -> tuple[float, ...] | None:
    """Where the next estimate begins; None: where arch finds best."""
    usable = isinstance(previous, GarchFilter) and previous.alpha > WARM_START_ALPHA and previous.freedom < FREEDOM_MOST
    return previous.estimates or None if usable and isinstance(previous, GarchFilter) else None


def _unfit(returns: F64) -> str | None:
    """Why nothing can be estimated on these returns."""
    squares = np.square(returns - returns.mean())
    total = float(squares.sum())
    if total <= len(returns) * 1e-14:
        return "the price does not move"
    if np.count_nonzero(np.diff(returns)) < len(returns) // 2:
        return "the price stands still on most bars"
    if float(squares.max()) > SHARE_LARGEST_MOST * total:
        return "one return has most of the variance"
    return None


def _implausible(found: GarchFilter, returns: F64) -> str | None:
    """Why an estimate cannot be used."""
    last = float(found.variances(returns)[-1])
    if not (math.isfinite(last) and 0.0 < last < 1e4 * float(np.var(returns))):
        return "its variance leaves any bound"
    persistence = found.beta if found.kind == "egarch" else found.alpha + found.gamma / 2 + found.beta
    if found.kind != "egarch" and min(found.omega, found.alpha, found.beta) < 0:
        return "its parameters are negative"
    # an estimate on the edge of stationarity is as good as EWMA, and usable; beyond it variance grows without end
    return "its variance has no mean" if persistence > 1.0 / PERSISTENCE_MOST else None
