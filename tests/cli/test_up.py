"""`solvent up` as people start it: in a log, in a pipe, on a terminal; stopped, forced, taken up again."""

import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from tests.cli.test_live import CALM, CRASH
from typer.testing import CliRunner

from solvent.cli.main import app
from solvent.cli.shows import Lines, Screen, can_draw, happened, log_line, tick_figures
from solvent.cli.up import default_store, pause_s, title_of
from solvent.engine.summary import Summary
from solvent.errors import SolventError
from solvent.ledger.sqlite import SqliteJournal

UP = [sys.executable, "-c", "from solvent.cli.main import run; run()", "up"]
SMALL = ["--accounts", "60"]
PATIENCE_S = 60


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*UP, *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False)


class Started:
    """A run in the background whose lines can be waited for."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen([*UP, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines: list[str] = []

    def wait_for(self, word: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if word in line:
                return
        raise AssertionError(f"ended without {word!r}: {self.lines}")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, "".join(self.lines) + out, err


class TestInALog:
    def test_it_logs_plain_lines_and_the_summary(self) -> None:
        done = run(*SMALL, "--ticks", "20", "--store", "memory", "--speed", "0")
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert lines[0] == "starting: engine"
        assert any(re.match(r"2024-01-01 00:05:00 block 5 \| BTC [\d,.]+ .* fund 2,000,000$", line) for line in lines)
        assert re.search(r"ticks +20\b", done.stdout)
        assert re.search(r"conserved +yes", done.stdout)
        assert lines[-1] == "kept in memory only"
        assert "\x1b" not in done.stdout

    def test_json_lines_are_a_tick_each_and_the_summary(self) -> None:
        arguments = ["up", *SMALL, "--ticks", "25", "--store", "memory", "--speed", "0", "--json-lines"]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0
        *ticks, last = map(json.loads, done.stdout.splitlines())
        assert [each["height"] for each in ticks] == list(range(5, 30))
        assert ticks[-1]["ts"] == "2024-01-01T02:05:00Z"
        assert sum(ticks[-1]["health"].values()) == 61
        assert set(ticks[-1]["prices"]) == {"BTC", "ETH", "SOL", "USDC"}
        assert last["summary"]["ticks"] == 25
        assert last["summary"]["conserved"] is True
        assert last["summary"]["liquidations"] == ticks[-1]["liquidations"]


class TestStopping:
    def test_a_signal_ends_it_after_the_block_and_the_next_run_goes_on(self, tmp_path: Path) -> None:
        store, heights = str(tmp_path / "a.journal"), [0]
        for number, more in ((signal.SIGINT, SMALL), (signal.SIGTERM, [])):
            started = Started("--store", store, *more, "--speed", "20", "--json-lines")
            started.wait_for(f'"height": {heights[-1] + 9}')
            started.signal(number)
            code, out, err = started.end()
            assert (code, err) == (0, "")
            *_, tick, summary = map(json.loads, out.splitlines())
            journal = SqliteJournal(store, writer=False)
            assert journal.head().height == tick["height"] + 1 > heights[-1], "the last block notes the snapshot"
            assert next(journal.snapshots()).height == tick["height"]
            assert summary["summary"]["conserved"]
            assert summary["store"] == store
            heights.append(tick["height"])

    def test_a_second_one_ends_it_at_once(self) -> None:
        started = Started("--store", "memory", "--accounts", "60000")
        started.wait_for("starting: market")  # so many accounts take seconds to open
        started.signal(signal.SIGINT)
        time.sleep(0.1)
        started.signal(signal.SIGINT)
        code, out, _ = started.end()
        assert code == 130
        assert "conserved" not in out

    def test_another_writer_ends_it_with_a_word(self, tmp_path: Path) -> None:
        store = str(tmp_path / "a.journal")
        started = Started("--store", store, *SMALL, "--speed", "20", "--json-lines")
        started.wait_for('"height": 9')
        SqliteJournal(store).close()
        code, _, err = started.end()
        assert code == 2
        assert err.startswith("error: ")
        assert "another writer took the journal over" in " ".join(err.split())
        assert "Traceback" not in err


class TestOnATerminal:
    def test_it_draws_the_whole_screen_and_gives_it_back(self, tmp_path: Path) -> None:
        store = tmp_path / "a.journal"
        code, shown = on_a_terminal("--store", str(store), *SMALL, "--ticks", "12", "--speed", "8")
        assert code == 0
        entered, left = shown.index("\x1b[?1049h"), shown.index("\x1b[?1049l")
        live, after = shown[entered:left], shown[left:]
        for each in ("margin kernels", "BTC", "61 accounts by health", "Worst accounts", "insurance fund", "calm"):
            assert each in live
        assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is back
        assert re.search(r"conserved.*yes", after)
        assert str(store) in after


def on_a_terminal(*arguments: str) -> tuple[int, str]:
    """Exit code and everything that a run wrote to a terminal of 120 x 40 characters."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"} | dict.fromkeys(("COLUMNS", "LINES"), "")
    environment = {name: value for name, value in environment.items() if value}
    process = subprocess.Popen([*UP, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    chunks: list[bytes] = []

    def read() -> None:
        while True:
            try:
                chunk = os.read(ours, 65_536)
            except OSError:  # the other end is closed
                return
            if not chunk:
                return
            chunks.append(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    code = process.wait(PATIENCE_S)
    reader.join(PATIENCE_S)
    os.close(ours)
    return code, b"".join(chunks).decode()


class TestScreen:
    @pytest.fixture
    def console(self) -> Console:
        return Console(file=io.StringIO(), force_terminal=True, width=120, height=40, record=True)

    def drawn(self, screen: Screen, console: Console) -> str:
        console.print(screen.frame())
        return console.export_text()

    def test_a_frame_is_of_the_last_tick(self, console: Console) -> None:
        stop = threading.Event()
        screen = Screen(console, "a market", stop, patience_s=30.0)
        assert "a market" in self.drawn(screen, console)
        screen.tick(CALM)
        screen.tick(CRASH)
        assert "41,000.00" in self.drawn(screen, console)
        screen.tick(CALM)
        assert "calm" in self.drawn(screen, console)
        stop.set()
        assert "stopping" in self.drawn(screen, console)

    def test_a_block_that_takes_long_is_told_of(self, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
        screen = Screen(console, "a market", threading.Event(), patience_s=3.0)
        screen.tick(CALM)
        began = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: began + 9.0)
        assert "next block takes" in self.drawn(screen, console)

    def test_only_a_terminal_that_can_draw_is_drawn_on(self) -> None:
        class Latin(io.StringIO):
            encoding = "latin-1"

        assert not can_draw(Console(file=io.StringIO()))
        assert not can_draw(Console(file=Latin(), force_terminal=True))
        assert not can_draw(Console(force_terminal=True, _environ={"TERM": "dumb"}))


class TestLines:
    def test_a_line_is_ascii_and_says_what_changed(self) -> None:
        line = log_line(CRASH, CALM)
        assert line.isascii()
        assert line.startswith("2024-01-01 12:00:00 block 46 | BTC 41,000.00 (degraded) ETH 2,431.02")
        assert "liquidated 5045 times, 22.9M USD" in line
        assert "shortfall 1,415,171, bad debt 77" in line
        assert line.endswith("| 12 deleveraged")
        assert "liquidated" not in log_line(CRASH, CRASH)

    def test_quiet_ticks_are_logged_now_and_then(self, capsys: pytest.CaptureFixture[str]) -> None:
        lines = Lines(as_json=False)
        for view in (CALM, CALM, CALM, CRASH, CRASH):
            lines.tick(view)
        assert len(capsys.readouterr().out.splitlines()) == 2
        assert happened(CALM, CRASH)
        assert not happened(CRASH, msgspec.structs.replace(CRASH, commands=99))

    def test_figures_of_a_tick_tell_of_that_tick_only(self) -> None:
        found = tick_figures(CRASH)
        assert json.loads(json.dumps(found)) == found
        assert [each["kind"] for each in found["happened"]] == ["insurance", "liquidation"]

    def test_the_end_says_where_the_journal_is(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        store = tmp_path / "a.journal"
        store.write_bytes(bytes(2_500_000))
        Lines(as_json=False).end(Summary(conserved=False, shortfall_usd=5.0), str(store))
        out = capsys.readouterr().out
        assert re.search(r"conserved +NO", out)
        assert "2.5 MB" in out


class TestArguments:
    @pytest.fixture(autouse=True)
    def elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SOLVENT_STATE", str(tmp_path / "state"))

    def test_each_source_has_a_journal_of_its_own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        names = ["simulated", "replay:data/may 2021.parquet", "ccxt:kraken,bitstamp"]
        expected = ["simulated.journal", "replay-may-2021.journal", "ccxt-kraken-bitstamp.journal"]
        assert [default_store(each) for each in names] == [str(tmp_path / "state" / each) for each in expected]
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
        monkeypatch.delenv("SOLVENT_STATE")
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
        assert default_store("simulated") == str(tmp_path / "xdg" / "solvent" / "simulated.journal")
        monkeypatch.delenv("XDG_STATE_HOME")
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        assert default_store("simulated") == str(tmp_path / "home/.local/state/solvent/simulated.journal")

    def test_a_folder_that_cannot_be_made_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("SOLVENT_STATE", str(tmp_path / "file" / "state"))
        with pytest.raises(SolventError, match="--store FILE"):
            default_store("simulated")

    def test_a_live_source_keeps_its_own_pace(self) -> None:
        assert [pause_s("simulated", each) for each in (None, 0.0, 10.0)] == [0.25, 0.0, 0.1]
        assert pause_s("ccxt:kraken", 10.0) == 0.0

    def test_titles(self) -> None:
        assert title_of("simulated", 7) == "simulated market, seed 7"
        assert title_of("replay:data/x.parquet", 7) == "replay of x.parquet"
        assert title_of("ccxt:kraken", 7) == "live from kraken"

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--source", "nonsense"], "simulated, replay:PATH or ccxt:EXCHANGE"),
            (["--source", "replay:nowhere.parquet"], "nowhere.parquet"),
            (["--policy", "nonesuch"], "portfolio"),
            (["--assets", " , "], "BTC,ETH"),
            (["--accounts", "3"], "to 10"),
        ],
    )
    def test_bad_input_ends_with_2_and_writes_nothing(self, arguments: list[str], said: str, tmp_path: Path) -> None:
        before = signal.getsignal(signal.SIGINT)
        result = CliRunner().invoke(app, ["up", *arguments])
        assert result.exit_code == 2
        assert said in " ".join(result.output.split())
        assert not list(tmp_path.rglob("*.journal"))
        assert signal.getsignal(signal.SIGINT) is before
