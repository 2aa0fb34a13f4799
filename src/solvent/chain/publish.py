"""Publishes to the contracts: prices that k signers signed, and risk parameters through the Steward."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from solvent.chain.abi import checksum, encode, keccak
from solvent.chain.artifacts import why
from solvent.chain.deploy import Contracts, differences
from solvent.chain.desk import Desk, block_at
from solvent.chain.plan import BPS, UNLIMITED, Plan
from solvent.chain.rpc import RpcError
from solvent.chain.signers import KeySigner
from solvent.chain.transactions import Receipt
from solvent.errors import SolventError, problem, raise_if

PRICE_BITS, CONFIDENCE_BITS, INDEX_BITS = 48, 12, 96
CONFIDENCE_MOST_BPS = BPS // 4
HALF_INDEX = 1 << (INDEX_BITS - 1)
DOMAIN_TYPE = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
PUSH_TYPE = b"Push(uint256 signed_at,uint256[] updates)"


class Price(msgspec.Struct, frozen=True):
    """A price as the contract keeps it."""

    price: int
    """Of a collateral 1e-6 settlement units a listed unit, of a market ticks a lot."""
    confidence_bps: int = 0
    funding_index: int = 0
    """Of a market: cumulative funding of one lot, 1e-6 ticks."""


class Push(msgspec.Struct, frozen=True):
    """What signers sign."""

    signed_at: int
    updates: tuple[int, ...]


def updates_of(collaterals: Sequence[Price], markets: Sequence[Price] = ()) -> tuple[int, ...]:
    """Words of a push for all collaterals and markets in order of their numbers. Raises SolventError."""
    raise_if(
        [
            problem("prices", row, "price", each, "a price from 1 below 2**48, a confidence of at most 2500 bps")
            for row, each in enumerate([*collaterals, *markets], 1)
            if not 0 < each.price < 1 << PRICE_BITS
            or not 0 <= each.confidence_bps <= CONFIDENCE_MOST_BPS
            or not -HALF_INDEX <= each.funding_index < HALF_INDEX
        ]
    )
    halves = [each.price | each.confidence_bps << PRICE_BITS for each in collaterals]
    halves += [0] * (len(halves) % 2)
    words = [
        pair | low << 8 | high << 68 for pair, (low, high) in enumerate(zip(halves[::2], halves[1::2], strict=True))
    ]
    for market, each in enumerate(markets):
        index = each.funding_index % (1 << INDEX_BITS)
        words.append(128 | market | each.price << 8 | each.confidence_bps << 56 | index << 68)
    return tuple(words)


def push_digest(push: Push, chain_id: int, prices: str) -> bytes:
    """EIP-712 digest of a push: made here, so that a signer need not believe a node."""
    hashed = keccak(b"".join(each.to_bytes(32, "big") for each in push.updates))
    domain_types = ("bytes32", "bytes32", "bytes32", "uint256", "address")
    name, version = keccak(b"Solvent Prices"), keccak(b"1")
    domain = keccak(encode(domain_types, (keccak(DOMAIN_TYPE), name, version, chain_id, prices)))
    struct = keccak(encode(("bytes32", "uint256", "bytes32"), (keccak(PUSH_TYPE), push.signed_at, hashed)))
    return keccak(b"\x19\x01" + domain + struct)


def sign_push(signer: KeySigner, push: Push, chain_id: int, prices: str) -> bytes:
    """One signature, 65 bytes."""
    return signer.sign_digest(push_digest(push, chain_id, prices))


def push_prices(desk: Desk, found: Contracts, push: Push, signatures: Mapping[str, bytes]) -> Receipt:
    """Bring signed prices to the chain. signatures: by address of the signer. Raises SolventError."""
    ordered = [signatures[each] for each in sorted(signatures, key=lambda each: int(each, 16))]
    return desk.call(found.prices, "push", push.signed_at, list(push.updates), ordered)


def signed_by(signers: Sequence[KeySigner], push: Push, found: Contracts) -> dict[str, bytes]:
    """Signatures of several keys that lie here."""
    return {each.address: sign_push(each, push, found.at.chain_id, found.at.prices) for each in signers}


class Change(msgspec.Struct, frozen=True):
    """One parameter on its way to the plan."""

    contract: str
    parameter: str
    present: int
    setting: int
    """What is set or proposed next: as far as one step goes."""
    wanted: int
    done: str
    """`applied`, `proposed`, `waits`, or what the Steward refused it for."""


def publish_parameters(desk: Desk, found: Contracts, plan: Plan) -> list[Change]:
    """Move every parameter that differs from the plan one step toward it: apply what is ready, propose the rest.

    Bounds, steps, delays and vetoes are the Steward's. Called again once the delays are over it goes on.
    """
    now, changes = block_at(desk.rpc).timestamp, []
    for each, present in differences(found, plan):
        target = found.named(each.contract).address
        bound = found.steward.view("bounds", target, each.key & 255)
        setting = next_step(present, each.wanted, bound[2], bound[3])
        ready_at = found.steward.view("ready_at", proposal_id(target, each.key, setting))
        try:
            if ready_at == 0:
                desk.call(found.steward, "propose", target, each.key, setting)
                done = "proposed"
            elif now < ready_at:
                done = "waits"
            else:
                desk.call(found.steward, "apply", target, each.key, setting)
                done = "applied"
        except (SolventError, RpcError) as error:
            done = why(error) if isinstance(error, RpcError) else error.problems[0].value
        changes.append(Change(each.contract, each.name, present, setting, each.wanted, str(done)))
    return changes


def next_step(present: int, wanted: int, step_bps: int, step_least: int) -> int:
    """As far toward `wanted` as the Steward lets one change go."""
    if step_bps == UNLIMITED:
        return wanted
    most = max(present * step_bps // BPS, step_least)
    return max(present - most, wanted) if wanted < present else min(present + most, wanted)


def proposal_id(target: str, key: int, setting: int) -> bytes:
    """What the Steward knows a proposed parameter by."""
    return keccak(encode(("uint256", "address", "uint256", "uint256"), (0, checksum(target), key, setting)))


def read_prices(rows: Sequence[Mapping[str, Any]], symbols: Sequence[str]) -> list[Price]:
    """Prices by symbol in order of their numbers. Raises SolventError for what is missing or unknown."""
    by_symbol = {str(row["symbol"]): row for row in rows}
    raise_if([problem("prices", None, "symbol", each, "a price for it") for each in symbols if each not in by_symbol])
    return [
        Price(int(row["price"]), int(row.get("confidence_bps", 0)), int(row.get("funding_index", 0)))
        for row in (by_symbol[each] for each in symbols)
    ]
