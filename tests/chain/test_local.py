"""The in-process chain: order, fees, replacement, eviction, gas limit, reorgs, time; the same figures as anvil."""

from typing import Any

import pytest
from tests.chain.aave_market import vyper_mock
from tests.chain.nodes import Anvil, Deployer, local_rpc

from solvent.chain.local import LocalChain
from solvent.chain.mempool import PoolRefused
from solvent.chain.rpc import Reverted, Rpc, RpcError, number
from solvent.chain.signers import KeySigner
from solvent.chain.transactions import Fees, Sender

GWEI = 10**9
OTHER = "0x00000000000000000000000000000000000000AA"


def senders(chain: LocalChain, rpc: Rpc) -> list[Sender]:
    return [Sender(rpc, KeySigner(key), chain.evm.chain_id) for key in chain.keys]


def send(sender: Sender, tip: int, most: int = 100, gas: int = 21_000) -> str:
    sent = sender.sign(OTHER, b"", gas, Fees(most * GWEI, tip * GWEI))
    refusal = sender.send([sent])[0]
    assert refusal is None, refusal
    return sent.hash


def held(chain: LocalChain) -> list[str]:
    return ["0x" + each.waiting.hash.hex() for each in chain.head.included]


def test_blocks_are_ordered_by_effective_tip_not_by_maximum_fee() -> None:
    chain, rpc = local_rpc()
    low, high, capped = senders(chain, rpc)[:3]
    first = send(low, tip=1, most=100)
    second = send(high, tip=5, most=10)
    third = send(capped, tip=50, most=50)
    chain.mine()
    assert held(chain) == [third, second, first]
    chain.set_next_base_fee(8 * GWEI)
    # At a base fee of 8 the bid of 5 within 10 pays 2, the bid of 3 within 100 pays 3.
    first, second = send(low, tip=3, most=100), send(high, tip=5, most=10)
    chain.mine()
    assert held(chain) == [first, second]


def test_equal_bids_go_by_arrival_and_one_sender_by_nonce() -> None:
    chain, rpc = local_rpc()
    early, late = senders(chain, rpc)[:2]
    hashes = [send(early, tip=2), send(late, tip=2), send(early, tip=9)]
    chain.mine()
    assert held(chain) == [hashes[0], hashes[2], hashes[1]], "the dear second one comes up when the first is in"


def test_replacement_needs_a_tenth_more_of_both_fees() -> None:
    chain, _rpc = local_rpc()
    key = chain.keys[0]

    def raw(most: int, tip: int) -> bytes:
        signer = KeySigner(key)
        fields: dict[str, Any] = {"type": 2, "chainId": chain.evm.chain_id, "nonce": 0, "to": OTHER, "data": b""}
        fees = {"maxFeePerGas": most, "maxPriorityFeePerGas": tip}
        return signer.sign({**fields, "value": 0, "gas": 21_000, **fees})

    chain.send(raw(100 * GWEI, 10 * GWEI))
    for most, tip in ((110, 10), (100, 11), (109, 11), (110, 10)):
        with pytest.raises(PoolRefused, match="underpriced"):
            chain.send(raw(most * GWEI, tip * GWEI))
    chain.send(raw(110 * GWEI, 11 * GWEI))
    assert len(chain.pool) == 1


def test_a_full_pool_throws_out_the_cheapest() -> None:
    chain, rpc = local_rpc(slots=3)
    people = senders(chain, rpc)
    cheap = send(people[0], tip=1)
    for each, tip in zip(people[1:3], (4, 5), strict=True):
        send(each, tip=tip)
    with pytest.raises(AssertionError, match="underpriced"):
        send(people[3], tip=1)
    send(people[4], tip=2)
    assert rpc.call("eth_getTransactionByHash", cheap) is None
    assert chain.pool.evicted == 1


def test_a_block_holds_no_more_than_its_gas_limit() -> None:
    chain, rpc = local_rpc(gas_limit=21_000 * 4)
    hashes = [send(each, tip=9 - i) for i, each in enumerate(senders(chain, rpc)[:6])]
    chain.mine()
    assert held(chain) == hashes[:4]
    chain.mine()
    assert held(chain) == hashes[4:]


def test_what_cannot_pay_the_base_fee_waits() -> None:
    chain, rpc = local_rpc(base_fee=50 * GWEI)
    sent = send(senders(chain, rpc)[0], tip=1, most=40)
    chain.mine()
    assert held(chain) == []
    chain.mine()
    assert held(chain) == [sent], "the base fee fell by an eighth a block"


