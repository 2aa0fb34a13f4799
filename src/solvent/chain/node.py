"""A node for shows and experiments: anvil where it is installed, else the chain in this process."""

import contextlib
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator

from solvent.chain.local import LocalChain
from solvent.chain.rpc import EndpointsLost, HttpEndpoint, Rpc
from solvent.errors import problem

START_S = 20.0
STOP_S = 10.0
LISTENING = re.compile(r"Listening on ([\d.:]+)")


@contextlib.contextmanager
def devnode(anvil: str | None = None) -> Iterator[tuple[Rpc, str]]:
    """A client on a fresh chain that makes blocks only when asked, and what the node is.

    anvil: path of the program; None: wherever the shell finds it; empty: the chain in this process.
    """
    program = shutil.which("anvil") if anvil is None else anvil
    if not program:
        yield Rpc([LocalChain(block_time_s=1)]), "in-process chain"
        return
    command = [program, "--port", "0", "--hardfork", "cancun", "--no-mining", "--order", "fees"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield Rpc([HttpEndpoint(_listening(process))]), "anvil"
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listening(process: "subprocess.Popen[str]") -> str:
    """The address that it says it listens on; what it prints afterwards is read and dropped."""
    found: list[str] = []
    ready = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if not found and (match := LISTENING.search(line)):
                found.append(f"http://{match[1]}")
                ready.set()
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    if not ready.wait(START_S) or not found:
        raise EndpointsLost(problem("anvil", None, "start", "no address", f"one within {START_S:g} s"))
    return found[0]
