"""What consent and control records make of subjects' states and of holds.

Knows tombstones, records that can't be read, versions that go back and subjects seen in two partitions, and fails
closed on each: deny the subject, or hold everything. Must not know Kafka's client, the disk, or how far a topic
is applied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.consent import (
    Consent,
    ConsentState,
    Denied,
    InvalidConsentError,
    deny,
    parse_consent,
    successor,
)
from gateway.core.events import check_ref
from gateway.core.holds import Hold, HoldScope, InvalidHoldError, parse_control
from gateway.core.reasons import Reason
from gateway.kafka.codec import Codec, Decoded
from gateway.kafka.view_rows import Seen
from gateway.observe.logs import get_logger

LOGGED_OF_EACH = 20  # later findings of the same kind are only counted
HOLD_ID_BYTES = 120  # each may become four characters, and LMDB takes no key of more than 511 bytes

log = get_logger()

LookUp = Callable[[Iterable[str]], Mapping[str, Seen | None]]


@dataclass(slots=True)
class ViewCounts:
    """What was read, since the process started."""

    read: int = 0
    tombstones: int = 0
    unreadable_consents: int = 0
    unreadable_controls: int = 0
    went_back: int = 0
    in_two_partitions: int = 0


@dataclass(slots=True)
class Changes:
    """What some records changed; a hold of None is gone."""

    seen: dict[str, Seen] = field(default_factory=dict)
    holds: dict[str, Hold | None] = field(default_factory=dict)


class ViewReader:
    """Reads delivered records in order. Their schemas must have been prepared in the codec."""

    def __init__(self, codec: Codec, consents: str, counts: ViewCounts) -> None:
        self._codec = codec
        self._consents = consents
        self._counts = counts

    def read(self, records: Sequence[Any], look_up: LookUp) -> Changes:
        """What these records change in the states that `look_up` tells."""
        changes = Changes()
        before = dict(look_up({ref for record in records if (ref := check_ref(record.key or b"")) is not None}))
        for record in records:
            self._counts.read += 1
            if record.topic != self._consents:
                hold_id, hold = self._control(record)
                changes.holds[hold_id] = hold
                continue
            for subject, state_of in self._consent(record).items():
                if subject not in before:  # named in the value alone
                    before.update(look_up([subject]))
                after = self._home(record, before[subject], state_of)
                before[subject] = changes.seen[subject] = after
        return changes

    def _consent(self, record: Any) -> dict[str, Callable[[ConsentState], Consent | Denied]]:
        """The subjects that a record is about, and what it makes of their states."""
        owner = check_ref(record.key or b"")
        if record.value is None:
            self._counts.tombstones += 1
            return {} if owner is None else {owner: lambda state: deny(state, Reason.NO_CONSENT)}
        consent = self._parsed(record)
        if consent is not None and consent.subject_ref == owner:
            return {owner: lambda state: self._successor(record, state, consent)}
        self._counts.unreadable_consents += 1
        if self._counts.unreadable_consents <= LOGGED_OF_EACH:
            log.warning(
                "consent record cannot be read or its key is not its subject",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
            )
        named = consent.subject_ref if consent is not None else None
        return {ref: lambda state: deny(state, Reason.CONSENT_UNKNOWN) for ref in (owner, named) if ref is not None}

    def _successor(self, record: Any, state: ConsentState, consent: Consent) -> Consent | Denied:
        after = successor(state, consent)
        if isinstance(after, Denied):
            self._counts.went_back += 1
            if self._counts.went_back <= LOGGED_OF_EACH:
                log.warning(
                    "consent version went back", topic=record.topic, partition=record.partition, offset=record.offset
                )
        return after

    def _home(self, record: Any, before: Seen | None, state_of: Callable[[ConsentState], Consent | Denied]) -> Seen:
        """The new state; denied if the subject's records were in another partition: their order is unknown."""
        if before is None:
            return Seen(record.partition, state_of(None))
        after = state_of(before.state)
        if before.partition == record.partition:
            return Seen(before.partition, after)
        self._counts.in_two_partitions += 1
        if self._counts.in_two_partitions <= LOGGED_OF_EACH:
            log.warning(
                "subject has consent records in two partitions",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
            )
        newer = after.version != before.state.version
        home = record.partition if newer else before.partition
        return Seen(home, deny(after, Reason.CONSENT_SUPERSEDED_VERSION))

    def _parsed(self, record: Any) -> Consent | None:
        decoded = self._codec.decode(record.topic, record.value)
        if not isinstance(decoded, Decoded):
            return None
        try:
            return parse_consent(decoded.record)
        except InvalidConsentError:
            return None

    def _control(self, record: Any) -> tuple[str, Hold | None]:
        key = (record.key or b"")[:HOLD_ID_BYTES].decode("utf-8", "backslashreplace") or "(no key)"
        if record.value is None:
            return key, None
        decoded = self._codec.decode(record.topic, record.value)
        if isinstance(decoded, Decoded) and decoded.record["hold_id"] == key:
            try:
                return key, parse_control(decoded.record)
            except InvalidHoldError:
                pass
        self._counts.unreadable_controls += 1
        if self._counts.unreadable_controls <= LOGGED_OF_EACH:
            log.warning(
                "control record cannot be read so everything is held",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
            )
        return key, Hold(key, HoldScope.ALL, None, None)
