"""Loss distributions in closed form: normal and Student t of scale 1, the nulls of the shortfall tests."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, t

F64 = NDArray[np.float64]


class LossDistribution(NamedTuple):
    """A symmetric distribution of location 0 and scale 1; losses are its upper tail."""

    degrees: float = math.inf
    """Of freedom of a t (its raw form, variance nu / (nu - 2)); infinite for the normal."""

    def quantile(self, tail: ArrayLike) -> F64:
        """The loss above which a share `tail` lies, of any shape."""
        share = np.asarray(tail, np.float64)
        return np.asarray(norm.isf(share) if math.isinf(self.degrees) else t.isf(share, self.degrees))

    def shortfall(self, tail: ArrayLike) -> F64:
        """Mean loss above `quantile(tail)`: phi(q) / tail, or f(q) (nu + q^2) / ((nu - 1) tail); needs nu > 1.

        Source: A. McNeil, R. Frey, P. Embrechts, "Quantitative Risk Management" (2005), section 2.2.4.
        """
        share, q = np.asarray(tail, np.float64), self.quantile(tail)
        if math.isinf(self.degrees):
            return np.asarray(norm.pdf(q) / share)
        factor = (self.degrees + q**2) / (self.degrees - 1.0)
        return np.asarray(t.pdf(q, self.degrees) * factor / share)


NORMAL = LossDistribution()
