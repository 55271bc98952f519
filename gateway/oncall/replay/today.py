"""What would become of an input record today, in the words of a plan. Must not know why it is asked."""

from __future__ import annotations

import sys

from gateway.core import events
from gateway.core.decide import Permit
from gateway.core.events import Event
from gateway.core.reasons import Reason
from gateway.core.values import value
from gateway.kafka.exact import ExactRecord
from gateway.oncall.replay.plan_file import PROVIDE
from gateway.oncall.standing import Standing


@value(frozen=True, slots=True)
class Judged:
    """What would become of one record: PROVIDE or the code of a reason; `subject_ref` is None if none may be
    believed."""

    today: str
    subject_ref: str | None
    event_id: str | None


def judge(standing: Standing, raw: ExactRecord, event: Event | Reason) -> Judged:
    """What a replay of it would come to now; its subject must be known to `standing`."""
    if isinstance(event, Reason):
        return Judged(event.code, None if raw.key is None else events.check_ref(raw.key), None)
    said = standing.decide(event, f"{raw.topic}:{raw.partition}").said
    return Judged(PROVIDE if isinstance(said, Permit) else said.code, sys.intern(event.subject_ref), event.event_id)
