"""Views of a running engine on made data: numbers, small graphs, and whole screens of several sizes."""

import io
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from solvent.cli.live import (
    BLOCKS,
    Auction,
    Happening,
    Latency,
    Price,
    Standing,
    View,
    auctions,
    bands,
    bar,
    clock,
    duration,
    health_text,
    latency,
    losses,
    mood,
    percent,
    price_text,
    prices,
    screen,
    short,
    sparkline,
    starting,
    tape,
    whole,
    worst,
)

NOON = 1_704_110_400 * 10**9
CALM = View(
    source="simulated market, seed 7",
    store="here.journal",
    ts_ns=NOON,
    height=46,
    ticks=42,
    accounts=10_001,
    prices=(
        Price("BTC", 52_310.2, -0.128, "ok", (60_000.0, 56_000.0, 52_310.2)),
        Price("ETH", 2_431.02, 0.013, "ok", (2_400.0, 2_410.0, 2_431.02)),
        Price("USDC", 1.0, 0.0, "ok", (1.0, 1.0, 1.0)),
    ),
    history_s=12_300.0,
    bands=(("< 1", 0), ("1 - 1.15", 37), ("1.15 - 1.5", 506), ("1.5 - 2", 1_083), ("2 - 3", 2_149), ("> 3", 6_226)),
    worst=(
        Standing("a09423", 5_921.4, 7_421.0, 5_958.0, 0.99, 1.15, "called"),
        Standing("a00447", 548.0, 646.0, 517.0, 1.06, 1.06, "healthy"),
    ),
    fund_usd=2e6,
    fund_start_usd=2e6,
    fund_history=(2e6, 2e6),
    commands=29,
    commands_per_s=10.2,
    margin=Latency(0.00314, 0.0121),
    commit=Latency(0.00076, 0.031),
)
CRASH = msgspec.structs.replace(
    CALM,
    prices=(Price("BTC", 41_000.0, -0.31, "degraded", (60_000.0, 41_000.0)), *CALM.prices[1:]),
    worst=(Standing("a00666", -1_234.0, 900.0, 800.0, -1.54, -1.54, "insolvent"), *CALM.worst),
    stages={"called": 1_366, "liquidating": 19, "insolvent": 1},
    auctions=(Auction("a02375", 600.0, 0.125),),
    tape=(
        Happening(NOON, "insurance", "a00666", "", 1_234.0),
        Happening(NOON, "liquidation", "455 more", "", 647_000.0),
        Happening(NOON - 3 * 10**11, "price", "BTC", "degraded: wide spread"),
    ),
    liquidations=5_045,
    liquidated_usd=22.9e6,
    fund_usd=420_639.0,
    shortfall_usd=1_415_171.0,
    insurance_used_usd=1_415_171.0,
    deleveraged=12,
    bad_debt_usd=77.0,
    refused_prices=3,
    refused_last="ETH gamma: outside the band",
)


def drawn(renderable: RenderableType, width: int = 120, height: int = 40) -> list[str]:
    """The lines that a terminal of this size would show."""
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None, legacy_windows=False)
    console.print(renderable, end="")
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


def styles(renderable: RenderableType, text: str) -> set[str]:
    """The styles in which a piece of text is drawn."""
    console = Console(width=120, height=40)
    return {str(each.style) for each in console.render(renderable) if text in each.text}


