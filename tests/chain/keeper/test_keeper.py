"""The keeper on the real Aave v3: profit as forecast, and nothing lost to reorgs, rivals, sandwiches or liars."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from tests.chain.keeper_desk import ETH, RIVAL_KEY, Desk, local_desk
from tests.chain.test_rpc import Scripted

from solvent.chain.keeper.flow import PrivateFlow
from solvent.chain.keeper.keeper import Keeper, Settings, metrics_text
from solvent.chain.local import LocalChain
from solvent.chain.rpc import Rpc
from solvent.chain.signers import KeySigner
from solvent.chain.transactions import Fees, Sender

GWEI = 10**9


def finish(desk: Desk, keeper: Keeper, blocks: int = 4) -> None:
    """Blocks until everything sent is booked."""
    for _ in range(blocks):
        desk.mine()
        keeper.step()


@pytest.fixture(scope="module")
def deployed(node_modules: Path) -> tuple[LocalChain, Desk]:
    chain, desk = local_desk(node_modules)
    for user in (1, 2, 3):
        desk.borrow(user, 10.0 * user, 16_000.0 * user)
    return chain, desk


@pytest.fixture
def local(deployed: tuple[LocalChain, Desk]) -> Iterator[tuple[LocalChain, Desk]]:
    """As deployed; what a test does is undone. A test that reorgs leaves the blocks below it alone."""
    number = deployed[0].snapshot()
    deployed[0].mine()
    yield deployed
    assert deployed[0].revert(number)


def test_profit_is_as_forecast_within_one_percent(node: Rpc, node_modules: Path) -> None:
    desk = Desk(node, node_modules)
    for user in (1, 2):
        desk.borrow(user, 10.0 * user, 16_000.0 * user)
    keeper = desk.keeper()
    assert keeper.step() is not None
    assert not keeper.last.jobs, "control: all are healthy"  # type: ignore[union-attr]
    desk.crash(1_850.0)
    before = desk.executor_usdc()
    report = keeper.step()
    assert report is not None
    assert len(report.jobs) == 2
    finish(desk, keeper)
    earned = (desk.executor_usdc() - before) / 1e6
    forecast = sum(each.gross_profit for each in report.jobs)
    assert keeper.counts["liquidated"] == 2
    assert earned == pytest.approx(forecast, rel=0.01)
    assert sum(each.profit for each in keeper.ledger.entries) == pytest.approx(earned, rel=1e-9)
    assert keeper.meter.spent > 0


def test_the_venue_is_allowed_nothing_afterwards(local: tuple[LocalChain, Desk]) -> None:
    _, desk = local
    keeper = desk.keeper()
    desk.crash(1_850.0)
    keeper.step()
    finish(desk, keeper)
    assert keeper.counts["liquidated"] == 3
    assert desk.usdc.view("allowance", desk.executor.address, desk.market.pool.address) == 0


def test_the_lookahead_names_who_is_next(local: tuple[LocalChain, Desk]) -> None:
    _, desk = local
    # Health is 10 x 2000 x 0.83 / 16000 = 1.0375: a fall of 3.7 % or more makes it liquidatable.
    for fall, expected in ((0.03, 0), (0.04, 3)):
        report = desk.keeper(Settings(lookahead=fall)).step()
        assert report is not None
        assert report.next == expected


def test_a_dry_run_sends_nothing(local: tuple[LocalChain, Desk]) -> None:
    chain, desk = local
    desk.crash(1_850.0)
    keeper = desk.keeper(Settings(dry_run=True))
    report = keeper.step()
    assert report is not None
    assert len(report.jobs) == 3
    assert len(chain.pool) == 0
    assert not keeper.flights


def test_a_reorg_is_survived_and_booked_once(local: tuple[LocalChain, Desk]) -> None:
    chain, desk = local
    desk.crash(1_850.0)
    keeper = desk.keeper()
    for keep in (True, False):
        keeper.step()
        desk.mine()
        keeper.step()
        assert all(each.receipt is not None for each in keeper.flights.values())
        chain.reorg(1, keep=keep)
        keeper.step()
    assert keeper.counts["reorged"] >= 3
    assert keeper.counts["sent_again"] == 3, "the second reorg lost them"
    finish(desk, keeper)
    assert keeper.counts["liquidated"] == 3
    assert len(keeper.ledger.entries) == 3


def test_a_rival_who_is_first_costs_only_gas(local: tuple[LocalChain, Desk]) -> None:
    _, desk = local
    rival_address = Account.from_key(RIVAL_KEY).address
    desk.rpc.call("anvil_setBalance", rival_address, hex(10 * ETH))
    desk.executor.send("set_keeper", rival_address, True)
    desk.crash(1_850.0)
    ours, rival = desk.keeper(), desk.keeper(key=RIVAL_KEY)
    rival.step()
    ours.step()
    finish(desk, ours)
    rival.step()
    assert rival.counts["liquidated"] == 3
    assert ours.counts["reverted"] == 3
    assert all(-2.0 < each.net < 0.0 for each in ours.ledger.entries)
    assert ours.meter.lost > 0


def test_a_job_that_somebody_else_did_is_cancelled(local: tuple[LocalChain, Desk]) -> None:
    chain, desk = local
    desk.crash(1_850.0)
    ours = desk.keeper()
    ours.step()
    chain.set_next_base_fee(400 * GWEI)  # above every bid: ours waits
    desk.market.price("WETH", 2_400.0)
    assert len(chain.pool) == 3
    chain.set_next_base_fee(GWEI)
    ours.step()
    assert ours.counts["cancelled"] == 3
    finish(desk, ours)
    assert ours.counts["cancelled_final"] == 3
    assert ours.counts["reverted"] == 0
    assert sum(each.gas_wei for each in ours.ledger.entries) < 3 * 21_000 * 10 * GWEI


def test_a_bid_is_raised_until_the_block_takes_it(local: tuple[LocalChain, Desk]) -> None:
    chain, desk = local
    desk.crash(1_850.0)
    keeper = desk.keeper()
    keeper.step()
    first = {key: each.sent.fees for key, each in keeper.flights.items()}
    chain.set_next_base_fee(30 * GWEI)
    desk.mine()
    keeper.step()
    assert keeper.counts["bid_raised"] == 3
    for key, each in keeper.flights.items():
        assert each.sent.fees.most * 8 >= first[key].most * 9
        assert each.sent.fees.tip * 8 >= first[key].tip * 9
        assert each.sent.fees.most <= each.ceiling, "never dearer than what the job brings"
    finish(desk, keeper)
    assert keeper.counts["liquidated"] == 3


def swap_by(chain: LocalChain, desk: Desk, weth: int) -> list[bytes]:
    """An attacker's two transactions: sell WETH, of which he has enough, on the pair as it stands."""
    sender = Sender(desk.rpc, KeySigner(chain.keys[5]), chain.evm.chain_id)
    one, two, _ = desk.pair.view("getReserves")
    out = weth * 997 * two // (one * 1000 + weth * 997)
    calls = [
        (desk.weth.address, desk.weth.payload("transfer", desk.pair.address, weth)),
        (desk.pair.address, desk.pair.payload("swap", 0, out, chain.keys[5].address, b"")),
    ]
    return [sender.sign(to, payload, 300_000, Fees(1000 * GWEI, GWEI)).raw for to, payload in calls]


