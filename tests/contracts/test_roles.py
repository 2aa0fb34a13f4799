"""Who may call what: every function that changes state, against every role."""

import json
from collections.abc import Callable
from typing import Any

import boa
import pytest
from tests.contracts.world import CONTRACTS, NOBODY, World, contract, refused

ORDER = (1, 0, True, 1, 1, 0, 0, 2**200, NOBODY)
ADDRESS = "0x" + "11" * 20
BOUND = (0, 1, 0, 0, 0, 0)

PRIVATE: dict[tuple[str, str], tuple[Any, ...]] = {
    ("clearing", "wire"): (ADDRESS,),
    ("clearing", "set_auction"): (1, 0),
    ("clearing", "take"): (1, int(ADDRESS, 16) << 8, ADDRESS, 1, 0, 0, 0),
    ("clearing", "absorb"): (1, 2, 1, 1),
    ("clearing", "move_position"): (1, 0, 1, 1, 0),
    ("clearing", "set_deficit"): (0, 1),
    ("clearing", "set_parameter"): (5, 1),
    ("clearing", "cancel"): (ORDER,),
    ("clearing", "deposit"): (1, 0, 1),
    ("clearing", "deposit_cash"): (1, 1),
    ("clearing", "withdraw"): (1, 0, 1, ADDRESS),
    ("clearing", "withdraw_cash"): (1, 1, ADDRESS),
    ("clearing", "borrow"): (1, 1, ADDRESS),
    ("clearing", "repay_from_cash"): (1, 1),
    ("pool", "wire"): (ADDRESS,),
    ("pool", "lend"): (1, ADDRESS),
    ("pool", "repay"): (1, 1, True),
    ("pool", "share_loss"): (1, 1),
    ("pool", "pay_insurance"): (1,),
    ("pool", "insure_from_custody"): (1,),
    ("pool", "custody_in"): (1,),
    ("pool", "custody_out"): (1, ADDRESS),
    ("pool", "set_parameter"): (0, 1),
    ("prices", "set_parameter"): (0, 1),
    ("auction", "set_parameter"): (0, 1),
    ("steward", "set_up"): (ADDRESS, 0, 1),
    ("steward", "set_up_bound"): (ADDRESS, 0, BOUND),
    ("steward", "set_up_roles"): (ADDRESS, 1),
    ("steward", "seal"): (),
    ("steward", "propose"): (ADDRESS, 0, 1),
    ("steward", "propose_bound"): (ADDRESS, 0, BOUND),
    ("steward", "propose_roles"): (ADDRESS, 1),
    ("steward", "veto"): (b"\1" * 32,),
}
"""What only a role may call, with arguments that reach the check of the caller."""

PUBLIC = {
    "clearing": {"set_operator", "fill", "repay", "settle", "sweep_insurance"},
    "pool": {"deposit", "mint", "withdraw", "redeem", "transfer", "transferFrom", "approve", "insure"},
    "prices": {"push", "poke"},
    "auction": {"start", "reset", "finish", "bid", "share_market_loss"},
    "steward": {"apply", "apply_bound", "apply_roles"},
}
"""What anyone may call; signatures, shares and health are what is checked there."""

ALLOWED: dict[tuple[str, str], set[str]] = {
    **{
        key: {"auction"}
        for key in PRIVATE
        if key[1] in {"set_auction", "take", "absorb", "move_position", "set_deficit"}
    },
    **{key: {"clearing"} for key in PRIVATE if key[0] == "pool" and key[1] not in {"wire", "set_parameter"}},
    **{key: {"steward"} for key in PRIVATE if key[1] == "set_parameter"},
    **{key: {"owner"} for key in PRIVATE if key[0] == "steward" and key[1] not in {"propose", "veto"}},
}
ROLES = ("owner", "steward", "clearing", "pool", "auction", "prices", "stranger")


def changing(name: str) -> set[str]:
    """Functions of a contract that change state."""
    abi = json.loads((CONTRACTS / "build" / f"{name}.json").read_text())["abi"]
    return {
        entry["name"]
        for entry in abi
        if entry["type"] == "function" and entry["stateMutability"] in {"nonpayable", "payable"}
    }


@pytest.mark.parametrize("name", PUBLIC)
def test_the_table_knows_every_function(name: str) -> None:
    private = {function for contract, function in PRIVATE if contract == name}
    assert changing(name.capitalize()) == private | PUBLIC[name]


@pytest.mark.parametrize(("contract", "function"), PRIVATE)
def test_nobody_else_gets_in(world: World, stranger: str, contract: str, function: str) -> None:
    call: Callable[..., Any] = getattr(getattr(world, contract), function)
    for role in ROLES:
        who = stranger if role == "stranger" else getattr(world, role)
        if role not in ALLOWED.get((contract, function), set()):
            with refused("NotAuthorised"):
                call(*PRIVATE[contract, function], sender=getattr(who, "address", who))


@pytest.mark.parametrize(("contract", "function"), ALLOWED)
def test_the_role_passes_the_check(world: World, contract: str, function: str) -> None:
    """The control: what stops the right caller, if anything, is another check."""
    (role,) = ALLOWED[contract, function]
    who = getattr(world, role)
    call = getattr(getattr(world, contract), function)
    output = b""
    try:
        call(*PRIVATE[contract, function], sender=getattr(who, "address", who))
    except boa.BoaError as error:
        output = bytes(error.call_trace.computation.output)
    assert output != refused("NotAuthorised").selector


OWNERS: dict[str, tuple[Any, ...]] = {
    "set_keeper": (ADDRESS, True),
    "set_venue": (ADDRESS, True),
    "set_pair": (ADDRESS, True),
    "withdraw": (ADDRESS, 0),
}
KEEPERS: dict[str, tuple[Any, ...]] = {"liquidate": (ADDRESS, ADDRESS, NOBODY, NOBODY, 0, NOBODY, 0, 0, 0, 0)}


def test_an_executor_obeys_its_owner_and_liquidates_for_its_keepers(world: World, stranger: str) -> None:
    keeper, owner = boa.env.generate_address("keeper"), boa.env.generate_address("owner of funds")
    with boa.env.prank(owner):
        executor = contract("Executor", keeper)
    assert changing("Executor") == {*OWNERS, *KEEPERS}
    for names, allowed, reason in ((OWNERS, owner, "owner"), (KEEPERS, keeper, "keeper")):
        for name, arguments in names.items():
            for caller in {owner, keeper, stranger} - {allowed}:
                with boa.reverts(reason):
                    getattr(executor, name)(*arguments, sender=caller)
    with boa.reverts("venue"):
        executor.liquidate(*KEEPERS["liquidate"], sender=keeper)
    for name in ("set_keeper", "set_venue", "set_pair"):
        getattr(executor, name)(*OWNERS[name], sender=owner)
        assert getattr(executor, name.replace("set", "is"))(ADDRESS)
