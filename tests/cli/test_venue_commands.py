"""`solvent chain deploy`, `status`, `publish`, `mirror` and our keeper, over HTTP as people run them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account
from tests.chain.nodes import local_rpc
from tests.chain.venue_desk import ETH, Venue, key
from typer.testing import CliRunner

from solvent.chain.abi import keccak
from solvent.chain.desk import block_at
from solvent.chain.local_http import LocalServer
from solvent.cli.main import app

PRICES = [
    {"symbol": "WETH", "price": 1_950_000_000, "confidence_bps": 5},
    {"symbol": "WBTC", "price": 59_000_000_000},
    {"symbol": "ETH-PERP", "price": 1_950_000},
]


class Shop:
    """A folder with keystores, a plan and prices, and a chain behind a URL."""

    def __init__(self, folder: Path, url: str, venue: Venue) -> None:
        self.folder, self.url, self.venue = folder, url, venue
        (folder / "password").write_text("secret\n")
        for name in ("deployer", "publisher", "signer 0", "signer 1", "keeper"):
            self._keystore(name)
        (folder / "prices.json").write_text(json.dumps(PRICES))
        (folder / "venue.json").write_bytes(
            json.dumps({f: getattr(venue.at, f) for f in venue.at.__struct_fields__}).encode()
        )

    def _keystore(self, name: str) -> None:
        secret = keccak(name.encode())
        self.venue.rpc.call("anvil_setBalance", key(name).address, hex(10 * ETH))
        path = self.folder / name
        path.write_text(json.dumps(Account.encrypt(secret, "secret", kdf="pbkdf2", iterations=1)))
        path.chmod(0o600)

    def run(self, *arguments: object, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["chain", *map(str, arguments), "--rpc", self.url])
        assert result.exit_code == code, (result.output, result.exception)
        return result.output

    def by(self, name: str) -> tuple[str, ...]:
        return "--keystore", str(self.folder / name), "--password-file", str(self.folder / "password")

    def at(self) -> tuple[str, ...]:
        return "--deployment", str(self.folder / "venue.json")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    chain, rpc = local_rpc(block_time_s=1)
    venue = Venue(rpc)
    chain.automine = True
    with LocalServer(chain) as server:
        yield Shop(tmp_path, server.url, venue)


def test_a_plan_is_deployed_and_shown(shop: Shop) -> None:
    signers = json.dumps([key(f"signer {i}").address for i in range(2)])
    plan = shop.folder / "plan.toml"
    plan.write_text(f'settlement = "{shop.venue.usdc.address}"\nsigners = {signers}\nthreshold = 2\n')
    to = ("--deployment", shop.folder / "new.json")
    output = shop.run("deploy", "--plan", plan, *to, *shop.by("deployer"))
    assert output.count("0x") == 5
    again = shop.run("deploy", "--plan", plan, *to, *shop.by("deployer"))
    assert again == output
    shown = json.loads(shop.run("status", "--plan", plan, *to, "--json"))
    assert shown["sealed"]
    assert shown["differs"] == []


def test_prices_are_signed_apart_and_published_together(shop: Shop) -> None:
    when = block_at(shop.venue.rpc).timestamp
    shared = (*shop.at(), "--prices", shop.folder / "prices.json", "--signed-at", when + 1)
    for number in range(2):
        output = shop.run(
            "publish", *shared, "--sign-only", "--price-keystore", shop.folder / f"signer {number}",
            "--price-password-file", shop.folder / "password",
        )  # fmt: skip
        (shop.folder / f"signed {number}").write_text(output)
    signed = [argument for i in range(2) for argument in ("--signatures", shop.folder / f"signed {i}")]
    few = shop.run("publish", *shared, *signed[:2], *shop.by("publisher"), code=2)
    assert few == "" or "TooFewSignatures" in few
    assert f"prices of {when + 1}" in shop.run("publish", *shared, *signed, *shop.by("publisher"))
    assert "WETH      1,950.000000 (ok)" in shop.run("status", *shop.at())


def test_the_mirror_agrees_and_writes_a_book(shop: Shop) -> None:
    shop.venue.borrow("borrower", 10 * ETH, 15_000 * 10**6)
    book = shop.folder / "book.csv"
    output = shop.run("mirror", *shop.at(), "--blocks", 1, "--book", book)
    assert "1 accounts equal the contract's view" in output
    rows = book.read_text().splitlines()
    assert rows[0] == "account,instrument,quantity,entry_price"
    assert {row.split(",")[1].split("@")[0]: row.split(",")[2] for row in rows[1:]} == {
        "USDC": rows[1].split(",")[2],
        "WETH": "10.000000000",
    }
    line = json.loads(shop.run("mirror", *shop.at(), "--blocks", 1, "--json-lines"))
    assert (line["accounts"], line["differing"]) == (1, 0)


def test_the_keeper_runs_on_our_venue(shop: Shop) -> None:
    shop.venue.deposit("keeper", None, 50_000 * 10**6)
    shop.venue.borrow("borrower", 10 * ETH, 15_900 * 10**6)
    shop.venue.push(weth=1_800 * 10**6)
    shared = ("keeper", "--venue", "solvent", "--native", "WETH", *shop.by("keeper"), "--json-lines", "--blocks", 1)
    line = json.loads(shop.run(*shared, *shop.at()))
    assert line["liquidatable"] == 1
    assert line["counts"]["sent"] == 1
    shop.run(*shared, code=2)
