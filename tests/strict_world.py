"""What the strict producer's tests share: a client that says yes to each request unless it is told otherwise."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from gateway.kafka import strict_producer
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.strict_producer import Batch, StrictProducer

LEDGER, INTENTS, INPUT = TopicPartition("ledger", 0), TopicPartition("intents", 1), TopicPartition("in", 3)
PRODUCER_ID, EPOCH, TIMEOUT_MS = 7, 4, 20_000
NODES = {CoordinationType.TRANSACTION: 1, CoordinationType.GROUP: 2}
LEADERS = {LEDGER: 5, INTENTS: 5}
CUT = KafkaConnectionError("cut")
BEGUN = ["AddPartitionsToTxn 1", "AddOffsetsToTxn 1", "Produce 5"]

Answer = Callable[[Any], Any]


def name_of(request: Any) -> str:
    return type(request).__name__.removesuffix("Request")


class Client:
    """Stands for aiokafka's client: what was sent to which node, and what comes back; without orders, a yes."""

    def __init__(self) -> None:
        self.said: list[str] = []  # requests and their nodes
        self.requests: list[Any] = []
        self.orders: dict[str, list[Answer | Exception]] = {}
        self.nodes: dict[Any, Any] = dict(NODES)  # by kind; a list is said in turn
        self.leaders: dict[TopicPartition, int | None] = dict(LEADERS)
        self.cluster = SimpleNamespace(leader_for_partition=lambda place: self.leaders[place])
        self.written: dict[TopicPartition, list[bytes]] = {}
        self.followed: set[str] = set()
        self.away: list[int] = []  # nodes to which there is no way, each once
        self.refreshed = self.closed = 0
        self.on_refresh: Callable[[], object] = lambda: None
        self._conns: dict[int, Any] = {}

    async def bootstrap(self) -> None:
        self.said.append("bootstrap")

    async def coordinator_lookup(self, kind: CoordinationType, key: str) -> int:
        assert key == {CoordinationType.TRANSACTION: "group-in-3", CoordinationType.GROUP: "group"}[kind]
        node = self.nodes[kind]
        found = node.pop(0) if isinstance(node, list) else node
        if isinstance(found, Exception):
            raise found
        self.said.append(f"{kind.name.lower()}'s coordinator")
        return int(found)

    async def _wait_on_metadata(self, topic: str) -> set[int]:
        return {0, 1, 2}

    def add_topic(self, topic: str) -> None:
        self.followed.add(topic)

    async def ready(self, node: int, group: Any) -> bool:
        assert group is ConnectionGroup.COORDINATION
        if node in self.away:
            self.away.remove(node)
            return False
        return True

    async def force_metadata_update(self) -> None:
        self.refreshed += 1
        self.on_refresh()

    async def send(self, node: int, request: Any, group: Any = None) -> Any:
        name = name_of(request)
        assert (group is ConnectionGroup.COORDINATION) is (name != "Produce")
        self.said.append(f"{name} {node}")
        self.requests.append(request)
        orders = self.orders.get(name)
        order = orders.pop(0) if orders else getattr(self, f"_{name}")
        if isinstance(order, Exception):
            raise order
        return order(request)

    async def close(self) -> None:
        self.closed += 1

    def requested(self, name: str) -> list[Any]:
        return [request for request in self.requests if name_of(request) == name]

    # --- yes ---

    def _InitProducerId(self, request: Any) -> Any:  # noqa: N802 - the request's name
        return SimpleNamespace(error_code=0, producer_id=PRODUCER_ID, producer_epoch=EPOCH)

    def _AddPartitionsToTxn(self, request: Any) -> Any:  # noqa: N802 - the request's name
        return SimpleNamespace(errors=[(topic, [(at, 0) for at in there]) for topic, there in request._topics])

    def _AddOffsetsToTxn(self, request: Any) -> Any:  # noqa: N802 - the request's name
        return SimpleNamespace(error_code=0)

    def _TxnOffsetCommit(self, request: Any) -> Any:  # noqa: N802 - the request's name
        return SimpleNamespace(errors=[("in", [(3, 0)])])

    def _EndTxn(self, request: Any) -> Any:  # noqa: N802 - the request's name
        return SimpleNamespace(error_code=0)

    def _Produce(self, request: Any) -> Any:  # noqa: N802 - the request's name
        return SimpleNamespace(
            topics=[(topic, [self.lay(topic, *each) for each in some]) for topic, some in request._topics]
        )

    def lay(self, topic: str, partition: int, content: bytes) -> tuple[int, int, int, int]:
        """Written unless it lies there already: brokers know a copy by its bytes' sequence."""
        log = self.written.setdefault(TopicPartition(topic, partition), [])
        if content not in log:
            log.append(content)
        return partition, 0, 100 * log.index(content), -1


def refuse(kind: type[KafkaError]) -> Answer:
    """An answer to any of these requests but Produce, with this error for each partition that is asked for."""
    code = kind.errno

    def answer(request: Any) -> Any:
        asked = getattr(request, "_topics", ())
        numbers = [(topic, [at[0] if isinstance(at, tuple) else at for at in there]) for topic, there in asked]
        return SimpleNamespace(
            error_code=code, errors=[(topic, [(at, code) for at in there]) for topic, there in numbers]
        )

    return answer


def unwritten(kind: type[KafkaError]) -> Answer:
    """An answer to Produce with this error for each partition."""
    return lambda request: SimpleNamespace(
        topics=[(topic, [(partition, kind.errno, -1) for partition, _ in some]) for topic, some in request._topics]
    )


class Made:
    """A producer, its client, and the pauses that it made."""

    def __init__(self, producer: StrictProducer, client: Client, pauses: list[float]) -> None:
        self.producer, self.client, self.pauses = producer, client, pauses

    async def begun(self) -> None:
        """It has taken over; what was said for that is forgotten."""
        await self.producer.start()
        self.client.said.clear()

    async def moved(self) -> None:
        await self.producer.move(INPUT, 8, "metadata")


def batch(*values: bytes) -> Batch:
    made = Batch()
    for value in values:
        assert made.append(1, b"key", value, ())
    return made


def read(content: bytes) -> Any:
    """The batch in these bytes."""
    return MemoryRecords(content).next_batch()


Make = Callable[..., Made]


@contextmanager
def making(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Nothing escapes that asyncio would only report."""
    escaped: list[Any] = []

    def made(group: str = "group") -> Made:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
        client, pauses = Client(), list[float]()
        turn = asyncio.sleep

        async def pause(seconds: float) -> None:
            pauses.append(seconds)
            await turn(0)

        monkeypatch.setattr(strict_producer, "AIOKafkaClient", lambda **_: client)
        monkeypatch.setattr(strict_producer.asyncio, "sleep", pause)
        producer = StrictProducer(KafkaConnection("nowhere:1", "test"), "group-in-3", group, TIMEOUT_MS)
        return Made(producer, client, pauses)

    yield made
    assert not escaped
