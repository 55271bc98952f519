"""`gateway explain`: the story of one event, and what would become of it now."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from gateway.core.reasons import Reason
from gateway.kafka.scan import Span
from gateway.oncall.desk import Found
from gateway.oncall.explain import Traces, in_force, windows
from gateway.oncall.ledger.source import BROKER_SKEW_MS, LedgerEntry
from gateway.oncall.story import Told
from tests.core_cases import day
from tests.oncall import golden
from tests.oncall.desk_world import GIVEN_AT, OPERATOR, T0, DeskWorld, number_id

MINUTE, HOUR = 60_000, 3_600_000
REVEAL = ["--reveal", *OPERATOR]
PROVIDED, REPLAYED, WITHDRAWN, TWICE, UNDER_WAY, UNREADABLE, GONE, HELD = range(1, 9)
WITHOUT_CLAUSE = day("2026-02-05")


def event(number: int) -> str:
    return number_id(100 + number)


@pytest.fixture(scope="module")
def world(desk_world: DeskWorld) -> DeskWorld:
    """One event of each kind of story."""
    for number in range(1, 9):
        desk_world.add_consent(f"subject-{number}a", record_id=number_id(200 + number))
    places = {number: desk_world.add_payment(f"subject-{number}a", event_id=event(number)) for number in range(1, 6)}
    provided(desk_world, places[PROVIDED], PROVIDED)
    withdrawn(desk_world, places[WITHDRAWN])
    provided(desk_world, places[TWICE], TWICE)
    again = desk_world.add_payment("subject-4a", partition=1, event_id=event(TWICE), at=T0 + 5_000)
    desk_world.add_ledger(
        again, "subject-4a", at=T0 + 6_000, event_id=event(TWICE), outcome="DUPLICATE", reason="same_event",
        consent=consent(TWICE), input=desk_world.position(again, T0 + 5_000), receipt=None,
    )  # fmt: skip
    unreadable = desk_world.add(desk_world.names.payments, "subject-6a", b"garbage", producer="billing")
    desk_world.add_withheld(
        unreadable, None, "not_avro", outcome="INVALID", event_id=None, event_type=None, consent=None,
        idempotency_key=None,
    )  # fmt: skip
    gone = desk_world.add_score("subject-7a", score_id=event(GONE))
    desk_world.add_withheld(
        gone, "subject-7a", "policy_version_without_clause", event_id=event(GONE),
        consent=consent(GONE) | {"policy_version": WITHOUT_CLAUSE},
    )  # fmt: skip
    held(desk_world)
    replayed(desk_world, places[REPLAYED])  # last, for it has the latest times: a log's times only grow
    desk_world.flush()
    asyncio.run(delete(desk_world, gone))
    return desk_world


def consent(number: int, version: int = 1) -> dict[str, Any]:
    return {
        "record_id": number_id(200 + number),
        "consent_version": version,
        "policy_version": day("2026-02-25"),
        "consented_at": GIVEN_AT,
    }


def announced(world: DeskWorld, place: tuple[str, int, int], number: int, at: int) -> None:
    entry = {"offset": place[2], "consent_record_id": number_id(200 + number), "idempotency_key": f"key-{number}"}
    other = {"offset": 900_000 + number}
    world.add_intent(f"{place[0]}:{place[1]}", [other, entry], at=at)


def provided(world: DeskWorld, place: tuple[str, int, int], number: int) -> None:
    announced(world, place, number, T0 + 100)
    world.add_ledger(place, f"subject-{number}a", event_id=event(number), consent=consent(number))


def replayed(world: DeskWorld, place: tuple[str, int, int]) -> None:
    """Parked after eight attempts; somebody asks again; that time GeNiE takes it."""
    subject = f"subject-{REPLAYED}a"
    announced(world, place, REPLAYED, T0 + 100)
    common = {"event_id": event(REPLAYED), "consent": consent(REPLAYED)}
    world.add_withheld(
        place, subject, "genie_fails_on_entry", outcome="PARKED", attempts=8, announced_at=T0 + 100,
        items=["name", "payment_history"], **common,
    )  # fmt: skip
    park(world, place, subject, "genie_fails_on_entry", "GeNiE failed on this entry again and again.")
    request = world.add_request(place, subject, at=T0 + 2 * HOUR)
    announced(world, request, REPLAYED, T0 + 2 * HOUR + 50)
    world.add_ledger(
        request, subject, at=T0 + 2 * HOUR + 1_000, input=world.position(request, T0 + 2 * HOUR),
        replay_of={"topic": place[0], "partition": place[1], "offset": place[2], "request_id": number_id(7_000)},
        **common,
    )  # fmt: skip
    world.add(world.names.parked, "{}:{}:{}".format(*place), None, at=T0 + 2 * HOUR + 1_000)


def withdrawn(world: DeskWorld, place: tuple[str, int, int]) -> None:
    """The customer withdraws between the announcement and the decision."""
    subject = f"subject-{WITHDRAWN}a"
    announced(world, place, WITHDRAWN, T0 + 100)
    world.add_consent(
        subject, at=T0 + 150, record_id=number_id(250), consent_version=2, status="withdrawn",
        status_updated_at=T0 + 140,
    )  # fmt: skip
    seen = consent(WITHDRAWN, 2) | {"record_id": number_id(250)}
    world.add_withheld(place, subject, "consent_withdrawn", event_id=event(WITHDRAWN), consent=seen)


def held(world: DeskWorld) -> None:
    """A hold on the subject parks it; the hold is still on."""
    subject = f"subject-{HELD}a"
    world.add_hold("subject", subject, at=T0 - HOUR)
    world.add_hold("subject", "subject-9z", at=T0 - HOUR)
    world.add_hold("event_type", "norel_score_update", at=T0 - HOUR)
    place = world.add_payment(subject, event_id=event(HELD))
    world.add_withheld(place, subject, "held", outcome="PARKED", event_id=event(HELD), consent=consent(HELD))
    park(world, place, subject, "held", "On-call holds this subject or event type.")


def park(world: DeskWorld, place: tuple[str, int, int], subject: str, reason: str, detail: str) -> None:
    record = {
        "input": world.position(place, T0),
        "event_type": "lease_payment",
        "subject_ref": subject,
        "producer": "billing",
        "reason": reason,
        "detail": detail,
        "transmitted": "no",
        "parked_at": T0 + 900,
        "input_expires_at": T0 + 90 * 24 * HOUR,
        "attempts": 8,
        "gateway": {"version": "0.1.0", "instance": "one"},
    }
    world.add(world.names.parked, "{}:{}:{}".format(*place), record, at=T0 + 1_000)


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
        ("provided", [event(PROVIDED)]),
        ("provided_json", [event(PROVIDED), "--json", "--what-if"]),
        ("provided_what_if", [event(PROVIDED), "--what-if"]),
        ("replayed", [event(REPLAYED)]),
        ("withdrawn", [event(WITHDRAWN), "--what-if"]),
        ("twice", [event(TWICE)]),
        ("under_way", [event(UNDER_WAY), "--what-if"]),
        ("unreadable", ["--offset", "prefixed1.lease.payments:0:5", "--what-if"]),
        ("gone", [event(GONE), "--what-if"]),
        ("held", [event(HELD), "--what-if"]),
        ("reveal", [event(UNDER_WAY), *REVEAL]),
    ],
)
def test_what_is_printed(world: DeskWorld, name: str, arguments: list[str]) -> None:
    """As a person has seen it; status 0."""
    result = world.run(["explain", *(argument.replace("prefixed1.", world.prefix) for argument in arguments)])
    assert (result.stderr, result.status) == ("", 0)
    golden.check(f"explain_{name}.txt", result.stdout)


@pytest.mark.parametrize(
    "asked",
    [
        ["--offset", "prefixed1.lease.payments:0:1"],
        ["--offset", "prefixed1.genie.replay.requests:0:0"],
        [event(REPLAYED), "--since", "2026-05-01T08:59:00+09:00"],
    ],
)
def test_a_story_is_found_from_each_of_its_ends(world: DeskWorld, asked: list[str]) -> None:
    """By the place of the input, of the replay request, by the id: it is the same."""
    found = [
        json.loads(
            world.run(["explain", "--json", *(each.replace("prefixed1.", world.prefix) for each in given)]).stdout
        )
        for given in ([event(REPLAYED)], asked)
    ]
    assert found[0] == found[1]
    assert [step["what"] for step in found[0]["story"]] == [
        *("arrived", "announced", "decided", "settled", "parked"),
        *("asked", "announced", "decided", "answered", "settled", "resolved"),
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "give either an EVENT_ID or --offset"),
        ([event(1), "--offset", "lease.payments:0:0"], 2, "give either an EVENT_ID or --offset"),
        (["subject-1a"], 2, "an event id is a UUID"),
        (["--offset", "lease.payments"], 2, "give topic:partition:offset"),
        ([number_id(1)], 1, "not in the ledger (read from the topic"),
        (["--offset", "prefixed1.lease.payments:0:999"], 1, "has a record of"),
        (["--offset", "prefixed1.genie.provision.ledger:0:0"], 1, "is no input: give a place in"),
        (["--offset", "prefixed1.genie.replay.requests:0:99"], 1, "is no replay request"),
        ([event(1), "--unmasked"], 2, "it goes with --reveal"),
        ([event(1), "--reveal", "--operator", "ann", "--reason", "why"], 2, "--ticket: give 1 to 500"),
        ([event(1), "--policy-file", "/nowhere.yaml"], 2, "a readable YAML file"),
    ],
)
def test_what_is_refused(world: DeskWorld, arguments: list[str], status: int, message: str) -> None:
    """Says what to give instead."""
    result = world.run(["explain", *(argument.replace("prefixed1.", world.prefix) for argument in arguments)])
    assert (result.stdout, result.status) == ("", status)
    assert message in result.stderr


def test_inputs_are_searched_from_where_the_group_stands(world: DeskWorld) -> None:
    """What it has committed is in the ledger, if at all: of what is settled nothing is read again."""
    group = f"{world.prefix}group"
    asyncio.run(commit(world, group, {(world.names.payments, 0): 7, (world.names.payments, 1): 1}))
    result = world.run(["explain", event(UNDER_WAY), "--group", group])
    assert result.status == 1
    assert "nor among 0 input records behind what is settled" in result.stderr


async def commit(world: DeskWorld, group: str, offsets: Mapping[tuple[str, int], int]) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=world.kafka, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(*partition) for partition in offsets]
        consumer.assign(partitions)
        await consumer.commit(dict(zip(partitions, offsets.values(), strict=True)))
    finally:
        await consumer.stop()


def test_nothing_of_a_person_is_shown_unless_asked_for_twice(world: DeskWorld) -> None:
    """Not by any story, nor by --reveal alone."""
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
    for asked in ([event(PROVIDED)], [event(HELD)], ["--offset", f"{world.prefix}lease.payments:0:5"]):
        printed = world.run(["explain", *asked, "--what-if", "--json", *REVEAL]).stdout
        assert [value for value in values if value in printed] == []
    assert "山田 太郎" in world.run(["explain", event(PROVIDED), *REVEAL, "--unmasked"]).stdout


def test_who_looked_is_written_down(world: DeskWorld) -> None:
    """With the record that was looked into."""
    world.run(["explain", event(PROVIDED), *REVEAL])
    last = world.records(world.names.audit)[-1]
    assert (last["command"], last["subject_ref"], last["ticket"]) == ("explain --reveal", "subject-1a", "T-1")
    assert last["input"] == {"topic": world.names.payments, "partition": 0, "offset": 0}


def traces(*lives: tuple[int, int | None]) -> Traces:
    """Of records that arrived and were settled then."""
    found = Traces()
    for number, (arrived, settled) in enumerate(lives):
        place = ("t", 0, number)
        found.inputs[place] = None
        if settled is not None:
            end = LedgerEntry(0, number, settled, {"input": {"timestamp": arrived}})
            found.entries[0, number] = (place, end)
    return found


def test_intents_are_read_around_each_life_alone() -> None:
    """A record that was parked for months and replayed costs two short readings, not one of months."""
    far = T0 + 90 * 24 * HOUR
    assert windows(traces((T0, T0 + 100), (far, far + 100))) == [
        Span(T0 - MINUTE, T0 + 100 + BROKER_SKEW_MS),
        Span(far - MINUTE, far + 100 + BROKER_SKEW_MS),
    ]
    assert windows(traces((T0, T0 + 100), (T0 + 200, T0 + 300))) == [Span(T0 - MINUTE, T0 + 300 + BROKER_SKEW_MS)]
    assert windows(traces((T0, None))) == []  # when it arrived is not known


def test_holds_are_those_that_were_on_when_it_began_and_those_since() -> None:
    """One released or expired before has nothing to do with it."""

    def control(hold: str, state: str, at: int, expires_at: int | None = None) -> Found:
        record = {"hold_id": hold, "state": state, "at": at, "expires_at": expires_at}
        return Found("controls", 0, at, at, hold, (), b"", record, None)

    on, later = control("on", "held", 1), control("later", "released", 12)
    over = [control("over", "held", 1), control("over", "released", 2)]
    expired = control("expired", "held", 1, expires_at=10)
    assert in_force([later, *over, expired, on], 10) == [on, later]


def test_ids_of_others_are_not_repeated(kafka: str) -> None:
    """Who writes consents and holds may have put anything there: what has no id's form is named by its place."""
    world, name = DeskWorld(kafka), "田中 太郎\x1b[2J"
    place = world.add_payment("subject-1a", event_id=event(1))
    written = {"record_id": name, "consent_version": 1, "policy_version": day("2026-02-25"), "consented_at": GIVEN_AT}
    world.add_ledger(place, "subject-1a", event_id=event(1), consent=written)
    world.add_intent(f"{place[0]}:0", [{"offset": 0, "consent_record_id": name}], at=T0 + 100)
    world.add_consent("subject-1a", at=T0 + 200, record_id=name, status="withdrawn")
    world.add_hold("all", None, at=T0 + 300, hold_id=name)
    asked = ["explain", "--offset", f"{world.names.payments}:0:0", "--what-if"]
    text, data = world.run(asked), world.run([*asked, "--json"])
    for result in (text, data):
        assert result.status == 0
        assert "田中" not in result.stdout
        assert "\\u7530" not in result.stdout
        assert "\x1b" not in result.stdout
        assert "the one in prefixed1.consent.records:0:0" in result.stdout
        assert "the one in prefixed1.genie.gateway.controls:0:0" in result.stdout
        assert "the one in prefixed1.genie.provision.ledger:0:0" in result.stdout


