"""The simulated cluster as a world holds it: topics, records written and read behind clients' backs, and trouble.

Knows the parts and puts them together. Must not know gateways or what records say.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from random import Random

from tests.simulation.broker.answers import answers_of
from tests.simulation.broker.batches import Batch, Record, marker, records_of, written
from tests.simulation.broker.cluster_state import ClusterState
from tests.simulation.broker.coordinators import Kind
from tests.simulation.broker.errors import Error
from tests.simulation.broker.faults import Fault, Faults
from tests.simulation.broker.node import Connection
from tests.simulation.broker.partition import NO_LEADER, Partition
from tests.simulation.broker.surroundings import Surroundings
from tests.simulation.broker.transactions import MARKER_RETRY_MS


class Ending(Enum):
    """How a producer's transaction of directly appended records ends."""

    COMMIT = "commit"
    ABORT = "abort"
    OPEN = "open"


class OpenTransaction:
    """A producer's transaction that was left open."""

    def __init__(self, kafka: SimulatedKafka, partition: Partition, producer_id: int) -> None:
        self._kafka = kafka
        self._partition = partition
        self._producer_id = producer_id
        self.is_open = True

    def end(self, *, commit: bool) -> None:
        """Write its marker, if it is still open."""
        if self.is_open:
            self.is_open = False
            self._mark(commit)

    def _mark(self, commit: bool) -> None:
        """As a coordinator does: again until it is replicated."""

        def again(error: Error) -> None:
            if error is not Error.NONE:
                self._kafka.surroundings.later(MARKER_RETRY_MS, lambda: self._mark(commit))

        if self._partition.leader == NO_LEADER:
            again(Error.LEADER_NOT_AVAILABLE)
        else:
            laid = self._partition.append(self._kafka.marker(self._producer_id, commit=commit))
            self._partition.when_replicated(laid.next_offset, again)


