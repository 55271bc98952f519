"""What may be provided of an entry now: holds, the decision, the body.

Knows which hold pauses the lane and which parks a record, and when a body is the one that was announced. Must not
know when it is asked: a decision is final only behind a fence, and that is core/lane.py's.
"""

from __future__ import annotations

from gateway.core.decide import Permit, decide, still_holds
from gateway.core.entry import Entry, Made
from gateway.core.holds import Holds
from gateway.core.minimise import body_digest
from gateway.core.reasons import Reason
from gateway.core.rules import Rules


class Judge:
    """Decides by the rules, the holds and each entry's consent as last seen."""

    def __init__(self, rules: Rules, holds: Holds) -> None:
        self._rules = rules
        self._lane = rules.origin.lane
        self.holds = holds

    def pauses(self, now: int) -> bool:
        """Whether a hold stops the whole lane."""
        kind = self._rules.event_type
        if kind is None or not self.holds.all:
            return False
        return self.holds.pauses(kind.value, self._lane, now)

    def judge(self, entry: Entry, now: int, expires_at: int) -> Permit | Reason:
        """Permit the attempt that ends at `expires_at`, or say why not."""
        event, rules = entry.event, self._rules
        if self.holds.all and self._is_held(entry, now):
            return Reason.HELD
        skew_ms, last = rules.limits.skew_ms, entry.permit
        unchanged = last is not None and last.consent is entry.consent
        if last and unchanged and still_holds(last, event, now=now, expires_at=expires_at, skew_ms=skew_ms):
            return last
        said = decide(event, entry.consent, rules.policy, now=now, expires_at=expires_at, skew_ms=skew_ms)
        entry.permit = said if isinstance(said, Permit) else None
        return said

    def _is_held(self, entry: Entry, now: int) -> bool:
        """A lane that mixes types is not paused: what is held in it, or where its record came from, is parked."""
        event, replay = entry.event, entry.record.replay_of
        if self.holds.parks(event.subject_ref, now):
            return True
        if self._rules.event_type is not None:
            return False
        lanes = [self._lane] if replay is None else [self._lane, f"{replay.topic}:{replay.partition}"]
        return any(self.holds.pauses(event.type.value, lane, now) for lane in lanes)

    def make(self, entry: Entry, permit: Permit) -> Made:
        """The body, built once for each scope."""
        made = entry.made
        if made is None or (made.scope is not permit.scope and made.scope != permit.scope):
            body = self._rules.minimiser.body(entry.event, permit.scope)
            made = entry.made = Made(permit.scope, body, body_digest(body))
        return made

    def may_send(self, entry: Entry, permit: Permit) -> bool:
        """Whether this body may go before a lookup: what may have been received goes only as it was. (After a
        take-over two bodies may be held, because an intent stays live for its other entries: then neither.)"""
        if not entry.maybe_received:
            return True
        digest = self.make(entry, permit).digest
        return all(held.digest == digest for held in entry.held)

    def is_as_announced(self, entry: Entry, permit: Permit) -> bool:
        """Whether the last announcement names this body, and the consent that permits it."""
        held, consent = entry.held[-1], permit.consent
        if held.consent_version != consent.version or held.consent_record_id != consent.record_id:
            return False
        return self.make(entry, permit).digest == held.digest
