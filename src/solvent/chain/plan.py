"""What is to be deployed: a plan of tokens, parameters, bounds and roles, and where it was deployed."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from solvent.errors import Problem, SolventError, problem, raise_if

BPS = 10_000
UNLIMITED = 2**256 - 1
SLOTS = 16
"""Collaterals and markets that an account can hold of each."""


class _Plain(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Collateral(_Plain, frozen=True):
    """One listed token. Caps are in listed units (1 unit: one whole token unless `unit_decimals` says otherwise)."""

    symbol: str
    token: str
    weight_initial_bps: int
    weight_maintenance_bps: int
    cap_total: int
    cap_account: int
    cap_daily: int
    unit_decimals: int = -1
    """Atoms of a listed unit are 10 ** this; -1: the token's own decimals."""


class PerpetualMarket(_Plain, frozen=True):
    """One linear perpetual. A tick of one lot is `multiplier` atoms of the settlement asset."""

    symbol: str
    multiplier: int
    maintenance_bps: int
    initial_bps: int
    lot: str = "1"
    """Coins of the underlying in a lot, such as 0.001."""
    band_bps: int = 300
    fee_most_bps: int = 50
    open_interest_cap: int = 10**9
    """Lots."""


class Guards(_Plain, frozen=True):
    """Of prices; fixed for good when `Prices` is deployed."""

    soft_age_s: int = 60
    hard_age_s: int = 600
    band_bps: int = 3_000
    confidence_most_bps: int = 200
    skew_s: int = 15
    funding_most_bps_hourly: int = 100


class Lending(_Plain, frozen=True):
    """The pool: kinked rate and caps; caps in atoms."""

    base_bps: int = 100
    slope_low_bps: int = 400
    slope_high_bps: int = 6_000
    kink_bps: int = 8_000
    reserve_bps: int = 1_000
    borrow_cap: int = 10**15
    supply_cap: int = 10**15


class Auctions(_Plain, frozen=True):
    """The Dutch auction: see `docs/contracts.md`."""

    start_bps: int = 9_800
    knee_bps: int = 8_000
    buffer_bps: int = 1_500
    fee_bps: int = 100
    full_bps: int = 2_500
    fast_s: int = 900
    slow_s: int = 43_200
    tail_s: int = 14_400
    insolvent_s: int = 3_600
    dust: int = 100_000_000
    """Least margin that a bid takes or leaves, atoms."""


class Bounds(_Plain, frozen=True):
    """What the publisher may do to one parameter of all collaterals or markets, or of a contract."""

    parameter: str
    """Such as `weight_maintenance_bps` or `base_bps`: a field of this plan."""
    lowest: int
    highest: int
    step_bps: int = 1_000
    """Of the present value, in one change."""
    step_least: int = 0
    delay_s: int = 86_400
    pause_s: int = 86_400


class Plan(_Plain, frozen=True):
    """Everything that a deployment is made of. Addresses are 0x and forty digits."""

    settlement: str
    signers: tuple[str, ...]
    """Whose signatures of prices count."""
    threshold: int
    owner: str = ""
    """Default: the deployer."""
    publishers: tuple[str, ...] = ()
    guardians: tuple[str, ...] = ()
    guards: Guards = Guards()
    lending: Lending = Lending()
    auctions: Auctions = Auctions()
    collaterals: tuple[Collateral, ...] = ()
    markets: tuple[PerpetualMarket, ...] = ()
    bounds: tuple[Bounds, ...] = ()


