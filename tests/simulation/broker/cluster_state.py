"""The cluster: topics and who leads them, nodes, coordinators, groups, offsets and transactions.

Knows what all nodes together know. Must not know the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from tests.simulation.broker import offsets_topic
from tests.simulation.broker.coordinators import Coordinators, Kind
from tests.simulation.broker.errors import Error
from tests.simulation.broker.faults import Faults
from tests.simulation.broker.groups import GroupCoordinator
from tests.simulation.broker.members import Group
from tests.simulation.broker.node import Node
from tests.simulation.broker.offsets import CommittedOffsets
from tests.simulation.broker.partition import NO_LEADER, Partition
from tests.simulation.broker.surroundings import Surroundings
from tests.simulation.broker.transactions import TransactionCoordinator

CLUSTER_ID = "simulated-kafka"
MOST_REPLICAS = 3
_UUID_BITS = 128
_DAY_MS = 86_400_000
_TOPIC_CONFIG = {
    "cleanup.policy": "delete",
    "compression.type": "uncompressed",
    "delete.retention.ms": str(1_100 * _DAY_MS),  # as long as the gateway wants it of any topic
    "max.message.bytes": "1048588",
    "message.timestamp.type": "LogAppendTime",
    "min.compaction.lag.ms": str(7 * _DAY_MS),
    "retention.bytes": "-1",
    "retention.ms": "-1",
    "unclean.leader.election.enable": "false",
}
_BROKER_CONFIG = {
    "offset.metadata.max.bytes": "4096",
    "offsets.retention.minutes": "10080",
    "offsets.topic.replication.factor": "3",
    "transaction.max.timeout.ms": "900000",
    "transaction.state.log.min.isr": "2",
    "transaction.state.log.replication.factor": "3",
}


@dataclass(slots=True)
class Topic:
    """A topic."""

    name: str
    topic_id: UUID
    config: dict[str, str]
    replicas: list[int]
    partitions: list[Partition]
    is_internal: bool = False  # its leaders are the coordinators


class ClusterState:
    """Everything that outlives a node."""

    def __init__(self, surroundings: Surroundings, faults: Faults, addresses: list[tuple[int, str, int]]) -> None:
        self.surroundings = surroundings
        self.faults = faults
        self.nodes = {node_id: Node(node_id, host, port, surroundings, faults) for node_id, host, port in addresses}
        self.topics: dict[str, Topic] = {}
        self.broker_config = dict(_BROKER_CONFIG)
        self.groups = GroupCoordinator(surroundings, self._keep_group)
        self.coordinators = Coordinators(list(self.nodes), surroundings, self._seat_moved, self._seat_loaded)
        self.offsets = CommittedOffsets(
            surroundings,
            self._offsets_topic(),
            lambda topic: self.topics[topic].topic_id,
            lambda group: self.coordinators.serves(Kind.GROUP, group),
        )
        self.transactions = TransactionCoordinator(
            surroundings,
            self,
            self.offsets,
            lambda transactional_id: self.coordinators.serves(Kind.TRANSACTION, transactional_id),
        )

    def create_topic(self, name: str, partitions: int, config: Mapping[str, str]) -> Topic:
        """A new topic; its leaders are spread over the nodes."""
        if name in self.topics:
            raise ValueError(f"topic {name} exists")
        nodes = list(self.nodes)
        replicas = nodes[:MOST_REPLICAS]
        settings = {**_TOPIC_CONFIG, "min.insync.replicas": str(min(2, len(replicas))), **config}
        stamped = settings["message.timestamp.type"] == "LogAppendTime"
        topic = Topic(name, UUID(int=self.surroundings.rng.getrandbits(_UUID_BITS)), settings, replicas, [])
        for number in range(partitions):
            leader = replicas[(number + len(self.topics)) % len(replicas)]
            topic.partitions.append(Partition(name, number, leader, self.surroundings, log_append_time=stamped))
        self.topics[name] = topic
        return topic

    def _offsets_topic(self) -> list[Partition]:
        name, around = offsets_topic.NAME, self.surroundings
        leaders = enumerate(self.coordinators.seated(Kind.GROUP))
        partitions = [Partition(name, number, leader, around, log_append_time=False) for number, leader in leaders]
        config = {**_TOPIC_CONFIG, **offsets_topic.CONFIG}
        topic_id = UUID(int=around.rng.getrandbits(_UUID_BITS))
        self.topics[name] = Topic(name, topic_id, config, list(self.nodes), partitions, is_internal=True)
        return partitions

    def partition(self, topic: str, number: int) -> Partition | None:
        """The partition, or None if there is none."""
        found = self.topics.get(topic)
        return found.partitions[number] if found is not None and 0 <= number < len(found.partitions) else None

    def alive(self) -> list[int]:
        """Nodes that run."""
        return [node.node_id for node in self.nodes.values() if node.alive]

    def enough_in_sync(self, topic: str) -> bool:
        """Whether acks=all can be given."""
        found = self.topics[topic]
        running = sum(self.nodes[replica].alive for replica in found.replicas)
        return running >= int(found.config["min.insync.replicas"])

    def max_message_bytes(self, topic: str) -> int:
        """Of a batch."""
        return int(self.topics[topic].config["max.message.bytes"])

    def verify(self, transactional_id: str, producer_id: int, epoch: int, place: tuple[str, int] | str) -> Error:
        """Ask the transaction's coordinator whether a write is in the transaction."""
        if not self.coordinators.serves(Kind.TRANSACTION, transactional_id):
            return Error.COORDINATOR_NOT_AVAILABLE
        return self.transactions.verify(transactional_id, producer_id, epoch, place)

    def elect(self) -> None:
        """Leaders and coordinators for what has none, if a replica runs."""
        running = self.alive()
        for topic in self.led():
            able = [replica for replica in topic.replicas if replica in running]
            for partition in topic.partitions:
                if partition.leader == NO_LEADER:
                    self.lead(partition, able[partition.number % len(able)] if able else NO_LEADER)
        for kind, number in self.coordinators.seats_of(NO_LEADER):
            self.coordinators.move(kind, number, running[number % len(running)] if running else NO_LEADER)

    def lead(self, partition: Partition, node_id: int) -> None:
        """Another node leads a partition."""
        if partition.leader == node_id:
            return
        lost = partition.lead(node_id)
        self.surroundings.counts["leader moved"] += 1
        self.surroundings.counts["records lost with a leader"] += lost

    def led(self) -> list[Topic]:
        """The topics whose partitions are led for their own sake."""
        return [topic for topic in self.topics.values() if not topic.is_internal]

    def _seat_moved(self, kind: Kind, number: int) -> None:
        if kind is Kind.GROUP:
            seats = self.coordinators
            self.topics[offsets_topic.NAME].partitions[number].lead(seats.seated(kind)[number])
            self.groups.moved([name for name in self.groups.groups if seats.number_of(kind, name) == number])

    def _seat_loaded(self, kind: Kind, number: int) -> None:
        if kind is Kind.GROUP:
            self.offsets.load(number)

    def _keep_group(self, group: Group) -> None:
        of, now = group.kept, self.surroundings.now_ms()
        kept = offsets_topic.group_value(group.protocol_type, of.generation, of.protocol, of.leader, now)
        self.offsets.keep_group(group.name, kept)