class TestNumbers:
    @pytest.mark.parametrize(
        ("value", "text"), [(0, "0"), (-0.2, "0"), (1234567.4, "1,234,567"), (-1234.6, "-1,235"), (999.5, "1,000")]
    )
    def test_whole_dollars(self, value: float, text: str) -> None:
        assert whole(value) == text

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (0, "0"), (950, "950"), (999.6, "1.00k"), (12_345, "12.3k"), (999_999, "1.00M"), (4_560_000, "4.56M"),
            (123_456_789, "123M"), (7.1e9, "7.10B"), (-12_345, "-12.3k"),
        ],
    )  # fmt: skip
    def test_short_dollars(self, value: float, text: str) -> None:
        assert short(value) == text

    @given(st.floats(0, 9.9e11))
    def test_short_dollars_are_short_and_right_to_a_hundredth(self, value: float) -> None:
        text = short(value)
        number = float(text.rstrip("kMB")) * {"k": 1e3, "M": 1e6, "B": 1e9}.get(text[-1], 1.0)
        assert len(text) <= 6
        assert number == pytest.approx(value, rel=0.006, abs=0.5)

    @pytest.mark.parametrize(
        ("value", "text"), [(52_310.2, "52,310.20"), (90.868, "90.868"), (1.0, "1.0000"), (0.61234, "0.6123")]
    )
    def test_prices(self, value: float, text: str) -> None:
        assert price_text(value) == text

    @pytest.mark.parametrize(("value", "text"), [(-0.128, "-12.8 %"), (0.02, "+2.0 %"), (-0.0001, "+0.0 %")])
    def test_changes(self, value: float, text: str) -> None:
        assert percent(value) == text

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(45, "45 s"), (300, "5 min"), (3_600, "1 h"), (12_300, "3 h 25 min"), (190_000, "2 d 4 h")],
    )
    def test_durations(self, seconds: float, text: str) -> None:
        assert duration(seconds) == text

    @pytest.mark.parametrize(
        ("seconds", "text"), [(0.00076, "0.76 ms"), (0.0121, "12.1 ms"), (0.31, "310 ms"), (1.426, "1.43 s")]
    )
    def test_latencies(self, seconds: float, text: str) -> None:
        assert latency(seconds) == text

    def test_health_has_the_colour_of_its_band(self) -> None:
        shown = [health_text(value) for value in (-0.5, 0.99, 1.0, 1.2, 1.7, 2.5, 4.0, float("inf"), float("-inf"))]
        assert [each.plain for each in shown] == [
            "-0.50", "0.99", "1.00", "1.20", "1.70", "2.50", "4.00", "> 99", "< 0",
        ]  # fmt: skip
        assert [str(each.style) for each in shown] == [
            "bold red", "bold red", "red", "yellow", "green", "cyan", "blue", "blue", "bold red",
        ]  # fmt: skip

    def test_times_are_utc(self) -> None:
        assert clock(NOON + 999_999_999) == "2024-01-01 12:00:00"


class TestGraphs:
    @given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=300), st.integers(1, 80))
    def test_a_sparkline_fits_and_reaches_from_bottom_to_top(self, values: list[float], width: int) -> None:
        drawn = sparkline(values, width)
        assert len(drawn) == min(width, len(values))
        if len(values) <= width and max(values) > min(values):
            assert drawn[values.index(max(values))] == BLOCKS[-1]
            assert drawn[values.index(min(values))] == BLOCKS[0]

    def test_a_sparkline_ends_with_the_last_value_and_keeps_order(self) -> None:
        assert sparkline(list(range(100)), 8) == BLOCKS
        assert sparkline([5.0, 5.0], 8) == BLOCKS[3] * 2
        assert sparkline([], 8) == ""

    def test_a_floor_shows_what_is_left_of_a_fund(self) -> None:
        assert sparkline([100.0, 100.5], 8, floor=0.0) == BLOCKS[-1] * 2
        assert sparkline([100.0, 25.0, 0.0], 8, floor=0.0) == "█▃▁"
        assert sparkline([0.0, 0.0], 8, floor=0.0) == "▁▁"

    @given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 60))
    def test_a_bar_grows_with_its_share_and_never_hides_what_there_is(self, a: float, b: float, width: int) -> None:
        short_bar, long_bar = bar(min(a, b), width), bar(max(a, b), width)
        assert len(short_bar) <= len(long_bar) <= width
        assert bool(bar(a, width)) == (a > 0)
        assert bar(1.0, width) == "█" * width


