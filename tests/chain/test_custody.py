"""Deposits count once and at finality, withdrawals leave once, through crashes, reorgs and replaced transactions."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.chain.nodes import local_rpc
from tests.chain.venue_desk import ETH, USD, key
from tests.engine.desk import USDC
from tests.engine.desk import Desk as Books

from solvent.chain.abi import topic
from solvent.chain.artifacts import Contract, artifact
from solvent.chain.deposits import TRANSFER, Ask, Deposits
from solvent.chain.desk import Desk
from solvent.chain.intents import IntentLog
from solvent.chain.local import LocalChain
from solvent.chain.rpc import Rpc
from solvent.chain.withdrawals import Asked, Ended, Withdrawals
from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.owners import OUTSIDE
from solvent.engine.engine import Submission
from solvent.errors import SolventError

VAULT = key("vault")
FINALITY = 3


class Crash(Exception):
    """The machine stops here."""


class House:
    """An engine, a chain with a token, and the address where the venue keeps it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.chain, self.rpc = local_rpc(block_time_s=1)
        self.books = Books()
        self.trader = key("trader")
        self.people = {name: self.desk(name) for name in ("trader", "vault")}
        self.token = Contract(self.rpc, "DevToken", self.people["trader"].deploy(artifact("DevToken"), "USDC", 6))
        self.people["trader"].call(self.token, "mint", self.trader.address, 10**6 * USD)
        self.books.ok(c.OpenAccount(self.trader.address, self.trader.address))
        self.mine(10)  # so that reorgs of the tests do not reach this
        self.deposits = self.watched()
        self.withdrawals = self.paying()

    def desk(self, name: str) -> Desk:
        self.rpc.call("anvil_setBalance", key(name).address, hex(10 * ETH))
        return Desk(self.rpc, key(name), self.chain.evm.chain_id, self.chain.mine)

    def ask(self, submissions: Sequence[Submission]) -> list[e.Entry]:
        return self.books.engine.execute(submissions, self.books.now_ns)

    def watched(self) -> Deposits:
        """A watcher as a restart makes it."""
        return Deposits(
            self.ask,
            self.rpc,
            VAULT.address,
            {self.token.address: USDC},
            lambda sender: 0 if sender == self.trader.address else None,
            lambda account: self.books.state.accounts[account].owner,
            finality_blocks=FINALITY,
            log=self.folder / "deposits.jsonl",
        )

    def paying(self, ask: Ask | None = None, rpc: Rpc | None = None) -> Withdrawals:
        return Withdrawals(
            ask or self.ask,
            rpc or self.rpc,
            VAULT,
            {USDC: self.token.address},
            finality_blocks=FINALITY,
            log=self.folder / "withdrawals.jsonl",
        )

    def pay_in(self, usd: int) -> None:
        desk = Desk(self.rpc, self.trader, self.chain.evm.chain_id, self.chain.mine)
        desk.call(self.token, "transfer", VAULT.address, usd * USD)

    def mine(self, blocks: int = FINALITY) -> None:
        for _ in range(blocks):
            self.chain.mine()

    def credited(self, usd: int) -> None:
        """Money that both sides know."""
        self.pay_in(usd)
        self.mine()
        assert self.deposits.step() == 1

    @property
    def balance(self) -> int:
        return int(self.books.state.balance(0, USDC))

    def received(self) -> int:
        return int(self.token.view("balanceOf", key("elsewhere").address))

    def agree(self) -> None:
        """Custody and ledger hold the same."""
        assert self.token.view("balanceOf", VAULT.address) == -self.books.state.balance(OUTSIDE, USDC)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def asked(id: str = "w1", usd: int = 400) -> Asked:
    return Asked(id, 0, key("trader").address, USDC, usd * USD, key("elsewhere").address)


def test_the_topic_is_the_events_own() -> None:
    assert "0x" + topic("Transfer(address,address,uint256)").hex() == TRANSFER


