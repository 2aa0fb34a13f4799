"""Begins the auctions that no bid has begun: only then does their price fall to where a bid pays."""

from solvent.chain.artifacts import Contract
from solvent.chain.keeper.keeper import ONE, Keeper
from solvent.chain.keeper.solvent_venue import SolventVenue
from solvent.chain.limits import LimitReached
from solvent.chain.rpc import RpcError, number
from solvent.chain.transactions import Fees, Sent, base_fee_after
from solvent.errors import SolventError

GAS_COVERED = 4.0
"""An auction is begun where it can come to bring so many times the gas of beginning it."""
GAS = 130_000
TIP = 10**8
AT_ONCE = 8


class Starter:
    """Works beside a keeper, with its key, nonces and limits; call `step` after the keeper's."""

    def __init__(self, keeper: Keeper, venue: SolventVenue) -> None:
        self.keeper, self.venue = keeper, venue
        self._auction = Contract(venue.rpc, "Auction", venue.at.auction)
        self._sent: dict[int, Sent] = {}

    def step(self) -> int:
        """Begin what is worth it and nobody is taking; how many were sent. Raises SolventError."""
        keeper, rpc = self.keeper, self.venue.rpc
        self._follow()
        head = rpc.call("eth_getBlockByNumber", "latest", False)
        base_fee = base_fee_after(*(number(head[each]) for each in ("baseFeePerGas", "gasUsed", "gasLimit")))
        cost = GAS * (base_fee + TIP) / 1e18 * self.venue.native_price()
        least = max(keeper.settings.profit_least, GAS_COVERED * cost)
        busy = {int(each.job.account) for each in keeper.flights.values()} | self._sent.keys()
        wanted = [each for each in self.venue.unstarted(least) if each not in busy][:AT_ONCE]
        if keeper.settings.dry_run:
            return 0
        return sum(self._start(each, Fees(2 * base_fee + TIP, TIP)) for each in wanted)

    def _start(self, account: int, fees: Fees) -> bool:
        keeper, key = self.keeper, f"start/{account}"
        payload = self._auction.payload("start", account)
        asked = {"from": keeper.sender.signer.address, "to": self._auction.address, "data": "0x" + payload.hex()}
        try:
            gas = number(self.venue.rpc.call("eth_estimateGas", asked)) * 6 // 5
            keeper.meter.hold(key, keeper.sender.chain_id, self._auction.address, payload, gas, fees.most, 0)
        except RpcError:
            keeper.counts["start_would_revert"] += 1
            return False
        except LimitReached as error:
            keeper.counts[f"limit_{error.field}"] += 1
            return False
        try:
            sent = keeper.sender.sign(self._auction.address, payload, gas, fees)
        except SolventError:
            keeper.meter.release(key)
            keeper.counts["not_signed"] += 1
            return False
        if keeper.sender.send([sent])[0] is not None:
            keeper.meter.release(key)
            return False
        self._sent[account] = sent
        keeper.counts["auctions_begun"] += 1
        return True

    def _follow(self) -> None:
        """Settle the limits with what a receipt says; its gas is a loss."""
        waiting = list(self._sent.items())
        if not waiting:
            return
        for (account, _), receipt in zip(
            waiting, self.keeper.sender.receipts([each for _, each in waiting]), strict=True
        ):
            if receipt is not None:
                cost = receipt.gas_wei / 1e18 * self.venue.native_price()
                self.keeper.meter.settle(f"start/{account}", receipt.gas_wei, 0, -int(cost * ONE))
                del self._sent[account]
