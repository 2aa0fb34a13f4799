"""Nodes for tests: anvil from npm on a free port, the in-process chain, and a deployer that works on both."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from solvent.chain.abi import checksum, decode, encode
from solvent.chain.local import LocalChain
from solvent.chain.rpc import HttpEndpoint, Rpc, RpcError, data, number

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".cache" / "npm" / "chain-tests"
NPM_S = 300
START_S = 20
GAS = 12_000_000
"""Of a transaction whose gas nobody measures: an estimate would be of another second, with other indices."""
ANVIL = "@foundry-rs/anvil-linux-amd64/bin/anvil"


def installed() -> Path:
    """`node_modules` of tests/chain/package.json, installed once; skips with the reason where that cannot be."""
    npm = shutil.which("npm")
    lock = (Path(__file__).parent / "package-lock.json").read_bytes()
    wanted = hashlib.sha256(lock).hexdigest()
    stamp = FOLDER / "installed"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as held:  # one process installs, the others wait for it
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (stamp.is_file() and stamp.read_text() == wanted):
            if npm is None:
                pytest.skip("needs npm (Node): anvil and Aave's artifacts are installed from it at test time")
            for name in ("package.json", "package-lock.json"):
                shutil.copy(Path(__file__).parent / name, FOLDER)
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            environment = {**os.environ, "npm_config_cache": str(ROOT / ".cache" / "npm" / "downloads")}
            try:
                done = subprocess.run(
                    command, cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=NPM_S, check=False
                )
            except subprocess.TimeoutExpired:
                pytest.skip(f"npm took more than {NPM_S} s")
            if done.returncode:
                pytest.skip(f"npm could not install: {done.stderr.strip().splitlines()[-1:]}")
            stamp.write_text(wanted)
    return FOLDER / "node_modules"


class Anvil:
    """A node of its own process; a context."""

    def __init__(self, *arguments: str) -> None:
        program = installed() / ANVIL
        if not program.is_file():
            pytest.skip("needs anvil: npm has no binary for this machine")
        command = [str(program), "--port", "0", "--hardfork", "cancun", *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.url = self._listening()
        self.rpc = Rpc([HttpEndpoint(self.url)])

    def _listening(self) -> str:
        """The address that it says it listens on."""
        found: list[str] = []

        def read() -> None:
            assert self._process.stdout is not None
            for line in self._process.stdout:
                if not found and (match := re.search(r"Listening on ([\d.:]+)", line)):
                    found.append("http://" + match[1])
                    ready.set()
            ready.set()

        ready = threading.Event()
        threading.Thread(target=read, daemon=True).start()
        assert ready.wait(START_S), "anvil did not start"
        assert found, "anvil ended"
        return found[0]

    def __enter__(self) -> "Anvil":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)


class Deployer:
    """Deploys and calls from the node's first account; blocks are made by hand where automine is off."""

    def __init__(self, rpc: Rpc, mine: bool = True) -> None:
        self.rpc, self.mine = rpc, mine
        self.sender = str(rpc.call("eth_accounts")[0])

    def send(self, to: str | None, payload: bytes, sender: str | None = None, gas: int = GAS) -> dict[str, Any]:
        """Send, make a block, and return the receipt of a transaction that must succeed."""
        asked: dict[str, Any] = {"from": sender or self.sender, "data": "0x" + payload.hex(), "gas": hex(gas)}
        if to is not None:
            asked["to"] = to
        found = self.rpc.call("eth_sendTransaction", asked)
        if self.mine:
            self.rpc.call("anvil_mine", "0x1")
        receipt = wait_receipt(self.rpc, found)
        assert number(receipt["status"]) == 1, f"reverted: {self.why(asked)}"
        return receipt

    def why(self, asked: dict[str, Any]) -> str:
        try:
            self.rpc.call("eth_call", asked, "latest")
        except RpcError as error:
            return f"{error.text} {error.data}"
        return "no more"

    def deploy(self, bytecode: bytes, types: Sequence[str] = (), values: Sequence[Any] = ()) -> str:
        return checksum(self.send(None, bytecode + encode(types, values))["contractAddress"])

    def view(self, to: str, payload: bytes, types: Sequence[str], tag: str = "latest") -> tuple[Any, ...]:
        answer = self.rpc.call("eth_call", {"to": to, "data": "0x" + payload.hex()}, tag)
        return decode(types, data(answer))


def wait_receipt(rpc: Rpc, transaction_hash: str) -> dict[str, Any]:
    pause = threading.Event()
    for _ in range(2_000):
        found = rpc.call("eth_getTransactionReceipt", transaction_hash)
        if found is not None:
            return dict(found)
        pause.wait(0.005)
    raise AssertionError(f"no receipt of {transaction_hash}")


def local_rpc(**settings: Any) -> tuple[LocalChain, Rpc]:
    """A chain in this process and a client on it."""
    chain = LocalChain(**settings)
    return chain, Rpc([chain])
