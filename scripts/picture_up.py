"""Draws docs/up.svg: the screen of `solvent up` just after the gap in the simulated crash, from a real run.

.venv/bin/python scripts/picture_up.py
"""

import io
import re
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from solvent.cli.live import screen
from solvent.cli.up import title_of
from solvent.cli.watch import Watch
from solvent.engine.venue import VenueOptions, open_venue

TICKS = 42
WIDTH, HEIGHT = 120, 40
OUT = Path(__file__).parent.parent / "docs" / "up.svg"


def main() -> None:
    with TemporaryDirectory() as folder, open_venue(VenueOptions(store=f"{folder}/simulated.journal")) as venue:
        watch = Watch(venue.engine, title_of("simulated", 7), "simulated.journal")
        venue.engine.listeners.append(watch.add)
        for _ in islice(venue.run(), TICKS):
            pass
    console = Console(file=io.StringIO(), record=True, width=WIDTH, height=HEIGHT, force_terminal=True)
    console.print(screen(watch.view, WIDTH, HEIGHT))
    # Without the fonts that the template would load from elsewhere: whatever monospaced font there is will do.
    template = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    template = template.replace("Fira Code", "ui-monospace, DejaVu Sans Mono, Menlo, Consolas")
    OUT.write_text(console.export_svg(title="solvent up", code_format=template))
    print(f"{OUT}: {OUT.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
