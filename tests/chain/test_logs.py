"""Logs: every one once, in columns, from any page size; reorgs are noticed and rolled back."""

import pytest
from tests.chain.aave_market import Contract, vyper_mock
from tests.chain.mocks import mock
from tests.chain.nodes import Deployer, local_rpc

from solvent.chain.abi import call_data
from solvent.chain.logs import Checkpoint, EventTable, Log, LogReader, Reorged, frame
from solvent.chain.rpc import Rpc, RpcError
from solvent.errors import SolventError


def token_on(rpc: Rpc) -> Contract:
    return vyper_mock(Deployer(rpc), "Token", ("string", "uint8"), ("TKN", 6))


def reader_of(rpc: Rpc, token: Contract, **settings: int) -> tuple[LogReader, EventTable]:
    table = EventTable(token.abi)
    return LogReader(rpc, [token.address], [table.of("Transfer").topic], **settings), table


def test_columns_hold_what_was_emitted(node: Rpc) -> None:
    token = token_on(node)
    token.send("mint", "0x00000000000000000000000000000000000000aa", 2**200 + 5)
    token.send("scatter", 100)
    reader, table = reader_of(node, token)
    found = frame(reader.advance(), table.of("Transfer"))
    assert found.height == 101
    assert found["receiver"][0] == "0x00000000000000000000000000000000000000aa"
    assert [int.from_bytes(each, "big") for each in found["value"]] == [2**200 + 5, *range(100)]
    assert found["receiver"][100] == f"0x{100:040x}"
    assert found["log_index"][1:].to_list() == list(range(100))
    assert set(found["address"]) == {token.address.lower()}


@pytest.mark.parametrize("page_blocks", [1, 2, 1000])
def test_pages_of_any_size_give_the_same(page_blocks: int) -> None:
    _, rpc = local_rpc()
    token = token_on(rpc)
    for count in (3, 1, 4):
        token.send("scatter", count)
    reader, table = reader_of(rpc, token, page_blocks=page_blocks)
    values = frame(reader.advance(), table.of("Transfer"))["value"]
    assert [each[-1] for each in values] == [0, 1, 2, 0, 0, 1, 2, 3]


def test_a_page_that_the_node_refuses_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    from solvent.chain import local_rpc as answers

    _, rpc = local_rpc()
    token = token_on(rpc)
    for _ in range(6):
        token.send("scatter", 3)
    monkeypatch.setattr(answers, "LOGS_MOST", 5)
    reader, _ = reader_of(rpc, token, page_blocks=64)
    assert len(reader.advance()) == 18
    monkeypatch.setattr(answers, "LOGS_MOST", 2)
    with pytest.raises(RpcError, match="more than 2"):
        reader_of(rpc, token)[0].advance()


def test_a_reorg_rolls_back_to_the_last_common_block() -> None:
    chain, rpc = local_rpc()
    token = token_on(rpc)
    token.send("scatter", 2)
    reader, _ = reader_of(rpc, token)
    assert len(reader.advance()) == 2
    common = reader.checkpoints[-1]
    token.send("scatter", 3)
    chain.mine()
    assert len(reader.advance()) == 3
    assert reader.advance() == [], "nothing twice"
    chain.reorg(2, keep=False)
    with pytest.raises(Reorged) as raised:
        reader.advance()
    assert raised.value.last == common
    token.send("scatter", 4)
    assert len(reader.advance()) == 4


def test_a_reorg_below_every_checkpoint_starts_anew() -> None:
    chain, rpc = local_rpc()
    token = token_on(rpc)
    reader, _ = reader_of(rpc, token)
    chain.mine()
    reader.start_after(chain.head.number)
    chain.reorg(1)
    with pytest.raises(Reorged) as raised:
        reader.advance()
    assert raised.value.last == Checkpoint(-1, "")
    token.send("scatter", 1)
    assert len(reader.advance()) == 1


def test_a_short_log_is_refused() -> None:
    table = EventTable(mock("Token")[1])
    log = Log("0x" + "aa" * 20, ["0x"] * 3, "0x01", "0x1", "0x", "0x", "0x0")
    with pytest.raises(SolventError, match="1 words"):
        frame([log], table.of("Transfer"))
    with pytest.raises(SolventError, match="one of Approval, Transfer"):
        table.of("Burn")


def test_a_call_is_written_as_the_abi_says() -> None:
    # Selector and words of the token standard's transfer.
    written = call_data("transfer(address,uint256)", "0x" + "11" * 20, 5)
    assert written.hex() == "a9059cbb" + "00" * 12 + "11" * 20 + "00" * 31 + "05"
