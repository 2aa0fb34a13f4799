"""Changes of the policy while the venue runs: bounded, announced, approved, and brought to positions on a ramp.

The policy in effect margins what is there; the target, which a raise moves at once, counts for new risk as well.
"""

import re
from math import isfinite

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.adaptive import BAND, LOOSEN, RAISE, Adaptive, Change, Evidence, EvidenceRow
from solvent.domain.policy import Policy
from solvent.engine.adaptive import ramps
from solvent.engine.adaptive.dry_run import made_liquidatable
from solvent.engine.adaptive.parameters import (
    asset_of,
    changes_between,
    lowered,
    margin_params,
    model_named,
    required_of,
    value_of,
    with_values,
)
from solvent.engine.decide.permission import Sender
from solvent.engine.decide.refusal import Refusal, refuse_unless
from solvent.engine.params import EngineParams
from solvent.engine.risk import Risk
from solvent.errors import raise_if
from solvent.ledger.apply import DAY_NS
from solvent.ledger.state import State

S_NS = 10**9
CHANGES_MOST = 200
PENDING_MOST = 100
RAMPS_MOST = 200
PERSONS = ("operator", "risk")
"""Origins of people who may approve."""
KUPIEC_LEAST = 0.01
"""A loosening whose model was beyond its level less likely than so by chance is refused."""
_SLACK = 1e-9
"""Bounds are decimals, sums of changes are floats."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


def enable(state: State, risk: Risk, command: c.EnableAdaptive, sender: Sender) -> tuple[e.Event, ...]:
    """Bounds that are safe, for a policy whose parameters can be moved."""
    refuse_unless(sender.origin in ("engine", *PERSONS), f"an order of one of {', '.join(PERSONS)}")
    raise_if(command.params.check())
    if state.policy is None:
        raise Refusal("a policy")
    margin_params(state.policy)
    refuse_unless(state.adaptive is None or state.adaptive.params != command.params, "bounds other than the present")
    return (e.AdaptiveEnabled(params=command.params),)


def propose(state: State, risk: Risk, command: c.ProposePolicy, sender: Sender) -> tuple[e.Event, ...]:
    """A bounded change, all up or all down, on evidence that calls for it.

    A raise moves the target at once; its ramp starts after the delay, or after the notice where the whole change
    would by itself make an account liquidatable. A loosening waits for a person.
    """
    adaptive, policy = _enabled(state)
    target = adaptive.target or policy
    changes = _changes(target, command)
    direction = RAISE if changes[0].after > changes[0].before else LOOSEN
    _within_bounds(state, adaptive, changes)
    after = with_values(target, {change.parameter: change.after for change in changes})
    _justified(after, changes, direction, command.evidence)
    EngineParams.of(after, state.universe)
    named = sender.origin in PERSONS and bool(sender.caller)
    refuse_unless(named or sender == Sender(), "the engine or a named person: nobody approves his own proposal")
    by, number = sender.caller, adaptive.next_proposal
    if direction == LOOSEN:
        refuse_unless(len(adaptive.pending) < PENDING_MOST, f"at most {PENDING_MOST} proposals that wait")
        made_liquidatable(risk, after)  # refused where it cannot be prepared
        return (
            e.PolicyProposed(proposal=number, direction=direction, changes=changes, by=by, evidence=command.evidence),
        )
    refuse_unless(len(adaptive.ramps) < RAMPS_MOST, f"at most {RAMPS_MOST} ramps")
    accounts = made_liquidatable(risk, after)
    here = tuple(Change(each.parameter, value_of(policy, each.parameter), each.after) for each in changes)
    notice_ns = state.ts_ns + adaptive.params.notice_s * S_NS
    start_ns = notice_ns if accounts else state.ts_ns + adaptive.params.delay_s * S_NS
    return (
        e.PolicyProposed(
            proposal=number, direction=direction, changes=changes, by=by, evidence=command.evidence,
            accounts=accounts, target_policy=after, ramp=here, start_ns=start_ns,
            end_ns=start_ns + ramps.duration_s(here, adaptive.params) * S_NS, notice_ns=notice_ns,
        ),
    )  # fmt: skip


def _enabled(state: State) -> tuple[Adaptive, Policy]:
    if state.adaptive is None or state.policy is None:
        raise Refusal("a venue whose policy may change: adaptive is off")
    return state.adaptive, state.policy


def _changes(target: Policy, command: c.ProposePolicy) -> tuple[Change, ...]:
    """The command's changes against the target: real, one a parameter, all in one direction."""
    values = dict(command.changes)
    refuse_unless(0 < len(command.changes) <= CHANGES_MOST, f"1 to {CHANGES_MOST} changes")
    refuse_unless(len(values) == len(command.changes), "one change a parameter")
    refuse_unless(all(isfinite(value) for value in values.values()), "values that are numbers")
    changes = changes_between(target, values)
    refuse_unless(len(changes) == len(values), "values other than the present ones")
    refuse_unless(len({each.after > each.before for each in changes}) == 1, "changes that all raise or all loosen")
    return changes