class SimulatedKafka:
    """One cluster. Times are in ms; everything that varies is drawn from `rng`."""

    def __init__(self, rng: Random, nodes: Sequence[tuple[int, str, int]], now_ms: Callable[[], int]) -> None:
        self.surroundings = Surroundings(rng, now_ms, nodes=len(nodes))
        self.faults = Faults(self.surroundings.counts)
        self.state = ClusterState(self.surroundings, self.faults, list(nodes))
        self._serve, self._refuse = answers_of(self.state)
        self.counts: Counter[str] = self.surroundings.counts

    def protocol(self, node_id: int) -> asyncio.Protocol:
        """For a connection that a client makes to a node."""
        return Connection(self.state.nodes[node_id], self._serve, self._refuse)

    @property
    def bootstrap(self) -> str:
        """The address of the cluster."""
        return ",".join(f"{node.host}:{node.port}" for node in self.state.nodes.values())

    # topics and records

    def create_topic(
        self, name: str, partitions: int, *, compact: bool = False, config: Mapping[str, str] | None = None
    ) -> None:
        """A new topic; unless said otherwise it is set up as the gateway needs it."""
        policy = {"cleanup.policy": "compact"} if compact else {}
        self.state.create_topic(name, partitions, {**policy, **(config or {})})

    def append(
        self,
        topic: str,
        partition: int,
        records: Sequence[Record],
        transaction: Ending | None = None,
        *,
        open_ms: float = 60_000.0,
    ) -> tuple[int, OpenTransaction | None]:
        """Write as another producer does: the first offset, and the transaction if it is left open.

        One that is left open is aborted after `open_ms`, as brokers do.
        """
        to = self._partition(topic, partition)
        now = self.surroundings.now_ms()
        if transaction is None:
            return to.append(written(records, now=now)).base_offset, None
        producer_id = self.state.transactions.new_producer_id()
        laid = to.append(written(records, producer_id=producer_id, epoch=0, sequence=0, now=now))
        left = OpenTransaction(self, to, producer_id)
        if transaction is Ending.OPEN:
            self.counts["producer's transaction left open"] += 1
            self.surroundings.later(open_ms, lambda: left.end(commit=False))
            return laid.base_offset, left
        left.end(commit=transaction is Ending.COMMIT)
        return laid.base_offset, None

    def records(self, topic: str) -> list[Record]:
        """What a reader of committed records from the beginning gets, partition by partition."""
        found = []
        for partition in self.state.topics[topic].partitions:
            for batch in partition.log.committed():
                kept = records_of(batch, partition.number)
                found += [record for record in kept if record.offset >= partition.log.start]
        return found

    def end(self, topic: str, partition: int) -> int:
        """The offset behind the last replicated record."""
        return self._partition(topic, partition).log.high_watermark

    def compact(self, topic: str) -> int:
        """Run the log cleaner; how many batches changed."""
        cleaned = sum(partition.log.compact() for partition in self.state.topics[topic].partitions)
        self.counts["compacted"] += bool(cleaned)
        return cleaned

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        """Delete the records before an offset."""
        self._partition(topic, partition).log.delete_before(before)
        self._partition(topic, partition).changed()
        self.counts["records deleted"] += 1

    def committed(self, group: str, topic: str, partition: int) -> tuple[int, str]:
        """What a group has committed, whatever its coordinator says: offset (-1 for none) and metadata."""
        found = self.state.offsets.truth(group, (topic, partition))
        return found.offset, found.metadata

    def marker(self, producer_id: int, *, commit: bool) -> Batch:
        """The end of a directly appended transaction."""
        now = self.surroundings.now_ms()
        return marker(producer_id, 0, commit=commit, coordinator_epoch=0, now=now)

    # trouble

    def stop_node(self, node_id: int) -> None:
        """The broker's process ends; others take over a little later."""
        node = self.state.nodes[node_id]
        if not node.alive:
            return
        self.counts["node stopped"] += 1
        node.stop()
        for topic in self.state.led():
            for partition in topic.partitions:
                if partition.leader == node_id:
                    self.state.lead(partition, NO_LEADER)
        for kind, number in self.state.coordinators.seats_of(node_id):
            self.state.coordinators.move(kind, number, NO_LEADER)
        self.surroundings.later(self.surroundings.chosen(self.surroundings.election), self.state.elect)

    def start_node(self, node_id: int) -> None:
        """The broker is back, and leads what nobody leads."""
        if self.state.nodes[node_id].alive:
            return
        self.counts["node started"] += 1
        self.state.nodes[node_id].start()
        self.surroundings.later(self.surroundings.chosen(self.surroundings.election), self.state.elect)

    def move_leader(self, topic: str, partition: int, node_id: int) -> None:
        """Another node leads a partition; what the old leader had not replicated may be lost."""
        if self.state.topics[topic].is_internal:
            raise ValueError(f"whoever leads {topic} coordinates: use move_coordinator")
        if self.state.nodes[node_id].alive:
            self.state.lead(self._partition(topic, partition), node_id)

    def move_coordinator(self, kind: Kind, key: str, node_id: int) -> None:
        """Another node coordinates this group or transactional id, after it has read its state."""
        if self.state.nodes[node_id].alive:
            self.state.coordinators.move(kind, self.state.coordinators.number_of(kind, key), node_id)

    def slow_replication(self, topic: str, partition: int, ms: float) -> None:
        """Followers of a partition take so much longer, until told otherwise."""
        self._partition(topic, partition).lag_ms = ms
        self.counts["replication slowed"] += bool(ms)

    def slow_markers(self, low: float, high: float) -> None:
        """Markers are written so long after the decision."""
        self.surroundings.markers = (low, high)
        self.counts["markers slowed"] += 1

    def fault(self, fault: Fault) -> None:
        """Let something go wrong with single requests."""
        self.faults.add(fault)

    def _partition(self, topic: str, number: int) -> Partition:
        found = self.state.partition(topic, number)
        if found is None:
            raise ValueError(f"no partition {topic}:{number}")
        return found
