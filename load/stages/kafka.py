"""Stages towards Kafka: what is read, the consents that are looked up, the fence, and a lane's transaction.

Knows the doors of gateway/kafka, on a real broker. Must not know how time is taken. The broker is a process of its
own, and so is the producer that fills its topics: what they cost is their own affair.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import cycle
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from gateway import schemas
from gateway.core.events import EventType
from gateway.core.metadata import CommitMetadata
from gateway.core.rules import FETCH
from gateway.kafka import closed_transport, inflation, rebootstrap
from gateway.kafka.cluster import LATEST, describe, list_offsets
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.consent_view import ConsentView
from gateway.kafka.fence import Fence
from gateway.kafka.membership import GroupSettings
from gateway.kafka.opening import LaneName
from gateway.kafka.source import Feed, Source
from gateway.kafka.topics import create_topics
from gateway.kafka.transactions import LaneProducer, Outgoing
from gateway.sandbox.demo.children import Crew
from load.records import subject_ref
from load.stages.inside import outgoing, traffics
from load.stages.material import Material
from load.stages.watch import Watch

PARTITIONS = 3  # of each input topic
TRANSACTION = 1_000  # events that one transaction settles, and one fence serves, when much is going on
FILL_S = 300.0
CATCH_UP_S = 300.0
LONGEST_S = 300.0  # of the rounds of one stage
FEED_BYTES = 8 << 20
MAX_IDLE_MS = 86_400_000
_SESSION_MS = 30_000


async def poll(material: Material, watch: Watch) -> None:
    """Source and Feed: from the consumer's bytes to raw records in a lane's hands."""
    async with AsyncExitStack() as stack:
        connection, client = await _topics(stack, material)
        events = len(EventType) * material.size.events
        await _fill(material, "events", "--events", str(events))
        feeds = await _feeds(stack, material, connection, client)
        ends = await list_offsets(client, dict.fromkeys([feed.partition for feed in feeds], LATEST))
        for _ in watch.rounds(events):
            for feed in feeds:
                feed.seek(0)
            with watch:
                async with asyncio.timeout(LONGEST_S):
                    await asyncio.gather(*(_drain(feed, ends[feed.partition]) for feed in feeds))


async def consent(material: Material, watch: Watch) -> None:
    """ConsentView.get_many: for what was fetched, and behind the fence."""
    random, subjects = Random(1), range(material.size.subjects)
    async with AsyncExitStack() as stack:
        _, client = await _topics(stack, material)
        view = await _view(stack, material, client)
        for _ in watch.rounds(len(EventType) * material.size.events):
            for _ in range(0, len(EventType) * material.size.events, FETCH):
                wanted = {subject_ref(random.choice(subjects)).decode() for _ in range(FETCH)}
                with watch:
                    view.get_many(wanted)
                    view.get_many(wanted)


async def fence(material: Material, watch: Watch) -> None:
    """Fence.reach, while nothing changes: one for each transaction's events."""
    async with AsyncExitStack() as stack:
        _, client = await _topics(stack, material)
        proof = Fence(client, await _view(stack, material, client))
        stack.push_async_callback(proof.close)
        fences = max(1, len(EventType) * material.size.events // TRANSACTION)
        for _ in watch.rounds(fences * TRANSACTION):
            for _ in range(fences):
                with watch:
                    await proof.reach()


async def transaction(material: Material, watch: Watch) -> None:
    """LaneProducer: ledger records, intents and the offset in one transaction, all of it acknowledged."""
    async with AsyncExitStack() as stack:
        connection, _ = await _topics(stack, material)
        lane = LaneName(f"{material.names.prefix}gateway", material.names.payments, 0)
        producer = LaneProducer(connection, lane.transactional_id, lane.group)
        await producer.take_over()
        stack.push_async_callback(producer.drop)
        offset = 0
        for _ in watch.rounds(len(EventType) * material.size.events):
            for part in await _transactions(material):
                offset += len(part)
                metadata = CommitMetadata().encode(offset)
                with watch:
                    await producer.begin_and_produce(part)
                    await producer.commit(lane.topic, lane.partition, offset, metadata)


async def _transactions(material: Material) -> list[Sequence[Outgoing]]:
    """Ledger records and intents of new events, in transactions."""
    number, topic = schemas.schema_id("ProvisionIntent"), material.names.intents
    parts: list[Sequence[Outgoing]] = []
    for traffic in await traffics(material):
        ledger = outgoing(material, traffic)
        intents = cycle(traffic.intents)
        for start in range(0, len(ledger), TRANSACTION):
            settled = ledger[start : start + TRANSACTION]
            announced = [next(intents) for _ in range(-(-len(settled) // material.limits.batch))]
            encoded = [schemas.encode("ProvisionIntent", intent, number) for intent in announced]
            parts.append([*settled, *(Outgoing(topic, None, b"lane:0", value) for value in encoded)])
    return parts


async def _topics(stack: AsyncExitStack, material: Material) -> tuple[KafkaConnection, AIOKafkaClient]:
    """All topics, with nothing in them, and a client as the gateway has it."""
    for ours in (closed_transport, rebootstrap, inflation):
        ours.install()
    connection = KafkaConnection(material.bootstrap, "load")
    await create_topics(connection, material.names, partitions=PARTITIONS, relaxed=True)
    return connection, await stack.enter_async_context(connection.client())


async def _fill(material: Material, what: str, *arguments: str) -> None:
    with TemporaryDirectory() as directory:
        crew = Crew(Path(directory))
        where = ("--bootstrap", material.bootstrap, "--prefix", material.names.prefix)
        subjects = ("--subjects", str(material.size.subjects))
        try:
            await crew.start("producer", what, *where, *subjects, *arguments, module="load.producer").succeeds(FILL_S)
        finally:
            await crew.end()


async def _feeds(
    stack: AsyncExitStack, material: Material, connection: KafkaConnection, client: AIOKafkaClient
) -> list[Feed]:
    """The feeds of all partitions of both input topics."""
    feeds: list[Feed] = []
    complete, broken = asyncio.Event(), asyncio.get_running_loop().create_future()

    def opened(feed: Feed) -> None:
        feeds.append(feed)
        if len(feeds) == len(EventType) * PARTITIONS:
            complete.set()

    async def closed(_: Sequence[TopicPartition]) -> None:
        return

    group = GroupSettings(f"{material.names.prefix}gateway", None, _SESSION_MS, _SESSION_MS)
    topics = [material.topics[kind] for kind in EventType]
    source = Source(connection, client, group, topics, opened, closed, broken.set_exception, lambda _: FEED_BYTES)
    await source.start()
    stack.push_async_callback(source.stop)
    running = asyncio.create_task(source.run(), name="source")
    stack.callback(running.cancel)
    async with asyncio.timeout(CATCH_UP_S):
        await complete.wait()
    return feeds


async def _drain(feed: Feed, end: int) -> None:
    position = 0
    while position < end:
        _, position = await feed.take(FETCH)


async def _view(stack: AsyncExitStack, material: Material, client: AIOKafkaClient) -> ConsentView:
    """A view that holds everybody's consent."""
    await _fill(material, "consents")
    view = ConsentView(
        KafkaConnection(material.bootstrap, "load"),
        material.codec,
        consents=material.names.consents,
        controls=material.names.controls,
        directory=Path(stack.enter_context(TemporaryDirectory())),
        max_idle_ms=MAX_IDLE_MS,
    )
    await view.start(client)
    stack.push_async_callback(view.close)
    topics = (await describe(client, view.topics)).topics.values()
    ends = await list_offsets(client, dict.fromkeys([p for topic in topics for p in topic.partitions], LATEST))
    async with asyncio.timeout(CATCH_UP_S):
        await view.reach(ends)
    return view
