"""Our compiled contracts, as they lie in the package: interfaces, bytecode, and one deployed contract to talk to."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

import msgspec

from solvent.chain.abi import checksum, decode, encode, selector, signature, type_of
from solvent.chain.rpc import Call, Reverted, Rpc, RpcError, data
from solvent.errors import SolventError, problem


class Artifact(msgspec.Struct, frozen=True):
    """One of `contracts/build/*.json`."""

    name: str
    abi: list[dict[str, Any]]
    bytecode: str
    source_digest: str

    def entry(self, kind: str, name: str = "") -> Mapping[str, Any]:
        """The ABI's entry of a function, event or constructor. Raises SolventError."""
        for each in self.abi:
            if each["type"] == kind and each.get("name", "") == name:
                return each
        raise SolventError(problem(self.name, None, kind, name, "one of the contract's own"))

    def creation(self, *values: Any) -> bytes:
        """What is sent to deploy it with these arguments."""
        has_constructor = any(each["type"] == "constructor" for each in self.abi)
        types = [type_of(each) for each in self.entry("constructor")["inputs"]] if has_constructor else []
        return data(self.bytecode) + encode(types, values)


@lru_cache
def artifact(name: str) -> Artifact:
    """A contract by the name of its file. Raises SolventError."""
    path = files("solvent.contracts") / "build" / f"{name}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Artifact)
    except (OSError, msgspec.MsgspecError) as error:
        raise SolventError(problem("contracts/build", None, name, type(error).__name__, "a built contract")) from None


class Contract:
    """One deployed contract and its interface."""

    def __init__(self, rpc: Rpc, name: str, address: str) -> None:
        self.rpc, self.artifact, self.address = rpc, artifact(name), checksum(address)

    def payload(self, function: str, *values: Any) -> bytes:
        """What calls a function."""
        entry = self.artifact.entry("function", function)
        return selector(signature(entry)) + encode([type_of(each) for each in entry["inputs"]], values)

    def selector(self, function: str) -> str:
        """First four bytes of the calls of a function, as allow-lists write them."""
        return "0x" + selector(signature(self.artifact.entry("function", function))).hex()

    def asked(self, function: str, *values: Any, tag: str = "latest") -> Call:
        """A reading call, for a batch."""
        return ("eth_call", [{"to": self.address, "data": "0x" + self.payload(function, *values).hex()}, tag])

    def answer(self, function: str, answer: str) -> Any:
        """What a function returned: one value, or a tuple of several."""
        types = [type_of(each) for each in self.artifact.entry("function", function)["outputs"]]
        found = decode(types, data(answer))
        return found[0] if len(found) == 1 else found

    def view(self, function: str, *values: Any, tag: str = "latest") -> Any:
        """Read at a block. Raises RpcError."""
        method, params = self.asked(function, *values, tag=tag)
        return self.answer(function, self.rpc.call(method, *params))

    def views(self, function: str, rows: Iterable[Sequence[Any]], tag: str = "latest") -> list[Any]:
        """Read one function with many arguments in batches. Raises RpcError."""
        found = self.rpc.results([self.asked(function, *row, tag=tag) for row in rows])
        return [self.answer(function, each) for each in found]


@lru_cache
def _errors() -> dict[str, str]:
    """Names of our contracts' errors by selector."""
    entries = [each for name in ("Clearing", "Pool", "Prices", "Auction", "Steward") for each in artifact(name).abi]
    return {"0x" + selector(signature(each)).hex(): str(each["name"]) for each in entries if each["type"] == "error"}


def why(error: RpcError) -> str:
    """What a call was refused for, by the name of the contract's error where it has one."""
    text = str(error.data or error.text) if isinstance(error, Reverted) else error.text
    return _errors().get(text[:10], error.text)
