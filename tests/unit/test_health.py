"""Health over real HTTP: what each path says, and that no client and no hanging loop can silence it."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import orjson
import pytest

from gateway.observe import health
from gateway.observe.health import MAX_LOOP_SILENCE_S, HealthServer, LoopPulse, Status
from gateway.observe.metrics import Metrics

BOUND_S = 10
PROCESS, GENIE, CONSENTS = {"instance": "replica-0"}, {"breaker_open": False}, {"lag": 0}
LANES = {"lease.payments:3": {"watermark": 10, "stopped": False}}


class Process:
    """A process whose status the test sets."""

    def __init__(self) -> None:
        self.ready = True
        self.reasons: tuple[str, ...] = ()
        self.silent_for = 0.0
        self.kafka_silence: float | None = None
        self.error: Exception | None = None

    def status(self) -> Status:
        if self.error is not None:
            raise self.error
        seen_at = time.monotonic() - self.silent_for
        return Status(self.ready, self.reasons, LANES, self.kafka_silence, seen_at, PROCESS, GENIE, CONSENTS)


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
def port(process: Process) -> Iterator[int]:
    server = HealthServer("127.0.0.1", 0, Metrics("1.2.3", "replica-0"), process.status)
    yield server.start()
    server.stop()


class Loop:
    """An event loop that turns when the test says so, with one call waiting."""

    def __init__(self) -> None:
        self.call: Callable[[], None] | None = None
        self.delay = 0.0

    def call_later(self, delay: float, callback: Callable[..., None], *args: object) -> "Loop":
        self.delay, self.call = delay, partial(callback, *args)
        return self

    def cancel(self) -> None:
        self.call = None

    def turn(self) -> None:
        self.call()


def ask(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=BOUND_S)
    connection.request(method, path)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, content


def test_metrics_are_served(port: int) -> None:
    """A scrape gets the process's registry."""
    status, content = ask(port, "/metrics")
    assert status == 200
    assert b'gateway_build_info{replica="replica-0",version="1.2.3"} 1.0' in content


def test_a_ready_process_is_live_and_ready(port: int) -> None:
    """Both probes pass when nothing is wrong."""
    assert ask(port, "/live") == (200, b"live\n")
    assert ask(port, "/ready") == (200, b"ready\n")


def test_a_process_that_is_not_ready_says_why(port: int, process: Process) -> None:
    """The readiness probe fails with every reason, while the liveness probe passes."""
    process.ready, process.reasons = False, ("consent view catching up", "lane lease.payments:3 opening")
    assert ask(port, "/ready") == (503, b"consent view catching up\nlane lease.payments:3 opening\n")
    assert ask(port, "/live")[0] == 200


def test_a_hanging_loop_is_not_live(port: int, process: Process) -> None:
    """Both probes fail once the loop was silent for longer than its bound, and not before."""
    process.silent_for = MAX_LOOP_SILENCE_S - 5
    assert ask(port, "/live")[0] == 200
    process.silent_for = MAX_LOOP_SILENCE_S + 5
    assert ask(port, "/live")[0] == 503
    assert ask(port, "/ready") == (503, b"the event loop hangs\n")


def test_status_is_json(port: int, process: Process) -> None:
    """/status has everything, for a person or a program, also when the process is not ready."""
    process.ready, process.reasons = False, ("consent view catching up",)
    status, content = ask(port, "/status")
    told = orjson.loads(content)
    assert told.pop("loop_silence_seconds") >= 0
    assert status == 200
    assert told == {
        "ready": False,
        "live": True,
        "reasons": ["consent view catching up"],
        "kafka_silence_seconds": None,
        "process": PROCESS,
        "genie": GENIE,
        "consents": CONSENTS,
        "lanes": LANES,
    }
    process.kafka_silence = 1.23456
    assert orjson.loads(ask(port, "/status")[1])["kafka_silence_seconds"] == 1.235


def test_other_paths_and_methods_are_refused(port: int) -> None:
    """A wrong path is told the right ones, and nothing can be changed here."""
    status, content = ask(port, "/")
    assert status == 404
    assert b"/ready" in content
    assert ask(port, "/live", "POST")[0] == 405
    assert ask(port, "/metrics", "DELETE")[0] == 405