def test_what_it_would_be_is_what_the_gateway_decides(world: DeskWorld) -> None:
    """By core/decide.py: a later consent of the same customer changes the answer, and nothing was written."""
    before = {topic: len(world.records(topic)) for topic in (world.names.replays, world.names.ledger)}
    asked = ["explain", event(WITHDRAWN), "--what-if", "--json"]
    assert json.loads(world.run(asked).stdout)["what_if"]["reason"] == Reason.CONSENT_WITHDRAWN.code
    world.add_consent(
        f"subject-{WITHDRAWN}a", record_id=number_id(251), consent_version=3, status="renewed", at=T0 + 300
    )
    given = json.loads(world.run(asked).stdout)["what_if"]
    assert (given["permit"], given["reason"], given["consent_version"]) == (True, None, 3)
    assert "payment_history" in given["items"]
    world.add_consent(f"subject-{WITHDRAWN}a", record_id=number_id(252), consent_version=2, at=T0 + 400)
    assert json.loads(world.run(asked).stdout)["what_if"]["reason"] == Reason.CONSENT_SUPERSEDED_VERSION.code
    assert {topic: len(world.records(topic)) for topic in before} == before


def test_what_genie_rejected_it_has_not() -> None:
    """All that has reached it is not what it keeps."""
    told = Told("t:0:1", None, "PARKED", "rejected_by_genie", "yes", False)
    kept = [told, replace(told, reason="outcome_unknown"), replace(told, outcome="DUPLICATE", reason="same_event")]
    assert [each.is_kept for each in kept] == [False, True, True]