class Deployment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a plan was deployed; an address is empty until its contract is there."""

    chain_id: int
    from_block: int
    """Before which there are no logs of it."""
    settlement: str
    collaterals: tuple[str, ...] = ()
    """Symbols, in order of their numbers."""
    markets: tuple[str, ...] = ()
    lots: tuple[str, ...] = ()
    """Coins in a lot of each market."""
    steward: str = ""
    prices: str = ""
    pool: str = ""
    clearing: str = ""
    auction: str = ""


CLEARING_FIELDS = {
    "cap_total": 1,
    "cap_account": 2,
    "cap_daily": 3,
    "weight_maintenance_bps": 6,
    "weight_initial_bps": 5,
    "initial_bps": 9,
    "maintenance_bps": 8,
    "band_bps": 10,
    "fee_most_bps": 11,
    "open_interest_cap": 12,
}
"""Parameter -> field of Clearing. Of two that bound each other, the wider one first."""
POOL_FIELDS = {name: field for field, name in enumerate(Lending.__struct_fields__)}
AUCTION_FIELDS = {name: field for field, name in enumerate(Auctions.__struct_fields__)}


class Setting(msgspec.Struct, frozen=True):
    """One parameter as the plan wants it."""

    contract: str
    name: str
    key: int
    """field + 256 * index."""
    wanted: int


def settings(plan: Plan) -> Iterator[Setting]:
    """Parameters that can change after the deployment, in an order that the contracts take."""
    for index, collateral in enumerate(plan.collaterals):
        for name in ("cap_total", "cap_account", "cap_daily", "weight_maintenance_bps", "weight_initial_bps"):
            label = f"{collateral.symbol} {name}"
            yield Setting("Clearing", label, CLEARING_FIELDS[name] + 256 * index, getattr(collateral, name))
    for index, market in enumerate(plan.markets):
        for name in ("initial_bps", "maintenance_bps", "band_bps", "fee_most_bps", "open_interest_cap"):
            label = f"{market.symbol} {name}"
            yield Setting("Clearing", label, CLEARING_FIELDS[name] + 256 * index, getattr(market, name))
    for contract, fields, values in (
        ("Pool", POOL_FIELDS, plan.lending),
        ("Auction", AUCTION_FIELDS, plan.auctions),
    ):
        for name, field in fields.items():
            yield Setting(contract, name, field, getattr(values, name))


def field_of(parameter: str) -> tuple[str, int] | None:
    """Contract and field of a parameter's name."""
    for contract, fields in (("Clearing", CLEARING_FIELDS), ("Pool", POOL_FIELDS), ("Auction", AUCTION_FIELDS)):
        if parameter in fields:
            return contract, fields[parameter]
    return None


def read_plan(path: Path) -> Plan:
    """A plan from a TOML file. Raises SolventError with all that is wrong."""
    try:
        plan = msgspec.toml.decode(path.read_bytes(), type=Plan)
    except OSError as error:
        raise SolventError(problem(str(path), None, "file", error.strerror or "", "a file that can be read")) from None
    except msgspec.MsgspecError as error:
        raise SolventError(problem(str(path), None, "plan", str(error), "a deployment plan")) from None
    raise_if(faults(plan, str(path)))
    return plan


def faults(plan: Plan, file: str) -> list[Problem]:
    """Everything in a plan that the contracts would refuse, or that would be unsafe."""
    found = []
    addresses = {"settlement": plan.settlement, "owner": plan.owner or plan.settlement}
    addresses |= {f"signers {i}": each for i, each in enumerate(plan.signers)}
    addresses |= {f"publishers {i}": each for i, each in enumerate(plan.publishers)}
    addresses |= {f"guardians {i}": each for i, each in enumerate(plan.guardians)}
    addresses |= {f"{each.symbol} token": each.token for each in plan.collaterals}
    for field, address in addresses.items():
        if not re.fullmatch("0x[0-9a-fA-F]{40}", address):
            found.append(problem(file, None, field, address, "0x and 40 hexadecimal digits"))
    if not 0 < plan.threshold <= len(plan.signers):
        found.append(problem(file, None, "threshold", plan.threshold, f"1 to {len(plan.signers)}, one for each signer"))
    if max(len(plan.collaterals), len(plan.markets)) > SLOTS:
        found.append(problem(file, None, "collaterals, markets", SLOTS + 1, f"at most {SLOTS} of each"))
    for row, collateral in enumerate(plan.collaterals, 1):
        if not 0 <= collateral.weight_initial_bps <= collateral.weight_maintenance_bps < BPS:
            value = f"{collateral.weight_initial_bps}, {collateral.weight_maintenance_bps}"
            found.append(problem(file, row, "weights", value, "0 <= initial <= maintenance < 10000"))
    for row, market in enumerate(plan.markets, 1):
        if not 0 < market.maintenance_bps <= market.initial_bps < BPS or market.multiplier < 1:
            value = f"{market.maintenance_bps}, {market.initial_bps}"
            found.append(problem(file, row, "rates", value, "0 < maintenance <= initial < 10000, a multiplier from 1"))
    for row, bounds in enumerate(plan.bounds, 1):
        if field_of(bounds.parameter) is None:
            found.append(problem(file, row, "parameter", bounds.parameter, "a parameter of this plan"))
        if not 0 <= bounds.lowest <= bounds.highest or bounds.highest == 0:
            found.append(
                problem(file, row, "lowest, highest", bounds.lowest, "0 <= lowest <= highest, highest above 0")
            )
    return found


def read_deployment(path: Path) -> Deployment:
    """Where a plan was deployed. Raises SolventError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Deployment)
    except OSError as error:
        raise SolventError(problem(str(path), None, "file", error.strerror or "", "a file that can be read")) from None
    except msgspec.MsgspecError as error:
        raise SolventError(
            problem(str(path), None, "deployment", str(error), "what `solvent chain deploy` wrote")
        ) from None
