"""A deployed Solvent for tests: contracts, tokens, signers, and the few calls that every test makes."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import boa
from boa.contracts.vyper.vyper_contract import VyperContract, VyperDeployer
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils import keccak

import solvent

CONTRACTS = Path(solvent.__file__).parent / "contracts"
MOCKS = Path(__file__).parent / "mocks"
CACHE = Path(__file__).parents[2] / ".cache" / "titanoboa"

WAD = 10**18
USD = 10**6
"""One unit of the settlement asset, in atoms."""
CASH = 2**256 - 1
ASSETS = 8
PRICES_E6 = [2_000 * USD, 100 * USD, 50 * USD, 10 * USD, 5 * USD, 4 * USD, 3 * USD, 2 * USD]
"""First prices of the collaterals, in 1e-6 settlement units a whole token."""
MARK = 2_000 * 10**3
"""First price of the market in ticks (atoms) a lot of 0.001 coins."""
OK, DEGRADED, HALTED = range(3)

GUARDS = [60, 600, 3_000, 200, 15, 100]
"""soft age s, hard age s, band bps, most confidence bps, skew s, most funding bps an hour."""
POOL_TERMS = [100, 400, 6_000, 8_000, 1_000, 10**9 * USD, 10**9 * USD]
AUCTION_TERMS = [9_800, 8_000, 1_500, 100, 2_500, 900, 43_200, 14_400, 3_600, 100 * USD]

ORDER_TYPES = {
    "Order": [
        {"name": "account", "type": "uint256"},
        {"name": "market", "type": "uint256"},
        {"name": "buy", "type": "bool"},
        {"name": "lots", "type": "uint256"},
        {"name": "price", "type": "uint256"},
        {"name": "fee_most_bps", "type": "uint256"},
        {"name": "nonce", "type": "uint256"},
        {"name": "expiry", "type": "uint256"},
        {"name": "operator", "type": "address"},
    ]
}
NOBODY = "0x" + "00" * 20


@lru_cache
def deployer(path: Path) -> VyperDeployer:
    """A contract compiled once a process, and once for all processes in the cache below the checkout."""
    boa.interpret.set_cache_dir(str(CACHE))
    return boa.load_partial(str(path))


def contract(name: str, *args: Any) -> VyperContract:
    return deployer(CONTRACTS / f"{name}.vy").deploy(*args)


def mock(name: str, *args: Any) -> VyperContract:
    return deployer(MOCKS / f"{name}.vy").deploy(*args)


def key(parameter: int, index: int = 0) -> int:
    """The number of a parameter: field and index."""
    return parameter + 256 * index


def signed(bits: int, width: int) -> int:
    """The number that bits stand for in two's complement."""
    return bits - (1 << width) if bits >> (width - 1) else bits


class refused:  # noqa: N801 - reads as a verb, as pytest.raises does
    """`with refused("Name"):` the call reverts with that custom error, or with any where none is named."""

    def __init__(self, name: str | None = None) -> None:
        self.selector = keccak(text=f"{name}()")[:4] if name else None
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> bool:
        if error is None:
            raise AssertionError(f"the call was not refused with {self.name}")
        if not isinstance(error, boa.BoaError):
            return False
        output = bytes(error.call_trace.computation.output)
        if self.selector is not None:
            assert output == self.selector, f"refused with 0x{output.hex()}, not with {self.name}: {error}"
        return True


