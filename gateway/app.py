"""The composition root: wires the rooms in the order in which data flows, runs them, and ends them in reverse.

Knows every room by its door. Must not know how any of them works, and decides nothing about events.

    source -> intake -> lane (decide, announce, fence, decide finally) -> GeNiE -> lane -> ledger
"""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from aiokafka.client import AIOKafkaClient

from gateway import __version__, memory, preflight
from gateway.address import unusable
from gateway.core import facts, records
from gateway.core.events import EventType
from gateway.core.identity import Identity
from gateway.core.minimise import Minimiser
from gateway.core.policy import Policy
from gateway.core.rules import FETCH, REPLAY_FETCH, Limits, Rules
from gateway.files import Files, unwritable_view
from gateway.findings import Finding
from gateway.genie.client import GenieClient
from gateway.genie.contract import PROBLEM_TYPES
from gateway.genie.limiter import Limiter
from gateway.genie.retry import Backoff
from gateway.genie_login import genie_client
from gateway.kafka import closed_transport, inflation, rebootstrap
from gateway.kafka.cluster import describe
from gateway.kafka.codec import Codec
from gateway.kafka.consent_view import ConsentView
from gateway.kafka.endings import failure_of
from gateway.kafka.fence import Fence, FenceFailed
from gateway.kafka.http_registry import registry_at
from gateway.kafka.intake import Intake
from gateway.kafka.lane_driver import LaneDriver
from gateway.kafka.lane_trace import LaneTrace
from gateway.kafka.lanes import Lanes
from gateway.kafka.membership import GroupSettings
from gateway.kafka.names import TopicNames
from gateway.kafka.opening import LaneName
from gateway.kafka.registry import Registry
from gateway.kafka.replay_intake import ReplayIntake
from gateway.kafka.source import Feed, Source
from gateway.kafka.surroundings import Heard, OwnTopics, Reader, Slots, Surroundings
from gateway.kafka.view_store import ViewFullError, ViewInUseError
from gateway.kafka_login import kafka_connection
from gateway.lookout import Lookout, Parts
from gateway.observe.health import HealthServer, LoopPulse, Status
from gateway.observe.logs import get_logger
from gateway.observe.metrics import Metrics
from gateway.observe.watchdog import Watchdog
from gateway.registry_login import registry_login
from gateway.renewal import Renewal
from gateway.settings import Settings

if TYPE_CHECKING:
    from gateway.observe.tracing import Tracing

INPUT_RETENTION_MS = 90 * 86_400_000  # the least that kafka/topics.py accepts for inputs
GARBAGE_EVERY = 200_000  # allocations between two collections: records come and go by reference counts alone

log = get_logger()


class StartError(Exception):
    """The gateway can't start; the text names the setting or part, what was found, and the remedy."""


