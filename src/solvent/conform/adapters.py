"""Adapters of functions that take a vector's inputs as they stand: name the inputs in the function's order."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from solvent.conform.core import Adapter
from solvent.conform.values import Inputs, integer


def with_integers(function: Callable[..., Any], *names: str, **defaults: int) -> Adapter:
    """An adapter that hands the named inputs over as exact integers; `defaults` are inputs that may be missing."""
    return _with(function, integer, names, defaults)


def with_reals(function: Callable[..., Any], *names: str, **defaults: float) -> Adapter:
    """An adapter that hands the named inputs over as floats; `defaults` are inputs that may be missing."""
    return _with(function, float, names, defaults)


def of_inputs(function: Callable[[Inputs], Any]) -> Adapter:
    """An adapter of a function that reads the inputs itself."""

    def adapter(vector: Mapping[str, Any], tables: Mapping[str, Any]) -> Any:
        return function(vector["inputs"])

    return adapter


def _with(
    function: Callable[..., Any], read: Callable[[Any], Any], names: tuple[str, ...], defaults: Mapping[str, Any]
) -> Adapter:
    def call(inputs: Inputs) -> Any:
        stated = {**defaults, **inputs}
        found = function(*(read(stated[name]) for name in (*names, *defaults)))
        return msgspec.structs.asdict(found) if isinstance(found, msgspec.Struct) else found

    return of_inputs(call)
