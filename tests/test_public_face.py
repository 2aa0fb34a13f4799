"""`import solvent` costs nothing until a name is used, and every public name is there."""

import subprocess
import sys

import pytest

import solvent


def loaded_by(statement: str) -> set[str]:
    """Top-level modules in memory after a statement in a new interpreter."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_import_loads_no_dependency() -> None:
    third_party = {"msgspec", "numba", "numpy", "plotly", "polars", "rich", "scipy", "typer"}
    assert "solvent" in loaded_by("import solvent")
    assert not loaded_by("import solvent") & third_party
    assert "msgspec" in loaded_by("import solvent; solvent.SolventError")  # the check can fail


@pytest.mark.parametrize("name", solvent.__all__)
def test_every_public_name_is_there_and_listed(name: str) -> None:
    assert getattr(solvent, name) is getattr(solvent, name)
    assert name in dir(solvent)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'margins'"):
        solvent.margins  # noqa: B018
