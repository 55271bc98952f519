"""Stories of one client: transactions, zombies, offsets, readers, one member of a group.

Each returns what it was told. Must not know which Kafka it speaks to.
"""

from __future__ import annotations

from typing import Any

from aiokafka.protocol.admin import DescribeConfigsRequest
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.structs import TopicPartition

from gateway.kafka import offsets_log
from gateway.kafka.cluster import LATEST
from gateway.kafka.offsets_log import read_offsets
from gateway.kafka.requests import TopicsRequest
from tests.simulation.broker.raw_client import Producer, RawClient


async def a_transaction(client: RawClient, prefix: str) -> list[Any]:
    """From the first epoch to a commit, its repetitions, and an abort that comes too late."""
    topic, lane = f"{prefix}topic", f"{prefix}lane"
    await client.create(topic, 2)
    told: list[Any] = []
    producer_id, epoch = await client.take_over(lane)
    producer = Producer(lane, producer_id, epoch)
    told += [epoch, await client.end(producer, commit=True), await client.end(producer, commit=False)]
    told += [await client.add(producer, topic, 0, 1), await client.add(producer, topic, 0)]
    told += [await client.add(producer, f"{prefix}nowhere", 0), await client.add(producer, topic, 0, 7)]
    told += [await client.produce(producer, topic, 0, 0, 3), await client.produce(producer, topic, 0, 3)]
    told += [await client.fetch(topic, 0, 0, isolated=True), await client.fetch(topic, 0, 0, isolated=False)]
    told += [await client.end(producer, commit=True)]
    await client.settled(topic, 0)
    await client.settled(topic, 1)
    told += [await client.add(producer, topic, 0), await client.end(producer, commit=False)]
    await client.settled(topic, 0)
    _, next_epoch = await client.take_over(lane)
    return [*told, next_epoch, await client.fetch(topic, 0, 0, isolated=True)]


async def repetitions(client: RawClient, prefix: str) -> list[Any]:
    """EndTxn again after the end, and batches again, late, or with a gap."""
    topic, lane = f"{prefix}topic", f"{prefix}lane"
    await client.create(topic, 2)
    producer = Producer(lane, *await client.take_over(lane))
    told: list[Any] = [await client.add(producer, topic, 0)]
    told += [await client.produce(producer, topic, 0, 0, 2), await client.produce(producer, topic, 0, 0, 2)]
    told += [await client.produce(producer, topic, 0, 5), await client.produce(producer, topic, 0, 0, 1)]
    told += [await client.produce(producer, topic, 0, number) for number in range(2, 9)]
    told += [await client.produce(producer, topic, 0, 2), await client.produce(producer, topic, 0, 8)]
    told += [await client.produce(producer, topic, 1, 0), await client.end(producer, commit=True)]
    told += [await client.ended(producer, commit=True)]
    told += [await client.produce(producer, topic, 0, 9), await client.produce(producer, topic, 0, 8)]
    return [*told, await client.fetch(topic, 0, 0, isolated=True)]


async def a_zombie(client: RawClient, prefix: str) -> list[Any]:
    """Everything that a producer may try after another has taken over in the middle of its transaction."""
    topic, lane, group = f"{prefix}topic", f"{prefix}lane", f"{prefix}group"
    await client.create(topic, 2)
    old = Producer(lane, *await client.take_over(lane))
    await client.add(old, topic, 0)
    told: list[Any] = [await client.produce(old, topic, 0, 0)]
    told += [await client.add_group(old, group), await client.hold_offsets(old, group, topic, 5, "old")]
    told += [(await client.init(lane))[0]]
    new = Producer(lane, *await client.take_over(lane))
    told += [new.names[2], await client.produce(old, topic, 0, 1), await client.produce(old, topic, 1, 0)]
    told += [await client.add(old, topic, 1), await client.add_group(old, group)]
    told += [await client.hold_offsets(old, group, topic, 6, "older"), await client.end(old, commit=True)]
    told += [await client.end(new, commit=True), await client.committed(group, topic, stable=True)]
    told += [await client.fetch(topic, 0, 0, isolated=True), await client.fetch(topic, 0, 0, isolated=False)]
    stranger = Producer(lane, old.names[1] + 100_000, 0)
    told += [await client.add(stranger, topic, 0), await client.end(stranger, commit=True)]
    told += [await client.add_group(stranger, group), await client.hold_offsets(stranger, group, topic, 6, "")]
    told += [await client.produce(stranger, topic, 0, 0)]
    told += [await client.add(new, topic, 0), await client.produce(new, topic, 0, 0)]
    told += [await client.end(new, commit=True)]
    await client.settled(topic, 0)
    return [*told, await client.fetch(topic, 0, 0, isolated=True)]


