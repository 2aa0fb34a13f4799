"""Series that the tests of tail models share."""

import numpy as np


def t_returns(count: int, seed: int = 1, scale: float = 0.02, freedom: float = 4.0) -> np.ndarray:
    """Independent Student t returns of the given standard deviation."""
    draws = np.random.default_rng(seed).standard_t(freedom, count)
    return scale * draws * np.sqrt((freedom - 2.0) / freedom)


def garch_returns(
    count: int, seed: int = 2, omega: float = 2e-5, alpha: float = 0.1, beta: float = 0.85, freedom: float = 6.0
) -> np.ndarray:
    """GARCH(1,1) with Student t residuals."""
    draws = t_returns(count, seed, 1.0, freedom)
    variance, found = omega / (1.0 - alpha - beta), np.empty(count)
    for t in range(count):
        found[t] = np.sqrt(variance) * draws[t]
        variance = omega + alpha * found[t] ** 2 + beta * variance
    return found
