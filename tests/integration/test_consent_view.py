"""The consent view and its fence on a real broker."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.client import AIOKafkaClient

from gateway.core.consent import Consent, Denied
from gateway.core.reasons import Reason
from gateway.kafka.codec import Codec
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.consent_view import ConsentView, ViewFailedError
from gateway.kafka.fence import Fence, FenceFailed
from gateway.kafka.registry import FileRegistry
from gateway.kafka.view_store import Rebuilt
from tests.integration.conftest import MakeTopic
from tests.integration.waiting import until
from tests.view_records import consent_value, control_value

ANNA, BERT = "subject-anna", "subject-bert"
BOUND_S = 20
MAX_IDLE_MS = 3_600_000
STUCK_S = 0.5

Open = Callable[[], Awaitable[tuple[ConsentView, Fence, Rebuilt | None]]]


class Topics:
    """The two topics of one test, and a producer for them."""

    def __init__(self, consents: str, controls: str, producer: AIOKafkaProducer) -> None:
        self.consents = consents
        self.controls = controls
        self.producer = producer

    async def write(self, subject: str, version: int, status: str = "given", partition: int = 0) -> None:
        value = consent_value(subject, version, status)
        await self.producer.send_and_wait(self.consents, value, subject.encode(), partition)


@pytest.fixture
def connection(kafka: str, prefix: str) -> KafkaConnection:
    """The shared node."""
    return KafkaConnection(kafka, f"{prefix}test")


@pytest.fixture
async def topics(connection: KafkaConnection, make_topic: MakeTopic) -> AsyncIterator[Topics]:
    """Empty consent and control topics."""
    compact = {"cleanup.policy": "compact"}
    consents, controls = await make_topic("consent.records", 2, compact), await make_topic("controls", 1, compact)
    async with AIOKafkaProducer(**connection.kwargs(), acks="all") as producer:
        yield Topics(consents, controls, producer)


@pytest.fixture
async def client(connection: KafkaConnection) -> AsyncIterator[AIOKafkaClient]:
    """A client without long polls."""
    async with connection.client() as made:
        yield made


@pytest.fixture
async def open_view(
    connection: KafkaConnection, topics: Topics, client: AIOKafkaClient, tmp_path: Path
) -> AsyncIterator[Open]:
    """Opens the view of this test's directory and its fence; closed at the end."""
    async with AsyncExitStack() as opened:

        async def make() -> tuple[ConsentView, Fence, Rebuilt | None]:
            codec = Codec(FileRegistry(), {topics.consents: "ConsentRecord", topics.controls: "Control"})
            view = ConsentView(
                connection,
                codec,
                consents=topics.consents,
                controls=topics.controls,
                directory=tmp_path,
                max_idle_ms=MAX_IDLE_MS,
            )
            rebuilt = await view.start(client)
            opened.push_async_callback(view.close)
            fence = Fence(client, view, timeout=BOUND_S)
            opened.push_async_callback(fence.close)
            return view, fence, rebuilt

        yield make


def status(view: ConsentView, subject: str) -> str | Reason | None:
    state = view.get_many([subject])[subject]
    if state is None:
        return None
    return state.reason if isinstance(state, Denied) else state.status.value


async def test_a_fence_sees_every_acknowledged_withdrawal(open_view: Open, topics: Topics) -> None:
    """Whatever Kafka acknowledged before the fence was asked for is in the view when it is reached."""
    view, fence, _ = await open_view()
    version = 0
    for _ in range(25):
        for written in ("given", "withdrawn"):
            version += 1
            await topics.write(ANNA, version, written)
            before = time.time_ns() // 1_000_000
            mark = await fence.reach()
            assert mark.read_at_ms >= before
            assert status(view, ANNA) == written


async def test_a_fence_waits_for_a_withdrawal_without_its_marker(
    open_view: Open, topics: Topics, connection: KafkaConnection, client: AIOKafkaClient, prefix: str
) -> None:
    """An acknowledged record of an open transaction holds the fence until the transaction ends."""
    view, fence, _ = await open_view()
    await topics.write(ANNA, 1)
    await fence.reach()
    async with AIOKafkaProducer(**connection.kwargs(), transactional_id=f"{prefix}consent-service") as producer:
        await producer.begin_transaction()
        value = consent_value(ANNA, 2, "withdrawn")
        await producer.send_and_wait(topics.consents, value, ANNA.encode(), 0)
        with pytest.raises(FenceFailed, match=f"{topics.consents}:0"):
            await Fence(client, view, timeout=STUCK_S).reach()
        assert status(view, ANNA) == "given"
        reaching = asyncio.create_task(fence.reach())
        await producer.commit_transaction()
        await reaching
    assert status(view, ANNA) == "withdrawn"


async def test_a_fence_passes_markers_and_aborted_records(
    open_view: Open, topics: Topics, connection: KafkaConnection, prefix: str
) -> None:
    """An aborted withdrawal was never made, and offsets that deliver nothing hold no fence."""
    view, fence, _ = await open_view()
    await topics.write(ANNA, 1)
    async with AIOKafkaProducer(**connection.kwargs(), transactional_id=f"{prefix}consent-service") as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topics.consents, consent_value(ANNA, 2, "withdrawn"), ANNA.encode(), 0)
        await producer.abort_transaction()
    await fence.reach()
    assert status(view, ANNA) == "given"


