"""`gateway status` and `gateway lanes show` as printed: all parts, whose it is, and what to type."""

import json
from typing import Any

import pytest

from gateway.kafka.connection import KafkaUnavailableError
from gateway.oncall import lanes
from tests.core_cases import DAY_MS
from tests.oncall import golden
from tests.oncall.desk_world import NOW, DeskWorld, Result
from tests.oncall.process_world import Seat, seated, seats_of, unported

MINUTE = 60_000
NOBODY = "127.0.0.1:1"


@pytest.fixture(scope="module")
def world(desk_world: DeskWorld) -> DeskWorld:
    """Topics with a hold, what can't be read, and parked records, one of which was resolved; offsets of the group."""
    world = desk_world
    payments = [world.add_payment(f"subject-{n}") for n in range(4)]
    for place in payments[:3]:
        world.add_parked(place, "subject-1", "held")
    world.add(world.names.parked, "{}:{}:{}".format(*payments[0]), None)
    world.add_hold("subject", "subject-1")
    started = run(world, "lanes", "init", "--from", "earliest")
    assert started.status == 0, started.stderr
    return world


def run(world: DeskWorld, *arguments: str) -> Result:
    """With a group of this world's own."""
    return world.run([*arguments, "--group", f"{world.prefix}gateway"])


def told(result: Result, *seats: Seat) -> str:
    return unported(f"{result.stdout}{result.stderr}status {result.status}\n", *seats)


def busy(world: DeskWorld) -> tuple[Seat, Seat]:
    """GeNiE fails, a lane waits for it, and another has stopped."""
    one, two = seats_of(world)
    one.genie |= {"breaker_open": True, "trouble": "timeout", "slots": 1, "ok_at": NOW - 10 * MINUTE}
    one.metrics.answered("2xx", 0.1)
    one.metrics.answered("lost", 5.0)
    one.metrics.answered("lost", 5.0)
    one.metrics.certificate_expiry("genie", (NOW + 5 * DAY_MS) / 1000)
    late = {"oldest_at": NOW - 10 * MINUTE, "delay": "slot", "unsettled": 4, "window_span": 4, "position": 4}
    one.lanes = {name: {**lane, **late} if "payments" in name else lane for name, lane in one.lanes.items()}
    two.lanes = {name: {**lane, "stopped": "scores" in name} for name, lane in two.lanes.items()}
    two.genie |= {"clock_difference_ms": -2_500}
    two.metrics.answered("2xx", 0.1)
    two.reasons = (f"lane {world.names.payments}:1 opening",)
    return one, two


def test_whose_it_is(world: DeskWorld) -> None:
    """One line for the verdict, one for each part, what is wrong beneath it, and what to type."""
    seats = busy(world)
    with seated(*seats) as at:
        golden.check("status.txt", told(run(world, "status", *at), *seats))


def test_a_process_that_can_not_be_asked(world: DeskWorld) -> None:
    """The rest is told all the same; the status says that it is not all."""
    one = seats_of(world)[0]
    with seated(one) as at:
        result = run(world, "status", *at, "--at", NOBODY)
        golden.check("status_unasked.txt", told(result, one))
        as_data = run(world, "status", *at, "--at", NOBODY, "--json")
    levels = {part["name"]: part["level"] for part in json.loads(as_data.stdout)["parts"]}
    assert (as_data.status, levels["processes"], levels["Kafka"]) == (3, "unreachable", "ok")


def test_kafka_is_away(world: DeskWorld) -> None:
    """Then only those that are named can be asked, and are."""
    seats = seats_of(world)
    with seated(*seats) as at:
        result = run(world, "status", *at, "--bootstrap", NOBODY)
    golden.check("status_kafka_away.txt", told(result, *seats))


def test_topics_are_missing(world: DeskWorld) -> None:
    """It is said which, and how they are made."""
    result = world.run(["status", "--prefix", f"{world.prefix}other.", "--group", f"{world.prefix}nobody"])
    golden.check("status_no_topics.txt", told(result))


def test_lanes_are_shown(world: DeskWorld) -> None:
    """Each with its owner, how far it is, and what it waits for; lanes that nobody has are counted."""
    one, two = busy(world)
    two.lanes = {name: lane for name, lane in two.lanes.items() if "payments" in name}
    with seated(one, two) as at:
        golden.check("lanes_show.txt", told(run(world, "lanes", "show", *at), one, two))
        whole = json.loads(run(world, "lanes", "show", "--json", *at).stdout)
    assert whole["lanes"][0] == {
        "lane": "prefixed1.lease.payments:0",
        "owner": "one",
        "at": one.at,
        "state": "open",
        "lag": 4,
        "watermark": 0,
        "window_span": 4,
        "window_limit": 16_384,
        "unsettled": 4,
        "in_flight": 0,
        "oldest_ms": 600_000,
        "waits_for": "slot",
        "breaker_open": True,
        "committed_ms": 3_000,
    }
    assert whole["lanes"][3]["owner"] is None


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_watching_goes_on_while_kafka_is_away(
    world: DeskWorld, monkeypatch: pytest.MonkeyPatch, form: list[str]
) -> None:
    """It is watched to see it come back; an interruption ends it."""
    looks: list[Any] = []

    async def look(*arguments: Any) -> Any:
        looks.append(arguments)
        if len(looks) == 2:
            raise KafkaUnavailableError("reading topic metadata", "nobody answers")
        if len(looks) == 4:
            raise KeyboardInterrupt
        return await plain(*arguments)

    plain = lanes.look
    monkeypatch.setattr(lanes, "look", look)
    result = run(world, "lanes", "show", "--watch", "--every", "0.2", *form)
    assert (result.status, len(looks)) == (130, 4)
    trouble = "Kafka: reading topic metadata: nobody answers. Check that the brokers are up and reachable."
    if form:
        first, second, third = map(json.loads, result.stdout.splitlines())
        assert (len(first["lanes"]), second, len(third["lanes"])) == (5, {"trouble": trouble}, 5)
    else:
        assert result.stdout.count(f"\n{trouble}\n") == 1
        assert result.stdout.count("prefixed1.lease.payments:0") == 2
