"""`solvent chain deploy|status|publish|mirror`: our contracts from a plan to a copy that is held to them."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from solvent.cli.keeper import signer_of
from solvent.cli.up import stopping
from solvent.errors import SolventError, problem

if TYPE_CHECKING:
    from solvent.chain.desk import Desk
    from solvent.chain.mirror import Difference, Mirror
    from solvent.chain.plan import Deployment
    from solvent.chain.signers import KeySigner

POLL_S = 1.0
SHOWN = 20

Rpcs = Annotated[list[str], typer.Option(help="URL of a node. Repeat it: the next one answers where one fails.")]
At = Annotated[Path, typer.Option("--deployment", help="Where the contracts are: written by `deploy`.")]
PlanFile = Annotated[Path, typer.Option("--plan", help="Deployment plan, TOML: see docs/on-chain.md.")]
Keystore = Annotated[Path | None, typer.Option(help="Encrypted keystore file (version 3).")]
PasswordFile = Annotated[Path | None, typer.Option(help="Its password; asked for where not given.")]
Signer = Annotated[str | None, typer.Option(help="URL of a remote signer (eth_signTransaction).")]
Address = Annotated[str | None, typer.Option(help="Of the remote signer.")]
AsJson = Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")]


def deploy_command(
    rpc: Rpcs,
    plan: PlanFile,
    deployment: At = Path("deployment.json"),
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    signer: Signer = None,
    address: Address = None,
) -> None:
    """Deploy, wire, list, bound, give roles and seal, as a plan says.

    Addresses are written as they come: run again after a failure it goes on where it stopped.
    """
    from solvent.chain.deploy import deploy
    from solvent.chain.plan import read_deployment, read_plan

    wanted = read_plan(plan)
    started = read_deployment(deployment) if deployment.exists() else None
    desk = _desk(rpc, keystore, password_file, signer, address)
    at = deploy(desk, wanted, lambda found: _keep(deployment, found), started)
    _keep(deployment, at)
    for name in ("steward", "prices", "pool", "clearing", "auction"):
        typer.echo(f"{name:<9} {getattr(at, name)}")
    if wanted.owner and wanted.owner.lower() != desk.signer.address.lower():
        typer.echo("not sealed: the owner checks `solvent chain status` and calls Steward.seal")


def _keep(path: Path, at: "Deployment") -> None:
    """Write a deployment whole or not at all."""
    import msgspec

    new = path.with_name(path.name + ".new")
    new.write_bytes(msgspec.json.format(msgspec.json.encode(at)) + b"\n")
    new.replace(path)


def _desk(
    rpc: list[str], keystore: Path | None, password_file: Path | None, signer: str | None, address: str | None
) -> "Desk":
    from solvent.chain.desk import Desk
    from solvent.chain.rpc import connect, number

    node = connect(rpc)
    chain_id = number(node.call("eth_chainId"))
    return Desk(node, signer_of(keystore, password_file, signer, address, dry_run=False), chain_id)


def status_command(
    rpc: Rpcs,
    deployment: At = Path("deployment.json"),
    plan: Annotated[Path | None, typer.Option(help="Also list what differs from this plan.")] = None,
    as_json: AsJson = False,
) -> None:
    """What a deployment is like at the newest block: pool, prices, markets, and what differs from a plan."""
    from solvent.chain.deploy import status
    from solvent.chain.plan import read_deployment, read_plan
    from solvent.chain.rpc import connect
    from solvent.cli.shown import json_text

    at, node = read_deployment(deployment), connect(rpc)
    node.require_chain(at.chain_id)
    found = status(node, at, None if plan is None else read_plan(plan))
    if as_json:
        typer.echo(json_text(found))
        return
    typer.echo(f"chain {found['chain_id']}, block {found['block']}, {'sealed' if found['sealed'] else 'NOT SEALED'}")
    typer.echo("pool      " + ", ".join(f"{name} {value:,}" for name, value in found["pool"].items()))
    for each in found["collaterals"]:
        typer.echo(f"{each['symbol']:<9} {each['price_e6'] / 1e6:,.6f} ({each['state']}), {each['total']:,} atoms held")
    for each in found["markets"]:
        typer.echo(
            f"{each['symbol']:<9} {each['price_ticks']:,} ticks ({each['state']}), {each['open_interest']:,} lots"
        )
    for each in found.get("differs", []):
        typer.echo(
            f"differs   {each['contract']} {each['parameter']}: {each['present']}, the plan says {each['wanted']}"
        )


def publish_command(
    rpc: Rpcs,
    deployment: At = Path("deployment.json"),
    plan: Annotated[Path | None, typer.Option(help="Move parameters toward this plan through the Steward.")] = None,
    prices: Annotated[
        Path | None, typer.Option(help="JSON: a list of {symbol, price, confidence_bps, funding_index}.")
    ] = None,
    price_keystore: Annotated[
        list[Path] | None, typer.Option(help="Keystore of a price signer; repeat it.", show_default=False)
    ] = None,
    price_password_file: Annotated[
        list[Path] | None, typer.Option(help="Its password, in the same order.", show_default=False)
    ] = None,
    signatures: Annotated[
        list[Path] | None, typer.Option(help="What another signer wrote with --sign-only.", show_default=False)
    ] = None,
    signed_at: Annotated[int | None, typer.Option(help="Time of the prices in s. Default: now.")] = None,
    sign_only: Annotated[bool, typer.Option("--sign-only", help="Print signatures as JSON; send nothing.")] = False,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    signer: Signer = None,
    address: Address = None,
) -> None:
    """Bring prices that enough signers signed, and propose or apply risk parameters, inside the Steward's bounds.

    Signers need not be in one place: each signs the same prices and time with --sign-only. Anyone may bring them.
    """
    from solvent.chain.deploy import Contracts
    from solvent.chain.plan import read_deployment, read_plan
    from solvent.chain.publish import publish_parameters, push_prices, signed_by
    from solvent.chain.rpc import connect
    from solvent.cli.shown import json_text

    if plan is None and prices is None:
        raise SolventError(problem("publish", None, "plan, prices", "none", "--plan FILE, --prices FILE, or both"))
    at, node = read_deployment(deployment), connect(rpc)
    node.require_chain(at.chain_id)
    found = Contracts(node, at)
    push = None if prices is None else _push_of(prices, at, signed_at)
    signed: dict[str, bytes] = {}
    if push is not None:
        signed = signed_by(_price_signers(price_keystore or [], price_password_file or []), push, found)
        signed |= _collected(signatures or [], at.prices)
    if sign_only:
        typer.echo(json_text({"prices": at.prices, "signatures": {who: each.hex() for who, each in signed.items()}}))
        return
    desk = _desk(rpc, keystore, password_file, signer, address)
    if push is not None:
        receipt = push_prices(desk, found, push, signed)
        typer.echo(f"prices of {push.signed_at} in block {receipt.block_number}, {receipt.gas_used:,} gas")
    for each in publish_parameters(desk, found, read_plan(plan)) if plan is not None else []:
        typer.echo(f"{each.contract} {each.parameter}: {each.present} -> {each.setting} of {each.wanted}, {each.done}")


def _push_of(path: Path, at: "Deployment", signed_at: int | None) -> Any:
    import msgspec

    from solvent.chain.publish import Push, read_prices, updates_of

    try:
        rows = msgspec.json.decode(path.read_bytes(), type=list[dict[str, Any]])
    except (OSError, msgspec.MsgspecError) as error:
        raise SolventError(problem(str(path), None, "prices", str(error), "a JSON list of prices")) from None
    collaterals, markets = read_prices(rows, at.collaterals), read_prices(rows, at.markets)
    return Push(int(time.time()) if signed_at is None else signed_at, updates_of(collaterals, markets))


def _price_signers(keystores: list[Path], passwords: list[Path]) -> "list[KeySigner]":
    from solvent.chain.signers import KeySigner

    files: list[Path | None] = [*passwords, *[None] * (len(keystores) - len(passwords))]
    found = [signer_of(each, file, None, None, dry_run=False) for each, file in zip(keystores, files, strict=False)]
    return [each for each in found if isinstance(each, KeySigner)]


def _collected(files: list[Path], prices: str) -> dict[str, bytes]:
    """Signatures that others wrote. Raises SolventError for those of another contract."""
    import msgspec

    found: dict[str, bytes] = {}
    for path in files:
        try:
            content = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
            if content["prices"] != prices:
                raise SolventError(problem(str(path), None, "prices", content["prices"], prices))
            found |= {who: bytes.fromhex(each) for who, each in content["signatures"].items()}
        except (OSError, msgspec.MsgspecError, KeyError, ValueError, AttributeError) as error:
            raise SolventError(problem(str(path), None, "signatures", str(error), "what --sign-only wrote")) from None
    return found


def mirror_command(
    rpc: Rpcs,
    deployment: At = Path("deployment.json"),
    finality: Annotated[int, typer.Option(min=0, help="Blocks after which state is final.")] = 12,
    blocks: Annotated[int | None, typer.Option(min=1, help="Stop after so many; 1 compares once.")] = None,
    book: Annotated[Path | None, typer.Option(help="At the end write the book, as CSV, for `solvent margin`.")] = None,
    json_lines: Annotated[bool, typer.Option("--json-lines", help="Print a JSON object a block.")] = False,
) -> None:
    """Keep a copy of every account by the contracts' logs, and hold it to their own view, block by block.

    Ends with 1 where an account's equity, margin, price state or verdict is not the contract's to the last integer.
    """
    from solvent.chain.mirror import Mirror
    from solvent.chain.plan import read_deployment
    from solvent.chain.rpc import connect

    at, node = read_deployment(deployment), connect(rpc)
    node.require_chain(at.chain_id)
    mirror = Mirror(node, at, finality)
    done, last, found = 0, "", []
    with stopping() as stop:
        while not stop.is_set() and (blocks is None or done < blocks):
            block = mirror.advance()
            if block.hash == last:
                stop.wait(POLL_S)
                continue
            last, done = block.hash, done + 1
            found += (new := mirror.check())
            _show(mirror, new, json_lines)
    if book is not None:
        _write_book(mirror, book)
    if found:
        raise typer.Exit(1)


def _show(mirror: "Mirror", found: "list[Difference]", json_lines: bool) -> None:
    from solvent.chain.mirror_book import name_of

    ledger, block = mirror.head, mirror.block
    if json_lines:
        row = {
            "block": block.number, "accounts": len(ledger.accounts), "final_accounts": len(mirror.final.accounts),
            "debt": ledger.debt, "insurance": ledger.insurance, **mirror.counts, "differing": len(found),
        }  # fmt: skip
        typer.echo(json.dumps(row))
        return
    typer.echo(
        f"block {block.number}: {len(ledger.accounts)} accounts equal the contract's view"
        if not found
        else f"block {block.number}: {len(found)} differences among {len(ledger.accounts)} accounts"
    )
    for each in found[:SHOWN]:
        typer.echo(f"  {name_of(each.account)} {each.field}: {each.ours}, the contract says {each.theirs}")


def _write_book(mirror: "Mirror", path: Path) -> None:
    from decimal import Decimal

    from solvent.chain.mirror_book import book_of, universe_of
    from solvent.domain.instruments import Spot
    from solvent.engine.files import write_bytes

    universe = universe_of(mirror.rpc, mirror.at)
    held = book_of(mirror, universe)
    cash = universe.instruments[0]
    assert isinstance(cash, Spot)
    lines = ["account,instrument,quantity,entry_price"]
    for row, name in enumerate(held.names):
        for position, lots, leg in zip(*held.row(row), strict=True):
            each = universe.instruments[int(position)]
            coins = Decimal(int(lots)) * (
                Decimal(each.lot_atoms) / 10**each.decimals if isinstance(each, Spot) else each.lot
            )
            paid = Decimal(int(-leg)) * cash.lot_atoms / 10**cash.decimals
            entry = "" if isinstance(each, Spot) or not coins else f"{paid / coins:f}"
            lines.append(f"{name},{each.id},{coins:f},{entry}")
    write_bytes(path, ("\n".join(lines) + "\n").encode())
