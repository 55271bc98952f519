"""Holds the ledger, the intents and on-call's list against the inputs of one lane, offset by offset.

Knows what must be so of each offset. Must not know topics, clocks or how anything is read. The inputs come first, then
where the lane stands, then the ledger: what the lane had settled then must be in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka.structs import TopicPartition

from gateway.core.traces import CLOCKS_DIFFER_MS
from gateway.oncall.ledger.findings import Findings, Kind
from gateway.oncall.ledger.offsets import Digests, OffsetSet
from gateway.oncall.ledger.standing import UNKNOWN, Standing

_SETS = ("delivered", "settled", "announced", "due", "listed", "removed", "replayed", "replayed_later", "ahead")

_PLAIN = ("topic", "partition", "start", "log_start", "began_at", "end", "log_end", "gone", "other_log")


@dataclass(slots=True)
class Lane:
    """One input partition: the offsets of the range, and what was found out about each."""

    topic: str
    partition: int
    start: int  # the first offset of the range
    log_start: int
    began_at: int | None  # when the first record that the log holds was appended, ms
    end: int = 0  # the offset after the range, once its inputs were read
    log_end: int = 0  # once all was read
    standing: Standing = UNKNOWN  # before the ledger was read
    gone: int = 0  # ledger records about inputs that have left the topic
    other_log: int = 0  # ledger records about an earlier topic of this name
    delivered: OffsetSet = field(default_factory=OffsetSet)
    settled: OffsetSet = field(default_factory=OffsetSet)
    announced: OffsetSet = field(default_factory=OffsetSet)
    due: OffsetSet = field(default_factory=OffsetSet)  # the ledger says PARKED
    listed: OffsetSet = field(default_factory=OffsetSet)  # on on-call's list
    removed: OffsetSet = field(default_factory=OffsetSet)  # was taken from it
    replayed: OffsetSet = field(default_factory=OffsetSet)  # a replay of it is settled
    replayed_later: OffsetSet = field(default_factory=OffsetSet)  # the same, after on-call's list was read
    ahead: OffsetSet = field(default_factory=OffsetSet)  # settled behind the range, perhaps of no input at all
    digests: Digests = field(default_factory=Digests)

    @property
    def name(self) -> str:
        """As lanes are called."""
        return f"{self.topic}:{self.partition}"

    @property
    def at(self) -> TopicPartition:
        """As Kafka's client names it."""
        return TopicPartition(self.topic, self.partition)

    def deliver(self, offset: int, digest: bytes | None) -> None:
        """An input of the range."""
        self.delivered.add(offset)
        self.end = offset + 1
        if digest is not None:
            self.digests.put(offset, digest)

    def may_hold(self, offset: int) -> bool:
        """Whether the range has this offset, or may have had it before it left the topic."""
        return offset < self.end and (offset >= self.start or self.start <= self.log_start)

    def is_of_range(self, offset: int, timestamp: int, since: int | None, until: int | None) -> bool:
        """Whether a ledger record about this offset is to be looked at; those that are of another log are counted.

        An input that has left the topic is of the range by the time that the ledger says it had. Of an earlier topic of
        this name is what is dated before the first record that the log holds, by more than clocks may differ: a topic
        made anew within these 10 s of its end is not told apart.
        """
        if self.began_at is not None and offset >= self.log_start and timestamp < self.began_at - CLOCKS_DIFFER_MS:
            self.other_log += 1
            return False
        if offset >= self.log_start or self.start > self.log_start:
            if offset >= self.end:
                self.ahead.add(offset)
            return self.start <= offset < self.end
        if (since is not None and timestamp < since) or (until is not None and timestamp >= until):
            return False
        self.gone += 1
        return True

    @property
    def open(self) -> int:
        """How many are not settled yet and need not be."""
        return sum(not self.standing.has_settled(offset) for offset in self.delivered.without(self.settled))

    @property
    def gone_unsettled(self) -> int:
        """How many offsets that have left the topic have no record, behind the first that has one."""
        end = min(self.log_start, self.end)
        gone = [offset for offset in self.settled if offset < end]
        if not gone:
            return 0
        read = sum(gone[0] < offset < end for offset in self.delivered.without(self.settled))  # before they left
        return end - gone[0] - len(gone) - read

    def judge(self, findings: Findings) -> None:
        """What is wrong, now that all is read."""

        def add(kind: Kind, offset: int, what: str = "") -> None:
            findings.add(kind, self.topic, self.partition, offset, what)

        for offset in self._lost():
            add(Kind.LOST, offset, "it was announced: GeNiE may have it" if offset in self.announced else "")
        for offset in self._there(self.settled.without(self.delivered)):
            add(Kind.NEVER_DELIVERED, offset)
        for offset in self.ahead:
            if offset >= self.log_end:
                add(Kind.NEVER_DELIVERED, offset, f"the topic ends at {self.log_end}")
        for offset in self._there(self.announced.without(self.delivered, self.settled)):
            add(Kind.ANNOUNCED_NOTHING, offset)
        for offset in self.due.without(self.listed, self.replayed, self.replayed_later):
            add(Kind.PARKED_REMOVED if offset in self.removed else Kind.PARKED_MISSING, offset)
        for offset in self.listed:
            if offset in self.replayed:
                add(Kind.PARKED_LEFT, offset)
            elif offset in self.settled and offset not in self.due:
                add(Kind.PARKED_UNFOUNDED, offset)

    def _lost(self) -> Iterator[int]:
        return (offset for offset in self.delivered.without(self.settled) if self.standing.has_settled(offset))

    def _there(self, offsets: Iterator[int]) -> Iterator[int]:
        """Of what has left the topic nobody knows whether it was delivered."""
        return (offset for offset in offsets if offset >= self.log_start)

    # --- for a state file -----------------------------------------------------------------------------------

    def saved(self) -> dict[str, Any]:
        """All but the pages."""
        return {name: getattr(self, name) for name in _PLAIN} | {
            "standing": [self.standing.watermark, sorted(self.standing.beyond)]
        }

    def pages(self) -> Iterator[tuple[str, bytes]]:
        """The pages, by name."""
        for name in (*_SETS, "digests"):
            for number, page in getattr(self, name).pages().items():
                yield f"{self.name}/{name}/{number}", page

    @classmethod
    def restored(cls, saved: Mapping[str, Any], pages: Mapping[str, bytes]) -> Lane:
        """What `saved` and `pages` were made of."""
        watermark, beyond = saved["standing"]
        lane = cls(**{**saved, "standing": Standing(watermark, frozenset(beyond))})
        for name in _SETS:
            setattr(lane, name, OffsetSet(under(pages, f"{lane.name}/{name}/")))
        lane.digests = Digests(under(pages, f"{lane.name}/digests/"))
        return lane


def under(pages: Mapping[str, bytes], prefix: str) -> dict[str, bytes]:
    """The pages whose names begin so, without that beginning."""
    return {name.removeprefix(prefix): page for name, page in pages.items() if name.startswith(prefix)}
