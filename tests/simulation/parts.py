"""The parts of one world that are no gateways: brokers, network, GeNiE, registry; and what a world asks of them.

Knows how they are put together, and how all is well again. Must not know what is done to them, or why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random

from gateway import schemas
from gateway.core.metadata import CommitMetadata
from gateway.kafka.names import TopicNames
from gateway.kafka.opening import LaneName
from gateway.sandbox.pki import Pki
from gateway.sandbox.verifier.history import Raw, Topic
from tests.simulation.broker import Ending, Kind, Record, SimulatedKafka, offsets_topic
from tests.simulation.broker.errors import Error
from tests.simulation.broker.faults import Fault as RequestFault
from tests.simulation.broker.offsets import Committed
from tests.simulation.broker.partition import NO_LEADER
from tests.simulation.clocks import wall_ms
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import Network
from tests.simulation.partner import Partner
from tests.simulation.registry import SimulatedRegistry
from tests.simulation.replays import Settled, settled_in
from tests.simulation.shape import Shape
from tests.simulation.workload import Append, Told

NODES = ((1, "kafka-1", 9092), (2, "kafka-2", 9092), (3, "kafka-3", 9092))
GROUP = "gateway"
NAMES = TopicNames("")
FAR_S = (0.002, 0.002, 0.002, 0.02, 0.1)  # one way at most: most brokers are near, some behind a sea
OWN_PARTITIONS = 2  # of each topic that gateways write
AGAIN_S = 0.1  # a producer tries again when a partition has no leader
_COMPACTED = (Topic.CONSENTS, Topic.CONTROLS)

Place = tuple[str, int, int]


class Later:
    """Does what producers do after a while, and knows how much of it is still to come."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.to_come = 0

    def __call__(self, seconds: float, act: Callable[[], None]) -> None:
        self.to_come += 1
        self._loop.call_later(seconds, self._do, act)

    def _do(self, act: Callable[[], None]) -> None:
        self.to_come -= 1
        act()


