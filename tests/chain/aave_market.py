"""Aave v3 from its own published artifacts: two or more assets, deployed on any node at test time."""

import json
from pathlib import Path
from typing import Any

from tests.chain.mocks import mock
from tests.chain.nodes import Deployer

from solvent.chain.abi import call_data, checksum, encode, selector, signature, type_of

ARTIFACTS = "@aave/core-v3/artifacts/contracts"
RAY = 10**27
E8 = 10**8
TREASURY = "0x" + "77" * 20
RATES = (80 * RAY // 100, 0, 4 * RAY // 100, 60 * RAY // 100, RAY // 200, 60 * RAY // 100, RAY // 100, 0, RAY // 5)


class Contract:
    """A deployed contract: functions by name."""

    def __init__(self, deployer: Deployer, address: str, abi: list[dict[str, Any]]) -> None:
        self.deployer, self.address, self.abi = deployer, address, abi
        self._functions = {entry["name"]: entry for entry in abi if entry["type"] == "function"}

    def payload(self, function: str, *values: Any) -> bytes:
        entry = self._functions[function]
        return selector(signature(entry)) + encode([type_of(each) for each in entry["inputs"]], values)

    def send(self, function: str, *values: Any, sender: str | None = None) -> dict[str, Any]:
        return self.deployer.send(self.address, self.payload(function, *values), sender)

    def view(self, function: str, *values: Any, tag: str = "latest") -> Any:
        types = [type_of(each) for each in self._functions[function]["outputs"]]
        found = self.deployer.view(self.address, self.payload(function, *values), types, tag)
        return found[0] if len(found) == 1 else found


def vyper_mock(deployer: Deployer, name: str, types: tuple[str, ...] = (), values: tuple[Any, ...] = ()) -> Contract:
    """Deploy a contract of tests/chain/mocks."""
    bytecode, abi = mock(name)
    return Contract(deployer, deployer.deploy(bytecode, types, values), abi)


class AaveMarket:
    """A pool with reserves; the deployer is its admin, prices are set by hand."""

    def __init__(self, node_modules: Path, deployer: Deployer) -> None:
        folder = node_modules / ARTIFACTS
        self._files = {each.stem: each for each in folder.rglob("*.json") if not each.name.endswith(".dbg.json")}
        self._libraries: dict[str, str] = {}
        self.deployer = deployer
        admin = deployer.sender
        self.provider = self._deploy("PoolAddressesProvider", ("string", "address"), ("test", admin))
        at = (self.provider.address,)
        self.provider.send("setACLAdmin", admin)
        acl = self._deploy("ACLManager", ("address",), at)
        self.provider.send("setACLManager", acl.address)
        acl.send("addPoolAdmin", admin)
        self.oracle = vyper_mock(deployer, "Oracle")
        self.provider.send("setPriceOracle", self.oracle.address)
        self.provider.send("setPoolImpl", self._deploy("Pool", ("address",), at).address)
        self.provider.send("setPoolConfiguratorImpl", self._deploy("PoolConfigurator").address)
        self.pool = self._at("Pool", self.provider.view("getPool"))
        self.configurator = self._at("PoolConfigurator", self.provider.view("getPoolConfigurator"))
        data = self._deploy("AaveProtocolDataProvider", ("address",), at)
        self.provider.send("setPoolDataProvider", data.address)
        pool = (self.pool.address,)
        self._tokens = [
            self._deploy(name, ("address",), pool).address
            for name in ("AToken", "StableDebtToken", "VariableDebtToken")
        ]
        self._strategy = self._deploy(
            "DefaultReserveInterestRateStrategy", ("address", *["uint256"] * 9), (*at, *RATES)
        ).address
        self.assets: dict[str, Contract] = {}
        self.decimals: dict[str, int] = {}

    def _deploy(self, name: str, types: tuple[str, ...] = (), values: tuple[Any, ...] = ()) -> Contract:
        artifact = json.loads(self._files[name].read_text())
        code = artifact["bytecode"].removeprefix("0x")
        for libraries in artifact["linkReferences"].values():
            for library, places in libraries.items():
                if library not in self._libraries:
                    self._libraries[library] = self._deploy(library).address
                for place in places:
                    start, end = 2 * place["start"], 2 * (place["start"] + place["length"])
                    code = code[:start] + self._libraries[library][2:].lower() + code[end:]
        return Contract(self.deployer, self.deployer.deploy(bytes.fromhex(code), types, values), artifact["abi"])

    def _at(self, name: str, address: str) -> Contract:
        return Contract(self.deployer, checksum(address), json.loads(self._files[name].read_text())["abi"])

    def list(
        self, symbol: str, decimals: int, price_usd: float, ltv: int, threshold: int, bonus: int, fee: int = 1000
    ) -> Contract:
        """A new reserve, in basis points; bonus 10500 gives a liquidator 5 %."""
        token = vyper_mock(self.deployer, "Token", ("string", "uint8"), (symbol, decimals))
        names = [f"{kind}{symbol}" for kind in ("a", "a", "v", "v", "s", "s")]
        a_token, stable, variable = self._tokens
        zero = "0x" + "00" * 20
        reserve = (a_token, stable, variable, decimals, self._strategy, token.address, TREASURY, zero, *names, b"")
        self.configurator.send("initReserves", [reserve])
        if threshold:
            self.configurator.send("configureReserveAsCollateral", token.address, ltv, threshold, bonus)
        self.configurator.send("setReserveBorrowing", token.address, True)
        self.configurator.send("setLiquidationProtocolFee", token.address, fee)
        self.assets[symbol], self.decimals[symbol] = token, decimals
        self.price(symbol, price_usd)
        return token

    def price(self, symbol: str, price_usd: float) -> None:
        """Set the oracle."""
        self.oracle.send("set", self.assets[symbol].address, round(price_usd * E8))

    def supply(self, user: str, symbol: str, amount: float) -> None:
        """Mint, and supply as collateral."""
        token, atoms = self.assets[symbol], round(amount * 10 ** self.decimals[symbol])
        token.send("mint", user, atoms)
        token.send("approve", self.pool.address, atoms, sender=user)
        self.pool.send("supply", token.address, atoms, user, 0, sender=user)

    def borrow(self, user: str, symbol: str, amount: float) -> None:
        """Borrow at the variable rate."""
        atoms = round(amount * 10 ** self.decimals[symbol])
        self.pool.send("borrow", self.assets[symbol].address, atoms, 2, 0, user, sender=user)

    def account_data(self, user: str, tag: str = "latest") -> tuple[int, ...]:
        """The pool's own view: collateral, debt, available, threshold, ltv, health factor."""
        found = self.pool.view("getUserAccountData", user, tag=tag)
        return tuple(int(each) for each in found)


def token_balance(deployer: Deployer, token: str, owner: str) -> int:
    """Atoms of a token."""
    return int(deployer.view(token, call_data("balanceOf(address)", owner), ("uint256",))[0])
