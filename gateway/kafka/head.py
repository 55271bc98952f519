"""The head of a lane: what an earlier owner may have read, and what that means for reading it again.

Knows the count of openings without progress. Must not know what is done with a record.
An owner dies of a record before that is settled, so wherever the record lies, it lies within a window of the
committed offset, and was there when the next owner took over.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from gateway.core.facts import Opened
from gateway.kafka.cluster import LATEST, list_offsets

OPENS_UNTIL_WARY = 3  # owners in a row that settled nothing


@dataclass(frozen=True, slots=True)
class Head:
    """`settled` need not be read again; what lies before `wary_until` is decoded in a child process first."""

    settled: frozenset[int]
    wary_until: int

    def is_wary(self, offset: int) -> bool:
        """Whether an earlier owner may have died of the record there."""
        return offset < self.wary_until


async def look_at_head(client: AIOKafkaClient, partition: TopicPartition, opened: Opened, window: int) -> Head:
    """What the lane that was opened so must mind."""
    settled, wary_until = frozenset(opened.metadata.settled), opened.offset
    if opened.metadata.opens >= OPENS_UNTIL_WARY:
        end = (await list_offsets(client, {partition: LATEST}))[partition]
        wary_until = min(end, opened.offset + window)
    return Head(settled, wary_until)
