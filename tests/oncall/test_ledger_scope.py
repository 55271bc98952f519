"""`gateway ledger scope`: what went out in a time, by what was announced in it."""

import asyncio
import stat
import tracemalloc
from pathlib import Path
from unittest import mock

import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from gateway.cli.errors import Exit
from gateway.kafka.connection import KafkaUnavailableError
from gateway.oncall.desk import Desk
from gateway.oncall.ledger import scope as scope_module
from gateway.oncall.ledger.scope import _Announced
from tests.oncall import golden
from tests.oncall.desk_world import OPERATOR, T0, DeskWorld
from tests.oncall.ledger_world import STEP_MS as MINUTE

SINCE, UNTIL = T0 + 60 * MINUTE, T0 + 120 * MINUTE
RANGE = ["ledger", "scope", "--since", "2026-05-01T10:00:00+09:00", "--until", "2026-05-01T11:00:00+09:00"]
MANY = 300_000
LATE = T0 + 10 * 60 * MINUTE  # settled hours later


@pytest.fixture(scope="module")
def incident(desk_world: DeskWorld) -> DeskWorld:
    """Events announced before, in and after an hour, and what became of each."""
    names = desk_world.names
    lane = f"{names.payments}:0"
    unknown = {"outcome": "PARKED", "reason": "outcome_unknown", "transmitted": "unknown", "receipt": None}
    refused = {"outcome": "PARKED", "reason": "rejected_by_genie", "transmitted": "no", "receipt": None}

    def announced(offset: int, at: int, *, lane: str = lane) -> None:
        desk_world.add_intent(lane, [{"offset": offset}], at=at)

    def settled(offset: int, subject: str, at: int, announced_at: int, **changes: object) -> None:
        place = (names.payments, 0, offset)
        desk_world.add_ledger(place, subject, at=at, announced_at=announced_at, **changes)

    announced(0, SINCE - 10 * MINUTE)  # over before
    announced(1, SINCE - 20_000)  # live over the beginning
    desk_world.add_intent(lane, [{"offset": 2}, {"offset": 3}], at=SINCE + MINUTE)
    announced(4, SINCE + 2 * MINUTE)  # nobody knows
    announced(5, SINCE + 3 * MINUTE)  # not accepted
    announced(6, SINCE + 4 * MINUTE)  # announced again, hours later
    announced(7, SINCE + 5 * MINUTE)  # no ledger record
    desk_world.add_intent(f"{names.scores}:1", [{"offset": 0}], at=SINCE + 6 * MINUTE)
    desk_world.add(names.intents, "a lane", b"nothing", at=SINCE + 7 * MINUTE)
    announced(9, SINCE + 8 * MINUTE)  # its input could not be read later
    announced(8, UNTIL)  # too late
    announced(6, LATE - MINUTE)
    settled(0, "subject-0", SINCE + MINUTE, SINCE - 10 * MINUTE)
    settled(1, "subject-1", SINCE + MINUTE, SINCE - 20_000)
    settled(2, "subject-1", SINCE + 2 * MINUTE, SINCE + MINUTE)
    settled(3, "subject-2", SINCE + 2 * MINUTE, SINCE + MINUTE, items=["name", "norel_score"])
    settled(4, "subject-3", SINCE + 80 * MINUTE, SINCE + 2 * MINUTE, **unknown)
    settled(5, "subject-4", SINCE + 3 * MINUTE, SINCE + 3 * MINUTE, **refused)
    nothing = {"event_id": None, "event_type": None, "consent": None, "items": [], "reason": "resolved_by_lookup"}
    place = (names.payments, 0, 9)
    desk_world.add_ledger(place, None, at=SINCE + 9 * MINUTE, announced_at=SINCE + 8 * MINUTE, **nothing)
    desk_world.add_ledger((names.scores, 1, 0), "subject-2", at=UNTIL + 1_000, announced_at=SINCE + 6 * MINUTE)
    settled(8, "subject-8", UNTIL + MINUTE, UNTIL)
    settled(6, "subject-5", LATE, LATE - MINUTE)
    desk_world.now = LATE + MINUTE
    return desk_world


