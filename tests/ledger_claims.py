"""What a ledger record says of GeNiE, held against GeNiE's books: for the model and the world of the lane.

Knows the words of the ledger. Must not know how a world keeps its records and books.
"""

from __future__ import annotations

from gateway.core.reasons import Outcome, Reason

AT_GENIE = {Outcome.PROVIDED.value, Outcome.DUPLICATE.value, Outcome.SUPERSEDED.value}
TRUE_CLAIM = "what the ledger says GeNiE has, it has"
TRUE_REJECTION = "what is parked as rejected was rejected"


def untrue(outcome: str, reason: str, transmitted: str, status: str | None, *, ours: bool) -> str | None:
    """The promise that a record breaks. `status` is what GeNiE has its key under, None if it has not got it; `ours`
    says whether it has it from this very record."""
    if outcome in AT_GENIE or reason == Reason.EVENT_ID_REUSED.value:
        true = status is not None and transmitted == "yes"
        if outcome == Outcome.SUPERSEDED.value:
            true = true and status == "superseded"
        return None if true else TRUE_CLAIM
    if reason == Reason.REJECTED_BY_GENIE.value and ours:
        return TRUE_REJECTION
    return None
