"""Rules by name: built in, plugged in by other distributions, never replaced."""

from typing import Any

import pytest

from solvent.errors import SolventError
from solvent.margin import rule as module
from solvent.margin.rule import BUILT_IN, rule
from solvent.margin.rules.portfolio import Portfolio


class Entry:
    """An entry point as a distribution would declare it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def load(self) -> Any:
        return Plugged


class Plugged:
    """A rule of somebody else's."""


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [Entry("house-rule"), Entry("portfolio")]
    monkeypatch.setattr(module, "entry_points", lambda group: entries if group == "solvent.rules" else [])


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_rule_loads_under_its_name(name: str) -> None:
    found = rule(name)
    assert found.name == name
    assert found.Params is not None
    assert callable(found.check)
    assert callable(found.prepare)


def test_an_unknown_rule_names_those_there_are(plugged: None) -> None:
    with pytest.raises(SolventError, match=r"house-rule.*portfolio"):
        rule("portfolo")


@pytest.mark.usefixtures("plugged")
def test_entry_points_add_rules_but_replace_none() -> None:
    assert isinstance(rule("house-rule"), Plugged)
    assert isinstance(rule("portfolio"), Portfolio)
