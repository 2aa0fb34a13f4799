"""`solvent policies`: every ready-made policy with its date and source, and its text as a start."""

import json

import pytest
from typer.testing import CliRunner

from solvent.cli.main import app
from solvent.domain.policy import Policy
from solvent.engine.files import policy_names, read_policy
from solvent.margin.rule import BUILT_IN

runner = CliRunner()


def test_the_list_names_every_policy_with_rule_and_date() -> None:
    result = runner.invoke(app, ["policies"])
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    for name in policy_names():
        policy = read_policy(name)
        assert [name, policy.rule, policy.version, policy.as_of] in [line[:4] for line in lines], name


def test_the_list_as_json() -> None:
    found = json.loads(runner.invoke(app, ["policies", "--json"]).stdout)
    assert [each["name"] for each in found] == policy_names()
    assert all(each["source"] and len(each["digest"]) == 64 for each in found)


def test_one_policy_is_printed_as_it_is() -> None:
    result = runner.invoke(app, ["policies", "portfolio"])
    assert Policy.from_toml(result.stdout) == read_policy("portfolio")


def test_an_unknown_policy_exits_with_2() -> None:
    result = runner.invoke(app, ["policies", "../secrets"])
    assert result.exit_code == 2
    assert "one of" in result.stderr


@pytest.mark.parametrize("name", policy_names())
def test_every_ready_made_policy_has_its_name_a_date_a_source_and_a_rule(name: str) -> None:
    policy = read_policy(name)
    assert policy.name == name
    assert len(policy.as_of) == 10
    assert policy.source
    assert policy.rule in BUILT_IN


def test_lending_policies_show_where_liquidations_turn_toxic() -> None:
    lines = runner.invoke(app, ["policies"]).stdout.splitlines()
    assert "93.5% to 95.7%" in next(line for line in lines if line.startswith("aave-v3"))
    found = json.loads(runner.invoke(app, ["policies", "--json"]).stdout)
    by_name = {each["name"]: each["toxic_ltv"] for each in found}
    assert by_name["aave-v3"]["ETH"] == pytest.approx(1 / 1.05)
    assert by_name["portfolio"] == {}
