"""`gateway parked`: what is stuck, what it means, and who looked into it."""

import asyncio
import json
import tracemalloc
from collections.abc import Iterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from gateway.oncall import advice
from gateway.oncall import parked as shelves
from gateway.oncall.desk import Desk, Found
from gateway.oncall.parked import Selection, Shelf, shelve
from tests.oncall import golden
from tests.oncall.desk_world import DAY_MS, NOW, OPERATOR, T0, DeskWorld

HOUR = 3_600_000
REVEAL = ["--reveal", *OPERATOR]


@pytest.fixture(scope="module")
def world(desk_world: DeskWorld) -> DeskWorld:
    """Parked: one refused, one held that a replay resolved, one whose replay was parked again, one whose input is gone,
    one that retention may delete now, one that only a replay parked; and what nobody can read."""
    names = desk_world.names
    inputs = [desk_world.add_payment(f"subject-{n}a", at=T0 + n * 1_000) for n in range(6)]
    gone = desk_world.add_payment("subject-6a", partition=1)
    old = desk_world.add_payment("subject-7a", partition=1)
    desk_world.add_parked(inputs[0], "subject-0a", "rejected_by_genie", at=T0 + HOUR, detail="invalid_body", attempts=1)
    desk_world.add_parked(inputs[1], "subject-1a", "held", at=T0 + 2 * HOUR)
    desk_world.add(names.parked, "{}:{}:{}".format(*inputs[1]), None, at=T0 + 3 * HOUR)
    desk_world.add_parked(inputs[2], "subject-2a", "genie_fails_on_entry", at=T0 + 3 * HOUR, attempts=8)
    again = desk_world.add_request(inputs[2], "subject-2a", at=T0 + 4 * HOUR)
    desk_world.add_parked(
        again, "subject-2a", "outcome_unknown", at=T0 + 5 * HOUR, transmitted="unknown", attempts=2, producer=None
    )
    desk_world.add_parked(gone, "subject-6a", "event_id_reused", at=T0 + 6 * HOUR, producer=None)
    desk_world.add_parked(old, "subject-7a", "future_event", at=T0 + 7 * HOUR, input_expires_at=NOW)
    only = desk_world.add_request(inputs[4], "subject-4a", at=T0 + 8 * HOUR)
    desk_world.add_parked(only, "subject-4a", "held", at=T0 + 9 * HOUR)
    undone = desk_world.add_request(inputs[5], "subject-5a", at=T0 + 8 * HOUR)
    desk_world.add_parked(undone, "subject-5a", "held", at=T0 + 9 * HOUR)
    desk_world.add(names.parked, "{}:{}:{}".format(*inputs[5]), None, at=T0 + 10 * HOUR)
    desk_world.add(names.parked, "no place", None)
    desk_world.add(names.parked, f"{names.scores}:0:0", b"garbage")
    elsewhere = desk_world.position(inputs[3], T0) | {"cluster_id": "another"}
    desk_world.add_parked(inputs[3], "subject-3a", "held", input=elsewhere)
    desk_world.flush()
    asyncio.run(delete(desk_world, gone))
    return desk_world


async def delete(world: DeskWorld, place: tuple[str, int, int]) -> None:
    """As retention does: this record and all before it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=world.kafka)
    await admin.start()
    try:
        topic, partition, offset = place
        await admin.delete_records({TopicPartition(topic, partition): RecordsToDelete(before_offset=offset + 1)})
    finally:
        await admin.close()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("list", ["list"]),
        ("list_json", ["list", "--json", "--limit", "1"]),
        ("list_held", ["list", "--reason", "held"]),
        ("list_none", ["list", "--subject", "subject-9z"]),
        ("stats", ["stats"]),
        ("stats_json", ["stats", "--json", "--reason", "held"]),
        ("show_refused", ["show", "prefixed1.lease.payments:0:0"]),
        ("show_replayed", ["show", "prefixed1.genie.replay.requests:0:0"]),
        ("show_gone", ["show", "prefixed1.lease.payments:1:0"]),
        ("show_expired", ["show", "prefixed1.lease.payments:1:1"]),
        ("show_replay_alone", ["show", "prefixed1.lease.payments:0:4"]),
        ("reveal", ["show", "prefixed1.lease.payments:0:0", *REVEAL]),
        ("reveal_unmasked", ["show", "prefixed1.lease.payments:0:0", *REVEAL, "--unmasked"]),
        ("reveal_gone", ["show", "prefixed1.lease.payments:1:0", *REVEAL]),
    ],
)
def test_what_is_printed(world: DeskWorld, name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As a person has seen it; status 0. What advice says is the advice's own affair."""
    written = {
        code: advice.Advice(code, f"What {code} means.", ("One.", "Two."), (), False, "") for code in advice.every()
    }
    monkeypatch.setattr(advice, "every", lambda: written)
    named = [argument.replace("prefixed1.", world.prefix) for argument in arguments]
    result = world.run(["parked", *named])
    assert (result.stderr, result.status) == ("", 0)
    golden.check(f"parked_{name}.txt", result.stdout)


