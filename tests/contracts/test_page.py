"""The page of the contracts names every function and file, and shows the gas of the snapshot."""

import re

import pytest
from tests.contracts.page import PAGE, TABLE, functions, gas_table, row
from tests.contracts.world import CONTRACTS

NAMES = ("Clearing", "Pool", "Prices", "Auction", "Steward", "Executor")
OF_TOKENS = {"transfer", "transferFrom", "approve", "withdraw", "redeem"}
"""What the row of the pool calls ERC-20 and withdrawals."""


@pytest.mark.parametrize("name", NAMES)
def test_every_function_that_changes_state_is_in_the_table_of_callers(name: str) -> None:
    said = row("Who may call what", name)
    missing = {each for each, changes in functions(name).items() if changes and f"`{each}`" not in said}
    missing -= {each for each in missing if each.startswith("set_up") and "`set_up*`" in said}
    assert missing <= (OF_TOKENS if name == "Pool" else set())


@pytest.mark.parametrize("name", NAMES)
def test_every_function_that_reads_is_told_of(name: str) -> None:
    said = row("What can be read", name)
    assert {each for each, changes in functions(name).items() if not changes} == set(re.findall(r"`(\w+)`", said)) - {
        name
    }


def test_every_file_is_on_the_map() -> None:
    section = PAGE.read_text().split("\n## Files\n")[1].split("\n## ")[0]
    assert sorted(re.findall(r"`(\w+\.vy)`", section)) == sorted(path.name for path in CONTRACTS.glob("*.vy"))


def test_the_table_of_gas_is_the_snapshot() -> None:
    (shown,) = TABLE.findall(PAGE.read_text())
    assert shown == gas_table(), "SOLVENT_WRITE_GAS=1 rewrites both"
