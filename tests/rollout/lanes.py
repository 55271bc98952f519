"""Who had which lane when, as the gateways' logs say it, and what the group's coordinator said meanwhile.

Knows two lines of the log and the states of a group. Must not know which deed is under way.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.kafka.connection import KafkaConnection
from gateway.kafka.group import describe_group

STABLE = "Stable"
GROUP_EVERY_S = 0.25
Span = tuple[float, float]  # s, as time.time
_TURNS = {"lane open": True, "lane closed": False}


@dataclass(frozen=True, slots=True, order=True)
class Turn:
    """A lane was opened or closed somewhere."""

    at: float  # s, as time.time
    pod: str
    lane: str
    opened: bool


@dataclass(frozen=True, slots=True)
class Moves:
    """What happened to lanes between two moments."""

    moved: int  # opened by another pod than the one that had it
    closed: int  # by a pod that was not ending


def turns(logs: Mapping[str, Sequence[Path]]) -> list[Turn]:
    """All that the logs of these pods say, in order."""
    return sorted(turn for pod, paths in logs.items() for path in paths for turn in _of(pod, path))


def moves(course: Iterable[Turn], ends: Mapping[str, Sequence[Span]], since: float, until: float) -> Moves:
    """What moved meanwhile. A pod that ends closes its lanes, and its next process opens them: that moves none."""
    owners: dict[str, str] = {}
    moved = closed = 0
    for turn in course:
        within = since <= turn.at <= until
        if turn.opened:
            moved += within and owners.get(turn.lane, turn.pod) != turn.pod
            owners[turn.lane] = turn.pod
        else:
            closed += within and not any(begun <= turn.at <= over for begun, over in ends[turn.pod])
    return Moves(moved, closed)


def _of(pod: str, log: Path) -> Iterable[Turn]:
    for line in log.read_text("utf-8", errors="replace").splitlines():
        if line.startswith('{"') and line.endswith("}"):
            said = json.loads(line)
            if said["event"] in _TURNS:
                at = datetime.fromisoformat(said["time"]).timestamp()
                yield Turn(at, pod, said["lane"], _TURNS[said["event"]])


class GroupWatch:
    """Asks the coordinator all along; `unstable` counts the answers that said that lanes were being given anew."""

    def __init__(self, connection: KafkaConnection, group: str) -> None:
        self._connection = connection
        self._group = group
        self.asked = self.unstable = 0

    async def run(self) -> None:
        async with self._connection.client() as client:
            while True:
                state = (await describe_group(client, self._group)).state
                self.asked += 1
                self.unstable += state != STABLE
                await asyncio.sleep(GROUP_EVERY_S)
