"""One run: everything starts, the plan is carried out under load, everything heals, and the verifier judges.

Knows the order of these, and what makes a run good. Must not know how anything is hurt.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.sandbox.demo.tasks import alongside, until
from tests.chaos.counts import Counts
from tests.chaos.deeds import Deeds, MissedError
from tests.chaos.journal import Journal
from tests.chaos.load import Load
from tests.chaos.plan import Action, Kind, Link, Plan
from tests.chaos.seats import Seat
from tests.chaos.stage import Stage
from tests.integration.gateway_world import gateway_settings, variables

AT_ONCE = 4  # actions
TRIES = 6  # of one action: a process may never come to a point, or be busy with something else
SHOW_EVERY_S = 10.0
POLL_S = 0.1
STILL_S = 90.0  # after everything has healed, without a single record: then nothing comes any more
VERIFY_S = 1_200.0
SKEW_MS = 1_000
# How often a gateway may end of its own accord for each trouble that came over Kafka, a link or the gateways: as if it
# struck every seat. (Half an hour has about 120 troubles and 160 such ends.) Who is killed does not end so.
MOST_ENDS_A_TROUBLE = 3
_TROUBLES = frozenset({Kind.BROKER_KILL, Kind.BROKER_STOP, Kind.KAFKA_LINK, Kind.GENIE_LINK, Kind.STOP, Kind.STOP_AT})
COUNTS = ("lost", "unrecorded", "unconsented", "duplicated", "out_of_order")
# Beside what every gateway of the tests has. Lanes must move soon when the group wants it.
_SETTINGS = {
    "genie__expires_ms": "3000",
    "genie__skew_ms": str(SKEW_MS),
    "kafka__rebalance_timeout_ms": "20000",
    "lane__drain_ms": "5000",
}
# Two seats that a restart moves no lane of, and one that joins and leaves. Without its watchdog a process that was
# stopped for long goes on where it was, with lanes that others have taken over.
_SEATS: Mapping[str, tuple[str, ...]] = {"one": (), "two": ("no_watchdog",), "roamer": ("no_watchdog",)}
_ROAMER = "roamer"


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to; `wrong` says in words why it is not good."""

    minutes: float
    kills: int
    broker_faults: int
    events: int
    verdict: Mapping[str, Any]
    wrong: tuple[str, ...]

    def line(self) -> dict[str, object]:
        """The last line of a run."""
        return {
            "minutes": round(self.minutes, 1),
            "kills": self.kills,
            "broker_faults": self.broker_faults,
            "events": self.events,
            **{name: self.verdict[name] for name in COUNTS},
        }


