"""The executor: every bound reverts, only the owner's keepers, venues and pairs, funds go back to the owner alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chain.keeper_desk import Desk, local_desk

from solvent.chain.abi import decode
from solvent.chain.local import LocalChain
from solvent.chain.rpc import Reverted, data

NOBODY = "0x00000000000000000000000000000000000000aa"
FAR = 2**40


@pytest.fixture(scope="module")
def deployed(node_modules: Path) -> tuple[LocalChain, Desk]:
    chain, desk = local_desk(node_modules)
    desk.borrow(1, 10.0, 16_000.0)
    desk.crash(1_850.0)
    return chain, desk


@pytest.fixture
def desk(deployed: tuple[LocalChain, Desk]) -> Iterator[Desk]:
    number = deployed[0].snapshot()
    yield deployed[1]
    assert deployed[0].revert(number)


def attempt(desk: Desk, sender: str | None = None, **changes: object) -> tuple[int, ...]:
    """Call as the keeper: what it returns. Raises Reverted."""
    wanted: dict[str, object] = {
        "venue": desk.market.pool.address,
        "collateral": desk.weth.address,
        "debt": desk.usdc.address,
        "user": desk.users[1],
        "debt_to_cover": 8_000 * 10**6,
        "pair": desk.pair.address,
        "maximum_paid": 8_000 * 10**6,
        "minimum_received": 4 * 10**18,
        "minimum_profit": 200 * 10**6,
        "deadline": FAR,
    }
    payload = desk.executor.payload("liquidate", *{**wanted, **changes}.values())
    asked = {"from": sender or desk.account.address, "to": desk.executor.address, "data": "0x" + payload.hex()}
    return tuple(int(each) for each in decode(("uint256",) * 3, data(desk.rpc.call("eth_call", asked))))


def test_what_is_within_all_bounds_is_done(desk: Desk) -> None:
    paid, received, proceeds = attempt(desk)
    assert paid == 8_000 * 10**6
    assert received > 4 * 10**18
    assert proceeds > paid + 200 * 10**6


def test_collateral_can_be_kept(desk: Desk) -> None:
    paid, received, proceeds = attempt(desk, pair="0x" + "00" * 20, minimum_profit=10**18)
    assert (paid, proceeds) == (8_000 * 10**6, 0)
    assert received > 4 * 10**18


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"maximum_paid": 8_000 * 10**6 - 1}, "maximum paid"),
        ({"minimum_received": 5 * 10**18}, "minimum received"),
        ({"minimum_profit": 400 * 10**6}, "minimum profit"),
        ({"deadline": 1}, "deadline"),
        ({"venue": NOBODY}, "venue"),
        ({"pair": NOBODY}, "pair"),
        ({"sender": NOBODY}, "keeper"),
    ],
)
def test_every_bound_reverts(desk: Desk, changes: dict[str, object], reason: str) -> None:
    with pytest.raises(Reverted, match=reason):
        attempt(desk, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("set_keeper", (NOBODY, True)),
        ("set_venue", (NOBODY, True)),
        ("set_pair", (NOBODY, True)),
        ("withdraw", (NOBODY, 1)),
    ],
)
def test_only_the_owner_changes_lists_or_takes_funds(desk: Desk, function: str, arguments: tuple[object, ...]) -> None:
    payload = "0x" + desk.executor.payload(function, *arguments).hex()
    asked = {"from": desk.account.address, "to": desk.executor.address, "data": payload}
    with pytest.raises(Reverted, match="owner"):
        desk.rpc.call("eth_call", asked)


def test_the_owner_takes_funds_back(desk: Desk) -> None:
    owner = desk.deployer.sender
    before = desk.usdc.view("balanceOf", owner)
    desk.executor.send("withdraw", desk.usdc.address, 123)
    assert desk.usdc.view("balanceOf", owner) == before + 123


def test_a_keeper_that_was_removed_is_refused(desk: Desk) -> None:
    desk.executor.send("set_keeper", desk.account.address, False)
    with pytest.raises(Reverted, match="keeper"):
        attempt(desk)
