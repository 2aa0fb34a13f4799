"""What a hot key may do: an allow-list of places and functions, and so much a day of gas, spending and loss."""

from collections.abc import Callable, Mapping

import msgspec

from solvent.chain.abi import checksum
from solvent.errors import SolventError, problem

DAY_S = 86_400


class LimitReached(SolventError):
    """A transaction that the limits do not allow; it was not signed."""

    def __init__(self, field: str, value: object, accepted: str) -> None:
        self.field = field
        super().__init__(problem("limits", None, field, value, accepted))


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of one key on one chain. Days are days of UTC."""

    chain_id: int
    calls: Mapping[str, tuple[str, ...]]
    """Contract by address -> selectors (`0x` and eight digits) that may be called on it."""
    gas_daily_wei: int
    """Gas times price, at its worst price until a receipt says what was paid."""
    spend_daily: int
    """Paid for jobs, in the venue's base currency; a job that reverts pays nothing."""
    loss_daily: int
    """Losses of jobs and their gas, in the venue's base currency; profits do not lengthen it."""
    fee_most_wei: int
    """Most a unit of gas may cost."""

    def __post_init__(self) -> None:
        for name in ("gas_daily_wei", "spend_daily", "loss_daily", "fee_most_wei"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is below zero")


class Meter:
    """What was used today, and whether another transaction fits."""

    def __init__(self, limits: Limits, wall_s: Callable[[], float]) -> None:
        """wall_s: seconds since 1970, for the change of day."""
        self.limits = limits
        self._wall_s = wall_s
        self._calls = {checksum(each): frozenset(found) for each, found in limits.calls.items()}
        self._day = -1
        self.gas_wei = self.spent = self.lost = 0
        self._held: dict[str, tuple[int, int]] = {}
        """Gas and spending held back for transactions that are under way, by key."""

    def hold(
        self, key: str, chain_id: int, to: str, data: bytes, gas: int, fee_wei: int, spend: int, value: int = 0
    ) -> None:
        """Set the worst of a transaction aside; a replacement keeps its key. Raises LimitReached."""
        self._turn()
        if chain_id != self.limits.chain_id:
            raise LimitReached("chain_id", chain_id, str(self.limits.chain_id))
        if "0x" + data[:4].hex() not in self._calls.get(checksum(to), frozenset()):
            raise LimitReached("call", f"{to} 0x{data[:4].hex()}", "a contract and selector of the allow-list")
        if value:
            raise LimitReached("value", value, "0: jobs are paid in tokens")
        if fee_wei > self.limits.fee_most_wei:
            raise LimitReached("fee_most_wei", fee_wei, f"at most {self.limits.fee_most_wei}")
        others = [held for other, held in self._held.items() if other != key]
        gas_wei = self.gas_wei + sum(held[0] for held in others) + gas * fee_wei
        if gas_wei > self.limits.gas_daily_wei:
            raise LimitReached("gas_daily_wei", gas_wei, f"at most {self.limits.gas_daily_wei} a day")
        spent = self.spent + sum(held[1] for held in others) + spend
        if spent > self.limits.spend_daily:
            raise LimitReached("spend_daily", spent, f"at most {self.limits.spend_daily} a day")
        if self.lost > self.limits.loss_daily:
            raise LimitReached("loss_daily", self.lost, f"at most {self.limits.loss_daily} a day")
        self._held[key] = (gas * fee_wei, spend)

    def settle(self, key: str, gas_wei: int, spent: int, profit: int) -> None:
        """A transaction is final: its cost in gas, what it paid and brought (gas included) replace what was held."""
        self._turn()
        self._held.pop(key, None)
        self.gas_wei += gas_wei
        self.spent += spent
        self.lost += max(-profit, 0)

    def release(self, key: str) -> None:
        """A transaction that no block will hold."""
        self._held.pop(key, None)

    def _turn(self) -> None:
        """At the first look on a new day nothing of it is used; what is under way stays held."""
        day = int(self._wall_s() // DAY_S)
        if day != self._day:
            self._day, self.gas_wei, self.spent, self.lost = day, 0, 0, 0