class Gateway:
    """One process of the gateway."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names = TopicNames(settings.topics.prefix)
        self._metrics = Metrics(__version__, settings.instance)
        self._metrics.memory_budget(settings.memory_bytes)
        self._metrics.show_ready(lambda: self._status().ready)
        self._pulse = LoopPulse()
        self._stopping = asyncio.Event()
        self._error: BaseException | None = None
        self._not_ready: str | None = "starting"
        self._lanes: Lanes | None = None
        self._tracing: Tracing | None = None
        self._lookout = Lookout(self._metrics, settings.genie.skew_ms)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, or until something ends that must not; raises what ended it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        async with AsyncExitStack() as stack:
            _spare_the_collector()
            await self._start(stack, self._start_observing(stack))
            _spare_the_collector()
            log.info("serving", group=self._settings.kafka.group_id, instance=self._settings.instance)
            await self._stopping.wait()
            self._not_ready = "stopping"
            log.info("stopping")
        if self._error is not None:
            raise self._error

    # --- from the outside in ------------------------------------------------------------------------------

    async def _start(self, stack: AsyncExitStack, of_address: Sequence[Finding]) -> None:
        settings, names = self._settings, self._names
        closed_transport.install()
        rebootstrap.install()
        inflation.install()
        renewal = Renewal(settings, self._metrics)
        files, warnings = await preflight.passed(settings, of_address)
        for warning in warnings:
            log.warning("a file must be replaced soon: see gateway check", setting=warning.setting)
        self._tracing = self._start_tracing(stack)
        partner, slots = await self._connect_genie(stack, files)
        connection = kafka_connection(settings.kafka)
        client = await stack.enter_async_context(connection.client())
        cluster = await describe(client, names.record_kinds())
        registry = registry_at(settings.schemas.registry_url, names, registry_login(settings.schemas))
        stack.push_async_callback(registry.close)
        codec = Codec(registry, names.record_kinds())

        view = ConsentView(
            connection,
            codec,
            consents=names.consents,
            controls=names.controls,
            directory=settings.view.path,
            max_idle_ms=settings.view.max_idle_ms,
        )
        await self._catch_up(stack, view, client)
        fence = Fence(client, view)
        stack.push_async_callback(fence.close)

        identity = Identity(files.idempotency_key, files.pseudonym_key, settings.recipient.id, cluster.id)
        around = Surroundings(
            connection=connection,
            client=client,
            codec=codec,
            topics=await self._own_topics(registry),
            view=view,
            fence=fence,
            partner=partner,
            slots=slots,
            metrics=self._metrics,
            heard=Heard(),
            alert=self._alert,
        )
        source = await self._open_lanes(stack, around, identity, files.policy, cluster.id)
        parts = Parts(client, codec, view, slots, partner, around.heard, source, self._drivers)
        self._forever(stack, self._lookout.watch(parts), "lookout")
        self._forever(stack, self._lookout.measure_lag(parts), "lag")
        self._forever(stack, renewal.run(partner, connection), "renewal")

    def _start_observing(self, stack: AsyncExitStack) -> list[Finding]:
        """Health and metrics, from the first moment on; what is in their way is told with all else that is wrong."""
        observe = self._settings.observe
        server = HealthServer(observe.host, observe.port, self._metrics, self._status)
        try:
            port = server.start()
        except OSError as error:
            return [unusable(observe.host, observe.port, error)]
        stack.callback(server.stop)
        self._pulse.start()
        stack.callback(self._pulse.stop)
        watchdog = Watchdog(self._pulse, self._settings.kafka.session_timeout_ms / 1000)  # then its lanes are elsewhere
        watchdog.start()
        stack.callback(watchdog.stop)
        log.info("observing", port=port)
        return []

    async def _catch_up(self, stack: AsyncExitStack, view: ConsentView, client: AIOKafkaClient) -> None:
        """Follow consent and holds, and open no lane before the view is proven fresh once."""
        self._not_ready = "consent view catching up"
        try:
            rebuilt = await view.start(client)
        except OSError as error:
            raise StartError(str(unwritable_view(self._settings.view.path, error))) from error
        except (ViewFullError, ViewInUseError) as error:
            raise StartError(f"view.path: {error}") from error
        stack.push_async_callback(view.close)
        view.following.add_done_callback(self._ended)
        if rebuilt is not None:
            log.info("consent view is built anew", reason=rebuilt.name.lower())
        first = Fence(client, view)
        while not self._stopping.is_set():
            try:
                await first.reach()
                break
            except FenceFailed:
                log.info("consent view catching up", count=view.subjects())
        await first.close()

    def _start_tracing(self, stack: AsyncExitStack) -> Tracing | None:
        """Only who wants spans reads the libraries that make them."""
        wanted = self._settings.tracing
        if wanted.endpoint is None:
            return None
        from gateway.observe.tracing import Tracing

        tracing = Tracing(
            wanted.endpoint,
            wanted.ratio,
            wanted.ca_file,
            trust_producers=wanted.trust_producers,
            instance=self._settings.instance,
            version=__version__,
        )
        stack.push_async_callback(tracing.close)
        return tracing

    async def _connect_genie(self, stack: AsyncExitStack, files: Files) -> tuple[GenieClient, Limiter]:
        partner = genie_client(self._settings, files.credentials)
        await partner.start()
        stack.push_async_callback(partner.close)
        return partner, Limiter(maximum=self._settings.genie.connections, waits=Backoff(SystemRandom()))

    async def _own_topics(self, registry: Registry) -> OwnTopics:
        names = self._names
        return OwnTopics(
            names.ledger,
            names.parked,
            names.intents,
            await registry.id_of("ProvisionRecord"),
            await registry.id_of("ParkedEvent"),
            await registry.id_of("ProvisionIntent"),
        )

    # --- lanes --------------------------------------------------------------------------------------------

    async def _open_lanes(
        self, stack: AsyncExitStack, around: Surroundings, identity: Identity, policy: Policy, cluster_id: str
    ) -> Source:
        kafka, names, codec = self._settings.kafka, self._names, around.codec
        inputs = {names.payments: EventType.LEASE_PAYMENT, names.scores: EventType.NOREL_SCORE_UPDATE}
        events = {topic: Intake(codec, identity, event_type) for topic, event_type in inputs.items()}
        for intake in events.values():
            stack.push_async_callback(intake.close)
        replays = ReplayIntake(around.client, codec, identity, events, kafka.group_id)
        stack.push_async_callback(replays.close)
        readers: Mapping[str, Reader] = {**events, names.replays: replays}
        minimiser = Minimiser(policy, identity)
        waits = Backoff(SystemRandom())

        def make(feed: Feed) -> LaneDriver:
            topic, partition = feed.partition
            rules = Rules(
                policy=policy,
                minimiser=minimiser,
                origin=self._origin(cluster_id, topic, partition, policy),
                limits=self._limits(feed.lanes, mixed=topic == names.replays),
                waits=waits,
                retry_delay=partial(self._delay_retry, around.slots),
                event_type=inputs.get(topic),
            )
            trace = None if self._tracing is None else LaneTrace(self._tracing, topic, partition)
            return LaneDriver(around, LaneName(kafka.group_id, topic, partition), rules, feed, readers[topic], trace)

        lanes = self._lanes = Lanes(around.connection, kafka.group_id, make, self._settings.lane.drain_ms, self._fail)
        group = GroupSettings(
            kafka.group_id, kafka.group_instance_id, kafka.session_timeout_ms, kafka.rebalance_timeout_ms
        )
        source = Source(
            *(around.connection, around.client, group, list(readers)),
            *(lanes.open, lanes.close, self._fail, lambda count: self._share(count).feed),
        )
        await source.start()
        stack.push_async_callback(source.stop)
        self._forever(stack, source.run(), "source")
        stack.push_async_callback(lambda: lanes.close_all(self._error))
        self._not_ready = None
        return source

    def _delay_retry(self, slots: Slots) -> int:
        self._metrics.retried()
        return slots.retry_delay()

    def _origin(self, cluster_id: str, topic: str, partition: int, policy: Policy) -> records.Origin:
        recipient = self._settings.recipient
        return records.Origin(
            cluster_id=cluster_id,
            topic=topic,
            partition=partition,
            input_retention_ms=INPUT_RETENTION_MS,
            recipient=records.Recipient(recipient.id, recipient.name, recipient.address, recipient.representative),
            mapping_version=policy.mapping_version,
            gateway_version=__version__,
            instance=self._settings.instance,
            problem_types=PROBLEM_TYPES,
        )

    def _share(self, lanes: int) -> memory.Share:
        settings = self._settings
        return memory.share(
            *(settings.memory_bytes, settings.genie.connections, settings.lane.window_bytes, lanes),
            traced=settings.tracing.endpoint is not None,
        )

    def _limits(self, lanes: int, *, mixed: bool) -> Limits:
        genie, lane = self._settings.genie, self._settings.lane
        return Limits(
            expires_ms=genie.expires_ms,
            skew_ms=genie.skew_ms,
            batch=genie.batch,
            window=lane.window,
            window_bytes=self._share(lanes).window,
            fetch=REPLAY_FETCH if mixed else FETCH,
            cycle_min_ms=lane.cycle_min_ms,
            cycle_max_ms=lane.cycle_max_ms,
        )

    # --- what it shows, and how it ends -------------------------------------------------------------------

    def _forever(self, stack: AsyncExitStack, running: Coroutine[Any, Any, None], name: str) -> None:
        """Run what must not end before the process does."""
        task = asyncio.create_task(running, name=name)
        task.add_done_callback(self._ended)
        stack.callback(task.cancel)

    def _status(self) -> Status:
        """As last looked at: the health server asks from threads of its own."""
        seen = self._lookout
        reasons = (self._not_ready,) if self._not_ready else seen.not_working
        return Status(
            ready=not reasons,
            reasons=reasons,
            lanes=seen.lanes,
            kafka_silence=seen.kafka_silence,
            loop_seen_at=self._pulse.seen_at,
            process={"instance": self._settings.instance, "version": __version__, "member_id": seen.member_id},
            genie=seen.genie,
            consents=seen.consents,
        )

    def _drivers(self) -> list[LaneDriver]:
        return list(self._lanes.drivers()) if self._lanes else []

    def _alert(self, lane: str, alert: facts.Alert) -> None:
        log.error("lane stopped", lane=lane, code=alert.stop.value, remedy=alert.stop.sentence)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = failure_of(task)
        if error is not None or not task.cancelled():
            self._fail(error or StartError(f"{task.get_name()} ended by itself"))

    def _fail(self, error: BaseException) -> None:
        """Something ended that must not: keep the first cause, and end the process in order."""
        if self._error is None:
            self._error = error
            log.error("failing", error=type(error).__name__)
        self._stopping.set()


def _spare_the_collector() -> None:
    """What is here now stays for good; and a window full of records is not worth looking through for cycles often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_EVERY)
