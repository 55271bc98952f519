"""The lanes of a look, and where the range begins in each.

Knows where logs begin, and which offset a time is. Must not know what is checked.
"""

from __future__ import annotations

from collections.abc import Collection

from gateway.kafka.cluster import NO_OFFSET, TopicMissingError, began_at, describe, list_offsets, log_bounds
from gateway.oncall.desk import Desk
from gateway.oncall.ledger.checks import Lane


async def lanes_of(desk: Desk, topics: Collection[str], since: int | None) -> dict[tuple[str, int], Lane]:
    """Every partition of these topics, in order; the range is from the first input that Kafka appended then (ms).

    Raises TopicMissingError, KafkaUnavailableError.
    """
    cluster = await describe(desk.client, topics)
    if missing := set(topics) - cluster.topics.keys():
        raise TopicMissingError(missing)
    wanted = [partition for topic in topics for partition in cluster.topics[topic].partitions]
    bounds, began = await log_bounds(desk.client, wanted), await began_at(desk.client, wanted)
    starts = {partition: bounds[partition].start for partition in wanted}
    if since is not None:
        starts = await list_offsets(desk.client, dict.fromkeys(wanted, since))
    lanes = {}
    for partition in wanted:
        start = bounds[partition].end if starts[partition] == NO_OFFSET else starts[partition]
        lane = Lane(*partition, start, bounds[partition].start, began.get(partition), end=start)
        lanes[lane.topic, lane.partition] = lane
    return lanes
