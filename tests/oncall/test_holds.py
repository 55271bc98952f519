"""`gateway hold ...`: what is told of holds, what is written, and what is refused."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from gateway.cli.errors import Exit
from gateway.core.holds import Holds
from gateway.kafka.connection import KafkaUnavailableError
from gateway.kafka.view_reader import ViewCounts, ViewReader
from gateway.oncall import holds
from gateway.oncall.audit import Operator
from gateway.oncall.desk import Desk
from tests.core_cases import DAY_MS
from tests.oncall import golden
from tests.oncall.desk_world import NOW, OPERATOR, T0, DeskWorld, Result, number_id
from tests.oncall.process_world import Seat, seated, seats_of, unported

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
HOUR_MS = DAY_MS // 24
GROUP = "nobodys-group"


@pytest.fixture
def world(kafka: str) -> DeskWorld:
    """Topics of each test's own: a hold that one adds holds for all."""
    made = DeskWorld(kafka)
    asyncio.run(commits(kafka, TopicPartition(made.names.payments, 0)))
    return made


@pytest.fixture(autouse=True)
def _group_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests have processes of their own on this Kafka."""
    monkeypatch.setenv("GATEWAY_KAFKA__GROUP_ID", GROUP)


async def commits(kafka: str, lane: TopicPartition) -> None:
    """Kafka knows a group by what it committed once."""
    async with AIOKafkaConsumer(bootstrap_servers=kafka, group_id=GROUP, enable_auto_commit=False) as consumer:
        consumer.assign([lane])
        await consumer.commit({lane: 0})


@pytest.fixture
def seats(world: DeskWorld) -> tuple[Seat, Seat]:
    return seats_of(world)


@pytest.fixture
def at(seats: tuple[Seat, Seat]) -> Iterator[list[str]]:
    """The options that name two processes that have applied everything."""
    with seated(*seats) as options:
        yield options


def told(result: Result, *seats: Seat) -> str:
    """What was printed, with the same places and ids in each run, and how it ended."""
    text = f"{result.stdout}{result.stderr}status {result.status}\n"
    return UUID.sub(lambda found: found[0] if found[0].startswith("00000000") else number_id(1), unported(text, *seats))


def every_kind(world: DeskWorld) -> None:
    """Holds in all states, and what others may have written."""
    world.add_hold("all", None, at=NOW - 5 * HOUR_MS, hold_id=number_id(1))
    world.add_hold(
        "all", None, at=NOW - 4 * HOUR_MS, hold_id=number_id(1), state="released", operator="bob", reason="over"
    )
    world.add_hold("event_type", "lease_payment", at=NOW - 3 * HOUR_MS, expires_at=NOW - 1, hold_id=number_id(2))
    world.add_hold("subject", "subject-1", at=NOW - 90_000, expires_at=NOW + HOUR_MS, hold_id=number_id(3))
    world.add_hold("input_partition", f"{world.names.payments}:1", at=NOW - 2_000, hold_id=number_id(4), ticket="T-9")
    world.add(world.names.controls, "090-1234-5678", b"garbage", at=NOW - 1_000)
    world.add_hold("subject", "田中 太郎", at=NOW - 500, hold_id=number_id(5), reason="two\nlines")
    world.add_hold("all", None, at=NOW - 400, hold_id=number_id(6))
    world.add(world.names.controls, number_id(6), None, at=NOW - 300)


def holds_of(world: DeskWorld) -> Holds:
    """As a gateway's view reads them."""

    async def view(desk: Desk) -> Holds:
        raws: list[Any] = []
        in_force: dict[str, Any] = {}

        async def take(some: Any) -> None:
            await desk.codec.prepare([raw.value for raw in some])
            raws.extend(some)

        await holds.scan(desk.connection, desk.client, desk.names.controls, take, desk.tell)
        changes = ViewReader(desk.codec, desk.names.consents, ViewCounts()).read(raws, lambda _: {})
        in_force |= {hold_id: hold for hold_id, hold in changes.holds.items() if hold is not None}
        return Holds(in_force.values())

    return world.at_desk(view)


def test_what_is_held_is_listed(world: DeskWorld, seats: tuple[Seat, Seat], at: list[str]) -> None:
    """Who, why, until when, and where it is in force; what can't be read is told, and nothing personal is."""
    every_kind(world)
    seats[1].consents["controls"] = {"0": {"offset": 5, "applied_at": None}}
    golden.check("hold_list.txt", told(world.run(["hold", "list", *at]), *seats))
    golden.check("hold_list_all.txt", told(world.run(["hold", "list", "--all", *at]), *seats))


