"""Consent records: how they are read, and how one follows another."""

from dataclasses import replace

import pytest

from gateway.core.consent import Denied, InvalidConsentError, deny, parse_consent, successor
from gateway.core.reasons import Reason
from tests.core_cases import CONSENT, consent

RECORD = {
    "record_id": CONSENT.record_id,
    "consent_version": 1,
    "subject_ref": CONSENT.subject_ref,
    "recipient": "genie",
    "status": "given",
    "status_updated_at": CONSENT.consented_at,
    "policy_version": CONSENT.policy_version,
    "consented_at": CONSENT.consented_at,
    "expires_at": None,
    "history_from": None,
    "items": sorted(CONSENT.items),
    "purposes_opted_out": [],
    "collection_method": "web",
    "consent_actor": "self",
    "contract_refs": None,
    "legal_basis": "consent",
}
WENT_BACK = Reason.CONSENT_SUPERSEDED_VERSION


def test_a_record_is_read():
    """Every field that a decision rests on is taken over."""
    assert parse_consent(RECORD) == CONSENT
    assert parse_consent(RECORD | {"contract_refs": []}).contract_refs == frozenset()
    assert parse_consent(RECORD | {"contract_refs": ["contract-1a"]}).contract_refs == {"contract-1a"}
    assert parse_consent(RECORD | {"expires_at": 5, "history_from": 6}) == consent(expires_at=5, history_from=6)
    assert parse_consent(RECORD | {"purposes_opted_out": ["p"]}).opted_out == {"p"}


UNREADABLE = "a field is missing, or status or legal_basis is unknown"
NO_UUID = "record_id is not a UUID in lower case"


@pytest.mark.parametrize(
    ("name", "bad", "text"),
    [
        ("record_id", None, "record_id must be text"),
        ("record_id", "090-1234-5678", NO_UUID),
        ("record_id", "r" * 60_000, NO_UUID),
        ("record_id", CONSENT.record_id.upper() + "\n", NO_UUID),
        ("consent_version", "1", "version must be an integer"),
        ("consent_version", True, "version must be an integer"),
        ("subject_ref", "090-1234-5678", "subject_ref is not a reference"),
        ("subject_ref", 7, "subject_ref must be text"),
        ("recipient", 7, "recipient must be text"),
        ("status", "maybe", UNREADABLE),
        ("policy_version", "2026-02-25", "policy_version must be an integer"),
        ("consented_at", 1.5, "consented_at must be an integer"),
        ("expires_at", "never", "expires_at must be an integer or null"),
        ("history_from", 0.5, "history_from must be an integer or null"),
        ("items", None, UNREADABLE),
        ("purposes_opted_out", [[]], UNREADABLE),
        ("contract_refs", 1, UNREADABLE),
        ("legal_basis", "", UNREADABLE),
    ],
)
def test_an_impossible_value_is_refused_without_repeating_it(name, bad, text):
    """The error says where to look and never what was found."""
    with pytest.raises(InvalidConsentError) as caught:
        parse_consent(RECORD | {name: bad})
    assert str(caught.value) == f"consent record: {text}"


def test_a_missing_field_is_refused():
    """A schema without one of the fields makes no consent."""
    for name in RECORD.keys() - {"status_updated_at", "collection_method", "consent_actor"}:
        with pytest.raises(InvalidConsentError, match=UNREADABLE):
            parse_consent({key: value for key, value in RECORD.items() if key != name})


def test_the_first_record_is_taken():
    """Any version may come first."""
    assert successor(None, consent(version=7)) == consent(version=7)


def test_a_higher_version_follows():
    """What a higher version says replaces everything, also a denial."""
    later = consent(version=3, record_id="later")
    assert successor(consent(version=2), later) is later
    assert successor(Denied(WENT_BACK, "r", 2), later) is later


def test_the_same_record_twice_changes_nothing():
    """A producer may send a record again."""
    assert successor(consent(), consent()) == consent()


@pytest.mark.parametrize(
    "incoming", [{"version": 4}, {"version": 5, "record_id": "other"}, {"version": 5, "items": frozenset()}]
)
def test_a_version_that_does_not_grow_denies(incoming):
    """Going back, or saying something else under the same version, denies and keeps the highest version."""
    assert successor(consent(version=5), consent(**incoming)) == Denied(WENT_BACK, CONSENT.record_id, 5)


def test_a_denial_stays_until_a_higher_version():
    """Neither the version that was denied nor any lower one lifts the denial."""
    denied = successor(consent(version=5), consent(version=4))
    for version in (4, 5):
        denied = successor(denied, consent(version=version))
        assert denied == Denied(WENT_BACK, CONSENT.record_id, 5)
    assert successor(denied, consent(version=6)) == consent(version=6)


@pytest.mark.parametrize("state", [consent(version=5), Denied(Reason.NO_CONSENT, CONSENT.record_id, 5)])
def test_denying_keeps_the_highest_version(state):
    """What was denied for another reason is lifted by a higher version only, too."""
    denied = deny(state, Reason.CONSENT_UNKNOWN)
    assert denied == Denied(Reason.CONSENT_UNKNOWN, CONSENT.record_id, 5)
    assert isinstance(successor(denied, replace(CONSENT, version=5)), Denied)


def test_denying_a_subject_without_records_waits_for_any():
    """Nothing is known of its versions, so the first record that can be read is taken."""
    assert deny(None, Reason.CONSENT_UNKNOWN) == Denied(Reason.CONSENT_UNKNOWN, None, None)
    assert successor(deny(None, Reason.CONSENT_UNKNOWN), consent()) == consent()
