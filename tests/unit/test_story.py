"""What a story says of traces that should not be: it tells them, and what is missing."""

from typing import Any

import pytest

from gateway.core.events import EventType
from gateway.core.reasons import Reason
from gateway.oncall.desk import Found
from gateway.oncall.explain import Traces
from gateway.oncall.ledger.source import LedgerEntry
from gateway.oncall.story import Story, tell
from tests.core_cases import POLICY

PLACE = ("lease.payments", 0, 7)
AT = 1_777_600_000_000


def found(
    value: bytes | None = b"x", record: dict[str, Any] | None = None, why: Reason | None = None, **more: Any
) -> Found:
    return Found("topic", 0, 1, AT, "subject-1a", more.get("headers", ()), value, record, why)


def ended(**changes: Any) -> LedgerEntry:
    record = {
        "input": {"cluster_id": "c", "topic": PLACE[0], "partition": PLACE[1], "offset": PLACE[2], "timestamp": AT},
        "event_type": "lease_payment",
        "outcome": "PROVIDED",
        "reason": "accepted",
        "transmitted": "yes",
        "consent": None,
        "items": [],
        "permitted_purposes": [],
        "idempotency_key": None,
        "receipt": None,
        "attempts": 1,
        "decided_at": AT + 1,
        "announced_at": None,
        "settled_at": AT + 2,
        "gateway": {"version": "1", "instance": "one"},
    }
    return LedgerEntry(0, changes.pop("offset", 0), AT + 3, record | changes)


def traces(*ends: LedgerEntry, **more: Any) -> Traces:
    made = Traces(event_type=EventType.LEASE_PAYMENT, inputs={PLACE: found()}, **more)
    made.entries = {(end.partition, end.offset): (PLACE, end) for end in ends}
    return made


def story(made: Traces) -> Story:
    return tell(made, POLICY, "ledger")


def told(made: Traces, what: str) -> list[str]:
    return [line for step in story(made).steps if step.what == what for line in step.told]


def test_two_ends_of_one_record_are_both_told() -> None:
    """And that a promise is broken."""
    made = traces(ended(), ended(offset=1))
    assert [step.where for step in story(made).steps if step.what == "settled"] == ["ledger:0:0", "ledger:0:1"]
    assert story(made).notes[0].startswith("more than one terminal ledger record")


@pytest.mark.parametrize(
    ("made", "note"),
    [
        (traces(), "lease.payments:0:7 is not settled yet"),
        (traces(ended(), is_ledger_damaged=True), "some ledger records can't be read"),
        (
            traces(ended(), elsewhere={(0, 1), (0, 2)}),
            "2 ledger records about this event are from another Kafka cluster",
        ),
        (traces(ended(announced_at=AT)), "was announced, but its intents are gone"),
    ],
)
def test_what_is_missing_is_said(made: Traces, note: str) -> None:
    """So that nobody takes the story for whole."""
    assert any(note in each for each in story(made).notes)


def test_a_reason_of_a_later_release_is_told_as_it_is() -> None:
    """This release has no sentence for it."""
    made = traces(ended(outcome="PARKED", reason="too_shiny"))
    assert told(made, "decided") == ["no rule was asked: too_shiny"]
    assert told(made, "settled")[0] == "PARKED too_shiny: a reason of a later release"


@pytest.mark.parametrize(
    ("value", "line"),
    [(None, "the customer's consent was erased: nothing is provided"), (b"x", "can't be read: nothing is provided")],
)
def test_a_consent_that_is_none_is_told(value: bytes | None, line: str) -> None:
    """A tombstone erases, and what can't be read denies."""
    [text] = told(traces(ended(), consents=[found(value, why=Reason.NOT_AVRO)]), "consent")
    assert line in text


def test_what_a_producer_calls_itself_is_masked_unless_it_is_a_name() -> None:
    """A header may hold anything."""
    made = traces(ended())
    for header, name in ((b"billing", "billing"), ("山田 太郎".encode(), "漢漢 漢漢 (5 characters)")):
        made.inputs[PLACE] = found(headers=(("producer", header),))
        assert told(made, "arrived")[0].endswith(f"from {name}")


def test_a_parked_record_that_can_not_be_read_is_told() -> None:
    """And a tombstone is what a replay leaves."""
    made = traces(ended(), parked=[(PLACE, found(b"x", why=Reason.NOT_AVRO)), (PLACE, found(None))])
    assert told(made, "parked") == ["its parked record can't be read"]
    assert told(made, "resolved") == ["a replay resolved it: no longer parked"]
