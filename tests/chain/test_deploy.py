"""A plan is deployed as written, a run that was cut short goes on, and what is published arrives by the rules."""

from pathlib import Path

import msgspec
import pytest
from tests.chain.nodes import ROOT, local_rpc
from tests.chain.venue_desk import ETH, USD, Venue, key

from solvent.chain.artifacts import Contract, artifact
from solvent.chain.deploy import Contracts, deploy, differences, status
from solvent.chain.desk import Desk, block_at
from solvent.chain.plan import Collateral, Deployment, Plan, faults, read_deployment, read_plan, settings
from solvent.chain.publish import (
    Price,
    Push,
    next_step,
    publish_parameters,
    push_digest,
    push_prices,
    signed_by,
    updates_of,
)
from solvent.errors import SolventError


class CutShort(Exception):
    """A deployer's machine that stops."""


def test_a_deployment_is_what_the_plan_says(venue: Venue) -> None:
    shown = status(venue.rpc, venue.at, venue.plan)
    assert shown["sealed"]
    assert shown["differs"] == []
    assert [each["symbol"] for each in shown["collaterals"]] == ["WETH", "WBTC"]
    assert [each["price_e6"] for each in shown["collaterals"]] == [2_000 * USD, 60_000 * USD]
    assert {each["state"] for each in shown["collaterals"] + shown["markets"]} == {"ok"}
    assert shown["pool"]["idle"] == 10**7 * USD
    found = venue.found
    assert found.steward.view("roles", venue.deployer.signer.address) == 1
    assert found.steward.view("roles", key("publisher").address) == 2
    assert found.steward.view("roles", key("guardian").address) == 4


def test_a_run_that_was_cut_short_goes_on(venue: Venue) -> None:
    rpc = local_rpc(block_time_s=1)[1]
    rpc.call("anvil_setBalance", key("deployer").address, hex(100 * ETH))
    desk = Desk(rpc, key("deployer"), venue.chain_id, lambda: rpc.call("anvil_mine", "0x1"))
    tokens = [desk.deploy(artifact("DevToken"), name, 18 if name == "WETH" else 6) for name in ("USDC", "WETH")]
    plan = msgspec.structs.replace(
        venue.plan,
        settlement=tokens[0],
        collaterals=(msgspec.structs.replace(venue.plan.collaterals[0], token=tokens[1]),),
    )
    kept: list[Deployment] = []

    def keep(at: Deployment) -> None:
        kept.append(at)
        if at.pool and not at.clearing:
            raise CutShort

    with pytest.raises(CutShort):
        deploy(desk, plan, keep)
    at = deploy(desk, plan, kept.append, kept[-1])
    assert (at.steward, at.prices, at.pool) == (kept[2].steward, kept[2].prices, kept[2].pool)
    assert len(kept) == 5
    assert Contracts(rpc, at).steward.view("sealed")
    assert not differences(Contracts(rpc, at), plan)
    before = block_at(rpc).number
    assert deploy(desk, plan, kept.append, at) == at
    assert block_at(rpc).number == before, "all is there: nothing is sent"


def test_another_owner_seals_by_himself() -> None:
    chain, rpc = local_rpc(block_time_s=1)
    rpc.call("anvil_setBalance", key("deployer").address, hex(100 * ETH))
    desk = Desk(rpc, key("deployer"), chain.evm.chain_id, chain.mine)
    token = desk.deploy(artifact("DevToken"), "USDC", 6)
    plan = Plan(settlement=token, signers=(key("signer 0").address,), threshold=1, owner=key("owner").address)
    at = deploy(desk, plan, lambda _: None)
    steward = Contracts(rpc, at).steward
    assert steward.view("roles", key("owner").address) == 1
    assert steward.view("roles", desk.signer.address) == 0
    assert not steward.view("sealed")


def test_a_digest_made_here_is_the_contracts(venue: Venue) -> None:
    push = Push(1_800_000_000, updates_of(venue.prices, [Price(2_100_000, 7, -5)]))
    ours = push_digest(push, venue.chain_id, venue.at.prices)
    assert ours == venue.found.prices.view("push_digest", push.signed_at, list(push.updates))
    assert ours != push_digest(push, venue.chain_id + 1, venue.at.prices)


def test_prices_need_enough_signatures_and_arrive(venue: Venue) -> None:
    push = Push(block_at(venue.rpc).timestamp + 1, updates_of([Price(1_900 * USD), Price(61_000 * USD, 9)]))
    with pytest.raises(SolventError, match="TooFewSignatures"):
        push_prices(venue.deployer, venue.found, push, signed_by(venue.signers[:1], push, venue.found))
    stranger = signed_by([venue.signers[0], key("stranger")], push, venue.found)
    with pytest.raises(SolventError, match="NotASigner"):
        push_prices(venue.deployer, venue.found, push, stranger)
    push_prices(venue.deployer, venue.found, push, signed_by(venue.signers[1:], push, venue.found))
    shown = status(venue.rpc, venue.at)["collaterals"]
    assert [each["price_e6"] for each in shown] == [1_900 * USD, 61_000 * USD]


