"""`solvent backup` and `solvent restore`: a journal into a file, and back into a store."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from solvent.cli.printable import printable
from solvent.ledger import copies
from solvent.ledger.journal import Head
from solvent.ledger.stores import open_journal

_EVERY_BLOCKS = 500


def backup_command(
    store: Annotated[str, typer.Argument(help="A journal: SQLite file or postgresql://...", show_default=False)],
    out: Annotated[Path, typer.Argument(help="New file, which is a journal itself.", show_default=False)],
) -> None:
    """Copy a journal, while it may be written to, into a file that any `solvent journal` command reads.

    Every block is checked on the way; the newest snapshot that the chain vouches for goes along.
    """
    console = Console(stderr=True, highlight=False)
    journal = open_journal(store, writer=False)
    try:
        with console.status("backup") as status:
            head = copies.backup(journal, out, _told(status.update, "backup"))
    finally:
        journal.close()
    typer.echo(f"{printable(str(out))}: {_described(head)}")


def restore_command(
    backup: Annotated[Path, typer.Argument(help="A backup, or any journal's file.", show_default=False)],
    store: Annotated[str, typer.Argument(help="Empty store: a new file or postgresql://...", show_default=False)],
) -> None:
    """Copy a backup into an empty store. It opens read-only until `solvent journal confirm`.

    A backup may be older than what was acknowledged: whoever opens it for writing must know the height that the
    witness saw last. A restore that was cut short goes on when it is called again.
    """
    console = Console(stderr=True, highlight=False)
    journal = open_journal(str(backup), writer=False)
    try:
        with console.status("restore") as status:
            head = copies.restore(journal, store, _told(status.update, "restore"))
    finally:
        journal.close()
    typer.echo(f"restored {_described(head)}")
    typer.echo("read-only until: solvent journal confirm STORE --height N --hash HASH, as the witness signed them last")


def _told(update: Callable[[str], None], what: str) -> copies.Progress:
    def tell(height: int) -> None:
        if height % _EVERY_BLOCKS == 0:
            update(f"{what}: block {height:,}")

    return tell


def _described(head: Head) -> str:
    return f"{head.height:,} blocks, head hash {head.hash.hex()}"