def _within_bounds(state: State, adaptive: Adaptive, changes: tuple[Change, ...]) -> None:
    """Each change by itself, and with those of the same way in the last 24 hours."""
    params = adaptive.params
    for each in changes:
        size = each.after - each.before
        step = f"{each.parameter} {each.before:.6g} -> {each.after:.6g}: at most {params.step_most:g} at once"
        refuse_unless(abs(size) <= params.step_most + _SLACK, step)
        moved = sum(
            change
            for ts_ns, name, change in adaptive.moved
            if name == each.parameter and ts_ns > state.ts_ns - DAY_NS and (change > 0) == (size > 0)
        )
        daily = f"{each.parameter}: {moved:+.6g} in 24 hours already, with this at most {params.daily_most:g}"
        refuse_unless(abs(moved + size) <= params.daily_most + _SLACK, daily)


def _justified(after: Policy, changes: tuple[Change, ...], direction: str, evidence: Evidence) -> None:
    """Evidence for each asset that is changed: no raise beyond what it calls for, no loosening below that."""
    refuse_unless(bool(evidence.model) and bool(_DIGEST.fullmatch(evidence.data_digest)), "a model and a data digest")
    for row in evidence.rows:
        figures = (row.margin, row.core, row.level, row.kupiec_p, row.prediction or 0.0, row.liquidity)
        refuse_unless(all(isfinite(each) for each in figures), f"evidence on {row.asset}: figures that are numbers")
        if row.prediction is not None:
            _within_band(after, row)
    for each in changes:
        asset, required = asset_of(each.parameter), required_of(after, each.parameter)
        called_for = evidence.margin_of(asset)
        if called_for is None:
            raise Refusal(f"{each.parameter}: evidence on {asset}")
        said = f"{each.parameter} {required:.6g}: evidence says {called_for:.6g}"
        if direction == RAISE:
            refuse_unless(required <= called_for + _SLACK, f"{said}, at most that")
            continue
        refuse_unless(required >= called_for - _SLACK, f"{said}, at least that")
        failed = any(_fails(row) for row in evidence.rows if row.asset == asset)
        refuse_unless(not failed, f"{each.parameter}: a model whose backtest covers {asset}, to loosen by it")


def _within_band(policy: Policy, row: EvidenceRow) -> None:
    """A prediction by the model that the policy names, and no further below the core than its band."""
    named = model_named(policy, row.asset)
    said = row.forecast.model if row.forecast else ""
    refuse_unless(bool(named) and said == named, f"evidence on {row.asset}: a prediction by the model of the policy")
    low = (1.0 - BAND) * row.core
    held = (row.prediction or 0.0) >= low - _SLACK
    refuse_unless(held, f"evidence on {row.asset}: a prediction of at least {low:.6g}")


