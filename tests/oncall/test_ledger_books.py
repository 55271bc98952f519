"""What GeNiE's word on a key is worth beside the ledger's records."""

from typing import Any

import pytest

from gateway.core.outcome import LookupResult, LookupStatus
from gateway.oncall.ledger.books import CLOCKS_DIFFER_MS, judged
from gateway.oncall.ledger.findings import Kind
from gateway.oncall.ledger.questions import Said

SETTLED_AT = 1_780_000_000_000  # ms
PROVIDED = {"outcome": "PROVIDED", "reason": "accepted", "transmitted": "yes"}
UNKNOWN = {"outcome": "PARKED", "reason": "outcome_unknown", "transmitted": "unknown"}
WITHHELD = {"outcome": "WITHHELD", "reason": "consent_withdrawn", "transmitted": "no"}


def record(said: dict[str, Any]) -> dict[str, Any]:
    return {**said, "body_digest": bytes(32), "settled_at": SETTLED_AT}


def not_received(as_of: int) -> Said:
    return Said(LookupResult("key", LookupStatus.NOT_RECEIVED, None, None), as_of)


@pytest.mark.parametrize("said", [PROVIDED, UNKNOWN, WITHHELD], ids=lambda said: said["outcome"])
def test_a_word_from_before_the_record_says_nothing_of_it(said: dict[str, Any]) -> None:
    """Neither that GeNiE lost it, nor that it may be sent again, nor that nothing came since."""
    early = judged([record(said)], not_received(SETTLED_AT - CLOCKS_DIFFER_MS - 1))
    assert [each.kind for each in early.differences] == [Kind.NO_ANSWER]
    assert early.resolutions == ()


def test_clocks_may_differ() -> None:
    """A word given at once is one about the record."""
    at_once = not_received(SETTLED_AT - CLOCKS_DIFFER_MS)
    assert [each.kind for each in judged([record(PROVIDED)], at_once).differences] == [Kind.NOT_AT_GENIE]
    assert [each.received for each in judged([record(UNKNOWN)], at_once).resolutions] == [False]
    assert judged([record(WITHHELD)], at_once).agree
