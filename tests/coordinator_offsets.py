"""Committed offsets as a coordinator remembers them, which the gateway does not ask for: old ones after some crashes.

Knows OffsetFetch and its error codes: aiokafka's own committed() answers None while a coordinator moves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields
from aiokafka.structs import TopicPartition

from gateway.kafka.connection import KAFKA_CALL_TIMEOUT_S, retried
from gateway.kafka.group import ask_for_coordinator
from gateway.kafka.offsets_log import Committed
from gateway.kafka.troubles import PassingError, raise_for

_NONE = -1  # the broker's word for: no offset is committed
_TAGS = ("tags", TaggedFields)


async def fetch_committed(client: AIOKafkaClient, group: str, topic: str, partition: int) -> Committed | None:
    """The committed offset and metadata; None only when the coordinator says that there is none.

    Raises KafkaUnavailableError when it gives no clear answer within the bound.
    """

    place = TopicPartition(topic, partition)
    return (await fetch_all(client, group, [place]))[place]


async def fetch_all(
    client: AIOKafkaClient,
    group: str,
    places: Iterable[TopicPartition],
    *,
    stable: bool = True,
) -> dict[TopicPartition, Committed | None]:
    """What is committed for each, by one answer: they are of one moment. Raises as `fetch_committed`."""
    wanted = list(places)
    asked = [(place.topic, [place.partition]) for place in wanted]

    async def attempt() -> dict[TopicPartition, Committed | None]:
        coordinator = await ask_for_coordinator(client, group)
        answer = await client.send(coordinator, StableOffsetsRequest(group, asked, stable=stable))
        return {place: committed_in(answer, *place) for place in wanted}

    what = f"reading the committed offset of {wanted[0].topic}:{wanted[0].partition}"
    return await retried(KAFKA_CALL_TIMEOUT_S, what, attempt)


def committed_in(answer: Any, topic: str, partition: int) -> Committed | None:
    """What one OffsetFetch answer says of a partition; raises the broker's error."""
    raise_for(answer.error_code)
    for name, partitions, _ in answer.topics:
        for number, offset, _, metadata, code, _ in partitions:
            if (name, number) == (topic, partition):
                raise_for(code)
                return None if offset == _NONE else Committed(offset, metadata or "")
    raise PassingError  # an answer that leaves the partition out does not say "none"


class StableOffsetsResponseV7(Response):
    API_KEY = 9
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", CompactString("utf-8")),
                        ("error_code", Int16),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        ("error_code", Int16),
        _TAGS,
    )


class StableOffsetsRequestV7(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 9
    API_VERSION = 7
    RESPONSE_TYPE = StableOffsetsResponseV7
    SCHEMA = Schema(
        ("group", CompactString("utf-8")),
        (
            "topics",
            CompactArray(("topic", CompactString("utf-8")), ("partitions", CompactArray(Int32)), _TAGS),
        ),
        ("require_stable", Boolean),
        _TAGS,
    )


class StableOffsetsRequest(Request[StableOffsetsRequestV7]):
    """Committed offsets; if `stable`, the broker refuses while a transaction that would change them is not finished."""

    API_KEY = 9

    def __init__(self, group: str, partitions: list[tuple[str, list[int]]], *, stable: bool = True) -> None:
        self._group = group
        self._partitions = partitions
        self._stable = stable

    def build(self, request_struct_class: type[StableOffsetsRequestV7]) -> StableOffsetsRequestV7:
        no_tags: dict[int, bytes] = {}
        topics = [(topic, partitions, no_tags) for topic, partitions in self._partitions]
        return request_struct_class(self._group, topics, self._stable, no_tags)
