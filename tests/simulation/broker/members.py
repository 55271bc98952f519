"""What a consumer group is made of: members, their state, and what the coordinator keeps when it moves.

Knows no time and no protocol. groups.py moves these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum

from tests.simulation.broker.errors import Error

NO_GENERATION = -1


@dataclass(frozen=True, slots=True)
class Joined:
    """The answer to JoinGroup."""

    error: Error
    member_id: str
    generation: int = NO_GENERATION
    protocol: str = ""
    leader: str = ""
    members: tuple[tuple[str, str | None, bytes], ...] = ()  # id, instance id, metadata: for the leader alone


JoinAnswer = Callable[[Joined], None]
SyncAnswer = Callable[[Error, bytes], None]
Protocols = tuple[tuple[str, bytes], ...]


class State(Enum):
    """Of a group, by the names that DescribeGroups answers."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"


@dataclass(slots=True)
class Member:
    """One member of a group."""

    member_id: str
    instance_id: str | None
    client_id: str
    session_ms: int
    rebalance_ms: int
    protocols: Protocols
    assignment: bytes = b""
    deadline_ms: float = 0.0
    joining: JoinAnswer | None = None
    syncing: SyncAnswer | None = None

    @property
    def waits(self) -> bool:
        """Whether it waits for an answer, and so can't send heartbeats."""
        return self.joining is not None or self.syncing is not None

    def join(self, joined: Joined) -> None:
        """Answer its JoinGroup, if it waits for that."""
        answer, self.joining = self.joining, None
        if answer is not None:
            answer(joined)

    def sync(self, error: Error, assignment: bytes = b"") -> None:
        """Answer its SyncGroup, if it waits for that."""
        answer, self.syncing = self.syncing, None
        if answer is not None:
            answer(error, assignment)

    def metadata(self, protocol: str) -> bytes:
        """What it says with a protocol."""
        return dict(self.protocols).get(protocol, b"")


@dataclass(slots=True)
class Kept:
    """What lies in the coordinator's log of a group."""

    generation: int = 0
    protocol: str = ""
    leader: str = ""
    members: tuple[Member, ...] = ()


@dataclass(slots=True)
class Group:
    """One consumer group."""

    name: str
    state: State = State.EMPTY
    generation: int = 0
    protocol_type: str = ""
    protocol: str = ""
    leader: str = ""
    members: dict[str, Member] = field(default_factory=dict)
    pending: dict[str, None] = field(default_factory=dict)  # ids given out with MEMBER_ID_REQUIRED
    rebalance: int = 0  # counts rebalances, so that a timer of an earlier one is known
    kept: Kept = field(default_factory=Kept)

    @property
    def all_joined(self) -> bool:
        """Whether nobody has to be waited for."""
        return not self.pending and all(member.joining is not None for member in self.members.values())

    def static(self, instance_id: str | None) -> Member | None:
        """The member that has this instance id."""
        if instance_id is None:
            return None
        return next((member for member in self.members.values() if member.instance_id == instance_id), None)

    def keep(self) -> None:
        """Write to the coordinator's log what a successor needs."""
        members = tuple(replace(member, joining=None, syncing=None) for member in self.members.values())
        self.kept = Kept(self.generation, self.protocol, self.leader, members)

    def restore(self) -> None:
        """Be what lies in the log."""
        self.rebalance += 1
        self.pending.clear()
        self.members = {member.member_id: replace(member, deadline_ms=0.0) for member in self.kept.members}
        self.generation, self.protocol, self.leader = self.kept.generation, self.kept.protocol, self.kept.leader
        self.state = State.STABLE if self.members else State.EMPTY

    def agreed_protocol(self) -> str | None:
        """The first protocol of the oldest member that all have."""
        candidates = [{name for name, _ in member.protocols} for member in self.members.values()]
        for member in self.members.values():
            return next((name for name, _ in member.protocols if all(name in names for names in candidates)), None)
        return None
