"""The gateway's world on real parts: topics on Kafka, a strict GeNiE in this process, gateways as processes.

Every record is chosen by the test; what the gateway writes is followed as a read_committed reader gets it.
"""

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from gateway import schemas
from gateway.kafka.cluster import EARLIEST
from gateway.kafka.connection import REQUEST_TIMEOUT_MS, KafkaConnection
from gateway.kafka.lane_start import start_lanes
from gateway.kafka.names import TopicNames
from gateway.kafka.topics import create_topics
from gateway.sandbox import pki as pkis
from gateway.sandbox.genie import Sandbox
from gateway.sandbox.genie.answer import Wire
from gateway.sandbox.genie.faults import Point
from gateway.sandbox.verifier import Verdict, verify
from tests.integration.chosen_records import a_consent, a_payment, a_score
from tests.integration.gateway_process import GatewayProcess
from tests.integration.waiting import until

PARTITIONS = 2  # of each busy topic
LANES = 2 * PARTITIONS + 1  # payments, scores, replays
BOUND_S = 60.0  # a lane that has stopped looks again after 30 s
EXPIRES_MS = 2_000
SKEW_MS = 500
RECIPIENT_NAME = "GeNiE株式会社"

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Written:
    """A record that the gateway wrote."""

    partition: int
    offset: int
    key: bytes | None
    record: Mapping[str, Any] | None

    def __getitem__(self, field: str) -> Any:
        return (self.record or {})[field]


class Gate:
    """A fault of a test's own: keeps requests at one point of their way until it is opened."""

    burst_s = 0.0

    def __init__(self, point: Point, *, first: int | None = None) -> None:
        self.point = point
        self.share = 1.0
        self.came = 0  # requests that reached it
        self._left = first
        self._opened = asyncio.Event()

    async def act(self, wire: Wire, chance: random.Random) -> None:
        self.came += 1
        if self._left is not None:
            self._left -= 1
            self.share = float(self._left > 0)
        await self._opened.wait()

    def open(self) -> None:
        self.share = 0.0
        self._opened.set()


GateT = TypeVar("GateT", bound=Gate)


