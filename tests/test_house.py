"""The rules of the house are held by import-linter: empty rooms pass, each kind of breach is caught."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = "A room imports only from rooms below it"
LEDGER = "The ledger knows integers only"
PURE = "Pure rooms know no clock"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the package with every room emptied, under the project's own contracts."""
    source = ROOT / "src" / "solvent"
    for room in source.iterdir():
        if (room / "__init__.py").is_file():
            (tmp_path / "solvent" / room.name).mkdir(parents=True)
            (tmp_path / "solvent" / room.name / "__init__.py").touch()
    for name in ("__init__.py", "__main__.py", "errors.py"):
        shutil.copy(source / name, tmp_path / "solvent")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(house: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "lint-imports"
    return subprocess.run(
        [program, "--no-cache", "--no-logo"],
        cwd=house,
        env={**os.environ, "PYTHONPATH": str(house), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_empty_house_keeps_every_contract(house: Path) -> None:
    result = lint(house)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 kept, 0 broken" in result.stdout


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        pytest.param("domain/market.py", "import solvent.engine", LAYERS, id="upward"),
        pytest.param("pools/interest.py", "import solvent.valuation", LAYERS, id="beside"),
        pytest.param("ledger/apply.py", "import solvent.margin", LEDGER, id="ledger-to-margin"),
        pytest.param("ledger/apply.py", "import solvent.valuation", LEDGER, id="ledger-to-valuation"),
        pytest.param("attic/__init__.py", "", LAYERS, id="room-without-a-place"),
        pytest.param("margin/kernel.py", "import time", PURE, id="clock"),
        pytest.param("margin/kernel.py", "def f():\n    import random", PURE, id="chance-in-a-function"),
    ],
)
def test_a_breach_is_caught(house: Path, module: str, line: str, broken: str) -> None:
    path = house / "solvent" / module
    path.parent.mkdir(exist_ok=True)
    path.write_text(line + "\n")
    result = lint(house)
    assert result.returncode == 1, result.stdout + result.stderr
    assert [each for each in result.stdout.splitlines() if each.startswith(broken) and "BROKEN" in each]
