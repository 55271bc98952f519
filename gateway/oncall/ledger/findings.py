"""What a look at the ledger found wrong: counted in full, listed up to a bound.

Knows the kinds of findings, each with what it means and what to do. Must not know how any is found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, NamedTuple, Self

LISTED_MAX = 100_000  # of each kind; all are counted


class Kind(Enum):
    """What can be wrong: (code, what it means, what to do)."""

    code: str
    sentence: str
    remedy: str

    def __new__(cls, code: str, sentence: str, remedy: str) -> Self:
        member = object.__new__(cls)
        member._value_ = member.code = code
        member.sentence = sentence
        member.remedy = remedy
        return member

    # --- verify: the ledger against the inputs
    LOST = (
        "lost",
        "The gateway went past this input, and the ledger has no record of it.",
        "See `gateway explain --offset PLACE`. If no lane was begun behind it on purpose, replay it by its offset and "
        "tell the developers: this must not happen.",
    )
    DUPLICATED = (
        "duplicated",
        "The ledger has more than one terminal record of this input.",
        "Tell the developers: this must not happen. `gateway ledger reconcile` says which of them GeNiE confirms.",
    )
    NEVER_DELIVERED = (
        "never_delivered",
        "The ledger has a record about an offset at which no input was ever delivered.",
        "Find out what wrote it: the topic may have been made anew, or something else writes to the ledger.",
    )
    OTHER_CONTENT = (
        "other_content",
        "source_digest is not the digest of this input's value.",
        "If nearly all are so, --key-file is not the key that the gateway uses. Else find out what wrote the record.",
    )
    PROVIDED_TWICE = (
        "provided_twice",
        "More than one record says that this event was PROVIDED.",
        "`gateway ledger reconcile` says what GeNiE has; tell the developers: this must not happen.",
    )
    CONTRADICTION = (
        "contradiction",
        "The ledger record contradicts itself.",
        "Find out what wrote it; ask GeNiE by `gateway ledger reconcile` what it has.",
    )
    ANNOUNCED_NOTHING = (
        "announced_nothing",
        "A batch was announced with an offset at which no input was ever delivered.",
        "Find out what wrote the intent: the topic may have been made anew.",
    )
    PARKED_MISSING = (
        "parked_missing",
        "The ledger says PARKED, but on-call's list does not have it, and no replay settled it.",
        "Replay it by its offset (`gateway replay plan`); tell the developers.",
    )
    PARKED_REMOVED = (
        "parked_removed",
        "It was taken from on-call's list, and no replay of it is in the ledger.",
        "Find out who wrote the tombstone; replay it by its offset.",
    )
    PARKED_LEFT = (
        "parked_left",
        "A replay settled it, but it is still on on-call's list.",
        "Do not replay it again; tell the developers.",
    )
    PARKED_UNFOUNDED = (
        "parked_unfounded",
        "It is on on-call's list, but the ledger does not say PARKED.",
        "Find out what wrote the parked record; the ledger counts.",
    )
    UNREADABLE = (
        "unreadable",
        "A record of ours can't be read, so what it says was not checked.",
        "Check --registry; find out what wrote it.",
    )

    # --- reconcile: the ledger against GeNiE's books
    NOT_AT_GENIE = (
        "not_at_genie",
        "The ledger says that GeNiE has it; GeNiE says that it does not.",
        "Send GeNiE the key and the receipt: it must keep keys and answers for three years. Provide again by a replay "
        "only once GeNiE has answered.",
    )
    OTHER_BODY = (
        "other_body",
        "GeNiE has another body under this key than the ledger says.",
        "Send GeNiE the key and both digests; until it is settled, tell the privacy desk that the items are in doubt.",
    )
    OTHER_RECEIPT = (
        "other_receipt",
        "GeNiE names another receipt, or another input, than the ledger has.",
        "Send GeNiE the key and both receipts.",
    )
    NOT_RECORDED = (
        "not_recorded",
        "GeNiE has what the ledger says was not provided.",
        "Tell the privacy desk at once: it is a provision without a record. See `gateway explain`; list it to GeNiE by "
        "`gateway ledger disclose --stop-notice`.",
    )
    NO_ANSWER = (
        "no_answer",
        "GeNiE gave no usable answer about this key, though it answered.",
        "Ask again later; if it stays so, send GeNiE the key.",
    )


class Finding(NamedTuple):
    """One thing found: about which input (or record of ours), and what exactly."""

    kind: str  # a Kind's code
    topic: str
    partition: int
    offset: int
    what: str

    @property
    def place(self) -> str:
        """topic:partition:offset"""
        return f"{self.topic}:{self.partition}:{self.offset}"


class Findings:
    """All that was found so far."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._listed: dict[str, list[Finding]] = {}

    def __bool__(self) -> bool:
        return bool(self.counts)

    def add(self, kind: Kind, topic: str, partition: int, offset: int, what: str = "") -> None:
        self.counts[kind.code] += 1
        listed = self._listed.setdefault(kind.code, [])
        if len(listed) < LISTED_MAX:
            listed.append(Finding(kind.code, topic, partition, offset, what))

    def of(self, kind: Kind) -> list[Finding]:
        """Those that are listed, in order of their places."""
        return sorted(self._listed.get(kind.code, ()))

    def saved(self) -> dict[str, Any]:
        """For a state file."""
        return {"counts": self.counts, "listed": {kind: list(map(list, some)) for kind, some in self._listed.items()}}

    @classmethod
    def restored(cls, saved: Mapping[str, Any]) -> Findings:
        """What `saved` was made of."""
        findings = cls()
        findings.counts.update(saved["counts"])
        listed: Iterable[tuple[str, list[Any]]] = saved["listed"].items()
        findings._listed = {kind: [Finding(*each) for each in some] for kind, some in listed}
        return findings
