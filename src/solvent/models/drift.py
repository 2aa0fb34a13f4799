"""Watching a prediction that is in use: is it still better than the champion that it replaced?

Two watches on the pinball loss, as predictions fail in two ways. The mean over 60 days finds one that has slowly
become no better than the champion; Page-Hinkley finds one that fails at once. The first must hold for 20 days in a row
before the champion speaks, since 60 days hold about fourteen breaches a side and chance alone makes either look
better; the second acts at once. 20 days without either bring the prediction back, so that margins do not flap.
"""

import numpy as np
from numpy.typing import NDArray

from solvent.models.kernel_hourly import latched, page_hinkley, rolling_mean

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

WINDOW_HOURS = 60 * 24
WINDOW_LEAST_HOURS = 30 * 24
"""Fewer hours of scores than this are not judged by their mean."""
HYSTERESIS_HOURS = 20 * 24
PAGE_HINKLEY_TOLERANCE = 0.02
"""In units of the champion's mean pinball loss an hour: an excess this small is not drift."""
PAGE_HINKLEY_MOST = 100.0
"""In hours of the champion's mean pinball loss: about ten breaches at twice the margin that the champion held."""


def trusted(challenger: F64, champion: F64) -> Bool:
    """(T,) whether the challenger may speak at each hour, from pinball losses of the hours before it alone.

    challenger, champion: (T,) pinball losses of the same hours, NaN where not both were there. Page and Hinkley
    (1954, 1971): the sum of excesses, measured from its lowest.
    """
    scale = _before(rolling_mean(champion, WINDOW_HOURS, 1))
    excess = (challenger - champion) / np.where(scale > 0, scale, np.nan)
    mean = _before(rolling_mean(challenger - champion, WINDOW_HOURS, WINDOW_LEAST_HOURS))
    worse = mean > 0.0
    failing = page_hinkley(excess, PAGE_HINKLEY_TOLERANCE, PAGE_HINKLEY_MOST)
    found: Bool = latched(worse, failing, HYSTERESIS_HOURS)
    return found


def _before(values: F64) -> F64:
    return np.append(np.nan, values[:-1])
