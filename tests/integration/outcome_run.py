"""One run of a real gateway process in which input records end in every way that is cheap to reach.

Each record is a case with a name; tests/integration/test_outcomes.py looks at what is left of the run.
"""

import base64
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway import schemas
from gateway.sandbox.genie.faults import Point
from tests.core_cases import day, ms
from tests.integration.bad_input import BAD, SUBJECT, bad_schemas, ending
from tests.integration.chosen_records import POLICY_DAY, a_payment, a_replay, a_score, now_ms, today
from tests.integration.gateway_world import Headers, World
from tests.integration.schema_registry import SchemaRegistry

HOUR_MS = 3_600_000

# name of the case (its first word is the reason) -> outcome and whether the body reached GeNiE
EXPECTED = {
    "accepted payment": "PROVIDED yes",
    "accepted score": "PROVIDED yes",
    "accepted after poison": "PROVIDED yes",
    "accepted by replay": "PROVIDED yes",
    "resolved_by_lookup": "PROVIDED yes",
    "same_event": "DUPLICATE yes",
    "same_event by replay": "DUPLICATE yes",
    "same_event_other_scope": "DUPLICATE yes",
    "newer_at_genie": "SUPERSEDED yes",
    "no_consent": "WITHHELD no",
    "consent_withdrawn": "WITHHELD no",
    "consent_withdrawn by replay": "WITHHELD no",
    "consent_expired": "WITHHELD no",
    "consent_expired by its date": "WITHHELD no",
    "consent_unknown": "WITHHELD no",
    "consent_not_yet_valid": "WITHHELD no",
    "consent_superseded_version": "WITHHELD no",
    "wrong_recipient": "WITHHELD no",
    "policy_version_unknown": "WITHHELD no",
    "policy_version_without_clause": "WITHHELD no",
    "consented_outside_version": "WITHHELD no",
    "before_consent": "WITHHELD no",
    "contract_not_covered": "WITHHELD no",
    "matter_not_consented": "WITHHELD no",
    "purposes_unclear": "WITHHELD no",
    "not_consent_based": "WITHHELD no",
    "creditor_not_us": "WITHHELD no",
    "correction_after_withdrawal": "WITHHELD no",
    "event_id_reused": "PARKED yes",
    "future_event": "PARKED no",
    "rejected_by_genie": "PARKED yes",
    "held": "PARKED no",
    "replay_target_missing": "PARKED no",
    "replay_target_missing beyond the end": "PARKED no",
    **{case: ending(case) for case in BAD},
}

# What is wrong with the consent (None: there is none), and what is special about the payment.
WITHHELD: Mapping[str, tuple[dict[str, Any] | None, dict[str, Any]]] = {
    "no_consent": (None, {}),
    "consent_withdrawn": ({"status": "withdrawn"}, {}),
    "consent_expired": ({"status": "expired"}, {}),
    "consent_expired by its date": ({"expires_at": now_ms()}, {}),
    "consent_unknown": ({"status": "unknown"}, {}),
    "consent_not_yet_valid": ({"consented_at": now_ms() + HOUR_MS}, {}),
    "consent_superseded_version": ({"consent_version": 2}, {}),  # version 1 comes after it
    "wrong_recipient": ({"recipient": "another"}, {}),
    "policy_version_unknown": ({"policy_version": POLICY_DAY + 1}, {}),
    "policy_version_without_clause": ({"policy_version": day("2026-02-05")}, {}),
    "consented_outside_version": ({"consented_at": ms("2026-02-20")}, {}),
    "before_consent": ({}, {"due_date": today() - 10}),
    "contract_not_covered": ({"contract_refs": ["another-lease"]}, {}),
    "matter_not_consented": ({"items": ["name", "phone"]}, {}),
    "purposes_unclear": ({"purposes_opted_out": ["inquiry_handling"]}, {}),
    "not_consent_based": ({"legal_basis": "legal_obligation"}, {}),
    "creditor_not_us": ({}, {"creditor": "partner_lessor"}),
    "correction_after_withdrawal": ({"status": "withdrawn"}, {"status": "corrected"}),
}


