"""How the brokers are: which answer, and which partitions of our topics lack a leader or copies.

Knows metadata. Must not know what the topics are for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from gateway.kafka.connection import KAFKA_CALL_TIMEOUT_S, retried
from gateway.kafka.requests import TopicsRequest

ANSWER_WITHIN_S = 3.0
_NO_LEADER = -1


@dataclass(frozen=True, slots=True)
class Brokers:
    """Brokers as `id host:port`; partitions as `topic:partition`."""

    answering: tuple[str, ...]
    silent: tuple[str, ...]
    missing: tuple[str, ...]  # topics
    leaderless: tuple[str, ...]
    under_replicated: tuple[str, ...]

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong with them."""
        return not (self.silent or self.missing or self.leaderless or self.under_replicated)


async def look_at_brokers(client: AIOKafkaClient, topics: Iterable[str]) -> Brokers:
    """Ask each broker for itself; raises KafkaUnavailableError if none says which there are."""
    names = sorted(topics)

    async def attempt() -> Any:
        return await client.send(client.get_random_node(), TopicsRequest(names))

    told = await retried(KAFKA_CALL_TIMEOUT_S, "reading topic metadata", attempt)
    known = {node: f"{node} {host}:{port}" for node, host, port, *_ in told.brokers}
    answers = dict(zip(known, await asyncio.gather(*(_answers(client, node) for node in known)), strict=True))
    missing, leaderless, thin = [], [], []
    for code, name, _id, _internal, partitions, *_more in told.topics:
        if code == UnknownTopicOrPartitionError.errno:
            missing.append(name)
        for _code, number, leader, _epoch, replicas, in_sync, *_rest in partitions:
            if leader == _NO_LEADER:
                leaderless.append(f"{name}:{number}")
            elif len(in_sync) < len(replicas):
                thin.append(f"{name}:{number}")
    return Brokers(
        tuple(known[node] for node in sorted(known) if answers[node]),
        tuple(known[node] for node in sorted(known) if not answers[node]),
        tuple(sorted(missing)),
        tuple(sorted(leaderless)),
        tuple(sorted(thin)),
    )


async def _answers(client: AIOKafkaClient, node: int) -> bool:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await client.send(node, TopicsRequest([]))
    except (TimeoutError, KafkaError, OSError):
        return False
    return True
