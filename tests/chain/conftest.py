"""Nodes that chain tests share: `node` is the in-process chain and anvil, one after the other."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chain.nodes import Anvil, installed, local_rpc
from tests.chain.venue_desk import Venue, local_venue

from solvent.chain.rpc import Rpc


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """What npm installed: anvil, and Aave's artifacts."""
    return installed()


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    """A fresh anvil that makes blocks only when asked."""
    with Anvil("--no-mining", "--order", "fees") as node:
        yield node


@pytest.fixture(params=["local", "anvil"])
def node(request: pytest.FixtureRequest) -> Rpc:
    """A client on a fresh chain that makes blocks only when asked."""
    if request.param == "local":
        return local_rpc()[1]
    found: Anvil = request.getfixturevalue("anvil")
    return found.rpc


@pytest.fixture(scope="session")
def deployed() -> Venue:
    """Our contracts on one in-process chain for all tests."""
    return local_venue(block_time_s=1)[1]


@pytest.fixture
def venue(deployed: Venue) -> Iterator[Venue]:
    """Our contracts as they were deployed."""
    with deployed.opened() as found:
        yield found