@pytest.mark.parametrize(
    "wrong", [Price(0), Price(1 << 48), Price(1, 2_501), Price(1, 0, 1 << 95)], ids=["zero", "large", "unsure", "index"]
)
def test_prices_that_the_contract_refuses_are_refused_here(wrong: Price) -> None:
    with pytest.raises(SolventError, match="row 2"):
        updates_of([Price(1)], [wrong])


def test_parameters_go_to_the_plan_in_the_stewards_steps(venue: Venue) -> None:
    collateral = msgspec.structs.replace(venue.plan.collaterals[0], weight_maintenance_bps=8_100)
    plan = msgspec.structs.replace(venue.plan, collaterals=(collateral, venue.plan.collaterals[1]))
    publisher = venue.desk("publisher")

    def published() -> list[tuple[int, str]]:
        return [(each.setting, each.done) for each in publish_parameters(publisher, venue.found, plan)]

    assert published() == [(8_100, "proposed")]
    assert published() == [(8_100, "waits")]
    venue.rpc.call("evm_increaseTime", 3_600)
    venue.mine()
    assert published() == [(8_100, "applied")]
    assert published() == []
    assert venue.found.clearing.view("parameter", 6) == 8_100


def test_what_the_steward_refuses_is_said(venue: Venue) -> None:
    collateral = msgspec.structs.replace(
        venue.plan.collaterals[0], weight_maintenance_bps=4_000, weight_initial_bps=3_000
    )
    plan = msgspec.structs.replace(venue.plan, collaterals=(collateral, venue.plan.collaterals[1]))
    found = {each.parameter: each for each in publish_parameters(venue.desk("publisher"), venue.found, plan)}
    assert found["WETH weight_maintenance_bps"].setting == 7_650
    assert found["WETH weight_maintenance_bps"].done == "proposed"
    assert found["WETH weight_initial_bps"].done == "NoSuchParameter", "no bound was set for it"
    stranger = publish_parameters(venue.desk("stranger"), venue.found, plan)
    assert {each.done for each in stranger} == {"waits", "NotAuthorised"}


@pytest.mark.parametrize(
    ("present", "wanted", "step_bps", "least", "setting"),
    [
        (8_500, 8_100, 1_000, 0, 8_100),
        (8_500, 4_000, 1_000, 0, 7_650),
        (100, 500, 1_000, 50, 150),
        (100, 500, 2**256 - 1, 0, 500),
    ],
)
def test_a_step_goes_as_far_as_it_may(present: int, wanted: int, step_bps: int, least: int, setting: int) -> None:
    assert next_step(present, wanted, step_bps, least) == setting


def test_a_plan_is_read_and_all_its_faults_are_listed(tmp_path: Path, venue: Venue) -> None:
    path = tmp_path / "plan.toml"
    signers = ", ".join(f'"{each.address}"' for each in venue.signers)
    path.write_text(
        f'settlement = "{venue.usdc.address}"\nsigners = [{signers}]\nthreshold = 2\n[lending]\nkink_bps = 9000\n'
    )
    read = read_plan(path)
    assert (read.signers, read.threshold) == (venue.plan.signers, 2)
    assert read.lending.kink_bps == 9_000
    path.write_text("settlement = 1\n")
    with pytest.raises(SolventError, match="deployment plan"):
        read_plan(path)
    at = tmp_path / "deployment.json"
    at.write_bytes(msgspec.json.encode(venue.at))
    assert read_deployment(at) == venue.at
    caps = {"cap_total": 1, "cap_account": 1, "cap_daily": 1}
    wrong = Plan(
        settlement="usdc",
        signers=(venue.signers[0].address,),
        threshold=2,
        collaterals=(
            Collateral(symbol="X", token="0x1", weight_initial_bps=9_000, weight_maintenance_bps=8_000, **caps),
        ),
    )
    fields = [each.field for each in faults(wrong, "plan.toml")]
    assert fields == ["settlement", "owner", "X token", "threshold", "weights"]
    assert len(list(settings(venue.plan))) == 2 * 5 + 5 + 7 + 10


def test_a_refusal_carries_the_contracts_own_word(venue: Venue) -> None:
    borrower = venue.borrow("borrower", 10 * ETH, 15_000 * USD)
    with pytest.raises(SolventError, match="BelowInitialMargin"):
        borrower.call(venue.found.clearing, "borrow", venue.account("borrower"), 2_000 * USD, borrower.signer.address)


def test_an_unknown_function_is_refused(venue: Venue) -> None:
    contract = Contract(venue.rpc, "Pool", venue.at.pool)
    with pytest.raises(SolventError, match="one of the contract's own"):
        contract.payload("drain")


def test_the_plan_of_the_page_is_a_plan(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "on-chain.md").read_text()
    text = page.split("```toml\n")[1].split("```")[0]
    path = tmp_path / "plan.toml"
    path.write_text(text.replace("0x...", "0x" + "11" * 20))
    plan = read_plan(path)
    assert (plan.collaterals[0].symbol, plan.markets[0].lot, plan.bounds[0].delay_s) == ("WETH", "0.001", 86_400)