def test_a_deposit_counts_at_finality_and_once(house: House) -> None:
    house.pay_in(1_000)
    assert house.deposits.step() == 0
    assert [each.atoms for each in house.deposits.pending] == [1_000 * USD]
    house.mine(FINALITY - 1)
    assert house.deposits.step() == 0
    assert house.balance == 0
    house.mine(1)
    assert house.deposits.step() == 1
    assert house.balance == 1_000 * USD
    (reference,) = house.books.state.references
    chain, transaction, index = reference.split(":")
    assert (chain, len(transaction), index) == (str(house.chain.evm.chain_id), 66, "0")
    assert house.deposits.step() == 0
    again = house.watched()
    assert again.step() == 0, "a restart reads everything again and credits nothing twice"
    assert house.balance == 1_000 * USD
    house.agree()


def test_a_crash_between_engine_and_log_credits_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(self: IntentLog, line: Any) -> None:
        raise Crash

    house.pay_in(1_000)
    house.mine()
    with monkeypatch.context() as broken:
        broken.setattr(IntentLog, "append", crash)
        with pytest.raises(Crash):
            house.deposits.step()
    assert house.balance == 1_000 * USD
    again = house.watched()
    assert again.step() == 1
    assert house.balance == 1_000 * USD
    assert len(again.credited) == 1


def test_an_unfinal_deposit_that_a_reorg_drops_was_never_there(house: House) -> None:
    house.pay_in(1_000)
    house.deposits.step()
    house.chain.reorg(1, keep=False)
    house.mine(FINALITY + 1)
    assert house.deposits.step() == 0
    assert house.deposits.pending == []
    assert house.balance == 0


def test_a_stranger_is_credited_to_nobody(house: House) -> None:
    stranger = house.desk("stranger")
    stranger.call(house.token, "mint", stranger.signer.address, 5)
    stranger.call(house.token, "transfer", VAULT.address, 5)
    house.mine()
    assert house.deposits.step() == 0
    assert [each.atoms for each in house.deposits.unclaimed] == [5]


def test_a_reorg_beyond_finality_is_taken_back_and_freezes_the_asset(house: House) -> None:
    house.credited(1_000)
    house.chain.reorg(FINALITY + 2, keep=False)
    house.mine(1)
    assert house.deposits.step() == 0
    assert house.balance == 0
    assert USDC in house.books.state.frozen
    assert USDC not in house.books.state.withheld, "custody and ledger agree again"
    assert house.deposits.missing == {}
    house.agree()
    house.pay_in(700)
    house.mine()
    house.deposits.step()
    assert house.balance == 700 * USD


def test_what_the_account_no_longer_has_stops_withdrawals(house: House) -> None:
    house.credited(1_000)
    house.withdrawals.ask(asked(usd=400))
    house.withdrawals.step()
    house.chain.reorg(FINALITY + 2, keep=False)
    house.mine(1)
    house.deposits.step()
    state = house.books.state
    assert house.deposits.missing == {USDC: 1_000 * USD}
    assert state.accounts[0].frozen
    assert USDC in state.frozen
    assert USDC in state.withheld


def test_a_transaction_that_only_moved_in_a_reorg_stays_credited(house: House) -> None:
    house.credited(1_000)
    house.chain.reorg(FINALITY + 2, keep=True)
    house.mine(FINALITY + 1)
    assert house.deposits.step() == 0
    assert house.balance == 1_000 * USD
    assert USDC not in house.books.state.frozen
    house.mine()
    assert house.deposits.step() == 0
    house.agree()


def done(house: House, withdrawals: Withdrawals, id: str = "w1") -> Ended:
    """Steps and blocks until it has ended."""
    for _ in range(30):
        withdrawals.step()
        found = withdrawals.all[id].ended
        if found is not None:
            return found
        house.mine(1)
    raise AssertionError("it did not end")


def test_a_withdrawal_leaves_once(house: House) -> None:
    house.credited(1_000)
    for _ in range(2):
        house.withdrawals.ask(asked())
    assert done(house, house.withdrawals).outcome == "confirmed"
    assert house.received() == 400 * USD
    assert house.balance == 600 * USD
    house.agree()
    with pytest.raises(SolventError, match="not used for another"):
        house.withdrawals.ask(asked(usd=401))


def test_one_that_the_engine_refuses_moves_nothing(house: House) -> None:
    house.credited(100)
    house.withdrawals.ask(asked())
    assert done(house, house.withdrawals).outcome == "refused"
    assert (house.received(), house.balance) == (0, 100 * USD)


