"""The in-process chain over loopback HTTP, for clients that know nothing of it."""

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from solvent.chain.local import LocalChain
from solvent.chain.rpc import EndpointLost

REQUEST_MOST = 64 * 2**20


class LocalServer:
    """Serves a chain on a free port of 127.0.0.1; a context, so that it ends."""

    def __init__(self, chain: LocalChain, port: int = 0) -> None:
        """port: 0 for any that is free."""

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                _handle(self, chain)

            def log_message(self, format: str, *args: Any) -> None:
                """Not to stderr: whoever shows the chain shows what it does."""

        self._server = _Server(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "LocalServer":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """Knows who is connected: clients keep their connections open, and a stopped server must not answer."""

    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        self._connected: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connected.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connected.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for each in list(self._connected):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def _handle(handler: BaseHTTPRequestHandler, chain: LocalChain) -> None:
    length = int(handler.headers.get("Content-Length") or 0)
    # A page in somebody's browser can reach 127.0.0.1 too, but not with this content type unasked.
    if handler.headers.get("Content-Type", "").split(";")[0] != "application/json" or length > REQUEST_MOST:
        status, body = 415, b""
    else:
        try:
            status, body = 200, chain.post(handler.rfile.read(length))
        except EndpointLost:
            status, body = 400, b""
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
    handler.close_connection = handler.close_connection or status != 200
