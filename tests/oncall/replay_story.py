"""What the tests of replays share: runs of the commands whose output names nothing that each run makes anew."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from gateway.oncall.audit import Operator
from gateway.oncall.desk import Desk
from gateway.oncall.replay.course import Course
from gateway.oncall.replay.plan_file import Plan, read
from gateway.oncall.replay.requests import RequestWriter
from tests.oncall.desk_world import OPERATOR, DeskWorld, Result, number_id

ANN = Operator("ann", "test", "T-1")
PLAN_ID = "11111111-2222-4333-8444-555555555555"


def plan(world: DeskWorld, file: Path, *arguments: str) -> Result:
    """Run `gateway replay plan ... --out FILE`."""
    return steady(world.run(["replay", "plan", *arguments, "--out", str(file)]), file)


def act(world: DeskWorld, command: str, file: Path, *arguments: str) -> Result:
    """Run `gateway replay COMMAND FILE ...`."""
    return steady(world.run(["replay", command, str(file), *arguments]), file)


def steady(result: Result, file: Path) -> Result:
    """With names in the place of those of this run."""

    def text(said: str) -> str:
        said = said.replace(str(file), "PLAN")
        said = re.sub(
            r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}(?=[:\n\", ])", _steady_id, said
        )
        return re.sub(r"\b[0-9a-f]{64}\b", "d" * 64, said)

    return replace(result, stdout=text(result.stdout), stderr=text(result.stderr))


def _steady_id(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith("00000000-") else PLAN_ID


def entries(file: Path) -> dict[int, tuple[str, str]]:
    """Offset -> how it stands, and what it would be today."""
    return {entry.offset: (entry.stands, entry.today) for entry in read(file).entries}


def read_plan(file: Path) -> Plan:
    """The plan that was written."""
    return read(file)


def left_out(result: Result) -> dict[str, int]:
    """Of a plan printed as JSON: why records were left out, and how many."""
    return {each["why"]: each["records"] for each in orjson.loads(result.stdout)["left_out"]}


class Case:
    """So many parked payments of one subject, and a plan to replay them."""

    def __init__(self, world: DeskWorld, file: Path, count: int = 4) -> None:
        self.world = world
        self.file = file
        self.subject = f"subject-of-{file.parent.name}"[:60].replace("_", "-").replace("[", "-").replace("]", "")
        self.places = [world.add_payment(self.subject, producer=None) for _ in range(count)]
        for place in self.places:
            world.add_parked(place, self.subject, "held")
        assert plan(world, file, "--subject", self.subject).status == 0
        self.plan = read(file)

    def apply(self, *arguments: str) -> Any:
        return act(self.world, "apply", self.file, *OPERATOR, *arguments)

    def requested(self) -> list[int]:
        """Offsets that committed requests of the plan name, in the order of the topic."""
        records = self.world.records(self.world.names.replays)
        return [each["input"]["offset"] for each in records if each["plan_id"] == self.plan.plan_id]

    def audited(self) -> list[tuple[str, int | None]]:
        """What the audit says was done with the plan, and to how many records."""
        records = self.world.records(self.world.names.audit)
        return [(each["command"], each["count"]) for each in records if each["plan_id"] == self.plan.plan_id]

    def settle(self, *reasons: tuple[str, str]) -> None:
        """A lane records so (outcome, reason) of the plan's requests, in their order."""

        async def where(desk: Desk) -> list[tuple[int, int]]:
            course = Course(desk, self.plan)
            await course.follow()
            return sorted(course.requested.values())

        names = self.world.names
        for (partition, offset), (outcome, reason) in zip(self.world.at_desk(where), reasons, strict=False):
            request = (names.replays, partition, offset)
            event = number_id(900_000 + offset)  # of no payment here: each could be planned
            self.world.add_withheld(request, self.subject, reason, outcome=outcome, event_id=event)

    @property
    def offsets(self) -> list[int]:
        return [offset for _, _, offset in self.places]


def write_first(case: Case, count: int) -> None:
    """Another apply came so far, and died."""

    async def write(desk: Desk) -> None:
        writer = RequestWriter(desk, case.plan)
        await writer.take_over()
        await writer.write(case.plan.entries[:count], ANN)
        await writer.close()

    case.world.at_desk(write)