def subject_of(case: str) -> str:
    return f"subject-{case.replace(' ', '-').replace('_', '-')}"


@dataclass
class Run:
    """What is left of the run for the tests to look at."""

    at: dict[str, tuple[str, int, int]] = field(default_factory=dict)  # case -> topic, partition, offset
    given: dict[str, dict[str, Any]] = field(default_factory=dict)  # case -> record written
    ledger: dict[tuple[str, int, int], list[Mapping[str, Any]]] = field(default_factory=dict)
    parked: dict[str, Mapping[str, Any] | None] = field(default_factory=dict)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    secrets: dict[str, bytes] = field(default_factory=dict)
    cluster_id: str = ""
    metrics: str = ""
    settled_while_held: set[str] = field(default_factory=set)  # topics

    def record(self, case: str) -> Mapping[str, Any]:
        """The one ledger record of a case."""
        (record,) = self.ledger[self.at[case]]
        return record

    def body(self, event_id: str) -> dict[str, Any]:
        """The one body of an event that GeNiE was given."""
        (body,) = [body for body in self.bodies if event_id in body["envelope"].values()]
        return body


class Writer:
    """Writes the cases and notes where each lies."""

    def __init__(self, world: World, run: Run) -> None:
        self._world = world
        self._run = run
        self._partition = 0

    async def bad(self, case: str) -> None:
        """A case of BAD; they go to the partitions in turn."""
        bad = BAD[case]
        names = self._world.names
        self._partition = 1 - self._partition
        topic = names.scores if bad.scores else names.payments
        await self._write(case, topic, bad.key, bad.make(), self._partition, bad.headers)

    async def payment(self, case: str, *, partition: int = 0, **changes: Any) -> bytes:
        record = self._run.given[case] = a_payment(subject_of(case)) | changes
        value = schemas.encode("LeasePaymentEvent", record)
        await self._write(case, self._world.names.payments, record["subject_ref"], value, partition)
        return value

    async def score(self, case: str, **changes: Any) -> None:
        record = self._run.given[case] = a_score(subject_of(case)) | changes
        value = schemas.encode("NorelScoreUpdate", record)
        await self._write(case, self._world.names.scores, record["subject_ref"], value, 0)

    async def again(self, case: str, value: bytes) -> None:
        """The same bytes once more, behind the others of partition 0."""
        await self._write(case, self._world.names.payments, subject_of(case), value, 0)

    async def replay(self, case: str, of: str, *, beyond: int = 0) -> None:
        """A request to process the record of another case again, or one so many offsets beyond it."""
        topic, partition, offset = self._run.at[of]
        value = schemas.encode("ReplayRequest", a_replay(subject_of(of), topic, partition, offset + beyond))
        await self._write(case, self._world.names.replays, subject_of(of), value, 0)

    async def _write(
        self,
        case: str,
        topic: str,
        key: str | bytes | None,
        value: bytes | None,
        partition: int,
        headers: Headers = (),
    ) -> None:
        offset = await self._world.write(topic, key, value, partition, headers)
        self._run.at[case] = (topic, partition, offset)


async def _write_withheld(world: World, writer: Writer) -> None:
    for case, (consent, event) in WITHHELD.items():
        if consent is not None:
            await world.consent(subject_of(case), **consent)
        if case == "consent_superseded_version":
            await world.consent(subject_of(case))
        await writer.payment(case, **event)


async def _hold(world: World, hold_id: str, scope: str, value: str, state: str = "held") -> None:
    hold = {
        "hold_id": hold_id,
        "scope": scope,
        "value": value,
        "state": state,
        "operator": "on-call",
        "reason": "test",
        "ticket": "T-1",
        "at": now_ms(),
        "expires_at": None,
    }
    await world.write(world.names.controls, hold_id, schemas.encode("Control", hold))


