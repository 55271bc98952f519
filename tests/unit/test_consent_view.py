"""The consent view over a Kafka that the test plays: what it follows, what it waits for, and when it gives up."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from structlog.testing import capture_logs

from gateway.kafka import consent_view
from gateway.kafka.cluster import Cluster, TopicMissingError
from gateway.kafka.codec import Codec
from gateway.kafka.connection import KafkaConnection, KafkaUnavailableError
from gateway.kafka.consent_view import ConsentView, ViewFailedError
from gateway.kafka.registry import FileRegistry, RegistryAway
from gateway.kafka.view_store import Rebuilt, ViewFullError, ViewStore
from tests.view_records import control_value
from tests.view_world import (
    ANNA,
    BERT,
    CONSENTS,
    CONTROL,
    CONTROLS,
    ONE,
    REAL_SLEEP,
    START_MS,
    TWO,
    Consumer,
    Kafka,
    reach,
    status,
    until,
)

IDLE_MS = 3_600_000
PAUSE_S = 0.0001  # instead of what the view pauses


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    """What the view reads from."""
    made = Kafka()
    for name in ("describe", "log_bounds", "list_offsets"):
        monkeypatch.setattr(consent_view, name, getattr(made, name))
    monkeypatch.setattr(consent_view, "AIOKafkaConsumer", lambda **_: Consumer(made))
    monkeypatch.setattr(consent_view, "time", SimpleNamespace(monotonic=lambda: made.seconds))
    return made


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The view's pauses, each of which is only a turn of the loop."""
    made: list[float] = []

    async def pause(seconds: float) -> None:
        made.append(seconds)
        await REAL_SLEEP(PAUSE_S)

    monkeypatch.setattr(consent_view.asyncio, "sleep", pause)
    return made


Make = Callable[[], ConsentView]


@pytest.fixture
async def make(kafka: Kafka, tmp_path: Path, pauses: list[float]) -> AsyncIterator[Make]:
    """Makes the view of this test's directory; closed at the end, and nothing escapes that would only be reported."""
    made: list[ConsentView] = []
    escaped: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))

    def view() -> ConsentView:
        codec = Codec(FileRegistry(), {CONSENTS: "ConsentRecord", CONTROLS: "Control"})
        made.append(
            ConsentView(
                KafkaConnection("nowhere:1", "test"),
                codec,
                consents=CONSENTS,
                controls=CONTROLS,
                directory=tmp_path,
                max_idle_ms=IDLE_MS,
                now=lambda: kafka.now,
            )
        )
        return made[-1]

    yield view
    for each in made:
        await each.close()
    assert not escaped


@pytest.fixture
async def view(make: Make) -> ConsentView:
    """One that follows."""
    made = make()
    assert await made.start(CLIENT) is Rebuilt.NEW
    return made


CLIENT: Any = None


# --- following --------------------------------------------------------------------------------------------


async def test_what_is_written_is_applied_and_markers_are_passed(view: ConsentView, kafka: Kafka) -> None:
    """Whoever waits for the ends goes on once they are applied; a state that changes is not the remembered one."""
    kafka.consent(ANNA, 1)
    kafka.consent(BERT, 1, partition=TWO)
    kafka.logs[ONE].append(None)
    kafka.write(CONTROL, "h1", control_value("h1", "subject", ANNA))
    await reach(view, kafka)
    assert (status(view, ANNA), status(view, BERT), view.subjects()) == ("given", "given", 2)
    assert view.holds.parks(ANNA, 0)
    kafka.consent(ANNA, 2, "withdrawn")
    await reach(view, kafka)
    assert (status(view, ANNA), view.remembered) == ("withdrawn", 2)
    assert view.holds.parks(ANNA, 0)
    assert (view.lag(), view.behind(kafka.ends())) == (0, ())
    kafka.write(CONTROL, "h1", None)
    await reach(view, kafka)
    assert not view.holds.parks(ANNA, 0)


