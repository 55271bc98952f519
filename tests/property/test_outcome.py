"""The outcome table is total and never claims more than a verified answer says."""

from collections.abc import Callable
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.identity import b64url
from gateway.core.outcome import Answer, Loss, Lost, Meaning, NotSent, Reply, SentEntry, Unsent, classify
from gateway.core.reasons import Reason
from gateway.genie.contract import read_lookup, read_reply

DIGESTS = [bytes([n]) * 32 for n in range(4)]
KEYS = [b64url(digest) for digest in DIGESTS]
STATUSES = (
    "accepted",
    "duplicate",
    "superseded",
    "rejected",
    "retry",
    "received",
    "processing",
    "not_received",
)
NOW = 1_800_000_000_000

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def near(*values: Any) -> st.SearchStrategy[Any]:
    """Mostly what the contract allows, sometimes anything."""
    return st.sampled_from(values) | json_values


def near_results(value: Callable[..., st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    first = st.fixed_dictionaries(
        {
            "origin": value(*KEYS[:2]),
            "source_digest": value(*KEYS[:2]),
            "body_digest": value(*KEYS[:2]),
            "received_at": value("2026-11-22T01:02:03.004Z"),
        }
    )
    return st.fixed_dictionaries(
        {"idempotency_key": value(*KEYS[:2]), "status": value(*STATUSES), "first": first | value(None)},
        optional={
            "receipt_id": value("receipt-1"),
            "problem": value({"type": "urn:genie:problem:idempotency-key-reused"}),
        },
    )


as_agreed = near_results(lambda *values: st.sampled_from(values))
documents = json_values | st.fixed_dictionaries(
    {"results": st.lists(as_agreed | near_results(near) | json_values, max_size=4)},
    optional={"as_of": near("2026-11-22T01:02:03.004Z"), "type": near("urn:genie:problem:signature-expired")},
)
contents = documents.map(orjson.dumps) | st.binary(max_size=30)


def read(status: int, media_type: str, retry_after: str | None, content: bytes, key_id: str | None) -> Reply:
    return read_reply(status, media_type, retry_after, content, key_id=key_id, now_ms=NOW)


# As the contract has it, in all combinations; and anything in any place.
agreed_replies = st.lists(as_agreed, min_size=1, max_size=2).map(
    lambda results: read(200, "application/json", None, orjson.dumps({"results": results}), "genie-1")
)
replies = agreed_replies | st.builds(
    read,
    st.sampled_from([200, 200, 200, 429, 503, 400, 401, 422, 301]) | st.integers(100, 999),
    near("application/json").map(str),
    st.none() | st.text(max_size=30) | st.sampled_from(["3", "Sun, 22 Nov 2026 01:02:03 GMT"]),
    contents,
    st.sampled_from([None, "genie-1"]),
)
answers: st.SearchStrategy[Answer] = st.sampled_from(Unsent).map(NotSent) | st.sampled_from(Loss).map(Lost) | replies
batches = st.lists(
    st.builds(
        SentEntry,
        st.sampled_from(KEYS[:2]),
        st.sampled_from(KEYS[:2]),
        st.sampled_from(DIGESTS[:2]),
        st.sampled_from(DIGESTS[:2]),
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda entry: entry.idempotency_key,
)


@given(answers, batches)
def test_every_answer_means_something_for_every_entry(answer: Answer, sent: list[SentEntry]) -> None:
    """Whatever came back, each entry has exactly one outcome, with a reason if and only if it is final."""
    outcome = classify(answer, sent)
    assert len(outcome.entries) == len(sent)
    for entry in outcome.entries:
        assert (entry.meaning is Meaning.FINAL) == (entry.reason is not None)
    if outcome.bisect:
        assert len(sent) > 1


@given(replies, batches)
def test_nothing_is_believed_without_a_signature(answer: Reply, sent: list[SentEntry]) -> None:
    """An answer that nobody verified leaves every entry unknown, and a verified one claims only what it proves."""
    outcome = classify(answer, sent)
    for entry, was_sent in zip(outcome.entries, sent, strict=True):
        if not answer.verified:
            assert entry.meaning is Meaning.UNKNOWN
        if entry.reason is Reason.ACCEPTED:
            assert entry.first is not None
            assert entry.first.origin == was_sent.origin
            assert entry.first.body_digest == was_sent.body_digest


@given(contents, st.sets(st.sampled_from(KEYS)))
def test_a_lookup_answers_only_what_was_asked_and_once(content: bytes, asked: set[str]) -> None:
    """Whatever a lookup brings, no key is there that was not asked for, and none twice."""
    reply = read_lookup(content, asked, key_id="genie-1")
    if reply is not None:
        keys = [result.idempotency_key for result in reply.results]
        assert len(keys) == len(set(keys))
        assert set(keys) <= asked
