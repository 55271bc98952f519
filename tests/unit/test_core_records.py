"""Our own records: every field of an intent, a ledger record and a parked record, as the lane makes them."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.consent import ConsentState, Denied
from gateway.core.decide import Scope
from gateway.core.entry import Announcement, Ending, Entry, Held, InputRecord, ReplayOf
from gateway.core.facts import Parked
from gateway.core.outcome import Receipt
from gateway.core.reasons import Reason, Transmitted
from gateway.core.records import Origin, Recipient, held_in, intent, parked_event, provision_record
from gateway.core.settling import ledger_records, parked_records
from tests import core_cases
from tests.core_cases import payment_event, score_event

RECIPIENT = Recipient("genie", "GeNiE", "Tokyo", "A. Person")
ORIGIN = Origin("cluster-1", "lease.payments", 3, 1_000, RECIPIENT, 7, "1.2", "host-1", frozenset({"urn:known"}))
EVENT = payment_event()
RECORD = InputRecord(
    offset=41,
    timestamp=5_000,
    size=9,
    source_digest=b"source",
    event=EVENT,
    subject_ref=EVENT.subject_ref,
    producer="billing 1.0",
    idempotency_key="key-41",
    origin="origin-41",
)
ANNOUNCEMENT = Announcement("batch-1", announced_at=6_000, expires_at=6_030)
SCOPE = Scope(("norel_score", "payment_history"), ("inquiry_handling",), 20_500, 1_234)
HELD = Held(SCOPE, b"digest", "consent-1", 2, ANNOUNCEMENT)
CONSENT = {"record_id": "consent-1", "consent_version": 2, "policy_version": 20_500, "consented_at": 1_234}
INPUT = {"cluster_id": "cluster-1", "topic": "lease.payments", "partition": 3, "offset": 41, "timestamp": 5_000}
WRITTEN_BY = {"version": "1.2", "instance": "host-1"}
REPLAY = ReplayOf("lease.payments", 7, 12, "request-1")
RECEIPT = Receipt("receipt-1", 6_010, b"answer", "genie-1")


def entry(**changes: Any) -> Entry:
    return Entry(replace(RECORD, **changes), held=(HELD,), sends=2)


def ended(reason: Reason, transmitted: Transmitted = Transmitted.NO, **more: Any) -> Ending:
    return Ending(reason, transmitted, 6_005, **more)


def test_where_records_come_from_is_said_alike_everywhere() -> None:
    """The lane's name, the process of a release that wrote it, and the recipient as the law wants it recorded."""
    assert (ORIGIN.lane, ORIGIN.gateway) == ("lease.payments:3", WRITTEN_BY)
    told = {"id": "genie", "name": "GeNiE", "address": "Tokyo", "representative": "A. Person"}
    assert Recipient(**told).record == told


def test_an_intent_says_all_that_another_owner_needs() -> None:
    """Batch, times, versions, and for each entry its key, digest, scope and consent."""
    assert intent(ORIGIN, ANNOUNCEMENT, [entry()], epoch=5) == {
        "lane": "lease.payments:3",
        "batch_id": "batch-1",
        "announced_at": 6_000,
        "expires_at": 6_030,
        "policy_version": 20_500,
        "mapping_version": 7,
        "key_version": 1,
        "entries": [
            {
                "offset": 41,
                "idempotency_key": "key-41",
                "body_digest": b"digest",
                "items": SCOPE.items,
                "permitted_purposes": SCOPE.purposes,
                "consent_record_id": "consent-1",
                "consent_version": 2,
                "consented_at": 1_234,
            }
        ],
        "gateway": {"version": "1.2", "instance": "host-1", "epoch": 5},
    }


def test_what_is_read_back_from_an_intent_is_what_was_announced() -> None:
    """The last announcement of each entry, for lists come back as lists."""
    older = replace(HELD, digest=b"older")
    other = Entry(replace(RECORD, offset=42, idempotency_key="key-42"), held=(older, HELD))
    record = intent(ORIGIN, ANNOUNCEMENT, [entry(), other], epoch=5)
    for each in record["entries"]:
        each["items"], each["permitted_purposes"] = list(each["items"]), list(each["permitted_purposes"])
    assert list(held_in(record, ANNOUNCEMENT)) == [(41, "key-41", HELD), (42, "key-42", HELD)]


def test_a_ledger_record_of_a_provision_says_what_was_provided_and_on_what_grounds() -> None:
    """Every field that the law or an audit asks for."""
    ending = ended(Reason.ACCEPTED, Transmitted.YES, held=HELD, receipt=RECEIPT)
    assert provision_record(ORIGIN, entry(replay_of=REPLAY), ending, 7_000) == {
        "input": INPUT,
        "source_digest": b"source",
        "event_id": EVENT.event_id,
        "event_type": "lease_payment",
        "subject_ref": EVENT.subject_ref,
        "outcome": "PROVIDED",
        "reason": "accepted",
        "transmitted": "yes",
        "recipient": RECIPIENT.record,
        "consent": CONSENT,
        "items": SCOPE.items,
        "permitted_purposes": SCOPE.purposes,
        "idempotency_key": "key-41",
        "body_digest": b"digest",
        "receipt": {"id": "receipt-1", "received_at": 6_010, "answer_digest": b"answer", "key_id": "genie-1"},
        "attempts": 2,
        "decided_at": 6_005,
        "announced_at": 6_000,
        "settled_at": 7_000,
        "replay_of": {"topic": "lease.payments", "partition": 7, "offset": 12, "request_id": "request-1"},
        "mapping_version": 7,
        "gateway": WRITTEN_BY,
    }


