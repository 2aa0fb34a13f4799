"""Eligibility: three-valued logic, reasons, and what a file of rules must be."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.errors import SolventError
from solvent.models.collateral.rules import Leaf, Node, Tree, eligibility, rules_of, verdict

TRUE, FALSE, UNKNOWN = (Leaf("age_days", ">=", 1.0), Leaf("age_days", ">=", 9.0), Leaf("spread", "<", 1.0))
VALUES = {"age_days": 5.0, "spread": None, "kind": "coin", "affiliated": False}
LEAVES = st.sampled_from([TRUE, FALSE, UNKNOWN])
TREES: st.SearchStrategy[Node] = st.recursive(
    LEAVES,
    lambda below: (
        st.builds(
            lambda nodes, name: Tree(name, tuple(nodes)),
            st.lists(below, min_size=1, max_size=3),
            st.sampled_from(["all", "any"]),
        )
        | below.map(lambda node: Tree("not", (node,)))
    ),
    max_leaves=8,
)


def possible(node: Node) -> set[bool]:
    """What a condition could be if the unknown were known: the control, by trying both."""
    if isinstance(node, Leaf):
        return {True, False} if node is UNKNOWN else {node is TRUE}
    below = [possible(each) for each in node.nodes]
    if node.operator == "not":
        return {not each for each in below[0]}
    return {(all if node.operator == "all" else any)(each) for each in product(*below)}


@given(TREES)
def test_a_verdict_is_what_it_would_be_whatever_the_unknown_is(node: Node) -> None:
    found = verdict(node, VALUES)
    assert found.reasons
    if found.holds is not None:
        assert possible(node) == {found.holds}
    else:
        assert possible(node) != set()


@given(TREES)
def test_nothing_is_admitted_for_want_of_data(node: Node) -> None:
    """A field that becomes unknown never turns a refusal into an admission."""
    before, after = verdict(node, VALUES).holds, verdict(node, {}).holds
    assert not (after is True and before is not True)


def test_and_or_not_give_the_reasons_that_decided() -> None:
    both = Tree("all", (TRUE, FALSE))
    assert verdict(both, VALUES).reasons == ("age_days is 5, asked for >= 9",)
    assert verdict(Tree("any", (TRUE, FALSE)), VALUES).reasons == ("age_days is 5, asked for >= 1",)
    assert verdict(Tree("not", (TRUE,)), VALUES) == (False, ("age_days is 5, asked for not >= 1",))
    assert verdict(Tree("all", (TRUE, UNKNOWN)), VALUES).reasons == ("spread is unknown, asked for < 1",)


def test_the_first_rule_that_is_not_met_decides() -> None:
    rules = rules_of({"rules": [
        {"name": "kind", "because": "coins only", "field": "kind", "comparison": "in", "value": ["coin"]},
        {"name": "old", "because": "too young", "not": {"field": "age_days", "comparison": "<", "value": 9}},
        {"name": "tight", "because": "too wide", "field": "spread", "comparison": "<", "value": 1},
    ]})  # fmt: skip
    found = eligibility(rules, VALUES)
    assert (found.eligible, found.rule) == (False, "old")
    assert found.reason == "too young (age_days is 5, asked for not < 9)"
    assert [each.holds for _, each in found.checks] == [True, False, None]
    assert eligibility(rules, VALUES | {"age_days": 10.0}).rule == "tight", "unknown is not met"
    assert eligibility(rules, VALUES | {"age_days": 10.0, "spread": 0.1}).eligible


@pytest.mark.parametrize(
    ("condition", "field"),
    [
        ({"field": "colour", "comparison": "=", "value": "red"}, "field"),
        ({"field": "age_days", "comparison": "~", "value": 1}, "field"),
        ({"field": "age_days", "comparison": ">=", "value": "old"}, "age_days >="),
        ({"field": "kind", "comparison": "<", "value": "coin"}, "kind <"),
        ({"field": "kind", "comparison": "in", "value": "coin"}, "kind in"),
        ({"field": "affiliated", "comparison": "=", "value": 1}, "affiliated ="),
        ({"field": "age_days", "comparison": ">="}, "condition"),
        ({"all": []}, "condition"),
        ({"all": [{"field": "age_days", "comparison": ">=", "value": 1}], "any": []}, "condition"),
        ({}, "condition"),
    ],
)
def test_conditions_that_cannot_be_read_are_named(condition: dict[str, object], field: str) -> None:
    with pytest.raises(SolventError) as error:
        rules_of({"rules": [{"name": "x", "because": "y", **condition}]})
    assert [each.field for each in error.value.problems] == [field]


def test_all_faults_come_at_once_and_depth_has_a_limit() -> None:
    bad = {"name": "x", "because": "y", "field": "colour", "comparison": "=", "value": 1}
    with pytest.raises(SolventError) as error:
        rules_of({"rules": [bad, {"name": "x"}, bad]})
    assert [each.row for each in error.value.problems] == [1, 2, 3]
    deep: dict[str, object] = {"field": "age_days", "comparison": ">=", "value": 1}
    for _ in range(20):
        deep = {"not": deep}
    with pytest.raises(SolventError, match="too deep"):
        rules_of({"rules": [{"name": "x", "because": "y", **deep}]})
    with pytest.raises(SolventError, match="at least one"):
        rules_of({})
