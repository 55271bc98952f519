"""GeNiE's troubles that take more than one fault switched on: what goes wrong, what the gateway does, what is seen.

Each story is gone through once, and proves one or several faults.
"""

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway import schemas
from gateway.core.outcome import Stop
from gateway.genie.budget import EXTRA
from tests.integration.chosen_records import a_replay
from tests.integration.gateway_world import PARTITIONS
from tests.integration.genie_course import Course, Event
from tests.integration.genie_troubles import SAME, STOPS
from tests.promises.hurry import SMALL_BURST, SMALL_PER_S

ANSWERED = 'gateway_genie_lookup_seconds_count{result="answered"}'
PUSHED_BACK = 'gateway_genie_request_seconds_count{kind="429"}'
UNANSWERED = 'gateway_genie_lookup_seconds_count{result="unanswered"}'
MANY = 10
MOST_IN_A_STORM = 100
MADE_AGAIN = 5
MOST_ATTEMPTS = 8  # of an entry, in an outage of seconds

PROVISIONS, LOOKUPS = {"on": "provisions"}, {"on": "lookups"}


async def late(course: Course) -> None:
    """The connection ends, and GeNiE judges the request a moment later, when it may have been sent again."""
    received = len(course.world.received())
    event = await course.one_that_is_hit(late_acceptance={"seconds": 0.3})
    course.world.faults()
    await course.settled(event)
    assert course.ending(event)["reason"] == "accepted"
    await course.world.sees(lambda: len(course.world.received()) == received + 2, "that GeNiE has judged both")
    assert {each["status"] for each in course.world.received()[received:]} == {"accepted", "duplicate"}


async def refused_while_unknown(course: Course) -> None:
    """An attempt is lost, the next one is refused."""
    before = await course.shown()
    event = await course.one_that_is_hit(reset_before_accepting=PROVISIONS)
    await course.strikes(entry_rejected={})
    course.world.faults()
    await course.settled(event)
    assert course.ending(event)["reason"] == "rejected_by_genie"
    assert (await course.shown())[ANSWERED] > before[ANSWERED]


async def withdrawn_while_unknown(course: Course) -> None:
    """Two are lost, one of them after GeNiE has accepted; then both are withdrawn, and lookups fail in every way."""
    before = await course.shown()
    taken = await course.one_that_is_hit(reset_after_accepting=PROVISIONS)
    lost = await course.one_that_is_hit(reset_before_accepting=PROVISIONS)
    await course.world.sees(lambda: course.announced(lost) > 1, "that its first attempt is lost")
    for event in (taken, lost):
        await course.world.withdraw(event.subject)
    for trouble in ("lookup_processing", "early_as_of", "unsigned_answer"):
        await course.strikes(reset_before_accepting=PROVISIONS, **{trouble: LOOKUPS})
    course.world.faults()
    await course.settled(taken, lost)
    assert [course.ending(event)["reason"] for event in (taken, lost)] == ["resolved_by_lookup", "consent_withdrawn"]
    assert [course.ending(event)["transmitted"] for event in (taken, lost)] == ["yes", "no"]
    after = await course.shown()
    assert after[ANSWERED] > before[ANSWERED]
    assert after[UNANSWERED] > before[UNANSWERED]


async def partial(course: Course) -> None:
    """GeNiE says `retry` of about half of the entries of each batch, and accepts the rest."""
    received = len(course.world.received())
    course.world.faults(unavailable={"share": 1, "retry_after": 0})
    events = [event for _ in range(MANY) for event in await course.write()]
    await course.strikes(entry_retry={"share": 0.5})
    course.world.faults()
    await course.settled(*events)
    assert {course.ending(event)["reason"] for event in events} == {"accepted"}
    judged: dict[str, Counter[str]] = {}
    for each in course.world.received()[received:]:
        judged.setdefault(each["idempotency_key"], Counter())[each["status"]] += 1
    assert {(told["accepted"], told["duplicate"]) for told in judged.values()} == {(1, 0)}
    assert any("retry" in told for told in judged.values())
    assert not all("retry" in told for told in judged.values())


