"""Deploys the contracts by a plan, goes on where it was cut short, and says what a deployment is like."""

from collections.abc import Callable
from typing import Any

import msgspec

from solvent.chain.abi import call_data, checksum, decode
from solvent.chain.artifacts import Contract, artifact
from solvent.chain.desk import Desk, block_at
from solvent.chain.plan import Deployment, Plan, field_of, settings
from solvent.chain.rpc import Rpc, data
from solvent.errors import SolventError, problem

OWNER, PUBLISHER, GUARDIAN = 1, 2, 4
TOKEN, UNIT_DECIMALS, MULTIPLIER = 0, 4, 7
"""Fields of Clearing that are set once."""
NOBODY = "0x" + "00" * 20
CONTRACTS = ("steward", "prices", "pool", "clearing", "auction")

Keep = Callable[[Deployment], None]


class Contracts:
    """The contracts of a deployment, to talk to."""

    def __init__(self, rpc: Rpc, at: Deployment) -> None:
        self.rpc, self.at = rpc, at
        self.steward = Contract(rpc, "Steward", at.steward)
        self.prices = Contract(rpc, "Prices", at.prices)
        self.pool = Contract(rpc, "Pool", at.pool)
        self.clearing = Contract(rpc, "Clearing", at.clearing)
        self.auction = Contract(rpc, "Auction", at.auction)

    def named(self, name: str) -> Contract:
        """By the name of its file."""
        found: Contract = getattr(self, name.lower())
        return found


def deploy(desk: Desk, plan: Plan, keep: Keep, started: Deployment | None = None) -> Deployment:
    """Deploy, wire, list, bound, give roles and seal.

    Parameters
    ----------
    keep : callable
        Gets the deployment after each step, to be stored: `started` is where the next run goes on.

    Raises
    ------
    SolventError
        For a call that a contract refuses, by the name of its error.
    """
    at = started or Deployment(
        desk.chain_id,
        block_at(desk.rpc).number,
        checksum(plan.settlement),
        tuple(each.symbol for each in plan.collaterals),
        tuple(each.symbol for each in plan.markets),
        tuple(each.lot for each in plan.markets),
    )
    if at.chain_id != desk.chain_id:
        raise SolventError(problem("deployment", None, "chain_id", desk.chain_id, f"{at.chain_id}, where it was begun"))
    for name in CONTRACTS:
        if not getattr(at, name):
            address = desk.deploy(artifact(name.capitalize()), *_arguments(name, desk, plan, at))
            at = msgspec.structs.replace(at, **{name: address})
            keep(at)
    found = Contracts(desk.rpc, at)
    for wired, name, to in ((found.pool, "clearing", at.clearing), (found.clearing, "auction", at.auction)):
        if wired.view(name) == NOBODY:
            desk.call(wired, "wire", to)
    if not found.steward.view("sealed"):
        _list(desk, plan, found)
        _bind(desk, plan, found)
        _give_roles(desk, plan, found)
    return at


def _arguments(name: str, desk: Desk, plan: Plan, at: Deployment) -> tuple[Any, ...]:
    if name == "steward":
        return (desk.signer.address,)
    if name == "prices":
        signers = sorted({checksum(each) for each in plan.signers}, key=lambda each: int(each, 16))
        return at.steward, signers, plan.threshold, list(msgspec.structs.astuple(plan.guards))
    if name == "pool":
        return plan.settlement, at.steward, list(msgspec.structs.astuple(plan.lending))
    if name == "clearing":
        return at.steward, at.pool, at.prices
    return at.clearing, at.steward, list(msgspec.structs.astuple(plan.auctions))


def decimals_of(rpc: Rpc, token: str) -> int:
    """Decimals of a token. Raises RpcError."""
    answer = rpc.call("eth_call", {"to": token, "data": "0x" + call_data("decimals()").hex()}, "latest")
    return int(decode(("uint8",), data(answer))[0])


def _list(desk: Desk, plan: Plan, found: Contracts) -> None:
    """First parameters; what is there already is left as it is."""
    first: list[tuple[Contract, int, int]] = []
    for index, each in enumerate(plan.collaterals):
        unit = each.unit_decimals if each.unit_decimals >= 0 else decimals_of(desk.rpc, each.token)
        first += [
            (found.clearing, UNIT_DECIMALS + 256 * index, unit),
            (found.clearing, 256 * index, int(each.token, 16)),
        ]
    first += [(found.clearing, MULTIPLIER + 256 * i, each.multiplier) for i, each in enumerate(plan.markets)]
    first += [(found.named(each.contract), each.key, each.wanted) for each in settings(plan)]
    for contract, key, wanted in first:
        if contract.view("parameter", key) != wanted:
            desk.call(found.steward, "set_up", contract.address, key, wanted)


