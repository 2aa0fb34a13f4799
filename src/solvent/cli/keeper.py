"""`solvent keeper`: liquidate on a venue, within limits, and show it live."""

import getpass
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live

from solvent.cli.shows import FRAMES_A_SECOND, can_draw
from solvent.cli.up import stopping
from solvent.errors import SolventError, problem

if TYPE_CHECKING:
    from solvent.chain.keeper.aave_venue import AaveVenue
    from solvent.chain.keeper.keeper import Keeper
    from solvent.chain.keeper.solvent_venue import SolventVenue
    from solvent.chain.rpc import Rpc
    from solvent.chain.signers import Signer

POLL_S = 0.5
VENUES = ("aave-v3", "solvent")
ETH, GWEI, USD = 10**18, 10**9, 10**8
NOBODY = "0x" + "00" * 19 + "01"
"""Looks on in a dry run without an address."""


def keeper_command(
    rpc: Annotated[list[str], typer.Option(help="URL of a node. Repeat it: the next one answers where one fails.")],
    native: Annotated[str, typer.Option(help="Asset that gas is valued by; on aave-v3 symbol or address.")] = "WETH",
    pool: Annotated[str | None, typer.Option(help="aave-v3: address of its pool. On Ethereum: the main one.")] = None,
    executor: Annotated[
        str | None, typer.Option(help="aave-v3: your executor contract, which holds the funds. A dry run needs none.")
    ] = None,
    deployment: Annotated[Path | None, typer.Option(help="solvent: what `solvent chain deploy` wrote.")] = None,
    account: Annotated[int, typer.Option(min=0, max=255, help="solvent: which of your accounts takes slices.")] = 0,
    venue: Annotated[str, typer.Option(help=f"One of: {', '.join(VENUES)}.")] = "aave-v3",
    pair: Annotated[
        list[str] | None, typer.Option(help="Constant-product pair to sell on. Repeat it.", show_default=False)
    ] = None,
    second: Annotated[str | None, typer.Option(help="Another node, that large jobs are checked by.")] = None,
    keystore: Annotated[Path | None, typer.Option(help="Encrypted keystore file (version 3).")] = None,
    password_file: Annotated[Path | None, typer.Option(help="Its password; asked for where not given.")] = None,
    signer: Annotated[str | None, typer.Option(help="URL of a remote signer (eth_signTransaction).")] = None,
    address: Annotated[str | None, typer.Option(help="Of the remote signer, or of a dry run without a key.")] = None,
    relay: Annotated[str | None, typer.Option(help="URL of a private relay (eth_sendPrivateTransaction).")] = None,
    from_block: Annotated[int | None, typer.Option(min=0, help="Before which nobody had borrowed.")] = None,
    profit_least: Annotated[float, typer.Option(min=0, help="USD that a job must bring behind gas.")] = 1.0,
    bid_share: Annotated[float, typer.Option(min=0, max=1, help="Most of a profit that becomes tip.")] = 0.5,
    large: Annotated[float, typer.Option(min=0, help="USD from which a job is checked on --second.")] = 50_000.0,
    gas_daily: Annotated[float, typer.Option(min=0, help="ETH of gas a day, at most.")] = 0.1,
    spend_daily: Annotated[float, typer.Option(min=0, help="USD repaid a day, at most.")] = 100_000.0,
    loss_daily: Annotated[float, typer.Option(min=0, help="USD lost a day, at most.")] = 100.0,
    fee_most: Annotated[float, typer.Option(min=0, help="Gwei a unit of gas may cost.")] = 300.0,
    ledger: Annotated[Path | None, typer.Option(help="Profit ledger: a line of JSON a job, appended.")] = None,
    metrics: Annotated[Path | None, typer.Option(help="Written each block, in the text form of Prometheus.")] = None,
    keep: Annotated[bool, typer.Option("--keep-collateral", help="Keep what no pair buys.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide and simulate; sign and send nothing.")] = False,
    blocks: Annotated[int | None, typer.Option(min=1, help="Stop after so many.")] = None,
    json_lines: Annotated[bool, typer.Option("--json-lines", help="Print a JSON object a block.")] = False,
) -> None:
    """Find what is liquidatable on a venue, price each job, fill the block by value, bid, and book the profit.

    The key signs only calls of the executor, so much a day. The executor holds each job to what may be paid, what
    must come back and until when, and reverts otherwise. Keys come from a keystore or a remote signer, never from
    arguments. Ctrl-C stops after the current block; jobs under way keep their bounds and deadline.
    """
    if venue not in VENUES:
        raise SolventError(problem("keeper", None, "venue", venue, f"one of {', '.join(VENUES)}"))
    from solvent.chain.keeper.amm import Pairs
    from solvent.chain.keeper.flow import PrivateFlow
    from solvent.chain.keeper.keeper import Keeper, Settings
    from solvent.chain.keeper.ledger import ProfitLedger
    from solvent.chain.keeper.solvent_venue import SolventVenue
    from solvent.chain.keeper.starter import Starter
    from solvent.chain.limits import Limits, Meter
    from solvent.chain.rpc import connect, number
    from solvent.chain.transactions import Sender

    node = connect(rpc)
    chain_id = number(node.call("eth_chainId"))
    other = None if second is None else connect([second])
    for each in (node, other) if other else (node,):
        each.require_chain(chain_id)
    sender = Sender(node, signer_of(keystore, password_file, signer, address, dry_run), chain_id)
    where = (
        _ours(node, deployment, chain_id, sender.signer.address, account, native)
        if venue == "solvent"
        else _aave(node, chain_id, pool, executor, native, from_block, dry_run=dry_run)
    )
    limits = Limits(
        chain_id=chain_id,
        calls=where.selectors(),
        gas_daily_wei=int(gas_daily * ETH),
        spend_daily=int(spend_daily * USD),
        loss_daily=int(loss_daily * USD),
        fee_most_wei=int(fee_most * GWEI),
    )
    keeper = Keeper(
        where,
        Pairs(node, pair or []),
        sender,
        Meter(limits, time.time),
        Settings(
            profit_least,
            bid_share=bid_share,
            large_value=large,
            keep_collateral=keep or venue == "solvent",
            dry_run=dry_run,
            simulate=venue == "solvent" or executor is not None,
        ),
        ledger=ProfitLedger(ledger),
        flow=None if relay is None else PrivateFlow(sender, connect([relay])),
        second=other,
    )
    starter = Starter(keeper, where) if isinstance(where, SolventVenue) else None
    title = f"{venue} on chain {chain_id}"
    with stopping() as stop:
        watch(
            keeper, title, stop, blocks=blocks, json_lines=json_lines, metrics=metrics,
            after=None if starter is None else starter.step,
        )  # fmt: skip


