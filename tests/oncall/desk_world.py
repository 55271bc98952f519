"""The nine topics with records of known times and names, for commands whose output is compared word by word.

Nothing here runs a gateway: records are written as one would have. Times are the producer's, so that they are known.
"""

import asyncio
import os
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from typer.testing import CliRunner

from gateway import schemas
from gateway.cli import app
from gateway.cli.errors import CommandError
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.names import TopicNames
from gateway.kafka.topics import _appear
from gateway.oncall import times
from gateway.oncall.desk import Desk, open_desk
from tests.core_cases import DAY_MS, day, ms, payment, score
from tests.integration.chosen_records import ITEMS, POLICY_DAY

T0 = ms("2026-05-01", 0)  # 09:00 JST, when the first record was appended
NOW = T0 + DAY_MS  # what a command takes for now
GIVEN_AT = ms("2026-03-01", 0)
PARTITIONS = 2  # of the busy topics
GATEWAY = {"version": "0.1.0", "instance": "one"}
RECIPIENT = {"id": "genie", "name": "GeNiE株式会社", "address": "東京都架空区1-1", "representative": "代表 太郎"}
CLUSTER = "c" * 22  # in place of the real id, which is as long
OPERATOR = ["--operator", "ann", "--reason", "test", "--ticket", "T-1"]


@dataclass(frozen=True, slots=True)
class Result:
    """What a command printed, names made those of every run, and how it ended."""

    stdout: str
    stderr: str
    status: int


def number_id(number: int) -> str:
    """A UUID that says which one it is."""
    return str(uuid.UUID(int=number, version=4))


