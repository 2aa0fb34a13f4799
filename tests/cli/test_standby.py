"""A standby takes over from a killed venue: within seconds, with everything that was acknowledged."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.ledger.test_stores import server, store

from solvent.ledger.recovery import verify
from solvent.ledger.stores import open_journal

__all__ = ["server", "store"]
UP = [sys.executable, "-c", "from solvent.cli.main import run; run()", "up", "--json-lines", "--speed", "20"]
TAKEOVER_S = 10.0


def started(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([*UP, *arguments], stdout=subprocess.PIPE, text=True)


def next_height(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"ended with {process.wait(10)}"
    return int(json.loads(line)["height"])


def take_over(store: str, running: "subprocess.Popen[str]") -> tuple["subprocess.Popen[str]", float]:
    """Kill the running venue with -9 once a standby follows it; the standby, and the seconds it took to acknowledge."""
    standby = started("--store", store, "--standby", "--patience", "1.5")
    until = time.monotonic() + 5.0  # it has to import and recover before it can follow
    told = 0
    while time.monotonic() < until:
        told = next_height(running)
    running.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    assert running.stdout is not None
    heights = [int(json.loads(line)["height"]) for line in running.stdout.read().splitlines() if line.endswith("}")]
    running.wait(10)
    told = max([told, *heights])
    first = next_height(standby)
    took_s = time.monotonic() - killed
    assert first > told, "it went on from what was acknowledged"
    return standby, took_s


def take_over_often(store: str, times: int) -> list[float]:
    running, took = started("--store", store, "--accounts", "60"), []
    try:
        next_height(running)
        for _ in range(times):
            running, took_s = take_over(store, running)
            took.append(took_s)
    finally:
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=30)
    journal = open_journal(store, writer=False)
    assert verify(journal).problems == []
    journal.close()
    return took


def test_a_standby_takes_over_within_ten_seconds_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    took = take_over_often(str(tmp_path / "venue.journal"), 1)
    assert max(took) < TAKEOVER_S


@pytest.mark.nightly
def test_fifty_takeovers(store: str) -> None:
    took = take_over_often(store, 50)
    assert max(took) < TAKEOVER_S


def test_a_standby_that_is_stopped_ends_in_order(tmp_path: Path) -> None:
    path = str(tmp_path / "venue.journal")
    subprocess.run([*UP, "--store", path, "--accounts", "60", "--ticks", "2"], check=True, capture_output=True)
    standby = started("--store", path, "--standby", "--patience", "60")
    time.sleep(1.0)
    standby.send_signal(signal.SIGTERM)
    assert standby.wait(20) == 0


def test_a_stalled_venue_is_fenced_when_it_wakes(tmp_path: Path) -> None:
    path = str(tmp_path / "venue.journal")
    running = started("--store", path, "--accounts", "60")
    next_height(running)
    running.send_signal(signal.SIGSTOP)
    standby = started("--store", path, "--standby", "--patience", "1")
    try:
        height = next_height(standby)
        running.send_signal(signal.SIGCONT)
        assert running.wait(30) == 2, "what woke up is fenced and says so"
        assert next_height(standby) > height
    finally:
        running.kill()
        standby.send_signal(signal.SIGTERM)
        standby.communicate(timeout=30)
        running.communicate(timeout=30)
