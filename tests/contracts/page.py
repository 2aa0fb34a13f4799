"""What the page of the contracts must say: tables that are computed, and the functions and files that it must name."""

import json
import re
from pathlib import Path

from tests.contracts.gas import COUNTS, SNAPSHOT
from tests.contracts.world import CONTRACTS

PAGE = Path(__file__).parents[2] / "docs" / "contracts.md"
TABLE = re.compile(r"(?<=<!-- gas -->\n)(?P<body>.*?)(?=<!-- end of gas -->)", re.DOTALL)
KINDS = ("packed", "pull")


def gas_table() -> str:
    """The snapshot as the page shows it."""
    kept = json.loads(SNAPSHOT.read_text())
    heads = [f"{kind}, {count}" for kind in KINDS for count in COUNTS]
    lines = ["| operation | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for operation, kinds in kept.items():
        row = [f"{kinds[kind][str(count)]:,}" for kind in KINDS for count in COUNTS]
        lines.append(f"| {operation} | " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def write() -> None:
    """The table of the page anew."""
    PAGE.write_text(TABLE.sub(gas_table(), PAGE.read_text()))


def functions(name: str) -> dict[str, bool]:
    """Functions of a contract, and whether they change state."""
    abi = json.loads((CONTRACTS / "build" / f"{name}.json").read_text())["abi"]
    return {
        entry["name"]: entry["stateMutability"] in {"nonpayable", "payable"}
        for entry in abi
        if entry["type"] == "function"
    }


def row(section: str, name: str) -> str:
    """The row of a contract in the table of a section."""
    text = PAGE.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    (found,) = re.findall(rf"^\| `?{name}`? \|.*$", text, re.M)
    return str(found)
