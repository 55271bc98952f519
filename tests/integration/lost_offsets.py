"""A group's offsets taken away or overwritten, as by an administrator's tool, and `gateway lanes init` as typed."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int16, Int32, Schema, String
from aiokafka.structs import TopicPartition
from typer.testing import CliRunner

from gateway.cli import app
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.group import GroupInUseError, refuse_live_group
from tests.integration.gateway_world import World
from tests.integration.waiting import until

BOUND_S = 30


class _DeletedV0(Response):
    API_KEY = 47
    API_VERSION = 0
    SCHEMA = Schema(
        ("error_code", Int16),
        ("throttle_time_ms", Int32),
        (
            "topics",
            Array(("topic", String("utf-8")), ("partitions", Array(("partition", Int32), ("error_code", Int16)))),
        ),
    )


class _DeleteV0(RequestStruct):
    API_KEY = 47
    API_VERSION = 0
    RESPONSE_TYPE = _DeletedV0
    SCHEMA = Schema(
        ("group", String("utf-8")),
        ("topics", Array(("topic", String("utf-8")), ("partitions", Array(Int32)))),
    )


class _Delete(Request[_DeleteV0]):
    API_KEY = 47

    def __init__(self, group: str, lane: TopicPartition) -> None:
        self._lane = lane
        self._group = group

    def build(self, request_struct_class: type[_DeleteV0]) -> _DeleteV0:
        return request_struct_class(self._group, [(self._lane.topic, [self._lane.partition])])


async def empty_group(world: World) -> None:
    """Wait until the brokers have noticed that no member is left."""
    async with KafkaConnection(world.kafka, "test").client() as client:

        async def empty() -> bool:
            try:
                await refuse_live_group(client, world.group)
            except GroupInUseError:
                return False
            return True

        await until(empty, BOUND_S, "the end of the last session")


async def delete_offset(world: World, lane: TopicPartition) -> None:
    """As `kafka-consumer-groups.sh --delete-offsets`; the group must be empty."""
    async with KafkaConnection(world.kafka, "test").client() as client:
        answer = await _coordinator(client, world.group, _Delete(world.group, lane))
        ((_, ((_, code),)),) = answer.topics
        assert (answer.error_code, code) == (0, 0)


async def reset_offset(world: World, lane: TopicPartition, offset: int) -> None:
    """As `kafka-consumer-groups.sh --reset-offsets`: without metadata; the group must be empty."""
    await overwrite_offset(world.kafka, world.group, lane, offset)


async def overwrite_offset(bootstrap: str, group: str, lane: TopicPartition, offset: int, metadata: str = "") -> None:
    """Commit as somebody outside of the group, which must be empty."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    consumer.assign([lane])
    async with consumer:
        await consumer.commit({lane: (offset, metadata)})


async def lanes_init(world: World, *options: str) -> tuple[int, Mapping[str, Any]]:
    """`gateway lanes init` in this world: exit status, and what it answers or the error it ends with."""
    where = ["--bootstrap", world.kafka, "--prefix", world.prefix, "--group", world.group, "--json"]
    where += ["--operator", "ann", "--reason", "test", "--ticket", "T-1"]
    run = CliRunner().invoke
    result = await asyncio.to_thread(run, app, ["lanes", "init", *options, *where])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return int(result.exception.status), {"message": result.exception.message}
    return result.exit_code, orjson.loads(result.stdout.splitlines()[-1])


async def _coordinator(client: AIOKafkaClient, group: str, request: Any) -> Any:
    return await client.send(await client.coordinator_lookup(CoordinationType.GROUP, group), request)
