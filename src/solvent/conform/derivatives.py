"""Reference vectors of derivatives venues: which function of ours answers each (suite, fn), in what shape.

An adapter reads a vector's inputs and its file's tables into the plain data of a rule, and returns an object
of the shape of `expected`. It sees neither id nor source nor expected.
"""

from solvent.conform import derivatives_chains, derivatives_derive, derivatives_venues
from solvent.conform.core import Adapter

CASES: dict[tuple[str, str], Adapter] = {
    **derivatives_derive.CASES,
    **derivatives_chains.CASES,
    **derivatives_venues.CASES,
}
