"""What reports need of a book: what is held, from files and from a journal, with the fund and the changes of policy."""

from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from solvent.cli.main import app
from solvent.engine.engine import Engine
from solvent.engine.files import read_book, read_market, read_policy
from solvent.engine.margined import held_usd, margined, margined_of_journal, policy_changes
from solvent.engine.start import change_policy
from solvent.errors import SolventError
from solvent.ledger.journal import MemoryJournal
from solvent.ledger.recovery import recover
from solvent.ledger.stores import open_journal

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("margined") / "run.db"
    arguments = ["replay", f"--market={EXAMPLES / 'candles-crash.csv'}", f"--store={path}", "--accounts=12"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return str(path)


def test_held_is_what_accounts_own_and_not_what_they_owe() -> None:
    market = read_market(EXAMPLES / "market-spot-perp.csv")
    book = read_book(EXAMPLES / "book-spot-perp.csv", market.universe, market).book
    bitcoin = market.universe.index("BTC")
    before = held_usd(book, market)["BTC"]
    book.add(0, bitcoin, 1_000_000)
    gained = held_usd(book, market)["BTC"] - before
    assert gained[0] == pytest.approx(1_000_000 * market.universe.terms.lot_coins[bitcoin] * market.price[bitcoin])
    assert not gained[1:].any()
    book.add(1, bitcoin, -(10**12))
    assert held_usd(book, market)["BTC"][1] == 0.0
    assert margined(book, market, read_policy("portfolio")).insurance_usd is None


def test_a_journal_gives_its_accounts_fund_and_changes(store: str) -> None:
    journal = open_journal(store, writer=False)
    found, state = margined_of_journal(journal), recover(journal)
    journal.close()
    assert found.book.names == [each.name for each in state.accounts]
    assert found.policy == state.policy
    assert found.insurance_usd is not None
    assert found.insurance_usd > 1e5
    assert [each.policy for each in found.changes or ()] == [found.policy.label]


def test_every_policy_that_came_into_effect_is_listed(store: str) -> None:
    journal = MemoryJournal()
    engine = Engine(journal)
    first = read_policy("portfolio")
    second = msgspec.structs.replace(first, version="2")
    for policy in (first, second, second):
        change_policy(engine, policy)
    engine.close()
    with pytest.raises(SolventError) as caught:
        margined_of_journal(journal)
    assert [each.field for each in caught.value.problems] == ["mark"]
    assert [each.policy for each in policy_changes(journal)] == [first.label, second.label]
