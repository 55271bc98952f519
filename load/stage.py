"""The parts of a round, each a process of its own: Kafka, topics, the strict GeNiE, gateways, the producer.

Knows the commands that start them. Must not know what is measured. What the demo starts in the same way is the demo's:
children, their logs, and the settings that a gateway runs with.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from gateway.sandbox.broker.node import free_port
from gateway.sandbox.demo import wiring
from gateway.sandbox.demo.children import Child, ChildError, Crew
from gateway.sandbox.demo.tasks import POLL_SECONDS
from gateway.sandbox.pki import Pki
from load.measure import Meter
from load.result import Kind, Mode
from load.scenario import Scenario
from load.schedule import Schedule

START_SECONDS = 90.0  # for any one part, on a busy machine
LOAD_SECONDS = 900.0  # for consents, or a backlog: the longest is ten million subjects
VERIFY_SECONDS = 1_800.0
HTTP_SECONDS = 5.0
CONSENTS_SECONDS = 600.0  # until a gateway has read them all
# What a gateway has in production, unlike in the demo, where things must time out while somebody looks on.
_DEFAULTS = {
    "GATEWAY_GENIE__EXPIRES_MS": "30000",
    "GATEWAY_GENIE__SKEW_MS": "5000",
    # Nobody dies in a round, and one is not lost because the machine stood still for a minute.
    "GATEWAY_KAFKA__SESSION_TIMEOUT_MS": "300000",
    "GATEWAY_KAFKA__REBALANCE_TIMEOUT_MS": "300000",
}
_SKEW_MS = 5_000


@dataclass(frozen=True, slots=True)
class Kafka:
    """A node that somebody else started and ends."""

    bootstrap: str
    pid: int | None = None  # None: what it costs is not measured


@dataclass(frozen=True, slots=True)
class Gateway:
    """One process of the gateway."""

    child: Child
    url: str

    @property
    def metrics_url(self) -> str:
        return f"{self.url}/metrics"


class Stage:
    """`async with Stage(..) as stage` has topics and GeNiE up; leaving ends every part but Kafka."""

    def __init__(self, kafka: Kafka, scenario: Scenario, directory: Path, meter: Meter) -> None:
        self.kafka = kafka
        self.scenario = scenario
        self.prefix = f"load-{uuid.uuid4().hex[:8]}."
        self.gateways: list[Gateway] = []
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.crew = Crew(directory)
        self._meter = meter
        self._genie: Mapping[str, Any] = {}
        self._first_event = 0
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=HTTP_SECONDS))

    async def __aenter__(self) -> Stage:
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End all parts."""
        try:
            await self.crew.end()
        finally:
            await self._http.close()

    async def _start(self) -> None:
        if self.kafka.pid is not None:
            self._meter.watch(Kind.KAFKA, self.kafka.pid)
        faults = [f"--fault={name}={share}" for name, share in self.scenario.faults.items()]
        genie = self.crew.start(
            "genie",
            *("dev", "genie", "--json", "--data", str(self.directory / "genie")),
            *("--latency-ms", str(self.scenario.genie_ms), *faults),
            watched=True,
        )
        each = str(self.scenario.partitions // 2)
        await self._once("topics", "topics", "create", "--partitions", each, "--allow-dev-topics")
        await self._once("lanes", "lanes", "init", "--from", "earliest", "--group", self.group)
        self._genie = await genie.says("receipts", START_SECONDS)
        self._meter.watch(Kind.GENIE, genie.pid)

    @property
    def pki(self) -> Pki:
        return Pki(Path(self._genie["pki"]))

    @property
    def metrics_urls(self) -> list[str]:
        return [gateway.metrics_url for gateway in self.gateways]

    @property
    def group(self) -> str:
        """The gateways' consumer group."""
        return f"{self.prefix}gateway"

    async def _once(self, name: str, *arguments: str) -> None:
        """Run a command to its end."""
        where = ("--bootstrap", self.kafka.bootstrap, "--prefix", self.prefix)
        await self.crew.start(name, *arguments, *where).succeeds(START_SECONDS)

    # --- what goes in ---------------------------------------------------------------------------------------

    def load_consents(self) -> Child:
        """Start writing the consents of all subjects; it ends by itself."""
        return self._producer("consents", "consents")

    def fill(self, events: int) -> Child:
        """Start writing so many events as fast as Kafka takes them."""
        return self._producer("fill", "events", "--events", str(events), *self._which(events))

    def produce(self, schedule: Schedule) -> Child:
        """Start writing events by the clock."""
        scenario = self.scenario
        child = self._producer(
            "producer",
            *("events", "--schedule", str(schedule), "--withdrawals", str(scenario.withdrawals)),
            *self._which(schedule.events),
        )
        self._meter.watch(Kind.PRODUCER, child.pid)
        return child

    def _which(self, events: int) -> list[str]:
        """Which events: no two calls write the same."""
        first, self._first_event = self._first_event, self._first_event + events
        scenario = self.scenario
        return [
            *("--first", str(first), "--hot-share", str(scenario.hot_share)),
            *("--memo-bytes", str(scenario.memo_bytes)),
        ]

    def _producer(self, name: str, *arguments: str) -> Child:
        where = ("--bootstrap", self.kafka.bootstrap, "--prefix", self.prefix)
        subjects = ("--subjects", str(self.scenario.subjects))
        return self.crew.start(name, *arguments, *where, *subjects, module="load.producer")

    # --- the gateways ---------------------------------------------------------------------------------------

    async def start_gateway(self) -> Gateway:
        """One more of them, ready."""
        number, port = len(self.gateways) + 1, free_port()
        settings = self.directory / f"gateway-{number}.toml"
        wiring.write(
            settings,
            instance=f"load-{number}",
            bootstrap=self.kafka.bootstrap,
            genie_url=self._genie["url"],
            keys=self.pki,
            view=self.directory / f"view-{number}",
            port=port,
        )
        environment = {"GATEWAY_CONFIG": str(settings), **_DEFAULTS}
        environment |= {"GATEWAY_TOPICS__PREFIX": self.prefix, "GATEWAY_KAFKA__GROUP_ID": self.group}
        if self.scenario.mode is Mode.SINGLE:
            environment["GATEWAY_GENIE__BATCH"] = "1"
        if self.scenario.connections is not None:
            environment["GATEWAY_GENIE__CONNECTIONS"] = str(self.scenario.connections)
        child = self.crew.start(f"gateway-{number}", "serve", watched=True, environment=environment)
        self._meter.watch(Kind.GATEWAY, child.pid)
        gateway = Gateway(child, f"http://127.0.0.1:{port}")
        await self._ready(gateway)
        self.gateways.append(gateway)
        return gateway

    async def _ready(self, gateway: Gateway) -> None:
        give_up_at = time.monotonic() + CONSENTS_SECONDS
        while not await self._answers(f"{gateway.url}/ready"):
            if gateway.child.status is not None:
                raise gateway.child.failure("ended before it was ready")
            if time.monotonic() > give_up_at:
                raise gateway.child.failure(f"is not ready after {CONSENTS_SECONDS:.0f} s")
            await asyncio.sleep(POLL_SECONDS)

    async def _answers(self, url: str) -> bool:
        try:
            async with self._http.get(url) as answer:
                return answer.ok
        except (aiohttp.ClientError, TimeoutError):
            return False

    # --- GeNiE, and the verdict -----------------------------------------------------------------------------

    async def genie_away(self, *, away: bool) -> None:
        """Let GeNiE end every connection, old or new; or serve again."""
        faults = {"handshake_refused": {"share": 1}, "reset_before_accepting": {"share": 1}} if away else {}
        latency = {"latency": {"share": 1, "ms": self.scenario.genie_ms}}
        async with self._http.put(f"{self._genie['admin']}/faults", json=latency | faults) as answer:
            if not answer.ok:
                raise ChildError(f"GeNiE refuses to change its faults: {await answer.text()}")

    async def verdict(self) -> dict[str, Any]:
        """What the independent verifier says of all that happened here."""
        metrics = self.directory / "metrics.txt"
        metrics.write_text("".join([await self._text(url) for url in self.metrics_urls]), "utf-8")
        child = self.crew.start(
            "verifier",
            *("dev", "verify", "--json", "--complete", "--bootstrap", self.kafka.bootstrap, "--prefix", self.prefix),
            *("--receipts", self._genie["receipts"], "--metrics", str(metrics), "--skew-ms", str(_SKEW_MS)),
            *(f"--logs={gateway.child.log}" for gateway in self.gateways),
        )
        await child.ended(VERIFY_SECONDS)
        verdict = child.said("clean")
        if verdict is None:
            raise child.failure("gave no verdict")
        return verdict

    async def _text(self, url: str) -> str:
        async with self._http.get(url) as answer:
            return await answer.text()