def test_show_says_what_the_advice_does(world: DeskWorld) -> None:
    """What the reason means, and what to check."""
    shown = json.loads(world.run(["parked", "show", f"{world.prefix}lease.payments:0:0", "--json"]).stdout)
    known = advice.of("rejected_by_genie")
    assert (shown["means"], shown["check"]) == (known.means, list(known.check))


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["show", "lease.payments:0"], 2, "give topic:partition:offset"),
        (["show", "PREFIXlease.payments:0:3"], 1, "is not parked. What became of it: gateway explain"),
        (["show", "PREFIXlease.payments:0:1"], 1, "a replay resolved it 2026-05-01 12:00:00 JST (03:00:00Z)"),
        (["show", "PREFIXlease.payments:0:0", "--reveal", "--operator", "ann"], 2, "--reason: give 1 to 500"),
        (["show", "PREFIXlease.payments:0:0", "--unmasked"], 2, "it goes with --reveal"),
        (["list", "--reason", "accepted"], 2, "give one of unknown_schema_id"),
        (["list", "--event-type", "payment"], 2, "give one of lease_payment, norel_score_update"),
        (["list", "--partition", "lease.payments"], 2, "give topic:partition"),
        (["list", "--since", "yesterday"], 2, "give a time with its zone"),
    ],
)
def test_what_is_refused(world: DeskWorld, arguments: list[str], status: int, message: str) -> None:
    """Says what to give instead."""
    result = world.run(["parked", *(argument.replace("PREFIX", world.prefix) for argument in arguments)])
    assert (result.stdout, result.status) == ("", status)
    assert message in result.stderr


@pytest.mark.parametrize(
    ("wanted", "offsets"),
    [
        (["--reason", "held"], {4}),
        (["--reason", "genie_fails_on_entry"], set()),  # what stands in the way now is another reason
        (["--reason", "outcome_unknown"], {2}),
        (["--subject", "subject-2a"], {2}),
        (["--producer", "billing"], {0, 1, 2, 4}),
        (["--partition", "PREFIXlease.payments:1"], {0, 1}),
        (["--event-type", "norel_score_update"], set()),
        (["--since", "2026-05-01T11:00:00+09:00", "--until", "19h"], {2}),
    ],
)
def test_a_part_is_listed(world: DeskWorld, wanted: list[str], offsets: set[int]) -> None:
    """By each filter; a replay that was parked again counts to its input."""
    result = world.run(["parked", "list", "--json", *(each.replace("PREFIX", world.prefix) for each in wanted)])
    listed = json.loads(result.stdout)["parked"]
    assert {int(each["input"].rpartition(":")[2]) for each in listed} == offsets
    assert len(listed) == json.loads(result.stdout)["selected"]


