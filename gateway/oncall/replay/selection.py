"""Which records a person wants replayed: by how they stand in the ledger, and by what they are.

Knows the words of a selection, and how it is typed. Must not know where records are found.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.events import EventType, check_ref, is_uuid
from gateway.core.reasons import Outcome, Reason
from gateway.oncall import times

Place = tuple[str, int, int]  # topic, partition, offset

MAX_ENTRIES = 200_000  # of a plan: more is another decision than one person's
REPLAYABLE = frozenset({Outcome.PARKED.code, Outcome.WITHHELD.code, Outcome.INVALID.code})  # GeNiE has the others

_OUTCOMES = {each.code: each.outcome.code for each in Reason}
_RANGE = re.compile(r"([A-Za-z0-9._-]{1,249}):(\d{1,9}):(\d{1,18})(?:-(\d{1,18}))?").fullmatch
_PRODUCER = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch


class SelectionError(ValueError):
    """A selection that can't be meant; the text says which option, and what to give instead."""


@dataclass(frozen=True, slots=True)
class Range:
    """Offsets `first` to `last` of one input partition, both included."""

    topic: str
    partition: int
    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> Range:
        """Read T:P:O or T:P:FIRST-LAST. Raises SelectionError."""
        found = _RANGE(text)
        last = None if found is None else int(found[4] or found[3])
        if found is None or last is None or last < int(found[3]):
            raise SelectionError(f"--offset {text}: give topic:partition:offset, or topic:partition:first-last")
        return cls(found[1], int(found[2]), int(found[3]), last)

    def __str__(self) -> str:
        more = "" if self.first == self.last else f"-{self.last}"
        return f"{self.topic}:{self.partition}:{self.first}{more}"

    def places(self) -> Iterator[Place]:
        """Each position of it."""
        return ((self.topic, self.partition, offset) for offset in range(self.first, self.last + 1))


@dataclass(frozen=True, slots=True)
class Selection:
    """All of it must hold of a record as it stands now; an empty part says nothing. Times in ms, of its settling."""

    outcomes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()
    producers: tuple[str, ...] = ()
    event_ids: tuple[str, ...] = ()
    offsets: tuple[Range, ...] = ()
    subjects: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    would_provide: bool = False  # leave out what would not be provided today
    often: bool = False  # take what was replayed too often too

    def __post_init__(self) -> None:
        _each("--outcome", self.outcomes, REPLAYABLE, "GeNiE has the others")
        _each("--ledger-reason", self.reasons, {each.code for each in Reason if each.outcome.code in REPLAYABLE}, "")
        _each("--event-type", self.event_types, {each.code for each in EventType}, "")
        if self.outcomes and any(_OUTCOMES[code] not in self.outcomes for code in self.reasons):
            raise SelectionError("a reason asked for belongs to none of the outcomes asked for: leave --outcome out")
        for text in self.producers:
            if not _PRODUCER(text):
                raise SelectionError("--producer: give the name of a producing service")
        for text in self.event_ids:
            if not is_uuid(text):
                raise SelectionError("--event-id: give a UUID in lower case")
        for text in self.subjects:
            if check_ref(text) is None:
                raise SelectionError("--subject: give a subject_ref")
        if sum(each.last - each.first + 1 for each in self.offsets) > MAX_ENTRIES:
            raise SelectionError(f"--offset: these are more than {MAX_ENTRIES:,} records; make several plans")
        if not any((self.outcomes, self.reasons, self.event_types, self.producers, self.event_ids, self.offsets)) and (
            not self.subjects and self.since is None and self.until is None
        ):
            raise SelectionError("say which records, such as --outcome PARKED, or --parked-reason held --since 2h")

    @property
    def wanted_outcomes(self) -> frozenset[str]:
        """What was asked for, else what its reasons belong to, else what named records may have, else PARKED."""
        if self.outcomes:
            return frozenset(self.outcomes)
        if self.reasons:
            return frozenset(_OUTCOMES[code] for code in self.reasons)
        return REPLAYABLE if self.event_ids or self.offsets else frozenset({Outcome.PARKED.code})

    def fits(self, record: Mapping[str, Any], settled_at: int) -> bool:
        """Whether a ledger record is as asked; where it lies and who produced it apart."""
        return (
            record["outcome"] in self.wanted_outcomes
            and (not self.reasons or record["reason"] in self.reasons)
            and (not self.event_types or record["event_type"] in self.event_types)
            and (not self.event_ids or record["event_id"] in self.event_ids)
            and (not self.subjects or record["subject_ref"] in self.subjects)
            and self.in_time(settled_at)
        )

    def in_time(self, settled_at: int) -> bool:
        """Whether what was settled then is asked for."""
        return (self.since is None or settled_at >= self.since) and (self.until is None or settled_at < self.until)

    def as_json(self) -> dict[str, Any]:
        """As a plan holds it; the empty parts left out."""
        parts: dict[str, Any] = {
            "outcomes": list(self.outcomes),
            "reasons": list(self.reasons),
            "event_types": list(self.event_types),
            "producers": list(self.producers),
            "event_ids": list(self.event_ids),
            "offsets": [str(each) for each in self.offsets],
            "subjects": list(self.subjects),
            "since": None if self.since is None else times.iso(self.since),
            "until": None if self.until is None else times.iso(self.until),
            "would_provide": self.would_provide,
            "often": self.often,
        }
        return {name: value for name, value in parts.items() if value not in ([], None, False)}

    def command(self) -> str:
        """How the same is planned again."""
        return command(self.as_json())


_OPTIONS = {
    "outcomes": "--outcome",
    "reasons": "--ledger-reason",
    "event_types": "--event-type",
    "producers": "--producer",
    "event_ids": "--event-id",
    "offsets": "--offset",
    "subjects": "--subject",
    "since": "--since",
    "until": "--until",
    "would_provide": "--would-provide",
    "often": "--often",
}
_PARKED = frozenset(each.code for each in Reason if each.outcome is Outcome.PARKED)
SHOWN_OF_EACH = 3  # values of one option in a text


def command(selection: Mapping[str, Any]) -> str:
    """What is typed to plan a selection that a plan file holds."""
    words = ["gateway replay plan"]
    for name, option in _OPTIONS.items():
        value = selection.get(name)
        if value is True:
            words.append(option)
        elif isinstance(value, str):
            words.append(f"{option} {shlex.quote(value)}")
        elif isinstance(value, list):
            words += [f"{_asked_by(option, each)} {shlex.quote(str(each))}" for each in value[:SHOWN_OF_EACH]]
            words += ["..."] if len(value) > SHOWN_OF_EACH else []
    return " ".join(words)


def _asked_by(option: str, value: object) -> str:
    """A reason for which records are parked is asked for by name of that."""
    return "--parked-reason" if option == _OPTIONS["reasons"] and value in _PARKED else option


def _each(option: str, given: Sequence[str], known: frozenset[str] | set[str], why: str) -> None:
    for text in given:
        if text not in known:
            raise SelectionError(f"{option} {text[:40]}: give one of {', '.join(sorted(known))}{why and f' ({why})'}")
