"""What a ledger record claims, what it contradicts, and what GeNiE's word on its key makes of it."""

from typing import Any

import pytest

from gateway.core.outcome import First, LookupResult, LookupStatus, Receipt
from gateway.core.reasons import Reason
from gateway.oncall.ledger.books import GENIE_KEEPS_MS, judged
from gateway.oncall.ledger.claims import Claim, claim, contradictions
from gateway.oncall.ledger.findings import Kind
from gateway.oncall.ledger.questions import Said

OURS, OTHERS = bytes([1]) * 32, bytes([2]) * 32
RECEIPT = {"id": "receipt-1", "received_at": 5}


def record(reason: Reason, transmitted: str, **changes: Any) -> dict[str, Any]:
    return {
        "outcome": reason.outcome.code,
        "reason": reason.code,
        "transmitted": transmitted,
        "idempotency_key": "key",
        "body_digest": OURS,
        "source_digest": OURS,
        "receipt": None,
        "consent": {"record_id": "c"},
        "items": ["name"],
        "subject_ref": "subject-1",
        "settled_at": 9,
    } | changes


PROVIDED = record(Reason.ACCEPTED, "yes", receipt=RECEIPT)
WITHHELD = record(Reason.NO_CONSENT, "no", body_digest=None)
UNKNOWN = record(Reason.OUTCOME_UNKNOWN, "unknown")
SAME_EVENT = record(Reason.SAME_EVENT, "yes", source_digest=OTHERS)
OTHER_SCOPE = record(Reason.SAME_EVENT_OTHER_SCOPE, "yes", body_digest=OTHERS)
REJECTED = record(Reason.REJECTED_BY_GENIE, "yes")


def received(body: bytes = OURS, source: bytes = OURS, receipt: str = "receipt-1") -> Said:
    first = First("origin", source, body, 5)
    return Said(LookupResult("key", LookupStatus.RECEIVED, first, Receipt(receipt, 5, bytes(32), "genie")), 9)


NOT_RECEIVED = Said(LookupResult("key", LookupStatus.NOT_RECEIVED), 9)
PROCESSING = Said(LookupResult("key", LookupStatus.PROCESSING), 9)


@pytest.mark.parametrize(
    ("of", "claimed"),
    [
        (PROVIDED, Claim.BODY),
        (record(Reason.RESOLVED_BY_LOOKUP, "yes"), Claim.BODY),
        (SAME_EVENT, Claim.BODY),
        (SAME_EVENT | {"body_digest": None}, Claim.SOMETHING),
        (record(Reason.NEWER_AT_GENIE, "yes"), Claim.BODY),
        (OTHER_SCOPE, Claim.SOMETHING),
        (record(Reason.EVENT_ID_REUSED, "yes"), Claim.SOMETHING),
        (record(Reason.OUTCOME_UNKNOWN, "yes", body_digest=None), Claim.SOMETHING),
        (REJECTED, Claim.NOTHING),
        (WITHHELD, Claim.NOTHING),
        (record(Reason.GENIE_FAILS_ON_ENTRY, "no"), Claim.NOTHING),
        (UNKNOWN, Claim.UNKNOWN),
    ],
)
def test_each_record_claims_something(of: dict[str, Any], claimed: Claim) -> None:
    """Only of its own body, where GeNiE has exactly that."""
    assert claim(of) is claimed
    assert not list(contradictions(of))


@pytest.mark.parametrize(
    ("of", "what"),
    [
        (PROVIDED | {"transmitted": "no"}, "GeNiE's receipt is there, but transmitted says no"),
        (PROVIDED | {"transmitted": "unknown", "receipt": None}, "PROVIDED, but transmitted says unknown"),
        (WITHHELD | {"transmitted": "yes"}, "WITHHELD, but transmitted says yes"),
        (record(Reason.BAD_KEY, "unknown"), "INVALID, but transmitted says unknown"),
        (WITHHELD | {"reason": "accepted"}, "WITHHELD for the reason accepted, which is one of PROVIDED"),
        (PROVIDED | {"items": [], "consent": None}, "PROVIDED without consent, items"),
    ],
)
def test_what_can_not_be_true_together_is_said(of: dict[str, Any], what: str) -> None:
    """In one sentence each."""
    assert list(contradictions(of)) == [what]


def test_a_reason_of_a_later_release_is_believed() -> None:
    """It is text in the ledger for that."""
    assert not list(contradictions(WITHHELD | {"reason": "a_later_reason"}))


@pytest.mark.parametrize(
    ("records", "said", "kinds"),
    [
        ([PROVIDED], received(), []),
        ([PROVIDED, SAME_EVENT, OTHER_SCOPE, WITHHELD, REJECTED, UNKNOWN], received(), []),
        ([WITHHELD, REJECTED], NOT_RECEIVED, []),
        ([OTHER_SCOPE], received(), []),
        ([PROVIDED], NOT_RECEIVED, [Kind.NOT_AT_GENIE]),
        ([PROVIDED, OTHER_SCOPE, WITHHELD], NOT_RECEIVED, [Kind.NOT_AT_GENIE, Kind.NOT_AT_GENIE]),
        ([PROVIDED, SAME_EVENT], received(body=OTHERS), [Kind.OTHER_BODY, Kind.OTHER_BODY]),
        ([PROVIDED], received(source=OTHERS), [Kind.OTHER_RECEIPT]),
        ([SAME_EVENT], received(source=OTHERS, receipt="receipt-2"), []),
        ([PROVIDED], received(receipt="receipt-2"), [Kind.OTHER_RECEIPT]),
        ([WITHHELD], received(), [Kind.NOT_RECORDED]),
        ([REJECTED, WITHHELD], received(), [Kind.NOT_RECORDED]),
        ([PROVIDED], PROCESSING, [Kind.NO_ANSWER]),
        ([WITHHELD], None, [Kind.NO_ANSWER]),
    ],
)
def test_the_ledger_is_held_against_genies_books(
    records: list[dict[str, Any]], said: Said | None, kinds: list[Kind]
) -> None:
    """All records of a key together."""
    found = judged(records, said)
    assert [each.kind for each in found.differences] == kinds
    assert not found.resolutions
    assert found.is_not_recorded == (kinds == [Kind.NOT_RECORDED])


@pytest.mark.parametrize(("age", "kinds"), [(GENIE_KEEPS_MS - 1, [Kind.NOT_AT_GENIE]), (GENIE_KEEPS_MS, [])])
def test_genie_may_forget_what_is_three_years_old(age: int, kinds: list[Kind]) -> None:
    """Not sooner."""
    said = Said(LookupResult("key", LookupStatus.NOT_RECEIVED), 9 + age)
    assert [each.kind for each in judged([PROVIDED], said).differences] == kinds


@pytest.mark.parametrize(
    ("said", "is_received", "what"),
    [
        (
            received(),
            True,
            "GeNiE has the body announced, receipt receipt-1, received at 1970-01-01 09:00:00 JST (00:00:00Z)",
        ),
        (received(body=OTHERS), True, "GeNiE has another body than announced"),
        (NOT_RECEIVED, False, "GeNiE had not received it at 1970-01-01 09:00:00 JST (00:00:00Z)"),
    ],
)
def test_what_nobody_knew_is_resolved(said: Said, is_received: bool, what: str) -> None:
    """A record withheld since changes nothing of it; it is no difference."""
    found = judged([UNKNOWN, WITHHELD], said)
    assert not found.differences
    (resolution,) = found.resolutions
    assert (resolution.record, resolution.received) == (UNKNOWN, is_received)
    assert resolution.what.startswith(what)
