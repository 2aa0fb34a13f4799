"""Constant-product pairs as exits: exact output, depth, and whether their price can be believed."""

from collections.abc import Mapping, Sequence

import msgspec

from solvent.chain.abi import call_data, checksum, decode
from solvent.chain.keeper.venue import Asset
from solvent.chain.rpc import Call, Rpc, data

FEE_LEFT, FEE_ONE = 997, 1000
"""Of what is sold, behind the fee of 0.3 %."""
PAIR_GAS = 75_000
"""Of one sale, beside the liquidation."""


class Reserves(msgspec.Struct, frozen=True):
    """A pair seen from the asset that is sold: atoms of both sides."""

    address: str
    sold: int
    bought: int

    def out(self, amount: int) -> int:
        """What a sale brings: constant product behind the fee, rounded down (UniswapV2Library.getAmountOut)."""
        behind_fee = amount * FEE_LEFT
        return behind_fee * self.bought // (self.sold * FEE_ONE + behind_fee) if amount and self.bought else 0

    def after(self, amount: int) -> "Reserves":
        """The pair after a sale."""
        return Reserves(self.address, self.sold + amount, self.bought - self.out(amount))

    def price(self, sold: Asset, bought: Asset) -> float:
        """Of one unit sold, in units bought, without size."""
        return (self.bought / bought.unit) / (self.sold / sold.unit) if self.sold else 0.0


class Pairs:
    """Exits by (collateral, debt), read in one batch."""

    def __init__(self, rpc: Rpc, addresses: Sequence[str]) -> None:
        """addresses: contracts with `token0`, `token1` and `getReserves`. Raises SolventError."""
        self._rpc = rpc
        self._addresses = [checksum(each) for each in addresses]
        names = ("token0()", "token1()")
        found = rpc.results([_view(each, name) for each in self._addresses for name in names])
        tokens = [checksum(str(decode(("address",), data(each))[0])) for each in found]
        self._tokens = list(zip(tokens[0::2], tokens[1::2], strict=True))
        self.reserves: dict[tuple[str, str], Reserves] = {}

    def refresh(self, tag: str, rpc: Rpc | None = None) -> Mapping[tuple[str, str], Reserves]:
        """Reserves at a block, both ways round; rpc: another client to compare with."""
        found = (rpc or self._rpc).results([_view(each, "getReserves()", tag) for each in self._addresses])
        reserves: dict[tuple[str, str], Reserves] = {}
        for address, (first, second), each in zip(self._addresses, self._tokens, found, strict=True):
            one, two, _ = decode(("uint112", "uint112", "uint32"), data(each))
            reserves[first, second] = Reserves(address, int(one), int(two))
            reserves[second, first] = Reserves(address, int(two), int(one))
        if rpc is None:
            self.reserves = reserves
        return reserves

    def believed(self, assets: Sequence[Asset], band: float) -> dict[tuple[str, str], Reserves]:
        """Pairs whose price lies within `band` (relative, either way) of the venue's own prices.

        A pair that stands elsewhere was moved, or the venue's price is late: either way no bound set by one of them
        would hold against the other.
        """
        by_address = {each.address: each for each in assets}
        kept = {}
        for (sold, bought), each in self.reserves.items():
            if sold in by_address and bought in by_address and each.sold and each.bought:
                price = each.price(by_address[sold], by_address[bought])
                fair = by_address[sold].price / by_address[bought].price
                if fair > 0 and 1 / (1 + band) <= price / fair <= 1 + band:
                    kept[sold, bought] = each
        return kept


def _view(to: str, function: str, tag: str = "latest") -> Call:
    return ("eth_call", [{"to": to, "data": "0x" + call_data(function).hex()}, tag])
