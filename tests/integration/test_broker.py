"""The embedded Apache Kafka: it serves, keeps its data, and ends with its parent."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from gateway.sandbox.broker import Node, NodeError
from tests.integration.conftest import MakeTopic
from tests.integration.waiting import until

ANSWER_SECONDS = 20


async def send(bootstrap: str, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(topic, value)


async def read_one(bootstrap: str, topic: str) -> bytes:
    async with AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        return (await consumer.getone()).value


def started_command(*options: str) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """`gateway dev kafka` and what it said when it was ready."""
    command = [sys.executable, "-m", "gateway", "dev", "kafka", "--json", *options]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    return parent, orjson.loads(parent.stdout.readline())


def is_alive(pid: int) -> bool:
    """False too for a process that ended and was not yet collected."""
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def test_a_record_produced_is_consumed(kafka: str, make_topic: MakeTopic) -> None:
    """What is produced to a topic of the shared node is read back."""
    topic = await make_topic("broker")
    await send(kafka, topic, b"one")
    assert await read_one(kafka, topic) == b"one"


async def test_topics_are_not_created_by_use(admin: AIOKafkaAdminClient, prefix: str) -> None:
    """Asking for an unknown topic does not create it."""
    (answer,) = await admin.describe_topics([prefix + "never-made"])
    assert answer["error_code"] == 3
    assert prefix + "never-made" not in await admin.list_topics()


async def test_data_outlives_a_kill_and_a_stop(tmp_path: Path) -> None:
    """Started again after kill -9, and by another Node after a stop, it has its record and its port."""
    async with Node(tmp_path / "node") as node:
        admin = AIOKafkaAdminClient(bootstrap_servers=node.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic("kept", 1, 1)])
        await admin.close()
        await send(node.bootstrap, "kept", b"still here")
        bootstrap, first = node.bootstrap, node.pid
        node.kill()
        await node.start_async()
        assert node.bootstrap == bootstrap
        assert node.pid != first
        assert await read_one(bootstrap, "kept") == b"still here"
    async with Node(tmp_path / "node", port=node.port):
        assert await read_one(bootstrap, "kept") == b"still here"


async def test_node_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """kill -9 of `gateway dev kafka` leaves no Java process behind."""
    parent, ready = started_command("--data", str(tmp_path))
    assert is_alive(ready["pid"])
    parent.kill()
    parent.communicate()
    await until(lambda: not is_alive(ready["pid"]), ANSWER_SECONDS, "Java ended with its parent")


def test_command_ends_in_order() -> None:
    """SIGTERM ends the command with status 0, its node, and its temporary data."""
    parent, ready = started_command()
    parent.terminate()
    parent.communicate(timeout=ANSWER_SECONDS)
    assert parent.returncode == 0
    assert not is_alive(ready["pid"])
    assert not Path(ready["data"]).exists()


def test_a_node_that_cannot_start_says_why() -> None:
    """A wrong server property ends the start with the broker's own words, not with a time-out."""
    node = Node(properties={"offsets.topic.num.partitions": "none"})
    with pytest.raises(NodeError, match="Not a number of type INT"), node:
        pass


async def test_a_taken_port_is_reported(kafka: str, admin: AIOKafkaAdminClient) -> None:
    """A second node on the port of a running one is refused with the reason; the first serves on."""
    with pytest.raises(NodeError, match="Address already in use"):
        async with Node(port=int(kafka.rpartition(":")[2])):
            pass
    await admin.list_topics()
