"""Every attack fails against the default venue, and succeeds once its guard is taken away."""

import pytest

from solvent.domain.owners import INSURANCE
from solvent.lab.attacks.attack import Attack, Result, played
from solvent.lab.attacks.scene import BTC_PERP, FUND_USD, USDC, Scene
from solvent.lab.attacks.table import ATTACKS

WANTED = (
    "off-market-trade", "long-short", "thin-collateral", "own-book-mark", "worthless-listing", "stuck-price",
    "forged-price", "future-price", "dust", "self-liquidation", "deposit-ping-pong", "parameter-push",
)  # fmt: skip


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    return {name: played(attack) for name, attack in ATTACKS.items()}


def test_all_are_there() -> None:
    assert tuple(ATTACKS) == WANTED


@pytest.mark.parametrize("name", WANTED)
def test_the_guard_holds_and_without_it_the_attack_pays(results: dict[str, Result], name: str) -> None:
    result = results[name]
    assert result.profit_usd <= 0.0, result
    assert result.venue_loss_usd <= 0.0, result
    assert result.control_profit_usd > 0.0, result
    assert result.control_venue_loss_usd > 0.0, result
    assert result.held


def test_a_switch_is_back_on_after_the_control() -> None:
    for name in ("off-market-trade", "dust", "self-liquidation", "deposit-ping-pong", "parameter-push"):
        assert played(ATTACKS[name]) == played(ATTACKS[name])


def test_who_does_nothing_gains_nothing_and_that_is_no_guard() -> None:
    idle = Attack("idle", "none", "none", lambda scene: scene.leave())
    result = played(idle)
    assert (result.profit_usd, result.venue_loss_usd, result.control_profit_usd) == (0.0, 0.0, 0.0)
    assert not result.held


class TestTally:
    """The tally itself: what it counts adds up to the last atom."""

    def test_a_trade_between_attackers_is_none_of_the_venues(self) -> None:
        scene = Scene()
        long, short = scene.joins("long", {USDC: 1e6}), scene.joins("short", {USDC: 1e6})
        scene.accepted(scene.trades(BTC_PERP, long, short, 10.0))
        scene.true["BTC"] *= 1.01
        scene.tick(1.0)
        assert (scene.profit_usd(), scene.venue_loss_usd()) == (0.0, 0.0)
        scene.leave()
        assert (scene.profit_usd(), scene.venue_loss_usd()) == (0.0, 0.0)

    def test_what_a_trader_wins_of_the_maker_both_sides_show(self) -> None:
        scene = Scene()
        trader = scene.joins("trader", {USDC: 1e6})
        scene.accepted(scene.trades(BTC_PERP, trader, scene.maker, 10.0))
        scene.true["BTC"] += 100.0
        scene.tick(1.0)
        assert scene.profit_usd() == scene.venue_loss_usd() == 1_000.0

    def test_a_debt_left_behind_is_the_venues_loss(self) -> None:
        scene = Scene()
        debtor = scene.joins("debtor", {USDC: 1e6})
        scene.accepted(scene.trades(BTC_PERP, debtor, scene.maker, 50.0))
        scene.true["BTC"] -= 30_000.0
        scene.tick(1.0)
        assert scene.profit_usd() == -1e6
        assert -1e6 < scene.venue_loss_usd() < -0.99e6  # the maker won 1.5 million, of which the fund paid half a one
        assert scene.atoms(INSURANCE, USDC) == pytest.approx((FUND_USD - 0.5e6) * 1e6, rel=1e-3)
