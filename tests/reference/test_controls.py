"""Controls: a reference with one thing wrong disagrees with the engine, in the run named, before it ends."""

from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor
from typing import Any

import pytest
from tests.reference import gates, insolvency, margin, market, money, settlement, terms, trading, venue, waterfall
from tests.reference.compare import Differ, Pair
from tests.reference.runs import Run
from tests.reference.world import World

from solvent.domain import commands as c

SEEDS = (4, 1, 3, 0, 11)
"""Runs that a mutation may need until it shows: the first goes through the whole waterfall early."""

Patch = Callable[[pytest.MonkeyPatch], None]


def noticed(steps: int = 30) -> str:
    """What the first run that differs says; empty where none does."""
    for seed in SEEDS:
        try:
            run = Run(seed, Pair())
            for _ in range(steps):
                run.step()
        except Differ as found:
            return str(found)
    return ""


def replaced(name: str, kind: type[Any], body: Callable[[World, Any], None]) -> Any:
    """A command performed in another way."""
    return pytest.param(lambda patch: patch.setitem(venue.PERFORMERS, kind, body), id=name)


def changed(name: str, place: Any, field: str, make: Callable[[Any], Any]) -> Any:
    """A function of the reference replaced by one made from it."""
    return pytest.param(lambda patch: patch.setattr(place, field, make(getattr(place, field))), id=name)


def _funding_of_the_wrong_sign(world: World, command: c.Fund) -> None:
    settlement.fund(world, c.Fund(command.instrument, command.interval, -command.rate_e12))


def _without_gate(world: World, command: c.Withdraw) -> None:
    gates.known_account(world, command.account)
    gates.known_asset(world, command.asset)
    world.pay(command.account, -2, command.asset, command.atoms)


def _any_price(rule: Any) -> Any:
    return lambda world, command, payer: gates.marked(world, command.instrument)


def _share_up(bought: Any) -> Any:
    return lambda *args, **more: bought(*args, **more) + 1


MUTATIONS = [
    replaced("funding of the wrong sign", c.Fund, _funding_of_the_wrong_sign),
    replaced("no gate on withdrawals", c.Withdraw, _without_gate),
    changed("no price band", trading, "_inside_band", _any_price),
    changed("no margin gate on trades", trading, "risk_may_grow", lambda rule: lambda *args: None),
    changed("a share too many for lenders", money, "bought", _share_up),
    changed(
        "quote legs of inverse contracts rounded up",
        terms.Terms,
        "quote",
        lambda right: (
            lambda self, lots, ticks: (
                ceil(lots * self.factor / ticks) if self.form == "inverse" else right(self, lots, ticks)
            )
        ),
    ),
    changed("scenarios of the wrong sign", margin._Held, "_losses_of", lambda f: lambda s, a: [-x for x in f(s, a)]),
    changed("no roll", market.Market, "roll_rate", lambda f: lambda *args: Fraction(0)),
    changed("no close-out cost", margin._Held, "close_out", lambda f: lambda *args: Fraction(0)),
    changed("no slow price", margin._Held, "slow", lambda f: lambda *args: Fraction(0)),
    changed("no confidence", margin._Held, "confidence", lambda f: lambda *args: Fraction(0)),
    changed("no haircuts", margin._Held, "collateral", lambda f: lambda *args: Fraction(0)),
    changed("equity rounded up", margin, "floor", lambda f: ceil),
    changed("margins rounded down", margin, "ceil", lambda f: floor),
    changed(
        "a long option at full value", market.Market, "option_mark", lambda f: lambda s, i, long: f(s, i, long) * 2
    ),
    changed("prices never in doubt", gates, "worst_state", lambda f: lambda *args: 0),
    changed(
        "no release margin",
        waterfall,
        "stage_of",
        lambda f: lambda w, a, v: "healthy" if f(w, a, v) == "called" else f(w, a, v),
    ),
    changed("no penalty", waterfall, "_penalty", lambda f: lambda *args: None),
    changed("impact forgotten", waterfall, "impact_e9", lambda f: lambda *args: 0),
    changed("no auction fee", waterfall, "_auction_parameter", lambda f: lambda w, x: f(w, x) * (x != "fee_rate")),
    changed("insurance pays nothing", insolvency, "_cover", lambda f: lambda *args: False),
    changed(
        "bankruptcy price at the mark",
        insolvency,
        "_bankruptcy_ticks",
        lambda f: lambda w, a, i, *more: w.quotes[i].ticks,
    ),
    changed("losses not shared", insolvency, "_share_loss", lambda f: lambda *args: None),
]


@pytest.mark.parametrize("mutate", MUTATIONS)
def test_a_wrong_reference_is_noticed(mutate: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    mutate(monkeypatch)
    assert noticed() != ""


def test_the_same_runs_agree_where_nothing_is_wrong() -> None:
    assert noticed() == ""
