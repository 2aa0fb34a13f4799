"""The list of instruments: indices that never change, aliases, terms as arrays."""

import numpy as np
import pytest

from solvent.domain.symbols import instrument
from solvent.domain.universe import INVERSE, LINEAR, OPTION, SPOT, Universe
from solvent.errors import SolventError, UnknownInstrument

IDS = ["USDC", "BTC", "BTC@custodian-x", "BTC/USDC:USDC", "BTC-PERPETUAL", "BTC-27DEC24-60000-C"]


@pytest.fixture
def universe() -> Universe:
    return Universe([instrument(id, 8_000.0) for id in IDS])


def test_indices_stay_when_more_is_listed(universe: Universe) -> None:
    longer = universe.listed(instrument("ETH"), instrument("ETH/USDC:USDC", 200.0))
    assert [longer.index(id) for id in IDS] == list(range(len(IDS)))
    assert longer.index("ETH") == len(IDS)
    assert len(universe) == len(IDS)


def test_aliases_find_their_instrument(universe: Universe) -> None:
    assert universe.index("BTC-27DEC24-60000-C") == universe.index("BTC/USD:BTC-241227-60000-C") == 5
    assert universe.aliases["BTC-PERPETUAL"] == "BTC/USD:BTC"


def test_an_unknown_id_names_near_ones(universe: Universe) -> None:
    with pytest.raises(UnknownInstrument, match="BTC/USDC:USDC"):
        universe.index("BTC/USDC:USD")


def test_repeated_and_faulty_instruments_are_listed_together() -> None:
    with pytest.raises(SolventError) as raised:
        Universe([instrument("BTC"), instrument("BTC"), instrument("ETH/USDC:USDC", 200.0)])
    assert len(raised.value.problems) == 2


def test_terms_by_instrument(universe: Universe) -> None:
    terms = universe.terms
    assert terms.form.tolist() == [SPOT, SPOT, SPOT, LINEAR, INVERSE, OPTION]
    assert [universe.assets[u] for u in terms.underlying] == ["USDC", "BTC", "BTC", "BTC", "BTC", "BTC"]
    assert terms.settlement.tolist() == [0, 1, 2, 0, 1, 1]
    assert np.isclose(terms.unit[3], 1e-4)
    assert not terms.form.flags.writeable
    assert universe.house_spot.tolist() == [0, 1]


def test_exact_value_factors(universe: Universe) -> None:
    assert universe.value_atoms[3] == (1, 1)  # a tick on a lot is an atom of USDC
    assert universe.value_atoms[4] == (10**10, 1)  # 1 USD in atoms of BTC, times ticks of 0.01 USD
