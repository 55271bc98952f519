"""The parts that are not the gateway: Kafka on data that lasts, GeNiE on receipts that last, and a wire for each seat.

Knows how they are started, ended and started again. Must not know what happens to them, or why.
"""

import asyncio
import json
import re
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
from aiokafka import TopicPartition

from gateway.kafka.cluster import EARLIEST
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.lane_start import start_lanes
from gateway.kafka.names import TopicNames
from gateway.kafka.topics import create_topics
from gateway.sandbox.broker import Node
from gateway.sandbox.broker.config import HOST
from gateway.sandbox.broker.node import LOG, free_port
from gateway.sandbox.demo.children import Child
from gateway.sandbox.pki import Pki
from gateway.sections import KafkaSettings
from tests.chaos.links import Wire
from tests.chaos.plan import Link

PARTITIONS = 3  # of each busy topic
LATENCY_MS = 20
START_S = 180.0  # GeNiE reads a million receipts first
HTTP_S = 30.0
NAMES = TopicNames("")
GROUP = KafkaSettings.model_fields["group_id"].default
# Trouble at GeNiE all along: the share of requests, or of entries, that each kind strikes.
USUAL_FAULTS: Mapping[str, float] = {
    "too_many_requests": 0.005,
    "unavailable": 0.005,
    "bad_gateway": 0.005,
    "bad_gateway_after_accepting": 0.01,
    "timeout_after_accepting": 0.005,
    "reset_before_accepting": 0.005,
    "reset_after_accepting": 0.01,
    "entry_retry": 0.001,
    "entry_rejected": 0.001,
}


BROKER_SESSION_MS = "6000"
# Apache Kafka 4.3.0 may lose its group coordinator over a crash under load, until the broker is started again.
_LOST_COORDINATOR = re.compile(r"Failed to load metadata from __consumer_offsets|out of sync with the underlying log")


class WiredNode(Node):
    """A node with one more listener for each seat, which tells clients the address of the seat's wire."""

    def __init__(self, data: Path, seats: int) -> None:
        super().__init__(data)
        self.behind = [free_port() for _ in range(seats)]
        self.shown = [free_port() for _ in range(seats)]
        own = {"CLIENTS": self.port, "CONTROLLER": self._controller_port}
        self._properties = {
            "listeners": _listeners(own | _named(self.behind)),
            "advertised.listeners": _listeners({"CLIENTS": self.port} | _named(self.shown)),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in own | _named(self.shown)),
            # A busy machine must not depose its only broker again and again: that is to be done on purpose.
            "broker.session.timeout.ms": BROKER_SESSION_MS,
        }

    def coordinator_troubles(self) -> int:
        """How often the broker has logged that the state of its group coordinator is not what its log says."""
        return len(_LOST_COORDINATOR.findall((self.data / LOG).read_text("utf-8", errors="replace")))


@dataclass(slots=True)
class Genie:
    """A strict GeNiE as a process; started again it listens where it did, and knows what it took."""

    directory: Path
    latency_ms: float
    seed: int
    port: int = 0
    admin_port: int = 0
    child: Child | None = None

    @property
    def receipts(self) -> Path:
        return self.directory / "receipts.jsonl"

    @property
    def keys(self) -> Pki:
        return Pki(self.directory / "pki")

    async def start(self) -> None:
        self.port, self.admin_port = self.port or free_port(), self.admin_port or free_port()
        arguments = ("dev", "genie", "--json", "--data", str(self.directory), "--seed", str(self.seed))
        ports = ("--port", str(self.port), "--admin-port", str(self.admin_port))
        latency = ("--latency-ms", str(self.latency_ms))
        log = self.directory.with_suffix(".log")
        log.unlink(missing_ok=True)
        self.child = Child("genie", (*arguments, *ports, *latency), log)
        await self.child.says("receipts", START_S)

    def kill(self) -> None:
        if self.child is not None:
            self.child.kill()

    async def fail(self, faults: Mapping[str, object]) -> None:
        """Switch to the usual faults and these."""
        usual = {name: {"share": share} for name, share in USUAL_FAULTS.items()}
        latency = {"latency": {"share": 1, "ms": self.latency_ms}}
        await self._ask("PUT", "/faults", {**latency, **usual, **faults})

    async def be_well(self) -> None:
        """No faults at all."""
        await self._ask("PUT", "/faults", {"latency": {"share": 1, "ms": self.latency_ms}})

    async def stats(self) -> Mapping[str, Any]:
        """What it counted since it was started."""
        return await self._ask("GET", "/stats", None)

    async def _ask(self, method: str, path: str, document: object) -> Mapping[str, Any]:
        timeout = aiohttp.ClientTimeout(total=HTTP_S)
        async with (
            aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as http,
            http.request(method, f"http://{HOST}:{self.admin_port}{path}", json=document) as answer,
        ):
            return await answer.json()


class Stage:
    """`async with` has everything up but the gateways."""

    def __init__(self, directory: Path, seats: int, seed: int) -> None:
        self.directory = directory
        self.node = WiredNode(directory / "kafka", seats)
        self.genie = Genie(directory / "genie", LATENCY_MS, seed)
        self.wires: list[Mapping[Link, Wire]] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.node.kill()
        self.genie.kill()
        await self._stack.aclose()

    async def _start(self) -> None:
        await asyncio.gather(self.node.start_async(), self.genie.start())
        connection = KafkaConnection(self.node.bootstrap, "chaos")
        await create_topics(connection, NAMES, partitions=PARTITIONS, relaxed=True)
        await start_lanes(connection, NAMES, GROUP, EARLIEST, force=False)
        for behind, shown in zip(self.node.behind, self.node.shown, strict=True):
            kafka = await self._stack.enter_async_context(Wire(behind, shown))
            genie = await self._stack.enter_async_context(Wire(self.genie.port))
            self.wires.append({Link.KAFKA: kafka, Link.GENIE: genie})

    @property
    def inputs(self) -> list[TopicPartition]:
        return _partitions(NAMES.payments, NAMES.scores)

    @property
    def replays(self) -> list[TopicPartition]:
        return [TopicPartition(NAMES.replays, 0)]

    @property
    def ledger(self) -> list[TopicPartition]:
        return _partitions(NAMES.ledger)

    async def verdict(self, logs: list[Path], skew_ms: int, seconds: float) -> Mapping[str, Any]:
        """What the independent verifier says, in a process of its own."""
        command = [sys.executable, "-m", "gateway", "dev", "verify", "--json", "--complete"]
        command += ["--bootstrap", self.node.bootstrap, "--receipts", str(self.genie.receipts)]
        command += ["--skew-ms", str(skew_ms), *(f"--logs={log}" for log in logs)]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(seconds):
                told, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode not in (0, 1):
            raise AssertionError(f"the verifier failed with status {process.returncode}")
        return json.loads(told)


def _named(ports: list[int]) -> dict[str, int]:
    return {f"SEAT{number}": port for number, port in enumerate(ports)}


def _listeners(ports: Mapping[str, int]) -> str:
    return ",".join(f"{name}://{HOST}:{port}" for name, port in ports.items())


def _partitions(*topics: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
