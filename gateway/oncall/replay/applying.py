"""Carries a plan out: asks for its replays, not too fast, not too many at once, each one once; or cancels it.

Order, on which `each one once` and `none after the cancel` rest: take over, which fences every other apply of the plan
and ends a transaction that one left open; only then read what was requested and whether the plan was cancelled; write
the audit record; write requests. A cancel writes its audit record, then takes over. Must not know how any of it is
shown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.kafka.connection import KafkaUnavailableError
from gateway.oncall import times
from gateway.oncall.audit import Deed, Operator, audited
from gateway.oncall.desk import Desk
from gateway.oncall.replay.course import APPLY, CANCEL, Course
from gateway.oncall.replay.plan_file import STALE_MS, Entry, Plan, PlanError
from gateway.oncall.replay.requests import RequestWriter, TakenOverError
from gateway.oncall.replay.selection import command

MAX_RATE = 1_000
MOST_UNSETTLED = 500
MOST_AT_ONCE = 100  # requests in one transaction
# How often it is looked what was settled, whether somebody cancelled the plan, and whether it is stale by now. A cancel
# that could not fence this apply is noticed after so long and a pause between two requests, 1 s at the slowest rate.
LOOK_EVERY_S = 2.0
PAUSE_S = 0.5  # between two looks while nothing more may be asked for
STALLED_S = 90.0  # without any replay being settled; a gateway that takes over lanes may need a minute


class StalledError(Exception):
    """Nobody settles what was asked for."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply came to."""

    before: int  # requests that were there already
    now: int
    unsettled: int