def _fails(row: EvidenceRow) -> bool:
    """No backtest, or more exceptions than chance brings."""
    return row.tested <= 0 or (row.exceptions > row.tested * (1.0 - row.level) and row.kupiec_p < KUPIEC_LEAST)


def approve(state: State, risk: Risk, command: c.ApprovePolicy, sender: Sender) -> tuple[e.Event, ...]:
    """A person other than the proposer lets a loosening take effect, or a raise start before its notice is over."""
    adaptive, policy = _enabled(state)
    refuse_unless(sender.origin in PERSONS and bool(sender.caller), f"a named person as one of {', '.join(PERSONS)}")
    number = command.proposal
    for ramp in (each for each in adaptive.ramps if each.proposal == number):
        refuse_unless(sender.caller != ramp.by, "a person other than the one who proposed")
        refuse_unless(state.ts_ns < max(ramp.start_ns, ramp.notice_ns), f"proposal {number}: a raise that waits")
        return (e.PolicyApproved(proposal=number, by=sender.caller),)
    waiting = next((each for each in adaptive.pending if each.proposal == number), None)
    if waiting is None:
        raise Refusal(f"proposal {number}: a proposal that waits")
    refuse_unless(sender.caller != waiting.by, "a person other than the one who proposed")
    target = adaptive.target or policy
    same = all(value_of(target, each.parameter) == each.before for each in waiting.changes)
    refuse_unless(same, f"proposal {number}: one against the present target; propose it anew")
    _within_bounds(state, adaptive, waiting.changes)
    after = lowered(policy, waiting.changes)
    harmed = made_liquidatable(risk, after)
    refuse_unless(not harmed, f"proposal {number}: a loosening that makes nobody liquidatable, not {len(harmed)}")
    return (
        e.PolicyApproved(
            proposal=number, by=sender.caller, policy=after, target_policy=lowered(target, waiting.changes),
            changes=waiting.changes,
        ),
    )  # fmt: skip


def withdraw(state: State, risk: Risk, command: c.WithdrawProposal, sender: Sender) -> tuple[e.Event, ...]:
    """A loosening that waits is let go, by who proposed it or by a person."""
    adaptive, _ = _enabled(state)
    waiting = next((each for each in adaptive.pending if each.proposal == command.proposal), None)
    if waiting is None:
        raise Refusal(f"proposal {command.proposal}: a loosening that waits")
    person = sender.origin in PERSONS and bool(sender.caller)
    refuse_unless(person or (sender == Sender() and not waiting.by), "the proposer or a named person")
    return (e.ProposalWithdrawn(proposal=command.proposal, by=sender.caller),)


def ramp(state: State, risk: Risk, command: c.RampPolicy, sender: Sender) -> tuple[e.Event, ...]:
    """The next step toward the target for existing positions, or a halt where it comes before their notice.

    Prices may have moved since the proposal: whoever the step alone would make liquidatable has the notice first.
    """
    adaptive, policy = _enabled(state)
    due = state.ts_ns - adaptive.ramped_ns >= adaptive.params.ramp_every_s * S_NS
    refuse_unless(bool(adaptive.ramps) and due, "a step of a ramp that is due")
    present = {each.parameter: value_of(policy, each.parameter) for row in adaptive.ramps for each in row.changes}
    values = ramps.next_values(present, adaptive.ramps, adaptive.params, adaptive.ramped_ns, state.ts_ns)
    done = ramps.finished({**present, **values}, adaptive.ramps)
    refuse_unless(bool(values) or bool(done), "a ramp that moves")
    after = with_values(policy, values)
    early = tuple(each.proposal for each in ramps.started(adaptive.ramps, state.ts_ns) if state.ts_ns < each.notice_ns)
    if early and (harmed := made_liquidatable(risk, after)):
        return (e.RampHeld(proposals=early, accounts=harmed),)
    return (e.PolicyRamped(policy=after, changes=changes_between(policy, values), finished=done),)
