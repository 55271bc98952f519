"""What answers and lookups make of an entry: its ending, or another try. (step f)

Knows when an outcome is final, when an entry is given up, and whose provision a `duplicate` tells of. Must not know
when anything is tried again: that is core/lane.py's. Every wait of an outcome, and what ends it:

    GeNiE says                                      the entry
    accepted, duplicate, superseded                 ends at once, whatever became of earlier attempts
    rejected, key reused                            ends; if it may have been received, after a lookup
    surely not received                             is tried again; refused alone for an hour while GeNiE takes
                                                    others: parked
    nothing, or nothing sure                        may have been received; it is tried again, in smaller batches;
                                                    8 times and alone while GeNiE takes others: parked after a
                                                    lookup; for an hour: a lookup
    on a lookup: received                           ends as the body that GeNiE names
    on a lookup: not received, and too late for it  ends as it was to end, or is announced anew
    on a lookup: anything else                      is asked about again; for an hour: parked with outcome unknown
"""

from __future__ import annotations

from enum import Enum, auto

from gateway.core.batching import Batch
from gateway.core.entry import Ending, Entry, Held
from gateway.core.outcome import BatchOutcome, EntryOutcome, First, LookupResult, LookupStatus, Meaning, Receipt
from gateway.core.reasons import Reason, Transmitted
from gateway.core.rules import Limits

_TAKEN = frozenset({Reason.ACCEPTED, Reason.SAME_EVENT, Reason.NEWER_AT_GENIE})


class Lookup(Enum):
    """What a lookup says that is no ending; and what is said of an entry that needs one."""

    NOT_RECEIVED = auto()  # and no earlier attempt can be received any more
    OPEN = auto()  # it is to be asked about (again)


def is_sure(ending: Ending) -> bool:
    """Whether it holds whatever became of earlier attempts."""
    return ending.reason in _TAKEN


def not_provided(entry: Entry, reason: Reason, decided_at: int) -> Ending:
    """It is withheld, parked or invalid without having been sent, or without having been received."""
    return Ending(reason, Transmitted.NO, decided_at, None, entry.consent)


