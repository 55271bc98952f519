"""The story of one event, told from its traces in the order of time.

Knows what each record means to a person. Must not know where records are read, or how a story is printed. It holds
references, digests and our own words, never what is inside an event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.policy import Policy
from gateway.core.reasons import Outcome, Reason, Transmitted
from gateway.kafka.intake import PRODUCER_HEADER
from gateway.oncall import times
from gateway.oncall.clauses import ALL_HOLD, clauses_of, known_reason, purposes_in_numbers, rule_of, shown_day
from gateway.oncall.desk import Found
from gateway.oncall.explain import Traces, in_force
from gateway.oncall.ledger.source import LedgerEntry, Place
from gateway.oncall.places import id_or_place, shown_place
from gateway.oncall.reveal import masked, plain, schema_id_of

DIGEST_SHOWN = 16  # digits of a digest: enough to compare two by eye

# What comes first of what has the same time.
ORDER = (
    *("held", "released", "consent", "arrived", "asked", "announced", "decided"),
    *("answered", "settled", "parked", "resolved"),
)


_KEPT = frozenset(outcome.code for outcome in (Outcome.PROVIDED, Outcome.DUPLICATE, Outcome.SUPERSEDED))


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened. `at` is by the clock of whoever did it, ms."""

    at: int
    what: str
    about: str  # the input or replay request that it happened to; "" for what is not about one record
    where: str  # the record that says so
    told: tuple[str, ...]
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one input record or replay request so far."""

    place: str
    replay_of: str | None
    outcome: str | None  # None: not settled yet
    reason: str | None
    transmitted: str | None
    gone: bool  # the log no longer has it

    @property
    def is_kept(self) -> bool:
        """Whether GeNiE has it: what it refuses has reached it, too."""
        has_said_so = self.outcome in _KEPT or self.reason == Reason.OUTCOME_UNKNOWN.code
        return has_said_so and self.transmitted == Transmitted.YES.code


@dataclass(frozen=True, slots=True)
class Story:
    """All of it."""

    event_id: str | None
    event_type: str | None
    subject_ref: str | None
    records: tuple[Told, ...]
    steps: tuple[Step, ...]
    notes: tuple[str, ...]  # what is missing, and why


def tell(traces: Traces, policy: Policy, ledger_topic: str) -> Story:
    """The story that these traces make."""
    steps = [*_arrivals(traces), *_announcements(traces, policy), *_holds(traces)]
    for place, entry in traces.entries.values():
        steps += _ending(place, entry, policy, ledger_topic)
    steps += [_parked(place, found) for place, found in traces.parked]
    steps += [_consent(found) for found in traces.consents]
    steps.sort(key=lambda step: (step.at, ORDER.index(step.what)))
    return Story(
        traces.event_id,
        traces.event_type.code if traces.event_type else None,
        traces.subject_ref,
        tuple(_told(traces, place) for place in traces.places),
        tuple(steps),
        tuple(_notes(traces)),
    )


def _told(traces: Traces, place: Place) -> Told:
    end, request = traces.ends.get(place), traces.requests.get(place)
    record: Mapping[str, Any] = {} if end is None else end.record
    replayed = None
    if request is not None and request.record is not None:
        wanted = request.record["input"]
        replayed = shown_place((wanted["topic"], wanted["partition"], wanted["offset"]))
    return Told(
        shown_place(place),
        replayed,
        record.get("outcome"),
        record.get("reason"),
        record.get("transmitted"),
        gone=request is None and traces.inputs.get(place) is None,
    )


def _arrivals(traces: Traces) -> Iterator[Step]:
    for place, found in traces.inputs.items():
        at = traces.arrived_at(place)
        if at is not None:
            yield Step(at, "arrived", shown_place(place), shown_place(place), *_arrived(found))
    for place, found in traces.requests.items():
        if found.record is not None:
            yield Step(found.timestamp, "asked", shown_place(place), shown_place(place), *_asked(found.record))


def _arrived(found: Found | None) -> tuple[tuple[str, ...], dict[str, Any]]:
    if found is None:
        return ("the log no longer has it",), {"gone": True}
    producer = next((value for name, value in found.headers if name == PRODUCER_HEADER and value), b"")
    size, schema_id = len(found.value or b""), schema_id_of(found.value)
    from_whom = masked_unless_name(producer)
    data = {"bytes": size, "schema_id": schema_id, "producer": from_whom, "unreadable": found.why and found.why.code}
    told = [f"{size:,} bytes, {'no schema' if schema_id is None else f'schema {schema_id}'}, from {from_whom or '-'}"]
    if found.value is None or found.why is not None:
        told.append(found.why.sentence if found.why else "The record has no value.")
    return tuple(told), data


def masked_unless_name(producer: bytes) -> str:
    """The producer's name if it is one as services have."""
    name = producer.decode("utf-8", "replace")
    is_name = name.replace("-", "").replace(".", "").replace("_", "").isalnum() and name.isascii() and len(name) <= 64
    return name if is_name else masked(name) if name else ""


