"""What the verifier says in the end: six counts, examples of each, and what it counted on the way.

Knows the words of the verdict. Must not know how anything is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Defect(Enum):
    """The six kinds of defect: (name in reports, what one of them is)."""

    sentence: str

    def __new__(cls, name: str, sentence: str) -> Defect:
        member = object.__new__(cls)
        member._value_ = name
        member.sentence = sentence
        return member

    LOST = ("lost", "input records without a terminal ledger record that is true")
    UNRECORDED = ("unrecorded", "events that GeNiE took without a ledger record that says so")
    UNCONSENTED = ("unconsented", "events that GeNiE took without consent at the decision")
    DUPLICATED = ("duplicated", "input records recorded twice, and events provided twice")
    OUT_OF_ORDER = ("out_of_order", "pairs of a subject's events received in the wrong order")
    LEAKED_FIELDS = ("leaked_fields", "fields or values where they may not be")


@dataclass(frozen=True, slots=True)
class Example:
    """One defect: where it is and what is wrong there, never a personal data value."""

    where: str  # topic:partition:offset, receipt or file line
    key: str | None  # idempotency key, if there is one
    what: str


@dataclass(slots=True)
class Findings:
    """Defects as they are found: every one is counted, the first few of each kind are kept."""

    keep: int
    counts: dict[Defect, int] = field(default_factory=lambda: dict.fromkeys(Defect, 0))
    examples: dict[Defect, list[Example]] = field(default_factory=lambda: {defect: [] for defect in Defect})

    def add(self, defect: Defect, where: str, what: str, key: str | None = None, count: int = 1) -> None:
        self.counts[defect] += count
        if len(self.examples[defect]) < self.keep:
            self.examples[defect].append(Example(where, key, what))


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict. `sent_while_held` is no defect of the six, but wrong all the same."""

    lost: int
    unrecorded: int
    unconsented: int
    duplicated: int
    out_of_order: int
    leaked_fields: int
    examples: Mapping[str, tuple[Example, ...]]  # by the name of the count
    produced: int  # input records delivered to a read_committed reader, replay requests not among them
    ledger_records: int
    outcomes: Mapping[str, int]
    reasons: Mapping[str, int]
    partner_received: int  # events that GeNiE took
    sent_while_held: int

    @property
    def defects(self) -> dict[str, int]:
        """The six counts by name."""
        return {defect.value: getattr(self, defect.value) for defect in Defect}

    @property
    def clean(self) -> bool:
        """Nothing at all is wrong."""
        return not any(self.defects.values()) and not self.sent_while_held
