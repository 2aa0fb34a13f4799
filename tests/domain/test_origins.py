"""The table of origins names every command, and who acts for an account is who owns it."""

from typing import get_args

import pytest

from solvent.domain import commands as c
from solvent.domain import origins


def test_every_command_has_a_row_and_every_row_is_of_a_command() -> None:
    assert set(origins.ALLOWED) == set(get_args(c.Command))
    for command, allowed in origins.ALLOWED.items():
        assert allowed, command
        assert len(set(allowed)) == len(allowed)
        assert set(allowed) <= set(origins.ORIGINS)
    assert origins.ORIGINS == ("engine", "owner", "venue", "keeper", "risk", "operator")


@pytest.mark.parametrize(
    "command", [c.Mark, c.Fund, c.Accrue, c.Expire, c.Insure, c.Deleverage, c.Socialise, c.RampPolicy]
)
def test_what_the_outside_decides_nobody_may_claim(command: type) -> None:
    assert origins.ALLOWED[command] == ("engine",)


def test_nobody_but_its_owner_takes_money_out_of_an_account() -> None:
    for command in (c.Withdraw, c.Transfer, c.Supply, c.Redeem):
        assert origins.ALLOWED[command] == ("owner",)


def test_account_of() -> None:
    assert origins.account_of(c.Withdraw(3, 0, 1)) == 3
    assert origins.account_of(c.Transfer(4, 5, 0, 1)) == 4
    assert origins.account_of(c.Bid(6, 7, 1)) == 7
    assert origins.account_of(c.Liquidate(6)) is None
