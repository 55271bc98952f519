"""A ledger with something of everything that a filter can ask for, in three partitions, and unreadable records."""

import asyncio
import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from gateway.kafka.cluster import describe_once
from gateway.kafka.connection import KAFKA_CALL_TIMEOUT_S, KafkaConnection, retried
from gateway.kafka.troubles import PassingError
from gateway.oncall.desk import Desk
from gateway.oncall.ledger.counting import By, count
from gateway.oncall.ledger.indexing import Indexed, claim, index_of, up_to_the_end
from gateway.oncall.ledger.source import ALL, LedgerEntry, Place, Wanted, open_ledger
from gateway.oncall.ledger.tables import Database
from tests.oncall.desk_world import T0, DeskWorld

Told = tuple[list[LedgerEntry], int]

LEDGER_PARTITIONS = 3
STEP_MS = 60_000
SUBJECTS = [f"subject-{n}" for n in range(8)]
ENDINGS = [
    ("PROVIDED", "accepted", "yes"),
    ("PROVIDED", "resolved_by_lookup", "yes"),
    ("DUPLICATE", "same_event", "yes"),
    ("WITHHELD", "consent_withdrawn", "no"),
    ("PARKED", "outcome_unknown", "unknown"),
    ("INVALID", "not_avro", "no"),
]


async def widen(kafka: str, topic: str, partitions: int = LEDGER_PARTITIONS) -> None:
    """Give a topic more partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_partitions({topic: NewPartitions(total_count=partitions)})
    finally:
        await admin.close()
    async with KafkaConnection(kafka, "test").client() as client:

        async def attempt() -> None:
            if len((await describe_once(client, [topic])).topics[topic].leaders) < partitions:
                raise PassingError

        await retried(KAFKA_CALL_TIMEOUT_S, "waiting for partitions", attempt)


class LedgerWorld(DeskWorld):
    """A world whose ledger has several partitions; the story goes on where it ended, the same in every run."""

    def __init__(self, kafka: str) -> None:
        super().__init__(kafka)
        asyncio.run(widen(kafka, self.names.ledger))
        self.places: list[Place] = []
        self._draw = random.Random(7)
        self._partition = 0
        self._inputs = (
            (topic, partition, offset)
            for offset in itertools.count()
            for topic in (self.names.payments, self.names.scores)
            for partition in (0, 1)
        )

    def add(self, topic: str, *record: Any, partition: int = 0, **more: Any) -> Place:
        """The ledger's records go where the story says."""
        return super().add(
            topic, *record, partition=self._partition if topic == self.names.ledger else partition, **more
        )

    def go_on(self, records: int, *, unreadable: int = 0, partitions: int = LEDGER_PARTITIONS) -> None:
        """More of the ledger: a minute a record, and once in a while a broker's clock is behind."""
        bad = set(self._draw.sample(range(records), unreadable))
        for number in range(records):
            at = T0 + len(self.places) * STEP_MS + self._draw.choice((0, 0, 0, -3 * STEP_MS))
            self._partition = self._draw.randrange(partitions)
            if number in bad:
                self.add(self.names.ledger, "stranger", self._draw.choice((b"no record", None)), at=at)
            else:
                self._settle(at)

    def _settle(self, at: int) -> None:
        draw, place = self._draw, next(self._inputs)
        outcome, reason, transmitted = draw.choice(ENDINGS)
        replayed = draw.choice(self.places) if self.places and draw.random() < 0.2 else None
        changes: dict[str, Any] = {"outcome": outcome, "reason": reason, "transmitted": transmitted}
        if replayed:
            names = ("topic", "partition", "offset", "request_id")
            changes["replay_of"] = dict(zip(names, (*replayed, "request"), strict=True))
        if transmitted != "yes":
            changes["receipt"] = None
        if outcome == "INVALID":
            changes |= {"event_id": None, "event_type": None, "idempotency_key": None}
        self.add_ledger(place, None if outcome == "INVALID" else draw.choice(SUBJECTS), at=at, **changes)
        self.places.append(place)

    def told(self, wanted: Sequence[Wanted] = (ALL,), index_url: str = "") -> list[Told]:
        """What the ledger answers to each, in its order, and how many records it could not read."""

        async def asking(desk: Desk) -> list[Told]:
            answers = []
            for each in wanted:
                async with open_ledger(desk, index_url) as ledger:
                    found: list[LedgerEntry] = []
                    await ledger.read(found.extend, each)
                    answers.append((found, ledger.unreadable))
            return answers

        return self.at_desk(asking)

    def counts(self, index_url: str) -> Mapping[tuple[str, ...], int]:
        """How many records there are of each outcome."""

        async def counting(desk: Desk) -> Mapping[tuple[str, ...], int]:
            async with open_ledger(desk, index_url) as ledger:
                return await count(ledger, [By.OUTCOME], ALL)

        counted: Mapping[tuple[str, ...], int] = self.at_desk(counting)
        return counted

    def index(self, url: str) -> Indexed:
        """Bring an index up to the end of the topic."""

        async def indexing(desk: Desk) -> Indexed:
            database, indexed = Database(url, fill=True), Indexed()
            try:
                index = await index_of(desk, database)
                await claim(desk, index, rebuild=False, lose=False)
                await up_to_the_end(desk, index, indexed)
            finally:
                database.close()
            return indexed

        return self.at_desk(indexing)