def _aave(
    node: "Rpc",
    chain_id: int,
    pool: str | None,
    executor: str | None,
    native: str,
    from_block: int | None,
    *,
    dry_run: bool,
) -> "AaveVenue":
    from solvent.chain.aave import POOLS
    from solvent.chain.keeper.aave_venue import AaveVenue

    known, first = POOLS.get(chain_id, (None, 0))
    missing = []
    if pool is None and known is None:
        missing.append(problem("keeper", None, "pool", "none", f"--pool: none is known on chain {chain_id}"))
    if executor is None and not dry_run:
        missing.append(problem("keeper", None, "executor", "none", "--executor, or --dry-run"))
    if missing:
        raise SolventError(*missing)
    first = first if pool in (None, known) else 0
    return AaveVenue(node, pool or str(known), executor, native, first if from_block is None else from_block)


def _ours(node: "Rpc", path: Path | None, chain_id: int, owner: str, number: int, native: str) -> "SolventVenue":
    """Our own contracts; slices go to an account of the key's owner."""
    from solvent.chain.keeper.solvent_venue import SolventVenue
    from solvent.chain.plan import read_deployment

    if path is None:
        raise SolventError(problem("keeper", None, "deployment", "none", "--deployment FILE of the venue solvent"))
    at = read_deployment(path)
    if at.chain_id != chain_id:
        raise SolventError(problem(str(path), None, "chain_id", at.chain_id, f"{chain_id}, of the node"))
    return SolventVenue(node, at, int(owner, 16) << 8 | number, native)


def signer_of(
    keystore: Path | None, password_file: Path | None, signer: str | None, address: str | None, dry_run: bool
) -> "Signer":
    from solvent.chain.abi import checksum
    from solvent.chain.rpc import connect
    from solvent.chain.signers import RemoteSigner, WatchOnly, from_keystore

    if keystore is not None:
        if password_file is not None:
            try:
                password = password_file.read_text().rstrip("\n")
            except OSError as error:
                raise SolventError(
                    problem(str(password_file), None, "password", error.strerror or "", "a file that can be read")
                ) from None
        else:
            password = getpass.getpass(f"password of {keystore.name}: ", sys.stderr)
        return from_keystore(keystore, password)
    if signer is not None and address is not None:
        return RemoteSigner(connect([signer]), address)
    if dry_run:
        return WatchOnly(checksum(address or NOBODY))
    accepted = "--keystore FILE, --signer URL with --address, or --dry-run"
    raise SolventError(problem("keeper", None, "key", "none", accepted))


def watch(
    keeper: "Keeper",
    title: str,
    stop: threading.Event,
    *,
    blocks: int | None = None,
    json_lines: bool = False,
    metrics: Path | None = None,
    after: Callable[[], object] | None = None,
) -> None:
    """Step at every new block until `stop` is set or `blocks` are over, and show it. after: called behind each."""
    from solvent.chain.keeper.keeper import metrics_text
    from solvent.chain.rpc import EndpointsLost
    from solvent.cli.keeper_view import figures, line, screen

    console = Console()
    live = None
    if not json_lines and can_draw(console):
        live = Live(
            console=console,
            screen=True,
            get_renderable=lambda: screen(keeper, title),
            refresh_per_second=FRAMES_A_SECOND,
        )
        live.start()
    done = 0
    try:
        while not stop.is_set() and (blocks is None or done < blocks):
            try:
                report = keeper.step()
            except EndpointsLost:
                keeper.counts["endpoints_lost"] += 1
                stop.wait(POLL_S)
                continue
            if report is None:
                stop.wait(POLL_S)
                continue
            done += 1
            if after is not None:
                after()
            if metrics is not None:
                _replace(metrics, metrics_text(keeper))
            if live is None:
                print(json.dumps(figures(keeper, report)) if json_lines else line(keeper, report), flush=True)
    finally:
        if live is not None:
            live.stop()
            if keeper.last is not None:
                console.print(line(keeper, keeper.last))


def _replace(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one whole."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    os.replace(new, path)
