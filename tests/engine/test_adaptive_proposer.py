"""From evidence to proposals: forecasts without a look ahead, the band of predictions, bounds, loosenings that wait."""

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.domain import commands as c
from solvent.domain.adaptive import Adaptive, AdaptiveParams, Change, Evidence, Forecast, PendingChange
from solvent.domain.commands import Quote
from solvent.domain.policy import Policy
from solvent.domain.symbols import instrument
from solvent.engine.adaptive.history import BAR_S, Closes, History
from solvent.engine.adaptive.parameters import with_values
from solvent.engine.adaptive.proposer import (
    OTHER_MODEL,
    RANGE_MOST,
    STALE,
    Prediction,
    Sight,
    TailProposer,
    within_band,
)
from solvent.engine.adaptive.tails import Walk
from solvent.engine.files import read_policy
from solvent.errors import SolventError
from solvent.models.catalogue import model_of
from solvent.models.historical import Historical
from solvent.models.returns import price_fraction

BAR_NS = BAR_S * 10**9
MODEL = "hs-250"


def closes_of(returns: Any, start: int = 6_000_000) -> Closes:
    """Closes, in ticks of a cent, whose returns are nearly these."""
    ticks = np.round(start * np.exp(np.concatenate(([0.0], np.cumsum(returns))))).astype(int)
    return Closes(tuple(BAR_NS * (k + 1) for k in range(len(ticks))), tuple(ticks.tolist()))


def history_of(**returns: Any) -> History:
    """A history of assets with these returns in neighbouring bars, and one more bar under way."""
    history = History()
    assets = [instrument(asset) for asset in returns]
    closes = [closes_of(each) for each in returns.values()]
    for k in range(len(closes[0].ticks) + 1):
        quotes = {i: Quote(i, each.ticks[min(k, len(each.ticks) - 1)]) for i, each in enumerate(closes)}
        history.add(k * BAR_NS, assets, quotes)
    return history


def noise(scale: float, size: int = 400, seed: int = 1) -> Any:
    return np.random.default_rng(seed).standard_t(4, size) * scale


def sight(policy: Policy | None = None, **adaptive: Any) -> Sight:
    return Sight(Adaptive(AdaptiveParams(), **adaptive), policy or read_policy("portfolio"), 400 * BAR_NS)


def proposals(commands: Any) -> list[dict[str, float]]:
    return [dict(each.changes) for each in commands if isinstance(each, c.ProposePolicy)]


# ---- the walk


def test_each_bar_is_forecast_from_the_bars_before_it() -> None:
    returns = noise(0.001, 300)
    closes = closes_of(returns)
    walk = Walk(Historical(250), 0.99)
    assert walk.advance(closes)
    exact = closes.returns()
    came, beyond = 0, 0
    for place in range(250, 300):
        came += 1
        beyond += -exact[place] > Historical(250).fit(exact[:place]).quantile(0.99, "long")
    assert (walk.tested, walk.exceptions["long"]) == (came, beyond)
    assert walk.fitted is not None
    assert walk.fitted.quantile(0.99, "long") == Historical(250).fit(exact).quantile(0.99, "long")


def test_bar_by_bar_is_the_same_as_all_at_once() -> None:
    closes = closes_of(noise(0.001, 320))
    slow, fast = Walk(model_of("fhs-ewma-97"), 0.99), Walk(model_of("fhs-ewma-97"), 0.99)
    for count in range(1, 322):
        slow.advance(Closes(closes.end_ns[:count], closes.ticks[:count]))
    fast.advance(closes)
    assert slow.rows("BTC", 288) == fast.rows("BTC", 288)
    assert slow.tested == 320 - 250


def test_too_few_bars_are_no_evidence() -> None:
    assert not Walk(Historical(250), 0.99).advance(closes_of(noise(0.001, 249)))
    assert TailProposer(MODEL).evidence(history_of(BTC=noise(0.001, 100)), sight()) is None


def test_a_history_that_begins_elsewhere_is_walked_anew() -> None:
    closes = closes_of(noise(0.001, 400))
    walk = Walk(Historical(250), 0.99)
    walk.advance(closes)
    walk.advance(Closes(closes.end_ns[100:], closes.ticks[100:]))
    assert walk.tested == 50


