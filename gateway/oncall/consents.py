"""What the consent records say, as every gateway's view of them does.

Knows the rules of the view, because it applies its very code, and what would be decided today. Must not know how any
of it is printed. There is no personal data in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiokafka.structs import TopicPartition

from gateway import schemas
from gateway.core.canonical import iso_day
from gateway.core.consent import Consent, ConsentState, Denied
from gateway.core.decide import Permit, decide
from gateway.core.events import LAST_MS, Event, EventType, Layout, jst_day
from gateway.core.policy import Policy
from gateway.core.reasons import Reason
from gateway.kafka.codec import Decoded
from gateway.kafka.scan import scan
from gateway.kafka.view_reader import LOGGED_OF_EACH, ViewCounts, ViewReader
from gateway.kafka.view_rows import Seen
from gateway.kafka.view_store import Origin, ViewStore
from gateway.oncall import times
from gateway.oncall.desk import Desk

EXPIRES_MS, SKEW_MS = 30_000, 5_000  # as by default: of an attempt made now
HISTORY_MAX = 1_000  # records of one subject that are told; older ones are only counted
UNKNOWN_VERSION, UNKNOWN_PURPOSE = "(not in the policy)", "(not in the policy)"
PROVIDED = "provided"
_FIELDS = tuple(field["name"] for field in schemas.schema("ConsentRecord").source["fields"])


@dataclass(frozen=True, slots=True)
class Heard:
    """One record about a subject, and their state behind it. `record` is None of a tombstone and of what can't be
    read, and has the fields of our own schema alone."""

    partition: int
    offset: int
    appended_at: int
    tombstone: bool
    record: dict[str, Any] | None
    state: ConsentState


@dataclass(frozen=True, slots=True)
class Today:
    """What would become of an event of this type that happened now."""

    event_type: EventType
    decision: Permit | Reason


@dataclass(frozen=True, slots=True)
class History:
    """All that the topic still has about a subject, oldest first in each partition."""

    heard: tuple[Heard, ...]
    state: ConsentState
    left_out: int

    @property
    def status_since(self) -> int | None:
        """Since when the consent has the status that holds now, ms; None if no record says, or none that can be."""
        if not isinstance(self.state, Consent):
            return None
        now = (each.record for each in reversed(self.heard) if each.state == self.state and each.record is not None)
        record = next(now, None)
        since = record["status_updated_at"] if record is not None else None
        return since if since is not None and 0 <= since <= LAST_MS else None


async def history(desk: Desk, subject_ref: str) -> History:
    """Read the topic for one subject. Raises KafkaUnavailableError, TopicMissingError, RegistryAway."""
    topic, needle = desk.names.consents, subject_ref.encode()
    reader = ViewReader(desk.codec, topic, _unlogged())
    seen: dict[str, Seen | None] = {}
    heard: list[Heard] = []
    left_out = 0

    async def take(raws: Sequence[Any]) -> None:
        nonlocal left_out
        about = [raw for raw in raws if needle in (raw.key or b"") or needle in (raw.value or b"")]
        await desk.codec.prepare([raw.value for raw in about])
        for raw in about:
            changes = reader.read([raw], lambda subjects: {subject: seen.get(subject) for subject in subjects})
            seen.update(changes.seen)
            if subject_ref not in changes.seen:  # of one whose reference only begins or ends alike
                continue
            decoded = desk.codec.decode(topic, raw.value)
            record = {name: decoded.record[name] for name in _FIELDS} if isinstance(decoded, Decoded) else None
            if len(heard) == HISTORY_MAX:
                heard.pop(0)
                left_out += 1
            state = changes.seen[subject_ref].state
            heard.append(Heard(raw.partition, raw.offset, raw.timestamp, raw.value is None, record, state))

    await scan(desk.connection, desk.client, topic, take, desk.tell)
    last = seen.get(subject_ref)
    return History(tuple(heard), None if last is None else last.state, left_out)


def today(state: ConsentState, subject_ref: str, policy: Policy, now: int) -> list[Today]:
    """What would be decided about an event of each type that happened now, and is owed to us."""
    return [Today(kind, _decided(kind, state, subject_ref, policy, now)) for kind in EventType]


def _decided(kind: EventType, state: ConsentState, subject_ref: str, policy: Policy, now: int) -> Permit | Reason:
    refs = state.contract_refs if isinstance(state, Consent) else None
    contract = min(refs) if refs and kind is EventType.LEASE_PAYMENT else None
    event = Event(
        kind, "", subject_ref, contract, now, (jst_day(now),), True, False, Layout(0, {}), _record(kind, policy, now)
    )
    return decide(event, state, policy, now=now, expires_at=now + EXPIRES_MS, skew_ms=SKEW_MS)


def _record(kind: EventType, policy: Policy, now: int) -> dict[str, Any]:
    """As much of an event as decisions look at: a score of the newest model, with all its inputs of now."""
    if kind is not EventType.NOREL_SCORE_UPDATE:
        return {}
    (model, version), sources = max(policy.score_inputs.items())
    inputs = [{"input_id": name, "source": source, "observed_at": now} for name, source in sources.items()]
    return {"model_id": model, "model_version": version, "inputs": inputs}


# --- all subjects -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stats:
    """Subjects by what holds for them now; `today` counts (event type, provided or the reason why not)."""

    at: int
    records: int
    subjects: int
    statuses: Counter[str]
    versions: Counter[str]
    opted_out: Counter[str]
    denied: Counter[str]
    today: Counter[tuple[str, str]]
    unreadable: int


async def stats(desk: Desk, policy: Policy) -> Stats:
    """Read the topic for all subjects; their states lie on disk meanwhile, so memory is bounded.

    Raises KafkaUnavailableError, TopicMissingError, RegistryAway, ViewFullError.
    """
    now, topic, counts = times.now_ms(), desk.names.consents, _unlogged()
    told = Counter[tuple[str, str, str]]()
    reader = ViewReader(desk.codec, topic, counts)
    with TemporaryDirectory(prefix="gateway-consents-") as directory:
        store = ViewStore.open(Path(directory), Origin(desk.cluster_id, {}), now=now, max_idle_ms=now)

        async def take(raws: Sequence[Any]) -> None:
            await desk.codec.prepare([raw.value for raw in raws])
            changes = reader.read(raws, store.seen)
            for seen in store.seen(changes.seen).values():
                if seen is not None:
                    told.subtract(_facets(seen.state, policy, now))
            for seen in changes.seen.values():
                told.update(_facets(seen.state, policy, now))
            store.write(changes.seen, {}, dict[TopicPartition, int]())

        try:
            await scan(desk.connection, desk.client, topic, take, desk.tell)
            subjects = store.count()
        finally:
            store.close()
    facets = {name: Counter[str]() for name in ("status", "version", "opted_out", "denied")}
    for (name, first, _), count in told.items():
        if name in facets and count:
            facets[name][first] += count
    return Stats(
        now,
        counts.read - LOGGED_OF_EACH,
        subjects,
        facets["status"],
        facets["version"],
        facets["opted_out"],
        facets["denied"],
        Counter({(kind, how): count for (name, kind, how), count in told.items() if name == "today" and count}),
        counts.unreadable_consents - LOGGED_OF_EACH,
    )


def _unlogged() -> ViewCounts:
    """The reader logs the first of each kind of finding; here they are told in the answer."""
    return ViewCounts(*[LOGGED_OF_EACH] * len(ViewCounts.__slots__))


def _facets(state: ConsentState, policy: Policy, now: int) -> Iterator[tuple[str, str, str]]:
    """All under which a subject is counted; of words that are not the policy's, one each: they could be any number."""
    if isinstance(state, Denied):
        yield "denied", state.reason.code, ""
    elif state is not None:
        yield "status", state.status.value, ""
        known = state.policy_version in policy.versions
        yield "version", iso_day(state.policy_version) if known else UNKNOWN_VERSION, ""
        for purpose in {each if each in policy.purposes else UNKNOWN_PURPOSE for each in state.opted_out}:
            yield "opted_out", purpose, ""
    subject_ref = state.subject_ref if isinstance(state, Consent) else ""
    for each in today(state, subject_ref, policy, now):
        how = each.decision.code if isinstance(each.decision, Reason) else PROVIDED
        yield "today", each.event_type.code, how
