"""The transaction coordinator: transactional ids, epochs, and transactions from the first partition to the markers.

Knows the protocol of clients that do not speak KIP-890 (aiokafka's v0): the epoch changes only when somebody takes
over. Must not know the wire.
    Empty -> Ongoing -> PrepareCommit -> CompleteCommit -> Ongoing ...
                     -> PrepareAbort  -> CompleteAbort  -> Ongoing ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from tests.simulation.broker.batches import marker
from tests.simulation.broker.errors import Error
from tests.simulation.broker.log import Refused
from tests.simulation.broker.offsets import CommittedOffsets
from tests.simulation.broker.partition import NO_LEADER, Partition
from tests.simulation.broker.surroundings import Surroundings

MARKER_RETRY_MS = 20.0  # while a partition has no leader, or a marker was lost with one
_COORDINATOR_EPOCH = 0

Place = tuple[str, int]


class State(Enum):
    """Of a transactional id."""

    EMPTY = "Empty"
    ONGOING = "Ongoing"
    PREPARE_COMMIT = "PrepareCommit"
    PREPARE_ABORT = "PrepareAbort"
    COMPLETE_COMMIT = "CompleteCommit"
    COMPLETE_ABORT = "CompleteAbort"


_PREPARED = {State.PREPARE_COMMIT, State.PREPARE_ABORT}
_DONE = {State.PREPARE_COMMIT: State.COMPLETE_COMMIT, State.PREPARE_ABORT: State.COMPLETE_ABORT}


@dataclass(slots=True)
class Transaction:
    """One transactional id and its transaction."""

    transactional_id: str
    producer_id: int
    epoch: int
    timeout_ms: int
    state: State = State.EMPTY
    partitions: dict[Place, None] = field(default_factory=dict)
    groups: dict[str, None] = field(default_factory=dict)
    began_ms: int = 0
    unmarked: int = 0


class Partitions(Protocol):
    """Finds partitions."""

    def partition(self, topic: str, number: int) -> Partition | None:
        """The partition, or None if there is none."""


class TransactionCoordinator:
    """All transactional ids of the cluster; which node answers for one is somebody else's matter."""

    def __init__(
        self,
        surroundings: Surroundings,
        partitions: Partitions,
        offsets: CommittedOffsets,
        serves: Callable[[str], bool],
    ) -> None:
        self._surroundings = surroundings
        self._partitions = partitions
        self._offsets = offsets
        self._serves = serves
        self._transactions: dict[str, Transaction] = {}
        self._producer_ids = 1000
        self._scanning = False

    def new_producer_id(self) -> int:
        """An id that nobody has."""
        self._producer_ids += 1
        return self._producer_ids

    def init_producer_id(self, transactional_id: str, timeout_ms: int) -> tuple[Error, int, int]:
        """Take over: the producer's id and a new epoch, once the last transaction is ended for good."""
        txn = self._transactions.get(transactional_id)
        if txn is None:
            txn = Transaction(transactional_id, self.new_producer_id(), 0, timeout_ms)
            self._transactions[transactional_id] = txn
            return Error.NONE, txn.producer_id, txn.epoch
        if txn.state in _PREPARED:
            self._surroundings.counts["take-over waits for markers"] += 1
            return Error.CONCURRENT_TRANSACTIONS, -1, -1
        if txn.state is State.ONGOING:
            self._surroundings.counts["take-over aborts a transaction"] += 1
            self._fence(txn)
            return Error.CONCURRENT_TRANSACTIONS, -1, -1
        txn.epoch += 1
        txn.timeout_ms = timeout_ms
        txn.state = State.EMPTY
        return Error.NONE, txn.producer_id, txn.epoch

    def add_partitions(
        self, transactional_id: str, producer_id: int, epoch: int, places: Sequence[Place]
    ) -> dict[Place, Error]:
        """Partitions that the transaction will write to."""
        known = {place: self._partitions.partition(*place) is not None for place in places}
        if not all(known.values()):
            missing, rest = Error.UNKNOWN_TOPIC_OR_PARTITION, Error.OPERATION_NOT_ATTEMPTED
            return {place: rest if there else missing for place, there in known.items()}
        error, txn = self._writable(transactional_id, producer_id, epoch)
        if txn is not None:
            self._begin(txn)
            txn.partitions.update(dict.fromkeys(places))
        return dict.fromkeys(places, error)

    def add_group(self, transactional_id: str, producer_id: int, epoch: int, group: str) -> Error:
        """A group whose offsets the transaction will commit."""
        error, txn = self._writable(transactional_id, producer_id, epoch)
        if txn is not None:
            self._begin(txn)
            txn.groups[group] = None
        return error

    def end(self, transactional_id: str, producer_id: int, epoch: int, *, commit: bool) -> Error:
        """Decide a transaction; the markers are written later."""
        error, txn = self._owned(transactional_id, producer_id, epoch)
        if txn is None:
            return error
        if txn.state is State.ONGOING:
            self._prepare(txn, commit=commit)
            return Error.NONE
        if txn.state is (State.COMPLETE_COMMIT if commit else State.COMPLETE_ABORT):
            self._surroundings.counts["EndTxn of an ended transaction"] += 1
            return Error.NONE
        if txn.state is (State.PREPARE_COMMIT if commit else State.PREPARE_ABORT):
            return Error.CONCURRENT_TRANSACTIONS
        return Error.INVALID_TXN_STATE

    def verify(self, transactional_id: str, producer_id: int, epoch: int, place: Place | str) -> Error:
        """Whether a write of this producer to a partition (or a group's offsets) is in its transaction."""
        error, txn = self._writable(transactional_id, producer_id, epoch)
        if txn is None:
            return error
        inside = place in (txn.groups if isinstance(place, str) else txn.partitions)
        return Error.NONE if txn.state is State.ONGOING and inside else Error.INVALID_TXN_STATE

    def _owned(self, transactional_id: str, producer_id: int, epoch: int) -> tuple[Error, Transaction | None]:
        txn = self._transactions.get(transactional_id)
        if txn is None or txn.producer_id != producer_id:
            return Error.INVALID_PRODUCER_ID_MAPPING, None
        if txn.epoch != epoch:
            self._surroundings.counts["zombie refused"] += 1
            return Error.INVALID_PRODUCER_EPOCH, None
        return Error.NONE, txn

    def _writable(self, transactional_id: str, producer_id: int, epoch: int) -> tuple[Error, Transaction | None]:
        error, txn = self._owned(transactional_id, producer_id, epoch)
        if txn is not None and txn.state in _PREPARED:
            self._surroundings.counts["concurrent transactions"] += 1
            return Error.CONCURRENT_TRANSACTIONS, None
        return error, txn

    def _begin(self, txn: Transaction) -> None:
        if txn.state is State.ONGOING:
            return
        txn.state = State.ONGOING
        txn.began_ms = self._surroundings.now_ms()
        if not self._scanning:
            self._scanning = True
            self._surroundings.later(self._surroundings.abort_scan_ms, self._scan)

    def _scan(self) -> None:
        """Abort what is open too long, as brokers do from time to time."""
        now = self._surroundings.now_ms()
        self._scanning = False
        for txn in self._transactions.values():
            if txn.state is not State.ONGOING:
                continue
            if now - txn.began_ms >= txn.timeout_ms and self._serves(txn.transactional_id):
                self._surroundings.counts["transaction timed out"] += 1
                self._fence(txn)
            else:
                self._scanning = True
        if self._scanning:
            self._surroundings.later(self._surroundings.abort_scan_ms, self._scan)

    def _fence(self, txn: Transaction) -> None:
        txn.epoch += 1
        self._prepare(txn, commit=False)

    def _prepare(self, txn: Transaction, *, commit: bool) -> None:
        txn.state = State.PREPARE_COMMIT if commit else State.PREPARE_ABORT
        txn.unmarked = len(txn.partitions) + len(txn.groups)
        for place in txn.partitions:
            self._soon(lambda place=place: self._mark(txn, place))
        for group in txn.groups:
            self._soon(lambda group=group: self._decide_offsets(txn, group))
        if not txn.unmarked:
            self._complete(txn)

    def _soon(self, call: Callable[[], None]) -> None:
        self._surroundings.later(self._surroundings.chosen(self._surroundings.markers), call)

    def _mark(self, txn: Transaction, place: Place) -> None:
        """Write the marker in one partition, again until it is replicated."""
        partition = self._partitions.partition(*place)
        if partition is None:  # the topic was deleted
            self._marked(txn)
            return
        if partition.leader == NO_LEADER or not self._serves(txn.transactional_id):
            self._surroundings.counts["marker waits for a leader"] += 1
            self._surroundings.later(MARKER_RETRY_MS, lambda: self._mark(txn, place))
            return
        control = marker(
            txn.producer_id,
            txn.epoch,
            commit=txn.state is State.PREPARE_COMMIT,
            coordinator_epoch=_COORDINATOR_EPOCH,
            now=self._surroundings.now_ms(),
        )
        try:
            laid = partition.append(control)
        except Refused:  # a newer epoch wrote here: nothing of this transaction is open
            self._marked(txn)
            return
        partition.when_acknowledged(laid.next_offset, lambda error: self._written(txn, place, error))

    def _written(self, txn: Transaction, place: Place, error: Error) -> None:
        if error is Error.NONE:
            self._marked(txn)
        else:
            self._surroundings.counts["marker lost with its leader"] += 1
            self._surroundings.later(MARKER_RETRY_MS, lambda: self._mark(txn, place))

    def _decide_offsets(self, txn: Transaction, group: str) -> None:
        if not self._offsets.is_served(group):
            self._surroundings.later(MARKER_RETRY_MS, lambda: self._decide_offsets(txn, group))
            return
        commit = txn.state is State.PREPARE_COMMIT
        self._offsets.decide(group, txn.producer_id, txn.epoch, commit=commit)
        self._marked(txn)

    def _marked(self, txn: Transaction) -> None:
        txn.unmarked -= 1
        if not txn.unmarked:
            self._complete(txn)

    def _complete(self, txn: Transaction) -> None:
        txn.state = _DONE[txn.state]
        txn.partitions.clear()
        txn.groups.clear()