class Fates:
    """Judges what comes back, and remembers when GeNiE last took an entry."""

    __slots__ = ("_limits", "taken_at")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.taken_at = 0

    # --- answers ------------------------------------------------------------------------------------------

    def answered(
        self, entry: Entry, said: EntryOutcome, batch: Batch, outcome: BatchOutcome, now: int
    ) -> Ending | Lookup | None:
        """What the answer makes of an entry; None: it is to be tried again. Who is given up is asked about before:
        GeNiE may yet accept the last attempt, and a later record of the subject must not overtake it."""
        if said.meaning is Meaning.FINAL:
            return self._final(entry, said, now)
        entry.first_failed_at = entry.first_failed_at or now
        half = max(1, len(batch.entries) // 2)
        if said.meaning is Meaning.UNKNOWN:
            _unknown(entry, outcome, batch.announcement.expires_at, half, now)
            if self._is_given_up(entry, now):
                return Lookup.OPEN
        else:
            self._refused(entry, outcome, half)
        if len(batch.entries) == 1 and self._genie_fails_on(entry, now):
            return Ending(Reason.GENIE_FAILS_ON_ENTRY, Transmitted.NO, entry.decided_at)
        return None

    def _final(self, entry: Entry, said: EntryOutcome, now: int) -> Ending:
        reason, held = said.reason, entry.held[-1]
        if reason is None:
            raise AssertionError("a final outcome has a reason")
        if reason is Reason.ACCEPTED and said.repeated and not _is_ours(entry):
            reason = Reason.SAME_EVENT
        if reason in _TAKEN:
            self.taken_at = now
        return _sent(reason, entry, held, said.receipt, said.problem_type)

    def _refused(self, entry: Entry, outcome: BatchOutcome, half: int) -> None:
        """Surely not received by this attempt."""
        entry.refusals += outcome.stop is None  # a wrong configuration is not the entry's fault
        if outcome.bisect or (entry.refusals and entry.refusals % self._limits.failed_attempts == 0):
            entry.batch_limit = half
        if not entry.maybe_received:
            entry.release()

    def _genie_fails_on(self, entry: Entry, now: int) -> bool:
        """Whether it fails again and again while GeNiE takes others."""
        if self.taken_at <= entry.first_failed_at:
            return False
        too_long = now - entry.first_failed_at > self._limits.unknown_limit_ms
        many = self._limits.failed_attempts
        return entry.unknowns >= many or (too_long and entry.refusals >= many)

    def _is_given_up(self, entry: Entry, now: int) -> bool:
        """Whether it is unknown for too long."""
        if entry.unknowns + entry.asks < self._limits.failed_attempts:  # an outage of an hour is no hour of trying
            return False
        return now - entry.unknown_since > self._limits.unknown_limit_ms

    # --- lookups ------------------------------------------------------------------------------------------

    def looked_up(self, entry: Entry, result: LookupResult | None, as_of: int, now: int) -> Ending | Lookup:
        """What a lookup makes of an entry; `result` is None if nothing usable was said of it."""
        status = result.status if result is not None else None
        if result is not None and result.first is not None and status is LookupStatus.RECEIVED:
            return self._received(entry, result.first, result.receipt)
        if status is LookupStatus.NOT_RECEIVED and as_of > entry.last_expires + self._limits.skew_ms:
            entry.maybe_received = entry.must_ask = False
            entry.unknown_since = entry.asks = 0
            return Lookup.NOT_RECEIVED
        entry.asks += 1
        return _outcome_unknown(entry, now) if self._is_given_up(entry, now) else Lookup.OPEN

    def _received(self, entry: Entry, first: First, receipt: Receipt | None) -> Ending:
        """GeNiE has the key: from this record, with the scope whose digest it names, or from another record."""
        record = entry.record
        held = next((h for h in entry.held if h.digest == first.body_digest), None)
        if first.origin == record.origin and _is_ours(entry):
            reason = Reason.RESOLVED_BY_LOOKUP if held is not None else Reason.OUTCOME_UNKNOWN
        elif held is None and first.source_digest != record.source_digest:
            reason = Reason.EVENT_ID_REUSED
        else:
            same = held is not None or not entry.held
            reason = Reason.SAME_EVENT if same else Reason.SAME_EVENT_OTHER_SCOPE
        return _sent(reason, entry, held, receipt)


def _unknown(entry: Entry, outcome: BatchOutcome, expires_at: int, half: int, now: int) -> None:
    """It may have been received by this attempt."""
    entry.maybe_received = True
    entry.unknown_since = entry.unknown_since or now
    entry.last_expires = max(entry.last_expires, expires_at)
    entry.unknowns += outcome.stop is None  # a wrong configuration is not the entry's fault: it parks nothing
    if entry.unknowns > 1:
        entry.batch_limit = half


def _outcome_unknown(entry: Entry, now: int) -> Ending:
    """It is parked, and a later record resolves it."""
    if not entry.maybe_received:  # a replay that could not be asked about was never sent
        return Ending(Reason.OUTCOME_UNKNOWN, Transmitted.NO, now)
    held = entry.held[-1]
    return Ending(Reason.OUTCOME_UNKNOWN, Transmitted.UNKNOWN, entry.decided_at, held)


def _is_ours(entry: Entry) -> bool:
    """Whether what GeNiE has under this record's own origin came from this record's attempts. A replay has the
    origin of the record that it repeats; it comes when that one is settled, asks before it is first sent, and so
    knows what was there before. Nobody else sends under this origin: all replays of a record lie in one lane."""
    return entry.maybe_received or entry.record.replay_of is None


def _sent(
    reason: Reason, entry: Entry, held: Held | None, receipt: Receipt | None, problem_type: str | None = None
) -> Ending:
    return Ending(reason, Transmitted.YES, entry.decided_at, held, None, receipt, problem_type)
