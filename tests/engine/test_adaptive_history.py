"""Closes of the journal's marks, their digest, and the volume that counts."""

import math

import msgspec
import pytest
from tests.engine.adaptive_desk import AdaptiveDesk

from solvent.domain.adaptive import Evidence, EvidenceRow
from solvent.engine.adaptive import history as histories
from solvent.engine.adaptive.history import Closes, History, evidence_holds
from solvent.engine.adaptive.volume import SteadyVolume
from solvent.engine.sources.tick import SourcePrice, Tick

DAY_NS = 86_400 * 10**9
MINUTE_NS = 60 * 10**9


def followed(desk: AdaptiveDesk) -> History:
    """The history of a desk that is told of every tick, as a running engine tells it."""
    found = History()
    found.add(desk.state.marked_ns, desk.state.universe.instruments, desk.state.quotes)
    desk.engine.listeners.append(
        lambda _: found.add(desk.state.marked_ns, desk.state.universe.instruments, desk.state.quotes)
    )
    return found


def test_the_last_price_of_a_bar_is_its_close_and_the_newest_bar_is_not_over() -> None:
    desk = AdaptiveDesk()
    history = followed(desk)
    for minutes, price in ((1, 60_100.0), (3, 60_200.0), (2, 60_300.0), (5, 60_400.0)):
        desk.tick(minutes, BTC=price)
    closes = history.closes("BTC")
    tick = float(desk.state.universe.terms.tick[desk.state.universe.index("BTC")])
    assert [round(ticks * tick) for ticks in closes.ticks] == [60_200, 60_300]
    assert all(end_ns % (300 * 10**9) == 0 for end_ns in closes.end_ns)
    assert closes.returns() == pytest.approx([math.log(60_300 / 60_200)])
    assert "USDC" not in history.assets


def test_what_is_read_back_is_what_was_seen() -> None:
    desk = AdaptiveDesk()
    history = followed(desk)
    for step in range(20):
        desk.tick(4, BTC=60_000.0 + 10 * step, ETH=3_000.0 - step)
    again = History.read(desk.engine.journal)
    for asset in ("BTC", "ETH"):
        assert again.closes(asset) == history.closes(asset)
    assert again.digest(["BTC", "ETH"], 0, 2**62) == history.digest(["ETH", "BTC"], 0, 2**62)


def test_prices_in_doubt_are_no_closes() -> None:
    desk = AdaptiveDesk()
    history = followed(desk)
    desk.tick(5)
    before = history.closes("BTC")
    desk.tick(5, sources=(SourcePrice("USDC", "venue", 1.0), SourcePrice("ETH", "venue", 3_000.0)))
    desk.tick(5, sources=(SourcePrice("USDC", "venue", 1.0), SourcePrice("ETH", "venue", 3_000.0)))
    assert len(history.closes("BTC").ticks) == len(before.ticks) + 1
    assert len(history.closes("ETH").ticks) == len(before.ticks) + 2


def test_the_digest_names_the_data() -> None:
    desk = AdaptiveDesk()
    for _ in range(5):
        desk.tick(5, BTC=desk.prices["BTC"] + 1)
    closes = History.read(desk.engine.journal).closes("BTC")
    first_ns, last_ns = closes.end_ns[1], closes.end_ns[3]
    digest = History.read(desk.engine.journal).digest(["BTC"], first_ns, last_ns)
    row = EvidenceRow("BTC", "long", 0.1, 0.1, 0.99, 3, 0, 3, 1.0)
    proof = Evidence("m", digest, first_ns, last_ns, (row,))
    assert evidence_holds(desk.engine.journal, proof)
    desk.tick(600, BTC=1.0)
    assert evidence_holds(desk.engine.journal, proof), "what comes later changes no evidence"
    for other in ({"first_ns": first_ns + 1}, {"last_ns": last_ns - 1}, {"data_digest": "0" * 64}, {"bar_s": 600}):
        assert not evidence_holds(desk.engine.journal, msgspec.structs.replace(proof, **other))


def test_the_past_is_forgotten_by_halves_of_all_assets_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "BARS_MOST", 20)
    desk = AdaptiveDesk()
    history = followed(desk)
    for _ in range(30):
        desk.tick(5)
    assert 10 <= len(history.closes("BTC").ticks) <= 21
    assert history.closes("BTC").end_ns == history.closes("ETH").end_ns


def test_bars_a_day_do_not_mind_gaps() -> None:
    ends = tuple(300 * 10**9 * k for k in (1, 2, 3, 4, 50, 51, 52))
    assert Closes(ends, (1,) * 7).bars_daily() == 288


# ---- volume


def say(volume: SteadyVolume, day: float, usd: float, **sources: float) -> float:
    """What counts of a tick's BTC volume."""
    by_source = {"BTC": sources} if sources else {}
    tick = Tick(round(day * DAY_NS), (), {"BTC": usd}, volume_by_source=by_source)
    return volume.steadied(tick).volume_usd_daily["BTC"]


def test_volume_that_is_pumped_for_days_does_not_count() -> None:
    volume = SteadyVolume()
    for day in range(20):
        assert say(volume, day, 1e9) == 1e9
    for day in range(20, 26):
        assert say(volume, day, 1e11) == 1e9
    assert say(volume, 26, 1e8) == 1e8, "what is traded no more counts at once"


def test_of_several_sources_the_lowest_counts() -> None:
    volume = SteadyVolume()
    for day in range(20):
        found = say(volume, day, 101e9, honest=1e9, washed=100e9)
    assert found == 1e9


def test_within_a_day_the_lowest_figure_stands() -> None:
    volume = SteadyVolume()
    assert say(volume, 0.1, 1e9) == 1e9
    assert say(volume, 0.5, 1e11) == 1e9


def test_without_the_weeks_a_pump_would_count() -> None:
    assert say(SteadyVolume(), 0.5, 1e11) == 1e11, "the control: a volume without any past is taken as it is"


def test_volume_is_read_back_from_marks() -> None:
    desk = AdaptiveDesk(volume_usd_daily=2e9)
    desk.tick(5)
    read = SteadyVolume.read(desk.engine.journal)
    assert read.counted("BTC", desk.now_ns) == 2e9
    assert math.isnan(read.counted("SOL", desk.now_ns))