class Pace:
    """So many a second, and no burst of more than half a second's. Times in s."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._most = max(1.0, rate / 2)
        self._room = self._most
        self._at = now

    def room(self, now: float) -> int:
        """How many may go now."""
        self._room = min(self._most, self._room + (now - self._at) * self._rate)
        self._at = now
        return int(self._room)

    def spend(self, count: int) -> None:
        """So many went."""
        self._room -= count

    def wait(self) -> float:
        """How long until one more may go, s."""
        return max(0.0, (1 - self._room) / self._rate)


Show = Callable[[Course], None]


class Applying:
    """One apply of one plan. `show` hears of every step."""

    def __init__(
        self, desk: Desk, plan: Plan, operator: Operator, rate: int, show: Show, stalled_s: float = STALLED_S
    ) -> None:
        self._desk = desk
        self._operator = operator
        self._show = show
        self._pace = Pace(rate, time.monotonic())
        self._stalled_s = stalled_s
        self._plan = plan
        # A second's worth: where lanes take longer than that, replays wait here and not before the live stream.
        self._most = min(rate, MOST_UNSETTLED)
        self._before = 0  # requests that another apply of the plan had written
        self.course = Course(desk, plan)

    async def run(self) -> Applied:
        """Ask for all that is not asked for yet.

        Raises PlanError, TakenOverError, StalledError, KafkaUnavailableError; then the same again goes on where this
        one stopped.
        """
        course, plan = self.course, self._plan
        await course.check_cluster()
        writer = RequestWriter(self._desk, plan)
        try:
            await writer.take_over()
            await course.follow()
            self._before = len(course.requested)
            self._check()
            if self._before < len(plan.entries):
                deed = Deed(APPLY, plan_id=plan.plan_id, count=len(plan.entries) - self._before)
                await audited(self._desk, self._operator, deed)
                await self._write_all(writer)
        finally:
            await asyncio.shield(writer.close())
        return Applied(self._before, len(course.requested) - self._before, course.unsettled)

    def _check(self) -> None:
        """Raise PlanError if no more of it may be asked for."""
        plan, course = self._plan, self.course
        self._refuse_cancelled()
        if len(course.requested) < len(plan.entries) and plan.is_stale(times.now_ms()):
            raise PlanError(
                f"the plan is older than {STALE_MS // 3_600_000} hours (made {times.shown(plan.made_at)})"
                f"{self._so_far()}: plan again by `{command(plan.selection)}`"
            )
        if course.others:
            raise PlanError(
                f"{len(course.others):,} of its records were replayed by another plan since it was made: plan again "
                f"by `{command(plan.selection)}`, which leaves those out that are done"
            )

    def _refuse_cancelled(self) -> None:
        cancelled = self.course.cancelled
        if cancelled is not None:
            raise PlanError(
                f"the plan was cancelled by {cancelled.operator} at {times.shown(cancelled.at)}{self._so_far()}: "
                f"plan again by `{command(self._plan.selection)}`"
            )

    def _so_far(self) -> str:
        """What this apply leaves behind that ends on its way."""
        asked = len(self.course.requested)
        if asked == self._before:
            return ""
        return (
            f", when {asked:,} of {len(self._plan.entries):,} replays were asked for, which can't be taken back "
            "(`gateway replay status` follows them)"
        )

    async def _write_all(self, writer: RequestWriter) -> None:
        course, plan = self.course, self._plan
        todo = [entry for entry in plan.entries if plan.request_id(entry) not in course.requested]
        at, looked_at = 0, time.monotonic()
        patience = _Patience(self._stalled_s, self._most, course, looked_at)
        while at < len(todo):
            if course.unsettled >= self._most or time.monotonic() - looked_at >= LOOK_EVERY_S:
                await course.follow_audit()
                await course.follow_ledger()
                self._check()
                looked_at = time.monotonic()
                patience.look(looked_at)
            room = min(self._pace.room(time.monotonic()), self._most - course.unsettled, MOST_AT_ONCE)
            some = todo[at : at + max(0, room)]
            if some:
                await self._ask(writer, some)
                at += len(some)
            else:
                await asyncio.sleep(PAUSE_S if course.unsettled >= self._most else self._pace.wait())
            self._show(course)

    async def _ask(self, writer: RequestWriter, some: Sequence[Entry]) -> None:
        try:
            places = await writer.write(some, self._operator)
        except TakenOverError:
            await self.course.follow_audit()
            self._refuse_cancelled()  # whoever cancels writes that down, and takes over then
            raise
        for entry, place in zip(some, places, strict=True):
            self.course.wrote(self._plan.request_id(entry), place.partition, place.offset)
        self._pace.spend(len(some))


class _Patience:
    """For a course that stands still: as long as replays are settled, or more may be asked for, it is not needed."""

    def __init__(self, most_s: float, most_unsettled: int, course: Course, now: float) -> None:
        self._most_s = most_s
        self._most_unsettled = most_unsettled
        self._course = course
        self._settled = len(course.ended)
        self._moved_at = now

    def look(self, now: float) -> None:
        """Raise StalledError if nothing has moved for too long."""
        course = self._course
        if len(course.ended) > self._settled or course.unsettled < self._most_unsettled:
            self._settled, self._moved_at = len(course.ended), now
        elif now - self._moved_at >= self._most_s:
            raise StalledError(
                f"{course.unsettled:,} replays are asked for, and none was settled for "
                f"{times.lasted(int(self._most_s * 1000))}: see `gateway status`, then run the same command again, it "
                "goes on from here"
            )


async def cancel(desk: Desk, plan: Plan, operator: Operator) -> Course:
    """No more requests of this plan are written from now on; how far it came.

    Raises PlanError, KafkaUnavailableError.
    """
    course = Course(desk, plan)
    await course.check_cluster()
    await audited(desk, operator, Deed(CANCEL, plan_id=plan.plan_id))
    writer = RequestWriter(desk, plan)
    try:
        await writer.take_over()
    except KafkaUnavailableError as error:
        raise KafkaUnavailableError(
            "the cancel is written down, but an apply that runs now may go on",
            f"{error.what} failed; run the same command again",
        ) from error
    finally:
        await asyncio.shield(writer.close())
    await course.follow()
    return course
