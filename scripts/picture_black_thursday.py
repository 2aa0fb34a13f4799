"""Draws docs/black-thursday.png: the report's first figure of the README's run with a fund that does not suffice.

.venv/bin/python scripts/picture_black_thursday.py CANDLES FUNDING

CANDLES are hourly candles of 2020-03-08 to 2020-03-16 as `solvent replay --market` takes them, FUNDING a file as
`--perp-funding` does. Needs chromium (./test --install-system).
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from solvent.engine.replay import replay
from solvent.reports.figures import overview
from solvent.reports.page import framed

OUT = Path(__file__).parent.parent / "docs" / "black-thursday.png"
WIDTH, HEIGHT = 1100, 760
TITLE = "Black Thursday, 8 to 16 March 2020: 10,000 accounts, insurance of 100,000 USD"


def main() -> None:
    run = replay(
        sys.argv[1],
        start="2020-03-08",
        end="2020-03-16",
        assets=("BTC", "ETH", "LTC", "XRP"),
        funding=sys.argv[2],
        accounts=10_000,
        seed=7,
        insurance_usd=100_000.0,
    )
    figure = overview(run.ticks, run.tape, "BTC")
    framed(figure, HEIGHT - 20)
    figure.update_layout(
        paper_bgcolor="white", width=WIDTH, font_color="#1d2733", margin={"t": 76, "b": 36, "r": 36},
        title={"text": TITLE, "x": 0.01, "y": 0.985, "yanchor": "top", "font": {"size": 16}},
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        page = Path(folder) / "figure.html"
        figure.write_html(page, include_plotlyjs=True, config={"staticPlot": True})
        subprocess.run(
            [
                "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                f"--user-data-dir={folder}/profile", f"--screenshot={OUT}", f"--window-size={WIDTH},{HEIGHT}",
                "--virtual-time-budget=8000", page.as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )  # fmt: skip
    print(f"{OUT}: {OUT.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
