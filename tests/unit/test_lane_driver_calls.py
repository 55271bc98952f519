"""The lane's driver at work, with a lane that asks for what the test says: each call of it, and its end."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway import schemas
from gateway.core import facts
from gateway.core.holds import Holds
from gateway.core.outcome import Loss, Lost, Reply, Stop
from gateway.kafka import lane_driver
from gateway.kafka.endings import BrokenOffError
from gateway.kafka.fence import FenceFailed
from gateway.kafka.head import Head
from gateway.kafka.lane_driver import LaneDriver
from gateway.kafka.opening import LaneName
from gateway.kafka.outgoing import outgoing
from gateway.kafka.registry import RegistryAway
from gateway.kafka.transactions import Doubt, Doubtful, Fenced
from tests.driver_world import World, ended, surroundings, until

DOUBT = Doubtful(Doubt.TIMEOUT, "commit")
ENDS_OF_CALLS = (facts.Produced, facts.Committed, facts.CommitDoubtful, facts.FenceReached, facts.FenceFailed)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Kafka, GeNiE and the lane, so far as the driver sees them."""
    made = World()

    async def head(*_: object) -> Head:
        return Head(frozenset(), 0)

    monkeypatch.setattr(lane_driver, "open_lane", made.open)
    monkeypatch.setattr(lane_driver, "look_at_head", head)
    monkeypatch.setattr(lane_driver, "Lane", lambda rules, opened, now: made)
    monkeypatch.setattr(lane_driver, "OPEN_RETRY_S", 0)
    return made


@pytest.fixture
async def driver(world: World) -> AsyncIterator[LaneDriver]:
    """One that nothing escapes from: what asyncio would only report fails the test."""
    feed: Any = SimpleNamespace(
        partition=None,
        is_new=True,
        seek=lambda offset: world.deeds.append(f"seek {offset}"),
        stop=lambda: None,
        confirm_membership=lambda: world.call("confirm membership"),
        take=lambda limit: world.call("take", ((), 7)),
        view=dict,
    )
    reader: Any = SimpleNamespace(read=lambda raws, wary: world.call("read", []))
    rules: Any = SimpleNamespace(limits=SimpleNamespace(window=10, window_bytes=1_000))
    escaped: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
    yield LaneDriver(surroundings(world), LaneName("credit-gateway", "lease.payments", 3), rules, feed, reader)
    assert not escaped


# --- opening and ending -----------------------------------------------------------------------------------


async def test_a_lane_that_closed_is_not_opened_again(world: World, driver: LaneDriver) -> None:
    """It goes on from what is committed, lets go of its producer, and nobody is asked for more."""
    assert driver.view() == {"opening": True}
    world.first = [facts.Closed()]
    await driver.run()
    assert world.deeds == ["open", "seek 7", "drop"]
    assert world.told == []


async def test_only_a_late_record_has_its_delay_looked_for(world: World, driver: LaneDriver) -> None:
    """It costs a look through the window, and what is a moment old waits for nothing in particular."""
    running = asyncio.create_task(driver.run())
    await until(lambda: driver.is_open)
    assert (driver.view()["oldest_at"], driver.view()["delay"]) == (None, None)
    world.oldest_at = 1
    assert driver.view()["delay"] is None
    world.oldest_at = 0
    assert driver.view()["delay"] == "why at 1000"
    await ended(running)


async def test_the_last_commit_is_shown(world: World, driver: LaneDriver) -> None:
    """A commit that is in doubt is none."""
    world.first = [facts.Commit(8, "")]
    world.fails["commit"] = DOUBT
    world.asks[facts.CommitDoubtful] = [facts.Commit(8, "")]
    running = asyncio.create_task(driver.run())
    await until(lambda: driver.is_open)
    assert driver.view()["committed_at"] is None
    await until(lambda: any(isinstance(fact, facts.Committed) for fact in world.told))
    assert driver.view()["committed_at"] == 1_000
    await ended(running)


