"""JSON-RPC answers of the in-process chain: the methods that clients and our own keeper call."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from solvent.chain.abi import checksum
from solvent.chain.evm import Environment, Executed, InvalidTransaction
from solvent.chain.local import Block, Included, LocalChain
from solvent.chain.mempool import PoolRefused, Waiting
from solvent.chain.transactions import Fees
from solvent.errors import SolventError

INVALID_PARAMS = -32_602
METHOD_NOT_FOUND = -32_601
REFUSED = -32_000
REVERTED = 3
TIP = 10**9
LOGS_MOST = 200_000


class Refusal(Exception):
    """An error as JSON-RPC writes it."""

    def __init__(self, code: int, text: str, data: str | None = None) -> None:
        self.code, self.text, self.data = code, text, data
        super().__init__(text)


def answer(chain: LocalChain, body: bytes) -> bytes:
    """Answer to one request or a batch. Raises MsgspecError where it is no JSON-RPC."""
    asked = msgspec.json.decode(body)
    with chain.lock:
        found = [_answer(chain, each) for each in asked] if isinstance(asked, list) else _answer(chain, asked)
    return msgspec.json.encode(found)


def _answer(chain: LocalChain, asked: Any) -> dict[str, Any]:
    if not isinstance(asked, dict) or "method" not in asked:
        raise msgspec.ValidationError("no method")
    head = {"jsonrpc": "2.0", "id": asked.get("id")}
    try:
        method = METHODS.get(str(asked["method"]))
        if method is None:
            raise Refusal(METHOD_NOT_FOUND, f"Method not found: {asked['method']}")
        return {**head, "result": method(chain, *(asked.get("params") or []))}
    except Refusal as refusal:
        error: dict[str, Any] = {"code": refusal.code, "message": refusal.text}
        return {**head, "error": error | ({} if refusal.data is None else {"data": refusal.data})}
    except PoolRefused as refusal:
        return {**head, "error": {"code": REFUSED, "message": refusal.text}}
    except (SolventError, InvalidTransaction) as refusal:
        return {**head, "error": {"code": REFUSED, "message": str(refusal)}}
    except (TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
        return {**head, "error": {"code": INVALID_PARAMS, "message": f"{type(error).__name__}: {error}"}}


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _bytes(value: str) -> bytes:
    return bytes.fromhex(value.removeprefix("0x"))


def _number(value: Any) -> int:
    return value if isinstance(value, int) else int(value, 16)


def _block(chain: LocalChain, tag: Any) -> Block:
    """A block by number, tag or hash (as text, or in a dictionary)."""
    if isinstance(tag, dict):
        tag = tag.get("blockHash") or tag.get("blockNumber")
    if tag in (None, "latest", "pending", "safe", "finalized"):
        return chain.head
    if tag == "earliest":
        return chain.blocks[0]
    if isinstance(tag, str) and len(tag) == 66:
        return _by_hash(chain, tag)
    return chain.block(_number(tag))


def _by_hash(chain: LocalChain, tag: str) -> Block:
    found = next((each for each in reversed(chain.blocks) if _hex(each.hash) == tag), None)
    if found is None:
        raise Refusal(REFUSED, "header for hash not found")
    return found


def _environment(chain: LocalChain, tag: Any) -> Environment | None:
    """Calls on `pending` see the next block; others see the block they name."""
    return chain.next_environment() if tag == "pending" else None


def _wanted(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a call by the names that the chain uses."""
    found: dict[str, Any] = {"data": _bytes(asked.get("data") or asked.get("input") or "0x")}
    for name in ("from", "to"):
        if asked.get(name):
            found[name] = _bytes(asked[name])
    for name in ("gas", "value"):
        if asked.get(name) is not None:
            found[name] = _number(asked[name])
    return found


def _output(executed: Executed) -> str:
    if not executed.succeeded:
        raise Refusal(REVERTED, f"execution reverted: {executed.error}", _hex(executed.output))
    return _hex(executed.output)


def _call(chain: LocalChain, asked: Mapping[str, Any], tag: Any = "latest") -> str:
    return _output(chain.call(_wanted(asked), _block(chain, tag), _environment(chain, tag)))