def test_scope_is_told(incident: DeskWorld, tmp_path: Path) -> None:
    """What reached GeNiE, what may have, what has no record yet; references in a file of one's own."""
    file = tmp_path / "subjects.csv"
    ended = incident.run([*RANGE, "--subjects-to", str(file), *OPERATOR])
    assert (ended.status, ended.stderr) == (Exit.FOUND_WRONG, ""), "an announcement can't be read"
    golden.check("ledger_scope.txt", ended.stdout.replace(str(file), "FILE"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().splitlines() == [
        "subject_ref,reached_genie,may_have_reached_it",
        "subject-1,2,0",
        "subject-2,2,0",
        "subject-3,0,1",
        "subject-5,1,0",
    ]
    (deed,) = incident.records(incident.names.audit)
    told = ("operator", "command", "reason", "ticket", "count", "subject_ref")
    assert [deed[name] for name in told] == ["ann", "ledger scope --subjects-to", "test", "T-1", 4, None]


def test_references_are_not_handed_out_without_an_audit(incident: DeskWorld, tmp_path: Path) -> None:
    """Who wants them says who, and why; if that can't be written down, there is no file."""
    file = tmp_path / "subjects.csv"
    audits = len(incident.records(incident.names.audit))
    assert incident.run([*RANGE, "--subjects-to", str(file), *OPERATOR[:4]]).status == Exit.WRONG_USE

    async def away(*_: object) -> None:
        raise KafkaUnavailableError("writing", "no broker answers")

    with mock.patch.object(Desk, "write", away):
        ended = incident.run([*RANGE, "--subjects-to", str(file), *OPERATOR])
    assert ended.status == Exit.UNREACHABLE
    assert not file.exists()
    assert len(incident.records(incident.names.audit)) == audits


def test_a_long_incident_is_remembered_in_bits() -> None:
    """A byte would be enough for each of many announced inputs of a lane; each is settled once."""
    announced = _Announced()
    tracemalloc.start()
    for offset in range(MANY):
        announced.add("lease.payments", 3, offset)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < MANY
    assert announced.settle(("lease.payments", 3, 7))
    assert not announced.settle(("lease.payments", 3, 7))
    assert not announced.settle(("lease.payments", 4, 8))
    assert announced.count() == MANY - 1


def test_what_was_settled_late_is_found_however_much_it_is(
    incident: DeskWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a query can name is sifted; the answer is the same."""
    whole = incident.run([*RANGE, "--json"]).stdout
    monkeypatch.setattr(scope_module, "MOST_NAMED", 0)
    assert incident.run([*RANGE, "--json"]).stdout == whole


def test_scope_as_json_is_the_same_from_an_index(incident: DeskWorld, tmp_path: Path) -> None:
    """One object."""
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    assert incident.run(["ledger", "index", "--once", "--index", url]).status == Exit.DONE
    from_topic, from_index = (incident.run([*RANGE, "--json", "--index", where]).stdout for where in ("topic", url))
    golden.check("ledger_scope.json", from_topic)
    there, here = orjson.loads(from_index), orjson.loads(from_topic)
    assert here.pop("source") != there.pop("source")
    assert there == here


def test_scope_of_a_quiet_time(incident: DeskWorld) -> None:
    """Says that nothing went out."""
    ended = incident.run([*RANGE[:3], "2026-05-01T13:00:00+09:00", "--until", "2026-05-01T14:00:00+09:00"])
    assert ended.status == Exit.DONE
    assert ended.stdout.splitlines()[2] == "reached GeNiE: 0 events of 0 customers"


def test_scope_keeps_a_file_that_is_there(incident: DeskWorld, tmp_path: Path) -> None:
    """Nobody's list is written over."""
    file = tmp_path / "subjects.csv"
    file.write_text("theirs")
    ended = incident.run([*RANGE, "--subjects-to", str(file), *OPERATOR])
    assert (ended.status, file.read_text()) == (Exit.WRONG_USE, "theirs")
    assert "there is such a file" in ended.stderr


def test_scope_needs_a_time(incident: DeskWorld) -> None:
    """One that begins before it ends."""
    ended = incident.run([*RANGE[:4], "--until", "2026-05-01T10:00:00+09:00"])
    assert ended.status == Exit.WRONG_USE
    assert "is not before" in ended.stderr


async def drop(kafka: str, topic: str, before: int) -> None:
    """Let retention take the first records."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before)})
    finally:
        await admin.close()


def test_scope_says_where_announcements_are_gone(kafka: str) -> None:
    """Before the topic of announcements begins, the ledger's own times stand in; what it can't tell is told."""
    world = DeskWorld(kafka)
    lane = f"{world.names.payments}:0"
    times = [SINCE - 30 * MINUTE, SINCE + MINUTE, SINCE + 40 * MINUTE]
    for offset, at in enumerate(times):
        world.add_intent(lane, [{"offset": offset}], at=at)
        place = (world.names.payments, 0, offset)
        settled_at = LATE if offset == 1 else at + MINUTE
        world.add_ledger(place, f"subject-{offset}", at=settled_at, announced_at=at, settled_at=settled_at)
    world.flush()
    asyncio.run(drop(kafka, world.names.intents, 2))
    told = world.run(RANGE).stdout
    assert "reached GeNiE: 2 events of 2 customers" in told, "one of them settled late"
    assert "the topic of announcements begins at 2026-05-01 10:40:00 JST (01:40:00Z): before, the last" in told


def test_scope_sees_that_the_announcements_were_made_anew(kafka: str) -> None:
    """A topic of announcements that begins within the time, at offset 0, does not reach back either; and a ledger
    record that can't be read is told by the status."""
    world = DeskWorld(kafka)
    names = world.names
    world.add_intent(f"{names.payments}:0", [{"offset": 1}], at=SINCE + 30 * MINUTE)
    place = (names.payments, 0, 0)
    world.add_ledger(place, "subject-0", at=LATE, announced_at=SINCE + MINUTE, settled_at=LATE)
    world.now = LATE + MINUTE
    ended = world.run(RANGE)
    assert "reached GeNiE: 1 event of 1 customer\n" in ended.stdout
    assert "the topic of announcements begins at 2026-05-01 10:30:00 JST" in ended.stdout
    assert ended.status == Exit.DONE
    world.add(names.ledger, "subject-1", b"no record", at=SINCE + 2 * MINUTE)
    ended = world.run(RANGE)
    assert "NOT in this: 1 records of the ledger topic that can't be read" in ended.stdout
    assert ended.status == Exit.FOUND_WRONG
