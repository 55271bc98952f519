"""Asks every part how it is, at once and within bounds, for one overview. (status.py judges what they say)"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from gateway.kafka.brokers import look_at_brokers
from gateway.kafka.cluster import TopicMissingError
from gateway.kafka.connection import KafkaConnection, KafkaUnavailableError
from gateway.kafka.names import TopicNames
from gateway.kafka.offsets_log import OffsetsLog
from gateway.kafka.registry import RegistryAway
from gateway.kafka.scan import scan
from gateway.oncall import holds, status, times
from gateway.oncall.desk import Desk, open_desk
from gateway.oncall.lanes import look
from gateway.oncall.processes import Asker, Fleet, asking, find
from gateway.oncall.status import Metrics, Overview, Part, Whose

COUNT_WITHIN_S = 20.0  # the parked records

_AWAY = "gateway status --at HOST:PORT"


async def survey(
    connection: KafkaConnection,
    names: TopicNames,
    registry_url: str | None,
    group: str,
    named: Sequence[str],
    port: int,
) -> Overview:
    """How all is now. What can't be asked is a finding: it raises nothing that is foreseen."""
    async with AsyncExitStack() as stack:
        asker = await stack.enter_async_context(asking())
        try:
            desk = await stack.enter_async_context(open_desk(connection, names, registry_url, lambda *_: None))
            fleet = await find(asker, desk.client, group, named, port)
        except KafkaUnavailableError as error:
            return await _without_kafka(asker, named, error)
        brokers, lanes, listed, counted, said = await asyncio.gather(
            _kafka(desk), _lanes(desk, group, fleet), _holds(desk), _parked(desk), _said(asker, fleet)
        )
        parts = [brokers, *lanes[:1], *said[:3], *lanes[1:], listed, counted, *said[3:]]
        return Overview(times.now_ms(), tuple(parts))


async def _without_kafka(asker: Asker, named: Sequence[str], error: KafkaUnavailableError) -> Overview:
    """What processes that were named say, and that nobody knows of others."""
    fleet = await find(asker, None, "", named, 0)
    parts = [status.unreachable("Kafka", Whose.KAFKA, _why(error), _AWAY)]
    if fleet.processes:
        parts += await _said(asker, fleet)
    return Overview(times.now_ms(), tuple(parts))


async def _said(asker: Asker, fleet: Fleet) -> list[Part]:
    """Of the processes: how they are, how GeNiE and the view of consents look from there, and certificates."""
    answering = [process for process, _ in fleet.answering]
    told = await asyncio.gather(*(asker.metrics(process.at, status.METRICS) for process in answering))
    shown: dict[str, Metrics] = {process.name: metrics for process, metrics in zip(answering, told, strict=True)}
    now = times.now_ms()
    return [
        status.processes(fleet),
        status.genie(fleet, shown, now),
        status.consents(fleet, now),
        status.certificates(shown, now),
    ]


async def _kafka(desk: Desk) -> Part:
    try:
        return status.kafka(await look_at_brokers(desk.client, desk.names.record_kinds()))
    except KafkaUnavailableError as error:
        return status.unreachable("Kafka", Whose.KAFKA, _why(error), _AWAY)


async def _lanes(desk: Desk, group: str, fleet: Fleet) -> list[Part]:
    try:
        picture = await look(desk.client, desk.names, OffsetsLog(desk.client, group), fleet)
    except KafkaUnavailableError as error:
        return [status.unreachable("group", Whose.KAFKA, _why(error))]
    except TopicMissingError:  # Kafka's part says which
        return []
    return [status.group(fleet, picture), status.lanes(picture)]


async def _holds(desk: Desk) -> Part:
    try:
        return status.holds(await holds.read_all(desk), times.now_ms())
    except (KafkaUnavailableError, RegistryAway) as error:
        return status.unreachable("holds", Whose.KAFKA, _why(error), "gateway hold list")
    except TopicMissingError:
        return Part("holds", "no topic for them")


async def _parked(desk: Desk) -> Part:
    """Counted by their keys, undecoded: a hundred thousand take a second."""
    keys: set[bytes | None] = set()

    async def take(raws: Sequence[Any]) -> None:
        for raw in raws:
            if raw.value is None:
                keys.discard(raw.key)
            else:
                keys.add(raw.key)

    try:
        async with asyncio.timeout(COUNT_WITHIN_S):
            await scan(desk.connection, desk.client, desk.names.parked, take, lambda *_: None)
    except TimeoutError:
        return status.parked(None)
    except KafkaUnavailableError as error:
        return status.unreachable("parked", Whose.KAFKA, _why(error), "gateway parked stats")
    except TopicMissingError:
        return Part("parked", "no topic for them")
    replays = sum(key is not None and key.startswith(f"{desk.names.replays}:".encode()) for key in keys)
    return status.parked(len(keys) - replays, replays)


def _why(error: Exception) -> str:
    """Without the name of the part, which is told beside it."""
    return str(error).removeprefix("Kafka: ").rstrip(".")