def test_who_looked_is_written_down_before_anything_is_fetched(
    world: DeskWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is there too when the fetch then fails; and an audit that can't be written lets nobody look."""
    place, before = f"{world.prefix}lease.payments:0:2", len(world.records(world.names.audit))

    async def fails(*_: object, **__: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(Desk, "at", fails)
        with pytest.raises(ConnectionError):
            world.run(["parked", "show", place, *REVEAL, "--unmasked"])
    written = world.records(world.names.audit)
    assert len(written) == before + 1
    assert {name: written[-1][name] for name in ("operator", "command", "reason", "ticket", "subject_ref")} == {
        "operator": "ann",
        "command": "parked show --reveal --unmasked",
        "reason": "test",
        "ticket": "T-1",
        "subject_ref": "subject-2a",
    }
    with monkeypatch.context() as patched:
        patched.setattr(Desk, "write", fails)
        patched.setattr(Desk, "at", pytest.fail)
        with pytest.raises(ConnectionError):
            world.run(["parked", "show", place, *REVEAL])


def test_nothing_of_a_person_is_shown_unless_asked_for_twice(world: DeskWorld) -> None:
    """Not by list, stats, show or --reveal; by --unmasked it is."""
    place = f"{world.prefix}lease.payments:0:0"
    values = (
        "山田",
        "タロウ",
        "丸の内",
        "100-0005",
        "03-0000",
        "taro",
        "45000",
        "45,000",
        "1985",
        "自由記述",
        "vehicle-1",
    )
    for arguments in (
        ["list"],
        ["stats"],
        ["show", place],
        ["show", place, *REVEAL],
        ["show", place, *REVEAL, "--json"],
    ):
        printed = world.run(["parked", *arguments]).stdout
        assert [value for value in values if value in printed] == []
    assert "山田 太郎" in world.run(["parked", "show", place, *REVEAL, "--unmasked"]).stdout


PARKED = 20_000


def many() -> Iterator[list[Found]]:
    """As the desk hands them on: in batches, each made when it is asked for."""
    for first in range(0, PARKED, 1_000):
        yield [parked(n) for n in range(first, first + 1_000)]


def parked(number: int) -> Found:
    record = {
        "input": {"cluster_id": "c", "topic": "lease.payments", "partition": 0, "offset": number, "timestamp": T0},
        "event_type": "lease_payment",
        "subject_ref": f"subject-{number}a",
        "producer": "billing",
        "reason": "held",
        "detail": "On-call holds this subject or event type.",
        "transmitted": "no",
        "parked_at": T0 + number,
        "input_expires_at": T0 + 90 * DAY_MS,
        "attempts": 0,
    }
    return Found("parked", 0, number, T0 + number, f"lease.payments:0:{number}", (), b"x", record, None)


def test_memory_does_not_grow_with_what_is_parked() -> None:
    """Of what was taken Python keeps nothing, and the database no more than its cache: the rest lies on disk."""
    shelf = Shelf("c")
    tracemalloc.start()
    for batch in many():
        shelf.take(batch)
    shelf.fold()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_000_000
    assert shelf._rows.execute("PRAGMA cache_size").fetchone()[0] == -shelves.CACHE_KB
    assert shelf.count(Selection(reason="held")) == PARKED
    assert [each.subject_ref for each in shelf.page(Selection(since=T0 + 5), 2)] == ["subject-5a", "subject-6a"]
    assert shelf.stats(shelves.EVERYTHING, "reason", NOW)[0].count == PARKED
    shelf.close()


def test_nothing_parked_is_said(world: DeskWorld) -> None:
    """Of topics without any record."""
    empty = DeskWorld(world.kafka)
    assert empty.run(["parked", "list"]).stdout == "nothing is parked\n"
    assert empty.run(["parked", "stats"]).stdout == "0 selected, 0 parked in all\n"

    async def shelved(desk: Desk) -> int:
        return (await shelve(desk)).count()

    assert empty.at_desk(shelved) == 0


def test_a_parked_replay_whose_request_is_gone_is_forgotten(kafka: str) -> None:
    """Years later nobody knows what it was about, nor whether a later replay resolved that: it is no input to mend."""
    years = DeskWorld(kafka)
    place = years.add_payment("subject-9a")
    gone, kept = (years.add_request(place, "subject-9a") for _ in range(2))
    years.add_parked(gone, "subject-9a", "held")
    years.flush()
    asyncio.run(delete(years, gone))
    listed = years.run(["parked", "list"])
    assert listed.stdout == "nothing is parked\nleft out: 1 replay whose requests have left the log\n"
    years.add_parked(kept, "subject-9a", "held")
    told = json.loads(years.run(["parked", "list", "--json"]).stdout)
    assert ([row["input"] for row in told["parked"]], told["forgotten_replays"]) == (
        [years.scrubbed("{}:{}:{}".format(*place))],
        1,
    )


@pytest.mark.parametrize("topic", ["山田 太郎 090-0000-0000", "somebody-elses"])
def test_what_a_request_by_hand_says_is_not_repeated(kafka: str, topic: str) -> None:
    """It stands for itself, and the list does not fail over it."""
    hand = DeskWorld(kafka)
    request = hand.add_request((topic, 0, 1), "subject-9a")
    hand.add_parked(request, "subject-9a", "replay_target_missing", event_type=None)
    listed = hand.run(["parked", "list", "--json"])
    assert (listed.status, topic in listed.stdout) == (0, False)
    (row,) = json.loads(listed.stdout)["parked"]
    assert row["input"] == hand.scrubbed("{}:{}:{}".format(*request))


@pytest.mark.parametrize(
    ("reason", "words"),
    [("rejected_by_genie", "GeNiE got it, and did not keep it"), ("outcome_unknown", "GeNiE has it")],
)
def test_what_genie_refused_it_has_not(kafka: str, reason: str, words: str) -> None:
    """Though it reached GeNiE."""
    refused = DeskWorld(kafka)
    place = refused.add_payment("subject-9a")
    refused.add_parked(place, "subject-9a", reason, transmitted="yes", attempts=1)
    assert words in refused.run(["parked", "show", "{}:{}:{}".format(*place)]).stdout