class DeskWorld:
    """`add_...` notes a record and says where it will lie; `run` writes what was noted and runs a command."""

    def __init__(self, kafka: str) -> None:
        self.kafka = kafka
        self.prefix = f"t{uuid.uuid4().hex[:8]}."
        self.names = TopicNames(self.prefix)
        self.now = NOW
        self.cluster_id = ""
        self._noted: list[tuple[str, int, str | None, bytes | None, Sequence[tuple[str, bytes]], int]] = []
        self._ends: Counter[tuple[str, int]] = Counter()
        asyncio.run(self._create())

    # --- what is in the topics ------------------------------------------------------------------------------

    def add_payment(
        self, subject: str, *, partition: int = 0, at: int = T0, producer: str | None = "billing", **changes: Any
    ) -> tuple[str, int, int]:
        """A payment of this subject; its event_id follows from its offset unless given."""
        topic = self.names.payments
        offset = self._ends[topic, partition]
        event = payment(
            event_id=number_id(1_000 * (partition + 1) + offset),
            occurred_at=at - 2_000,
            recorded_at=at - 1_000,
            subject_ref=subject,
            contract_ref=f"contract-of-{subject}",
            due_date=day("2026-05-01"),
            paid_date=day("2026-05-01"),
        )
        return self.add(topic, subject, event | changes, partition=partition, at=at, producer=producer)

    def add_score(self, subject: str, *, partition: int = 0, at: int = T0, **changes: Any) -> tuple[str, int, int]:
        """A score of this subject."""
        topic = self.names.scores
        event = score(
            score_id=number_id(5_000 + 1_000 * (partition + 1) + self._ends[topic, partition]),
            subject_ref=subject,
            as_of=at - 3_000,
            computed_at=at - 2_000,
        )
        return self.add(topic, subject, event | changes, partition=partition, at=at)

    def add_consent(self, subject: str, *, at: int = GIVEN_AT, **changes: Any) -> tuple[str, int, int]:
        """Given to everything under the version that has the clause."""
        record = {
            "record_id": f"consent-of-{subject}",
            "consent_version": 1,
            "subject_ref": subject,
            "recipient": "genie",
            "status": "given",
            "status_updated_at": GIVEN_AT,
            "policy_version": POLICY_DAY,
            "consented_at": GIVEN_AT,
            "expires_at": None,
            "history_from": None,
            "items": ITEMS,
            "purposes_opted_out": [],
            "collection_method": "app",
            "consent_actor": "self",
            "contract_refs": None,
            "legal_basis": "consent",
        }
        return self.add(self.names.consents, subject, record | changes, at=at)

    def add_ledger(
        self, place: tuple[str, int, int], subject: str | None, *, at: int = T0 + 1_000, **changes: Any
    ) -> tuple[str, int, int]:
        """What became of an input: PROVIDED, accepted, unless changed. `at`: when it was appended and settled."""
        topic, partition, offset = place
        event_id = number_id(1_000 * (partition + 1) + offset)
        record = {
            "input": self.position(place, T0),
            "source_digest": bytes([offset % 256]) * 32,
            "event_id": event_id,
            "event_type": "norel_score_update" if topic == self.names.scores else "lease_payment",
            "subject_ref": subject,
            "outcome": "PROVIDED",
            "reason": "accepted",
            "transmitted": "yes",
            "recipient": RECIPIENT,
            "consent": {
                "record_id": f"consent-of-{subject}",
                "consent_version": 1,
                "policy_version": POLICY_DAY,
                "consented_at": GIVEN_AT,
            },
            "items": ["birth_date", "name", "payment_history"],
            "permitted_purposes": ["credit_and_claim_administration", "credit_product_marketing"],
            "idempotency_key": f"key-of-{event_id}",
            "body_digest": bytes([partition + 1]) * 32,
            "receipt": {
                "id": f"receipt-{partition}-{offset}",
                "received_at": at - 500,
                "answer_digest": bytes(32),
                "key_id": "genie-1",
            },
            "attempts": 1,
            "decided_at": at - 800,
            "announced_at": at - 900,
            "settled_at": at - 100,
            "replay_of": None,
            "mapping_version": 1,
            "gateway": GATEWAY,
        }
        return self.add(self.names.ledger, subject, record | changes, at=at)

    def add_withheld(
        self, place: tuple[str, int, int], subject: str, reason: str, *, at: int = T0 + 1_000, **changes: Any
    ) -> tuple[str, int, int]:
        """An input that was not sent: withheld, or of another outcome if changed so."""
        nothing = {
            "outcome": "WITHHELD",
            "reason": reason,
            "transmitted": "no",
            "items": [],
            "permitted_purposes": [],
            "body_digest": None,
            "receipt": None,
            "attempts": 0,
            "announced_at": None,
        }
        return self.add_ledger(place, subject, at=at, **(nothing | changes))

    def add_parked(
        self, place: tuple[str, int, int], subject: str, reason: str, *, at: int = T0 + 1_000, **changes: Any
    ) -> tuple[str, int, int]:
        """Set aside: the ledger's record and the parked one."""
        self.add_withheld(place, subject, reason, at=at, outcome="PARKED")
        record = {
            "input": self.position(place, T0),
            "event_type": "lease_payment",
            "subject_ref": subject,
            "producer": "billing",
            "reason": reason,
            "detail": "a detail",
            "transmitted": "no",
            "parked_at": at - 100,
            "input_expires_at": T0 + 90 * DAY_MS,
            "attempts": 0,
            "gateway": GATEWAY,
        }
        return self.add(self.names.parked, "{}:{}:{}".format(*place), record | changes, at=at)

    def add_intent(
        self, lane: str, entries: Sequence[Mapping[str, Any]], *, at: int = T0 + 500, **changes: Any
    ) -> tuple[str, int, int]:
        """An announcement of these entries, each with `offset` and what else is to differ."""
        usual = {
            "idempotency_key": "key",
            "body_digest": bytes([1]) * 32,
            "items": ["birth_date", "name", "payment_history"],
            "permitted_purposes": ["credit_product_marketing"],
            "consent_record_id": "consent",
            "consent_version": 1,
            "consented_at": GIVEN_AT,
        }
        record = {
            "lane": lane,
            "batch_id": number_id(9_000 + self._ends[self.names.intents, 0]),
            "announced_at": at,
            "expires_at": at + 30_000,
            "policy_version": POLICY_DAY,
            "mapping_version": 1,
            "key_version": 1,
            "entries": [usual | entry for entry in entries],
            "gateway": GATEWAY | {"epoch": 1},
        }
        return self.add(self.names.intents, lane, record | changes, at=at)

    def add_request(
        self, place: tuple[str, int, int], subject: str, *, at: int = T0 + 2_000, **changes: Any
    ) -> tuple[str, int, int]:
        """Somebody asks that this input be processed again."""
        topic, partition, offset = place
        record = {
            "request_id": number_id(7_000 + self._ends[self.names.replays, 0]),
            "plan_id": number_id(7_999),
            "plan_digest": bytes(32),
            "input": {"topic": topic, "partition": partition, "offset": offset},
            "subject_ref": subject,
            "requested_at": at,
            "operator": "ann",
            "reason": "mended",
            "ticket": "T-7",
        }
        return self.add(self.names.replays, subject, record | changes, at=at)

    def add_hold(self, scope: str, value: str | None, *, at: int = T0, **changes: Any) -> tuple[str, int, int]:
        """Held by ann."""
        record = {
            "hold_id": number_id(8_000 + self._ends[self.names.controls, 0]),
            "scope": scope,
            "value": value,
            "state": "held",
            "operator": "ann",
            "reason": "incident",
            "ticket": "T-8",
            "at": at,
            "expires_at": None,
        }
        record |= changes
        return self.add(self.names.controls, str(record["hold_id"]), record, at=at)

    def add(
        self,
        topic: str,
        key: str | None,
        record: Mapping[str, Any] | bytes | None,
        *,
        partition: int = 0,
        at: int = T0,
        producer: str | None = None,
    ) -> tuple[str, int, int]:
        """Any record, bytes as they are, or a tombstone; where it will lie, if only this world writes there."""
        if record is None or isinstance(record, bytes):
            value = record
        else:
            value = schemas.encode(self.names.record_kinds()[topic], record)
        headers = [("producer", producer.encode())] if producer else []
        self._noted.append((topic, partition, key, value, headers, at))
        self._ends[topic, partition] += 1
        return topic, partition, self._ends[topic, partition] - 1

    def position(self, place: tuple[str, int, int], timestamp: int) -> dict[str, Any]:
        """As our own records name an input."""
        topic, partition, offset = place
        cluster = self.cluster_id
        return {"cluster_id": cluster, "topic": topic, "partition": partition, "offset": offset, "timestamp": timestamp}

    # --- commands -------------------------------------------------------------------------------------------

    def run(self, arguments: Sequence[str], **environment: str) -> Result:
        """Run `gateway ARGUMENTS` against these topics, at the time `now`; a message of its own goes to stderr."""
        self.flush()
        settings = {
            "GATEWAY_KAFKA__BOOTSTRAP_SERVERS": self.kafka,
            "GATEWAY_TOPICS__PREFIX": self.prefix,
            "COLUMNS": "120",
            **environment,
        }
        with self.clock():
            ended = CliRunner().invoke(app, list(arguments), env=settings)
        stderr, status = ended.stderr, ended.exit_code
        if isinstance(ended.exception, CommandError):
            status, stderr = int(ended.exception.status), f"{stderr}error: {ended.exception.message}\n"
        elif ended.exception is not None and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        return Result(self.scrubbed(ended.stdout), self.scrubbed(stderr), status)

    def scrubbed(self, text: str) -> str:
        """With the names that each run makes anew replaced by others as long."""
        return text.replace(self.prefix, "prefixed1.").replace(self.cluster_id, CLUSTER)

    def at_desk(self, do: Any) -> Any:
        """What `do(desk)`, a coroutine, answers at these topics."""
        self.flush()

        async def doing() -> Any:
            connection = KafkaConnection(self.kafka, "test")
            async with open_desk(connection, self.names, None, lambda *_: None) as desk:
                return await do(desk)

        with self.clock():
            return asyncio.run(doing())

    def records(self, topic: str) -> list[Mapping[str, Any]]:
        """All that can be read in a topic."""
        found: list[Mapping[str, Any]] = []

        async def read(desk: Desk) -> None:
            await desk.read(topic, lambda some: found.extend(each.record for each in some if each.record is not None))

        self.at_desk(read)
        return found

    @contextmanager
    def clock(self) -> Any:
        """Commands take `now` for the time."""
        with mock.patch.object(times, "now_ms", lambda: self.now):
            yield

    def flush(self) -> None:
        """Write what was noted."""
        if self._noted:
            noted, self._noted = self._noted, []
            asyncio.run(self._write(noted))

    # --- inside ---------------------------------------------------------------------------------------------

    async def _create(self) -> None:
        names = self.names
        busy = {names.payments, names.scores}
        kept = {"retention.ms": "-1"}
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            await admin.create_topics(
                [
                    NewTopic(topic, PARTITIONS if topic in busy else 1, 1, topic_configs=kept)
                    for topic in names.record_kinds()
                ]
            )
        finally:
            await admin.close()
        async with open_desk(KafkaConnection(self.kafka, "test"), names, None, lambda *_: None) as desk:
            self.cluster_id = desk.cluster_id
            await _appear(desk.client, set(names.record_kinds()))

    async def _write(self, noted: Sequence[Any]) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka, acks="all", enable_idempotence=True)
        await producer.start()
        try:
            sent = [
                await producer.send(
                    topic,
                    value,
                    None if key is None else key.encode(),
                    partition=partition,
                    headers=headers,
                    timestamp_ms=at,
                )
                for topic, partition, key, value, headers, at in noted
            ]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()


def terminal_environment(world: DeskWorld) -> dict[str, str]:
    """For a command that is started as a process of its own, in a terminal; what was added is written first."""
    world.flush()
    return {
        **os.environ,
        "GATEWAY_KAFKA__BOOTSTRAP_SERVERS": world.kafka,
        "GATEWAY_TOPICS__PREFIX": world.prefix,
        "TERM": "xterm-256color",
    }
