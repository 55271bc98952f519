"""The group coordinator: the classic protocol with generations, static members, session and rebalance timeouts.

Knows members and time. Must not know the wire, topics or offsets. As in Kafka a rebalance waits for every member, at
most the longest of their rebalance timeouts; a dynamic member that has not rejoined by then is out, a static one stays
until its session ends.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.broker.errors import Error
from tests.simulation.broker.members import Group, JoinAnswer, Joined, Member, Protocols, State, SyncAnswer
from tests.simulation.broker.surroundings import Surroundings

_ID_BITS = 64


class GroupCoordinator:
    """All groups of the cluster; which node answers for one is somebody else's matter. `kept` is told of each whose
    members a successor must know."""

    def __init__(self, surroundings: Surroundings, kept: Callable[[Group], None]) -> None:
        self._surroundings = surroundings
        self._kept = kept
        self.groups: dict[str, Group] = {}

    def join(
        self,
        name: str,
        member: Member,
        protocol_type: str,
        answer: JoinAnswer,
    ) -> None:
        """JoinGroup. `member` is what the request says of itself."""
        group = self.groups.setdefault(name, Group(name))
        if group.members and group.protocol_type != protocol_type:
            answer(Joined(Error.INCONSISTENT_GROUP_PROTOCOL, member.member_id))
            return
        group.protocol_type = protocol_type
        if not member.member_id:
            self._join_unknown(group, member, answer)
        elif member.member_id in group.pending:
            del group.pending[member.member_id]
            self._add(group, member, answer)
        elif (error := self._trouble(group, member.member_id, member.instance_id)) is not Error.NONE:
            answer(Joined(error, member.member_id))
        else:
            self._rejoin(group, group.members[member.member_id], member, answer)

    def sync(
        self,
        name: str,
        generation: int,
        member_id: str,
        instance_id: str | None,
        assignments: dict[str, bytes],
        answer: SyncAnswer,
    ) -> None:
        """SyncGroup."""
        group = self.groups.get(name)
        error = self._trouble(group, member_id, instance_id, generation)
        if error is Error.NONE and group is not None and group.state is State.PREPARING_REBALANCE:
            error = Error.REBALANCE_IN_PROGRESS
        if error is not Error.NONE or group is None:
            answer(error, b"")
            return
        member = group.members[member_id]
        if group.state is State.STABLE:
            self._beat(member)
            answer(Error.NONE, member.assignment)
            return
        member.syncing = answer
        if member_id == group.leader:
            self._assign(group, assignments)

    def heartbeat(self, name: str, generation: int, member_id: str, instance_id: str | None) -> Error:
        """Heartbeat."""
        group = self.groups.get(name)
        error = self._trouble(group, member_id, instance_id, generation)
        if error is not Error.NONE or group is None:
            return error
        self._beat(group.members[member_id])
        return Error.REBALANCE_IN_PROGRESS if group.state is State.PREPARING_REBALANCE else Error.NONE

    def leave(self, name: str, member_id: str) -> Error:
        """LeaveGroup."""
        group = self.groups.get(name)
        if group is not None and member_id in group.pending:
            self._forget_pending(group, member_id)
            return Error.NONE
        if group is None or member_id not in group.members:
            return Error.UNKNOWN_MEMBER_ID
        self._remove(group, member_id, "member left")
        return Error.NONE

    def may_commit(self, name: str, generation: int, member_id: str) -> Error:
        """Whether OffsetCommit of this member (or of nobody, to a group without members) is taken."""
        group = self.groups.get(name)
        if generation < 0 and (group is None or group.state is State.EMPTY):
            return Error.NONE
        error = self._trouble(group, member_id, None, generation)
        if error is Error.NONE and group is not None and group.state is State.COMPLETING_REBALANCE:
            return Error.REBALANCE_IN_PROGRESS
        return error

    def moved(self, names: list[str]) -> None:
        """The coordinator of these groups is another one now: what was not in the log is lost."""
        for name in names:
            group = self.groups[name]
            before, lost = list(group.members.values()), Error.NOT_COORDINATOR
            group.restore()
            for member in before:
                member.join(Joined(lost, member.member_id))
                member.sync(lost)
            for member in group.members.values():
                self._watch(group, member)

    def _trouble(
        self, group: Group | None, member_id: str, instance_id: str | None, generation: int | None = None
    ) -> Error:
        if group is None:
            return Error.UNKNOWN_MEMBER_ID
        static = group.static(instance_id)
        if static is not None and static.member_id != member_id:
            self._surroundings.counts["static member fenced"] += 1
            return Error.FENCED_INSTANCE_ID
        if member_id not in group.members:
            return Error.UNKNOWN_MEMBER_ID
        if generation is not None and generation != group.generation:
            return Error.ILLEGAL_GENERATION
        return Error.NONE

    def _join_unknown(self, group: Group, member: Member, answer: JoinAnswer) -> None:
        fresh = f"{self._surroundings.rng.getrandbits(_ID_BITS):016x}"
        former = group.static(member.instance_id)
        if member.instance_id is None:
            member_id = f"{member.client_id}-{fresh}"
            group.pending[member_id] = None
            self._surroundings.later(member.session_ms, lambda: self._forget_pending(group, member_id))
            answer(Joined(Error.MEMBER_ID_REQUIRED, member_id))
            return
        member.member_id = f"{member.instance_id}-{fresh}"
        if former is None:
            self._add(group, member, answer)
        else:
            self._replace(group, former, member, answer)

    def _add(self, group: Group, member: Member, answer: JoinAnswer) -> None:
        member.joining = answer
        group.members[member.member_id] = member
        if not group.leader:
            group.leader = member.member_id
        self._surroundings.counts["member joined"] += 1
        self._prepare_rebalance(group)

    def _replace(self, group: Group, former: Member, member: Member, answer: JoinAnswer) -> None:
        """A static member is back as another process, or a second process has taken its instance id."""
        self._surroundings.counts["static member came back"] += 1
        former.join(Joined(Error.FENCED_INSTANCE_ID, former.member_id))
        former.sync(Error.FENCED_INSTANCE_ID)
        member.assignment = former.assignment
        leader = group.leader
        group.members = {
            (member if each is former else each).member_id: member if each is former else each
            for each in group.members.values()
        }
        if leader == former.member_id:
            group.leader = member.member_id
        if group.state is State.STABLE and group.agreed_protocol() == group.protocol:
            self._keep(group)
            self._watch(group, member)
            # The leader of before is named, so that the newcomer takes itself for a follower and keeps the assignment.
            answer(Joined(Error.NONE, member.member_id, group.generation, group.protocol, leader))
            return
        member.joining = answer
        self._prepare_rebalance(group)

    def _rejoin(self, group: Group, member: Member, said: Member, answer: JoinAnswer) -> None:
        same = member.protocols == said.protocols
        member.session_ms, member.rebalance_ms, member.protocols = said.session_ms, said.rebalance_ms, said.protocols
        is_leader = member.member_id == group.leader
        settled = group.state is State.COMPLETING_REBALANCE or (group.state is State.STABLE and not is_leader)
        if same and settled:
            self._beat(member)
            answer(self._joined(group, member))
            return
        member.joining = answer
        self._prepare_rebalance(group)

    def _prepare_rebalance(self, group: Group) -> None:
        """Wait for all members to join again; if that is under way already, look whether all have."""
        if group.state is not State.PREPARING_REBALANCE:
            first = group.state is State.EMPTY
            group.state = State.PREPARING_REBALANCE
            group.rebalance += 1
            self._surroundings.counts["rebalance"] += 1
            for member in group.members.values():
                member.sync(Error.REBALANCE_IN_PROGRESS)
            turn = group.rebalance
            patience = max((member.rebalance_ms for member in group.members.values()), default=0)
            delay = self._surroundings.initial_rebalance_ms if first else patience
            if first and delay > 0:
                self._surroundings.later(delay, lambda: self._out_of_patience(group, turn))
                return
            self._surroundings.later(patience, lambda: self._out_of_patience(group, turn))
        if group.all_joined:
            self._complete_join(group)

    def _out_of_patience(self, group: Group, turn: int) -> None:
        if group.rebalance != turn or group.state is not State.PREPARING_REBALANCE:
            return
        missing = [member for member in group.members.values() if member.joining is None]
        for member in missing:
            if member.instance_id is None:
                self._surroundings.counts["member missed a rebalance"] += 1
                del group.members[member.member_id]
        if group.members and all(member.joining is None for member in group.members.values()):
            patience = max(member.rebalance_ms for member in group.members.values())
            self._surroundings.later(patience, lambda: self._out_of_patience(group, turn))
            return
        group.pending.clear()
        self._complete_join(group)

    def _complete_join(self, group: Group) -> None:
        group.generation += 1
        group.rebalance += 1
        joined = [member for member in group.members.values() if member.joining is not None]
        if not joined:
            group.state, group.leader, group.protocol = State.EMPTY, "", ""
            self._keep(group)
            return
        if group.leader not in group.members or group.members[group.leader].joining is None:
            group.leader = joined[0].member_id
        group.protocol = group.agreed_protocol() or ""
        group.state = State.COMPLETING_REBALANCE
        turn, patience = group.rebalance, max(member.rebalance_ms for member in joined)
        self._surroundings.later(patience, lambda: self._expire_unsynced(group, turn))
        for member in joined:
            self._watch(group, member)
            member.join(self._joined(group, member))

    def _joined(self, group: Group, member: Member) -> Joined:
        members: tuple[tuple[str, str | None, bytes], ...] = ()
        if member.member_id == group.leader:
            members = tuple(
                (each.member_id, each.instance_id, each.metadata(group.protocol)) for each in group.members.values()
            )
        return Joined(Error.NONE, member.member_id, group.generation, group.protocol, group.leader, members)

    def _assign(self, group: Group, assignments: dict[str, bytes]) -> None:
        group.state = State.STABLE
        for member in group.members.values():
            member.assignment = assignments.get(member.member_id, b"")
        self._keep(group)
        for member in list(group.members.values()):
            if member.syncing is not None:
                self._beat(member)
                member.sync(Error.NONE, member.assignment)

    def _expire_unsynced(self, group: Group, turn: int) -> None:
        if group.rebalance != turn or group.state is not State.COMPLETING_REBALANCE:
            return
        for member in [member for member in group.members.values() if member.syncing is None]:
            self._remove(group, member.member_id, "member did not sync")

    def _remove(self, group: Group, member_id: str, why: str) -> None:
        member = group.members.pop(member_id, None)
        if member is None:
            return
        self._surroundings.counts[why] += 1
        member.join(Joined(Error.UNKNOWN_MEMBER_ID, member_id))
        member.sync(Error.UNKNOWN_MEMBER_ID)
        if group.leader == member_id:
            group.leader = next(iter(group.members), "")
        self._prepare_rebalance(group)

    def _forget_pending(self, group: Group, member_id: str) -> None:
        if member_id in group.pending:
            del group.pending[member_id]
            if group.state is State.PREPARING_REBALANCE and group.all_joined:
                self._complete_join(group)

    def _keep(self, group: Group) -> None:
        group.keep()
        self._kept(group)

    def _beat(self, member: Member) -> None:
        member.deadline_ms = self._now() + member.session_ms

    def _watch(self, group: Group, member: Member) -> None:
        """From now on it must be heard of within its session."""
        watched = member.deadline_ms > self._now()
        self._beat(member)
        if not watched:
            self._surroundings.later(member.session_ms, lambda: self._look_after(group, member))

    def _look_after(self, group: Group, member: Member) -> None:
        if group.members.get(member.member_id) is not member:
            return
        if member.waits:
            self._beat(member)
        left = member.deadline_ms - self._now()
        if left <= 0:
            member.deadline_ms = 0.0
            self._remove(group, member.member_id, "session timed out")
        else:
            self._surroundings.later(left, lambda: self._look_after(group, member))

    def _now(self) -> float:
        return self._surroundings.now_ms()


def as_protocols(said: list[tuple[str, bytes]]) -> Protocols:
    """The protocols of a JoinGroup."""
    return tuple((name, metadata) for name, metadata in said)