@pytest.mark.parametrize("seen", [None, Denied(Reason.CONSENT_SUPERSEDED_VERSION, "consent-9", 9)])
def test_a_ledger_record_of_what_was_not_announced_names_the_consent_as_seen(seen: ConsentState) -> None:
    """Only a whole one is named."""
    consent = core_cases.consent()
    told = provision_record(ORIGIN, entry(), ended(Reason.CONSENT_WITHDRAWN, consent=consent), 7_000)
    assert told["consent"] == {
        "record_id": consent.record_id,
        "consent_version": consent.version,
        "policy_version": consent.policy_version,
        "consented_at": consent.consented_at,
    }
    assert provision_record(ORIGIN, entry(), ended(Reason.NO_CONSENT, consent=seen), 7_000)["consent"] is None


def test_a_ledger_record_of_what_never_left_claims_nothing() -> None:
    """No scope, digest, receipt or announcement; of an input that can't be read not even a subject."""
    unread = Entry(InputRecord(41, 5_000, 9, b"source", reason=Reason.NOT_AVRO, subject_ref="subject-1a"))
    told = provision_record(ORIGIN, unread, ended(Reason.NOT_AVRO), 7_000)
    absent = ("event_id", "event_type", "subject_ref", "consent", "idempotency_key", "body_digest", "receipt")
    assert {name: told[name] for name in (*absent, "announced_at", "replay_of")} == dict.fromkeys(
        (*absent, "announced_at", "replay_of")
    )
    assert (told["items"], told["permitted_purposes"]) == ((), ())
    assert (told["outcome"], told["reason"], told["attempts"]) == ("INVALID", "not_avro", 0)


def test_a_withheld_record_names_its_subject() -> None:
    """Who asks what was done with their data is answered."""
    assert provision_record(ORIGIN, entry(), ended(Reason.NO_CONSENT), 7_000)["subject_ref"] == EVENT.subject_ref


def test_a_parked_record_says_where_the_input_is_and_until_when() -> None:
    """And never what it holds."""
    ending = ended(Reason.REJECTED_BY_GENIE, Transmitted.YES, problem_type="urn:known")
    assert parked_event(ORIGIN, entry(), ending, 7_000) == {
        "input": INPUT,
        "event_type": "lease_payment",
        "subject_ref": EVENT.subject_ref,
        "producer": "billing 1.0",
        "reason": "rejected_by_genie",
        "detail": "urn:known",
        "transmitted": "yes",
        "parked_at": 7_000,
        "input_expires_at": 6_000,
        "attempts": 2,
        "gateway": WRITTEN_BY,
    }


@pytest.mark.parametrize(
    ("problem", "detail"), [(None, Reason.REJECTED_BY_GENIE.sentence), ("urn:other", "unlisted_problem")]
)
def test_the_detail_of_a_parked_record_is_one_of_a_closed_set(problem: str | None, detail: str) -> None:
    """Nothing bounds what GeNiE may write in a problem type that its contract does not list."""
    ending = ended(Reason.REJECTED_BY_GENIE, problem_type=problem)
    assert parked_event(ORIGIN, entry(event=None), ending, 7_000)["detail"] == detail


def test_a_score_is_told_from_a_payment() -> None:
    """By the type's own name."""
    scored = score_event()
    told = entry(event=scored, subject_ref=scored.subject_ref)
    assert provision_record(ORIGIN, told, ended(Reason.HELD), 1)["event_type"] == "norel_score_update"
    assert parked_event(ORIGIN, told, ended(Reason.HELD), 1)["event_type"] == "norel_score_update"
    assert parked_event(ORIGIN, entry(event=None), ended(Reason.HELD), 1)["event_type"] is None


def test_what_is_settled_is_recorded_once_and_parked_where_it_must_be() -> None:
    """A parked record for what is set aside, a tombstone for what a replay resolved, nothing for the rest."""
    aside, resolved, unread, again = (entry(offset=n, replay_of=REPLAY if n else None) for n in range(4))
    aside.ending = again.ending = ended(Reason.HELD)
    resolved.ending, unread.ending = ended(Reason.ACCEPTED), ended(Reason.NOT_AVRO)
    settled = [aside, resolved, unread, again]
    told = [provision_record(ORIGIN, each, each.ending, 7_000) for each in settled]
    assert ledger_records(ORIGIN, settled, 7_000) == told
    assert parked_records(ORIGIN, settled, 7_000) == [
        Parked("lease.payments:3:0", parked_event(ORIGIN, aside, aside.ending, 7_000)),
        Parked("lease.payments:7:12", None),
        Parked("lease.payments:3:3", parked_event(ORIGIN, again, again.ending, 7_000)),
    ]