async def test_a_doubt_lets_go_of_all_before_the_lane_opens_again(world: World, driver: LaneDriver) -> None:
    """What is under way has ended before the producer goes, and the group knows us before another takes over."""
    world.hangs = {"send"}
    world.first = [facts.Send("batch", (), 2_000), facts.Commit(8, "")]
    world.fails["commit"] = DOUBT
    world.asks[facts.CommitDoubtful] = [facts.Reopen()]
    running = asyncio.create_task(driver.run())
    await until(lambda: world.deeds.count("seek 7") == 2)
    assert world.deeds == [
        *("open", "seek 7", "send", "commit", "told CommitDoubtful"),
        *("send ended", "drop", "confirm membership", "open", "seek 7"),
    ]
    await ended(running)


async def test_an_end_of_the_process_lets_go_of_all(world: World, driver: LaneDriver) -> None:
    """Slots that were granted go back, what is under way ends, and then the producer."""
    world.hangs = {"send"}
    world.first = [facts.WantSlots(3)]
    world.asks[facts.SlotsGranted] = [facts.Send("batch", (), 2_000)]
    running = asyncio.create_task(driver.run())
    await until(lambda: "send" in world.deeds)
    await ended(running)
    assert world.deeds[-3:] == ["send ended", "release 3", "drop"]
    assert not driver.is_open


async def test_who_is_fenced_while_it_opens_does_not_take_the_lane_back(world: World, driver: LaneDriver) -> None:
    """Another process is about to work there; the lane was never open here."""
    world.openings = [Fenced(Doubt.NEWER_OWNER, "take over")]
    with capture_logs() as lines, pytest.raises(Fenced):
        await driver.run()
    assert (world.deeds, lines) == ([], [])


@pytest.mark.parametrize("trouble", [DOUBT, RegistryAway("the registry is away")])
async def test_an_opening_that_broke_off_is_made_again(world: World, driver: LaneDriver, trouble: Exception) -> None:
    """Nothing was settled yet, so nothing is doubtful."""
    world.openings = [trouble]
    world.first = [facts.Closed()]
    await driver.run()
    assert world.deeds == ["open", "seek 7", "drop"]


async def test_a_lane_that_is_to_close_while_it_opens_is_told_so(world: World, driver: LaneDriver) -> None:
    """It settles what is in flight and ends."""
    world.meanwhile = lambda: driver.close(500)
    world.asks[facts.Closing] = [facts.Closed()]
    await driver.run()
    assert world.told == [facts.Closing(1_500)]


async def test_an_open_lane_that_is_to_close_is_told_so(world: World, driver: LaneDriver) -> None:
    """Its run ends once it has closed."""
    world.asks[facts.Closing] = [facts.Closed()]
    running = asyncio.create_task(driver.run())
    await until(lambda: driver.is_open)
    driver.close(500)
    await running
    assert world.told == [facts.Closing(1_500)]


# --- facts and commands -----------------------------------------------------------------------------------


async def test_a_fact_that_arises_meanwhile_waits_its_turn(world: World, driver: LaneDriver) -> None:
    """All that the lane asked for after one fact is under way before it hears of the next."""
    world.first = [facts.WantSlots(3)]
    world.asks[facts.SlotsGranted] = [facts.Alert(Stop.FORBIDDEN), facts.FreeSlots(3)]
    world.asks[facts.Closing] = [facts.Closed()]
    running = asyncio.create_task(driver.run())
    await until(lambda: driver.is_open)
    world.meanwhile = lambda: driver.close(500)
    await running
    assert world.deeds[2:] == ["acquire 3", "told SlotsGranted", "alert", "release 3", "told Closing", "drop"]


async def test_a_lane_that_fails_when_its_time_has_come_ends_the_process(world: World, driver: LaneDriver) -> None:
    """Nobody waits for an alarm, so its error must go where the lane's end is awaited."""
    world.wakes = 1
    world.fails["handle"] = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await driver.run()
    assert world.told == [facts.Tick(0)]


async def test_what_two_calls_raise_ends_the_process_once(world: World, driver: LaneDriver) -> None:
    """The first error is told; the second changes nothing."""
    world.first = [facts.StartFence(frozenset()), facts.Send("batch", (), 2_000)]
    world.fails |= {"fence": ZeroDivisionError(), "send": KeyError()}
    with pytest.raises(ZeroDivisionError):
        await driver.run()
    assert "send" in world.deeds


