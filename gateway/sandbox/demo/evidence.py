"""What a finished run came upon, found in the topics and in GeNiE's own counts.

Knows intents, consents and how they meet. Must not know what is right or wrong: that is the verifier's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway import schemas
from gateway.sandbox.demo import receipts
from gateway.sandbox.demo.killer import Killed
from gateway.sandbox.demo.plan import Reached
from gateway.sandbox.demo.tally import Place, Tally
from gateway.sandbox.verifier.topics import Topics

INTENTS = "genie.provision.intents"
CONSENTS = "consent.records"

# After these the sender can't know whether GeNiE took what it sent.
UNKNOWN_OUTCOMES = (
    "bad_gateway",
    "bad_gateway_after_accepting",
    "timeout_after_accepting",
    "reset_before_accepting",
    "reset_after_accepting",
)


@dataclass(slots=True)
class Announcements:
    """How often, and when last, each input record was announced; and when consents came in."""

    times: Counter[Place] = field(default_factory=Counter)
    last_at: dict[Place, int] = field(default_factory=dict)
    consents: dict[str, list[int]] = field(default_factory=dict)  # append times by subject_ref

    def add_intent(self, intent: Mapping[str, Any]) -> None:
        topic, _, partition = intent["lane"].rpartition(":")
        for entry in intent["entries"]:
            place = topic, int(partition), entry["offset"]
            self.times[place] += 1
            self.last_at[place] = max(self.last_at.get(place, 0), intent["announced_at"])

    def add_consent(self, subject_ref: str, appended_at: int) -> None:
        self.consents.setdefault(subject_ref, []).append(appended_at)

    @property
    def retries(self) -> int:
        """Input records that were announced more than once."""
        return sum(1 for times in self.times.values() if times > 1)

    def withdrawn_in_gap(self, tally: Tally, seen: Mapping[str, int]) -> list[Place]:
        """Input records withheld by a consent record that came between their announcement and its decision, and
        that did not come to GeNiE after the announcement. `seen`: when a key last came there."""
        return [
            place
            for place, withheld in tally.withheld.items()
            if self.times[place] > withheld.sends  # the last announcement was not followed by a sending
            and seen.get(withheld.key, 0) < self.last_at[place]
            and self._changed(withheld.subject_ref, self.last_at[place], withheld.decided_at)
        ]

    def _changed(self, subject_ref: str, after: int, until: int) -> bool:
        return any(after <= at <= until for at in self.consents.get(subject_ref, ()))


async def read(bootstrap: str) -> Announcements:
    """Read all intents and consents. Raises TopicsError."""
    found = Announcements()
    async with Topics(bootstrap) as topics:
        async for record in topics.records(INTENTS, _quietly):
            found.add_intent(schemas.decode(record.value or b"")[1])
        async for record in topics.records(CONSENTS, _quietly):
            found.add_consent((record.key or b"").decode(), record.timestamp)
    return found


def reached(
    announced: Announcements,
    gap: Sequence[Place],
    tally: Tally,
    genie: Mapping[str, Any],
    produced: Mapping[str, Any],
    kills: Sequence[Killed],
) -> dict[Reached, int]:
    """Every kind with its count. `genie`: its /stats; `produced`: what the producers said in the end."""
    changes = (count for kind, count in produced["kinds"].items() if kind.startswith("change."))
    return {
        Reached.WITHDRAWN_IN_GAP: len(gap),
        Reached.LOOKUPS: sum(genie["lookups"].values()),
        Reached.UNKNOWN_OUTCOMES: sum(genie["faults"].get(fault, 0) for fault in UNKNOWN_OUTCOMES),
        Reached.RETRIES: announced.retries,
        Reached.PRODUCER_DUPLICATES: tally.reasons["DUPLICATE", "same_event"],
        Reached.CONSENT_CHANGES: sum(changes),
        Reached.ABORTED_INPUTS: produced["aborted"],
        Reached.KILLS: len(kills),
        Reached.KILLS_UNSETTLED: sum(kill.hit(tally.settled_at) for kill in kills),
    }


def gap_in(announced: Announcements, tally: Tally, receipts_file: Path) -> list[Place]:
    """The input records that were withdrawn between announcement and decision."""
    keys = (withheld.key for place, withheld in tally.withheld.items() if place in announced.last_at)
    return announced.withdrawn_in_gap(tally, receipts.last_seen(receipts_file, keys))


def _quietly(topic: str, done: int, total: int) -> None:
    """Nobody waits long enough to want to see it."""
