"""Troubles of GeNiE's that take minutes, each on a real gateway process with the limits of production."""

import pytest

from tests.faults import Where, fault
from tests.integration.gateway_world import LANES, World
from tests.integration.genie_course import Course, Event
from tests.integration.waiting import until

PHASE_S = 50  # of an outage, in which GeNiE fails in one way
PHASE_BOUND_S = 2 * PHASE_S
CHOKING_BOUND_S = 120.0
FAILED_ATTEMPTS = 8  # then an entry is given up

pytestmark = pytest.mark.long


@fault(
    Where.GENIE,
    "an outage of minutes: no connection, then silence, then 503 of a proxy",
    does="holds back all but one request every few seconds; parks nothing, and goes on seconds after the end",
    seen="`gateway_genie_breaker_open`, `gateway_lane_oldest_unsettled_seconds`, `gateway_lane_lag_records`",
)
async def test_outage_of_minutes(world: World) -> None:
    """Every event is provided when the outage is over, and GeNiE got fewer requests than one a second meanwhile."""
    ways = ("handshake_refused", "hang_before_accepting", "server_error")
    async with world.gateway() as gateway:
        await gateway.ready(LANES)
        course, events = Course(world, gateway), list[Event]()
        for number, way in enumerate(ways, 1):
            world.faults(**{way: {"share": 1}})
            events += [event for _ in range(5) for event in await course.write()]
            await until(lambda age=number * PHASE_S: is_oldest(course, age), PHASE_BOUND_S, f"the end of {way}")
        assert len(world.intents) < len(ways) * PHASE_S
        assert (await course.shown())["gateway_genie_breaker_open"] == 1
        world.faults()
        await course.settled(*events)
        await gateway.end_in_order()
    assert set(world.reasons()) == {"accepted"}
    assert world.parked == []
    await world.judged()


@fault(
    Where.GENIE,
    "GeNiE hangs on every request with a certain entry",
    does="sends it in ever smaller batches; others go on, and after eight attempts it is looked up and parked",
    seen='`gateway_settled_total{reason="genie_fails_on_entry"}`, `gateway_genie_request_seconds{kind="lost"}`',
)
async def test_hangs_on_an_entry(world: World) -> None:
    """Its neighbours are provided, and so is everything that comes while it is tried again."""
    async with world.gateway() as gateway:
        await gateway.ready(LANES)
        course = Course(world, gateway)
        events = await course.wait_together()
        world.faults(entry_hangs={"share": 1, "key": course.key(events[-1].event_id)})
        others: list[Event] = []

        async def parked() -> bool:
            others.append(await course.one())
            await course.settled(others[-1])
            return world.has_settled(events[-1].offset, events[-1].partition)

        await until(parked, CHOKING_BOUND_S, "the end of the entry on which GeNiE hangs")
        await world.sees(lambda: gateway.value("gateway_settled_total", reason="genie_fails_on_entry"), "the count")
        assert await gateway.value("gateway_genie_request_seconds_count", kind="lost") >= FAILED_ATTEMPTS
        await gateway.end_in_order()
    assert [course.ending(event)["reason"] for event in events] == ["accepted", "accepted", "genie_fails_on_entry"]
    assert {course.ending(event)["reason"] for event in others} == {"accepted"}
    await world.judged()


async def is_oldest(course: Course, seconds: float) -> bool:
    """Whether an event has waited so long."""
    shown = await course.shown()
    waited = [value for name, value in shown.items() if name.startswith("gateway_lane_oldest_unsettled_seconds")]
    return max(waited) >= seconds
