"""One port that says how the process is: /metrics, /live, /ready, /status.

Knows HTTP and threads. Must not know what makes the process ready: a Status says it. It serves from threads of its
own, so that it answers while the event loop is busy and can tell that the loop hangs. No client can block it: there
are at most MAX_CLIENTS at once, each with a deadline for every read and write, and a newcomer displaces the oldest.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import orjson
from prometheus_client import make_wsgi_app

from gateway.observe.metrics import Metrics

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MAX_LOOP_SILENCE_S = 15.0  # an event loop that was not seen for so long hangs
PULSE_S = 0.5
MAX_CLIENTS = 16
CLIENT_TIMEOUT_S = 5.0  # for each read and write
DISPLACE_WAIT_S = 1.0  # for the oldest client's thread to end
STOP_POLL_S = 0.1  # how soon the listening thread sees that it must stop

_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Status:
    """How the process is. `reasons` says why it is not ready; the other parts what it sees, in numbers and codes."""

    ready: bool
    reasons: tuple[str, ...]
    lanes: Mapping[str, Mapping[str, Any]]
    kafka_silence: float | None  # s since the brokers last answered; None before it has joined
    loop_seen_at: float  # monotonic, s
    process: Mapping[str, Any] = field(default_factory=dict)  # who it is
    genie: Mapping[str, Any] = field(default_factory=dict)
    consents: Mapping[str, Any] = field(default_factory=dict)  # the view of them and of holds

    def loop_silence(self) -> float:
        """Seconds since the event loop was last seen."""
        return time.monotonic() - self.loop_seen_at

    @property
    def live(self) -> bool:
        """Whether the event loop still turns."""
        return self.loop_silence() <= MAX_LOOP_SILENCE_S


class LoopPulse:
    """Notes again and again that the event loop turns."""

    def __init__(self) -> None:
        self.seen_at = time.monotonic()
        self._next: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, in the running loop."""
        self._beat(asyncio.get_running_loop())

    def stop(self) -> None:
        """Note nothing more."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self.seen_at = time.monotonic()
        self._next = loop.call_later(PULSE_S, self._beat, loop)


def address_error(host: str, port: int) -> OSError | None:
    """Why nothing could listen there now; None if it could."""
    try:
        with socket.socket(_family(host, port), socket.SOCK_STREAM) as probe:
            _bind(probe, (host, port))
    except OSError as error:
        return error
    return None


class HealthServer:
    """Serves metrics and health from `start` to `stop`. `status` is called from other threads: it must only read."""

    def __init__(self, host: str, port: int, metrics: Metrics, status: Callable[[], Status]) -> None:
        self._host = host
        self._port = port
        self._metrics = make_wsgi_app(metrics.registry)
        self._status = status
        self._server: _Server | None = None

    def start(self) -> int:
        """Listen; returns the port. OSError if the address can't be had."""
        self._server = _Server(_family(self._host, self._port), (self._host, self._port))
        self._server.set_app(self._answer)
        threading.Thread(target=self._server.serve_forever, args=(STOP_POLL_S,), name="health", daemon=True).start()
        return self._server.server_port

    def stop(self) -> None:
        """Listen no more; clients that are still there are cut off."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.displace_all()

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, start)
            return answer
        if path not in _PAGES:
            return _say(start, "404 Not Found", _TEXT, b"there are /metrics, /live, /ready and /status\n")
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return _say(start, "405 Method Not Allowed", _TEXT, b"only GET\n")
        try:
            page = _PAGES[path](self._status())
        except Exception as error:  # whatever is wrong, a probe must get an answer, and no text of it
            page = "500 Internal Server Error", _TEXT, f"no status: {type(error).__name__}\n".encode()
        return _say(start, *page)


def _live(status: Status) -> tuple[str, str, bytes]:
    if status.live:
        return "200 OK", _TEXT, b"live\n"
    return "503 Service Unavailable", _TEXT, f"the event loop hangs for {status.loop_silence():.0f} s\n".encode()


def _ready(status: Status) -> tuple[str, str, bytes]:
    if status.ready and status.live:
        return "200 OK", _TEXT, b"ready\n"
    reasons = status.reasons if status.live else (*status.reasons, "the event loop hangs")
    return "503 Service Unavailable", _TEXT, "".join(f"{reason}\n" for reason in reasons or ("not ready",)).encode()


def _everything(status: Status) -> tuple[str, str, bytes]:
    whole = {
        "process": status.process,
        "ready": status.ready,
        "live": status.live,
        "reasons": status.reasons,
        "loop_silence_seconds": round(status.loop_silence(), 3),
        "kafka_silence_seconds": None if status.kafka_silence is None else round(status.kafka_silence, 3),
        "genie": status.genie,
        "consents": status.consents,
        "lanes": status.lanes,
    }
    return "200 OK", _JSON, orjson.dumps(whole, option=orjson.OPT_APPEND_NEWLINE)


_PAGES: Mapping[str, Callable[[Status], tuple[str, str, bytes]]] = {
    "/live": _live,
    "/ready": _ready,
    "/status": _everything,
}


def _say(start: StartResponse, status: str, media_type: str, content: bytes) -> Iterable[bytes]:
    start(status, [("Content-Type", media_type), ("Content-Length", str(len(content))), ("Cache-Control", "no-store")])
    return [content]


class _Handler(WSGIRequestHandler):
    timeout = CLIENT_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """A probe every few seconds is no news."""


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each client, and no more than MAX_CLIENTS of them."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int]) -> None:
        self.address_family = family
        self._clients: dict[socket.socket, None] = {}  # the oldest first
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(MAX_CLIENTS)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without asking DNS for the host's full name, as the base class does: that can take long."""
        _bind(self.socket, self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give it a thread; if all are taken, the oldest client must go."""
        if not self._places.acquire(blocking=False):
            self._displace_oldest()
            if not self._places.acquire(timeout=DISPLACE_WAIT_S):
                self.shutdown_request(request)
                return
        with self._lock:
            self._clients[request] = None
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system gives no more threads
            self._leave(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one client, in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._leave(request)

    def _leave(self, request: Any) -> None:
        with self._lock:
            del self._clients[request]
        self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away or was too slow is no news either."""

    def displace_all(self) -> None:
        """Cut off every client."""
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            _cut(client)

    def _displace_oldest(self) -> None:
        with self._lock:
            oldest = next(iter(self._clients), None)
        if oldest is not None:
            _cut(oldest)


def _cut(client: socket.socket) -> None:
    """End its connection; its thread sees the end and closes it."""
    with contextlib.suppress(OSError):  # it is gone already
        client.shutdown(socket.SHUT_RDWR)


def _family(host: str, port: int) -> socket.AddressFamily:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    except ValueError:  # no name at all, for DNS: a label of it is empty or too long
        raise OSError(errno.EINVAL, "no address and no host name") from None


def _bind(to: socket.socket, address: Any) -> None:
    """Also while connections of a process that ended are remembered."""
    to.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    to.bind(address)
