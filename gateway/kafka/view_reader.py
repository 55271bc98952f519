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


@dataclass(frozen=True, slots=True)
class Control:
    """The hold that a control record sets, or None where it releases one. What can't be read holds everything."""

    hold_id: str
    hold: Hold | None
    record: Mapping[str, Any] | None = None  # None of a tombstone, and of what can't be read
    readable: bool = True


class ViewReader:
    """Reads delivered records in order. Their schemas must have been prepared in the codec."""

    def __init__(self, codec: Codec, consents: str, counts: ViewCounts) -> None:
        self._codec = codec
        self._consents = consents
        self._counts = counts

    def read(self, records: Sequence[Any], look_up: LookUp) -> Changes:
        """What these records change in the states that `look_up` tells."""
        changes = Changes()
        owners = [check_ref(record.key or b"") for record in records]
        before = dict(look_up({owner for owner in owners if owner is not None}))
        for record, owner in zip(records, owners, strict=True):
            self._counts.read += 1
            if record.topic != self._consents:
                control = self._control(record)
                changes.holds[control.hold_id] = control.hold
                continue
            subjects, said = self._consent(record, owner)
            for subject in subjects:
                if subject not in before:  # named in the value alone
                    before.update(look_up([subject]))
                before[subject] = changes.seen[subject] = self._after(record, before[subject], said)
        return changes

    def _consent(self, record: Any, owner: str | None) -> tuple[Iterable[str], Consent | Reason]:
        """The subjects that a record is about, and their consent, or why they are denied."""
        if record.value is None:
            self._counts.tombstones += 1
            return _known(owner), Reason.NO_CONSENT
        consent = self._parsed(record)
        if consent is not None and consent.subject_ref == owner:
            return (owner,), consent
        self._counts.unreadable_consents += 1
        if self._counts.unreadable_consents <= LOGGED_OF_EACH:
            log.warning(
                "consent record cannot be read or its key is not its subject",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
            )
        return _known(owner, consent.subject_ref if consent is not None else None), Reason.CONSENT_UNKNOWN

    def _after(self, record: Any, before: Seen | None, said: Consent | Reason) -> Seen:
        """The new state; denied if the subject's records were in another partition: their order is unknown."""
        if before is None:
            return Seen(record.partition, deny(None, said) if isinstance(said, Reason) else said)
        state = before.state
        after = deny(state, said) if isinstance(said, Reason) else self._successor(record, state, said)
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
        newer = after.version != state.version
        home = record.partition if newer else before.partition
        return Seen(home, deny(after, Reason.CONSENT_SUPERSEDED_VERSION))

    def _successor(self, record: Any, state: ConsentState, consent: Consent) -> Consent | Denied:
        after = successor(state, consent)
        if isinstance(after, Denied):
            self._counts.went_back += 1
            if self._counts.went_back <= LOGGED_OF_EACH:
                log.warning(
                    "consent version went back", topic=record.topic, partition=record.partition, offset=record.offset
                )
        return after

    def _parsed(self, record: Any) -> Consent | None:
        decoded = self._codec.decode(record.topic, record.value)
        if not isinstance(decoded, Decoded):
            return None
        try:
            return parse_consent(decoded.record)
        except InvalidConsentError:
            return None

    def _control(self, record: Any) -> Control:
        control = read_control(self._codec, record)
        if control.readable:
            return control
        self._counts.unreadable_controls += 1
        if self._counts.unreadable_controls <= LOGGED_OF_EACH:
            log.warning(
                "control record cannot be read so everything is held",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
            )
        return control


def read_control(codec: Codec, record: Any) -> Control:
    """What a record of the controls says of the hold that its key names. Its schema must have been prepared."""
    key = (record.key or b"")[:HOLD_ID_BYTES].decode("utf-8", "backslashreplace") or "(no key)"
    if record.value is None:
        return Control(key, None)
    decoded = codec.decode(record.topic, record.value)
    if isinstance(decoded, Decoded) and decoded.record["hold_id"] == key:
        try:
            return Control(key, parse_control(decoded.record), decoded.record)
        except InvalidHoldError:
            pass
    return Control(key, Hold(key, HoldScope.ALL, None, None), readable=False)


def _known(*subjects: str | None) -> list[str]:
    return [subject for subject in subjects if subject is not None]