def test_who_set_what_was_released_is_told(world: DeskWorld, at: list[str]) -> None:
    """Also where it was released twice; of others their own record says it."""
    every_kind(world)
    world.add_hold("all", None, at=NOW - 200, hold_id=number_id(1), state="released", operator="eve")
    listed = json.loads(world.run(["hold", "list", "--all", "--json", *at]).stdout)["holds"]
    set_by = {each["hold_id"]: each["set_by"] for each in listed if each["set_by"] is not None}
    assert {name: (each["operator"], each["reason"]) for name, each in set_by.items()} == {
        number_id(1): ("ann", "incident")
    }


def test_the_list_is_what_the_gateway_holds(world: DeskWorld) -> None:
    """Read by the same rules: also what can't be read."""
    every_kind(world)
    listed = json.loads(world.run(["hold", "list", "--json"]).stdout)
    in_force = holds_of(world)
    states = {hold["hold_id"]: hold["state"] for hold in listed["holds"]}
    assert states == {
        number_id(3): "held",
        number_id(4): "held",
        "0:5": "unreadable",
        number_id(5): "held",
    }
    assert sum(hold.is_on(NOW) for hold in in_force.all) == len(states)


def test_a_hold_is_listed_while_nobody_runs(world: DeskWorld) -> None:
    """It holds whoever starts; where it is in force is nobody's to say."""
    world.add_hold("all", None)
    result = world.run(["hold", "list"])
    assert (result.status, result.stdout.splitlines()[-1]) == (0, "no process runs")
    assert " not known " in result.stdout.splitlines()[1]


@pytest.mark.parametrize("at_them", [False, True])
def test_a_mistyped_group_is_told(world: DeskWorld, at: list[str], *, at_them: bool) -> None:
    """A hold counts all the same; but which processes run nobody knows then, whoever else was asked."""
    asked = ["--group", "nobodys-gruop", *(at if at_them else [])]
    added = world.run(["hold", "add", "all", *OPERATOR, *asked])
    listed = world.run(["hold", "list", *asked])
    shown = world.run(["lanes", "show", *asked])
    for result in (added, listed, shown):
        assert result.status == Exit.UNREACHABLE
        assert "Kafka has no group nobodys-gruop, so which processes run is not known" in result.stdout
        assert f"there is {GROUP}" in result.stdout
        assert "no process runs" not in result.stdout
    assert len(world.records(world.names.controls)) == 1
    (not_asked,) = json.loads(world.run(["hold", "list", "--json", *asked]).stdout)["not_asked"]
    assert "no group" in not_asked["trouble"]


def test_nothing_is_held(world: DeskWorld, seats: tuple[Seat, Seat], at: list[str]) -> None:
    """And all processes could be asked."""
    result = world.run(["hold", "list", *at])
    assert (result.stdout, result.status) == ("nothing is held\n", 0)


def test_a_hold_is_added(world: DeskWorld, seats: tuple[Seat, Seat], at: list[str]) -> None:
    """Audited first; told when it is acknowledged, and when each process has applied it."""
    arguments = ["hold", "add", "event_type", "lease_payment", "--expires", "2h", *OPERATOR, *at]
    golden.check("hold_add.txt", told(world.run(arguments), *seats))
    (record,) = world.records(world.names.controls)
    assert {**record, "hold_id": ""} == {
        "hold_id": "",
        "scope": "event_type",
        "value": "lease_payment",
        "state": "held",
        "operator": "ann",
        "reason": "test",
        "ticket": "T-1",
        "at": NOW,
        "expires_at": NOW + 2 * HOUR_MS,
    }
    (audit,) = world.records(world.names.audit)
    assert (audit["command"], audit["hold_id"], audit["subject_ref"]) == ("hold add", record["hold_id"], None)
    assert holds_of(world).pauses("lease_payment", "any:0", NOW)
    assert not holds_of(world).pauses("lease_payment", "any:0", NOW + 2 * HOUR_MS)


