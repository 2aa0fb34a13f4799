"""The same book gives the same bits: one thread or two, compiled or interpreted, whatever the hash seed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
CODE = """
import hashlib
import numpy as np
from tests.margin.rules.portfolio.worlds import UNIVERSE, WORLDS
from solvent.domain.book import Book
from solvent.margin.rules.portfolio import kernel

accounts, width = {accounts}, 4
rng = np.random.default_rng(5)
columns = np.repeat(np.arange(accounts), width), rng.integers(0, len(UNIVERSE), accounts * width)
lots = rng.integers(-10**6, 10**6, accounts * width)
form = UNIVERSE.terms.form[columns[1]]
cost = np.where((form == 1) | (form == 2), rng.integers(-10**9, 10**9, accounts * width), 0)
book = Book.from_rows(UNIVERSE, [str(a) for a in range(accounts)], *columns, lots, cost)
kernel.PARALLEL_FROM = accounts  # so that a book small enough to be interpreted takes the parallel way too
digest = hashlib.blake2b()
for world, count in ((WORLDS[0], accounts), (WORLDS[3], 200), (WORLDS[13], 200)):
    statement = world.prepared.assess(book, np.arange(count))
    for name in ("equity", "initial_margin", "maintenance_margin", "collateral_value", "liabilities", "leverage",
                 "worst_scenario", "certain"):
        digest.update(getattr(statement, name).tobytes())
    digest.update(repr([world.prepared.exact(book, a) for a in range(40)]).encode())
    digest.update(world.prepared.shared.digest.encode())
print(digest.hexdigest())
"""


def digest(**environment: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", CODE.format(accounts=4_000)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.fixture(scope="module")
def compiled() -> str:
    return digest(PYTHONHASHSEED="1")


@pytest.mark.parametrize("threads", ["1", "2"])
def test_threads_change_nothing(compiled: str, threads: str) -> None:
    assert digest(NUMBA_NUM_THREADS=threads, PYTHONHASHSEED="2") == compiled


def test_interpreted_is_compiled(compiled: str) -> None:
    assert digest(NUMBA_DISABLE_JIT="1") == compiled
