"""Limits: only listed places, and so much a day; what is under way counts at its worst."""

import pytest

from solvent.chain.limits import DAY_S, LimitReached, Limits, Meter

PLACE = "0x00000000000000000000000000000000000000aa"
DATA = bytes.fromhex("11223344") + bytes(32)


def meter(now: list[float] | None = None) -> Meter:
    limits = Limits(
        chain_id=1,
        calls={PLACE: ("0x11223344",)},
        gas_daily_wei=1_000,
        spend_daily=500,
        loss_daily=100,
        fee_most_wei=50,
    )
    return Meter(limits, lambda: (now or [0.0])[0])


def hold(found: Meter, key: str = "a", **changes: object) -> None:
    wanted: dict[str, object] = {
        "chain_id": 1, "to": PLACE, "data": DATA, "gas": 10, "fee_wei": 40, "spend": 200, **changes
    }  # fmt: skip
    found.hold(key, **wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"chain_id": 2}, "chain_id"),
        ({"to": "0x00000000000000000000000000000000000000bb"}, "call"),
        ({"data": bytes.fromhex("11223345")}, "call"),
        ({"data": b""}, "call"),
        ({"value": 1}, "value"),
        ({"fee_wei": 51}, "fee_most_wei"),
        ({"gas": 26}, "gas_daily_wei"),
        ({"spend": 501}, "spend_daily"),
    ],
)
def test_what_is_beyond_is_refused(changes: dict[str, object], field: str) -> None:
    with pytest.raises(LimitReached) as raised:
        hold(meter(), **changes)
    assert raised.value.field == field


def test_what_is_under_way_counts_and_a_replacement_counts_once() -> None:
    found = meter()
    hold(found, "a")
    hold(found, "a", fee_wei=45)
    hold(found, "b")
    with pytest.raises(LimitReached, match="gas_daily_wei"):
        hold(found, "c")
    found.release("b")
    hold(found, "c")


def test_losses_stop_it_until_the_next_day_and_profits_do_not_pay_for_them() -> None:
    now = [10.0]
    found = meter(now)
    found.settle("a", 10, 0, 1_000_000)
    found.settle("b", 10, 0, -101)
    with pytest.raises(LimitReached, match="loss_daily"):
        hold(found, "c")
    now[0] = DAY_S + 1.0
    hold(found, "c")
    assert found.lost == 0


def test_bounds_below_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="loss_daily"):
        Limits(chain_id=1, calls={}, gas_daily_wei=0, spend_daily=0, loss_daily=-1, fee_most_wei=0)