def test_each_scope_holds_what_it_says(world: DeskWorld) -> None:
    """As the gateway reads it. Nobody runs: then the first to start reads it."""
    lane = f"{world.names.scores}:1"
    for scope in (["subject", "subject-1"], ["input_partition", lane]):
        result = world.run(["hold", "add", *scope, *OPERATOR])
        assert result.status == 0, result.stderr
        assert "no process runs" in result.stdout
    in_force = holds_of(world)
    assert in_force.parks("subject-1", NOW)
    assert in_force.pauses("norel_score_update", lane, NOW)
    assert not in_force.pauses("lease_payment", f"{world.names.payments}:1", NOW)
    world.run(["hold", "add", "all", *OPERATOR])
    assert holds_of(world).pauses("lease_payment", "any:0", NOW)
    assert [audit["subject_ref"] for audit in world.records(world.names.audit)] == ["subject-1", None, None]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["everything"], "no scope everything: give all, event_type, subject or input_partition"),
        (["all", "lease_payment"], "a hold on all takes no value"),
        (["subject"], "say what to hold: gateway hold add subject VALUE"),
        (["subject", "090-1234-5678"], "that is no subject_ref"),
        (["event_type", "payment"], "no event type payment: give lease_payment or norel_score_update"),
        (["input_partition", "lease.payments"], "no lane lease.payments: give topic:partition"),
        (["input_partition", "prefixed1.lease.payments:2"], "has partitions 0 to 1"),
        (["input_partition", "prefixed1.lease.payments:01"], "has partitions 0 to 1"),
        (["input_partition", "prefixed1.consent.records:0"], "no lane"),
        (["all", "--expires", "2026-05-02"], "--expires 2026-05-02: give 90m"),
        (["all", "--expires", "2026-04-01T00:00:00Z"], "give 90m, 2h or 3d from now on"),
        (["all", "--expires", "0h"], "give 90m, 2h or 3d from now on"),
        (["all", "--at", "10.0.0.1"], "--at 10.0.0.1: give host:port"),
        (["all", "--at", "user@10.0.0.1:80"], "give host:port"),
        (["all", "--observe-port", "http"], "--observe-port http: give a port"),
    ],
)
def test_a_hold_that_would_hold_nothing_is_refused(desk_world: DeskWorld, typed: list[str], said: str) -> None:
    """A typing error must not look like a hold; nothing is written, not even to the audit."""
    typed = [word.replace("prefixed1.", desk_world.prefix) for word in typed]
    result = desk_world.run(["hold", "add", *typed, *OPERATOR])
    assert (result.status, result.stdout) == (2, "")
    assert said in result.stderr
    assert desk_world.records(desk_world.names.audit) == []


def test_who_can_not_be_asked_is_named(world: DeskWorld, seats: tuple[Seat, Seat]) -> None:
    """The hold counts all the same, and that is said; one that does not show it in time is told, too."""
    seats[0].consents["controls"] = {"0": {"offset": 0, "applied_at": None}}
    seats[1].consents["controls"] = {}
    with seated(*seats) as at:
        result = world.run(["hold", "add", "all", *OPERATOR, "--wait", "0", *at])
        golden.check("hold_add_not_shown.txt", told(result, *seats))
    result = world.run(["hold", "add", "all", *OPERATOR, "--wait", "0", *at])
    golden.check("hold_add_not_asked.txt", told(result, *seats))


def test_a_process_that_needs_a_moment_is_waited_for(world: DeskWorld, seats: tuple[Seat, Seat], at: list[str]) -> None:
    """It is asked again until it shows the hold."""
    asked = 0

    plain, consents = seats[0].status, seats[0].consents

    def status() -> Any:
        nonlocal asked
        asked += 1
        seats[0].consents = {**consents, "controls": {"0": {"offset": asked - 2, "applied_at": NOW + 40}}}
        return plain()

    seats[0].status = status  # type: ignore[method-assign]
    with seated(seats[0]) as options:
        result = world.run(["hold", "add", "all", *OPERATOR, *options])
    assert (result.status, asked) == (0, 3)


def test_a_hold_on_a_subject_is_released(world: DeskWorld, seats: tuple[Seat, Seat], at: list[str]) -> None:
    """By the beginning of its id; and it is said how what was parked goes on."""
    hold_id = "0a8f7b52-3a0e-4f5e-9a7d-0d7f3f6f8e11"
    world.add_hold("subject", "subject-1", hold_id=hold_id)
    world.add_hold("all", None, hold_id="0b8f7b52-3a0e-4f5e-9a7d-0d7f3f6f8e11")
    result = world.run(["hold", "release", "0a8f", *OPERATOR, *at])
    golden.check("hold_release.txt", told(result, *seats))
    assert [hold.hold_id for hold in holds_of(world).all] == ["0b8f7b52-3a0e-4f5e-9a7d-0d7f3f6f8e11"]
    assert world.records(world.names.controls)[-1] == {
        "hold_id": hold_id,
        "scope": "subject",
        "value": "subject-1",
        "state": "released",
        "operator": "ann",
        "reason": "test",
        "ticket": "T-1",
        "at": NOW,
        "expires_at": None,
    }
    (audit,) = world.records(world.names.audit)
    assert (audit["command"], audit["hold_id"], audit["subject_ref"]) == ("hold release", hold_id, "subject-1")