async def test_a_restart_goes_on_where_it_was(open_view: Open, topics: Topics) -> None:
    """What is on disk is there at once, nothing of it is read again, and what came meanwhile is applied."""
    view, fence, rebuilt = await open_view()
    assert rebuilt is Rebuilt.NEW
    await topics.write(ANNA, 1)
    await topics.write(BERT, 1, partition=1)
    await topics.producer.send_and_wait(topics.controls, control_value("h1", "subject", ANNA), b"h1")
    await fence.reach()
    await view.close()
    await topics.write(ANNA, 2, "withdrawn")
    view, fence, rebuilt = await open_view()
    assert rebuilt is None
    assert status(view, BERT) == "given"
    assert view.holds.parks(ANNA, 0)
    await fence.reach()
    assert status(view, ANNA) == "withdrawn"
    assert view.counts.read == 1


async def test_tombstones_and_contradictions_deny(open_view: Open, topics: Topics) -> None:
    """Erased, gone back, or in two partitions: denied until a higher version."""
    view, fence, _ = await open_view()
    await topics.write(ANNA, 5)
    await topics.producer.send_and_wait(topics.consents, None, ANNA.encode(), 0)
    await topics.write(BERT, 5)
    await topics.write(BERT, 4)
    await fence.reach()
    assert status(view, ANNA) is Reason.NO_CONSENT
    assert status(view, BERT) is Reason.CONSENT_SUPERSEDED_VERSION
    await topics.write(ANNA, 6)
    await topics.write(BERT, 6, partition=1)
    await fence.reach()
    assert status(view, ANNA) == "given"
    assert status(view, BERT) is Reason.CONSENT_SUPERSEDED_VERSION
    assert view.counts.in_two_partitions == 1


async def test_a_hold_counts_from_the_next_fence(open_view: Open, topics: Topics) -> None:
    """Controls are under the fence like consents."""
    view, fence, _ = await open_view()
    for state, parked in (("held", True), ("released", False)):
        await topics.producer.send_and_wait(topics.controls, control_value("h1", "subject", ANNA, state), b"h1")
        await fence.reach()
        assert view.holds.parks(ANNA, 0) is parked


async def test_a_fence_finds_a_partition_that_was_added(
    open_view: Open, topics: Topics, admin: AIOKafkaAdminClient
) -> None:
    """A withdrawal in a partition made a moment ago is seen."""
    view, fence, _ = await open_view()
    await topics.write(ANNA, 1)
    await fence.reach()
    await admin.create_partitions({topics.consents: NewPartitions(3)})
    await topics.producer.client.force_metadata_update()

    async def visible() -> bool:
        await topics.producer.client.force_metadata_update()
        return len(await topics.producer.partitions_for(topics.consents)) == 3

    await until(visible, BOUND_S, "the producer knows the new partition")
    await topics.write(BERT, 1, "withdrawn", partition=2)
    await fence.reach()
    assert status(view, BERT) == "withdrawn"
    await topics.write(ANNA, 2, "withdrawn")
    await fence.reach()
    assert status(view, ANNA) == "withdrawn"


async def test_a_topic_made_anew_ends_the_view(
    open_view: Open, topics: Topics, admin: AIOKafkaAdminClient, client: AIOKafkaClient
) -> None:
    """The same name with another id is another topic: no fence, and the next start is empty."""
    view, fence, _ = await open_view()
    await topics.write(ANNA, 1)
    await fence.reach()
    await admin.delete_topics([topics.consents])

    async def made_anew() -> bool:
        answer = await admin.create_topics([NewTopic(topics.consents, 2, 1)])
        return all(code == 0 for _, code, _ in answer.topic_errors)

    await until(made_anew, BOUND_S, "the topic is made anew")

    async def refused() -> bool:
        try:
            await fence.reach()
        except FenceFailed as failed:
            return isinstance(failed.__cause__, ViewFailedError)
        return False

    await until(refused, BOUND_S, "the fence notices the other topic")
    await view.close()
    view, fence, rebuilt = await open_view()
    assert rebuilt is Rebuilt.OTHER_ORIGIN
    await fence.reach()
    assert status(view, ANNA) is None


async def test_many_subjects_are_read_back_whole(open_view: Open, topics: Topics) -> None:
    """More records than one write takes come out as they went in, remembered or from disk."""
    view, fence, _ = await open_view()
    subjects = [f"subject-{number:05}x" for number in range(2_500)]
    sent = [
        await topics.producer.send(topics.consents, consent_value(subject, number + 1), subject.encode())
        for number, subject in enumerate(subjects)
    ]
    await asyncio.gather(*sent)
    await fence.reach()
    assert view.subjects() == len(subjects)
    for _ in range(2):
        states = view.get_many(subjects)
        assert [state.version for state in states.values() if isinstance(state, Consent)] == list(range(1, 2_501))
