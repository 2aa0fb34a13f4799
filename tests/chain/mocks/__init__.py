"""Contracts of the tests, compiled when first asked for."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from vyper.compiler import compile_code

FOLDER = Path(__file__).parent


@lru_cache
def compiled(path: Path) -> tuple[bytes, list[dict[str, Any]]]:
    """Bytecode and ABI of a Vyper file."""
    found = compile_code(path.read_text(), output_formats=["bytecode", "abi"])
    return bytes.fromhex(found["bytecode"].removeprefix("0x")), found["abi"]


def mock(name: str) -> tuple[bytes, list[dict[str, Any]]]:
    """Bytecode and ABI of a contract of this folder."""
    return compiled(FOLDER / f"{name}.vy")
