"""What one ledger record says: of itself, and of what GeNiE has.

Knows the words of the ledger. Must not know other records, topics, or GeNiE's books.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from gateway.core.reasons import Outcome, Reason, Transmitted

Record = Mapping[str, Any]

_OF_REASON = {reason.code: reason.outcome.code for reason in Reason}
_WITH_ITS_BODY = frozenset({Reason.SAME_EVENT.code, Reason.NEWER_AT_GENIE.code})
_YES, _NO, _UNKNOWN = Transmitted.YES.code, Transmitted.NO.code, Transmitted.UNKNOWN.code
_DUE = {  # what transmitted must say; of PARKED it may say anything
    Outcome.PROVIDED.code: _YES,
    Outcome.DUPLICATE.code: _YES,
    Outcome.SUPERSEDED.code: _YES,
    Outcome.WITHHELD.code: _NO,
    Outcome.INVALID.code: _NO,
}


class Claim(Enum):
    """What a record says that GeNiE has under its key."""

    BODY = "GeNiE has exactly the body of this digest"
    SOMETHING = "GeNiE has the event, by another record or in another scope"
    NOTHING = "nothing of this record stayed at GeNiE"
    UNKNOWN = "nobody knows whether GeNiE has it"


def claim(record: Record) -> Claim:
    """What this record says."""
    if record["transmitted"] == _UNKNOWN:
        return Claim.UNKNOWN
    if record["transmitted"] == _NO or record["reason"] == Reason.REJECTED_BY_GENIE.code:
        return Claim.NOTHING
    its_own = record["outcome"] == Outcome.PROVIDED.code or record["reason"] in _WITH_ITS_BODY
    return Claim.BODY if its_own and record["body_digest"] is not None else Claim.SOMETHING


def contradictions(record: Record) -> Iterator[str]:
    """What in this record can't be true together."""
    outcome, reason, transmitted = record["outcome"], record["reason"], record["transmitted"]
    due = _OF_REASON.get(reason, outcome)  # a later release may have more reasons
    if due != outcome:
        yield f"{outcome} for the reason {reason}, which is one of {due}"
    if record["receipt"] is not None and transmitted != _YES:
        yield f"GeNiE's receipt is there, but transmitted says {transmitted}"
    elif transmitted != _DUE.get(outcome, transmitted):
        yield f"{outcome}, but transmitted says {transmitted}"
    if outcome == Outcome.PROVIDED.code:
        lacking = [
            name for name in ("idempotency_key", "body_digest", "consent", "items", "subject_ref") if not record[name]
        ]
        if lacking:
            yield f"PROVIDED without {', '.join(lacking)}"
