"""Changes of the policy while the venue runs: bounds, evidence, notice, persons, ramps, gates, recovery."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engine.adaptive_desk import BTC_RANGE, AdaptiveDesk, evidence
from tests.engine.desk import BTC, ETH_PERP, MARKET, PERP, USDC, Desk, policy_with, usdc

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.adaptive import AdaptiveParams
from solvent.engine import start
from solvent.engine.adaptive.dry_run import made_liquidatable
from solvent.engine.adaptive.parameters import with_values
from solvent.engine.engine import Engine, Redecider
from solvent.engine.files import read_policy
from solvent.ledger.journal import MemoryJournal
from solvent.ledger.recovery import recover, verify
from solvent.ledger.state import State
from solvent.margin.statement import ExactStatement


@pytest.fixture
def desk() -> AdaptiveDesk:
    return AdaptiveDesk()


def refusal(event: e.Event) -> str:
    assert isinstance(event, e.Refused), event
    return event.reason


def sound(desk: Desk) -> None:
    """The journal adds up to the state in memory, and decides the same again."""
    assert recover(desk.engine.journal).hash() == desk.state.hash()
    assert verify(desk.engine.journal, redecide=Redecider()).problems == []


# ---- off by default


def test_a_venue_that_does_not_ask_for_it_takes_no_proposal() -> None:
    desk = Desk()
    assert "adaptive is off" in desk.refused(c.ProposePolicy(((BTC_RANGE, 0.18),), evidence()))
    assert b"adaptive" not in desk.state.snapshot()


def test_unsafe_bounds_are_refused_all_at_once() -> None:
    reason = Desk().refused(c.EnableAdaptive(AdaptiveParams(step_most=0.9, ramp_daily_most=0.2, notice_s=0)))
    for field in ("step_most", "ramp_daily_most", "notice_s"):
        assert field in reason


def test_a_policy_of_another_rule_does_not_adapt() -> None:
    desk = Desk(read_policy("dydx-v4"))
    assert "portfolio" in desk.refused(c.EnableAdaptive())


# ---- proposals


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ((), "1 to 200 changes"),
        ((("scan_range.BTC", 0.16),), "other than the present"),
        ((("scan_range.BTC", 0.18), ("scan_range.BTC", 0.19)), "one change a parameter"),
        ((("scan_range.BTC", 0.18), ("scan_range.ETH", 0.15)), "all raise or all loosen"),
        ((("scan_range.BTC", 0.22),), "at most 0.05 at once"),
        ((("scan_range.BTC", float("nan")),), "numbers"),
        ((("maintenance_factor", 0.9),), "scan_range.ASSET"),
        ((("collateral.SHIB.haircut_initial", 0.9),), "not listed"),
        ((("collateral.BTC.cap_usd", 1.0),), "FIELD one of"),
        ((("scan_range.SOL", 0.26),), "evidence on SOL"),
        ((("collateral.BTC.haircut_maintenance", 0.05),), "haircut_initial"),
    ],
)
def test_what_is_out_of_bounds_is_refused(
    desk: AdaptiveDesk, changes: tuple[tuple[str, float], ...], said: str
) -> None:
    assert said in desk.refused(c.ProposePolicy(changes, evidence()))


def test_only_the_engine_and_named_persons_propose(desk: AdaptiveDesk) -> None:
    assert "named person" in refusal(desk.propose(caller="", origin="operator", BTC=0.18))
    assert "origin owner" in refusal(desk.propose(caller="mallory", origin="owner", BTC=0.18))
    assert "named person" in refusal(desk.propose(caller="mallory", origin="engine", BTC=0.18))
    assert "origin keeper" in refusal(desk.by(c.EnableAdaptive(AdaptiveParams(notice_s=7_200)), "mallory", "keeper"))
    assert isinstance(desk.propose(caller="ada", origin="operator", BTC=0.18), e.PolicyProposed)


def test_a_raise_goes_no_further_than_its_evidence_a_loosening_no_lower(desk: AdaptiveDesk) -> None:
    assert "at most that" in refusal(desk.propose(BTC=0.18, proof=evidence(0.17)))
    assert "at least that" in refusal(desk.propose(BTC=0.14, proof=evidence(0.15)))
    assert isinstance(desk.propose(BTC=0.17, proof=evidence(0.17)), e.PolicyProposed)


def test_evidence_names_its_data_and_a_failed_backtest_loosens_nothing(desk: AdaptiveDesk) -> None:
    unnamed = msgspec.structs.replace(evidence(), data_digest="abc")
    assert "data digest" in refusal(desk.propose(BTC=0.18, proof=unnamed))
    failed = evidence(0.1, exceptions=20, kupiec_p=1e-6)
    assert "backtest" in refusal(desk.propose(BTC=0.14, proof=failed))
    assert "backtest" in refusal(desk.propose(BTC=0.14, proof=evidence(0.1, tested=0, exceptions=0)))
    assert isinstance(desk.propose(BTC=0.18, proof=evidence(0.5, exceptions=20, kupiec_p=1e-6)), e.PolicyProposed)


def test_steps_are_bounded_by_the_day_too(desk: AdaptiveDesk) -> None:
    desk.propose(BTC=0.21)
    desk.propose(BTC=0.26)
    assert "in 24 hours" in refusal(desk.propose(BTC=0.27))
    desk.pass_hours(23.5)
    assert "in 24 hours" in refusal(desk.propose(BTC=0.27))
    desk.pass_hours(0.5)
    assert isinstance(desk.propose(BTC=0.31), e.PolicyProposed)


# ---- new risk at once, existing positions on a ramp


def test_a_raise_binds_new_risk_at_once_and_existing_positions_later(desk: AdaptiveDesk) -> None:
    old, rich = desk.trader("old", 20_000, 1.0), desk.open("rich", 12_500)
    before = desk.exact(old)
    assert before.equity >= before.initial_margin
    lots = 100_000  # 60,000 USD: IM about 10,000 at 16 %
    assert desk.engine.risk.gate(desk.state, old) == before
    event = desk.propose(BTC=0.21)
    assert event.accounts == ()
    assert desk.exact(old) == before
    gate = desk.engine.risk.gate(desk.state, old)
    assert gate.initial_margin - before.initial_margin == pytest.approx(0.05 * 60_000 * 1e6, rel=0.15)
    assert "initial margin" in desk.refused(desk.trade(PERP, rich, MARKET, lots))
    assert "equity" in desk.refused(c.OpenOrder(rich, PERP, lots, desk.state.quotes[PERP].ticks))
    desk.ok(desk.trade(PERP, rich, MARKET, lots // 2))
    sound(desk)


def test_the_same_trade_passes_where_nothing_was_raised() -> None:
    desk = AdaptiveDesk()
    rich = desk.open("rich", 12_500)
    desk.ok(desk.trade(PERP, rich, MARKET, 100_000))


def test_withdrawals_answer_to_the_target(desk: AdaptiveDesk) -> None:
    account = desk.trader("old", 20_000, 1.0)
    free = desk.exact(account).equity - desk.exact(account).initial_margin
    desk.propose(BTC=0.21)
    assert "initial margin" in desk.refused(c.Withdraw(account, USDC, free - usdc(100)))
    assert desk.stage(account) == "healthy"


def test_who_is_below_the_target_may_still_reduce(desk: AdaptiveDesk) -> None:
    account = desk.trader("old", 12_500, 1.0)
    desk.propose(BTC=0.21)
    assert desk.engine.risk.gate(desk.state, account).below_initial
    desk.ok(desk.trade(PERP, MARKET, account, 1_000))
    assert "reduces risk" in desk.refused(desk.trade(PERP, account, MARKET, 1_000))


def test_the_ramp_starts_after_the_delay_and_takes_a_day(desk: AdaptiveDesk) -> None:
    event = desk.propose(BTC=0.18)
    assert event.end_ns - event.start_ns == 86_400 * 10**9
    desk.pass_hours(1)
    assert desk.effect() == 0.16
    desk.pass_hours(12)
    assert desk.effect() == pytest.approx(0.17, abs=0.0005)
    assert desk.target() == 0.18
    desk.pass_hours(12.5)
    assert desk.effect() == desk.target() == 0.18
    assert desk.state.target is None
    assert desk.adaptive.ramps == ()
    sound(desk)


def test_ramps_are_no_faster_than_five_points_a_day_even_when_they_overlap(desk: AdaptiveDesk) -> None:
    desk.propose(BTC=0.21)
    desk.pass_hours(2)
    desk.propose(BTC=0.26)
    seen = [desk.effect()]
    for _ in range(60):
        desk.pass_hours(1)
        seen.append(desk.effect())
    assert max(b - a for a, b in zip(seen, seen[24:], strict=False)) <= 0.05 + 1e-9
    assert all(b >= a for a, b in pairwise(seen))
    assert seen[-1] == 0.26


def test_after_a_pause_the_ramp_goes_on_and_does_not_catch_up() -> None:
    desk = AdaptiveDesk(AdaptiveParams(daily_most=0.2))
    for value in (0.21, 0.26, 0.31):
        desk.propose(BTC=value)
    desk.tick(10 * 1_440)
    assert desk.effect() <= 0.16 + 0.05 + 1e-9


def test_steps_of_a_ramp_keep_their_distance(desk: AdaptiveDesk) -> None:
    desk.propose(BTC=0.18)
    desk.pass_hours(1)
    events = desk.pass_hours(1, step_minutes=5)
    assert sum(isinstance(each, e.PolicyRamped) for each in events) == 4


# ---- notice and second persons


def test_who_would_be_made_liquidatable_has_notice(desk: AdaptiveDesk) -> None:
    weak = desk.trader("weak", 9_000, 1.0)
    desk.trader("strong", 50_000, 1.0)
    event = desk.propose(BTC=0.21)
    assert event.accounts == (weak,)
    assert event.start_ns == desk.now_ns + 86_400 * 10**9
    desk.pass_hours(24)
    assert desk.effect() == 0.16
    assert not desk.exact(weak).liquidatable
    desk.pass_hours(24)
    assert desk.exact(weak).liquidatable or desk.stage(weak) != "healthy"
    sound(desk)


def test_a_second_person_may_shorten_the_notice(desk: AdaptiveDesk) -> None:
    desk.trader("weak", 9_000, 1.0)
    number = desk.propose(caller="ada", origin="risk", BTC=0.21).proposal
    assert "other than the one who proposed" in refusal(desk.by(c.ApprovePolicy(number), "ada"))
    assert "other than the one who proposed" in refusal(desk.by(c.ApprovePolicy(number), "ada", "operator"))
    assert "named person" in refusal(desk.by(c.ApprovePolicy(number), ""))
    assert "origin keeper" in refusal(desk.by(c.ApprovePolicy(number), "keeper", "keeper"))
    assert isinstance(desk.by(c.ApprovePolicy(number), "grace"), e.PolicyApproved)
    desk.pass_hours(1)
    assert desk.effect() > 0.16
    sound(desk)


def test_a_ramp_that_comes_to_harm_somebody_early_is_held(desk: AdaptiveDesk) -> None:
    edge = desk.trader("edge", 14_000, 1.0)
    event = desk.propose(BTC=0.18)
    assert event.accounts == ()
    desk.tick(BTC=53_200)
    exact = desk.exact(edge)
    assert exact.maintenance_margin < exact.equity < 1.02 * exact.maintenance_margin
    events = desk.pass_hours(5)
    (held,) = [each for each in events if isinstance(each, e.RampHeld)]
    assert held.accounts == (edge,)
    stopped = desk.effect()
    desk.pass_hours(18)
    assert desk.effect() == stopped
    assert not desk.exact(edge).liquidatable
    desk.pass_hours(5)
    assert desk.effect() > stopped
    sound(desk)


def test_loosening_waits_for_a_person_other_than_the_proposer(desk: AdaptiveDesk) -> None:
    number = desk.propose(BTC=0.14).proposal
    desk.pass_hours(72)
    assert desk.target() == desk.effect() == 0.16
    assert desk.adaptive.pending[0].proposal == number
    assert isinstance(desk.by(c.ApprovePolicy(number), "ada"), e.PolicyApproved)
    assert desk.target() == desk.effect() == 0.14
    assert desk.adaptive.pending == ()
    assert "waits" in refusal(desk.by(c.ApprovePolicy(number), "grace"))
    sound(desk)


def test_a_loosening_against_an_older_target_is_proposed_anew(desk: AdaptiveDesk) -> None:
    number = desk.propose(BTC=0.14).proposal
    desk.propose(BTC=0.18)
    assert "anew" in refusal(desk.by(c.ApprovePolicy(number), "ada"))


def test_a_loosening_cuts_the_ramps_that_go_beyond_it(desk: AdaptiveDesk) -> None:
    desk.propose(BTC=0.20)
    desk.pass_hours(13)
    number = desk.propose(BTC=0.19).proposal
    way = desk.effect()
    assert 0.16 < way < 0.19
    desk.by(c.ApprovePolicy(number), "ada")
    assert (desk.target(), desk.effect()) == (0.19, way)
    desk.pass_hours(24)
    assert desk.target() == desk.effect() == 0.19
    sound(desk)


def test_proposals_can_be_withdrawn_and_a_new_policy_ends_them(desk: AdaptiveDesk) -> None:
    first, second = desk.propose(BTC=0.14).proposal, desk.propose(caller="ada", origin="risk", BTC=0.15).proposal
    assert "proposer or a named person" in refusal(desk.by(c.WithdrawProposal(second), "", "engine"))
    assert isinstance(desk.by(c.WithdrawProposal(first), "", "engine"), e.ProposalWithdrawn)
    desk.propose(BTC=0.18)
    desk.ok(c.SetPolicy(policy_with(margin={"margin_scale": 1.1})))
    assert (desk.adaptive.pending, desk.adaptive.ramps, desk.state.target) == ((), (), None)
    sound(desk)


# ---- what does not move


def test_verdicts_without_a_target_are_as_before() -> None:
    plain, adaptive = Desk(), AdaptiveDesk()
    rows: list[ExactStatement] = []
    for desk in (plain, adaptive):
        account = desk.load("a", {USDC: usdc(20_000), BTC: 10**7}, {PERP: 50_000, ETH_PERP: -100_000})
        rows.append(desk.engine.risk.gate(desk.state, account))
        assert rows[-1] == desk.exact(account)
    assert rows[0] == rows[1]


def test_a_dry_run_finds_whom_the_change_alone_harms(desk: AdaptiveDesk) -> None:
    weak, broke = desk.trader("weak", 9_000, 1.0), desk.trader("broke", 3_000, 1.0)
    assert desk.exact(broke).liquidatable
    risk, policy = desk.engine.risk, desk.state.policy
    assert made_liquidatable(risk, with_values(policy, {BTC_RANGE: 0.21})) == (weak,)
    assert made_liquidatable(risk, policy) == ()


def test_starting_again_with_the_same_policy_keeps_what_was_moved(desk: AdaptiveDesk) -> None:
    desk.propose(BTC=0.18)
    desk.pass_hours(30)
    start.change_policy(desk.engine, read_policy("portfolio"))
    assert desk.effect() == 0.18
    start.change_policy(desk.engine, policy_with(margin={"margin_scale": 1.1}))
    assert desk.effect() == 0.16


def test_recovery_goes_on_where_the_ramp_was(desk: AdaptiveDesk) -> None:
    desk.propose(BTC=0.20)
    desk.propose(ETH=0.14)
    desk.pass_hours(5)
    restored = State.restore(desk.state.snapshot())
    assert restored.adaptive == desk.adaptive
    assert restored.hash() == desk.state.hash()
    again = Engine(desk.engine.journal, clock=lambda: desk.now_ns)
    desk.engine = again
    assert again.risk.target_prepared is not None
    desk.pass_hours(30)
    assert desk.effect() == 0.20
    sound(desk)


# ---- any sequence

steps = st.lists(
    st.one_of(
        st.tuples(st.just("propose"), st.sampled_from(["BTC", "ETH"]), st.floats(-0.06, 0.06)),
        st.tuples(st.just("wait"), st.just(""), st.sampled_from([0.5, 2.0, 7.0, 20.0])),
        st.tuples(st.just("approve"), st.sampled_from(["", "ada"]), st.integers(1, 6)),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps, st.lists(st.floats(8_000, 30_000), min_size=1, max_size=4))
def test_nobody_is_made_liquidatable_at_constant_prices_without_notice(
    moves: list[tuple[str, str, float]], equities: list[float]
) -> None:
    desk = AdaptiveDesk(journal=MemoryJournal())
    accounts = [desk.trader(f"t{k}", usd, 1.0 if k % 2 else -1.0) for k, usd in enumerate(equities)]
    sound_at_first = [a for a in accounts if not desk.exact(a).liquidatable]
    proposed_ns: list[int] = []
    bounds = desk.params
    for kind, name, size in moves:
        before = desk.target("BTC"), desk.target("ETH")
        if kind == "propose":
            event = desk.propose(**{name: desk.target(name) + size}) if size else None
            if isinstance(event, e.PolicyProposed) and event.target_policy is not None:
                proposed_ns.append(desk.now_ns)
        elif kind == "approve":
            event = desk.by(c.ApprovePolicy(int(size)), name)
            if isinstance(event, e.PolicyApproved):
                assert name == "ada"
                if event.policy is None:
                    return  # a second person let a raise go on without notice
        else:
            desk.pass_hours(size)
        after = desk.target("BTC"), desk.target("ETH")
        assert all(abs(b - a) <= bounds.step_most + 1e-9 for a, b in zip(before, after, strict=True))
        if kind == "propose" and size < 0:
            assert after == before, "a loosening took effect without a person"
        assert all(desk.effect(asset) <= desk.target(asset) + 1e-12 for asset in ("BTC", "ETH"))
        noticed = any(ts_ns + bounds.notice_s * 10**9 <= desk.now_ns for ts_ns in proposed_ns)
        if not noticed:
            assert [a for a in sound_at_first if desk.exact(a).liquidatable] == []
    assert recover(desk.engine.journal).hash() == desk.state.hash()


def test_that_property_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("solvent.engine.decide.policies.made_liquidatable", lambda risk, policy: ())
    desk = AdaptiveDesk()
    weak = desk.trader("weak", 8_100, 1.0)
    desk.propose(BTC=0.21)
    desk.pass_hours(23)
    assert desk.exact(weak).liquidatable or desk.stage(weak) != "healthy"
