"""Sends events to the gateway's input topics, so that none is lost, doubled by a retry, or out of order.

Knows aiokafka's producer and the settings that the gateway's promises need of it. Must not know what an event says.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from gateway.kafka.names import TopicNames
from gateway.kafka.partitioner import partition_of
from gateway.kafka.registry import FileRegistry, NotRegisteredError, Registry, RegistryAway
from gateway.producer.check import Checked, check_event
from gateway.producer.events import Event

if TYPE_CHECKING:
    from gateway.kafka.http_registry import RegistryLogin

HEADER = "producer"
START_SECONDS = 15.0
SEND_SECONDS = 60.0  # until all of one call is acknowledged
CLOSE_SECONDS = 5.0
REQUEST_TIMEOUT_MS = 8_000
MAX_AT_ONCE = 10_000  # events of one call

_SERVICE = re.compile(r"(?=[0-9._-]*[A-Za-z])[A-Za-z0-9._-]{1,64}").fullmatch


class SendError(Exception):
    """Nothing more was acknowledged than the text says; sending the same events again, with their ids, is safe."""


class UnreachableError(SendError):
    """Kafka or the schema registry gave no answer."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event lies on Kafka, as `gateway explain` takes it."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"


class Producer:
    """`async with` connects. `service` names who produces: it becomes the header `producer`, by which billing finds its
    own rejected events. `security` is given to aiokafka as it is: security_protocol, ssl_context, sasl_mechanism ...
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        service: str,
        prefix: str = "",
        registry_url: str | None = None,
        registry_login: RegistryLogin | None = None,
        **security: Any,
    ) -> None:
        if not _SERVICE(service):
            raise ValueError("service: 1 to 64 of A-Z a-z 0-9 . _ -, with a letter, such as billing")
        self._bootstrap = bootstrap_servers
        self._names = TopicNames(prefix)
        self._headers = [(HEADER, service.encode())]
        self._registry_url, self._registry_login = registry_url, registry_login
        self._registry: Registry = FileRegistry()
        self._ids: dict[str, int] = {}  # of our record kinds
        self._security = {"request_timeout_ms": REQUEST_TIMEOUT_MS} | security
        self._found: set[str] = set()  # topics

    async def __aenter__(self) -> Self:
        self._registry = _registry(self._registry_url, self._names, self._registry_login)
        self._kafka = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            acks="all",  # an event that fewer replicas have can be lost
            enable_idempotence=True,  # no doubles, no change of order by the client's own retries
            compression_type=None,  # the gateway's topics refuse to store what a few bytes could unpack from
            partitioner=_partition,
            **self._security,
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._kafka.start()
        except (KafkaError, TimeoutError) as error:
            await self._close()
            raise UnreachableError(f"no Kafka answers at {self._bootstrap}: start it or correct the address") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def send(self, event: Event) -> Place:
        """Send one event and wait until all replicas in sync have it. Raises InvalidEventError or SendError."""
        return (await self.send_all([check_event(event)]))[0]

    async def send_all(self, events: Iterable[Checked]) -> list[Place]:
        """Send events in this order and wait until all of them are acknowledged. Raises SendError."""
        checked = list(events)
        if len(checked) > MAX_AT_ONCE:
            raise SendError(f"{len(checked):,} events at once, at most {MAX_AT_ONCE:,}: nothing was sent")
        for kind in {each.kind for each in checked}:
            await self._know(kind)
        await self._find({each.topic(self._names) for each in checked})
        waiting: list[asyncio.Future[Any]] = []
        acknowledged: Sequence[Any] = ()
        try:
            async with asyncio.timeout(SEND_SECONDS):
                for each in checked:
                    waiting.append(await self._hand_over(each))  # noqa: PERF401 - counted if a later one fails
                acknowledged = await asyncio.gather(*waiting)
        except (KafkaError, TimeoutError) as error:
            taken = sum(future.done() and not future.cancelled() and not future.exception() for future in waiting)
            raise SendError(
                f"Kafka acknowledged {taken:,} of {len(checked):,} events ({type(error).__name__}): "
                "send all of them again, with the same ids"
            ) from error
        return [Place(each.topic, each.partition, each.offset) for each in acknowledged]

    async def _hand_over(self, each: Checked) -> asyncio.Future[Any]:
        value = each.value(self._ids[each.kind])
        sent: asyncio.Future[Any] = await self._kafka.send(
            each.topic(self._names), value, key=each.key, headers=self._headers
        )
        return sent

    async def _know(self, kind: str) -> None:
        if kind in self._ids:
            return
        try:
            self._ids[kind] = await self._registry.id_of(kind)
        except RegistryAway as error:
            raise UnreachableError(str(error)) from error
        except NotRegisteredError as error:
            raise SendError(str(error)) from error

    async def _find(self, topics: set[str]) -> None:
        """Ask for all topics: asking for one by name may create it."""
        if topics <= self._found:
            return
        try:
            there = (await self._kafka.client.fetch_all_metadata()).topics()
        except (KafkaError, TimeoutError) as error:
            raise UnreachableError(f"Kafka at {self._bootstrap} does not say which topics it has") from error
        if missing := sorted(topics - there):
            raise SendError(
                f"Kafka at {self._bootstrap} has no topic {', '.join(missing)}: run `gateway topics create`"
            )
        self._found |= topics

    async def _close(self) -> None:
        await self._registry.close()
        with suppress(KafkaError, TimeoutError):  # what counts is acknowledged by now, or was said to have failed
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._kafka.stop()


def _partition(key: bytes, partitions: Sequence[int], _: Sequence[int]) -> int:
    """As every Kafka client with the default partitioner chooses: a customer's events stay in one partition."""
    return sorted(partitions)[partition_of(key, len(partitions))]


def _registry(url: str | None, names: TopicNames, login: RegistryLogin | None) -> Registry:
    if url is None:
        return FileRegistry()
    from gateway.kafka.http_registry import NOBODY, HttpRegistry  # only whoever has a registry pays for httpx

    return HttpRegistry.of(url, names, login or NOBODY)
