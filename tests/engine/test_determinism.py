"""One journal, one state: on any machine setting, after any kill, decided again or cut into other blocks."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import NIGHTLY

from solvent.engine.engine import Redecider
from solvent.engine.replay import replay
from solvent.ledger.apply import apply_entry
from solvent.ledger.journal import MemoryJournal
from solvent.ledger.recovery import recover, verify
from solvent.ledger.sqlite import SqliteJournal
from solvent.ledger.state import State

CRASH = Path(__file__).parent.parent.parent / "examples" / "candles-crash.csv"
SPAN = {"start": "2024-06-02 00:00", "end": "2024-06-02 18:00"}
KILLS = 100 if NIGHTLY else 20

RUN = """
import sys
from solvent.engine.replay import replay
from solvent.ledger.sqlite import SqliteJournal
journal = SqliteJournal(sys.argv[1])
print(journal.head().height, flush=True)
run = replay(sys.argv[2], start=sys.argv[3], end=sys.argv[4], accounts=int(sys.argv[5]), seed=3, insurance_usd=50.0,
             journal=journal, progress=lambda *_: print(journal.head().height, flush=True))
print(run.summary.state_hash, flush=True)
"""
"""A replay into a file that prints the height of every block once it is durable, and its state hash at the end."""


@pytest.fixture(scope="module")
def journal() -> MemoryJournal:
    """A crash that ends in deleveraging, kept in memory."""
    kept = MemoryJournal()
    run = replay(CRASH, **SPAN, accounts=200, seed=3, insurance_usd=50.0, journal=kept)
    assert run.summary.liquidations > 50
    assert run.summary.conserved
    return kept


def test_every_command_is_decided_the_same_again(journal: MemoryJournal) -> None:
    report = verify(journal, redecide=Redecider())
    assert report.problems == []
    assert report.redecided == report.entries > 500


def test_a_decision_that_differs_is_found(journal: MemoryJournal) -> None:
    again = Redecider()
    report = verify(journal, redecide=lambda state, entry: again(state, entry)[:-1])
    assert len(report.problems) > 500


def test_other_batch_cuts_are_the_same_state(journal: MemoryJournal) -> None:
    state = State()
    for block in journal.read():
        for entry in block.entries():
            state.begin_block(block.ts_ns)
            apply_entry(state, entry)
    assert state.height > len(journal.blocks)
    assert state.hash() == recover(journal).hash()


@pytest.fixture(scope="module")
def store(journal: MemoryJournal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("determinism") / "run.journal"
    kept = SqliteJournal(path)
    for block in journal.read():
        kept.commit(block.entries(), block.ts_ns)
    kept.close()
    return path


@pytest.mark.parametrize(
    "setting",
    [
        {"PYTHONHASHSEED": "1"},
        {"PYTHONHASHSEED": "2"},
        {"NUMBA_NUM_THREADS": "1"},
        {"NUMBA_NUM_THREADS": "2"},
        {"NUMBA_DISABLE_JIT": "1"},
        {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
    ],
    ids=lambda setting: "=".join(next(iter(setting.items()))),
)
def test_the_same_journal_is_the_same_state_everywhere(
    journal: MemoryJournal, store: Path, setting: dict[str, str]
) -> None:
    command = [sys.executable, "-m", "solvent", "journal", "verify", str(store), "--redecide", "--json"]
    ran = subprocess.run(
        command, env={**os.environ, **setting}, capture_output=True, text=True, timeout=300, check=False
    )
    report = json.loads(ran.stdout)
    assert report["problems"] == []
    assert report["redecided"] > 500
    assert report["state_hash"] == recover(journal).hash().hex()


def test_the_same_market_is_the_same_state_with_the_arithmetic_of_another_processor() -> None:
    """Sums of BLAS differ with the processor, its own or an old one; none of them may decide."""
    command = [sys.executable, "-m", "solvent", "replay", "--market", str(CRASH), "--accounts", "1000", "--seed", "7"]
    own = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    hashes = set()
    for environment in (own, {**own, "OPENBLAS_CORETYPE": "Prescott"}):
        ran = subprocess.run(
            [*command, "--json"], env=environment, capture_output=True, text=True, timeout=300, check=True
        )
        hashes.add(json.loads(ran.stdout)["state_hash"])
    assert len(hashes) == 1


def killed(path: Path, after: int) -> tuple[int, str]:
    """Run until `after` blocks were heard of, then kill -9; (height heard of, state hash if it came to its end)."""
    span = [SPAN["start"], SPAN["end"], "60"]
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(path), str(CRASH), *span], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    heard, seen = 0, 0
    for line in process.stdout:
        text = line.strip()
        if not text.isdigit():
            process.wait()
            return heard, text
        heard, seen = int(text), seen + 1
        if seen > after:
            process.send_signal(signal.SIGKILL)
            break
    rest = [int(text) for text in process.stdout.read().split() if text.isdigit()]
    process.wait()
    return max([heard, *rest]), ""


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    moments = random.Random(11)
    uninterrupted, last = tmp_path / "whole.journal", ""
    _, whole = killed(uninterrupted, 10**9)
    blocks = SqliteJournal(uninterrupted, writer=False).head().height
    path, kills = tmp_path / "killed.journal", 0
    while not last:
        most = max(2, 2 * (blocks - (SqliteJournal(path, writer=False).head().height if path.exists() else 0)) // 3)
        heard, last = killed(path, moments.randrange(1, most) if kills < KILLS else 10**9)
        kills += not last
        assert SqliteJournal(path, writer=False).head().height >= heard
        if last and kills < KILLS:
            assert last == whole
            path, last = tmp_path / f"killed-{kills}.journal", ""
    assert kills >= KILLS
    assert last == whole
    assert verify(SqliteJournal(path, writer=False)).problems == []
