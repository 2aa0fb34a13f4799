"""Aave v3 on chain: reserves, prices and accounts read in batches, kept current by the pool's events."""

from collections.abc import Iterable, Sequence

from solvent.chain.aave_math import SINCE_3_2, Account, AccountData, EMode, Rates, Reserve, account_data, reserve_of
from solvent.chain.abi import call_data, checksum, decode, topic
from solvent.chain.logs import Log, LogReader, Reorged
from solvent.chain.rpc import Call, Rpc, data, quantity
from solvent.errors import SolventError, problem

RESERVE_WORDS = ("uint256", *["uint256"] * 7, "address", "address", "address", *["uint256"] * 4)
"""getReserveData: configuration, ..., the three tokens from the ninth word on."""
EVENTS = {
    "Supply(address,address,address,uint256,uint16)": (2,),
    "Withdraw(address,address,address,uint256)": (2,),
    "Borrow(address,address,address,uint256,uint8,uint256,uint16)": (2,),
    "Repay(address,address,address,uint256,bool)": (2,),
    "LiquidationCall(address,address,address,uint256,uint256,address,bool)": (3,),
    "ReserveUsedAsCollateralEnabled(address,address)": (2,),
    "ReserveUsedAsCollateralDisabled(address,address)": (2,),
    "UserEModeSet(address,uint8)": (1,),
    "SwapBorrowRateMode(address,address,uint8)": (2,),
    "RebalanceStableBorrowRate(address,address)": (2,),
    "BalanceTransfer(address,address,uint256,uint256)": (1, 2),
}
"""Events after which an account has to be read again, and the topics that name it."""
Q_ACCOUNT = "getUserAccountData(address)"
WORD_BYTES = 32


POOLS = {1: ("0x87870Bca3F3fD6335C3F4ce8392D69350B4fA4E2", 16_291_000)}
"""Chain id -> the main pool's address, and a block before which nobody had borrowed."""


def _text(symbol: bytes) -> str:
    """Some old tokens answer with 32 bytes in place of a string."""
    if len(symbol) == WORD_BYTES:
        return symbol.rstrip(b"\0").decode(errors="replace")
    return str(decode(("string",), symbol)[0])


