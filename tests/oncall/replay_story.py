"""What the tests of replays share: runs of the commands whose output names nothing that each run makes anew."""

import re
from dataclasses import replace
from pathlib import Path

import orjson

from gateway.oncall.replay.plan_file import Plan, read
from tests.oncall.desk_world import DeskWorld, Result

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
