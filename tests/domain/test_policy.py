"""Policies: read strictly, hashed canonically, every wrong key at once."""

import msgspec
import pytest

from solvent.domain.policy import Policy, parameters
from solvent.errors import SolventError

TEXT = """
name = "mine"
version = "3"
as_of = "2026-01-31"
source = "calibration of January"
[margin]
rule = "portfolio"
tail_damp = 0.5
"""


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rate: float
    name: str = "x"
    edges: tuple[float, ...] = ()


def test_a_policy_reads_from_toml_and_has_a_digest_of_its_content() -> None:
    policy = Policy.from_toml(TEXT)
    assert policy.rule == "portfolio"
    assert policy.digest() == Policy.from_toml(TEXT.replace("tail_damp = 0.5", "tail_damp=0.50")).digest()
    assert policy.digest() != Policy.from_toml(TEXT.replace("0.5", "0.6")).digest()
    assert policy.label == f"mine@{policy.digest().hex()[:8]}"


@pytest.mark.parametrize("bad", ["name = ", TEXT.replace("as_of", "asof"), TEXT + "\n[extra]\na = 1\n", "name = 1"])
def test_what_is_no_policy_is_refused_with_the_file(bad: str) -> None:
    with pytest.raises(SolventError, match=r"^mine\.toml"):
        Policy.from_toml(bad, "mine.toml")


def test_parameters_lists_every_wrong_key() -> None:
    made, found = parameters(Params, {"ratee": 1, "name": 3, "edges": [1, "a"]}, "policy x")
    assert made is None
    assert sorted(each.field for each in found) == ["edges", "name", "rate", "ratee"]


def test_integers_are_taken_where_floats_are_declared() -> None:
    made, found = parameters(Params, {"rate": 1, "edges": [1, 2.5], "rule": "r"}, "p", frozenset({"rule"}))
    assert found == []
    assert made == Params(1.0, "x", (1.0, 2.5))