def test_nonces_behind_or_far_ahead_are_refused_and_gaps_wait() -> None:
    chain, rpc = local_rpc()
    sender = senders(chain, rpc)[0]
    first, second = (sender.sign(OTHER, b"", 21_000, Fees(100 * GWEI, GWEI)) for _ in range(2))
    chain.send(second.raw)
    chain.mine()
    assert held(chain) == []
    chain.send(first.raw)
    chain.mine()
    assert held(chain) == [first.hash, second.hash]
    with pytest.raises(PoolRefused, match="nonce too low"):
        chain.send(first.raw)


def test_a_reorg_puts_transactions_back_and_changes_hashes() -> None:
    chain, rpc = local_rpc()
    sent = send(senders(chain, rpc)[0], tip=1)
    chain.mine()
    before = chain.head.hash
    chain.mine()
    chain.reorg(2)
    assert chain.head.number == 2
    assert chain.blocks[1].hash != before
    assert rpc.call("eth_getTransactionReceipt", sent) is None
    assert chain.nonce(bytes.fromhex(chain.keys[0].address[2:])) == 0
    chain.mine()
    assert held(chain) == [sent]


def test_private_transactions_come_first_and_are_never_in_the_pool() -> None:
    chain, rpc = local_rpc()
    public, private = senders(chain, rpc)[:2]
    send(public, tip=50)
    hidden = private.sign(OTHER, b"", 21_000, Fees(100 * GWEI, 0))
    chain.mine(first=[hidden.raw])
    assert held(chain)[0] == hidden.hash


def test_past_states_can_be_read() -> None:
    chain, rpc = local_rpc()
    token = vyper_mock(Deployer(rpc), "Token", ("string", "uint8"), ("TKN", 6))
    token.send("mint", OTHER, 5)
    before = chain.head.number
    token.send("mint", OTHER, 7)
    assert token.view("balanceOf", OTHER, tag=hex(before)) == 5
    assert token.view("balanceOf", OTHER) == 12


def test_the_same_transactions_use_the_same_gas_as_on_anvil(anvil: Anvil) -> None:
    used: list[list[int]] = []
    for rpc in (local_rpc()[1], anvil.rpc):
        deployer = Deployer(rpc)
        token = vyper_mock(deployer, "Token", ("string", "uint8"), ("TKN", 6))
        receipts = [token.send("mint", OTHER, 5), token.send("mint", OTHER, 6), token.send("scatter", 30)]
        receipts += [token.send("approve", OTHER, 1), token.send("approve", OTHER, 0)]  # the last has a refund
        used.append([number(each["gasUsed"]) for each in receipts])
    assert used[0] == used[1]


def test_base_fees_follow_the_same_path_as_on_anvil(anvil: Anvil) -> None:
    paths: list[list[int]] = []
    for rpc in (local_rpc()[1], anvil.rpc):
        token = vyper_mock(Deployer(rpc), "Token", ("string", "uint8"), ("TKN", 6))
        rpc.call("evm_setBlockGasLimit", hex(200_000))
        rpc.call("anvil_setNextBlockBaseFeePerGas", hex(1_000_000_007))
        for count in (40, 1, 40, 0):
            token.deployer.send(token.address, token.payload("scatter", count), gas=190_000)
        blocks = [rpc.call("eth_getBlockByNumber", hex(each), False) for each in range(2, 6)]
        paths.append([number(each["baseFeePerGas"]) for each in blocks])
    assert paths[0] == paths[1]


def test_reverts_answer_as_on_anvil(node: Rpc) -> None:
    token = vyper_mock(Deployer(node), "Token", ("string", "uint8"), ("TKN", 6))
    asked = {"from": OTHER, "to": token.address, "data": "0x" + token.payload("transfer", OTHER, 1).hex()}
    for method in ("eth_call", "eth_estimateGas"):
        with pytest.raises(Reverted):
            node.call(method, asked)
    with pytest.raises(RpcError) as raised:
        node.call("eth_noSuchMethod")
    assert raised.value.code == -32_601


def test_an_estimate_is_enough_and_not_much_more(node: Rpc) -> None:
    deployer = Deployer(node)
    token = vyper_mock(deployer, "Token", ("string", "uint8"), ("TKN", 6))
    payload = token.payload("mint", OTHER, 5)
    asked = {"from": deployer.sender, "to": token.address, "data": "0x" + payload.hex()}
    estimate = number(node.call("eth_estimateGas", asked))
    used = number(deployer.send(token.address, payload, gas=estimate)["gasUsed"])
    assert used <= estimate <= used * 1.1
