"""The golden outcome table: each row of the design, spelled out."""

import pytest

from gateway.core.outcome import (
    KEY_REUSED,
    SIGNATURE_EXPIRED,
    Answer,
    First,
    Loss,
    Lost,
    Meaning,
    NotSent,
    Receipt,
    Reply,
    Result,
    SentEntry,
    Stop,
    Unsent,
    classify,
)
from gateway.core.reasons import Outcome, Reason

NOT_RECEIVED, UNKNOWN = Meaning.NOT_RECEIVED, Meaning.UNKNOWN

ENTRY = SentEntry("key", "our-origin", b"our-source", b"our-body")
OTHER_ENTRY = SentEntry("other-key", "other-origin", b"other-source", b"other-body")

OURS = First("our-origin", b"our-source", b"our-body", 1_000)
SAME_EVENT = First("their-origin", b"their-source", b"our-body", 1_000)
OTHER_SCOPE = First("their-origin", b"our-source", b"their-body", 1_000)
OUR_OTHER_SCOPE = First("our-origin", b"our-source", b"their-body", 1_000)
OTHER_CONTENT = First("their-origin", b"their-source", b"their-body", 1_000)


def reply(
    status: int,
    *results: Result,
    verified: bool = True,
    problem: str | None = None,
    retry_after_ms: int | None = None,
) -> Reply:
    return Reply(
        status,
        verified,
        "application/json",
        retry_after_ms,
        results or None,
        problem,
        b"digest",
        "genie-1" if verified else None,
    )


def told(status: str, first: First | None = None, problem: str | None = None) -> Reply:
    return reply(200, Result("key", status, first, "receipt-1", problem))


ENTRY_ROWS = [
    ("accepted", OURS, None, Reason.ACCEPTED),
    ("accepted", SAME_EVENT, None, UNKNOWN),
    ("accepted", OTHER_SCOPE, None, UNKNOWN),
    ("accepted", None, None, UNKNOWN),
    ("duplicate", OURS, None, Reason.ACCEPTED),
    ("duplicate", SAME_EVENT, None, Reason.SAME_EVENT),
    ("duplicate", OTHER_SCOPE, None, UNKNOWN),
    ("duplicate", OTHER_CONTENT, None, UNKNOWN),
    ("duplicate", None, None, UNKNOWN),
    ("superseded", OURS, None, Reason.NEWER_AT_GENIE),
    ("superseded", SAME_EVENT, None, Reason.NEWER_AT_GENIE),
    ("superseded", OTHER_CONTENT, None, UNKNOWN),
    ("superseded", None, None, UNKNOWN),
    ("rejected", OTHER_SCOPE, KEY_REUSED, Reason.SAME_EVENT_OTHER_SCOPE),
    ("rejected", OUR_OTHER_SCOPE, KEY_REUSED, Reason.SAME_EVENT_OTHER_SCOPE),
    ("rejected", OTHER_CONTENT, KEY_REUSED, Reason.EVENT_ID_REUSED),
    ("rejected", OURS, KEY_REUSED, UNKNOWN),
    ("rejected", SAME_EVENT, KEY_REUSED, UNKNOWN),
    ("rejected", None, KEY_REUSED, UNKNOWN),
    ("rejected", None, "urn:genie:problem:entry-refused", Reason.REJECTED_BY_GENIE),
    ("rejected", None, None, Reason.REJECTED_BY_GENIE),
    ("rejected", OTHER_CONTENT, None, UNKNOWN),
    ("retry", None, None, NOT_RECEIVED),
    ("retry", OURS, None, NOT_RECEIVED),
    ("", OURS, None, UNKNOWN),
    ("received", OURS, None, UNKNOWN),
]


@pytest.mark.parametrize(("status", "first", "problem", "expected"), ENTRY_ROWS)
def test_each_cell_of_the_entry_table(
    status: str, first: First | None, problem: str | None, expected: Reason | Meaning
) -> None:
    """A verified result means what its status and its `first` say together."""
    (outcome,) = classify(told(status, first, problem), [ENTRY]).entries
    if isinstance(expected, Meaning):
        assert (outcome.meaning, outcome.reason) == (expected, None)
    else:
        assert (outcome.meaning, outcome.reason, outcome.first) == (Meaning.FINAL, expected, first)
        assert (outcome.problem_type, outcome.repeated) == (problem, status == "duplicate")