def _bind(desk: Desk, plan: Plan, found: Contracts) -> None:
    for each in plan.bounds:
        place = field_of(each.parameter)
        assert place is not None, "a plan is checked when it is read"
        target = found.named(place[0]).address
        bound = (each.lowest, each.highest, each.step_bps, each.step_least, each.delay_s, each.pause_s)
        if tuple(found.steward.view("bounds", target, place[1])) != bound:
            desk.call(found.steward, "set_up_bound", target, place[1], bound)


def _give_roles(desk: Desk, plan: Plan, found: Contracts) -> None:
    """Roles, then the seal. An owner who is not the deployer seals himself: until then he checks what was set."""
    deployer = checksum(desk.signer.address)
    owner = checksum(plan.owner or deployer)
    roles: dict[str, int] = {owner: OWNER}
    for role, holders in ((PUBLISHER, plan.publishers), (GUARDIAN, plan.guardians)):
        for each in holders:
            roles[checksum(each)] = roles.get(checksum(each), 0) | role
    own = roles.pop(deployer, 0)
    for holder, given in roles.items():
        if found.steward.view("roles", holder) != given:
            desk.call(found.steward, "set_up_roles", holder, given)
    if found.steward.view("roles", deployer) != own:
        desk.call(found.steward, "set_up_roles", deployer, own)
    if own & OWNER:
        desk.call(found.steward, "seal")


def status(rpc: Rpc, at: Deployment, plan: Plan | None = None) -> dict[str, Any]:
    """What a deployment is like at the newest block, as plain JSON values. Raises SolventError.

    With a plan also the parameters that differ from it.
    """
    found, head = Contracts(rpc, at), block_at(rpc)
    debt, _, idle, insurance, rate_bps = found.pool.view("state")
    answer: dict[str, Any] = {
        "chain_id": at.chain_id,
        "block": head.number,
        "contracts": {name: getattr(at, name) for name in CONTRACTS},
        "sealed": found.steward.view("sealed"),
        "pool": {
            "debt": debt, "idle": idle, "insurance": insurance, "rate_bps": rate_bps,
            "custody": found.pool.view("custody"), "shares": found.pool.view("totalSupply"),
        },
        "collaterals": [_collateral(found, i, symbol) for i, symbol in enumerate(at.collaterals)],
        "markets": [_market(found, i, symbol) for i, symbol in enumerate(at.markets)],
    }  # fmt: skip
    if plan is not None:
        answer["differs"] = [
            {"contract": each.contract, "parameter": each.name, "present": present, "wanted": each.wanted}
            for each, present in differences(found, plan)
        ]
    return answer


def _collateral(found: Contracts, index: int, symbol: str) -> dict[str, Any]:
    state, words = found.prices.view("quotes", 1 << index, 0)
    quote = words[0] >> (108 * (index & 1))
    return {
        "symbol": symbol,
        "price_e6": quote % 2**48,
        "state": ("ok", "degraded", "halted")[state],
        "total": found.clearing.view("total", index),
        "weight_maintenance_bps": found.clearing.view("parameter", 6 + 256 * index),
    }


def _market(found: Contracts, index: int, symbol: str) -> dict[str, Any]:
    state, words = found.prices.view("quotes", 0, 1 << index)
    lots, holders, pot, deficit = found.clearing.view("market_state", index)
    return {
        "symbol": symbol,
        "price_ticks": words[0] % 2**48,
        "state": ("ok", "degraded", "halted")[state],
        "open_interest": lots,
        "holders": holders,
        "pot": pot,
        "deficit": deficit,
    }


def differences(found: Contracts, plan: Plan) -> list[tuple[Any, int]]:
    """Settings of a plan with the present value, where they differ."""
    wanted = list(settings(plan))
    calls = [found.named(each.contract).asked("parameter", each.key) for each in wanted]
    present = [
        int(found.named(each.contract).answer("parameter", answer))
        for each, answer in zip(wanted, found.rpc.results(calls), strict=True)
    ]
    return [(each, now) for each, now in zip(wanted, present, strict=True) if each.wanted != now]
