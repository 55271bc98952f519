"""Which node coordinates a group or a transactional id, and whether it has read its state yet.

Knows the seats: each is the leader's of one partition of an internal topic. Must not know what is coordinated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from zlib import crc32

from tests.simulation.broker import offsets_topic
from tests.simulation.broker.errors import Error
from tests.simulation.broker.partition import NO_LEADER
from tests.simulation.broker.surroundings import Surroundings

INTERNAL_PARTITIONS = offsets_topic.PARTITIONS


class Kind(Enum):
    """What is coordinated; the number is FindCoordinator's."""

    GROUP = 0
    TRANSACTION = 1


@dataclass(slots=True)
class Seat:
    """One partition of an internal topic: whoever leads it coordinates the keys in it."""

    node: int
    loading: bool = False
    turn: int = 0


class Coordinators:
    """All seats; `moved` is told of each that has a new node, `loaded` when that has read its state."""

    def __init__(
        self,
        nodes: list[int],
        surroundings: Surroundings,
        moved: Callable[[Kind, int], None],
        loaded: Callable[[Kind, int], None],
    ) -> None:
        self._surroundings = surroundings
        self._moved = moved
        self._loaded = loaded
        self._seats = {
            kind: [Seat(nodes[(number + kind.value) % len(nodes)]) for number in range(INTERNAL_PARTITIONS)]
            for kind in Kind
        }

    def find(self, kind: Kind, key: str) -> int:
        """The node that coordinates this key, or NO_LEADER."""
        return self._seat(kind, key).node

    def seated(self, kind: Kind) -> list[int]:
        """The node of each seat, or NO_LEADER."""
        return [seat.node for seat in self._seats[kind]]

    def trouble(self, kind: Kind, key: str, node: int) -> Error:
        """Why this node can't answer for this key."""
        seat = self._seat(kind, key)
        if seat.node != node:
            return Error.NOT_COORDINATOR
        return Error.COORDINATOR_LOAD_IN_PROGRESS if seat.loading else Error.NONE

    def serves(self, kind: Kind, key: str) -> bool:
        """Whether somebody coordinates this key now."""
        seat = self._seat(kind, key)
        return seat.node != NO_LEADER and not seat.loading

    def move(self, kind: Kind, number: int, node: int) -> None:
        """Another node takes a seat (or none), and reads its state first."""
        seat = self._seats[kind][number]
        if seat.node == node:
            return
        seat.node, seat.turn = node, seat.turn + 1
        self._surroundings.counts["coordinator moved"] += 1
        loading = self._surroundings.chosen(self._surroundings.loading)
        seat.loading = node != NO_LEADER and loading > 0
        if seat.loading:
            self._surroundings.counts["coordinator loading"] += 1
            turn = seat.turn
            self._surroundings.later(loading, lambda: self._end_loading(kind, number, turn))
        self._moved(kind, number)
        if node != NO_LEADER and not seat.loading:
            self._loaded(kind, number)

    def seats_of(self, node: int) -> list[tuple[Kind, int]]:
        """The seats that a node has."""
        return [
            (kind, number)
            for kind, seats in self._seats.items()
            for number, seat in enumerate(seats)
            if seat.node == node
        ]

    def number_of(self, kind: Kind, key: str) -> int:
        """In which partition of its internal topic a key lies; nobody looks into the one of transactions."""
        if kind is Kind.GROUP:
            return offsets_topic.partition_of(key)
        return crc32(key.encode()) % INTERNAL_PARTITIONS

    def _end_loading(self, kind: Kind, number: int, turn: int) -> None:
        seat = self._seats[kind][number]
        if seat.turn == turn:
            seat.loading = False
            self._loaded(kind, number)

    def _seat(self, kind: Kind, key: str) -> Seat:
        return self._seats[kind][self.number_of(kind, key)]
