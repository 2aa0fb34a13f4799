"""Exact gas of the contracts, cold, as a transaction pays it, and the table of it that is kept in git."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boa
from boa.contracts.vyper.vyper_contract import VyperContract
from boa.util.abi import Address
from eth_utils import keccak, to_checksum_address
from tests.contracts.world import USD, WAD, World, account_of, build

SNAPSHOT = Path(__file__).parents[2] / "gas" / "snapshot.json"
COUNTS = (1, 4, 8)


def cold() -> None:
    """Begin a new transaction: present values become the original ones, every address and slot is cold again."""
    boa.env.evm.vm.state.lock_changes()
    boa.env.evm.reset_access_counters()


def calldata_gas(data: bytes) -> int:
    """What a transaction pays before it runs: 21,000, and 16 or 4 a byte of its data."""
    return 21_000 + sum(16 if byte else 4 for byte in data)


def transaction(contract: VyperContract, name: str, *args: Any, sender: str) -> int:
    """Gas of one call as a whole transaction, refunds left out."""
    data = getattr(contract, name).prepare_calldata(*args)
    cold()
    getattr(contract, name)(*args, sender=sender)
    return int(contract._computation.get_gas_used()) + calldata_gas(data)


def execution(contract: VyperContract, name: str, *args: Any) -> int:
    """Gas of a view without the transaction around it."""
    cold()
    getattr(contract, name)(*args)
    return int(contract._computation.get_gas_used())


def named(role: str) -> Address:
    """An address that is the same in every run."""
    return Address(to_checksum_address(keccak(text=role)[:20]))


def measured(feeds: bool, collaterals: int) -> dict[str, int]:
    """Every operation for an account of so many collaterals and one loan, in an environment of its own."""
    with boa.swap_env(boa.Env()):
        boa.env.eoa = named("deployer")  # addresses are in the data that is paid for: the same ones each time
        return _measured(build(feeds), collaterals)


def _measured(world: World, collaterals: int) -> dict[str, int]:
    borrower, liquidator = named("borrower"), named("liquidator")
    account, taker = account_of(borrower), account_of(liquidator)
    clearing = world.clearing
    gas: dict[str, int] = {}
    world.settlement.mint(borrower, 1_000 * USD)
    world.settlement.approve(clearing, 10**9 * USD, sender=borrower)
    for asset in range(collaterals):
        world.deposit(borrower, asset, 100 * WAD)
        world.deposit(liquidator, asset, WAD)
    world.deposit(liquidator, None, 10**6 * USD)
    world.fund(borrower, 0, 100 * WAD)
    worth = sum(100 * price for price in world.asset_prices[:collaterals])
    clearing.borrow(account, worth // 2, borrower, sender=borrower)
    world.later(10)
    gas["deposit again"] = transaction(clearing, "deposit", account, 0, WAD, sender=borrower)
    gas["borrow near the limit"] = transaction(
        clearing, "borrow", account, worth * 29 // 100, borrower, sender=borrower
    )
    gas["withdraw with a loan"] = transaction(clearing, "withdraw", account, 0, WAD // 100, borrower, sender=borrower)
    gas["repay, part"] = transaction(clearing, "repay", account, 1_000 * USD, sender=borrower)
    gas["health view, execution"] = execution(clearing, "standing", account)
    world.move(0.9)
    # The first bid of all opens the slot of penalties: not what bids cost later.
    world.auction.bid(account, taker, WAD // 100, 10**6 * USD, 0, boa.env.timestamp, sender=liquidator)
    arguments = account, taker, WAD, 10**6 * USD, 0, boa.env.timestamp
    gas["liquidate, part"] = transaction(world.auction, "bid", *arguments, sender=liquidator)
    now = boa.env.timestamp + 1
    boa.env.time_travel(seconds=1)
    updates = world.updates()
    gas["push all prices"] = transaction(
        world.prices, "push", now, updates, world.signatures(now, updates), sender=liquidator
    )
    return gas


def snapshot(counts: tuple[int, ...] = COUNTS) -> dict[str, dict[str, dict[str, int]]]:
    """Operation -> packed and pull -> collaterals -> gas."""
    table: dict[str, dict[str, dict[str, int]]] = {}
    for kind, feeds in (("packed", False), ("pull", True)):
        for count in counts:
            for operation, gas in measured(feeds, count).items():
                table.setdefault(operation, {}).setdefault(kind, {})[str(count)] = gas
    return table


def write(make: Callable[[], dict[str, Any]] = snapshot) -> None:
    SNAPSHOT.parent.mkdir(exist_ok=True)
    SNAPSHOT.write_text(json.dumps(make(), indent=2) + "\n")