def test_head_is_answered_without_content(port: int) -> None:
    """Some probes only want the status."""
    assert ask(port, "/ready", "HEAD") == (200, b"")


def test_a_failing_status_tells_no_text(port: int, process: Process, capfd: pytest.CaptureFixture[str]) -> None:
    """A probe gets an answer whatever goes wrong, and neither it nor a log gets the exception's text."""
    process.error = ValueError("田中 090-1234-5678")
    assert ask(port, "/status") == (500, b"no status: ValueError\n")
    assert capfd.readouterr() == ("", "")


def test_garbage_is_refused_in_silence(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    """Bytes that are no HTTP are answered or dropped, and nothing is printed."""
    with socket.create_connection(("127.0.0.1", port), timeout=BOUND_S) as client:
        client.sendall(b"\x16\x03\x01 garbage\r\n\r\n")
        while client.recv(4096):
            pass
    assert ask(port, "/live")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_clients_that_say_nothing_do_not_block_others(port: int) -> None:
    """With far more silent connections than places a probe is still answered, and threads stay bounded."""
    silent = [socket.create_connection(("127.0.0.1", port), timeout=BOUND_S) for _ in range(3 * health.MAX_CLIENTS)]
    try:
        assert ask(port, "/live")[0] == 200
        serving = [thread for thread in threading.enumerate() if "process_request" in thread.name]
        assert 0 < len(serving) <= health.MAX_CLIENTS
        assert silent[0].recv(1) == b""  # the oldest was displaced
    finally:
        for client in silent:
            client.close()


def test_a_slow_client_is_cut_off(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """A client that stops in the middle of its request loses its place at the deadline."""
    assert 0 < health._Handler.timeout <= BOUND_S
    monkeypatch.setattr(health._Handler, "timeout", 0.05)
    with socket.create_connection(("127.0.0.1", port), timeout=BOUND_S) as client:
        client.sendall(b"GET /li")
        assert client.recv(1) == b""


def test_stop_ends_listening_and_clients(monkeypatch: pytest.MonkeyPatch, process: Process) -> None:
    """After stop the port is free and waiting clients are cut off; a second stop does nothing."""
    monkeypatch.setattr(health._Handler, "timeout", 10 * BOUND_S)
    server = HealthServer("127.0.0.1", 0, Metrics("", ""), process.status)
    port = server.start()
    with socket.create_connection(("127.0.0.1", port), timeout=BOUND_S) as client:
        assert ask(port, "/live")[0] == 200
        server.stop()
        server.stop()
        assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        ask(port, "/live")


def test_a_taken_port_is_an_error_at_once(port: int, process: Process) -> None:
    """A second server on the same port fails when it starts, not later in a thread."""
    with pytest.raises(OSError, match="in use"):
        HealthServer("127.0.0.1", port, Metrics("", ""), process.status).start()


def test_it_serves_ipv6(process: Process) -> None:
    """The address family follows the host."""
    server = HealthServer("::1", 0, Metrics("", ""), process.status)
    try:
        port = server.start()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with socket.create_connection(("::1", port), timeout=BOUND_S) as client:
        client.sendall(b"GET /live HTTP/1.0\r\n\r\n")
        assert client.recv(64).startswith(b"HTTP/1.0 200 OK")
    server.stop()


def test_the_pulse_follows_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """It moves each time the loop calls it, asks to be called again, and stands still once stopped."""

    loop = Loop()
    times = iter((1.0, 2.0, 3.0))
    monkeypatch.setattr(health.time, "monotonic", lambda: next(times))
    monkeypatch.setattr(health.asyncio, "get_running_loop", lambda: loop)
    pulse = LoopPulse()
    assert pulse.seen_at == 1.0
    pulse.start()
    assert pulse.seen_at == 2.0
    loop.turn()
    assert pulse.seen_at == 3.0
    assert loop.delay == health.PULSE_S
    pulse.stop()
    pulse.stop()
    assert loop.call is None