class AaveReader:
    """Reads one pool at a block; every answer of one call is of the same block."""

    def __init__(self, rpc: Rpc, pool: str) -> None:
        """pool: address of the pool's proxy. Raises SolventError where there is none."""
        self.rpc, self.pool = rpc, checksum(pool)
        provider, revision = self._views(
            [
                (self.pool, call_data("ADDRESSES_PROVIDER()"), ("address",)),
                (self.pool, call_data("POOL_REVISION()"), ("uint256",)),
            ],
            "latest",
        )
        self.revision = int(str(revision[0]))
        self._provider = str(provider[0])
        self.oracle = ""
        self.reserves: tuple[Reserve, ...] = ()
        self.load("latest")

    def _views(self, asked: Sequence[tuple[str, bytes, tuple[str, ...]]], tag: str) -> list[tuple[object, ...]]:
        calls: list[Call] = [("eth_call", [{"to": to, "data": "0x" + payload.hex()}, tag]) for to, payload, _ in asked]
        found = self.rpc.results(calls)
        return [decode(types, data(each)) for (_, _, types), each in zip(asked, found, strict=True)]

    def load(self, tag: str) -> None:
        """Read the oracle's address and the configuration of all reserves."""
        oracle, listed = self._views(
            [
                (self._provider, call_data("getPriceOracle()"), ("address",)),
                (self.pool, call_data("getReservesList()"), ("address[]",)),
            ],
            tag,
        )
        assets = [checksum(str(each)) for each in listed[0]]  # type: ignore[attr-defined]
        rows = self._views(
            [(self.pool, call_data("getReserveData(address)", each), RESERVE_WORDS) for each in assets], tag
        )
        self.oracle = str(oracle[0])
        self.reserves = tuple(
            reserve_of(
                i, asset, int(str(row[0])), (checksum(str(row[8])), checksum(str(row[9])), checksum(str(row[10])))
            )
            for i, (asset, row) in enumerate(zip(assets, rows, strict=True))
        )

    def index(self, asset: str) -> int:
        """Index of a reserve by its asset's address or symbol. Raises SolventError."""
        names = [each.asset for each in self.reserves] if asset.startswith("0x") else self._symbols()
        wanted = checksum(asset) if asset.startswith("0x") else asset
        if names.count(wanted) != 1:
            accepted = f"the asset of one of its reserves: {', '.join(sorted(names))}"
            raise SolventError(problem("pool", None, "asset", asset, accepted))
        return names.index(wanted)

    def _symbols(self) -> list[str]:
        payload = "0x" + call_data("symbol()").hex()
        calls: list[Call] = [("eth_call", [{"to": each.asset, "data": payload}, "latest"]) for each in self.reserves]
        return [_text(data(each)) for each in self.rpc.results(calls)]

    def rates(self, tag: str) -> Rates:
        """Prices, indices and e-modes at a block."""
        word = ("uint256",)
        modes = sorted({each.e_mode for each in self.reserves} - {0}) if self.revision < SINCE_3_2 else []
        asked: list[tuple[str, bytes, tuple[str, ...]]] = []
        for each in self.reserves:
            asked += [
                (self.oracle, call_data("getAssetPrice(address)", each.asset), word),
                (self.pool, call_data("getReserveNormalizedIncome(address)", each.asset), word),
                (self.pool, call_data("getReserveNormalizedVariableDebt(address)", each.asset), word),
            ]
        category = ("(uint16,uint16,uint16,address,string)",)
        asked += [(self.pool, call_data("getEModeCategoryData(uint8)", each), category) for each in modes]
        found = self._views(asked, tag)
        figures = [int(str(each[0])) for each in found[: 3 * len(self.reserves)]]
        rows: list[tuple[int, int, int, str, str]] = [each[0] for each in found[3 * len(self.reserves) :]]  # type: ignore[misc]
        sources = [row[3] for row in rows if int(row[3], 16)]
        prices = dict(
            zip(
                sources,
                self._views([(self.oracle, call_data("getAssetPrice(address)", each), word) for each in sources], tag),
                strict=True,
            )
        )
        return Rates(
            figures[0::3],
            figures[1::3],
            figures[2::3],
            {
                mode: EMode(row[1], row[2], int(str(prices[row[3]][0])) if int(row[3], 16) else 0)
                for mode, row in zip(modes, rows, strict=True)
            },
        )

    def accounts(self, users: Sequence[str], tag: str) -> list[Account]:
        """Positions of users at a block: flags first, then the balances that they name."""
        word = ("uint256",)
        asked = [
            (self.pool, call_data(f"{name}(address)", user), word)
            for user in users
            for name in ("getUserConfiguration", "getUserEMode")
        ]
        found = [int(str(each[0])) for each in self._views(asked, tag)]
        flags, modes = found[0::2], found[1::2]
        wanted: list[tuple[int, int, str]] = []
        asked = []
        for row, user in enumerate(users):
            for reserve in self.reserves:
                borrowed, collateral = flags[row] >> 2 * reserve.index & 1, flags[row] >> 2 * reserve.index & 2
                tokens = [("supplied", reserve.a_token, "scaledBalanceOf")] if collateral else []
                if borrowed:
                    tokens.append(("borrowed", reserve.variable_debt, "scaledBalanceOf"))
                    tokens += [("stable", reserve.stable_debt, "balanceOf")] if reserve.stable_debt else []
                for kind, token, function in tokens:
                    wanted.append((row, reserve.index, kind))
                    asked.append((token, call_data(f"{function}(address)", user), word))
        balances: list[dict[str, dict[int, int]]] = [{"supplied": {}, "borrowed": {}, "stable": {}} for _ in users]
        for (row, index, kind), each in zip(wanted, self._views(asked, tag), strict=True):
            if amount := int(str(each[0])):
                balances[row][kind][index] = amount
        return [
            Account(user, flags[row], modes[row], held["supplied"], held["borrowed"], held["stable"])
            for row, (user, held) in enumerate(zip(users, balances, strict=True))
        ]

    def views(self, users: Sequence[str], tag: str) -> list[AccountData]:
        """What the pool itself says of users."""
        types = ("uint256",) * 6
        asked = [(self.pool, call_data(Q_ACCOUNT, user), types) for user in users]
        found = [[int(str(x)) for x in each] for each in self._views(asked, tag)]
        return [AccountData(each[0], each[1], each[3], each[5]) for each in found]

    def data(self, account: Account, rates: Rates) -> AccountData:
        """The same by our own arithmetic."""
        return account_data(self.reserves, rates, account, self.revision)

    def knows(self, account: Account) -> bool:
        """Whether our arithmetic covers an account: e-modes since 3.2 are not."""
        return account.e_mode == 0 or self.revision < SINCE_3_2


class AaveBook:
    """All accounts with debt, kept current: events say who changed, and those are read again."""

    def __init__(self, reader: AaveReader, from_block: int = 0) -> None:
        """from_block: before which nobody borrowed, such as the block of the pool's deployment."""
        self.reader = reader
        self._positions = {"0x" + topic(name).hex(): where for name, where in EVENTS.items()}
        addresses = [reader.pool, *[each.a_token for each in reader.reserves]]
        self._logs = LogReader(reader.rpc, addresses, list(self._positions))
        if from_block:
            self._logs.start_after(from_block - 1)
        self.accounts: dict[str, Account] = {}
        """By user, in lower case; those without debt are left out."""
        self._known: set[str] = set()
        self.reorgs = 0

    def advance(self, block: int) -> set[str]:
        """Take in all up to a block; users whose position was read again.

        After a reorg everybody is read again: what a dropped block had done to whom is no longer known.
        """
        try:
            changed = self._users(self._logs.advance(block))
        except Reorged:
            self.reorgs += 1
            changed = self._known | self._users(self._logs.advance(block))
        # Stable debts accrue without an event and without an index.
        changed |= {user for user, each in self.accounts.items() if each.borrowed_stable}
        self._known |= changed
        users = sorted(changed)
        for user, account in zip(users, self.reader.accounts(users, quantity(block)), strict=True):
            if account.borrowed or account.borrowed_stable:
                self.accounts[user] = account
            else:
                self.accounts.pop(user, None)
        return changed

    def _users(self, logs: Iterable[Log]) -> set[str]:
        return {"0x" + log.topics[i][26:] for log in logs for i in self._positions[log.topics[0]]}
