"""What on-call holds back, and whether it stops a lane or parks a subject's records.

Knows the four scopes of a hold and its expiry. Must not know where holds are written or read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class HoldScope(StrEnum):
    """What a hold holds back."""

    ALL = "all"
    EVENT_TYPE = "event_type"
    SUBJECT = "subject"
    INPUT_PARTITION = "input_partition"


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold that is on."""

    hold_id: str
    scope: HoldScope
    value: str | None  # event type, subject_ref or topic:partition; None for all
    expires_at: int | None  # ms

    def is_on(self, now: int) -> bool:
        """Whether it has not ended by itself."""
        return self.expires_at is None or now < self.expires_at


class InvalidHoldError(ValueError):
    """A control record with an impossible value. Its text names the field, never the value."""


def parse_control(record: Mapping[str, Any]) -> Hold | None:
    """The hold that a decoded control record sets; None when it releases one. Raises InvalidHoldError."""
    try:
        state = record["state"]
        hold = Hold(record["hold_id"], HoldScope(record["scope"]), record["value"], record["expires_at"])
    except (LookupError, ValueError):
        raise InvalidHoldError("control record: a field is missing, or scope is unknown") from None
    if state == "released":
        return None
    if state != "held":
        raise InvalidHoldError("control record: state is unknown")
    if (hold.value is None) != (hold.scope is HoldScope.ALL):
        raise InvalidHoldError("control record: value must be given, but not for scope all")
    return hold


class Holds:
    """All holds that are on."""

    __slots__ = ("_pausing", "_subjects", "all")

    def __init__(self, holds: Iterable[Hold] = ()) -> None:
        self.all = tuple(sorted(holds, key=lambda hold: hold.hold_id))
        self._pausing = tuple(hold for hold in self.all if hold.scope is not HoldScope.SUBJECT)
        self._subjects: dict[str | None, list[Hold]] = {}
        for hold in self.all:
            if hold.scope is HoldScope.SUBJECT:
                self._subjects.setdefault(hold.value, []).append(hold)

    def pauses(self, event_type: str, lane: str, now: int) -> bool:
        """Whether events of this type wait in this lane (`topic:partition`)."""
        held = {HoldScope.ALL: None, HoldScope.EVENT_TYPE: event_type, HoldScope.INPUT_PARTITION: lane}
        return any(hold.value == held[hold.scope] and hold.is_on(now) for hold in self._pausing)

    def parks(self, subject_ref: str, now: int) -> bool:
        """Whether this subject's events are set aside."""
        return any(hold.is_on(now) for hold in self._subjects.get(subject_ref, ()))