class TestPanels:
    def test_prices_stand_with_change_state_and_course(self) -> None:
        lines = drawn(prices(CRASH), 60)
        assert "Prices, change in 3 h 25 min" in lines[0]
        assert lines[1].split()[1:6] == ["BTC", "41,000.00", "-31.0", "%", "degraded"]
        assert "█▁" in lines[1]
        assert styles(prices(CRASH), "degraded") == {"bold yellow"}

    def test_every_band_has_its_count_and_a_bar_to_scale(self) -> None:
        lines = drawn(bands(CALM), 80)[1:-1]
        assert all(
            label in line and f" {count:,} " in line for (label, count), line in zip(CALM.bands, lines, strict=True)
        )
        lengths = [line.count("█") for line in lines]
        assert all(a <= b for a, b in pairwise(lengths))
        assert lengths[-1] > 2.5 * lengths[-2]

    def test_the_worst_account_comes_first_and_debt_is_red(self) -> None:
        lines = drawn(worst(CRASH, 2), 100)
        assert [line.split()[1] for line in lines[2:4]] == ["a00666", "a09423"]
        assert "-1,234" in lines[2]
        assert len(lines) == 5  # head, two rows, borders
        assert styles(worst(CRASH, 2), "-1,234") == {"bold red"}
        assert "initial" not in "".join(drawn(worst(CRASH, 2, whole_table=False), 100))

    def test_the_tape_says_who_is_in_which_stage(self) -> None:
        lines = drawn(tape(CRASH, 4), 80)
        assert "1,366 called  19 liquidating  1 insolvent" in lines[1]
        assert lines[2].split()[1:5] == ["12:00", "insurance", "a00666", "1.23k"]
        assert "degraded: wide spread" in lines[4]
        assert "no account is called" in drawn(tape(CALM, 4), 80)[1]

    def test_losses_are_red_where_there_are_any(self) -> None:
        assert "bold red" in styles(losses(CRASH), "77")
        assert styles(losses(CRASH), "420,639") == {"bold red"}
        assert styles(losses(CALM), "2,000,000") == {"bold green"}
        assert "of 2.00M" in "".join(drawn(losses(CRASH), 60))

    def test_auctions_say_at_which_discount_they_are(self) -> None:
        assert "a02375 10 min 12.5%" in " ".join("".join(drawn(auctions(CRASH, 5), 60)).split())
        assert "0 so far" in "".join(drawn(auctions(CALM, 5), 60))

    @pytest.mark.parametrize(
        ("view", "word"),
        [
            (CALM, "calm"),
            (CRASH, "prices in doubt"),
            (msgspec.structs.replace(CRASH, prices=CALM.prices), "liquidating"),
            (msgspec.structs.replace(CALM, tape=(Happening(NOON, "liquidation", "a", "", 1.0),)), "liquidating"),
            (msgspec.structs.replace(CALM, tape=(Happening(NOON - 1, "liquidation", "a", "", 1.0),)), "calm"),
            (msgspec.structs.replace(CRASH, late_s=75.0), "next block takes 1 min"),
            (msgspec.structs.replace(CRASH, stopping=True), "stopping"),
        ],
    )
    def test_one_word_says_how_things_stand(self, view: View, word: str) -> None:
        assert mood(view).plain.strip() == word


class TestScreen:
    @pytest.mark.parametrize("size", [(120, 40), (200, 50), (80, 24), (100, 30), (99, 40), (60, 15), (30, 8)])
    @pytest.mark.parametrize("view", [CALM, CRASH, View(source="s", store="j", ts_ns=0)], ids=["calm", "crash", "new"])
    def test_it_fills_any_terminal_and_no_more(self, view: View, size: tuple[int, int]) -> None:
        lines = drawn(screen(view, *size), *size)
        assert len(lines) == size[1]
        assert {len(line) for line in lines} == {size[0]}

    @pytest.mark.parametrize("size", [(120, 40), (80, 24)])
    def test_what_matters_most_is_on_every_screen(self, size: tuple[int, int]) -> None:
        text = "\n".join(drawn(screen(CRASH, *size), *size))
        for each in (
            "41,000.00",
            "degraded",
            "10,001 accounts",
            "a00666",
            "insolvent",
            "420,639",
            "1,415,171",
            "12:00",
        ):
            assert each in text

    def test_a_large_one_shows_everything(self) -> None:
        text = "\n".join(drawn(screen(CRASH, 200, 50), 200, 50))
        for each in ("Auctions, 1 running", "margin of all", "3.14 ms", "ETH gamma: outside the band", "22.9M USD"):
            assert each in text

    def test_names_are_text_and_nothing_else(self) -> None:
        odd = Standing("[red]a[/] :boom:", 1.0, 1.0, 1.0, 1.0, 1.0, "called")
        view = msgspec.structs.replace(CALM, worst=(odd,), source="[b]x")
        text = "\n".join(drawn(screen(view, 120, 40)))
        assert "[red]a[/] :boom:" in text
        assert "[b]x" in text


def test_the_start_shows_its_steps_with_their_seconds() -> None:
    lines = drawn(starting("a market", [("engine", 2.0), ("book of 10 accounts", 0.4)], 3.1, 20), 80, 20)
    text = "\n".join(lines)
    assert len(lines) == 20
    assert "✓ engine" in text
    assert "2.0 s" in text
    assert "✓ book" not in text
    assert "\n".join(drawn(starting("a market", [], 0.0, 20), 80, 20)).strip()