async def offsets_in_a_transaction(client: RawClient, prefix: str) -> list[Any]:
    """Offsets are pending until the commit, and gone after an abort."""
    topic, lane, group = f"{prefix}topic", f"{prefix}lane", f"{prefix}group"
    await client.create(topic, 1)
    producer = Producer(lane, *await client.take_over(lane))
    told: list[Any] = [await client.committed(group, topic, stable=True)]
    told += [await client.hold_offsets(producer, group, topic, 3, "too early")]
    for offset, commit in ((4, True), (5, False), (6, True)):
        await client.add(producer, topic, 0)
        told += [await client.add_group(producer, group)]
        told += [await client.hold_offsets(producer, group, topic, offset, f"metadata {offset}")]
        told += [await client.committed(group, topic, stable=True), await client.committed(group, topic, stable=False)]
        told += [await client.end(producer, commit=commit)]
        await client.take_over(lane) if offset == 6 else await client.add(producer, topic, 0)
        told += [await client.committed(group, topic, stable=True)]
    told += [await client.commit(group, -1, "", topic, 9, "by hand"), await client.committed(group, topic, stable=True)]
    return [*told, await client.commit(group, -1, "", topic, 9, "x" * 5_000), await client.describe(group)]


async def offsets_in_their_log(client: RawClient, prefix: str) -> list[Any]:
    """Commits by hand, of transactions and beside one: what the gateway reads in their log, and what lies there."""
    topic, lane, group = f"{prefix}topic", f"{prefix}lane", f"{prefix}group"
    place = TopicPartition(topic, 0)
    await client.create(topic, 1)
    producer = Producer(lane, *await client.take_over(lane))
    told: list[Any] = [await read_offsets(client.client, group, [place])]
    answer = await client.leader(TopicsRequest([offsets_log.TOPIC]))
    ((code, _, topic_id, internal, partitions, *_),) = answer.topics
    told += [code, topic_id.int > 0, internal]
    number = offsets_log.partition_of_group(group, len(partitions))
    _, start = await client.offsets_at(offsets_log.TOPIC, number, LATEST, isolated=False)
    told += [await client.commit(group, -1, "", topic, 3, "by hand"), await read_offsets(client.client, group, [place])]
    for offset, commit in ((4, True), (5, False), (6, True), (200, True)):
        await client.add_group(producer, group)
        told += [await client.hold_offsets(producer, group, topic, offset, "m" * offset)]
        told += [await read_offsets(client.client, group, [place], decided=False)]
        if offset == 6:
            told += [await client.commit(group, -1, "", topic, 9, "by hand, beside it")]
        told += [await client.end(producer, commit=commit)]
        producer = Producer(lane, *await client.take_over(lane))
        told += [await read_offsets(client.client, group, [place]), await client.committed(group, topic, stable=True)]
    return [*told, await client.offset_batches(number, start, group, topic)]


async def stable_offsets(client: RawClient, prefix: str) -> list[Any]:
    """What readers and ListOffsets are told while transactions of two producers overlap."""
    topic = f"{prefix}topic"
    await client.create(topic, 1)
    one, two = [Producer(lane, *await client.take_over(lane)) for lane in (f"{prefix}one", f"{prefix}two")]
    told: list[Any] = []

    async def look() -> None:
        for isolated in (True, False):
            told.append(await client.fetch(topic, 0, 0, isolated=isolated))
            told.append(await client.offsets_at(topic, 0, -1, isolated=isolated))
            told.append(await client.offsets_at(topic, 0, 1, isolated=isolated))

    await client.add(one, topic, 0)
    await client.add(two, topic, 0)
    told += [await client.produce(one, topic, 0, 0, 2), await client.produce(two, topic, 0, 0, 3)]
    told += [await client.produce(one, topic, 0, 2)]
    await look()
    await client.end(two, commit=False)
    await client.take_over(f"{prefix}two")
    await look()
    await client.end(one, commit=True)
    await client.settled(topic, 0)
    await look()
    told += [await client.fetch(topic, 0, offset, isolated=True) for offset in (3, 4, 6, 7, 8, 9)]
    told += [
        await client.offsets_at(topic, 0, -2, isolated=True),
        await client.offsets_at(topic, 0, 1 << 60, isolated=False),
    ]
    return [*told, await client.fetch(f"{prefix}nowhere", 0, 0, isolated=True)]


async def one_member(client: RawClient, prefix: str) -> list[Any]:
    """A dynamic member from its id to its end, and what is refused meanwhile."""
    topic, group = f"{prefix}topic", f"{prefix}group"
    await client.create(topic, 1)
    told: list[Any] = [await client.describe(group), await client.heartbeat(group, 1, "nobody")]
    first = await client.join(group, "")
    told += [first.error_code, bool(first.member_id), (await client.join(group, "nobody")).error_code]
    member = first.member_id
    joined = await client.join(group, member)
    told += [joined.error_code, joined.generation_id, joined.group_protocol, joined.leader_id == member]
    told += [len(joined.members), await client.describe(group), await client.heartbeat(group, 1, member)]
    told += [await client.commit(group, 1, member, topic, 1, "early")]
    told += [await client.sync(group, 1, member, [(member, b"assigned")]), await client.describe(group)]
    told += [await client.heartbeat(group, generation, member) for generation in (1, 0, 2)]
    told += [await client.sync(group, 1, member, []), await client.sync(group, 2, member, [])]
    told += [await client.commit(group, generation, member, topic, 5, "m") for generation in (1, 2, -1)]
    told += [await client.commit(group, 1, "nobody", topic, 5, "m"), await client.committed(group, topic, stable=True)]
    again = await client.join(group, member)
    told += [again.error_code, again.generation_id, await client.sync(group, 2, member, [(member, b"again")])]
    told += [await client.leave(group, "nobody"), await client.leave(group, member), await client.leave(group, member)]
    return [*told, await client.describe(group), await client.heartbeat(group, 2, member)]


