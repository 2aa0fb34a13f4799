"""What the pages show is what the commands print.

A fenced block `console` holds `$ ./run ...` lines, each with its output below; a line `...` stands for any lines.
`python tests/test_docs.py` runs them all and writes what they print into the pages.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"```console\n(?P<body>.*?)```", re.DOTALL)
PROMPT = "$ ./run "
TABLE = re.compile(r"(?<=<!-- black thursday -->\n```\n)(?P<body>.*?)(?=```)", re.DOTALL)
FUNDS_USD = (2_000_000, 100_000)
ROWS = {
    "accounts liquidated": "accounts_liquidated",
    "liquidated notional USD": "liquidated_notional_usd",
    "shortfall USD": "shortfall_usd",
    "insurance used USD": "insurance_used_usd",
    "deleveraged accounts": "deleveraged_accounts",
    "taken by deleveraging USD": "deleveraged_loss_usd",
    "loss shared by others USD": "socialised_loss_usd",
    "bad debt USD": "bad_debt_usd",
}
ANY = "..."
WIDTH = "112"


class Shown(NamedTuple):
    """One command of a page and the lines that stand below it."""

    page: Path
    command: str
    lines: tuple[str, ...]


def shown(page: Path) -> Iterator[Shown]:
    for block in BLOCK.finditer(page.read_text()):
        for part in block["body"].split(PROMPT)[1:]:
            command, _, output = part.partition("\n")
            yield Shown(page, command, tuple(output.rstrip("\n").split("\n")) if output.strip() else ())


def printed(command: str) -> list[str]:
    """What `solvent COMMAND` prints, as a newcomer's terminal of fixed width would show it."""
    environment = {**os.environ, "COLUMNS": WIDTH, "NO_COLOR": "1", "TERM": "dumb"}
    ran = subprocess.run(
        [sys.executable, "-m", "solvent", *command.split()],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return [line.rstrip() for line in (ran.stdout + (ran.stderr if ran.returncode else "")).rstrip().split("\n")]


def matches(expected: tuple[str, ...], found: list[str]) -> bool:
    """Whether the lines are the same but for what `...` stands for."""
    pattern = "\n".join(".*" if line == ANY else re.escape(line.rstrip()) for line in expected)
    return re.fullmatch(pattern, "\n".join(found), re.DOTALL) is not None


def black_thursday(shared: Path) -> str:
    """The README's table: the same replay with a fund that suffices and with one that does not."""
    prices, funding = shared / "data/prices_intraday/hourly_2017_2021.parquet", shared / "data/funding"
    runs = []
    for fund in FUNDS_USD:
        command = (
            f"replay --market {prices} --from 2020-03-08 --to 2020-03-16 --assets BTC,ETH,LTC,XRP "
            f"--perp-funding {funding / 'btc_perp_funding_daily.parquet'} --accounts 10000 --seed 7 "
            f"--insurance {fund} --json"
        )
        runs.append(json.loads("\n".join(printed(command))))
    lines = [f"{'insurance fund, USD':<28}" + "".join(f"{fund:>16,}" for fund in FUNDS_USD)]
    lines += [f"{name:<28}" + "".join(f"{run[key]:>16,.0f}" for run in runs) for name, key in ROWS.items()]
    marks = ["yes " + run["state_hash"][:8] if run["conserved"] else "NO" for run in runs]
    lines.append(f"{'conserved, state hash':<28}" + "".join(f"{mark:>16}" for mark in marks))
    return "\n".join(lines) + "\n"


def test_the_readme_shows_the_real_black_thursday(shared: Path) -> None:
    found = TABLE.search(PAGES[0].read_text())
    assert found is not None
    assert found["body"] == black_thursday(shared)


def available(command: str) -> bool:
    """Commands on the reference data run only where it is."""
    return "../shared" not in command or (ROOT.parent / "shared").is_dir()


SHOWN = [each for page in PAGES for each in shown(page)]


@pytest.mark.parametrize("example", SHOWN, ids=lambda each: f"{each.page.name}:{each.command[:60]}")
def test_pages_show_what_commands_print(example: Shown) -> None:
    if not available(example.command):
        pytest.skip("needs the reference data in ../shared beside the checkout")
    found = printed(example.command)
    assert matches(example.lines, found), "\n".join(found)


def test_a_changed_figure_is_seen() -> None:
    assert matches(("a 1", ANY, "b 2"), ["a 1", "x", "y", "b 2"])
    assert not matches(("a 1", ANY, "b 3"), ["a 1", "x", "b 2"])


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in [*PAGES, *ROOT.glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def update(page: Path) -> None:
    """Write what the commands print into a page; blocks with `...` are only checked."""
    text = page.read_text()
    for each in shown(page):
        if ANY in each.lines or not available(each.command):
            continue
        old = PROMPT + each.command + "\n" + "".join(line + "\n" for line in each.lines)
        new = PROMPT + each.command + "\n" + "".join(line + "\n" for line in printed(each.command))
        text = text.replace(old, new)
    page.write_text(text)


if __name__ == "__main__":
    for page in PAGES:
        update(page)
    if (ROOT.parent / "shared").is_dir():
        table = black_thursday(ROOT.parent / "shared")
        PAGES[0].write_text(TABLE.sub(lambda _: table, PAGES[0].read_text(), count=1))
