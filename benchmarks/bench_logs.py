"""Reading logs: from a node's answer over HTTP to columns, a page of 10,000 at a time.

Claim: at least 60,000 logs a second on one core. The node is a process of its own that sends the same ready page each
time, so that what is measured is the reader: HTTP, JSON, columns.
Run: PYTHONPATH=src python benchmarks/bench_logs.py
"""

import multiprocessing
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from solvent.chain.logs import EventTable, LogReader, frame
from solvent.chain.rpc import connect

PAGE_LOGS = 10_000
PAGES = 5
ROUNDS = 5
FLOOR = 60_000
BORROW = [
    {
        "type": "event",
        "name": "Borrow",
        "inputs": [
            {"name": name, "type": kind, "indexed": indexed}
            for name, kind, indexed in (
                ("reserve", "address", True),
                ("onBehalfOf", "address", True),
                ("user", "address", False),
                ("timestamp", "uint64", False),
            )
        ],
    }
]
"""Two indexed and two data words, as most events of lending pools."""


def page(topic: str) -> bytes:
    """The answer of a node that holds `PAGE_LOGS` logs."""
    logs = [
        {
            "address": "0x" + "11" * 20,
            "topics": [topic, "0x" + "22" * 32, f"0x{i:064x}"],
            "data": f"0x{i:064x}{i * 7:064x}",
            "blockHash": f"0x{i // 500:064x}",
            "blockNumber": hex(i // 500),
            "blockTimestamp": hex(1_700_000_000 + i),
            "transactionHash": f"0x{i:064x}",
            "transactionIndex": hex(i % 500),
            "logIndex": hex(i % 500),
            "removed": False,
        }
        for i in range(PAGE_LOGS)
    ]
    return msgspec.json.encode({"jsonrpc": "2.0", "id": 0, "result": logs})


def serve(body: bytes, port: Connection) -> None:
    """A node that always sends the same page."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    port.send(server.server_port)
    server.serve_forever()


def measure(reader: LogReader, table: EventTable) -> float:
    """Logs a second."""
    start, count = time.perf_counter(), 0
    for logs in reader.pages(1, PAGES):
        count += frame(logs, table.of("Borrow")).height
    return count / (time.perf_counter() - start)


if __name__ == "__main__":
    table = EventTable(BORROW)
    topic = table.of("Borrow").topic
    here, there = multiprocessing.Pipe()
    node = multiprocessing.get_context("spawn").Process(target=serve, args=(page(topic), there), daemon=True)
    node.start()
    rpc = connect([f"http://127.0.0.1:{here.recv()}"])
    rates = []
    for _ in range(ROUNDS):
        reader = LogReader(rpc, ["0x" + "11" * 20], [topic], page_blocks=1)
        rates.append(measure(reader, table))
    node.terminate()
    best = sorted(rates)[len(rates) // 2]
    print(f"{best:,.0f} logs/s (median of {ROUNDS}; {min(rates):,.0f} to {max(rates):,.0f})")
    raise SystemExit(f"below {FLOOR:,}" if best < FLOOR else 0)
