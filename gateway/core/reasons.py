"""The closed sets of outcomes and reasons, each reason with a sentence for people and what to do.

Knows the words of the ledger. Must not know how any of them is reached.
"""

from __future__ import annotations

from enum import Enum
from typing import Self


class Coded(Enum):
    """Members of a closed set, of which each event asks several times for one.

    An Enum computes `value` and the hash in Python, each time; a member has its code at hand, and is one object.
    """

    code: str

    def __new__(cls, code: str) -> Self:
        member = object.__new__(cls)
        member._value_ = member.code = code
        return member

    __hash__ = object.__hash__


class Outcome(Coded):
    """How an input record ended: one of six, terminal."""

    PROVIDED = "PROVIDED"
    DUPLICATE = "DUPLICATE"
    SUPERSEDED = "SUPERSEDED"
    WITHHELD = "WITHHELD"
    PARKED = "PARKED"
    INVALID = "INVALID"


class Transmitted(Coded):
    """Whether the body reached GeNiE."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Reason(Coded):
    """Why an input record ended so: (code, outcome, sentence for people, what to do)."""

    outcome: Outcome
    sentence: str
    remedy: str

    def __new__(cls, code: str, outcome: Outcome, sentence: str, remedy: str) -> Self:
        member = object.__new__(cls)
        member._value_ = member.code = code
        member.outcome = outcome
        member.sentence = sentence
        member.remedy = remedy
        return member

    ACCEPTED = ("accepted", Outcome.PROVIDED, "GeNiE accepted it.", "Nothing.")
    RESOLVED_BY_LOOKUP = (
        "resolved_by_lookup",
        Outcome.PROVIDED,
        "The answer was lost; GeNiE confirmed on asking that it has it.",
        "Nothing.",
    )

    SAME_EVENT = (
        "same_event",
        Outcome.DUPLICATE,
        "GeNiE already had this event from another input record.",
        "Nothing; if frequent, ask the producer why it sends events twice.",
    )
    SAME_EVENT_OTHER_SCOPE = (
        "same_event_other_scope",
        Outcome.DUPLICATE,
        "GeNiE already had this event, provided under another scope of consent.",
        "Nothing; the earlier scope stands at GeNiE.",
    )

    NEWER_AT_GENIE = (
        "newer_at_genie",
        Outcome.SUPERSEDED,
        "GeNiE already had a score with a higher sequence.",
        "Nothing; if frequent, ask the producer about the order of its scores.",
    )

    NO_CONSENT = (
        "no_consent",
        Outcome.WITHHELD,
        "No consent record of this subject is known.",
        "Nothing; provide only after consent, by replay.",
    )
    CONSENT_WITHDRAWN = (
        "consent_withdrawn",
        Outcome.WITHHELD,
        "The subject withdrew consent.",
        "Nothing; a replay will withhold it again.",
    )
    CONSENT_EXPIRED = (
        "consent_expired",
        Outcome.WITHHELD,
        "The consent expired, or would before the attempt's end.",
        "Nothing; provide after renewal, by replay.",
    )
    CONSENT_UNKNOWN = (
        "consent_unknown",
        Outcome.WITHHELD,
        "The status of the consent is unknown.",
        "Ask the consent desk to settle the status, then replay.",
    )
    CONSENT_NOT_YET_VALID = (
        "consent_not_yet_valid",
        Outcome.WITHHELD,
        "The consent is dated in the future.",
        "Check the clock of the service that writes consent records, then replay.",
    )
    CONSENT_SUPERSEDED_VERSION = (
        "consent_superseded_version",
        Outcome.WITHHELD,
        "The consent record's version went back, or the subject's records are in two partitions.",
        "Have the consent service write a record with a higher version, then replay.",
    )
    WRONG_RECIPIENT = (
        "wrong_recipient",
        Outcome.WITHHELD,
        "The consent names another recipient.",
        "Nothing.",
    )
    POLICY_VERSION_UNKNOWN = (
        "policy_version_unknown",
        Outcome.WITHHELD,
        "The consent cites a policy version that does not exist.",
        "Correct the consent record or add the version to the policy, then replay.",
    )
    POLICY_VERSION_WITHOUT_CLAUSE = (
        "policy_version_without_clause",
        Outcome.WITHHELD,
        "The cited policy version is not known to contain the GeNiE clause.",
        "Ask counsel; if it does, change the policy data and replay.",
    )
    CONSENTED_OUTSIDE_VERSION = (
        "consented_outside_version",
        Outcome.WITHHELD,
        "The consent was given on a day on which the cited policy version was not in force.",
        "Correct the consent record, then replay.",
    )
    BEFORE_CONSENT = (
        "before_consent",
        Outcome.WITHHELD,
        "The event lies before the time that the consent covers.",
        "Nothing.",
    )
    CONTRACT_NOT_COVERED = (
        "contract_not_covered",
        Outcome.WITHHELD,
        "The consent does not cover this contract.",
        "Nothing.",
    )
    MATTER_NOT_CONSENTED = (
        "matter_not_consented",
        Outcome.WITHHELD,
        "The item that the event is about is not among the consented items.",
        "Nothing.",
    )
    PURPOSES_UNCLEAR = (
        "purposes_unclear",
        Outcome.WITHHELD,
        "The subject opted out of a purpose that the policy offers no opt-out for.",
        "Ask the consent desk what the subject wants, then replay.",
    )
    NOT_CONSENT_BASED = (
        "not_consent_based",
        Outcome.WITHHELD,
        "The record's legal basis is not consent; such cases are handled by people.",
        "Hand it to the privacy desk.",
    )
    CREDITOR_NOT_US = (
        "creditor_not_us",
        Outcome.WITHHELD,
        "The payment is owed to a partner lessor, which the policy does not cover.",
        "Nothing.",
    )
    CORRECTION_AFTER_WITHDRAWAL = (
        "correction_after_withdrawal",
        Outcome.WITHHELD,
        "It corrects an earlier event of a subject who has withdrawn since.",
        "The privacy desk tells GeNiE through the stop notice.",
    )

    UNKNOWN_SCHEMA_ID = (
        "unknown_schema_id",
        Outcome.PARKED,
        "The schema registry does not know the record's schema id.",
        "Register the schema, then replay.",
    )
    SCHEMA_WITHOUT_ITEM = (
        "schema_without_item",
        Outcome.PARKED,
        "The record's schema has a field without a known `item`.",
        "Have the producer send it again, by a schema that passes `gateway schemas check`.",
    )
    EVENT_ID_REUSED = (
        "event_id_reused",
        Outcome.PARKED,
        "GeNiE has the same event id with other content.",
        "Ask the producer which content is right; it must use a new event id.",
    )
    SUBJECT_MISMATCH = (
        "subject_mismatch",
        Outcome.PARKED,
        "The record's key and its subject_ref differ.",
        "Ask the producer whose event it is; it must send it again.",
    )
    FUTURE_EVENT = (
        "future_event",
        Outcome.PARKED,
        "The event happened later than the clock skew allows.",
        "Check the producer's clock; replay once the time has come.",
    )
    REJECTED_BY_GENIE = (
        "rejected_by_genie",
        Outcome.PARKED,
        "GeNiE refused this entry.",
        "Read the problem type in the parked record; mend the cause, then replay.",
    )
    GENIE_FAILS_ON_ENTRY = (
        "genie_fails_on_entry",
        Outcome.PARKED,
        "GeNiE failed on this entry again and again while others succeeded.",
        "Tell GeNiE the idempotency key; replay when it is mended.",
    )
    OUTCOME_UNKNOWN = (
        "outcome_unknown",
        Outcome.PARKED,
        "It could not be learnt whether GeNiE received it.",
        "Ask GeNiE for the idempotency key; a replay resolves it.",
    )
    HELD = (
        "held",
        Outcome.PARKED,
        "On-call holds this subject or event type.",
        "Release the hold, then replay.",
    )
    INPUT_EXPIRED = (
        "input_expired",
        Outcome.PARKED,
        "The input topic no longer has the record.",
        "Have the producer send the event again.",
    )
    REPLAY_TARGET_MISSING = (
        "replay_target_missing",
        Outcome.PARKED,
        "The record that the replay asks for is not there, or not settled yet.",
        "Check topic, partition and offset of the replay request; ask again once the ledger has the record.",
    )

    NOT_AVRO = (
        "not_avro",
        Outcome.INVALID,
        "The value is not a valid Avro record of this topic's schema.",
        "Ask the producer to check how it serialises.",
    )
    TOO_LARGE = (
        "too_large",
        Outcome.INVALID,
        "The record is larger than the gateway reads.",
        "Ask the producer to shorten free text.",
    )
    TOO_DEEP = (
        "too_deep",
        Outcome.INVALID,
        "The record is nested too deeply.",
        "Ask the producer for its schema.",
    )
    TRAILING_BYTES = (
        "trailing_bytes",
        Outcome.INVALID,
        "Bytes follow the end of the record.",
        "Ask the producer to check how it serialises.",
    )
    NULL_VALUE = (
        "null_value",
        Outcome.INVALID,
        "The record has no value.",
        "Ask the producer why; inputs have no tombstones.",
    )
    BAD_KEY = (
        "bad_key",
        Outcome.INVALID,
        "The record's key is not a valid subject_ref.",
        "Ask the producer to key by subject_ref.",
    )
    BAD_VALUE = (
        "bad_value",
        Outcome.INVALID,
        "A field's value is impossible.",
        "Read the field's name in the ledger tools; ask the producer to correct it.",
    )
    KILLS_DECODER = (
        "kills_decoder",
        Outcome.INVALID,
        "Decoding the record ended the decoder's process.",
        "Keep the record's bytes for the developers; ask the producer how it was made.",
    )
