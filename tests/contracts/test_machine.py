"""Any sequence of calls, prices and time: the contracts do what their twin does, and the laws hold after each step."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.contracts.machine import Contracts

RELAXED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def test_any_sequence_of_calls_keeps_the_laws() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Contracts, settings=settings(max_examples=10, stateful_step_count=30, suppress_health_check=RELAXED)
    )


@pytest.mark.nightly
def test_five_thousand_steps_keep_the_laws() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Contracts, settings=settings(max_examples=125, stateful_step_count=50, suppress_health_check=RELAXED)
    )