async def a_static_member(client: RawClient, prefix: str) -> list[Any]:
    """Another process takes a static member's place; the group goes on, the old one is refused."""
    group = f"{prefix}group"
    old = await client.join(group, "", "instance")
    told: list[Any] = [old.error_code, old.generation_id, old.leader_id == old.member_id]
    told += [await client.sync(group, 1, old.member_id, [(old.member_id, b"assigned")], "instance")]
    told += [
        await client.heartbeat(group, 1, old.member_id, "instance"),
        await client.heartbeat(group, 1, old.member_id),
    ]
    new = await client.join(group, "", "instance")
    told += [new.error_code, new.generation_id, new.group_protocol, new.leader_id == old.member_id, len(new.members)]
    told += [await client.sync(group, 1, new.member_id, [], "instance")]
    told += [
        await client.heartbeat(group, 1, old.member_id, "instance"),
        await client.heartbeat(group, 1, old.member_id),
    ]
    told += [
        await client.heartbeat(group, 1, new.member_id, "instance"),
        await client.heartbeat(group, 1, new.member_id),
    ]
    told += [(await client.join(group, old.member_id, "instance")).error_code]
    told += [await client.sync(group, 1, old.member_id, [], "instance"), await client.describe(group)]
    other = await client.join(group, "", "instance", metadata=b"other topics")
    told += [other.error_code, other.generation_id, other.leader_id == other.member_id, len(other.members)]
    return [*told, await client.heartbeat(group, 1, new.member_id, "instance"), await client.describe(group)]


async def producers_without_transactions(client: RawClient, prefix: str) -> list[Any]:
    """Idempotent producers: their numbers, and batches of ids that nobody was given."""
    topic = f"{prefix}topic"
    await client.create(topic, 1)
    answer = await client.leader(InitProducerIdRequest(None, 1_000))
    told: list[Any] = [answer.error_code, answer.producer_epoch]
    plain = Producer(None, answer.producer_id, 0)
    told += [await client.produce(plain, topic, 0, sequence) for sequence in (0, 1, 1, 3, 2)]
    newer = Producer(None, answer.producer_id, 1)
    told += [await client.produce(newer, topic, 0, sequence) for sequence in (3, 0, 1)]
    told += [await client.produce(plain, topic, 0, 3)]
    unknown = Producer(None, answer.producer_id + 50_000, 0)
    told += [await client.produce(unknown, topic, 0, sequence) for sequence in (7, 8, 10)]
    return [*told, await client.produce(Producer(None, -1, -1), topic, 0, -1)]


async def what_topics_there_are(client: RawClient, prefix: str) -> list[Any]:
    """Metadata, settings and committed offsets of all partitions, of what is there and what is not."""
    topic, group = f"{prefix}topic", f"{prefix}group"
    await client.create(topic, 2)
    answer = await client.leader(TopicsRequest([topic, f"{prefix}nowhere"], operations=True))
    told: list[Any] = []
    for code, name, topic_id, internal, partitions, operations, _ in sorted(answer.topics, key=lambda row: row[1]):
        told += [(code, name == topic, topic_id.int > 0, internal, len(partitions), operations > 0)]
        told += sorted((row[0], row[1], row[3], len(row[4]), len(row[5]), row[6]) for row in partitions)
    plain = await client.leader(MetadataRequest([topic, f"{prefix}nowhere"]))
    told += sorted((code, name == topic, len(partitions)) for code, name, _, partitions in plain.topics)
    wanted = ["message.timestamp.type", "cleanup.policy"]
    resources = [(2, topic, wanted), (2, f"{prefix}nowhere", None)]
    configs = await client.leader(DescribeConfigsRequest(resources, False))
    told += sorted((row[0], sorted((entry[0], entry[1]) for entry in row[4])) for row in configs.resources)
    told += [await client.commit(group, -1, "", topic, 7, "metadata")]
    fetched = await client.group(group, OffsetFetchRequest(group, None))
    told += [fetched.error_code, [rows for _, rows in fetched.topics]]
    fetched = await client.group(group, OffsetFetchRequest(group, [(topic, [0, 1, 9])]))
    return [*told, fetched.error_code, [sorted(rows) for _, rows in fetched.topics]]