def test_a_hold_that_made_lanes_wait_is_released(world: DeskWorld) -> None:
    """They go on by themselves; only replays were parked."""
    world.add_hold("all", None, hold_id=number_id(4))
    result = world.run(["hold", "release", number_id(4), *OPERATOR, "--json"])
    assert (result.status, json.loads(result.stdout)["processes"]) == (0, [])
    assert holds_of(world).all == ()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (number_id(1), f"hold {number_id(1)} was released at 2026-05-02 05:00:00 JST (20:00:00Z) by bob"),
        (number_id(2), f"hold {number_id(2)} ended by itself at 2026-05-02 08:59:59 JST (23:59:59Z)"),
        ("ffffffff", "no hold ffffffff was ever set here: `gateway hold list --all` shows those that were"),
        (number_id(6), "was ever set here"),
        ("0000", "holds have an id that begins with 0000: give more of it"),
        ("000", "no hold 000 was ever set here"),
    ],
)
def test_what_holds_nothing_is_not_released(desk_world: DeskWorld, typed: str, said: str) -> None:
    """It is said what became of it, and nothing is written."""
    if not desk_world.records(desk_world.names.controls):
        every_kind(desk_world)
    result = desk_world.run(["hold", "release", typed, *OPERATOR])
    assert (result.status, result.stdout) == (1, "")
    assert said in result.stderr
    assert desk_world.records(desk_world.names.audit) == []


def test_a_record_that_can_not_be_read_is_released_by_its_place(world: DeskWorld) -> None:
    """Its key may be anything, so it is not shown; a tombstone under it ends what it holds."""
    every_kind(world)
    assert any(hold.scope.value == "all" for hold in holds_of(world).all)
    result = world.run(["hold", "release", "0:5", *OPERATOR])
    assert (result.status, "090-1234-5678" in result.stdout + result.stderr) == (0, False)
    assert not any(hold.scope.value == "all" for hold in holds_of(world).all)
    (audit,) = world.records(world.names.audit)
    assert (audit["hold_id"], audit["input"]["topic"], audit["input"]["offset"]) == (None, world.names.controls, 5)


def test_without_an_audit_nothing_is_held(world: DeskWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """No audit, no deed."""

    async def away(*_: object) -> None:
        raise holds.HoldError("the audit is away")

    monkeypatch.setattr(holds, "audited", away)

    async def add(desk: Desk) -> None:
        await holds.add(desk, Operator("ann", "test", "T-1"), holds.HoldScope.ALL, None, None)

    with pytest.raises(holds.HoldError, match="audit is away"):
        world.at_desk(add)
    assert world.records(world.names.controls) == []


@pytest.mark.parametrize(("typed", "what"), [(["add", "all"], "to be on"), (["release", "0a8f7b52"], "to be released")])
def test_what_kafka_has_not_acknowledged_is_not_called_done(
    world: DeskWorld, monkeypatch: pytest.MonkeyPatch, typed: list[str], what: str
) -> None:
    """It may be written yet: the list tells."""

    async def away(*_: object) -> None:
        raise KafkaUnavailableError("writing", "no answer")

    async def read_all(_: object) -> list[object]:
        return []

    monkeypatch.setattr(holds, typed[0], away)
    monkeypatch.setattr(holds, "read_all", read_all)
    monkeypatch.setattr(holds, "named", lambda *_: None)
    monkeypatch.setattr("gateway.cli.hold._refuse_idle", lambda *_: None)
    ended = world.run(["hold", *typed, *OPERATOR])
    assert ended.status == 3
    assert f"the hold is not known {what}" in ended.stderr
    assert "gateway hold list" in ended.stderr


@pytest.mark.parametrize("typed", [["add", "all"], ["release", "0a8f7b52"]])
def test_without_kafka_nothing_is_held_and_nothing_released(world: DeskWorld, typed: list[str]) -> None:
    """Status 3 is also that of a hold which is on, so it is said."""
    ended = world.run(["hold", *typed, *OPERATOR, "--bootstrap", "127.0.0.1:1"])
    assert (ended.stdout, ended.status) == ("", Exit.UNREACHABLE)
    assert "nothing was written, so no hold is set or released: Kafka" in ended.stderr


def test_a_hold_whose_effect_can_not_be_asked_is_on(world: DeskWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a program too, which is told nothing before the end."""

    async def away(*_: object) -> None:
        raise KafkaUnavailableError("reading the group", "no answer")

    monkeypatch.setattr("gateway.oncall.processes.find_or_named", away)
    ended = world.run(["hold", "add", "all", *OPERATOR, "--expires", "1h", "--json"])
    assert ended.status == Exit.UNREACHABLE
    assert re.search("Kafka has acknowledged [0-9a-f-]{36}, but", ended.stderr)


def test_the_first_record_is_old() -> None:
    """The world's beginning, which ages are told from."""
    assert NOW - T0 == DAY_MS
