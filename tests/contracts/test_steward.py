"""Steward: bounds, steps, delays, pauses, vetoes, the seal."""

import boa
import pytest
from tests.contracts.world import NOBODY, World, key, refused

WEIGHT = key(5)
BOUND = (5_000, 8_400, 100, 50, 3_600, 86_400)
"""Lowest, highest, step in bps, least step, delay and pause in s."""
OWNER_DELAY_S = 172_800


@pytest.fixture
def governed(world: World) -> World:
    """Sealed, with a publisher, a guardian and a bound on initial weights."""
    steward = world.steward
    world.publisher, world.guardian = (boa.env.generate_address(name) for name in ("publisher", "guardian"))  # type: ignore[attr-defined]
    steward.set_up_roles(world.publisher, 2, sender=world.owner)  # type: ignore[attr-defined]
    steward.set_up_roles(world.guardian, 4, sender=world.owner)  # type: ignore[attr-defined]
    steward.set_up_bound(world.clearing, 5, BOUND, sender=world.owner)
    steward.seal(sender=world.owner)
    return world


def change(world: World, setting: int) -> bytes:
    return world.steward.propose(world.clearing, WEIGHT, setting, sender=world.publisher)  # type: ignore[attr-defined, no-any-return]


def test_a_change_waits_and_is_then_applied_by_anyone(governed: World, stranger: str) -> None:
    change(governed, 7_950)
    with refused("TooSoon"):
        governed.steward.apply(governed.clearing, WEIGHT, 7_950, sender=stranger)
    boa.env.time_travel(seconds=3_600)
    governed.steward.apply(governed.clearing, WEIGHT, 7_950, sender=stranger)
    assert governed.clearing.parameter(WEIGHT) == 7_950
    with refused("NotProposed"):
        governed.steward.apply(governed.clearing, WEIGHT, 7_950, sender=stranger)
    with refused("TooSoon"):
        change(governed, 7_900)


def test_bounds_and_steps_hold(governed: World) -> None:
    for setting, name in ((8_401, "OutsideBound"), (4_999, "OutsideBound"), (7_919, "StepTooLarge")):
        with refused(name):
            change(governed, setting)
    change(governed, 7_920)
    with refused("NoSuchParameter"):
        governed.steward.propose(governed.clearing, key(6), 8_500, sender=governed.publisher)  # type: ignore[attr-defined]


def test_a_guardian_strikes_a_proposal(governed: World, stranger: str) -> None:
    number = change(governed, 7_950)
    with refused("NotAuthorised"):
        governed.steward.veto(number, sender=stranger)
    governed.steward.veto(number, sender=governed.guardian)  # type: ignore[attr-defined]
    boa.env.time_travel(seconds=3_600)
    with refused("NotProposed"):
        governed.steward.apply(governed.clearing, WEIGHT, 7_950)


def test_old_proposals_lapse(governed: World) -> None:
    change(governed, 7_950)
    boa.env.time_travel(seconds=3_600 + 604_801)
    with refused("TooLate"):
        governed.steward.apply(governed.clearing, WEIGHT, 7_950)


def test_after_the_seal_nothing_is_set_at_once(governed: World) -> None:
    steward, owner = governed.steward, governed.owner
    for call in (
        lambda: steward.set_up(governed.clearing, WEIGHT, 7_990, sender=owner),
        lambda: steward.set_up_bound(governed.clearing, 5, BOUND, sender=owner),
        lambda: steward.set_up_roles(owner, 7, sender=owner),
    ):
        with refused("SetOnce"):
            call()


def test_bounds_and_roles_wait_for_the_owners_delay(governed: World, stranger: str) -> None:
    steward, owner = governed.steward, governed.owner
    wider = (1, 9_999, 10_000, 0, 60, 0)
    steward.propose_bound(governed.clearing, 5, wider, sender=owner)
    steward.propose_roles(stranger, 2, sender=owner)
    with refused("TooSoon"):
        steward.apply_bound(governed.clearing, 5, wider)
    boa.env.time_travel(seconds=OWNER_DELAY_S)
    steward.apply_bound(governed.clearing, 5, wider)
    steward.apply_roles(stranger, 2)
    steward.propose(governed.clearing, WEIGHT, 1_000, sender=stranger)
    assert steward.roles(stranger) == 2
    with refused("UnsafeParameter"):
        steward.set_up_roles(NOBODY, 1, sender=owner) if not steward.sealed() else _refused_bound(governed)


def _refused_bound(world: World) -> None:
    upside_down = (2, 1, 0, 0, 0, 0)
    world.steward.propose_bound(world.clearing, 5, upside_down, sender=world.owner)
    boa.env.time_travel(seconds=OWNER_DELAY_S)
    world.steward.apply_bound(world.clearing, 5, upside_down)
