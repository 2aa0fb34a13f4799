"""Tables as TOML text: what `tomllib` reads, written."""

import json
import re
from collections.abc import Mapping
from datetime import date
from math import isinf, isnan
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(table: Mapping[str, Any]) -> str:
    """TOML of a table: plain values first, then a `[table]` each; `tomllib.loads` gives the table back.

    Takes text, booleans, numbers, dates, lists and mappings. None is left out. Raises TypeError for the rest.
    """
    return "\n".join(_lines(table, ())).strip() + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping) and value is not None}
    below = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    found = ["", f"[{'.'.join(map(_key, path))}]"] if path and (plain or not below) else []
    found += [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in below.items():
        found += _lines(value, (*path, key))
    return found


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _text(value: str) -> str:
    # JSON's strings are TOML's basic strings, but for the one control character that JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        if isnan(value) or isinf(value):
            return "nan" if isnan(value) else "inf" if value > 0 else "-inf"
        return repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + " }"
    raise TypeError(f"{type(value).__name__} is no TOML value")