def causes(course: Course) -> list[str]:
    """What the log says of each time that requests were held back: earlier stories may have opened the breaker too."""
    return [line["code"] for line in course.gateway.lines() if line["event"] == "GeNiE fails, requests are held back"]


async def outage(course: Course) -> None:
    """No connection for some seconds, with a backlog in both lanes."""
    before = len(causes(course))
    course.world.faults(handshake_refused={"share": 1})
    events = [event for _ in range(MANY) for event in await course.write()]
    await course.seen(lambda shown: shown["gateway_genie_breaker_open"] == 1, "an open breaker")
    await course.seen(lambda shown: shown["gateway_genie_slot_waiters"] >= 1, "lanes that wait")
    # What was just on its way breaks; what comes later is refused.
    await course.world.sees(lambda: {"refused", "broken"} & {*causes(course)[before:]}, "a log line that says why")
    course.world.faults()
    await course.settled(*events)
    endings = [course.ending(event) for event in events]
    assert {ending["reason"] for ending in endings} == {"accepted"}
    assert max(ending["attempts"] for ending in endings) <= MOST_ATTEMPTS
    await course.seen(lambda shown: shown["gateway_genie_breaker_open"] == 0, "a closed breaker")
    await course.gateway.says("GeNiE answers again")


async def wrong_url_for_a_while(course: Course) -> None:
    """Every lane that has something to send stops, until the URL is right again."""
    topic = course.world.names.payments
    lanes = [f'gateway_lane_stopped{{partition="{number}",topic="{topic}"}}' for number in range(PARTITIONS)]
    course.world.faults(client_error={"share": 1, "status": 404})
    events = [event for _ in lanes for event in await course.write()]
    await course.seen(lambda shown: all(shown[lane] for lane in lanes), "lanes that have stopped")
    stopped = {view.get("stopped") for view in (await course.gateway.status())["lanes"].values()}
    assert True in stopped
    course.world.faults()
    await course.settled(*events)
    assert {course.ending(event)["reason"] for event in events} == {"accepted"}
    assert course.stops()[-1]["code"] == Stop.WRONG_URL.value


async def storm(course: Course) -> None:
    """Every request is answered 429, until the retry budget is used up; then no more go again than it allows."""
    before = (await course.shown())["gateway_genie_slots"]
    began, announced = time.monotonic(), len(course.world.intents)
    course.world.faults(too_many_requests={"share": 1, "retry_after": 0})
    events: list[Event] = []
    while not (await course.shown())["gateway_genie_retry_budget_wait_seconds"]:
        assert len(events) < MOST_IN_A_STORM, "the retry budget is not used up"
        events.append(await course.one())
        await course.world.sees(lambda: course.announced(events[-1]), "a request of its own for each")
    await course.seen(lambda shown: shown["gateway_genie_slots"] <= max(1, before / 2), "fewer slots")

    def again() -> int:
        return len(course.world.intents) - announced - len(events)

    await course.world.sees(lambda: again() >= MADE_AGAIN, "requests made again")
    made, passed_s = again(), time.monotonic() - began
    assert made <= 1 + SMALL_BURST + SMALL_PER_S * passed_s + EXTRA * len(events)
    course.world.faults()
    await course.settled(*events)
    assert {course.ending(event)["reason"] for event in events} == {"accepted"}


async def come_back_in_an_hour(course: Course) -> None:
    """One 429 with a Retry-After far beyond the cap, which the test has shortened; then GeNiE is well again."""
    before = await course.shown()
    event = await course.one_that_is_hit(too_many_requests={"retry_after": 3_600})
    course.world.faults()
    await course.settled(event)
    assert course.ending(event)["reason"] == "accepted"
    assert (await course.shown())[PUSHED_BACK] > before[PUSHED_BACK]


async def choking(course: Course) -> None:
    """GeNiE fails on each request that holds one event."""
    events = await course.wait_together()
    await course.strikes(entry_breaks={"key": course.key(events[-1].event_id)})
    neighbour = await course.one()
    await course.settled(*events, neighbour)
    course.world.faults()
    reasons = [course.ending(event)["reason"] for event in (*events, neighbour)]
    assert reasons == ["accepted", "accepted", "genie_fails_on_entry", "accepted"]