def test_a_margin_covers_a_day_by_the_square_root_of_time() -> None:
    walk = Walk(Historical(250), 0.99)
    walk.advance(closes_of(noise(0.001)))
    long, short = walk.rows("BTC", 288)
    assert walk.fitted is not None
    assert long.core == price_fraction(walk.fitted.quantile(0.99, "long") * math.sqrt(288), "long")
    assert short.core == price_fraction(walk.fitted.quantile(0.99, "short") * math.sqrt(288), "short")


# ---- the band


NAMED, OTHER = "ab" * 32, "cd" * 32


def prediction(margin: float, ts_ns: int = 100, **more: Any) -> Prediction:
    return Prediction(margin, ts_ns, more.pop("lasts_ns", 10), NAMED, "0" * 64, **more)


def naming(policy: Policy, blake2b: str = NAMED) -> Policy:
    """A policy that names a model of BTC."""
    row = {"file": "BTC.txt", "blake2b": blake2b, "learnt_before": "2024-01-01T00:00:00Z"}
    return msgspec.structs.replace(policy, margin={**policy.margin, "prediction": {"BTC": row}})


@given(st.floats(0.001, 0.5), st.floats(0.0, 2.0), st.integers(-5, 20))
def test_predictions_move_margin_within_their_band_or_upward(core: float, said: float, age: int) -> None:
    found = within_band(core, prediction(said, 100 - age), 100)
    if not 0 <= age <= 10:
        assert found == core
    else:
        assert found == max(said, 0.75 * core)


@pytest.mark.parametrize("margin", [math.nan, math.inf])
def test_missing_features_give_the_core(margin: float) -> None:
    assert within_band(0.1, prediction(margin), 100) == 0.1


def test_a_prediction_stands_in_the_evidence_beside_the_core() -> None:
    history, seen = history_of(BTC=noise(0.001)), sight(naming(read_policy("portfolio")))
    rows = {}
    for name, said in (
        ("low", prediction(0.0, seen.ts_ns)),
        ("high", prediction(0.7, seen.ts_ns, note="why")),
        ("stale", prediction(0.7, seen.ts_ns - 11)),
        ("other", prediction(0.7, seen.ts_ns)._replace(model=OTHER)),
        ("silent", prediction(math.nan, seen.ts_ns, note="no candle of the last hour")),
    ):
        found = TailProposer(MODEL, lambda asset, side, said=said: said).evidence(history, seen)
        assert found is not None
        rows[name] = found.rows[0]
    plain = TailProposer(MODEL).evidence(history, seen)
    assert plain is not None
    core = plain.rows[0]
    assert (core.prediction, core.forecast) == (None, None)
    assert rows["low"].margin == rows["low"].prediction == 0.75 * core.core
    assert rows["high"].margin == 0.7
    assert rows["high"].forecast == Forecast(seen.ts_ns, NAMED, "0" * 64, 0.7, "why")
    for name, note in (("stale", STALE), ("other", OTHER_MODEL), ("silent", "no candle of the last hour")):
        assert msgspec.structs.replace(rows[name], forecast=None) == core
        assert rows[name].forecast is not None
        assert (rows[name].forecast.margin, rows[name].forecast.note) == (None, note)


def test_a_proposal_says_in_words_which_model_moved_it() -> None:
    history = history_of(BTC=noise(0.001))
    seen = sight(naming(read_policy("portfolio")))
    said = prediction(0.4, seen.ts_ns)
    (command,) = TailProposer(MODEL, lambda asset, side: said).propose(history, seen)
    assert isinstance(command, c.ProposePolicy)
    assert f"by model {NAMED[:8]} 40.0%" in command.evidence.reason


# ---- proposals


def test_a_jump_of_volatility_raises_by_steps() -> None:
    history = history_of(BTC=np.concatenate([noise(0.001, 300), noise(0.02, 100)]))
    (command,) = TailProposer(MODEL).propose(history, sight())
    assert isinstance(command, c.ProposePolicy)
    assert command.changes == (("scan_range.BTC", 0.21),)
    assert (command.evidence.margin_of("BTC") or 0.0) > 0.3
    assert "99% loss of a day" in command.evidence.reason


def test_no_evidence_asks_for_more_than_a_range_may_be() -> None:
    found = TailProposer(MODEL).evidence(history_of(BTC=noise(0.2)), sight())
    assert found is not None
    assert found.margin_of("BTC") == RANGE_MOST