@pytest.mark.parametrize("lines", range(1, 5))
@pytest.mark.parametrize("durable", [False, True], ids=["before", "after"])
def test_a_crash_around_any_line_of_the_log(
    house: House, monkeypatch: pytest.MonkeyPatch, lines: int, durable: bool
) -> None:
    """The machine stops before or after the nth line is on the disk: asked, debited, signed, confirmed."""
    house.credited(1_000)
    append: Callable[[IntentLog, Any], None] = IntentLog.append
    written = 0

    def crash(self: IntentLog, line: Any) -> None:
        nonlocal written
        written += 1
        if written < lines or durable:
            append(self, line)
        if written == lines:
            raise Crash

    def first_run() -> None:
        first = house.paying()
        first.ask(asked())
        done(house, first)

    with monkeypatch.context() as broken:
        broken.setattr(IntentLog, "append", crash)
        with pytest.raises(Crash):
            first_run()
    again = house.paying()
    again.ask(asked())
    assert done(house, again).outcome == "confirmed"
    assert house.received() == 400 * USD
    assert house.balance == 600 * USD
    house.agree()


def test_a_crash_after_the_engine_debited(house: House) -> None:
    house.credited(1_000)

    def crash(submissions: Sequence[Submission]) -> list[e.Entry]:
        house.ask(submissions)
        raise Crash

    first = house.paying(ask=crash)
    first.ask(asked())
    with pytest.raises(Crash):
        first.step()
    assert house.balance == 600 * USD
    assert done(house, house.paying()).outcome == "confirmed"
    assert (house.received(), house.balance) == (400 * USD, 600 * USD)


def test_a_line_that_was_cut_off_is_dropped(house: House) -> None:
    house.credited(1_000)
    house.withdrawals.ask(asked())
    path = house.folder / "withdrawals.jsonl"
    with path.open("ab") as file:
        file.write(b'{"type":"Debi')
    again = house.paying()
    assert len(again.log.lines) == 1
    assert path.read_bytes().endswith(b"}\n")
    assert done(house, again).outcome == "confirmed"
    path.write_bytes(b"nonsense\n")
    with pytest.raises(SolventError, match="a line of this log"):
        house.paying()


def test_a_stuck_transaction_is_replaced_and_pays_once(house: House) -> None:
    house.credited(1_000)
    house.withdrawals.ask(asked())
    house.withdrawals.step()
    house.chain.set_next_base_fee(10**12)
    for _ in range(8):
        house.chain.mine()
        house.withdrawals.step()
    signed = house.withdrawals.all["w1"].signed
    assert len(signed) > 1
    assert {each.nonce for each in signed} == {signed[0].nonce}
    for _ in range(40):
        house.chain.mine()
    assert done(house, house.withdrawals).outcome == "confirmed"
    assert house.received() == 400 * USD


def test_a_nonce_that_went_elsewhere_is_replaced_by_a_new_one(house: House) -> None:
    house.credited(1_000)
    house.withdrawals.ask(asked())
    house.withdrawals.step()
    stolen = house.withdrawals.all["w1"].signed[0]
    house.rpc.call("anvil_dropTransaction", stolen.hash)
    house.people["vault"].call(house.token, "approve", house.trader.address, 1)
    house.mine(FINALITY + 1)
    assert done(house, house.withdrawals).outcome == "confirmed"
    assert house.withdrawals.all["w1"].signed[0].nonce == stolen.nonce + 1
    assert house.received() == 400 * USD


def test_a_transfer_that_reverts_is_given_back(house: House) -> None:
    house.credited(1_000)
    house.people["vault"].call(house.token, "transfer", house.trader.address, 900 * USD)
    house.withdrawals.ask(asked())
    assert done(house, house.withdrawals).outcome == "refunded"
    assert house.balance == 1_000 * USD
    assert house.received() == 0


def test_several_leave_in_one_step(house: House) -> None:
    house.credited(1_000)
    for number in range(3):
        house.withdrawals.ask(asked(f"w{number}", 100 + number))
    house.withdrawals.step()
    nonces = [each.signed[0].nonce for each in house.withdrawals.open]
    assert len(set(nonces)) == 3
    assert done(house, house.withdrawals, "w2").outcome == "confirmed"
    assert house.received() == 303 * USD
    assert isinstance(house.chain, LocalChain)