class World:
    """Topics of one prefix and what is on both sides of the gateway. `async with` makes and ends it."""

    def __init__(self, kafka: str, prefix: str, directory: Path) -> None:
        self.kafka = kafka
        self.prefix = prefix
        self.names = TopicNames(prefix)
        self.group = f"{prefix}gateway"
        self.directory = directory
        self.genie = Sandbox(directory / "genie")
        self.gateways: list[GatewayProcess] = []
        self.ledger: list[Written] = []
        self.intents: list[Written] = []
        self.parked: list[Written] = []
        self._gates: list[Gate] = []
        self._sequence = itertools.count(1)  # of the scores that write_to_all writes
        self._metrics: Path | None = None

    async def __aenter__(self) -> Self:
        connection = KafkaConnection(self.kafka, "test")
        await create_topics(connection, self.names, partitions=PARTITIONS, relaxed=True)
        await start_lanes(connection, self.names, self.group, EARLIEST, force=False)
        await self.genie.__aenter__()
        self.producer = AIOKafkaProducer(
            bootstrap_servers=self.kafka,
            enable_idempotence=True,
            max_request_size=1 << 20,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        await self.producer.start()
        self._follower = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        for gate in self._gates:
            gate.open()
        self._follower.cancel()
        await asyncio.gather(self._follower, return_exceptions=True)
        await self.producer.stop()
        await self.genie.stop()

    # --- what comes in ------------------------------------------------------------------------------------

    async def write(
        self,
        topic: str,
        key: str | bytes | None,
        value: bytes | None,
        partition: int = 0,
        headers: Headers = (),
    ) -> int:
        """One record, acknowledged; its offset."""
        raw = key.encode() if isinstance(key, str) else key
        sent = await self.producer.send_and_wait(
            topic, key=raw, value=value, partition=partition, headers=list(headers)
        )
        return sent.offset

    async def consent(self, subject: str, **changes: Any) -> None:
        """A consent record, acknowledged; all consents lie in partition 0."""
        value = schemas.encode("ConsentRecord", a_consent(subject, **changes))
        await self.write(self.names.consents, subject, value)

    async def withdraw(self, subject: str, version: int = 2) -> None:
        """From now on nothing of the subject may leave."""
        await self.consent(subject, consent_version=version, status="withdrawn")

    async def payment(self, subject: str, partition: int = 0, **changes: Any) -> int:
        """A payment event; its offset."""
        value = schemas.encode("LeasePaymentEvent", a_payment(subject, **changes))
        return await self.write(self.names.payments, subject, value, partition)

    async def payments(self, subject: str, count: int, **changes: Any) -> None:
        """Many payment events of one subject, all in partition 0, acknowledged."""
        values = (schemas.encode("LeasePaymentEvent", a_payment(subject, **changes)) for _ in range(count))
        key, topic = subject.encode(), self.names.payments
        sent = [await self.producer.send(topic, key=key, value=value, partition=0) for value in values]
        await asyncio.gather(*sent)

    async def score(self, subject: str, partition: int = 0, **changes: Any) -> int:
        """A score update; its offset."""
        value = schemas.encode("NorelScoreUpdate", a_score(subject, **changes))
        return await self.write(self.names.scores, subject, value, partition)

    async def write_to_all(self, subjects: Sequence[str]) -> int:
        """A payment and a score of each, over all partitions; how many records that is."""
        for number, subject in enumerate(subjects):
            await self.payment(subject, number % PARTITIONS)
            await self.score(subject, number % PARTITIONS, sequence=next(self._sequence))
        return 2 * len(subjects)

    @asynccontextmanager
    async def open_consent_transaction(self) -> AsyncIterator[None]:
        """While it lasts, a read_committed reader of the consents gets nothing that is written."""
        careless = AIOKafkaProducer(bootstrap_servers=self.kafka, transactional_id=f"{self.prefix}careless")
        async with careless:
            await careless.begin_transaction()
            other = schemas.encode("ConsentRecord", a_consent("subject-other"))
            await careless.send_and_wait(self.names.consents, key=b"subject-other", value=other, partition=0)
            yield
            await careless.commit_transaction()

    # --- both sides of the gateway ------------------------------------------------------------------------

    def gateway(
        self, *patches: str, instance: str = "one", command: bool = False, **settings: str | None
    ) -> GatewayProcess:
        """A gateway process; `settings` by the names of their variables, without the prefix; None leaves one out."""
        log = self.directory / f"gateway-{len(self.gateways)}.log"
        left_out = variables(dict.fromkeys((name for name, value in settings.items() if value is None), ""))
        given = variables({name: value for name, value in settings.items() if value is not None})
        own = {name: value for name, value in (self.settings(instance) | given).items() if name not in left_out}
        made = GatewayProcess(own, log, patches, command=command)
        self.gateways.append(made)
        return made

    def gate(self, point: Point, *, first: int | None = None) -> Gate:
        """GeNiE keeps requests (the next `first` of them, or all) waiting at this point."""
        return self.add(Gate(point, first=first))

    def add(self, gate: GateT) -> GateT:
        """A fault of a test's own, beside those that are switched on."""
        self._gates.append(gate)
        self.genie.faults.active = {**self.genie.faults.active, f"gate {len(self._gates)}": gate}
        return gate

    def faults(self, **wanted: Mapping[str, object]) -> None:
        """Switch to exactly these faults."""
        self.genie.faults.replace(wanted)

    def received(self) -> list[dict[str, Any]]:
        """Entries that GeNiE judged, in order."""
        return [json.loads(line) for line in self.genie.receipts.read_text("utf-8").splitlines()]

    async def settled(self, count: int) -> list[Written]:
        """Wait for so many ledger records."""
        await self.sees(lambda: len(self.ledger) >= count, f"{count} ledger records")
        return self.ledger

    async def shared(self, *gateways: GatewayProcess, lanes: int = LANES) -> bool:
        """Whether each of them has lanes, and all lanes are open somewhere."""
        theirs = [await gateway.lanes() for gateway in gateways]
        return all(theirs) and sum(map(len, theirs)) == lanes

    async def sees(self, condition: Callable[[], Any], what: str) -> None:
        """Wait for something that the gateway does; its log is shown if it does not."""
        try:
            await until(condition, BOUND_S, what)
        except AssertionError as error:
            logs = "\n".join(f"--- {gateway.log.name}\n{gateway.end()}" for gateway in self.gateways)
            raise AssertionError(f"{error}; ledger records: {len(self.ledger)}\n{logs}") from None

    def has_settled(self, offset: int, partition: int = 0) -> bool:
        """Whether this payment has a ledger record."""
        return any(self._is_payment(written, partition, offset) for written in self.ledger)

    def reasons(self) -> list[str]:
        """Of the payments that are settled, in the order of their offsets."""
        settled = [written for written in self.ledger if written["input"]["topic"] == self.names.payments]
        return [
            written["reason"]
            for written in sorted(settled, key=lambda each: (each["input"]["partition"], each["input"]["offset"]))
        ]

    async def verdict(self, *, complete: bool = True, examples: int = 5) -> Verdict:
        """What the independent verifier says of everything so far, logs and metrics included."""
        return await asyncio.to_thread(
            verify,
            self.kafka,
            self.genie.receipts,
            prefix=self.prefix,
            logs=[gateway.log for gateway in self.gateways],
            metrics=self._metrics,
            complete=complete,
            examples=examples,
            skew_ms=SKEW_MS,
        )

    async def judged(self, *, complete: bool = True) -> Verdict:
        """The verdict, which finds nothing."""
        verdict = await self.verdict(complete=complete)
        assert verdict.clean, verdict.examples
        return verdict

    async def save_metrics(self, gateway: GatewayProcess) -> None:
        """Keep what a gateway shows to Prometheus for the verdict."""
        shown = await gateway.metrics()
        self._metrics = self.directory / "metrics.txt"
        self._metrics.write_bytes(shown)

    def _is_payment(self, written: Written, partition: int, offset: int) -> bool:
        at = written["input"]
        return (at["topic"], at["partition"], at["offset"]) == (self.names.payments, partition, offset)

    # --- inside -------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Take every record that the gateway writes as it becomes visible."""
        names = self.names
        lists = {names.ledger: self.ledger, names.intents: self.intents, names.parked: self.parked}
        counts = {names.ledger: PARTITIONS, names.intents: PARTITIONS, names.parked: 1}
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.kafka,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        consumer.assign([TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)])
        async with consumer:
            async for raw in consumer:
                record = None if raw.value is None else schemas.decode(raw.value)[1]
                lists[raw.topic].append(Written(raw.partition, raw.offset, raw.key, record))

    def settings(self, instance: str) -> dict[str, str]:
        """The variables of a gateway in this world."""
        group = {
            "kafka__group_id": self.group,
            "kafka__group_instance_id": f"{self.prefix}{instance}",
            "topics__prefix": self.prefix,
        }
        return gateway_settings(self.kafka, self.genie.url, self.genie.pki, self.directory, instance) | variables(group)


