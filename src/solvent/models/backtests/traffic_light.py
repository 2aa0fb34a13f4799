"""The supervisors' traffic light: what a count of exceptions says of a model, and what it adds to capital.

Source: Basel Committee, "Supervisory framework for the use of backtesting" (1996), Table 2; Basel Framework MAR99.
"""

from typing import NamedTuple

from scipy.stats import binom, norm

YELLOW_FROM = 0.95
RED_FROM = 0.9999
"""Cumulative probabilities at which the zones begin."""
TABLE_OBSERVATIONS, TABLE_PROBABILITY = 250, 0.01
PLUS_FACTORS = {5: 0.40, 6: 0.50, 7: 0.65, 8: 0.75, 9: 0.85}
MULTIPLIERS = {5: 1.70, 6: 1.76, 7: 1.83, 8: 1.88, 9: 1.92}
"""Of the yellow zone at 250 days and 99 %: what is added to 3 (1996), and the whole multiplier (MAR99)."""
BASE_1996, BASE_MAR99 = 3.0, 1.5


class TrafficLight(NamedTuple):
    """A count of exceptions under a model that is right."""

    zone: str
    """green, yellow or red."""
    cumulative: float
    """P(X <= exceptions)."""
    type_one: float
    """P(X >= exceptions): how often a right model has so many."""
    plus_factor: float
    """Added to the base 3 of 1996."""
    multiplier: float
    """Of MAR99, base 1.5."""


def traffic_light(observations: int, exceptions: int, probability: float) -> TrafficLight:
    """Zone, probabilities and factors of a count of exceptions.

    The factors are the supervisors' table at 250 days and 99 %. Elsewhere the yellow zone has what the table was
    made from: the plus that a normal model of the observed frequency needs for the promised one,
    3 (z_p / z_{x/T} - 1), within 0 and 1.
    """
    cumulative = float(binom.cdf(exceptions, observations, probability))
    zone = "green" if cumulative < YELLOW_FROM else "yellow" if cumulative < RED_FROM else "red"
    plus = _plus_factor(zone, observations, exceptions, probability)
    multiplier = BASE_MAR99 * (1.0 + plus / BASE_1996)
    if zone == "yellow" and (observations, probability) == (TABLE_OBSERVATIONS, TABLE_PROBABILITY):
        multiplier = MULTIPLIERS[exceptions]
    type_one = float(binom.sf(exceptions - 1, observations, probability))
    return TrafficLight(zone, cumulative, type_one, plus, multiplier)


def false_alarm(observations: int, most: int, probability: float) -> float:
    """P(X > most): how often a right model has more exceptions than are accepted (error of the first kind)."""
    return float(binom.sf(most, observations, probability))


def missed_alarm(observations: int, most: int, actual: float) -> float:
    """P(X <= most) of a model whose actual frequency is `actual` (error of the second kind)."""
    return float(binom.cdf(most, observations, actual))


def _plus_factor(zone: str, observations: int, exceptions: int, probability: float) -> float:
    if zone != "yellow":
        return 0.0 if zone == "green" else 1.0
    if (observations, probability) == (TABLE_OBSERVATIONS, TABLE_PROBABILITY):
        return PLUS_FACTORS[exceptions]
    observed = float(norm.isf(exceptions / observations))
    if observed <= 0.0:
        return 1.0
    return min(1.0, max(0.0, BASE_1996 * (float(norm.isf(probability)) / observed - 1.0)))