def test_what_the_day_has_left_bounds_a_raise() -> None:
    history = history_of(BTC=np.concatenate([noise(0.001, 300), noise(0.02, 100)]))
    spent = ((399 * BAR_NS, "scan_range.BTC", 0.08),)
    assert proposals(TailProposer(MODEL).propose(history, sight(moved=spent))) == [{"scan_range.BTC": 0.18}]
    spent = ((399 * BAR_NS, "scan_range.BTC", 0.0999),)
    assert TailProposer(MODEL).propose(history, sight(moved=spent)) == []


def test_raises_and_loosenings_are_apart() -> None:
    history = history_of(BTC=np.concatenate([noise(0.001, 300), noise(0.02, 100)]), ETH=noise(0.001))
    up, down = proposals(TailProposer(MODEL).propose(history, sight()))
    assert set(up) == {"scan_range.BTC"}
    assert set(down) == {"scan_range.ETH"}
    assert down["scan_range.ETH"] == pytest.approx(0.11)


def test_small_differences_are_left_alone() -> None:
    history = history_of(BTC=noise(0.001))
    evidence = TailProposer(MODEL).evidence(history, sight())
    assert evidence is not None
    near = evidence.margin_of("BTC")
    assert near is not None
    for offset in (-0.004, 0.0, 0.029):
        policy = with_values(read_policy("portfolio"), {"scan_range.BTC": near + offset})
        assert TailProposer(MODEL).propose(history, sight(policy)) == []


def test_a_loosening_that_waits_is_not_asked_for_again_while_evidence_bears_it() -> None:
    history = history_of(BTC=noise(0.001))
    waiting = PendingChange(4, (Change("scan_range.BTC", 0.16, 0.11),), "", 0)
    assert TailProposer(MODEL).propose(history, sight(pending=(waiting,))) == []
    too_low = msgspec.structs.replace(waiting, changes=(Change("scan_range.BTC", 0.16, 0.001),))
    withdrawn, again = TailProposer(MODEL).propose(history, sight(pending=(too_low,)))
    assert withdrawn == c.WithdrawProposal(4)
    assert isinstance(again, c.ProposePolicy)
    person = msgspec.structs.replace(too_low, by="ada")
    assert len(TailProposer(MODEL).propose(history, sight(pending=(person,)))) == 1, "a person's own is left alone"


def test_stale_closes_are_no_evidence() -> None:
    history = history_of(BTC=noise(0.001), ETH=noise(0.001, seed=2))
    found = TailProposer(MODEL).evidence(history, sight())
    assert found is not None
    assert {row.asset for row in found.rows} == {"BTC", "ETH"}
    for k in range(405, 412):  # BTC goes on, ETH does not
        history.add(k * BAR_NS, [instrument("BTC")], {0: Quote(0, 6_000_000)})
    found = TailProposer(MODEL).evidence(history, sight())
    assert found is not None
    assert {row.asset for row in found.rows} == {"BTC"}


def test_thin_volume_costs_margin_and_no_volume_costs_nothing_known() -> None:
    history = history_of(BTC=noise(0.001))

    def margin(volume: float) -> tuple[float, float | None]:
        found: Evidence | None = TailProposer(MODEL).evidence(
            history, sight()._replace(volume_usd_daily={"BTC": volume}, half_spread={"BTC": 0.001})
        )
        assert found is not None
        return found.rows[0].liquidity, found.rows[0].volume_usd_daily

    thin, deep = margin(1e7), margin(1e10)
    assert thin[0] > deep[0] > 0.001
    assert margin(math.nan) == (0.001, None)


def test_a_scaled_policy_is_moved_by_what_it_requires() -> None:
    base = read_policy("portfolio")
    scaled = msgspec.structs.replace(base, margin={**base.margin, "margin_scale": 2.0})
    history = history_of(BTC=np.concatenate([noise(0.001, 300), noise(0.02, 100)]))
    (moves,) = proposals(TailProposer(MODEL).propose(history, sight(scaled)))
    assert 2 * moves["scan_range.BTC"] == pytest.approx(0.32 + 0.05)


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(SolventError, match="one of hs-250"):
        TailProposer("oracle of delphi")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("solvent.engine.adaptive.proposer.find_spec", lambda name: None)
    with pytest.raises(SolventError, match="solvent\\[models\\]"):
        TailProposer("stack")
    assert TailProposer(MODEL).model == MODEL
