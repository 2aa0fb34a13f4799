"""A keeper at work on Aave v3: market, executor, pair, borrowers and a funded key, on any node."""

from pathlib import Path
from typing import Any

from tests.chain.aave_market import AaveMarket, Contract, vyper_mock
from tests.chain.mocks import compiled
from tests.chain.nodes import ROOT, Deployer, local_rpc

from solvent.chain.keeper.aave_venue import AaveVenue
from solvent.chain.keeper.amm import Pairs
from solvent.chain.keeper.keeper import Keeper, Settings
from solvent.chain.limits import Limits, Meter
from solvent.chain.local import LocalChain
from solvent.chain.rpc import Rpc, number
from solvent.chain.signers import KeySigner
from solvent.chain.transactions import Sender

EXECUTOR = ROOT / "src" / "solvent" / "contracts" / "Executor.vy"
KEY = (77).to_bytes(32, "big")
RIVAL_KEY = (78).to_bytes(32, "big")
ETH = 10**18
USDC = 10**6


class Desk:
    """WETH and WBTC against USDC; the pair holds 20 million dollars of WETH and USDC."""

    def __init__(self, rpc: Rpc, node_modules: Path, weth_usd: float = 2_000.0) -> None:
        from eth_account import Account

        self.rpc = rpc
        self.deployer = Deployer(rpc)
        self.market = market = AaveMarket(node_modules, self.deployer)
        self.usdc = market.list("USDC", 6, 1.0, 8000, 8500, 10450)
        self.weth = market.list("WETH", 18, weth_usd, 8050, 8300, 10500)
        self.users = [str(each) for each in rpc.call("eth_accounts")]
        market.supply(self.users[0], "USDC", 20_000_000.0)
        self.account = Account.from_key(KEY)
        rpc.call("anvil_setBalance", self.account.address, hex(100 * ETH))
        bytecode, abi = compiled(EXECUTOR)
        at = self.deployer.deploy(bytecode, ("address",), (self.account.address,))
        self.executor = Contract(self.deployer, at, abi)
        tokens = ("address", "address")
        self.pair = vyper_mock(self.deployer, "Pair", tokens, (self.weth.address, self.usdc.address))
        self.executor.send("set_venue", market.pool.address, True)
        self.executor.send("set_pair", self.pair.address, True)
        self.fund(5_000_000)
        self.trade_to(weth_usd)

    def fund(self, usdc: int) -> None:
        self.usdc.send("mint", self.executor.address, usdc * USDC)

    def trade_to(self, weth_usd: float, depth_usd: float = 10_000_000.0) -> None:
        """Fill the pair up to a price; what it holds only grows."""
        weth, usdc, _ = self.pair.view("getReserves")
        wanted_weth = max(int(depth_usd / weth_usd * ETH), weth)
        wanted_usdc = int(wanted_weth / ETH * weth_usd * USDC)
        if wanted_usdc < usdc:
            wanted_weth, wanted_usdc = int(usdc / USDC / weth_usd * ETH), usdc
        self.weth.send("mint", self.pair.address, wanted_weth - weth)
        self.usdc.send("mint", self.pair.address, wanted_usdc - usdc)
        self.pair.send("sync")

    def borrow(self, user: int, weth: float, usdc: float) -> str:
        """A user with WETH as collateral and a debt in USDC."""
        self.market.supply(self.users[user], "WETH", weth)
        self.market.borrow(self.users[user], "USDC", usdc)
        return self.users[user].lower()

    def crash(self, weth_usd: float) -> None:
        """Oracle and pair fall together."""
        self.market.price("WETH", weth_usd)
        self.trade_to(weth_usd)

    def limits(self, **changes: Any) -> Limits:
        chain_id = number(self.rpc.call("eth_chainId"))
        selector = (
            "0x"
            + self.executor.payload("liquidate", *["0x" + "11" * 20] * 4, 0, "0x" + "11" * 20, 0, 0, 0, 0)[:4].hex()
        )
        wanted: dict[str, Any] = {
            "chain_id": chain_id,
            "calls": {self.executor.address: (selector,)},
            "gas_daily_wei": 5 * ETH,
            "spend_daily": 10**8 * 10_000_000,
            "loss_daily": 10**8 * 1_000,
            "fee_most_wei": 10**12,
        }
        return Limits(**{**wanted, **changes})

    def keeper(
        self,
        settings: Settings | None = None,
        rpc: Rpc | None = None,
        key: bytes = KEY,
        limits: Any = None,
        **more: Any,
    ) -> Keeper:
        from eth_account import Account

        rpc = rpc or self.rpc
        venue = AaveVenue(rpc, self.market.pool.address, self.executor.address, self.weth.address)
        sender = Sender(rpc, KeySigner(Account.from_key(key)), number(rpc.call("eth_chainId")))
        pairs = Pairs(rpc, [self.pair.address])
        now_s = number(self.rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"])
        meter = Meter(limits or self.limits(), lambda: float(now_s))
        return Keeper(venue, pairs, sender, meter, settings, wall_s=lambda: float(now_s), **more)

    def mine(self, count: int = 1) -> None:
        for _ in range(count):
            self.rpc.call("anvil_mine", "0x1")

    def executor_usdc(self) -> int:
        return int(self.usdc.view("balanceOf", self.executor.address))


def local_desk(node_modules: Path, **settings: Any) -> tuple[LocalChain, Desk]:
    """A desk on the in-process chain."""
    chain, rpc = local_rpc(**settings)
    return chain, Desk(rpc, node_modules)
