"""Forming batches: whose turn it is, who rides along, who must be checked or asked about first. (steps h, j)

Knows the order of subjects and the bounds of a batch. Must not know slots, transactions or fences.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.decide import Permit
from gateway.core.entry import Announcement, Entry, Held, State
from gateway.core.facts import OutgoingEntry
from gateway.core.judge import Judge
from gateway.core.order import SubjectOrder
from gateway.core.outcome import SentEntry
from gateway.core.rules import Limits


@dataclass(slots=True)
class Batch:
    """The entries of one POST, and the announcement they go under."""

    announcement: Announcement
    entries: list[Entry] = field(default_factory=list)

    def outgoing(self) -> tuple[OutgoingEntry, ...]:
        """As they are sent."""
        return tuple(_outgoing(entry) for entry in self.entries)

    def sent(self) -> tuple[SentEntry, ...]:
        """What must be known of them to understand the answer."""
        return tuple(_sent(entry) for entry in self.entries)


@dataclass(slots=True)
class Passed:
    """Whose turn came, but who can't be announced before something else."""

    checks: list[Entry] = field(default_factory=list)  # a fence must confirm that they may not go, or not so
    asks: list[Entry] = field(default_factory=list)  # replays: a lookup must show that GeNiE has not got them


class Batching:
    """Takes entries out of the order of subjects."""

    __slots__ = ("_judge", "_limits", "_made", "_order", "_prefix", "passed")

    def __init__(self, order: SubjectOrder, judge: Judge, limits: Limits, prefix: str) -> None:
        self._order = order
        self._judge = judge
        self._limits = limits
        self._prefix = prefix  # of the names of batches: no other machine's are like them
        self._made = 0
        self.passed = Passed()

    def take_passed(self) -> Passed:
        """Those passed over since this was last called."""
        passed, self.passed = self.passed, Passed()
        return passed

    def form(self, now: int, below: int) -> Batch | None:
        """Announce heads of lines, and what rides behind them, all with offsets `below`; None if there are none."""
        self._made += 1
        batch = Batch(Announcement(f"{self._prefix}/{self._made}", now, now + self._limits.expires_ms))
        keys: set[str] = set()
        limit, below = self._limits.batch, self._order.reach(below)
        while len(batch.entries) < limit and (head := self._order.next_head()) is not None:
            own = min(limit, head.batch_limit or limit)
            if len(batch.entries) >= own or not self._line_up(head, batch, keys, own, below):
                self._order.requeue(head)
                break
            limit = own
        return batch if batch.entries else None

    def _line_up(self, head: Entry, batch: Batch, keys: set[str], limit: int, below: int) -> bool:
        """Let a head and what may ride behind it join the batch; False if the head itself must wait."""
        announcement, checks = batch.announcement, self.passed.checks
        checking = False
        for entry in self._order.line(head):
            if entry.batch_limit:
                limit = min(limit, entry.batch_limit)
            key, offset = entry.record.idempotency_key, entry.record.offset
            if entry.state is not State.QUEUED or len(batch.entries) >= limit or key in keys or offset >= below:
                return entry is not head
            if entry.must_ask:
                if entry is head:  # not earlier: one before it may be of the same event
                    self.passed.asks.append(entry)
                return True
            permit = self._judge.judge(entry, announcement.announced_at, announcement.expires_at)
            if not isinstance(permit, Permit) or not self._judge.may_send(entry, permit):
                entry.state = State.CHECKING
                checks.append(entry)
                checking = True
            elif checking:  # it would overtake one that the fence may yet permit
                return True
            elif not _cites(batch, permit.scope.policy_version):
                return entry is not head
            else:
                self._announce(entry, permit, batch)
                keys.add(key)
        return True

    def _announce(self, entry: Entry, permit: Permit, batch: Batch) -> None:
        made, consent = self._judge.make(entry, permit), permit.consent
        entry.state = State.ANNOUNCED
        entry.announce(Held(made.scope, made.digest, consent.record_id, consent.version, batch.announcement))
        batch.entries.append(entry)


def _cites(batch: Batch, policy_version: int) -> bool:
    """An intent cites one policy version."""
    return not batch.entries or batch.entries[0].held[-1].scope.policy_version == policy_version


def _outgoing(entry: Entry) -> OutgoingEntry:
    if entry.made is None:
        raise AssertionError("an entry is sent with its body")
    record = entry.record
    return OutgoingEntry(record.idempotency_key, record.origin, record.source_digest, entry.made.body)


def _sent(entry: Entry) -> SentEntry:
    record = entry.record
    return SentEntry(record.idempotency_key, record.origin, record.source_digest, entry.held[-1].digest)