async def test_a_call_that_is_broken_off_from_within_ends_the_process(world: World, driver: LaneDriver) -> None:
    """A library's own future that is cancelled looks like a call that we cancelled: the lane would wait for ever."""
    world.first = [facts.StartFence(frozenset())]
    world.fails["fence"] = asyncio.CancelledError()
    with pytest.raises(BrokenOffError):
        await driver.run()


async def test_an_end_after_the_end_hides_nothing(world: World, driver: LaneDriver) -> None:
    """What else the lane asks for is done, although it has ended already."""
    world.first = [facts.Closed(), facts.Closed(), facts.Alert(Stop.FORBIDDEN)]
    await driver.run()
    assert "alert" in world.deeds


async def test_an_alarm_of_the_past_rings_at_once_and_once(world: World, driver: LaneDriver) -> None:
    """The lane hears what is known of GeNiE."""
    world.heard.ok_at = 77
    world.wakes = 1
    world.asks[facts.Tick] = [facts.Closed()]
    await driver.run()
    assert world.told == [facts.Tick(77)]


# --- one call for each command ----------------------------------------------------------------------------


async def test_a_lane_waits_for_the_registry_and_says_so_once(
    world: World, driver: LaneDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It pauses between its attempts, and what it took is read in the end."""
    plain, pauses, away = asyncio.sleep, [], [RegistryAway("away"), RegistryAway("away")]

    async def read(raws: Sequence[Any], wary: bool) -> list[Any]:
        assert driver.view()["awaits_registry"] is (len(away) < 2)
        if away:
            raise away.pop()
        return []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await plain(0)

    monkeypatch.setattr(driver._reader, "read", read)
    monkeypatch.setattr(asyncio, "sleep", pause)
    world.first = [facts.FetchMore(10)]
    world.asks[facts.Fetched] = [facts.Closed()]
    with capture_logs() as lines:
        await driver.run()
    assert pauses == [lane_driver.REGISTRY_RETRY_S] * 2
    assert [line["event"] for line in lines].count("lane waits for the schema registry") == 1
    assert world.told == [facts.Fetched([], 7, {})]
    assert not driver._awaits_registry


@pytest.mark.parametrize(
    ("command", "call", "fact"),
    [
        (facts.Produce(), "produce", facts.Produced([])),
        (facts.Commit(8, ""), "commit", facts.Committed()),
        (facts.StartFence(frozenset()), "fence", facts.FenceReached(900, {}, Holds())),
    ],
)
async def test_a_call_that_succeeds_is_told(
    world: World, driver: LaneDriver, command: facts.Command, call: str, fact: facts.Fact
) -> None:
    """The call was made, and its fact says what came of it."""
    world.first, world.asks[type(fact)] = [command], [facts.Closed()]
    await driver.run()
    assert world.deeds[2:] == [call, f"told {type(fact).__name__}", "drop"]


@pytest.mark.parametrize(
    ("command", "call", "error", "fact"),
    [
        (facts.Produce(), "produce", DOUBT, facts.CommitDoubtful()),
        (facts.Commit(8, ""), "commit", DOUBT, facts.CommitDoubtful()),
        (facts.StartFence(frozenset()), "fence", FenceFailed(), facts.FenceFailed()),
    ],
)
async def test_a_call_that_fails_is_told(
    world: World, driver: LaneDriver, command: facts.Command, call: str, error: Exception, fact: facts.Fact
) -> None:
    """The lane decides what follows; the process goes on."""
    world.first, world.asks = [command], {kind: [facts.Closed()] for kind in ENDS_OF_CALLS}
    world.fails[call] = error
    await driver.run()
    assert world.told == [fact]


@pytest.mark.parametrize(
    ("answer", "ok_at", "trouble"),
    [
        (Lost(Loss.TIMEOUT), 0, "timeout"),
        (Reply(200, True, "", None, (), None, b"", "key"), 1_000, "none"),
        (Reply(200, False, "", None, (), None, b"", None), 0, "none"),
        (Reply(503, True, "", None, (), None, b"", "key"), 0, "none"),
    ],
)
async def test_an_answer_is_told_and_what_it_says_of_genie_kept(
    world: World, driver: LaneDriver, answer: Any, ok_at: int, trouble: str
) -> None:
    """Only a verified 200 says that GeNiE is well; the slot goes back in any case."""
    world.first, world.asks[facts.SlotsGranted] = [facts.WantSlots(1)], [facts.Send("batch", (), 2_000)]
    world.asks[facts.Answered] = [facts.Closed()]
    world.answer = answer
    await driver.run()
    assert world.told[-1] == facts.Answered("batch", answer)
    assert (world.heard.ok_at, world.heard.trouble) == (ok_at, trouble)
    assert world.deeds[-5:] == ["send", "observe", "release 1", "told Answered", "drop"]


async def test_a_lookup_takes_a_slot_and_gives_it_back(world: World, driver: LaneDriver) -> None:
    """It is one of the requests that may be on their way at once."""
    world.first, world.asks[facts.LookedUp] = [facts.LookUp(5, ())], [facts.Closed()]
    await driver.run()
    assert world.deeds[2:] == ["acquire 1", "look up", "asked False", "release 1", "told LookedUp", "drop"]


async def test_a_lookup_that_is_broken_off_gives_its_slot_back(world: World, driver: LaneDriver) -> None:
    """Else the other lanes would soon have none."""
    world.first, world.hangs = [facts.LookUp(5, ())], {"look up"}
    running = asyncio.create_task(driver.run())
    await until(lambda: "look up" in world.deeds)
    await ended(running)
    assert world.deeds[-4:] == ["look up ended", "asked False", "release 1", "drop"]


# --- what it makes of records -----------------------------------------------------------------------------


async def test_what_is_settled_is_not_read_again_and_the_head_is_read_warily(
    world: World, driver: LaneDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One record at a time as long as an earlier owner may have died of one; only events have subjects."""
    asked: list[Any] = []

    async def head(*_: object) -> Head:
        return Head(frozenset({8}), 8)

    async def take(limit: int) -> tuple[list[Any], int]:
        asked.append(limit)
        behind = 8 if len(asked) == 1 else 11
        return [SimpleNamespace(offset=offset) for offset in range(behind - limit, behind)], behind

    async def read(raws: Sequence[Any], wary: bool) -> list[Any]:
        events = [SimpleNamespace(subject_ref="anna") if raw.offset == 10 else None for raw in raws]
        asked.append(([raw.offset for raw in raws], wary))
        return [SimpleNamespace(event=event, reason=None) for event in events]

    monkeypatch.setattr(lane_driver, "look_at_head", head)
    monkeypatch.setattr(driver._feed, "take", take)
    monkeypatch.setattr(driver._reader, "read", read)
    monkeypatch.setattr(driver._around.view, "get_many", lambda subjects: asked.append(subjects) or {})
    world.first = [facts.FetchMore(3)]
    world.asks[facts.Fetched] = [facts.FetchMore(3)]
    running = asyncio.create_task(driver.run())
    await until(lambda: len(world.told) == 2)
    await ended(running)
    assert asked == [1, ([7], True), set(), 3, ([9, 10], False), {"anna"}]
    assert [told.position for told in world.told if isinstance(told, facts.Fetched)] == [8, 11]


async def test_a_transaction_has_ledger_then_parked_then_intents(
    world: World, driver: LaneDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in its topic under its key; a parked record that is taken back is a tombstone."""
    monkeypatch.setattr(schemas, "encode", lambda kind, record, schema_id: f"{kind} {record} {schema_id}")
    topics = {"ledger": "l", "parked": "p", "intents": "i", "ledger_id": 1, "parked_id": 2, "intent_id": 3}
    monkeypatch.setattr(driver._around, "topics", SimpleNamespace(**topics))
    ledger = [{"subject_ref": "anna"}, {"subject_ref": None}]
    parked = [facts.Parked("lane:1", {"a": 1}), facts.Parked("lane:2", None)]
    out = outgoing(driver._around.topics, str(driver.name), facts.Produce(ledger, parked, [{"entries": []}]))
    assert [(each.topic, each.partition, each.key) for each in out] == [
        ("l", None, b"anna"),
        ("l", None, None),
        ("p", None, b"lane:1"),
        ("p", None, b"lane:2"),
        ("i", None, b"lease.payments:3"),
    ]
    assert [each.value for each in out] == [
        "ProvisionRecord {'subject_ref': 'anna'} 1",
        "ProvisionRecord {'subject_ref': None} 1",
        "ParkedEvent {'a': 1} 2",
        None,
        "ProvisionIntent {'entries': []} 3",
    ]