@dataclass
class World:
    """Everything deployed, with the roles that act in tests."""

    signers: list[LocalAccount]
    owner: str
    lender: str
    settlement: VyperContract
    tokens: list[VyperContract]
    steward: VyperContract
    prices: VyperContract
    pool: VyperContract
    clearing: VyperContract
    auction: VyperContract
    asset_prices: list[int] = field(default_factory=lambda: list(PRICES_E6))
    mark: int = MARK
    funding_index: int = 0
    confidence: int = 0
    feeds: list[VyperContract] = field(default_factory=list)

    # Prices

    def updates(self) -> list[int]:
        """All prices as the words of a push."""
        words = []
        if not self.feeds:
            for pair in range(ASSETS // 2):
                halves = [price | self.confidence << 48 for price in self.asset_prices[2 * pair : 2 * pair + 2]]
                words.append(pair | halves[0] << 8 | halves[1] << 68)
        words.append(128 | self.mark << 8 | self.confidence << 56 | (self.funding_index % 2**96) << 68)
        return words

    def signatures(self, signed_at: int, updates: list[int], count: int = 2) -> list[bytes]:
        digest = self.prices.push_digest(signed_at, updates)
        return [bytes(signer.unsafe_sign_hash(digest).signature) for signer in self.signers[:count]]

    def push(self) -> None:
        """Sign and push all prices at the block's time; the feeds answer the same."""
        now = boa.env.timestamp
        updates = self.updates()
        self.prices.push(now, updates, self.signatures(now, updates))
        for feed, price in zip(self.feeds, self.asset_prices, strict=False):
            feed.set_answer(price * 100, now)

    def move(self, factor: float, seconds: int = 1) -> None:
        """All collateral prices times a factor, a little later."""
        boa.env.time_travel(seconds=seconds)
        self.asset_prices = [int(price * factor) for price in self.asset_prices]
        self.push()

    def later(self, seconds: int) -> None:
        boa.env.time_travel(seconds=seconds)
        self.push()

    # Accounts

    def fund(self, who: str, asset: int | None, amount: int) -> None:
        """Give tokens (None: settlement asset) and let Clearing take them."""
        token = self.settlement if asset is None else self.tokens[asset]
        token.mint(who, amount)
        token.approve(self.clearing, token.allowance(who, self.clearing) + amount, sender=who)

    def deposit(self, who: str, asset: int | None, amount: int, number: int = 0) -> None:
        self.fund(who, asset, amount)
        account = account_of(who, number)
        if asset is None:
            self.clearing.deposit_cash(account, amount, sender=who)
        else:
            self.clearing.deposit(account, asset, amount, sender=who)

    def word(self, who: str) -> dict[str, int]:
        word = self.clearing.account_word(account_of(who))
        return {
            "cash": word & (1 << 88) - 1,
            "shares": word >> 88 & (1 << 96) - 1,
            "assets": word >> 184 & 0xFFFF,
            "markets": word >> 200 & 0xFFFF,
            "start": word >> 216,
        }

    def debt(self, who: str) -> int:
        return int(self.pool.debt_of(self.word(who)["shares"]))

    def position(self, who: str, market: int = 0) -> tuple[int, int, int]:
        word = self.clearing.position_word(account_of(who), market)
        return signed(word % 2**64, 64), signed(word >> 64 & (1 << 96) - 1, 96), signed(word >> 160, 96)

    # Orders

    def order(self, who: str, buy: bool, lots: int, price: int, **changes: Any) -> dict[str, Any]:
        order = {
            "account": account_of(who),
            "market": 0,
            "buy": buy,
            "lots": lots,
            "price": price,
            "fee_most_bps": 10,
            "nonce": 1,
            "expiry": boa.env.timestamp + 3_600,
            "operator": NOBODY,
        }
        return order | changes

    def sign(self, signer: LocalAccount, order: dict[str, Any]) -> bytes:
        """Sign an order as wallets do, by EIP-712 typed data."""
        domain = {
            "name": "Solvent Clearing",
            "version": "1",
            "chainId": boa.env.evm.patch.chain_id,
            "verifyingContract": self.clearing.address,
        }
        return bytes(Account.sign_typed_data(signer.key, domain, ORDER_TYPES, order).signature)

    def fill(
        self, buyer: LocalAccount, seller: LocalAccount, lots: int, price: int | None = None, nonce: int = 1
    ) -> None:
        """Trade at a price (the mark) between two that sign."""
        price = self.mark if price is None else price
        bid = self.order(buyer.address, True, lots, price, nonce=nonce)
        ask = self.order(seller.address, False, lots, price, nonce=nonce)
        self.clearing.fill(
            tuple(bid.values()), self.sign(buyer, bid), tuple(ask.values()), self.sign(seller, ask), lots, price, [0, 0]
        )


def account_of(who: str, number: int = 0) -> int:
    return int(str(who), 16) * 256 + number


def build(feeds: bool = False) -> World:
    """Deploy, wire and list everything; a lender funds the pool. With `feeds` collaterals are priced by feeds."""
    boa.env.evm.patch.timestamp = 1_700_000_000
    signers = sorted(
        (Account.from_key(keccak(text=f"signer {i}")) for i in range(3)), key=lambda each: each.address.lower()
    )
    owner, lender = boa.env.generate_address("owner"), boa.env.generate_address("lender")
    settlement = mock("Token", 6)
    tokens = [mock("Token", 18) for _ in range(ASSETS)]
    steward = contract("Steward", owner)
    prices = contract("Prices", steward, [signer.address for signer in signers], 2, GUARDS)
    pool = contract("Pool", settlement, steward, POOL_TERMS)
    clearing = contract("Clearing", steward, pool, prices)
    auction = contract("Auction", clearing, steward, AUCTION_TERMS)
    pool.wire(clearing)
    clearing.wire(auction)
    world = World(signers, owner, lender, settlement, tokens, steward, prices, pool, clearing, auction)
    for asset, token in enumerate(tokens):
        settings = {4: 18, 0: int(token.address, 16), 1: 10**6, 2: 10**5, 3: 10**6, 6: 8_500, 5: 8_000}
        for parameter, setting in settings.items():
            steward.set_up(clearing, key(parameter, asset), setting, sender=owner)
    for parameter, setting in {7: 1, 9: 1_000, 8: 500, 10: 300, 11: 50, 12: 10**9}.items():
        steward.set_up(clearing, key(parameter), setting, sender=owner)
    if feeds:
        world.feeds = [mock("Feed", 8) for _ in range(ASSETS)]
        for asset, feed in enumerate(world.feeds):
            for parameter, setting in {3: 1, 4: 2**48 - 1, 5: 60, 2: int(feed.address, 16)}.items():
                steward.set_up(prices, key(parameter, asset), setting, sender=owner)
    world.push()
    if feeds:
        boa.env.time_travel(seconds=1)
        for pair in range(ASSETS // 2):
            prices.poke(pair)
    settlement.mint(lender, 10**7 * USD)
    settlement.approve(pool, 10**7 * USD, sender=lender)
    pool.deposit(10**7 * USD, lender, sender=lender)
    return world
