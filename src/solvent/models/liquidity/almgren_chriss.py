"""Optimal liquidation after Almgren and Chriss: holdings that trade impact against risk, and the frontier."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from solvent.errors import SolventError, problem
from solvent.valuation.tiers import F64


class Execution(NamedTuple):
    """A position that must be sold, and the market that it is sold into; any consistent units of money and time.

    Source of all formulas: R. Almgren and N. Chriss, "Optimal execution of portfolio transactions",
    Journal of Risk 3 (2000).
    """

    quantity: float
    """X, units to sell."""
    horizon: float
    """T, by when all is sold."""
    slices: int
    """N, equal intervals of length tau = T / N."""
    gamma: float
    """Permanent impact: price a unit sold."""
    eta: float
    """Temporary impact: price a unit a time."""
    epsilon: float
    """Fixed cost: price a unit, half a spread and fees."""
    sigma: float = 0.0
    """Absolute volatility: price a square root of time."""

    @property
    def tau(self) -> float:
        """Length of an interval."""
        return self.horizon / self.slices

    @property
    def eta_discrete(self) -> float:
        """eta - gamma tau / 2: what is left of temporary impact when sales are discrete."""
        return self.eta - 0.5 * self.gamma * self.tau


class FrontierPoint(NamedTuple):
    """One schedule's expected cost against its risk, in money."""

    risk_aversion: float
    cost: float
    """E, expected shortfall against the price at the start."""
    variance: float
    """V of that cost."""
    utility: float
    """E + risk aversion x V: what the schedule minimises."""
    half_life: float
    """1 / kappa~: the time in which holdings fall by a factor e; infinite without risk aversion."""


def _check(execution: Execution, risk_aversion: float) -> None:
    found = []
    if execution.slices < 1 or not execution.horizon > 0.0:
        found.append(problem("execution", None, "horizon", (execution.horizon, execution.slices), "T > 0 and N >= 1"))
    elif not execution.eta_discrete > 0.0:
        found.append(problem("execution", None, "eta", execution.eta, "eta above gamma T / (2 N)"))
    if not risk_aversion >= 0.0:
        found.append(problem("execution", None, "risk_aversion", risk_aversion, "0 or more"))
    if found:
        raise SolventError(*found)


def kappa_tilde(execution: Execution, risk_aversion: float) -> float:
    """sqrt(lambda sigma^2 / eta~), 1 / time: the urgency before it is made discrete. Raises SolventError."""
    _check(execution, risk_aversion)
    return float(np.sqrt(risk_aversion * execution.sigma**2 / execution.eta_discrete))


def kappa(execution: Execution, risk_aversion: float) -> float:
    """The urgency of the discrete schedule: cosh(kappa tau) = 1 + (kappa~ tau)^2 / 2. Raises SolventError."""
    # The same equation by the half angle, which does not cancel where kappa~ tau is small.
    urgency = kappa_tilde(execution, risk_aversion)
    return float(2.0 / execution.tau * np.arcsinh(0.5 * urgency * execution.tau))


def holdings(execution: Execution, risk_aversion: float) -> F64:
    """Units held at times 0, tau, ..., T: X sinh(kappa (T - t)) / sinh(kappa T); a straight line without aversion.

    Returns an ndarray of shape (N + 1,) from X to 0. Raises SolventError.
    """
    urgency = kappa(execution, risk_aversion)
    left = np.linspace(1.0, 0.0, execution.slices + 1)
    if urgency * execution.horizon < 1e-9:
        return execution.quantity * left
    span = urgency * execution.horizon
    # sinh(a) / sinh(b) as exp(a - b) (1 - exp(-2 a)) / (1 - exp(-2 b)): no overflow for an urgent sale.
    return np.asarray(
        execution.quantity * np.exp(span * (left - 1.0)) * np.expm1(-2.0 * span * left) / np.expm1(-2.0 * span)
    )


def cost_and_variance(execution: Execution, held: Sequence[float] | F64) -> tuple[float, float]:
    """E and V of any schedule: gamma X^2 / 2 + eps sum |n| + eta~ / tau sum n^2, and sigma^2 tau sum x^2.

    held: shape (N + 1,), units at times 0, tau, ..., T.
    """
    left = np.asarray(held, np.float64)
    sold = -np.diff(left)
    fixed = 0.5 * execution.gamma * left[0] ** 2 + execution.epsilon * np.abs(sold).sum()
    cost = fixed + execution.eta_discrete / execution.tau * float(sold @ sold)
    return float(cost), float(execution.sigma**2 * execution.tau * (left[1:] @ left[1:]))


def minimum_impact_cost(execution: Execution) -> float:
    """E of equal slices, the least of all schedules: gamma X^2 / 2 + eps X + eta~ X^2 / T."""
    _check(execution, 0.0)
    size = abs(execution.quantity)
    return (0.5 * execution.gamma + execution.eta_discrete / execution.horizon) * size**2 + execution.epsilon * size


def frontier(execution: Execution, risk_aversions: Sequence[float]) -> list[FrontierPoint]:
    """The efficient frontier: the optimal schedule's cost and variance at each risk aversion (1 / money)."""
    points = []
    for aversion in risk_aversions:
        urgency = kappa_tilde(execution, aversion)
        cost, variance = cost_and_variance(execution, holdings(execution, aversion))
        half_life = 1.0 / urgency if urgency > 0.0 else float("inf")
        points.append(FrontierPoint(aversion, cost, variance, cost + aversion * variance, half_life))
    return points
