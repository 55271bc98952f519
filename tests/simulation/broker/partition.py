"""One partition of a topic: its log, which node leads it, and how replication follows.

Knows the leader and the high watermark. Must not know requests, producers' transactions or groups.
A deposed leader's log is cut somewhere between the highest high watermark and its end: followers had what they had. A
new leader's high watermark may be behind the old one's until followers have caught up: it can't say its end till then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.broker.batches import Batch
from tests.simulation.broker.errors import Error
from tests.simulation.broker.log import PartitionLog
from tests.simulation.broker.surroundings import Surroundings

NO_LEADER = -1
_UNHEARD_RECORDS = 4  # at most so far is a follower's high watermark behind its leader's

Told = Callable[[Error], None]


@dataclass(slots=True)
class _Waiter:
    """Somebody who is told when all below an offset is replicated, or why it will not be."""

    offset: int
    told: Told
    patient: bool  # whether it waits for the next leader too


class Partition:
    """A partition as the cluster has it."""

    def __init__(self, topic: str, number: int, leader: int, surroundings: Surroundings, *, log_append_time: bool):
        self.topic = topic
        self.number = number
        self.leader = leader
        self.leader_epoch = 0
        self.log = PartitionLog(log_append_time=log_append_time)
        self.lag_ms = 0.0  # how much longer than usual followers take
        self._epoch_start = 0
        self._kept = 0  # what lies before it every follower has: whoever leads, it is never lost
        self._former_leader = leader
        self._known_ms = 0.0  # when all nodes know the leader
        self._surroundings = surroundings
        self._waiters: list[_Waiter] = []
        self._readers: dict[int, Callable[[], None]] = {}
        self._next_reader = 0

    def append(self, batch: Batch) -> Batch:
        """Append to the leader's log; raises Refused. It is replicated a little later."""
        self.log.check(batch)
        laid = self.log.append(batch, self.leader_epoch, self._surroundings.now_ms())
        self._replicate()
        return laid

    def append_everywhere(self, batch: Batch) -> Batch:
        """Append what no leader and no log refuses, and have it replicated at once: it is never lost."""
        laid = self.log.append(batch, self.leader_epoch, self._surroundings.now_ms())
        self._replicated(self.leader_epoch, laid.next_offset)
        return laid

    @property
    def knows_end(self) -> bool:
        """Whether the leader can say what is replicated."""
        return self.log.high_watermark >= self._epoch_start

    def leader_known_to(self, node: int) -> int:
        """Who leads, as a node tells clients: the leader knows first."""
        is_news = node != self.leader and self._surroundings.now_ms() < self._known_ms
        return self._former_leader if is_news else self.leader

    def when_acknowledged(self, offset: int, told: Told) -> None:
        """Tell when all below this offset is replicated, or that this leader no longer leads."""
        self._wait(_Waiter(offset, told, patient=False))

    def when_replicated(self, offset: int, told: Told) -> None:
        """Tell when all below this offset is replicated, whoever leads then, or that it is lost."""
        self._wait(_Waiter(offset, told, patient=True))

    def _wait(self, waiter: _Waiter) -> None:
        if self.log.high_watermark >= waiter.offset:
            waiter.told(Error.NONE)
        else:
            self._waiters.append(waiter)

    def on_change(self, look: Callable[[], None]) -> Callable[[], None]:
        """Have a reader look again whenever more can be read, or the leader has changed; what takes it back."""
        number = self._next_reader
        self._next_reader += 1
        self._readers[number] = look
        return lambda: self._readers.pop(number, None) and None

    def lead(self, node: int) -> int:
        """Another node leads (or none); how many records were lost with the old leader."""
        if node == self.leader:
            return 0
        self._former_leader, self.leader = self.leader, node
        self.leader_epoch += 1
        lost = 0 if node == NO_LEADER else self._take_over()
        self._known_ms = self._surroundings.now_ms() + self._surroundings.chosen(self._surroundings.gossip)
        waiters = self._waiters
        self._waiters = [waiter for waiter in waiters if waiter.patient and waiter.offset <= self.log.end]
        for waiter in waiters:
            if not waiter.patient or waiter.offset > self.log.end:
                waiter.told(Error.NOT_LEADER_OR_FOLLOWER)
        self._wake()
        return lost

    def _take_over(self) -> int:
        """Of the log what the new leader has of it; how many records it has not."""
        rng, end, high = self._surroundings.rng, self.log.end, self.log.high_watermark
        self.log.truncate(rng.randint(self._kept, end))
        self.log.set_back(rng.randint(max(self.log.start, high - _UNHEARD_RECORDS), high))
        self._epoch_start = self.log.end
        self._replicate()
        return end - self.log.end

    def changed(self) -> None:
        """Records were deleted or compacted."""
        self._wake()

    def _replicate(self) -> None:
        """Followers will have what is there now."""
        epoch, end = self.leader_epoch, self.log.end
        lag = self._surroundings.chosen(self._surroundings.replication) + self.lag_ms
        if lag <= 0:
            self._replicated(epoch, end)
        else:
            self._surroundings.later(lag, lambda: self._replicated(epoch, end))

    def _replicated(self, epoch: int, end: int) -> None:
        if epoch != self.leader_epoch or end <= self.log.high_watermark:
            return
        self.log.replicated(end)
        self._kept = max(self._kept, end)
        ready = [waiter for waiter in self._waiters if waiter.offset <= end]
        if ready:
            self._waiters = [waiter for waiter in self._waiters if waiter.offset > end]
            for waiter in ready:
                waiter.told(Error.NONE)
        self._wake()

    def _wake(self) -> None:
        for look in list(self._readers.values()):
            look()
