"""`solvent chain`: what is done on a chain, and a small chain of our own."""

from typing import Annotated

import typer

from solvent.cli.devnet import devnet_command
from solvent.cli.keeper import keeper_command
from solvent.cli.up import stopping
from solvent.cli.venue_commands import deploy_command, mirror_command, publish_command, status_command

IDLE_S = 0.2

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Run a small chain, keep a venue solvent.")
app.command("deploy")(deploy_command)
app.command("devnet")(devnet_command)
app.command("keeper")(keeper_command)
app.command("mirror")(mirror_command)
app.command("publish")(publish_command)
app.command("status")(status_command)


@app.command("node")
def node_command(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="On 127.0.0.1; 0 takes one that is free.")] = 8545,
    chain_id: Annotated[int, typer.Option(min=1, help="Chain id.")] = 31_337,
    gas_limit: Annotated[int, typer.Option(min=100_000, help="Of a block.")] = 30_000_000,
    block_time: Annotated[
        float, typer.Option(min=0, help="Seconds between blocks; 0: a block for each transaction.")
    ] = 0.0,
    blocks: Annotated[int | None, typer.Option(min=0, help="Stop after so many.")] = None,
) -> None:
    """Serve the in-process chain over loopback HTTP: true ordering by tip, base fee, replacement, reorgs.

    Its accounts are funded and their keys public: never send anything of value to them.
    """
    from solvent.chain.local import LocalChain
    from solvent.chain.local_http import LocalServer

    chain = LocalChain(chain_id=chain_id, gas_limit=gas_limit, block_time_s=max(int(block_time), 1))
    chain.automine = block_time == 0
    with stopping() as stop, LocalServer(chain, port) as server:
        print(f"chain {chain_id} on {server.url}, {len(chain.keys)} funded accounts", flush=True)
        made = 0
        while not stop.wait(block_time or IDLE_S) and (blocks is None or made < blocks):
            if block_time:
                chain.mine()
            made += 1
