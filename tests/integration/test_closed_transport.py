"""Writes to a connection that the broker has closed, on the event loop that the gateway runs on."""

import asyncio

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from gateway.kafka import closed_transport

BOUND_S = 10.0


async def _write_after_abort(kafka: str) -> None:
    host, _, port = kafka.partition(":")
    async with asyncio.timeout(BOUND_S):
        connection = await create_conn(host, int(port))
        connection._read_task.cancel()  # it would notice, but not always before the next write
        connection._writer.transport.abort()
        while True:
            await asyncio.sleep(0)
            await connection.send(MetadataRequest([]))


def _run(kafka: str) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_write_after_abort(kafka))


def test_the_library_still_needs_it(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Left alone, aiokafka lets uvloop's RuntimeError through; when it no longer does, closed_transport.py can go."""
    monkeypatch.setattr(AIOKafkaConnection, "send", closed_transport._send)
    with pytest.raises(RuntimeError):
        _run(kafka)


def test_closed_transport_is_a_lost_connection(kafka: str) -> None:
    """With the gateway's correction it is the error that every retry knows."""
    closed_transport.install()
    with pytest.raises(KafkaConnectionError):
        _run(kafka)
