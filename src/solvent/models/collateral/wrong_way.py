"""Wrong-way risk: collateral that falls when the exposure it covers grows."""

import numpy as np
from numpy.typing import ArrayLike


def wrong_way_haircut(haircut: float, correlation_stress: float, exposure_fall: float) -> float:
    """1 - (1 - h)(1 - max(0, rho) x fall): a first correction, from a stressed correlation.

    exposure_fall: VaR of the exposure as a share of the cover's price.
    """
    return 1.0 - (1.0 - haircut) * (1.0 - min(1.0, max(0.0, correlation_stress) * exposure_fall))


def joint_haircut(losses: ArrayLike, collateral_returns: ArrayLike, level: float = 0.99) -> float:
    """The haircut at which cover that is margined to the loss quantile still covers at that level, jointly.

    Cover of value V / (1 - h), V the loss quantile, fails where loss > V (1 + r) / (1 - h), that is where
    loss / (1 + r) > V / (1 - h). Setting V / (1 - h) to the quantile of loss / (1 + r) gives h in closed form.

    Parameters
    ----------
    losses, collateral_returns : array_like, shape (draws,)
        Joint draws: the exposure's loss in any unit, and the collateral's simple return (above -1).
    level : float
        Share of draws in which there must be no shortfall.

    Returns
    -------
    float
        In [0, 1]; 0 where the loss quantile is not a loss. Independent collateral is charged next to nothing,
        collateral that falls with the loss its whole fall.
    """
    loss, kept = np.asarray(losses, np.float64), 1.0 + np.asarray(collateral_returns, np.float64)
    alone = float(np.quantile(loss, level, method="higher"))
    if alone <= 0.0:
        return 0.0
    with np.errstate(divide="ignore"):
        jointly = float(np.quantile(np.maximum(loss, 0.0) / np.maximum(kept, 0.0), level, method="higher"))
    return float(np.clip(1.0 - alone / jointly, 0.0, 1.0)) if np.isfinite(jointly) else 1.0


def issuer_weight(weight: float, domains: frozenset[str], exposed_to: str) -> float:
    """A collateral's weight for an exposure to somebody: 0 where their failure takes the collateral along."""
    return 0.0 if exposed_to in domains else weight
