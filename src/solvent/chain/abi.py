"""Contract interfaces: calls to and from bytes, selectors and event topics from a compiler's ABI."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, NoReturn

from solvent.errors import SolventError, problem

CHAIN_EXTRA = "`./run --with chain ...` or `pip install 'solvent[chain]'`"


def chain_extra(module: str) -> Any:
    """A module of the extra `chain`. Raises SolventError where it is not installed."""
    try:
        return import_module(module)
    except ImportError:
        _refuse("chain", module.partition(".")[0], "not installed", CHAIN_EXTRA)


def _refuse(file: str, field: str, value: object, accepted: str) -> NoReturn:
    raise SolventError(problem(file, None, field, value, accepted))


@lru_cache(maxsize=4096)
def keccak(value: bytes) -> bytes:
    """Keccak-256."""
    found: bytes = chain_extra("eth_utils").keccak(value)
    return found


def checksum(address: str | bytes) -> str:
    """An address with the letters of EIP-55. Raises SolventError for what is none."""
    text = address.hex() if isinstance(address, bytes) else address.removeprefix("0x")
    if len(text) != 40 or any(each not in "0123456789abcdefABCDEF" for each in text):
        _refuse("address", "address", address, "20 bytes in hexadecimal")
    lower = text.lower()
    digits = keccak(lower.encode()).hex()
    return "0x" + "".join(c.upper() if int(d, 16) >= 8 else c for c, d in zip(lower, digits, strict=False))


def type_of(argument: Mapping[str, Any]) -> str:
    """Canonical type of an ABI argument; tuples written out."""
    kind = str(argument["type"])
    if kind.startswith("tuple"):
        return f"({','.join(type_of(each) for each in argument['components'])}){kind[5:]}"
    return kind


def signature(entry: Mapping[str, Any]) -> str:
    """`name(type,...)` of a function or event."""
    return f"{entry['name']}({','.join(type_of(each) for each in entry['inputs'])})"


def selector(text: str) -> bytes:
    """First four bytes of a function signature's hash."""
    return keccak(text.encode())[:4]


def topic(text: str) -> bytes:
    """Topic 0 of an event signature."""
    return keccak(text.encode())


def split_types(text: str) -> tuple[str, ...]:
    """`a,(b,c),d` at its outermost commas."""
    parts, depth, start = [], 0, 0
    for index, each in enumerate(text):
        depth += (each == "(") - (each == ")")
        if each == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return tuple([*parts, text[start:]] if text else [])


def encode(types: Sequence[str], values: Sequence[Any]) -> bytes:
    """Values in the ABI's form. Raises SolventError where one does not fit its type."""
    try:
        found: bytes = chain_extra("eth_abi").encode(list(types), list(values))
    except (ValueError, TypeError, OverflowError) as error:
        _refuse("abi", ",".join(types), str(error), "values that fit their types")
    return found


def decode(types: Sequence[str], value: bytes) -> tuple[Any, ...]:
    """Values from the ABI's form. Raises SolventError where the bytes do not hold them."""
    abi = chain_extra("eth_abi")
    try:
        return tuple(abi.decode(list(types), value))
    except (abi.exceptions.DecodingError, ValueError, OverflowError) as error:
        _refuse("abi", ",".join(types), f"{len(value)} bytes: {error}", "bytes that hold these types")


def call_data(function: str, *values: Any) -> bytes:
    """Bytes that call `name(type,...)` with these values."""
    return selector(function) + encode(split_types(function[function.index("(") + 1 : -1]), values)