class Run:
    """`go` does it all. `without` names steps that are taken out of the gateways."""

    def __init__(self, plan: Plan, directory: Path, journal: Journal, without: tuple[str, ...] = ()) -> None:
        self._plan = plan
        self._journal = journal
        self._stage = Stage(directory, len(_SEATS), plan.seed)
        self._directory = directory
        self._without = without
        self._wanted = deque(plan.actions())
        self._planned = len(self._wanted)
        self._missed: Counter[str] = Counter()
        self._began = 0.0

    async def go(self) -> Report:
        """Raises ChaosError when it has no verdict."""
        plan, journal = self._plan, self._journal
        journal.say(f"seed {plan.seed}: {self._planned} actions in {plan.minutes:g} minutes, {plan.events:,} events")
        async with self._stage as stage:
            self._seats = {name: self._seat(number, name) for number, name in enumerate(_SEATS)}
            async with Counts(stage.node.bootstrap, stage.inputs, stage.replays, stage.ledger) as self._counts:
                self._load = Load(stage.node.bootstrap, plan, journal, lambda: self._counts.waiting)
                await self._load.consents_at_first()
                self._deeds = Deeds(
                    stage, list(self._seats.values()), self._seats[_ROAMER], self._load, journal, plan.seed
                )
                seats = [seat.run() for seat in self._seats.values()]
                async with asyncio.timeout(plan.most_seconds):
                    mending = self._deeds.mend_broker(lambda: self._counts.settled)
                    minutes = await alongside(self._course(), self._load.run(), self._show(), mending, *seats)
            journal.say("all settled, the verifier reads")
            logs = [log for seat in self._seats.values() for log in seat.logs]
            verdict = await stage.verdict(logs, SKEW_MS, VERIFY_S)
        journal.note("verdict", **verdict)
        return self._report(minutes, verdict)

    def _seat(self, number: int, name: str) -> Seat:
        stage, wires = self._stage, self._stage.wires[number]
        settings = gateway_settings(
            f"127.0.0.1:{wires[Link.KAFKA].port}",
            f"https://localhost:{wires[Link.GENIE].port}",
            stage.genie.keys,
            stage.directory,
            name,
        ) | variables(_SETTINGS)
        if name != _ROAMER:
            settings |= variables({"kafka__group_instance_id": name})
        return Seat(name, settings, self._directory, self._journal, *_SEATS[name], *self._without)

    # --- the course of a run --------------------------------------------------------------------------------

    async def _course(self) -> float:
        """Minutes from the first event to the last."""
        await self._stage.genie.fail({})
        for seat in self._seats.values():
            await seat.working()
        self._began = time.monotonic()
        await asyncio.gather(*(self._take_turns() for _ in range(AT_ONCE)))
        await until(lambda: self._seconds >= 60 * self._plan.minutes and self._counts.inputs >= self._plan.events)
        minutes = self._seconds / 60
        self._journal.say("the plan is carried out, everything heals")
        for seat in self._seats.values():
            seat.go_on()  # it may have stopped at the very moment at which its order was taken back
        await self._stage.genie.be_well()
        await self._load.end()
        await self._settle()
        for seat in self._seats.values():
            await seat.close()
        return minutes

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began

    async def _take_turns(self) -> None:
        """Carry out one action after the other, each when it is due; one that missed comes again last."""
        while self._wanted:
            action = self._wanted.popleft()
            await asyncio.sleep(max(0.0, action.due_s - self._seconds))
            self._journal.note("begin", action=action.name)
            try:
                await self._deeds.do(action)
            except MissedError as missed:
                self._journal.note("missed", action=action.name, why=str(missed))
                self._again(action)

    def _again(self, action: Action) -> None:
        self._missed[action.name] += 1
        if self._missed[action.name] < TRIES:
            self._wanted.append(action)

    async def _settle(self) -> None:
        """Wait until every event is recorded, or nothing moves any more: then the verifier will say what is lost."""
        moved_at, before = time.monotonic(), (-1, -1)
        while not await self._counts.all_settled():
            now = self._counts.inputs, self._counts.settled
            if now != before:
                moved_at, before = time.monotonic(), now
            if time.monotonic() - moved_at > STILL_S:
                self._journal.say(f"{self._counts.waiting:,} events are not recorded, and nothing moves")
                await asyncio.gather(*(seat.tell_lanes() for seat in self._seats.values()))
                return
            await asyncio.sleep(POLL_S)

    async def _show(self) -> None:
        while True:
            await asyncio.sleep(SHOW_EVERY_S)
            self._journal.say(
                f"{self._counts.inputs:,} events, {self._counts.settled:,} recorded, {self._kills} kills, "
                f"{self._deeds.broker_faults} broker faults, {self._load.changes:,} changes of consent, "
                f"{sum(self._journal.happened.values())} of {self._planned} actions"
            )

    @property
    def _kills(self) -> int:
        return sum(seat.kills for seat in self._seats.values())

    # --- the end --------------------------------------------------------------------------------------------

    def _report(self, minutes: float, verdict: Mapping[str, Any]) -> Report:
        happened, planned = self._journal.happened, Counter(action.name for action in self._plan.actions())
        gave_up = sum(seat.gave_up for seat in self._seats.values())
        self._journal.say(f"gateways ended by themselves {gave_up} times, producers {self._load.restarts} times")
        ends = ", ".join(f"{count} {outcome}" for outcome, count in self._counts.replayed.most_common())
        self._journal.say(f"{self._counts.asked} replays asked for: {ends}")
        for name, count in sorted(happened.items()):
            self._journal.say(f"  {count:4} {name}")
        wrong = [] if self._load.changes else ["no consent was changed"]
        wrong += [] if self._counts.replayed["PROVIDED"] else ["no replay provided anything"]
        wrong += too_many_ends(gave_up, happened)
        wrong += [f"never reached: {name}" for name in planned if not happened[name]]
        wrong += [
            f"{name}: {count} of {planned[name]} times" for name, count in happened.items() if count < planned[name]
        ]
        for name in (*COUNTS, "leaked_fields", "sent_while_held"):
            if verdict[name]:
                wrong.append(f"{name}: {verdict[name]}")
        wrong += [
            f"{name}: {example['where']} {example['key'] or ''}: {example['what']}"
            for name, examples in verdict["examples"].items()
            for example in examples
        ]
        return Report(minutes, self._kills, self._deeds.broker_faults, verdict["produced"], verdict, tuple(wrong))


def too_many_ends(gave_up: int, happened: Mapping[str, int]) -> list[str]:
    """What is wrong if gateways ended of their own accord more often than what befell them can explain."""
    troubles = sum(count for name, count in happened.items() if Kind(name.partition(" ")[0]) in _TROUBLES)
    most = MOST_ENDS_A_TROUBLE * troubles
    if gave_up <= most:
        return []
    return [f"gateways ended by themselves {gave_up} times; the {troubles} troubles explain {most} at the most"]