async def unknown_for_too_long(course: Course) -> None:
    """Nothing is heard of an event for longer than the limit; on-call replays it when GeNiE is well again."""
    world = course.world
    event = await course.one_that_is_hit(reset_after_accepting={})
    await course.settled(event)
    assert course.ending(event)["reason"] == "outcome_unknown"
    assert course.ending(event)["transmitted"] == "unknown"
    world.faults()
    replay = a_replay(event.subject, world.names.payments, event.partition, event.offset)
    at = await world.write(world.names.replays, event.subject, schemas.encode("ReplayRequest", replay))
    await world.sees(lambda: course.ends(world.names.replays, 0, at), "the end of the replay")
    (ending,) = course.ends(world.names.replays, 0, at)
    assert ending["reason"] == "same_event"


@dataclass(frozen=True, slots=True)
class Told:
    """A fault, and the story that proves what happens."""

    name: str
    story: Callable[[Course], Awaitable[None]]
    does: str
    seen: str


_LOOKS_UP = "waits until GeNiE can no longer accept it, then asks GeNiE; what was received is PROVIDED, else withheld"
_ASKS_AGAIN = "believes nothing of it and asks again, a little later each time"
_UNKNOWN = '`gateway_genie_lookup_seconds`, `gateway_lane_records{state="looking_up"}`'

STORIES = [
    Told(
        "GeNiE accepts what seemed lost a moment later",
        late,
        SAME,
        '`gateway_genie_request_seconds{kind="lost"}`; `gateway_genie_retries_total`',
    ),
    Told(
        "GeNiE refuses an entry after an attempt that was lost",
        refused_while_unknown,
        "waits until GeNiE can no longer accept the lost attempt, looks it up, and parks it only then",
        _UNKNOWN,
    ),
    Told("consent withdrawn while nobody knows whether GeNiE has it", withdrawn_while_unknown, _LOOKS_UP, _UNKNOWN),
    Told("a lookup says `processing`", withdrawn_while_unknown, _ASKS_AGAIN, _UNKNOWN),
    Told("a lookup tells of a time long past", withdrawn_while_unknown, _ASKS_AGAIN, _UNKNOWN),
    Told(
        "a lookup's answer is not signed",
        withdrawn_while_unknown,
        _ASKS_AGAIN,
        '`gateway_genie_lookup_seconds{result="unanswered"}`',
    ),
    Told(
        "`retry` for some entries of a batch",
        partial,
        "sends those again, and what comes after them of the same subject, in order; no other entry",
        '`gateway_genie_retries_total`, `gateway_lane_records{state="waiting"}`',
    ),
    Told(
        "GeNiE can't be reached for seconds, under load",
        outage,
        "the breaker opens: lanes wait and burn no attempts, one request at a time finds out when GeNiE is back",
        "`gateway_genie_breaker_open`, `gateway_genie_slot_waiters`, log line `GeNiE fails, requests are held back`",
    ),
    Told(
        "a wrong URL is mended while lanes wait",
        wrong_url_for_a_while,
        STOPS,
        "`gateway_lane_stopped`, `stopped` of the lane in `/status`, log line `lane stopped` with the code",
    ),
]
STORIES_IN_A_HURRY = [
    Told(
        "GeNiE fails on every batch with a certain entry",
        choking,
        "sends ever smaller batches; once it has failed eight times, alone, while GeNiE takes others, it is parked",
        '`gateway_settled_total{reason="genie_fails_on_entry"}`',
    ),
    Told(
        "nobody knows for an hour whether GeNiE has an entry",
        unknown_for_too_long,
        "parks it as transmitted unknown; a replay resolves it",
        '`gateway_settled_total{reason="outcome_unknown"}`',
    ),
    Told(
        "signed 429 whose Retry-After is an hour",
        come_back_in_an_hour,
        "comes back after a minute at the latest; parks nothing",
        '`gateway_genie_request_seconds{kind="429"}`',
    ),
    Told(
        "a storm of signed 429",
        storm,
        "halves its slots and spends the retry budget: a tenth more requests or 5 a second, whichever is more; parks "
        "nothing",
        "`gateway_genie_slots` falls, `gateway_genie_retry_budget_wait_seconds` is above 0",
    ),
]
