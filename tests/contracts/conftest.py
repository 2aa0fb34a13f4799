"""One deployment for all tests of the contracts; each test works on its own copy of the state."""

from collections.abc import Iterator

import boa
import pytest
from boa.environment import Env
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils import keccak
from tests.contracts.world import World, build


class Deployed:
    """A world, and the environment that it lies in."""

    def __init__(self, feeds: bool) -> None:
        self.env = Env()
        with boa.swap_env(self.env):
            self.world = build(feeds)

    def opened(self) -> Iterator[World]:
        """The world as it was deployed; what is done to it is undone afterwards."""
        world = self.world
        kept = list(world.asset_prices), world.mark, world.funding_index, world.confidence
        timestamp = self.env.evm.patch.timestamp
        with boa.swap_env(self.env), self.env.anchor():
            yield world
        world.asset_prices, world.mark, world.funding_index, world.confidence = kept
        self.env.evm.patch.timestamp = timestamp


@pytest.fixture(scope="session")
def deployed() -> Deployed:
    return Deployed(feeds=False)


@pytest.fixture(scope="session")
def deployed_on_feeds() -> Deployed:
    return Deployed(feeds=True)


@pytest.fixture
def world(deployed: Deployed) -> Iterator[World]:
    """Collaterals with pushed prices."""
    yield from deployed.opened()


@pytest.fixture
def feed_world(deployed_on_feeds: Deployed) -> Iterator[World]:
    """Collaterals with prices of feeds."""
    yield from deployed_on_feeds.opened()


def role(name: str) -> LocalAccount:
    """An account of that role, that can sign."""
    return Account.from_key(keccak(text=name))


@pytest.fixture
def borrower() -> str:
    return str(role("borrower").address)


@pytest.fixture
def liquidator() -> str:
    return str(role("liquidator").address)


@pytest.fixture
def stranger() -> str:
    return str(role("stranger").address)


@pytest.fixture
def buyer() -> LocalAccount:
    return role("buyer")


@pytest.fixture
def seller() -> LocalAccount:
    return role("seller")
