"""Tables written as TOML come back as they were."""

import tomllib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.engine.files import policy_names, policy_text
from solvent.engine.toml_text import toml_text

# Surrogates are no text of UTF-8, and so none of a file.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.dates(date(1, 1, 1))
VALUES = st.recursive(
    PLAIN, lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXT, below, max_size=3), max_leaves=12
)


@given(st.dictionaries(TEXT, VALUES, max_size=5))
def test_a_table_comes_back(table: dict[str, object]) -> None:
    assert tomllib.loads(toml_text(table)) == table


@pytest.mark.parametrize("name", policy_names())
def test_every_policy_comes_back(name: str) -> None:
    table = tomllib.loads(policy_text(name))
    assert tomllib.loads(toml_text(table)) == table


def test_nothing_is_left_out_but_none() -> None:
    assert toml_text({"a": None, "b": 1}) == "b = 1\n"
    with pytest.raises(TypeError, match="object"):
        toml_text({"a": object()})
