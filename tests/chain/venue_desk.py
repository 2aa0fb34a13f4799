"""Our contracts on a chain for tests: tokens, a plan, a deployment, and people who borrow."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import msgspec
from eth_account import Account
from tests.chain.nodes import local_rpc

from solvent.chain.abi import keccak
from solvent.chain.artifacts import Contract, artifact
from solvent.chain.deploy import Contracts, deploy
from solvent.chain.desk import Desk, block_at
from solvent.chain.local import LocalChain
from solvent.chain.plan import Bounds, Collateral, Deployment, PerpetualMarket, Plan
from solvent.chain.publish import Price, Push, push_prices, signed_by, updates_of
from solvent.chain.rpc import Rpc, number
from solvent.chain.signers import KeySigner

USD = 10**6
ETH, BTC = 10**18, 10**8
WAD = 10**18


def key(name: str) -> KeySigner:
    """The key of a role."""
    return KeySigner(Account.from_key(keccak(name.encode())))


class Venue:
    """WETH and WBTC as collateral, one perpetual on ether; three signers of whom two suffice."""

    def __init__(self, rpc: Rpc, owner: str = "") -> None:
        """owner: who seals, where that is not the deployer."""
        self.rpc = rpc
        self.chain_id = number(rpc.call("eth_chainId"))
        self.desks: dict[str, Desk] = {}
        self.deployer = self.desk("deployer")
        self.usdc = self.token("USDC", 6)
        self.weth = self.token("WETH", 18)
        self.wbtc = self.token("WBTC", 8)
        self.signers = [key(f"signer {i}") for i in range(3)]
        caps = {"cap_total": 10**6, "cap_account": 10**5, "cap_daily": 10**6}
        weights = {"weight_initial_bps": 8_000, "weight_maintenance_bps": 8_500}
        self.plan = Plan(
            settlement=self.usdc.address,
            signers=tuple(each.address for each in self.signers),
            threshold=2,
            owner=owner,
            publishers=(key("publisher").address,),
            guardians=(key("guardian").address,),
            collaterals=(
                Collateral(symbol="WETH", token=self.weth.address, **weights, **caps),
                Collateral(symbol="WBTC", token=self.wbtc.address, **weights, **caps),
            ),
            markets=(
                PerpetualMarket(symbol="ETH-PERP", multiplier=1, lot="0.001", maintenance_bps=500, initial_bps=1_000),
            ),
            bounds=(
                Bounds(parameter="weight_maintenance_bps", lowest=5_000, highest=9_000, step_least=200, delay_s=3_600),
            ),
        )
        self.kept: list[Deployment] = []
        self.at = deploy(self.deployer, self.plan, self.kept.append)
        self.found = Contracts(rpc, self.at)
        self.prices = [Price(2_000 * USD, 5), Price(60_000 * USD, 5)]
        self.mark = Price(2_000 * 10**3, 5)
        self.push()
        lender = self.desk("lender")
        self.give("lender", self.usdc, 10**7 * USD, self.found.pool)
        lender.call(self.found.pool, "deposit", 10**7 * USD, lender.signer.address)

    def mine(self) -> None:
        self.rpc.call("anvil_mine", "0x1")

    def desk(self, name: str) -> Desk:
        """Somebody with ether for gas."""
        if name not in self.desks:
            signer = key(name)
            self.rpc.call("anvil_setBalance", signer.address, hex(100 * ETH))
            self.desks[name] = Desk(self.rpc, signer, self.chain_id, self.mine)
        return self.desks[name]

    @contextmanager
    def opened(self) -> "Iterator[Venue]":
        """The venue as it is now; what is done to the copy is undone afterwards."""
        snapshot = self.rpc.call("evm_snapshot")
        same = copy(self)
        same.desks = {}
        same.deployer = same.desk("deployer")
        yield same
        self.rpc.call("evm_revert", snapshot)

    def token(self, symbol: str, decimals: int) -> Contract:
        address = self.deployer.deploy(artifact("DevToken"), symbol, decimals)
        return Contract(self.rpc, "DevToken", address)

    def give(self, name: str, token: Contract, atoms: int, spender: Contract) -> None:
        """Tokens for somebody, and the permission for a contract to take them."""
        desk = self.desk(name)
        desk.call(token, "mint", desk.signer.address, atoms)
        desk.call(token, "approve", spender.address, 2**256 - 1)

    def push(self, **prices: int) -> None:
        """Sign and push all prices at the next block's time; some of them changed: weth, wbtc, mark, index."""
        weth, wbtc = self.prices
        self.prices = [
            msgspec.structs.replace(weth, price=prices.get("weth", weth.price)),
            msgspec.structs.replace(wbtc, price=prices.get("wbtc", wbtc.price)),
        ]
        index = prices.get("index", self.mark.funding_index)
        self.mark = msgspec.structs.replace(self.mark, price=prices.get("mark", self.mark.price), funding_index=index)
        push = Push(block_at(self.rpc).timestamp + 1, updates_of(self.prices, [self.mark]))
        push_prices(self.deployer, self.found, push, signed_by(self.signers[:2], push, self.found))

    def later(self, seconds: int, **prices: int) -> None:
        """Let time pass, then push prices of now."""
        self.rpc.call("evm_increaseTime", seconds)
        self.mine()
        self.push(**prices)

    def account(self, name: str, sub: int = 0) -> int:
        return int(key(name).address, 16) * 256 + sub

    def deposit(self, name: str, asset: int | None, atoms: int, sub: int = 0) -> Desk:
        """Collateral by its number, or cash (None)."""
        token = self.usdc if asset is None else (self.weth, self.wbtc)[asset]
        self.give(name, token, atoms, self.found.clearing)
        desk = self.desk(name)
        if asset is None:
            desk.call(self.found.clearing, "deposit_cash", self.account(name, sub), atoms)
        else:
            desk.call(self.found.clearing, "deposit", self.account(name, sub), asset, atoms)
        return desk

    def borrow(self, name: str, weth: int, usd: int) -> Desk:
        """Somebody with ether as collateral and a debt."""
        desk = self.deposit(name, 0, weth)
        desk.call(self.found.clearing, "borrow", self.account(name), usd, desk.signer.address)
        return desk

    def trade(self, buyer: str, seller: str, lots: int, price: int | None = None) -> None:
        """A fill between two signers of orders."""
        price = price or self.mark.price
        expiry = block_at(self.rpc).timestamp + 3_600
        orders = [
            (self.account(who), 0, buy, lots, price, 10, 1, expiry, "0x" + "00" * 20)
            for who, buy in ((buyer, True), (seller, False))
        ]
        digests = [self.found.clearing.view("order_digest", order)[1] for order in orders]
        signed = [key(who).sign_digest(each) for who, each in zip((buyer, seller), digests, strict=True)]
        fill = (orders[0], signed[0], orders[1], signed[1], lots, price, [0, 0])
        self.deployer.call(self.found.clearing, "fill", *fill)


def local_venue(**settings: Any) -> tuple[LocalChain, Venue]:
    """A venue on the in-process chain."""
    chain, rpc = local_rpc(**settings)
    return chain, Venue(rpc)
