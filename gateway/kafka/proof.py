"""The committed offset of a lane, from a coordinator that surely has read all that was ever committed.

A coordinator that reads its log anew may answer, without an error, from the part that it has read so far: Apache Kafka
4.3.0 did after a crash, with offsets of minutes before (seen). A lane that goes on there provides and records all
since then twice. So something is committed first, which comes to lie at the end of that log, and an answer counts only
if it shows it.

Must not know what the offset means. The lane's own offset can't be the one that is written, before it is known; so it
is one of the same group for a partition of the intents topic, which no lane reads: other tools show it, at 0.
"""

from __future__ import annotations

import uuid

from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from gateway.kafka.cluster import TopicMissingError, describe
from gateway.kafka.connection import KAFKA_CALL_TIMEOUT_S, KafkaUnavailableError
from gateway.kafka.offsets import Committed, fetch_all
from gateway.kafka.transactions import TRANSACTION_TIMEOUT_MS, LaneProducer

# Another lane shares the place; if its process dies in the midst, its transaction ends by itself.
STABLE_WITHIN_S = TRANSACTION_TIMEOUT_MS / 1000 + KAFKA_CALL_TIMEOUT_S
TRIES = 20  # lanes that open at the same moment may share the partition, and write over each other's


async def fetch_proven(
    client: AIOKafkaClient, producer: LaneProducer, group: str, lane: TopicPartition, intents_topic: str
) -> Committed | None:
    """What is committed for a lane that `producer` has taken over; raises Doubtful or KafkaUnavailableError."""
    topic = (await describe(client, [intents_topic])).topics.get(intents_topic)
    if topic is None:
        raise TopicMissingError([intents_topic])
    place = topic.partitions[lane.partition % len(topic.partitions)]
    for _ in range(TRIES):
        proof = Committed(0, str(uuid.uuid4()))
        await producer.begin_and_produce([])
        await producer.commit(group, *place, proof.offset, proof.metadata)
        found = await fetch_all(client, group, [lane, place], seconds=STABLE_WITHIN_S)
        if found[place] == proof:
            return found[lane]
    raise KafkaUnavailableError(
        f"reading the committed offset of {lane.topic}:{lane.partition}",
        f"the coordinator of group {group} does not show what was committed just before ({TRIES} times)",
    )