def _estimate(chain: LocalChain, asked: Mapping[str, Any], _tag: Any = "latest") -> str:
    gas, most = chain.estimate_gas(_wanted(asked))
    _output(most)
    return hex(gas)


def _send_raw(chain: LocalChain, raw: str) -> str:
    return _hex(chain.send(_bytes(raw)))


def _send(chain: LocalChain, asked: Mapping[str, Any]) -> str:
    """Sign with one of the chain's own accounts and send."""
    key = next((each for each in chain.keys if each.address.lower() == str(asked["from"]).lower()), None)
    if key is None:
        raise Refusal(REFUSED, "No Signer available")
    wanted = _wanted(asked)
    sender = _bytes(key.address)
    fees = Fees(2 * chain.next_base_fee() + TIP, TIP)
    gas = wanted.get("gas") or min(chain.estimate_gas(wanted)[0] * 5 // 4, chain.gas_limit)
    transaction = {
        "type": 2,
        "chainId": chain.evm.chain_id,
        "nonce": chain.pool.next_nonce(sender, chain.nonce(sender)),
        "data": wanted["data"],
        "value": wanted.get("value", 0),
        "gas": gas,
        "maxFeePerGas": _number(asked.get("maxFeePerGas") or asked.get("gasPrice") or fees.most),
        "maxPriorityFeePerGas": _number(asked.get("maxPriorityFeePerGas") or asked.get("gasPrice") or fees.tip),
    }
    if "to" in wanted:
        transaction["to"] = checksum(wanted["to"])
    return _hex(chain.send(bytes(key.sign_transaction(transaction).raw_transaction)))


def _count(chain: LocalChain, address: str, tag: Any = "latest") -> str:
    account = _bytes(address)
    nonce = int(chain.read(_block(chain, tag)).get_nonce(account))
    return hex(chain.pool.next_nonce(account, nonce) if tag == "pending" else nonce)


def _shown_block(chain: LocalChain, block: Block, full: bool = False) -> dict[str, Any]:
    environment = block.environment
    return {
        "number": hex(block.number),
        "hash": _hex(block.hash),
        "parentHash": _hex(block.parent_hash),
        "timestamp": hex(environment.timestamp),
        "gasLimit": hex(environment.gas_limit),
        "gasUsed": hex(block.gas_used),
        "baseFeePerGas": hex(environment.base_fee),
        "miner": checksum(environment.coinbase),
        "stateRoot": _hex(block.state_root),
        "extraData": "0x",
        "difficulty": "0x0",
        "nonce": "0x0000000000000000",
        "transactions": [
            _shown_transaction(each.waiting, block, index) if full else _hex(each.waiting.hash)
            for index, each in enumerate(block.included)
        ],
        "uncles": [],
    }


def _get_block(chain: LocalChain, tag: Any, full: bool = False) -> dict[str, Any] | None:
    try:
        return _shown_block(chain, _block(chain, tag), full)
    except (SolventError, Refusal):
        return None


def _shown_transaction(each: Waiting, block: Block | None = None, index: int | None = None) -> dict[str, Any]:
    found = each.transaction
    return {
        "hash": _hex(each.hash),
        "type": "0x2",
        "nonce": hex(each.nonce),
        "from": checksum(each.sender),
        "to": checksum(bytes(found.to)) if found.to else None,
        "value": hex(found.value),
        "gas": hex(each.gas),
        "input": _hex(bytes(found.data)),
        "maxFeePerGas": hex(each.fees.most),
        "maxPriorityFeePerGas": hex(each.fees.tip),
        "gasPrice": hex(each.fees.most if block is None else each.fees.price(block.environment.base_fee)),
        "blockHash": None if block is None else _hex(block.hash),
        "blockNumber": None if block is None else hex(block.number),
        "transactionIndex": None if index is None else hex(index),
    }


def _place(chain: LocalChain, transaction_hash: str) -> tuple[Block, int] | None:
    place = chain.found.get(_bytes(transaction_hash))
    return None if place is None else (chain.blocks[place[0]], place[1])


def _get_transaction(chain: LocalChain, transaction_hash: str) -> dict[str, Any] | None:
    place = _place(chain, transaction_hash)
    if place is not None:
        return _shown_transaction(place[0].included[place[1]].waiting, *place)
    waiting = chain.pool.get(_bytes(transaction_hash))
    return None if waiting is None else _shown_transaction(waiting)


def _receipt(chain: LocalChain, transaction_hash: str) -> dict[str, Any] | None:
    place = _place(chain, transaction_hash)
    if place is None:
        return None
    block, index = place
    each = block.included[index]
    to = each.waiting.transaction.to
    return {
        "transactionHash": transaction_hash,
        "transactionIndex": hex(index),
        "blockHash": _hex(block.hash),
        "blockNumber": hex(block.number),
        "from": checksum(each.waiting.sender),
        "to": checksum(bytes(to)) if to else None,
        "status": hex(each.executed.succeeded),
        "gasUsed": hex(each.executed.gas_used),
        "cumulativeGasUsed": hex(each.cumulative_gas),
        "effectiveGasPrice": hex(each.gas_price),
        "contractAddress": None if each.executed.created is None else checksum(each.executed.created),
        "logs": list(_logs_of(block, index, each)),
        "type": "0x2",
    }


def _logs_of(block: Block, index: int, each: Included) -> Iterable[dict[str, Any]]:
    for position, (address, topics, data) in enumerate(each.executed.logs):
        yield {
            "address": _hex(address),
            "topics": [f"0x{topic:064x}" for topic in topics],
            "data": _hex(data),
            "blockNumber": hex(block.number),
            "blockHash": _hex(block.hash),
            "transactionHash": _hex(each.waiting.hash),
            "transactionIndex": hex(index),
            "logIndex": hex(each.first_log + position),
            "removed": False,
        }


def _get_logs(chain: LocalChain, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    if asked.get("blockHash"):
        first = last = _by_hash(chain, asked["blockHash"]).number
    else:
        first = _block(chain, asked.get("fromBlock")).number
        tag = asked.get("toBlock")
        is_number = isinstance(tag, str) and tag.startswith("0x")
        last = min(_number(tag), chain.head.number) if is_number else _block(chain, tag).number
    addresses = _choices(asked.get("address"))
    topics = [_choices(each) for each in asked.get("topics") or []]
    found = [
        log
        for block in chain.blocks[first : last + 1]
        for index, each in enumerate(block.included)
        for log in _logs_of(block, index, each)
        if (addresses is None or log["address"] in addresses) and _fits(log["topics"], topics)
    ]
    if len(found) > LOGS_MOST:
        raise Refusal(REFUSED, f"query returned more than {LOGS_MOST} results")
    return found


def _choices(asked: Any) -> frozenset[str] | None:
    """What is accepted, in lower case; None for all."""
    if asked is None or asked == []:
        return None
    return frozenset(each.lower() for each in ([asked] if isinstance(asked, str) else asked))


def _fits(topics: list[str], wanted: list[frozenset[str] | None]) -> bool:
    return len(topics) >= len(wanted) and all(
        each is None or topic in each for topic, each in zip(topics, wanted, strict=False)
    )


def _fee_history(
    chain: LocalChain, count: Any, newest: Any = "latest", percentiles: list[float] | None = None
) -> dict[str, Any]:
    last = _block(chain, newest).number
    blocks = chain.blocks[max(0, last + 1 - _number(count)) : last + 1]
    following = chain.blocks[last + 1].environment.base_fee if last < chain.head.number else chain.next_base_fee()
    shown: dict[str, Any] = {
        "oldestBlock": hex(blocks[0].number),
        "baseFeePerGas": [hex(each.environment.base_fee) for each in blocks] + [hex(following)],
        "gasUsedRatio": [each.gas_used / each.environment.gas_limit for each in blocks],
    }
    if percentiles:
        shown["reward"] = [[hex(_tip_at(each, percentile)) for percentile in percentiles] for each in blocks]
    return shown


def _tip_at(block: Block, percentile: float) -> int:
    """Effective tip below which this percentage of the block's gas was paid."""
    tips = sorted(
        (each.waiting.fees.effective_tip(block.environment.base_fee), each.executed.gas_used) for each in block.included
    )
    passed = 0
    for tip, gas in tips:
        passed += gas
        if passed * 100 >= percentile * block.gas_used:
            return tip
    return 0


def _mine(chain: LocalChain, count: Any = "0x1", _interval: Any = None) -> str:
    for _ in range(_number(count)):
        chain.mine()
    return "0x0"


def _set(name: str) -> Callable[[LocalChain, Any], bool]:
    def change(chain: LocalChain, value: Any) -> bool:
        setattr(chain, name, value if isinstance(value, bool) else _number(value))
        return True

    return change


def _done(change: Callable[..., Any]) -> Callable[..., bool]:
    def method(chain: LocalChain, *params: Any) -> bool:
        change(chain, *params)
        return True

    return method


def _reorg(chain: LocalChain, depth: Any, _transactions: Any = None) -> None:
    chain.reorg(_number(depth), keep=False)


def _drop(chain: LocalChain, transaction_hash: str) -> str | None:
    return None if chain.pool.drop(_bytes(transaction_hash)) is None else transaction_hash


def _increase_time(chain: LocalChain, seconds: Any) -> str:
    chain.set_next_timestamp(chain.head.environment.timestamp + chain.block_time_s + _number(seconds))
    return hex(_number(seconds))


METHODS: dict[str, Callable[..., Any]] = {
    "web3_clientVersion": lambda chain: "solvent/local",
    "net_version": lambda chain: str(chain.evm.chain_id),
    "eth_chainId": lambda chain: hex(chain.evm.chain_id),
    "eth_blockNumber": lambda chain: hex(chain.head.number),
    "eth_accounts": lambda chain: [each.address for each in chain.keys],
    "eth_gasPrice": lambda chain: hex(chain.next_base_fee() + TIP),
    "eth_maxPriorityFeePerGas": lambda chain: hex(TIP),
    "eth_feeHistory": _fee_history,
    "eth_getBlockByNumber": _get_block,
    "eth_getBlockByHash": _get_block,
    "eth_getBalance": lambda chain, address, tag="latest": hex(
        chain.read(_block(chain, tag)).get_balance(_bytes(address))
    ),
    "eth_getCode": lambda chain, address, tag="latest": _hex(chain.read(_block(chain, tag)).get_code(_bytes(address))),
    "eth_getStorageAt": lambda chain, address, slot, tag="latest": (
        f"0x{chain.read(_block(chain, tag)).get_storage(_bytes(address), _number(slot)):064x}"
    ),
    "eth_getTransactionCount": _count,
    "eth_getTransactionByHash": _get_transaction,
    "eth_getTransactionReceipt": _receipt,
    "eth_getLogs": _get_logs,
    "eth_call": _call,
    "eth_estimateGas": _estimate,
    "eth_sendRawTransaction": _send_raw,
    "eth_sendTransaction": _send,
    "txpool_status": lambda chain: {"pending": hex(len(chain.pool)), "queued": "0x0"},
    "anvil_mine": _mine,
    "evm_mine": lambda chain, *_: _mine(chain),
    "evm_setAutomine": _set("automine"),
    "evm_setBlockGasLimit": _set("gas_limit"),
    "anvil_setNextBlockBaseFeePerGas": _done(lambda chain, wei: chain.set_next_base_fee(_number(wei))),
    "evm_setNextBlockTimestamp": _done(lambda chain, second: chain.set_next_timestamp(_number(second))),
    "evm_increaseTime": _increase_time,
    "evm_snapshot": lambda chain: hex(chain.snapshot()),
    "evm_revert": lambda chain, found: chain.revert(_number(found)),
    "anvil_reorg": _reorg,
    "anvil_setBalance": _done(lambda chain, address, wei: chain.set_balance(_bytes(address), _number(wei))),
    "anvil_dropTransaction": _drop,
}
"""By name; those of `anvil` and `evm` do what the node of that name does, so that one test drives both."""
