"""Parameters, frozen, dated and hashed: prices, one named margin rule, liquidation, pools."""

import hashlib
import tomllib
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from solvent.errors import Problem, SolventError, problem

Table = dict[str, Any]
Parameters = TypeVar("Parameters", bound=msgspec.Struct)


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One versioned set of parameters. Each table is read by the struct that the chosen rule or method declares."""

    name: str
    version: str
    as_of: str
    """Date (YYYY-MM-DD) on which the parameters held."""
    source: str
    """Where they come from."""
    margin: Table
    """`rule = "..."` and the rule's own parameters."""
    oracle: Table = {}
    liquidation: Table = {}
    pools: Table = {}
    limits: Table = {}
    """Caps by instrument id."""
    notes: str = ""

    @property
    def rule(self) -> str:
        """Name of the margin rule."""
        return str(self.margin.get("rule", ""))

    def digest(self) -> bytes:
        """32 bytes of BLAKE2b over the canonical JSON of all fields."""
        return hashlib.blake2b(msgspec.json.encode(self, order="sorted"), digest_size=32).digest()

    @property
    def label(self) -> str:
        """`name@` and the digest's first 8 hexadecimal digits."""
        return f"{self.name}@{self.digest().hex()[:8]}"

    @classmethod
    def from_toml(cls, text: str, file: str = "policy") -> "Policy":
        """Raises SolventError naming the table and key; the tables themselves are checked by whoever reads them."""
        try:
            return msgspec.convert(tomllib.loads(text), cls)
        except tomllib.TOMLDecodeError as error:
            raise SolventError(problem(file, None, "toml", str(error), "valid TOML")) from None
        except msgspec.ValidationError as error:
            accepted = "tables oracle, margin, liquidation, pools; name, version, as_of, source"
            raise SolventError(problem(file, None, "policy", str(error), accepted)) from None


def parameters(
    kind: type[Parameters], table: Mapping[str, Any], where: str, ignore: frozenset[str] = frozenset()
) -> tuple[Parameters | None, list[Problem]]:
    """Read a table into the struct that a rule or method declares.

    Returns the struct (None where it cannot be read) and every unknown or ill-typed key, all at once.
    Integers are taken where floats are declared. `ignore` names keys that are read elsewhere.
    """
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    rows = {key: value for key, value in table.items() if key not in ignore}
    found = [
        problem(where, None, key, value, f"one of {', '.join(fields)}")
        for key, value in rows.items()
        if key not in fields
    ]
    read: dict[str, Any] = {}
    for key, value in rows.items():
        if key in fields:
            try:
                read[key] = msgspec.convert(value, fields[key].type)
            except msgspec.ValidationError as error:
                found.append(problem(where, None, key, value, str(error)))
    found += [
        problem(where, None, key, "missing", "a value")
        for key, field in fields.items()
        if field.required and key not in rows
    ]
    if found:
        return None, found
    try:
        return kind(**read), []
    except (TypeError, ValueError) as error:
        return None, [problem(where, None, kind.__name__, rows, str(error))]
