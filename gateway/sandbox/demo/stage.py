"""The parts of the demo, started in order as processes of their own: Kafka, topics, GeNiE, gateway, producers.

Knows the commands that start them and where each says that it is ready. Must not know what they are for.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from gateway.sandbox.broker import ArtifactError, Node, NodeError, UnreachableError
from gateway.sandbox.broker.node import free_port
from gateway.sandbox.demo import monitor, wiring
from gateway.sandbox.demo.children import Child, ChildError, Crew
from gateway.sandbox.demo.plan import PARTITIONS, Plan
from gateway.sandbox.demo.tasks import POLL_SECONDS
from gateway.sandbox.pki import Pki

START_SECONDS = 60.0  # for any one part, on a busy machine
HTTP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Genie:
    """Where the strict GeNiE is."""

    url: str
    admin: str
    keys: Path
    receipts: Path


@dataclass(slots=True)
class Gateway:
    """One process of the gateway: what it runs with, and itself once it is started."""

    name: str
    settings: Path
    address: str  # HOST:PORT of its own small web server
    child: Child | None = None

    @property
    def metrics_url(self) -> str:
        return f"http://{self.address}/metrics"

    @property
    def process(self) -> Child:
        if self.child is None:
            raise ChildError("the gateway was not started")
        return self.child


class Stage:
    """`async with Stage(..) as stage` has Kafka, its topics and GeNiE up; leaving ends every part."""

    def __init__(self, plan: Plan, directory: Path, prometheus: Path | None = None) -> None:
        """`prometheus`: a program that is to watch the gateways."""
        self.plan = plan
        self.prometheus_url: str | None = None
        self.crew = Crew(directory)
        self.gateways: list[Gateway] = []
        self.genie = Genie("", "", Path(), Path())
        self._directory = directory
        self._prometheus = prometheus
        self._node = Node(directory / "kafka")
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=HTTP_SECONDS))

    @property
    def bootstrap(self) -> str:
        return self._node.bootstrap

    @property
    def gateway(self) -> Child:
        """The first one: what is killed."""
        return self.gateways[0].process

    @property
    def gateway_logs(self) -> list[Path]:
        return [gateway.process.log for gateway in self.gateways]

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
        """End all parts; Kafka last, and at once: its records are complete."""
        try:
            await self.crew.end()
        finally:
            self._node.kill()
            await self._http.close()

    async def _start(self) -> None:
        genie = self._start_genie()  # it takes its time beside Kafka
        try:
            await self._node.start_async()
        except UnreachableError as error:
            raise ChildError(str(error), unreachable=True) from error
        except (ArtifactError, NodeError) as error:
            raise ChildError(str(error)) from error
        await self._once("topics", "topics", "create", "--partitions", str(PARTITIONS), "--allow-dev-topics")
        await self._once("lanes", "lanes", "init", "--from", "earliest")
        told = await genie.says("receipts", START_SECONDS)
        self.genie = Genie(told["url"], told["admin"], Path(told["pki"]), Path(told["receipts"]))
        self.gateways = [self._gateway(number) for number in range(1, self.plan.gateways + 1)]
        if self._prometheus:
            await self._start_monitor(self._prometheus)

    def _gateway(self, number: int) -> Gateway:
        """Write down what it runs with."""
        name, port = f"gateway-{number}", free_port()
        settings = self._directory / f"{name}.toml"
        wiring.write(
            settings,
            instance=f"demo-{number}",
            bootstrap=self.bootstrap,
            genie_url=self.genie.url,
            keys=Pki(self.genie.keys),
            view=self._directory / f"view-{number}",
            port=port,
        )
        return Gateway(name, settings, f"127.0.0.1:{port}")

    def _start_genie(self) -> Child:
        faults = [f"--fault={name}={share}" for name, share in self.plan.fault_shares.items()]
        return self.crew.start(
            "genie",
            *("dev", "genie", "--json", "--data", str(self._directory / "genie")),
            *("--latency-ms", str(self.plan.latency_ms), "--seed", str(self.plan.seed), *faults),
            watched=True,
        )

    async def _start_monitor(self, prometheus: Path) -> None:
        targets = {gateway.name: gateway.address for gateway in self.gateways}
        child, self.prometheus_url = monitor.start(self.crew, self._directory, prometheus, targets)
        await self._answers(f"{self.prometheus_url}/-/ready", child)

    async def _once(self, name: str, *arguments: str) -> None:
        """Run a command to its end."""
        await self.crew.start(name, *arguments, "--bootstrap", self.bootstrap).succeeds(START_SECONDS)

    # --- the gateways -------------------------------------------------------------------------------------

    def start_gateways(self) -> None:
        """Start those that do not run, for the first time or again; their logs go on."""
        for gateway in self.gateways:
            if gateway.child is None or gateway.child.status is not None:
                environment = {"GATEWAY_CONFIG": str(gateway.settings)}
                gateway.child = self.crew.start(gateway.name, "serve", watched=True, environment=environment)

    def kill_gateway(self) -> None:
        """End the first as a crash would."""
        self.crew.dismiss(self.gateway)
        self.gateway.kill()

    async def gateways_ready(self) -> None:
        """Wait until all say that they are."""
        for gateway in self.gateways:
            await self._answers(f"http://{gateway.address}/ready", gateway.process)

    # --- the producers ------------------------------------------------------------------------------------

    def produce(self) -> Child:
        """Start the producers; they end by themselves."""
        plan = self.plan
        return self.crew.start(
            "producers",
            *("dev", "produce", "--json", "--bootstrap", self.bootstrap, "--events", str(plan.events)),
            *("--subjects", str(plan.subjects), "--rate", str(plan.rate)),
            *("--withdrawals", str(plan.withdrawals), "--withdrawals-after", str(plan.withdrawals_after)),
            *("--seed", str(plan.seed)),
        )

    def verify(self, metrics: Path) -> Child:
        """Start the verifier over all that the run left behind."""
        return self.crew.start(
            "verifier",
            *("dev", "verify", "--json", "--complete", "--bootstrap", self.bootstrap),
            *("--receipts", str(self.genie.receipts), "--metrics", str(metrics), "--skew-ms", str(wiring.SKEW_MS)),
            *(f"--logs={log}" for log in self.gateway_logs),
        )

    # --- what the parts say of themselves -----------------------------------------------------------------

    async def metrics(self) -> str:
        """The metrics of all gateways that answer, one after the other."""
        told = await asyncio.gather(*(self._get(gateway.metrics_url) for gateway in self.gateways))
        return "".join(text for text in told if text is not None)

    async def genie_stats(self) -> dict[str, Any] | None:
        """GeNiE's counts; None while it does not answer."""
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._http.get(f"{self.genie.admin}/stats") as answer:
                stats: dict[str, Any] = await answer.json()
                return stats
        return None

    async def _answers(self, url: str, child: Child) -> None:
        """Wait until there is a good answer; `child` is whose."""
        give_up_at = time.monotonic() + START_SECONDS
        while await self._get(url) is None:
            if child.status is not None:
                raise child.failure("ended too early")
            if time.monotonic() > give_up_at:
                raise child.failure(f"is not ready after {START_SECONDS:.0f} s")
            await asyncio.sleep(POLL_SECONDS)

    async def _get(self, url: str) -> str | None:
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._http.get(url) as answer:
                return await answer.text() if answer.ok else None
        return None