@pytest.mark.parametrize(
    ("sold", "kept", "succeeds"),
    [
        pytest.param(65, 0.5, False, id="profit-below-half"),
        pytest.param(65, 0.0, True, id="control-without-the-bound"),
        pytest.param(400, 0.0, False, id="a-loss"),
    ],
)
def test_a_sandwich_reverts(local: tuple[LocalChain, Desk], sold: int, kept: float, succeeds: bool) -> None:
    # 65 of 5,405 WETH move the pair by 2.4 %: of a bonus of 4.5 % something is left, but not half.
    chain, desk = local
    desk.weth.send("mint", chain.keys[5].address, sold * ETH)
    desk.crash(1_850.0)
    keeper = desk.keeper(Settings(profit_kept=kept))
    keeper.step()
    before = desk.executor_usdc()
    chain.mine(first=swap_by(chain, desk, sold * ETH))
    assert [each.executed.succeeded for each in chain.head.included[:2]] == [True, True], "control: he is in front"
    first = {each.executed.succeeded for each in chain.head.included[2:3]}
    assert first == {succeeds}
    finish(desk, keeper)
    assert desk.executor_usdc() >= before, "whatever happens, the executor never pays"


def test_a_pair_that_was_moved_is_not_used(local: tuple[LocalChain, Desk]) -> None:
    _, desk = local
    desk.market.price("WETH", 1_850.0)
    keeper = desk.keeper()
    report = keeper.step()  # the pair still stands at 2000, 8 % away
    assert report is not None
    assert report.liquidatable == 3
    assert report.jobs == ()


def test_a_lying_endpoint_is_caught_by_the_second(node_modules: Path) -> None:
    # A liar shows another history: the same contracts at the same places, and a crash that never happened.
    honest_chain, honest = local_desk(node_modules)
    liar_chain, liar = local_desk(node_modules)
    for desk in (honest, liar):
        desk.borrow(1, 100.0, 160_000.0)
    liar.crash(1_850.0)
    while honest_chain.head.number < liar_chain.head.number:
        honest.mine()
    believing = liar.keeper(Settings(dry_run=True), second=liar.rpc)
    doubting = liar.keeper(Settings(), second=honest.rpc)
    assert believing.step().jobs, "control: whoever asks the liar twice believes it"  # type: ignore[union-attr]
    assert doubting.step().jobs == ()  # type: ignore[union-attr]
    assert doubting.counts["disputed"] == 1
    assert len(liar_chain.pool) == 0