BATCH_ROWS = [
    (NotSent(Unsent.REFUSED), NOT_RECEIVED, None, False),
    (NotSent(Unsent.TLS_FAILED), NOT_RECEIVED, None, False),
    (NotSent(Unsent.EXPIRED), NOT_RECEIVED, None, False),
    (Lost(Loss.TIMEOUT), UNKNOWN, None, False),
    (Lost(Loss.BROKEN), UNKNOWN, None, False),
    (Lost(Loss.TOO_LARGE), UNKNOWN, None, False),
    (Lost(Loss.CLOCK), UNKNOWN, Stop.CLOCK, False),
    (reply(429), NOT_RECEIVED, None, False),
    (reply(503), NOT_RECEIVED, None, False),
    (reply(429, verified=False), UNKNOWN, None, False),
    (reply(503, verified=False), UNKNOWN, None, False),
    (reply(400), NOT_RECEIVED, None, True),
    (reply(413), NOT_RECEIVED, None, True),
    (reply(422), NOT_RECEIVED, None, True),
    (reply(400, verified=False), UNKNOWN, None, False),
    (reply(413, verified=False), UNKNOWN, None, False),
    (reply(422, verified=False), UNKNOWN, None, False),
    (reply(401), NOT_RECEIVED, Stop.UNAUTHENTICATED, False),
    (reply(401, problem=SIGNATURE_EXPIRED), NOT_RECEIVED, None, False),
    (reply(401, verified=False), UNKNOWN, Stop.UNAUTHENTICATED, False),
    (reply(403), NOT_RECEIVED, Stop.FORBIDDEN, False),
    (reply(403, problem=SIGNATURE_EXPIRED), NOT_RECEIVED, Stop.FORBIDDEN, False),
    (reply(404), NOT_RECEIVED, Stop.WRONG_URL, False),
    (reply(405), NOT_RECEIVED, Stop.WRONG_URL, False),
    (reply(410), NOT_RECEIVED, Stop.WRONG_URL, False),
    (reply(415), NOT_RECEIVED, Stop.WRONG_MEDIA_TYPE, False),
    (reply(301), NOT_RECEIVED, Stop.REDIRECTED, False),
    (reply(307, verified=False), UNKNOWN, Stop.REDIRECTED, False),
    (reply(418), NOT_RECEIVED, Stop.REFUSED, False),
    (reply(451, verified=False), UNKNOWN, Stop.REFUSED, False),
    (reply(408), UNKNOWN, None, False),
    (reply(409), UNKNOWN, None, False),
    (reply(500), UNKNOWN, None, False),
    (reply(502, verified=False), UNKNOWN, None, False),
    (reply(201), UNKNOWN, None, False),
    (reply(204), UNKNOWN, None, False),
    (reply(101), UNKNOWN, None, False),
    (reply(999), UNKNOWN, None, False),
    (reply(200), UNKNOWN, None, False),
    (reply(200, Result("key", "accepted", OURS), verified=False), UNKNOWN, None, False),
]


@pytest.mark.parametrize(("answer", "meaning", "stop", "bisect"), BATCH_ROWS)
def test_each_row_of_the_batch_table(answer: Answer, meaning: Meaning, stop: Stop | None, bisect: bool) -> None:
    """What is said of the whole batch means the same for each entry."""
    outcome = classify(answer, [ENTRY, OTHER_ENTRY])
    assert [entry.meaning for entry in outcome.entries] == [meaning, meaning]
    assert (outcome.stop, outcome.bisect) == (stop, bisect)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_single_entry_at_fault_is_parked(status: int) -> None:
    """A bad request with one entry is that entry's fault, and says with which problem."""
    outcome = classify(reply(status, problem="urn:genie:problem:schema-violated"), [ENTRY])
    assert not outcome.bisect
    assert outcome.entries[0].reason is Reason.REJECTED_BY_GENIE
    assert outcome.entries[0].problem_type == "urn:genie:problem:schema-violated"


def test_a_key_reused_without_first_is_looked_up() -> None:
    """A 422 that says the key was used, but not by whom, settles nothing."""
    outcome = classify(reply(422, problem=KEY_REUSED), [ENTRY])
    assert outcome.entries[0].meaning is UNKNOWN


def test_retry_after_is_passed_on_only_with_a_pushback() -> None:
    """Retry-After counts with a verified 429 or 503 and nowhere else."""
    assert classify(reply(429, retry_after_ms=7), [ENTRY]).retry_after_ms == 7
    assert classify(reply(503, retry_after_ms=7), [ENTRY]).retry_after_ms == 7
    assert classify(reply(503, retry_after_ms=7, verified=False), [ENTRY]).retry_after_ms is None
    assert classify(reply(500, retry_after_ms=7), [ENTRY]).retry_after_ms is None


def test_results_are_matched_by_key() -> None:
    """Reordered results reach their entries, extra ones nobody, and missing ones leave theirs unknown."""
    other = First("other-origin", b"other-source", b"other-body", 5)
    answer = reply(200, Result("stranger", "retry"), Result("other-key", "accepted", other))
    outcome = classify(answer, [ENTRY, OTHER_ENTRY])
    assert [entry.meaning for entry in outcome.entries] == [UNKNOWN, Meaning.FINAL]


def test_a_key_told_twice_says_nothing() -> None:
    """Two results for one key leave it unknown, even if they agree."""
    accepted = Result("key", "accepted", OURS)
    outcome = classify(reply(200, accepted, accepted), [ENTRY])
    assert outcome.entries[0].meaning is UNKNOWN


def test_the_receipt_is_of_the_answer_that_brought_it() -> None:
    """An acceptance carries GeNiE's receipt with the digest and the key of the answer."""
    outcome = classify(told("accepted", OURS), [ENTRY])
    assert outcome.entries[0].receipt == Receipt("receipt-1", 1_000, b"digest", "genie-1")


def test_an_acceptance_without_a_receipt_has_none() -> None:
    """Part of one proves nothing."""
    bare = reply(200, Result("key", "accepted", OURS, None))
    unnamed = Reply(200, True, "application/json", None, (Result("key", "accepted", OURS, "r"),), None, b"d", None)
    for answer in (bare, unnamed):
        (outcome,) = classify(answer, [ENTRY]).entries
        assert (outcome.reason, outcome.receipt) == (Reason.ACCEPTED, None)


def test_every_stop_has_a_sentence_for_people() -> None:
    """What stops the lanes can be told to on-call as it is."""
    assert all(stop.sentence.endswith(".") and stop.value.startswith("genie_") for stop in Stop)


def test_answers_end_entries_in_four_ways() -> None:
    """Answers never withhold or invalidate: those are ours to say."""
    reasons = {row[3] for row in ENTRY_ROWS if isinstance(row[3], Reason)}
    assert {reason.outcome for reason in reasons} == {
        Outcome.PROVIDED,
        Outcome.DUPLICATE,
        Outcome.SUPERSEDED,
        Outcome.PARKED,
    }
