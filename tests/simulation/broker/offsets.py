"""Committed offsets of groups, with their metadata; those of a transaction wait until it is decided.

Knows offsets alone. Must not know members, or who may commit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.simulation.broker.errors import Error

MAX_METADATA_BYTES = 4096  # offset.metadata.max.bytes, unless the world says otherwise
Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Committed:
    """A position of a group."""

    offset: int
    metadata: str


NOTHING = Committed(-1, "")


@dataclass(slots=True)
class _Group:
    committed: dict[Place, Committed] = field(default_factory=dict)
    history: list[tuple[Place, Committed]] = field(default_factory=list)  # as its coordinator reads it
    pending: dict[int, dict[Place, Committed]] = field(default_factory=dict)  # producer -> its transaction's


class CommittedOffsets:
    """Of all groups of the cluster."""

    def __init__(self, is_served: Callable[[str], bool]) -> None:
        self.is_served = is_served
        self.max_metadata_bytes = MAX_METADATA_BYTES
        self._groups: dict[str, _Group] = {}

    def commit(self, group: str, offsets: Mapping[Place, Committed]) -> dict[Place, Error]:
        """Commit at once."""
        of = self._of(group)
        errors = self._put(of.committed, offsets)
        of.history += [(place, of.committed[place]) for place, error in errors.items() if not error]
        return errors

    def hold(self, group: str, producer_id: int, offsets: Mapping[Place, Committed]) -> dict[Place, Error]:
        """Commit when the producer's transaction does."""
        return self._put(self._of(group).pending.setdefault(producer_id, {}), offsets)

    def decide(self, group: str, producer_id: int, *, commit: bool) -> None:
        """The producer's transaction is decided."""
        held = self._of(group).pending.pop(producer_id, {})
        if commit:
            self._of(group).committed.update(held)
            self._of(group).history += held.items()

    def fetch(self, group: str, place: Place, *, stable: bool) -> tuple[Error, Committed]:
        """What is committed; if `stable`, not while a transaction that would change it is undecided."""
        of = self._of(group)
        if stable and any(place in held for held in of.pending.values()):
            return Error.UNSTABLE_OFFSET_COMMIT, NOTHING
        return Error.NONE, of.committed.get(place, NOTHING)

    def fetch_part(self, group: str, place: Place, read: float) -> Committed:
        """What a coordinator says that has read so much of all that was committed."""
        history = self._of(group).history
        return dict(history[: int(len(history) * read)]).get(place, NOTHING)

    def places(self, group: str) -> list[Place]:
        """Where the group has committed anything."""
        return sorted(self._of(group).committed)

    def _put(self, into: dict[Place, Committed], offsets: Mapping[Place, Committed]) -> dict[Place, Error]:
        errors = {}
        for place, committed in offsets.items():
            if len(committed.metadata.encode()) > self.max_metadata_bytes:
                errors[place] = Error.OFFSET_METADATA_TOO_LARGE
            else:
                into[place] = committed
                errors[place] = Error.NONE
        return errors

    def _of(self, group: str) -> _Group:
        return self._groups.setdefault(group, _Group())