def gateway_settings(kafka: str, genie_url: str, keys: pkis.Pki, directory: Path, instance: str) -> dict[str, str]:
    """The variables of a gateway with these parts; its view lies in the directory."""
    return variables(
        {
            "instance": instance,
            "kafka__bootstrap_servers": kafka,
            "kafka__allow_dev_topics": "true",
            "kafka__session_timeout_ms": "6000",
            "genie__base_url": genie_url,
            "genie__ca_file": str(keys.ca),
            "genie__client_cert_file": str(keys.client),
            "genie__client_key_file": str(keys.client_key),
            "genie__signing_key_file": str(keys.norel_ed25519),
            "genie__signing_key_id": pkis.NOREL_ED25519_ID,
            "genie__answer_key_files": (f'{{"{pkis.GENIE_ED25519_ID}": "{pkis.public_half(keys.genie_ed25519)}"}}'),
            "genie__expires_ms": str(EXPIRES_MS),
            "genie__skew_ms": str(SKEW_MS),
            "recipient__name": RECIPIENT_NAME,
            "recipient__address": "東京都架空区架空一丁目1-1",
            "recipient__representative": "架空 受子",
            "provider__name": "株式会社 IDOM CaaS Technology",
            "provider__address": "東京都架空区架空二丁目2-2",
            "provider__representative": "架空 渡子",
            "keys__idempotency_key_file": str(keys.idempotency_key),
            "keys__pseudonym_key_file": str(keys.pseudonym_key),
            "view__path": str(directory / f"view-{instance}"),
            "observe__host": "127.0.0.1",
            "observe__port": "0",
        }
    )


def variables(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings by the names of their variables."""
    return {f"GATEWAY_{name.upper()}": value for name, value in settings.items()}
