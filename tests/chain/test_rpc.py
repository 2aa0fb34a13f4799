"""JSON-RPC: batches in order, typed errors, another endpoint where one fails, URLs that hold keys never shown."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec
import pytest

from solvent.chain.local import LocalChain
from solvent.chain.local_http import LocalServer
from solvent.chain.rpc import BATCH_MOST, EndpointLost, EndpointsLost, HttpEndpoint, Reverted, Rpc, RpcError
from solvent.errors import SolventError


class Scripted:
    """An endpoint that answers by a function of the calls."""

    def __init__(self, answer: Any, name: str = "scripted") -> None:
        self.answer, self.name, self.asked = answer, name, 0

    def post(self, body: bytes) -> bytes:
        self.asked += 1
        found = self.answer(msgspec.json.decode(body))
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, bytes) else msgspec.json.encode(found)


def echo(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answers out of order, each with its own method."""
    return [{"id": each["id"], "result": each["method"]} for each in reversed(calls)]


def lost(calls: Any) -> EndpointLost:
    return EndpointLost("scripted", "down")


def test_a_batch_keeps_its_order_across_requests() -> None:
    endpoint = Scripted(echo)
    names = [f"method_{i}" for i in range(BATCH_MOST + 7)]
    assert Rpc([endpoint]).batch([(name, ()) for name in names]) == names
    assert endpoint.asked == 2


def test_errors_stand_in_their_place_and_reverts_keep_their_data() -> None:
    def answer(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        error = {"code": 3, "message": "execution reverted", "data": "0x08c379a0"}
        return [
            {"id": 0, "result": "0x1"},
            {"id": 1, "error": error},
            {"id": 2, "error": {"code": -32601, "message": "no such method"}},
        ]

    first, second, third = Rpc([Scripted(answer)]).batch([("a", ()), ("b", ()), ("c", ())])
    assert first == "0x1"
    assert isinstance(second, Reverted)
    assert second.data == "0x08c379a0"
    assert isinstance(third, RpcError)
    assert not isinstance(third, Reverted)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lost, id="down"),
        pytest.param(lambda calls: b"<html>", id="no-json"),
        pytest.param(lambda calls: [], id="answers-missing"),
        pytest.param(lambda calls: {"error": {"code": -32005, "message": "limit"}}, id="batch-refused"),
    ],
)
def test_the_next_endpoint_answers_where_one_does_not(broken: Any) -> None:
    first, second = Scripted(broken), Scripted(echo)
    rpc = Rpc([first, second], clock=lambda: 0.0)
    assert rpc.call("eth_chainId") == "eth_chainId"
    assert rpc.fail_overs == 1
    assert rpc.call("eth_chainId") == "eth_chainId"
    assert first.asked == 1, "it rests"


def test_an_endpoint_comes_back_after_its_rest() -> None:
    now = [0.0]
    answers = iter([lost, echo])
    first = Scripted(lambda calls: next(answers)(calls))
    second = Scripted(echo)
    rpc = Rpc([first, second], clock=lambda: now[0])
    rpc.call("a")
    now[0] = 3.0
    rpc.call("a")
    assert (first.asked, second.asked) == (2, 1)


def test_all_lost_names_each_endpoint() -> None:
    rpc = Rpc([Scripted(lost), Scripted(lambda calls: b"")])
    with pytest.raises(EndpointsLost) as raised:
        rpc.call("a")
    assert len(raised.value.problems) == 2


def test_every_endpoint_must_be_on_the_chain() -> None:
    right, wrong = LocalChain(chain_id=5), LocalChain(chain_id=6)
    Rpc([right]).require_chain(5)
    with pytest.raises(SolventError, match="chain_id = 6"):
        Rpc([right, wrong]).require_chain(5)


def test_http_keeps_its_connection_and_survives_its_loss() -> None:
    with LocalServer(LocalChain()) as server:
        endpoint = HttpEndpoint(server.url)
        rpc = Rpc([endpoint])
        assert rpc.call("eth_chainId") == "0x7a69"
        connection = endpoint._open
        assert rpc.call("eth_blockNumber") == "0x0"
        assert endpoint._open is connection
    with pytest.raises(EndpointsLost):
        rpc.call("eth_chainId")


@pytest.fixture
def busy() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(429)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v2/secret-key"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_busy_node_is_lost_and_its_key_is_not_shown(busy: str) -> None:
    with pytest.raises(EndpointsLost) as raised:
        Rpc([HttpEndpoint(busy)]).call("eth_chainId")
    assert "429" in str(raised.value)
    assert "secret-key" not in str(raised.value)


@pytest.mark.parametrize("url", ["", "127.0.0.1:8545", "ftp://node", "http://", "http://node:99999"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(SolventError, match="a URL such as"):
        HttpEndpoint(url)


def test_a_browser_cannot_post_to_the_local_server() -> None:
    import http.client

    with LocalServer(LocalChain()) as server:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=5)
        connection.request("POST", "/", b'{"method":"anvil_mine"}', {"Content-Type": "text/plain"})
        assert connection.getresponse().status == 415
        connection.close()