def test_large_jobs_need_a_second_endpoint(local: tuple[LocalChain, Desk]) -> None:
    _, desk = local
    desk.crash(1_850.0)
    keeper = desk.keeper(Settings(large_value=20_000.0))
    report = keeper.step()
    assert report is not None
    assert len(report.jobs) == 2, "24,000 is large, 16,000 and 8,000 are not"
    assert keeper.counts["unchecked"] == 1


def test_with_room_for_two_the_two_largest_go_first(local: tuple[LocalChain, Desk]) -> None:
    chain, desk = local
    desk.crash(1_850.0)
    keeper = desk.keeper()
    # Room for two at what they take, half a million each; at what they are thought to take at first, for one.
    chain.gas_limit = 1_150_000
    desk.mine()
    report = keeper.step()
    assert report is not None
    assert report.profitable == 3
    assert [round(each.repay_value) for each in report.jobs] == [24_000, 16_000]
    finish(desk, keeper, 6)
    assert keeper.counts["liquidated"] == 3


def test_what_is_late_is_cancelled(local: tuple[LocalChain, Desk]) -> None:
    chain, desk = local
    desk.crash(1_850.0)
    keeper = desk.keeper(Settings(deadline_s=13, bid_share=0.0))
    keeper.step()
    for _ in range(2):
        chain.set_next_base_fee(500 * GWEI)
        desk.mine()
    assert len(chain.pool) == 3
    keeper.step()
    assert keeper.counts["cancelled"] == 3
    finish(desk, keeper, 12)
    assert keeper.counts["cancelled_final"] == 3, dict(keeper.counts)


def test_private_transactions_are_not_in_the_pool(local: tuple[LocalChain, Desk]) -> None:
    chain, desk = local
    desk.crash(1_850.0)
    taken: list[bytes] = []

    def relay(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        taken.extend(bytes.fromhex(each["params"][0]["tx"][2:]) for each in calls)
        return [{"id": each["id"], "result": "0x"} for each in calls]

    keeper = desk.keeper()
    keeper.flow = PrivateFlow(keeper.sender, Rpc([Scripted(relay)]))
    keeper.step()
    assert len(chain.pool) == 0
    assert len(taken) == 3
    chain.mine(first=taken)
    finish(desk, keeper)
    assert keeper.counts["liquidated"] == 3


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"gas_daily_wei": 1000}, "limit_gas_daily_wei"),
        ({"spend_daily": 10**8}, "limit_spend_daily"),
        ({"calls": {}}, "limit_call"),
        ({"fee_most_wei": 1}, "limit_fee_most_wei"),
    ],
)
def test_limits_hold(local: tuple[LocalChain, Desk], changes: dict[str, Any], count: str) -> None:
    chain, desk = local
    desk.crash(1_850.0)
    keeper = desk.keeper(limits=desk.limits(**changes))
    keeper.step()
    assert keeper.counts[count] == 3
    assert len(chain.pool) == 0
    assert keeper.sender.nonces.outstanding == 0


def test_a_job_too_large_for_the_pair_is_sized_down(node_modules: Path) -> None:
    _, desk = local_desk(node_modules)
    desk.borrow(1, 2_000.0, 3_200_000.0)
    desk.crash(1_850.0)
    keeper = desk.keeper(Settings(large_value=1e12))
    report = keeper.step()
    assert report is not None
    job = report.jobs[0]
    # Half of 3.2 million into a pair of 20 million moves its price by far more than the bonus.
    assert 50_000 < job.repay_value < 400_000
    finish(desk, keeper)
    assert keeper.ledger.entries[0].profit == pytest.approx(job.gross_profit, rel=0.01)


def test_metrics_are_counted(local: tuple[LocalChain, Desk]) -> None:
    _, desk = local
    keeper = desk.keeper()
    desk.crash(1_850.0)
    keeper.step()
    finish(desk, keeper)
    lines = metrics_text(keeper).splitlines()
    assert 'solvent_keeper_events_total{event="liquidated"} 3' in lines
    assert all(len(each.rsplit(" ", 1)) == 2 for each in lines)


def test_the_same_block_is_acted_on_once(local: tuple[LocalChain, Desk]) -> None:
    _, desk = local
    desk.crash(1_850.0)
    keeper = desk.keeper()
    assert keeper.step() is not None
    assert keeper.step() is None
    assert keeper.counts["sent"] == 3
