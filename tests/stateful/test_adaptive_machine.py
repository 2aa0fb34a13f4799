"""Any sequence of commands, ticks and failing disks while the policy changes: the laws hold after every step."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from tests.engine.adaptive_desk import evidence
from tests.stateful.test_engine_machine import NIGHTLY, EngineMachine

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.adaptive import AdaptiveParams
from solvent.engine.adaptive.parameters import value_of
from solvent.engine.engine import Redecider, Submission
from solvent.ledger.recovery import verify

PARAMETERS = ("scan_range.BTC", "scan_range.ETH", "collateral.BTC.haircut_initial")
parameters = st.sampled_from(PARAMETERS)
KEY_REFUSED = "the same command as before under this key"
"""Said by the writer before anything is decided."""
persons = st.sampled_from(("", "ada", "grace"))


class AdaptiveMachine(EngineMachine):
    """The venue of the engine machine with proposals and persons."""

    @initialize(short=st.booleans())
    def enable(self, short: bool) -> None:
        self.short = short

    def send_as(self, command: c.Command, caller: str) -> e.Event:
        if self.desk.state.adaptive is None:
            params = AdaptiveParams(delay_s=0, notice_s=7_200) if self.short else AdaptiveParams()
            self.desk.ok(c.EnableAdaptive(params))
        submission = Submission(command, "risk" if caller else "engine", caller)
        (entry,) = self.desk.engine.execute([submission], self.desk.now_ns)
        self.ticked = False
        return entry.events[0]

    @rule(parameter=parameters, change=st.floats(-0.06, 0.06), caller=persons)
    def propose(self, parameter: str, change: float, caller: str) -> None:
        target = self.desk.state.target or self.desk.state.policy
        value = value_of(target, parameter) + change
        event = self.send_as(c.ProposePolicy(((parameter, value),), evidence(0.9 if change > 0 else 0.0)), caller)
        if isinstance(event, e.PolicyProposed):
            assert event.by == caller
            assert (event.target_policy is None) == (event.direction == "loosen")

    @rule(proposal=st.integers(1, 8), caller=persons)
    def approve(self, proposal: int, caller: str) -> None:
        adaptive = self.desk.state.adaptive
        rows: tuple[Any, ...] = (*adaptive.pending, *adaptive.ramps) if adaptive else ()
        by = {each.proposal: each.by for each in rows}
        event = self.send_as(c.ApprovePolicy(proposal), caller)
        if isinstance(event, e.PolicyApproved):
            assert caller
            assert by[proposal] != caller

    @rule(proposal=st.integers(1, 8), caller=persons)
    def withdraw_proposal(self, proposal: int, caller: str) -> None:
        self.send_as(c.WithdrawProposal(proposal), caller)

    @invariant()
    def ramps_stay_below_the_target(self) -> None:
        state = getattr(self, "desk", None) and self.desk.state
        if not state or state.adaptive is None:
            return
        target = state.target or state.policy
        for name in PARAMETERS:
            assert value_of(state.policy, name) <= value_of(target, name) + 1e-12
        assert (state.target is None) == (not state.adaptive.ramps)
        for row in state.adaptive.ramps:
            assert all(each.after <= value_of(target, each.parameter) for each in row.changes)

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "desk"):
            problems = verify(self.desk.engine.journal, redecide=Redecider()).problems
            assert [each for each in problems if KEY_REFUSED not in str(each)] == []


TestAdaptiveMachine = AdaptiveMachine.TestCase
TestAdaptiveMachine.settings = settings(
    settings.default if NIGHTLY else settings(max_examples=20, stateful_step_count=25),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    deadline=None,
)