async def _write_first(world: World, writer: Writer, values: dict[str, bytes]) -> None:
    """All that needs nothing but its consent."""
    await _hold(world, "hold-1", "subject", subject_of("held"))
    await _hold(world, "hold-2", "event_type", "norel_score_update")
    for case in EXPECTED:
        if case not in WITHHELD and case != "accepted score":
            await world.consent(subject_of(case))
    no_marketing = {"items": ["norel_score", "norel_score_inputs"], "purposes_opted_out": ["credit_product_marketing"]}
    await world.consent(subject_of("accepted score"), **no_marketing)
    await _write_withheld(world, writer)
    await world.consent(SUBJECT)
    for case in BAD:
        await writer.bad(case)
    await writer.payment("accepted payment")
    await writer.score("accepted score")
    await writer.payment("held")
    await writer.payment("future_event", occurred_at=now_ms() + HOUR_MS)
    await writer.again("same_event", await writer.payment("same_event first", subject_ref=subject_of("same_event")))
    reused = {"subject_ref": subject_of("event_id_reused"), "event_id": str(uuid.uuid4())}
    await writer.payment("event_id_reused first", **reused)
    await writer.payment("event_id_reused", **reused, amount_paid_jpy=1)
    newer = {"subject_ref": subject_of("newer_at_genie")}
    await writer.score("newer_at_genie first", **newer, sequence=7)
    await writer.score("newer_at_genie", **newer, sequence=3)
    other = subject_of("same_event_other_scope")
    values["other"] = await writer.payment("same_event_other_scope first", subject_ref=other)
    for partition in (0, 1):
        name = "accepted after poison" if partition else "accepted after poison too"
        await writer.payment(name, partition=partition, subject_ref=subject_of("accepted after poison"))


async def _write_later(world: World, writer: Writer, values: dict[str, bytes], before: int) -> None:
    """What needs something to have happened before."""
    gate = world.gate(Point.AFTER_ACCEPTING, first=1)
    await writer.payment("resolved_by_lookup", partition=1)
    await world.sees(lambda: gate.came, "a request at GeNiE")
    await world.withdraw(subject_of("resolved_by_lookup"))
    await world.consent(subject_of("same_event_other_scope"), consent_version=2, items=["payment_history"])
    await writer.again("same_event_other_scope", values["other"])
    await world.consent(subject_of("no_consent"))
    await writer.replay("accepted by replay", "no_consent")
    await writer.replay("same_event by replay", "accepted payment")
    await writer.replay("consent_withdrawn by replay", "consent_withdrawn")
    await writer.replay("replay_target_missing", "accepted payment", beyond=1_000_000)
    await writer.replay("replay_target_missing beyond the end", "same_event_other_scope", beyond=1)
    await world.settled(before + 6)
    world.faults(entry_rejected={"share": 1})
    await writer.payment("rejected_by_genie")


async def everything(kafka: str, directory: Path) -> Run:
    run, values = Run(), {}
    world = World(kafka, f"t{uuid.uuid4().hex[:8]}.", directory)
    async with SchemaRegistry(bad_schemas()) as registry, world:
        async with world.gateway(command=True, schemas__registry_url=registry.url) as gateway:
            writer = Writer(world, run)
            await _write_first(world, writer, values)
            first = len(run.at)
            scores = sum(topic == world.names.scores and case not in BAD for case, (topic, *_) in run.at.items())
            await world.settled(first - scores)
            run.settled_while_held = {at["input"]["topic"] for at in world.ledger if at["outcome"] != "INVALID"}
            await _hold(world, "hold-2", "event_type", "norel_score_update", "released")
            await world.settled(first)
            await _write_later(world, writer, values, first)
            await world.settled(len(run.at))
            await world.save_metrics(gateway)
            run.metrics = (await gateway.metrics()).decode()
            await gateway.end_in_order()
        await world.judged()
        for written in world.ledger:
            at = written["input"]
            run.ledger.setdefault((at["topic"], at["partition"], at["offset"]), []).append(written.record or {})
        assert {at: len(records) for at, records in run.ledger.items()} == dict.fromkeys(run.at.values(), 1)
        run.parked = {(written.key or b"").decode(): written.record for written in world.parked}
        run.bodies = [entry["body"] for entry in world.received() if entry["status"] == "accepted"]
        keys = world.genie.pki
        run.secrets = {
            name: base64.b64decode(path.read_bytes())
            for name, path in (("idempotency", keys.idempotency_key), ("pseudonym", keys.pseudonym_key))
        }
    return run