def _asked(request: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    words = {name: plain(request[name]) for name in ("operator", "reason", "ticket", "request_id", "plan_id")}
    wanted = request["input"]
    replayed = shown_place((wanted["topic"], wanted["partition"], wanted["offset"]))
    told = (
        f"a replay of {replayed}, asked for by {words['operator']}: {words['reason']} ({words['ticket']})",
        f"plan {words['plan_id']}, request {words['request_id']}",
    )
    return told, {**words, "replay_of": replayed, "requested_at": times.iso(request["requested_at"])}


def _announcements(traces: Traces, policy: Policy) -> Iterator[Step]:
    for place, found, entry in traces.announced:
        intent = found.record or {}
        gateway = intent["gateway"]
        consent_id = id_or_place(entry["consent_record_id"], found.place)
        told = (
            f"in batch {intent['batch_id']} of {len(intent['entries']):,}; GeNiE may take it until "
            f"{times.shown(intent['expires_at'])}",
            f"items {' '.join(entry['items'])}; purposes {purposes_in_numbers(entry['permitted_purposes'], policy)}",
            f"by consent version {entry['consent_version']} ({consent_id}), policy version "
            f"{shown_day(intent['policy_version'])}; body {entry['body_digest'].hex()[:DIGEST_SHOWN]}",
            f"by {gateway['instance']} (release {gateway['version']}, epoch {gateway['epoch']})",
        )
        data = {
            "items": entry["items"],
            "permitted_purposes": entry["permitted_purposes"],
            "consent_record_id": consent_id,
            "consent_version": entry["consent_version"],
            "idempotency_key": entry["idempotency_key"],
            "body_digest": entry["body_digest"].hex(),
            "batch_id": intent["batch_id"],
            "expires_at": times.iso(intent["expires_at"]),
            "gateway": gateway,
        }
        yield Step(intent["announced_at"], "announced", shown_place(place), found.place, told, data)


def _ending(place: Place, entry: LedgerEntry, policy: Policy, topic: str) -> Iterator[Step]:
    record, about = entry.record, shown_place(place)
    where = shown_place((topic, entry.partition, entry.offset))
    yield Step(record["decided_at"], "decided", about, where, *_decided(record, where, policy))
    receipt = record["receipt"]
    if receipt is not None:
        yield Step(receipt["received_at"], "answered", about, where, *_answered(receipt))
    known, sent = known_reason(record["reason"]), record["attempts"]
    told = (
        f"{record['outcome']} {record['reason']}: {known.sentence if known else 'a reason of a later release'}",
        f"{_sent(sent)}, transmitted {record['transmitted']}; by {record['gateway']['instance']} (release "
        f"{record['gateway']['version']})",
        *([f"idempotency key {record['idempotency_key']}"] if record["idempotency_key"] else []),
    )
    data = {
        name: record[name] for name in ("outcome", "reason", "attempts", "transmitted", "idempotency_key", "gateway")
    }
    yield Step(record["settled_at"], "settled", about, where, told, data)


def _answered(receipt: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    digest = receipt["answer_digest"].hex()
    told = (
        f"GeNiE has it, by its own clock: receipt {receipt['id']}, signed with {receipt['key_id']}, answer "
        f"{digest[:DIGEST_SHOWN]}",
    )
    return told, {**receipt, "answer_digest": digest, "received_at": times.iso(receipt["received_at"])}


def _sent(times_over: int) -> str:
    return ("never sent", "sent once")[times_over] if times_over < 2 else f"sent {times_over:,} times"


def _decided(record: Mapping[str, Any], where: str, policy: Policy) -> tuple[tuple[str, ...], dict[str, Any]]:
    consent = record["consent"]
    rule = rule_of(record["reason"], announced=record["announced_at"] is not None)
    version = None if consent is None else consent["policy_version"]
    clauses = clauses_of(record["reason"], record["event_type"], version, record["items"], policy)
    known = known_reason(record["reason"])
    if rule == ALL_HOLD:
        told = ["to provide: every rule of core/decide.py holds"]
    elif rule is not None:
        told = [f"not to provide: core/decide.py requires that {rule}"]
    else:
        told = [f"no rule was asked: {known.sentence if known else record['reason']}"]
    if record["permitted_purposes"]:
        clauses = [*clauses, f"purposes {purposes_in_numbers(record['permitted_purposes'], policy)}"]
    if clauses:
        told.append(f"policy: {'; '.join(clauses)}")
    if consent is not None:
        told.append(
            f"consent version {consent['consent_version']} ({id_or_place(consent['record_id'], where)}) of "
            f"{times.shown(consent['consented_at'])}, policy version {shown_day(consent['policy_version'])}"
        )
    elif rule is not None:
        told.append("no consent record was seen")
    data = {
        "rule": rule,
        "clauses": clauses,
        "items": record["items"],
        "permitted_purposes": record["permitted_purposes"],
        "consent": consent and _consent_data(consent, where),
    }
    return tuple(told), data


def _consent_data(consent: Mapping[str, Any], where: str) -> dict[str, Any]:
    readable = {
        "record_id": id_or_place(consent["record_id"], where),
        "policy_version": shown_day(consent["policy_version"]),
        "consented_at": times.iso(consent["consented_at"]),
    }
    return {**consent, **readable}


def _parked(place: Place, found: Found) -> Step:
    about = shown_place(place)
    record = found.record
    if record is None:
        if found.value is None:
            return Step(
                found.timestamp, "resolved", about, found.place, ("a replay resolved it: no longer parked",), {}
            )
        return Step(found.timestamp, "parked", about, found.place, ("its parked record can't be read",), {})
    told = (
        f"{record['reason']}: {plain(record['detail'])}",
        f"input kept until {times.shown(record['input_expires_at'])}",
    )
    data = {"reason": record["reason"], "detail": plain(record["detail"]), "transmitted": record["transmitted"]}
    return Step(record["parked_at"], "parked", about, found.place, told, data)


def _consent(found: Found) -> Step:
    record = found.record
    if record is None:
        what = "was erased: nothing is provided" if found.value is None else "can't be read: nothing is provided"
        return Step(found.timestamp, "consent", "", found.place, (f"the customer's consent {what}",), {"status": None})
    record_id = id_or_place(record["record_id"], found.place)
    told = (
        f"the customer's consent became {record['status']}: version {record['consent_version']} "
        f"({record_id}), policy version {shown_day(record['policy_version'])}",
    )
    data = {"status": record["status"], "consent_version": record["consent_version"], "record_id": record_id}
    return Step(found.timestamp, "consent", "", found.place, told, data)


def _holds(traces: Traces) -> Iterator[Step]:
    for found in in_force(traces.controls, traces.began_at or 0):
        record = found.record or {}
        held = "held" if record["state"] == "held" else "released"
        what = "all" if record["value"] is None else f"{record['scope']} {plain(record['value'])}"
        ends = "" if record["expires_at"] is None else f", ends by itself {times.shown(record['expires_at'])}"
        words = {name: plain(record[name]) for name in ("operator", "reason", "ticket")}
        told = (
            f"{what}, by {words['operator']}: {words['reason']} ({words['ticket']}){ends if held == 'held' else ''}",
        )
        yield Step(record["at"], held, "", id_or_place(record["hold_id"], found.place), told, {**words, "scope": what})


def _notes(traces: Traces) -> Iterator[str]:
    announced = {place for place, _, _ in traces.announced}
    if len(traces.entries) > len(traces.ends):
        yield "more than one terminal ledger record for one input: see `gateway ledger verify`"
    if traces.is_ledger_damaged:
        yield "some ledger records can't be read: the story may lack an end"
    for place, end in traces.ends.items():
        if end.record["announced_at"] is not None and place not in announced:
            yield f"{shown_place(place)} was announced, but its intents are gone: they are kept for 30 days at least"
    if traces.elsewhere:
        yield f"{len(traces.elsewhere):,} ledger records about this event are from another Kafka cluster, and not told"
    for place in traces.places:
        if place not in traces.ends:
            yield f"{shown_place(place)} is not settled yet: see its lane with `gateway lanes show`"