async def test_how_far_the_controls_are_applied_is_told(view: ConsentView, kafka: Kafka) -> None:
    """So that whoever sets a hold sees when it is in force here; consents move nothing of it."""
    kafka.consent(ANNA, 1)
    await reach(view, kafka)
    assert view.controls() == {CONTROL.partition: (0, None)}
    kafka.write(CONTROL, "h1", control_value("h1", "all", None))
    kafka.logs[CONTROL].append(None)
    await reach(view, kafka)
    assert view.controls() == {CONTROL.partition: (2, kafka.now)}


async def test_a_quiet_view_reads_and_writes_nothing(
    view: ConsentView, kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its partitions nor its disk, nor is it looked at the topics all the time."""
    kafka.consent(ANNA, 1)
    await reach(view, kafka)
    writes: list[Any] = []
    monkeypatch.setattr(ViewStore, "write", lambda self, *what: writes.append(what))
    looked = kafka.looked
    for _ in range(50):
        await REAL_SLEEP(0)
    assert (writes, kafka.looked) == ([], looked)
    assert kafka.assigned == [[ONE, TWO, CONTROL]]


async def test_what_comes_one_by_one_is_applied_together(
    view: ConsentView, kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it is much, or a fence waits for it."""
    monkeypatch.setattr(consent_view, "GATHER_S", IDLE_MS)
    for version in range(1, 4):
        kafka.consent(ANNA, version)
        for _ in range(50):
            await REAL_SLEEP(0)
        assert view.counts.read == 1
    await reach(view, kafka)
    monkeypatch.setattr(consent_view, "POLL_RECORDS", 1)
    kafka.consent(ANNA, 4)
    await reach(view, kafka)
    for version in (5, 6):
        kafka.consent(ANNA, version)
        await until(lambda read=version: view.counts.read == read)


async def test_a_restart_goes_on_where_it_was(view: ConsentView, make: Make, kafka: Kafka) -> None:
    """Nothing is read again, not even after markers alone; what came meanwhile is applied."""
    kafka.consent(ANNA, 1)
    kafka.write(CONTROL, "h1", control_value("h1", "subject", ANNA))
    await reach(view, kafka)
    kafka.logs[ONE].append(None)
    await reach(view, kafka)
    await view.close()
    assert kafka.stopped == 1
    kafka.starts[ONE] = 2
    kafka.consent(BERT, 1)
    again = make()
    assert await again.start(CLIENT) is None
    assert (status(again, ANNA), again.holds.parks(ANNA, 0)) == ("given", True)
    await reach(again, kafka)
    assert (status(again, BERT), again.counts.read) == ("given", 1)


@pytest.mark.parametrize("is_shorter", [True, False])
async def test_what_was_applied_is_gone_from_the_log(
    view: ConsentView, make: Make, kafka: Kafka, is_shorter: bool
) -> None:
    """Deleted or made anew: the view starts empty, and says why."""
    for version in (1, 2, 3):
        kafka.consent(ANNA, version)
    await reach(view, kafka)
    await view.close()
    kafka.logs[ONE] = [] if is_shorter else [*kafka.logs[ONE], None]
    kafka.starts[ONE] = 0 if is_shorter else 4
    again = make()
    assert await again.start(CLIENT) is Rebuilt.DAMAGED
    await reach(again, kafka)
    assert status(again, ANNA) is None


async def test_a_partition_that_was_added_is_followed_without_a_fence(view: ConsentView, kafka: Kafka) -> None:
    """From its first record, while the others go on where they were."""
    kafka.consent(ANNA, 1)
    await reach(view, kafka)
    three = TopicPartition(CONSENTS, 2)
    kafka.logs[three] = [None]
    kafka.starts[three] = 1
    kafka.consent(BERT, 1, partition=three)
    kafka.seconds += consent_view.REFRESH_S
    await until(lambda: len(kafka.assigned) == 2)
    await reach(view, kafka)
    assert (status(view, BERT), view.counts.read) == ("given", 2)


async def test_a_broker_that_does_not_know_a_partition_yet_makes_nothing_of_it(
    view: ConsentView, make: Make, kafka: Kafka
) -> None:
    """What is applied of it stays; it is followed once it is known."""
    kafka.consent(BERT, 1, partition=TWO)
    await reach(view, kafka)
    await view.close()
    log = kafka.logs.pop(TWO)
    again = make()
    assert await again.start(CLIENT) is None
    kafka.logs[TWO] = log
    kafka.consent(BERT, 2, "withdrawn", partition=TWO)
    kafka.seconds += consent_view.REFRESH_S
    await until(lambda: len(kafka.assigned) == 3)
    await reach(again, kafka)
    assert (status(again, BERT), again.counts.read) == ("withdrawn", 1)


# --- what it waits for ------------------------------------------------------------------------------------


async def test_topics_that_were_just_made_are_waited_for(make: Make, kafka: Kafka, pauses: list[float]) -> None:
    """A broker may not know them yet."""
    kafka.missing_looks = 2
    await make().start(CLIENT)
    assert pauses == [consent_view.RETRY_S] * 2


async def test_topics_that_do_not_come_are_missing(make: Make, kafka: Kafka, pauses: list[float]) -> None:
    """After a while somebody must make them; there is nothing to close then."""
    kafka.missing_looks = 10
    view = make()
    starting = asyncio.create_task(view.start(CLIENT))
    await until(lambda: pauses)
    kafka.seconds += consent_view.TOPICS_APPEAR_S + 1
    with pytest.raises(TopicMissingError):
        await starting
    for use in (lambda: view.following, view.caught_up_at):
        with pytest.raises(RuntimeError, match="not started"):
            use()


async def test_a_read_that_fails_is_made_again(view: ConsentView, kafka: Kafka, pauses: list[float]) -> None:
    """After a pause, and told."""
    kafka.polls = [KafkaError(), KafkaError()]
    kafka.consent(ANNA, 1)
    with capture_logs() as lines:
        await reach(view, kafka)
    assert pauses == [consent_view.RETRY_S] * 2
    assert [line["event"] for line in lines] == ["consent view cannot read, trying again"] * 2


async def test_a_view_whose_client_reads_no_more_ends(view: ConsentView, kafka: Kafka) -> None:
    """Else it would take what is there for all there is, until the first fence, and be stuck from then on."""
    await reach(view, kafka)
    kafka.breaks.set()
    with pytest.raises(KafkaUnavailableError, match="the client stopped: KafkaError"):
        await view.following


async def test_a_registry_that_is_away_is_waited_for(
    view: ConsentView, kafka: Kafka, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is taken for unreadable meanwhile; it is told once."""
    plain, away = Codec.prepare, [RegistryAway("away"), RegistryAway("away")]

    async def prepare(self: Codec, values: Any) -> None:
        if away:
            raise away.pop()
        await plain(self, values)

    monkeypatch.setattr(Codec, "prepare", prepare)
    kafka.consent(ANNA, 1)
    with capture_logs() as lines:
        await reach(view, kafka)
    assert status(view, ANNA) == "given"
    assert pauses == [consent_view.RETRY_S] * 2
    assert [line["event"] for line in lines] == ["consent view waits for the schema registry"]


async def test_a_full_disk_is_waited_for(
    view: ConsentView, kafka: Kafka, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No fence is reached meanwhile; it is told once, and when there is room again."""
    plain, full = ViewStore.write, [ViewFullError("full"), ViewFullError("full")]

    def write(self: ViewStore, *what: Any) -> None:
        if full:
            assert view.behind(kafka.ends())
            raise full.pop()
        plain(self, *what)

    lines: list[str] = []
    monkeypatch.setattr(ViewStore, "write", write)
    monkeypatch.setattr(
        consent_view, "log", SimpleNamespace(info=lines.append, error=lambda line, error: lines.append(line))
    )
    for version in (1, 2):
        kafka.consent(ANNA, version)
        await reach(view, kafka)
    assert pauses == [consent_view.RETRY_S] * 2
    assert lines == ["consent view has no room on its disk and waits", "consent view has room again"]


async def test_a_disk_that_is_full_at_the_end_hinders_no_end(
    view: ConsentView, kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start reads again what came last; that the view is whole is known without a disk."""

    def full(self: ViewStore, *_: Any) -> None:
        raise ViewFullError("full")

    monkeypatch.setattr(ViewStore, "write", full)
    monkeypatch.setattr(ViewStore, "note_caught_up", full)
    view.note_whole(START_MS + 1)
    following = view.following
    await view.close()
    assert following.cancelled()
    assert kafka.stopped == 1


# --- when it is whole, and when it gives up ---------------------------------------------------------------


async def test_it_is_noted_when_the_view_was_whole(view: ConsentView, kafka: Kafka) -> None:
    """Also without a fence, and never for an earlier moment than is known."""
    kafka.now += 5_000
    kafka.seconds += consent_view.REFRESH_S
    await until(lambda: view.caught_up_at() == START_MS + 5_000)
    view.note_whole(START_MS + 4_000)
    assert view.caught_up_at() == START_MS + 5_000


async def test_a_view_that_is_behind_is_not_whole(view: ConsentView, kafka: Kafka) -> None:
    """Nor one whose ends can't be read: that is told, and looked at again."""
    await until(lambda: kafka.looked == 2)
    kafka.deaf = True
    kafka.consent(ANNA, 1)
    kafka.now += 5_000
    with capture_logs() as lines:
        for looked, trouble in ((3, []), (4, [KafkaUnavailableError("looking", "no answer")])):
            kafka.looks = list(trouble)
            kafka.seconds += consent_view.REFRESH_S
            await until(lambda looked=looked: kafka.looked == looked)
            await until(lambda: not kafka.looks)
    assert [line["event"] for line in lines] == ["consent view cannot look whether it is whole"]
    assert view.caught_up_at() == START_MS


async def test_a_view_that_is_behind_for_too_long_ends(view: ConsentView, make: Make, kafka: Kafka) -> None:
    """Tombstones may be gone from the topic: it is rebuilt by the next start."""
    await until(lambda: kafka.looked == 2)
    kafka.deaf = True
    kafka.consent(ANNA, 1)
    kafka.now += IDLE_MS + 1
    kafka.seconds += consent_view.REFRESH_S
    with pytest.raises(ViewFailedError, match="behind for so long"):
        await view.following
    await view.close()
    kafka.deaf = False
    assert await make().start(CLIENT) is Rebuilt.NEW


async def test_records_that_are_deleted_under_the_view_end_it(view: ConsentView, make: Make, kafka: Kafka) -> None:
    """Whoever waits for it is told, and the next start rebuilds it."""
    kafka.consent(ANNA, 1)
    await reach(view, kafka)
    kafka.logs[ONE] += [None, None]
    kafka.deaf = True
    waiting = asyncio.create_task(view.reach(kafka.ends()))
    await REAL_SLEEP(0)
    kafka.starts[ONE] = 2
    with pytest.raises(ViewFailedError, match="stopped following") as stopped:
        await waiting
    assert "records were deleted" in str(stopped.value.__cause__)
    await view.close()
    assert await make().start(CLIENT) is Rebuilt.NEW


async def test_a_failure_that_nobody_waits_for_is_not_reported_as_forgotten(view: ConsentView, kafka: Kafka) -> None:
    """Whoever runs the process has been told."""
    kafka.polls = [ZeroDivisionError()]
    await until(view.following.done)
    await view.close()


async def test_topics_that_are_gone_or_others_are_no_topics_of_the_view(view: ConsentView, kafka: Kafka) -> None:
    """The fence asks with what it has just read."""
    with pytest.raises(TopicMissingError):
        view.expect(Cluster("c", (1,), {}))
    kafka.ids[CONSENTS] = UUID(int=3)
    with pytest.raises(ViewFailedError, match="changed"):
        view.expect(await kafka.describe(None, (CONSENTS, CONTROLS)))
