"""Transactions: signed, sent, replaced, found again under any of their hashes; the base fee follows EIP-1559."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.chain.nodes import local_rpc

from solvent.chain.mempool import replaces
from solvent.chain.rpc import Rpc, number
from solvent.chain.signers import KeySigner
from solvent.chain.transactions import Fees, Sender, base_fee_after, stepped, tip_percentile, wait_receipt
from solvent.errors import SolventError

GWEI = 10**9
OTHER = "0x00000000000000000000000000000000000000AA"
ACCOUNT_KEY = 11


@pytest.fixture
def sender(node: Rpc) -> Sender:
    from eth_account import Account

    account = Account.from_key(ACCOUNT_KEY.to_bytes(32, "big"))
    node.call("anvil_setBalance", account.address, hex(10**21))
    return Sender(node, KeySigner(account), number(node.call("eth_chainId")))


def test_a_batch_is_sent_in_order_of_nonces(sender: Sender) -> None:
    sent = [sender.sign(OTHER, b"", 21_000, Fees(100 * GWEI, GWEI)) for _ in range(5)]
    assert sender.send(sent) == [None] * 5
    sender.rpc.call("anvil_mine", "0x1")
    wait_receipt(sender.rpc, sent[-1].hash, 400, lambda: None)
    receipts = sender.receipts(sent)
    assert all(each is not None and each.succeeded and each.gas_used == 21_000 for each in receipts)
    assert sender.confirmed() == 5


def test_a_replacement_takes_the_place_and_is_found_by_the_first(sender: Sender) -> None:
    first = sender.sign(OTHER, b"", 21_000, Fees(100 * GWEI, GWEI))
    sender.send([first])
    second = sender.sign(OTHER, b"", 21_000, stepped(first.fees), first)
    assert sender.send([second]) == [None]
    sender.rpc.call("anvil_mine", "0x1")
    wait_receipt(sender.rpc, second.hash, 400, lambda: None)
    receipt = sender.receipts([second])[0]
    assert receipt is not None
    assert receipt.transaction_hash == second.hash
    assert sender.receipts([first]) == [None]


def test_too_small_a_step_is_not_even_signed(sender: Sender) -> None:
    first = sender.sign(OTHER, b"", 21_000, Fees(100 * GWEI, GWEI))
    with pytest.raises(SolventError, match="fees"):
        sender.sign(OTHER, b"", 21_000, Fees(112 * GWEI, 2 * GWEI), first)


def test_a_refused_transaction_gives_its_nonce_back(sender: Sender) -> None:
    poor = sender.sign(OTHER, b"", 21_000, Fees(10**18, 10**18))  # more than it owns
    refusal = sender.send([poor])[0]
    assert refusal is not None
    assert sender.nonces.take() == poor.nonce


def test_sending_twice_is_sending_once() -> None:
    chain, rpc = local_rpc()
    sender = Sender(rpc, KeySigner(chain.keys[0]), chain.evm.chain_id)
    sent = sender.sign(OTHER, b"", 21_000, Fees(100 * GWEI, GWEI))
    assert sender.send([sent]) == sender.send([sent]) == [None]
    assert len(chain.pool) == 1


def test_tips_of_recent_blocks() -> None:
    chain, rpc = local_rpc()
    sender = Sender(rpc, KeySigner(chain.keys[0]), chain.evm.chain_id)
    assert tip_percentile(rpc, 4, 50.0) == 0
    for tip in (1, 3, 9):
        sender.send([sender.sign(OTHER, b"", 21_000, Fees(100 * GWEI, tip * GWEI))])
        chain.mine()
    assert tip_percentile(rpc, 3, 50.0) == 3 * GWEI


fees = st.builds(lambda tip, above: Fees(tip + above, tip), st.integers(0, 10**13), st.integers(0, 10**13))


@given(fees)
def test_a_step_replaces_in_every_pool(old: Fees) -> None:
    new = stepped(old)
    assert replaces(new, old)
    assert new.most * 8 >= old.most * 9
    assert new.tip * 8 >= old.tip * 9
    assert new.tip <= new.most


def test_base_fee_of_known_blocks() -> None:
    # EIP-1559: full blocks raise by an eighth, empty ones lower by an eighth, half full ones keep.
    assert base_fee_after(1_000_000_000, 30_000_000, 30_000_000) == 1_125_000_000
    assert base_fee_after(1_000_000_000, 0, 30_000_000) == 875_000_000
    assert base_fee_after(1_000_000_000, 15_000_000, 30_000_000) == 1_000_000_000
    # The examples of the go-ethereum test of this rule (TestCalcBaseFee).
    assert [base_fee_after(10**9, used, 20_000_000) for used in (10_000_000, 9_000_000, 11_000_000)] == [
        1_000_000_000,
        987_500_000,
        1_012_500_000,
    ]
    assert base_fee_after(1, 30_000_000, 30_000_000) == 2, "rises by at least 1"
