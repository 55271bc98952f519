"""Answers to Produce, Fetch and ListOffsets: what the leader of a partition does.

Knows the layouts of these requests. Must not know how a log works, or groups.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from tests.simulation.broker.api import Header
from tests.simulation.broker.batches import Batch, parse
from tests.simulation.broker.cluster_state import ClusterState
from tests.simulation.broker.errors import Error
from tests.simulation.broker.log import Refused
from tests.simulation.broker.node import Answer, Node
from tests.simulation.broker.partition import Partition

_READ_COMMITTED = 1
_LATEST, _EARLIEST = -1, -2
_ALL = -1
# What a leader says when the transaction's coordinator could not tell it whether a write is in the transaction.
_ASK_AGAIN = {
    Error.CONCURRENT_TRANSACTIONS,
    Error.COORDINATOR_LOAD_IN_PROGRESS,
    Error.COORDINATOR_NOT_AVAILABLE,
    Error.NOT_COORDINATOR,
}


def produce(state: ClusterState, node: Node, _header: Header, request: Any, answer: Answer) -> None:
    """Append, and answer once it is replicated."""
    rows: dict[tuple[str, int], tuple[int, int, int, int, int]] = {}
    waiting = [(topic, number, data) for topic, partitions in request.topics for number, data in partitions]
    left = len(waiting)
    deadline: asyncio.TimerHandle | None = None

    def done(topic: str, number: int, error: Error, laid: tuple[int, int] = (-1, -1)) -> None:
        nonlocal left
        if (topic, number) in rows:
            return
        partition = state.partition(topic, number)
        start = partition.log.start if partition is not None and error is Error.NONE else -1
        place = laid if error is Error.NONE else (-1, -1)
        rows[topic, number] = (number, error, *place, start)
        left -= 1
        if not left:
            if deadline is not None:
                deadline.cancel()
            topics = [(name, [rows[name, number] for number, _ in parts]) for name, parts in request.topics]
            answer((topics, 0))

    for topic, number, data in waiting:
        _append(state, node, request, topic, number, data, done)

    def out_of_time() -> None:
        for topic, number, _ in waiting:
            done(topic, number, Error.REQUEST_TIMED_OUT)

    if left:
        deadline = state.surroundings.later(request.timeout, out_of_time)


def _append(
    state: ClusterState, node: Node, request: Any, topic: str, number: int, data: bytes, done: Callable[..., None]
) -> None:
    partition, error = _led(state, node, topic, number)
    if partition is None:
        done(topic, number, error)
        return
    if request.required_acks == _ALL and not state.enough_in_sync(topic):
        done(topic, number, Error.NOT_ENOUGH_REPLICAS)
        return
    if len(data) > state.max_message_bytes(topic):
        done(topic, number, Error.MESSAGE_TOO_LARGE)
        return
    batch = parse(data)
    try:
        _verify(state, request.transactional_id, partition, batch)
        laid = partition.log.find_duplicate(batch)
        if laid is not None:
            state.surroundings.counts["batch produced again"] += 1
        else:
            laid = partition.append(batch)
    except Refused as refused:
        state.surroundings.counts[f"batch refused: {refused.error.name}"] += 1
        done(topic, number, refused.error)
        return
    laid_at, end = (laid.base_offset, laid.timestamp if partition.log.log_append_time else -1), laid.next_offset
    if request.required_acks == _ALL:
        partition.when_acknowledged(end, lambda error: done(topic, number, error, laid_at))
    else:
        done(topic, number, Error.NONE, laid_at)


def _verify(state: ClusterState, transactional_id: str | None, partition: Partition, batch: Batch) -> None:
    """Raise Refused unless a transactional batch belongs to an open transaction that has this partition."""
    if not batch.transactional or partition.log.has_open(batch.producer_id, batch.epoch):
        return
    place = (partition.topic, partition.number)
    error = state.verify(transactional_id or "", batch.producer_id, batch.epoch, place)
    if error is not Error.NONE:
        raise Refused(Error.NOT_ENOUGH_REPLICAS if error in _ASK_AGAIN else error)


def refuse_produce(request: Any, error: Error) -> Sequence[Any]:
    """The same error for every partition."""
    return [(name, [(number, error, -1, -1, -1) for number, _ in parts]) for name, parts in request.topics], 0


class _LongPoll:
    """One Fetch that is answered when there is enough to read, or time is over."""

    def __init__(self, state: ClusterState, node: Node, request: Any, answer: Answer) -> None:
        self._state = state
        self._node = node
        self._request = request
        self._answer = answer
        self._end: list[Callable[[], None]] = []
        if self._look() or not request.max_wait_time:
            self._finish()
            return
        for topic, partitions in request.topics:
            for number, *_ in partitions:
                partition = state.partition(topic, number)
                if partition is not None:
                    self._end.append(partition.on_change(self._look_again))
        self._end.append(state.surroundings.later(request.max_wait_time, self._finish).cancel)

    def _look_again(self) -> None:
        if self._look():
            self._finish()

    def _look(self) -> bool:
        """Collect; whether there is enough, or an error that the client should know at once."""
        left, size, failed = self._request.max_bytes, 0, False
        topics = []
        for topic, partitions in self._request.topics:
            rows = []
            for number, _epoch, offset, _start, most in partitions:
                row, taken = self._row(topic, number, offset, min(most, left), first=not size)
                rows.append(row)
                failed |= bool(row[1])
                size += taken
                left -= taken
            topics.append((topic, rows))
        self._rows = topics
        return failed or size >= self._request.min_bytes

    def _row(self, topic: str, number: int, offset: int, most: int, *, first: bool) -> tuple[tuple[Any, ...], int]:
        partition, error = _led(self._state, self._node, topic, number)
        if partition is None:
            return _no_row(number, error), 0
        log = partition.log
        if not log.start <= offset <= log.end:
            return _no_row(number, Error.OFFSET_OUT_OF_RANGE), 0
        committed = self._request.isolation_level == _READ_COMMITTED
        stable = log.last_stable_offset
        below = stable if committed else log.high_watermark
        batches = log.read(offset, below, most) if offset < below and (first or most > 0) else []
        if not first and batches and len(batches[0].data) > most:
            batches = []
        aborted: list[tuple[int, int]] | None = None
        if committed:
            aborted = log.aborted_between(offset, batches[-1].next_offset) if batches else []
        data = b"".join(batch.data for batch in batches)
        return (number, Error.NONE, log.high_watermark, stable, log.start, aborted, -1, data), len(data)

    def _finish(self) -> None:
        for end in self._end:
            end()
        self._answer((0, Error.NONE, 0, self._rows))


def fetch(state: ClusterState, node: Node, _header: Header, request: Any, answer: Answer) -> None:
    """Answer when there is enough to read."""
    _LongPoll(state, node, request, answer)


def refuse_fetch(request: Any, error: Error) -> Sequence[Any]:
    """The same error for every partition."""
    return 0, 0, 0, [(name, [_no_row(number, error) for number, *_ in parts]) for name, parts in request.topics]


def _no_row(number: int, error: Error) -> tuple[Any, ...]:
    aborted = None if error is Error.OFFSET_OUT_OF_RANGE else []
    return (number, error, -1, -1, -1, aborted, -1, b"")


def list_offsets(state: ClusterState, node: Node, _header: Header, request: Any, answer: Answer) -> None:
    """The offset at a time, or at an end of the log."""
    committed = request.isolation_level == _READ_COMMITTED
    topics = []
    for topic, partitions in request.topics:
        rows = []
        for number, time in partitions:
            partition, error = _led(state, node, topic, number)
            if partition is None:
                rows.append((number, error, -1, -1))
                continue
            log = partition.log
            below = log.last_stable_offset if committed else log.high_watermark
            if time == _EARLIEST:
                rows.append((number, Error.NONE, -1, log.start))
            elif not partition.knows_end:
                state.surroundings.counts["end of a log not known yet"] += 1
                rows.append((number, Error.LEADER_NOT_AVAILABLE, -1, -1))
            elif time == _LATEST:
                rows.append((number, Error.NONE, -1, below))
            else:
                offset, timestamp = log.offset_at(time, below) or (-1, -1)
                rows.append((number, Error.NONE, timestamp, offset))
        topics.append((topic, rows))
    answer((0, topics))


def refuse_list_offsets(request: Any, error: Error) -> Sequence[Any]:
    """The same error for every partition."""
    return 0, [(name, [(number, error, -1, -1) for number, _ in parts]) for name, parts in request.topics]


def _led(state: ClusterState, node: Node, topic: str, number: int) -> tuple[Partition | None, Error]:
    """The partition if this node leads it."""
    partition = state.partition(topic, number)
    if partition is None:
        return None, Error.UNKNOWN_TOPIC_OR_PARTITION
    if partition.leader != node.node_id:
        return None, Error.NOT_LEADER_OR_FOLLOWER
    return partition, Error.NONE
