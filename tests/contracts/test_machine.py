"""Any sequence of calls, prices and time: the contracts do what their twin does, and the laws hold after each step."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.contracts.machine import Contracts
from tests.contracts.world import WAD

RELAXED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
STEPS = 5_000


def test_any_sequence_of_calls_keeps_the_laws() -> None:
    tried = settings(max_examples=10, stateful_step_count=25, suppress_health_check=RELAXED)
    run_state_machine_as_test(Contracts, settings=tried)  # type: ignore[no-untyped-call]
    # Laws that nothing comes near hold for free.
    assert {"borrow", "fill"} <= set(Contracts.reached)


def test_a_crash_in_the_machine_ends_in_a_bid() -> None:
    """What chance need not reach in few steps."""
    machine = Contracts()
    try:
        bids = Contracts.reached["bid"]
        machine.open_markets(asset=0, part=1.0, market=0, lots=0.5)
        machine.crash(at=0, factor=0.85, elapsed=60, by=3, most=WAD)
        assert Contracts.reached["bid"] == bids + 1
    finally:
        machine.teardown()


@pytest.mark.nightly
def test_five_thousand_steps_keep_the_laws() -> None:
    Contracts.reached.clear()
    tried = settings(max_examples=STEPS // 50 * 2, stateful_step_count=50, suppress_health_check=RELAXED)
    run_state_machine_as_test(Contracts, settings=tried)  # type: ignore[no-untyped-call]
    print(dict(Contracts.reached))
    assert sum(Contracts.reached.values()) >= STEPS
    wanted = {"bid", "absorb", "settle", "finish", "share_market_loss", "reset", "withdraw", "repay_from_cash"}
    assert wanted <= set(Contracts.reached)


class Generous(Contracts):
    """A twin that rounds debt shares down."""

    def __init__(self) -> None:
        super().__init__()
        lend = self.twin.pool.lend

        def rounded_down(amount: int) -> int:
            minted = lend(amount) - 1
            self.twin.pool.shares -= 1
            return minted

        self.twin.pool.lend = rounded_down  # type: ignore[method-assign]


def test_a_twin_that_rounds_the_other_way_is_found_out() -> None:
    tried = settings(max_examples=2, stateful_step_count=2, suppress_health_check=RELAXED, phases=[Phase.generate])
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Generous, settings=tried)  # type: ignore[no-untyped-call]
