"""JSON-RPC over HTTP in batches, on several endpoints: the next one answers where one does not."""

import http.client
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from solvent.errors import SolventError, problem

BATCH_MOST = 500
"""Calls in one request: nodes refuse much more."""
ANSWER_MOST = 512 * 2**20
"""Bytes of one answer."""
REST_S = 2.0
"""An endpoint that failed rests so long, doubled with each further failure up to `REST_MOST_S`."""
REST_MOST_S = 60.0
RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})

Call = tuple[str, Sequence[Any]]
"""Method and parameters."""


class RpcError(SolventError):
    """The node answered with an error."""

    def __init__(self, method: str, code: int, text: str, data: Any = None) -> None:
        self.method, self.code, self.text, self.data = method, code, text, data
        super().__init__(problem("node", None, method, f"{code} {text}", "an answer without error"))


class Reverted(RpcError):
    """The call was executed and reverted; `data` is what it reverted with."""


class EndpointLost(SolventError):
    """One endpoint gave no answer, or none that is JSON-RPC."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(problem(name, None, "endpoint", why, "a node that answers JSON-RPC"))


class EndpointsLost(SolventError):
    """None of the endpoints answered."""


class Endpoint(Protocol):
    """Where requests go: a node over HTTP, or a chain in this process."""

    @property
    def name(self) -> str:
        """Shown in errors: never with the path, which may hold a key."""
        ...

    def post(self, body: bytes) -> bytes:
        """Answer to one request. Raises EndpointLost."""
        ...


class HttpEndpoint:
    """A node behind an `http(s)://` URL; one connection that stays open, one request at a time."""

    def __init__(self, url: str, timeout_s: float = 20.0) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise SolventError(problem("rpc", None, "url", parts.scheme, "a URL such as http://127.0.0.1:8545"))
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._open: http.client.HTTPConnection | None = None
        self.name = f"{parts.scheme}://{parts.hostname}{'' if port is None else f':{port}'}"

    def post(self, body: bytes) -> bytes:
        """Answer to one request; a connection that the node closed meanwhile is opened once more."""
        with self._lock:
            for fresh in (self._open is None, True):
                try:
                    return self._exchange(body)
                except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
                    self.close()
                    if fresh:
                        raise EndpointLost(self.name, type(error).__name__) from error
                except (OSError, http.client.HTTPException) as error:
                    self.close()
                    raise EndpointLost(self.name, f"{type(error).__name__} {error}".strip()) from error
        raise EndpointLost(self.name, "closed")

    def _exchange(self, body: bytes) -> bytes:
        if self._open is None:
            self._open = (
                http.client.HTTPSConnection(
                    self._host, self._port, timeout=self._timeout_s, context=ssl.create_default_context()
                )
                if self._secure
                else http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
            )
        self._open.request("POST", self._path, body, {"Content-Type": "application/json"})
        answer = self._open.getresponse()
        content = answer.read(ANSWER_MOST + 1)
        if answer.status in RETRY_STATUS:
            raise EndpointLost(self.name, f"HTTP {answer.status}")
        if len(content) > ANSWER_MOST:
            self.close()
            raise EndpointLost(self.name, f"an answer above {ANSWER_MOST} bytes")
        return content

    def close(self) -> None:
        """Let go of the connection; the next request opens one."""
        if self._open is not None:
            self._open.close()
            self._open = None


class Fault(msgspec.Struct, frozen=True):
    """The error of an answer."""

    code: int = 0
    message: str = ""
    data: Any = None


class Answer(msgspec.Struct, frozen=True):
    """One answer of a batch."""

    id: int | None = None
    result: Any = None
    error: Fault | None = None


_ANSWERS = msgspec.json.Decoder(list[Answer] | Answer)
_ENCODE = msgspec.json.Encoder().encode


class Rpc:
    """Calls on the first endpoint that answers; one that failed is tried again after a rest."""

    def __init__(self, endpoints: Sequence[Endpoint], clock: Callable[[], float] = time.monotonic) -> None:
        """endpoints: in order of preference. clock: seconds, for the rests."""
        if not endpoints:
            raise SolventError(problem("rpc", None, "endpoints", "none", "at least one URL"))
        self.endpoints = tuple(endpoints)
        self._clock = clock
        self._failures = [0] * len(endpoints)
        self._rested_s = [0.0] * len(endpoints)
        self.fail_overs = 0
        """Requests that one endpoint could not answer."""

    def call(self, method: str, *params: Any) -> Any:
        """Result of one call. Raises RpcError, Reverted or EndpointsLost."""
        found = self.batch([(method, params)])[0]
        if isinstance(found, RpcError):
            raise found
        return found

    def batch(self, calls: Sequence[Call]) -> list[Any]:
        """Results in order; a call that failed has its RpcError in its place, unless all endpoints are lost."""
        results: list[Any] = []
        for start in range(0, len(calls), BATCH_MOST):
            part = calls[start : start + BATCH_MOST]
            results += self._through(request(part), partial(results_of, part))
        return results

    def results(self, calls: Sequence[Call]) -> list[Any]:
        """Results in order, none of them an error. Raises the first error found."""
        found = self.batch(calls)
        for each in found:
            if isinstance(each, RpcError):
                raise each
        return found

    def raw(self, method: str, *params: Any) -> bytes:
        """The answer to one call as it came, for large answers that are read by type."""
        body: bytes = self._through(_ENCODE(_one(0, (method, params))), bytes)
        return body

    def _through(self, body: bytes, read: Callable[[bytes], Any]) -> Any:
        lost: list[EndpointLost] = []
        for index in self._order():
            try:
                found = read(self.endpoints[index].post(body))
            except (EndpointLost, msgspec.MsgspecError) as error:
                lost.append(
                    error if isinstance(error, EndpointLost) else EndpointLost(self.endpoints[index].name, str(error))
                )
                self._failures[index] += 1
                rest_s = min(REST_S * 2 ** (self._failures[index] - 1), REST_MOST_S)
                self._rested_s[index] = self._clock() + rest_s
                self.fail_overs += 1
                continue
            self._failures[index] = 0
            return found
        raise EndpointsLost(*(each.problems[0] for each in lost), message="no endpoint answered")

    def _order(self) -> list[int]:
        """Endpoints that do not rest, in order of preference; then the others, as a last resort."""
        now = self._clock()
        return sorted(range(len(self.endpoints)), key=lambda i: (self._failures[i] > 0 and self._rested_s[i] > now, i))

    def require_chain(self, chain_id: int) -> None:
        """Raise SolventError unless every endpoint that answers is on this chain, and one does."""
        answered = 0
        for endpoint in self.endpoints:
            try:
                found = Rpc([endpoint]).call("eth_chainId")
            except EndpointsLost:
                continue
            answered += 1
            if number(found) != chain_id:
                raise SolventError(problem(endpoint.name, None, "chain_id", number(found), f"{chain_id}"))
        if not answered:
            raise EndpointsLost(message="no endpoint answered")


def connect(urls: Sequence[str], timeout_s: float = 20.0) -> Rpc:
    """A client on these URLs, in order of preference."""
    return Rpc([HttpEndpoint(url, timeout_s) for url in urls])


def request(calls: Sequence[Call]) -> bytes:
    """The body of a batch; ids are positions."""
    return _ENCODE([_one(index, call) for index, call in enumerate(calls)])


def _one(index: int, call: Call) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": index, "method": call[0], "params": list(call[1])}


def results_of(calls: Sequence[Call], body: bytes) -> list[Any]:
    """Results of a batch in the order of its calls. Raises MsgspecError where an answer is missing."""
    answers = _ANSWERS.decode(body)
    if isinstance(answers, Answer):
        fault = answers.error or Fault(message="one answer to a batch")
        raise msgspec.ValidationError(f"{fault.code} {fault.message}")
    by_id = {answer.id: answer for answer in answers}
    if missing := [index for index in range(len(calls)) if index not in by_id]:
        raise msgspec.ValidationError(f"no answer to call {missing[0]} of the batch")
    return [_result(call[0], by_id[index]) for index, call in enumerate(calls)]


def _result(method: str, answer: Answer) -> Any:
    fault = answer.error
    if fault is None:
        return answer.result
    is_revert = fault.code == 3 or "revert" in fault.message.lower()
    return (Reverted if is_revert else RpcError)(method, fault.code, fault.message, fault.data)


def quantity(value: int) -> str:
    """An integer as JSON-RPC writes it."""
    return hex(value)


def number(value: Any) -> int:
    """An integer of JSON-RPC. Raises SolventError for anything else."""
    try:
        return int(value, 16)
    except (TypeError, ValueError):
        raise SolventError(problem("node", None, "quantity", value, "a hexadecimal integer")) from None


def data(value: Any) -> bytes:
    """Bytes of JSON-RPC. Raises SolventError for anything else."""
    try:
        return bytes.fromhex(value.removeprefix("0x"))
    except (AttributeError, ValueError):
        raise SolventError(problem("node", None, "data", value, "hexadecimal bytes")) from None