class Parts:
    """To be made inside the running loop, outside of every host."""

    def __init__(self, shape: Shape, loop: VirtualLoop, keys: Pki, registry: SimulatedRegistry) -> None:
        self.shape = shape
        far_s = Random(f"{shape.seed}/distance").choice(FAR_S)
        self.network = Network(loop, Random(f"{shape.seed}/network"), far_s)
        self.kafka = SimulatedKafka(Random(f"{shape.seed}/kafka"), NODES, lambda: wall_ms(loop))
        self.partner = Partner(keys, shape.seed)
        self.registry = registry
        self.later = Later(loop)
        self.brokers = [(host, port) for _, host, port in NODES]
        self.nodes = [node for node, _, _ in NODES]
        self._now_ms = lambda: wall_ms(loop)
        self._rng = Random(f"{shape.seed}/parts")
        self._acknowledged: dict[Place, int] = {}
        self._compacted_away: dict[Topic, dict[Place, Raw]] = {topic: {} for topic in _COMPACTED}
        for node, host, port in NODES:
            self.network.listen(host, port, lambda node=node: self._accepted(node))
        self._create_topics()

    def _accepted(self, node: int) -> asyncio.Protocol:
        if not self.kafka.state.nodes[node].alive:
            raise ConnectionRefusedError
        return self.kafka.protocol(node)

    def _create_topics(self) -> None:
        shape = self.shape
        counts = dict.fromkeys(Topic, OWN_PARTITIONS) | {
            Topic.PAYMENTS: shape.partitions,
            Topic.SCORES: shape.partitions,
            Topic.REPLAYS: shape.replay_partitions,
            Topic.CONSENTS: shape.consent_partitions,
            Topic.CONTROLS: 1,
        }
        compacted = {*_COMPACTED, Topic.PARKED}
        for topic, partitions in counts.items():
            self.kafka.create_topic(topic.value, partitions, compact=topic in compacted)
        self.kafka.create_topic(NAMES.audit, 1)  # gateways ask that it is there, and never touch it
        self.lanes = [
            (topic.value, number)
            for topic in (Topic.PAYMENTS, Topic.SCORES, Topic.REPLAYS)
            for number in range(counts[topic])
        ]
        self.partitions = [(topic.value, number) for topic, count in counts.items() for number in range(count)]
        start = Committed(0, CommitMetadata().encode(0))  # as `gateway lanes init` does
        self.kafka.state.offsets.commit(GROUP, dict.fromkeys(self.lanes, start))

    # --- producers of others ----------------------------------------------------------------------------------

    def write(self, append: Append, told: Told) -> None:
        """Write; `told` the offsets once a leader has taken the records."""
        state = self.kafka.state.partition(append.topic, append.partition)
        assert state is not None
        if state.leader == NO_LEADER:
            self.later(AGAIN_S, partial(self.write, append, told))
            return
        ending = None if append.transaction is None else Ending(append.transaction)
        records = [Record(*record) for record in append.records]
        first, left = self.kafka.append(append.topic, append.partition, records, ending)
        offsets = range(first, first + len(records))
        state.when_replicated(offsets.stop, partial(self._answered, append, told, offsets))
        if left is not None:
            asyncio.get_running_loop().call_later(append.open_s, lambda: left.end(commit=True))
        told(offsets)

    def _answered(self, append: Append, told: Told, offsets: range, error: Error) -> None:
        """From now on readers see them, or they are lost with a leader."""
        if error is Error.NONE:
            now = self._now_ms()
            self._acknowledged.update({(append.topic, append.partition, offset): now for offset in offsets})
        elif append.again:
            self.later(AGAIN_S, partial(self.write, append, told))

    # --- what the topics say ----------------------------------------------------------------------------------

    def records(self) -> Mapping[Topic, Sequence[Raw]]:
        """What readers of committed records got over time: what was compacted away too."""
        return {topic: self._all(topic) for topic in Topic}

    def _all(self, topic: Topic) -> list[Raw]:
        kept = {(raw.topic, raw.partition, raw.offset): raw for raw in self._now(topic)}
        return [raw for _, raw in sorted((self._compacted_away.get(topic, {}) | kept).items())]

    def _now(self, topic: Topic) -> list[Raw]:
        """Consents and holds are dated to when they were acknowledged: nobody could see them before."""
        name = topic.value
        return [
            Raw(
                name,
                record.partition,
                record.offset,
                self._acknowledged.get((name, record.partition, record.offset), record.timestamp),
                record.key,
                record.value,
                record.headers,
            )
            for record in self.kafka.records(name)
        ]

    def compact(self) -> None:
        """Run the log cleaner on consents and controls, and on committed offsets."""
        for topic in _COMPACTED:
            self._compacted_away[topic] |= {(raw.topic, raw.partition, raw.offset): raw for raw in self._now(topic)}
            self.kafka.compact(topic.value)
        self.kafka.compact(offsets_topic.NAME)

    def settled(self) -> list[Settled]:
        """What the ledger holds that may be asked for again."""
        return settled_in(
            schemas.decode(record.value)[1] for record in self.kafka.records(NAMES.ledger) if record.value
        )

    def unsettled(self) -> list[str]:
        """The lanes that have not committed all that lies in their partitions, partitions that lack a marker, and what
        producers have still to write."""
        return (
            [f"{self.later.to_come} of producers' deeds"] * bool(self.later.to_come)
            + [
                f"{topic}:{partition}"
                for topic, partition in self.lanes
                if self.kafka.committed(GROUP, topic, partition)[0] < self.kafka.end(topic, partition)
            ]
            + [
                f"open transaction in {topic}:{partition}"
                for topic, partition in self.partitions
                if self._open(topic, partition)
            ]
        )

    def progress(self) -> int:
        """A number that grows with every transaction that settles something."""
        return sum(self.kafka.end(NAMES.ledger, partition) for partition in range(OWN_PARTITIONS))

    def _open(self, topic: str, partition: int) -> bool:
        state = self.kafka.state.partition(topic, partition)
        return state is not None and state.log.last_stable_offset < state.log.end

    def committed(self, topic: str, partition: int) -> CommitMetadata | None:
        """What the group has committed of a lane."""
        offset, metadata = self.kafka.committed(GROUP, topic, partition)
        return CommitMetadata.decode(metadata, offset) if offset >= 0 else None

    # --- trouble ----------------------------------------------------------------------------------------------

    def move_leader(self, topic: str, partition: int) -> None:
        """To another node."""
        state = self.kafka.state.partition(topic, partition)
        assert state is not None
        others = [node for node in self.nodes if node != state.leader]
        self.kafka.move_leader(topic, partition, self._rng.choice(others))

    def move_coordinators(self) -> None:
        """Of the group and of every lane's producer."""
        self.kafka.move_coordinator(Kind.GROUP, GROUP, self._rng.choice(self.nodes))
        for topic, partition in self.lanes:
            name = LaneName(GROUP, topic, partition)
            self.kafka.move_coordinator(Kind.TRANSACTION, name.transactional_id, self._rng.choice(self.nodes))

    def lag(self, ms: float) -> None:
        """Followers are so much behind, in each partition."""
        for topic, partition in self.partitions:
            self.kafka.slow_replication(topic, partition, ms)

    def counted(self, fault: RequestFault) -> int:
        """How often such a thing has befallen a request."""
        return self.kafka.counts[f"{fault.effect.name} {fault.api.name}"]

    def be_well(self) -> None:
        """Nothing fails any more."""
        self.network.heal_all()
        self.partner.be_well()
        self.registry.is_away = False
        self.kafka.faults.clear()
        self.kafka.surroundings.markers = (1.0, 6.0)
        self.lag(0.0)
        for node in self.nodes:
            self.kafka.start_node(node)
