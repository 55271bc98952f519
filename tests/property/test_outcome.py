"""The outcome table is total and never claims more than a verified answer says."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.identity import b64url
from gateway.core.outcome import Answer, Loss, Lost, Meaning, NotSent, SentEntry, Unsent, classify
from gateway.core.reasons import Reason
from gateway.genie.contract import read_lookup, read_reply

DIGESTS = [bytes([n]) * 32 for n in range(4)]
KEYS = [b64url(digest) for digest in DIGESTS]
NOW = 1_800_000_000_000

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def near(*values: Any) -> st.SearchStrategy[Any]:
    """Mostly what the contract allows, sometimes anything."""
    return st.sampled_from(values) | json_values


firsts = near(None) | st.fixed_dictionaries(
    {
        "origin": near(*KEYS),
        "source_digest": near(*KEYS),
        "body_digest": near(*KEYS),
        "received_at": near("2026-11-22T01:02:03.004Z", "2026-13-22T01:02:03.004Z"),
    }
)
results = st.fixed_dictionaries(
    {
        "idempotency_key": near(*KEYS),
        "status": near(
            "accepted", "duplicate", "superseded", "rejected", "retry", "received", "processing", "not_received"
        ),
    },
    optional={
        "first": firsts,
        "receipt_id": near("receipt-1"),
        "problem": near({"type": "urn:genie:problem:idempotency-key-reused"}),
    },
)
documents = json_values | st.fixed_dictionaries(
    {"results": st.lists(results | json_values, max_size=5)},
    optional={"as_of": near("2026-11-22T01:02:03.004Z"), "type": near("urn:genie:problem:signature-expired")},
)
contents = st.binary(max_size=30) | documents.map(orjson.dumps)
replies = st.builds(
    lambda status, media_type, retry_after, content, key_id: read_reply(
        status, media_type, retry_after, content, key_id=key_id, now_ms=NOW
    ),
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
        st.sampled_from(KEYS),
        st.sampled_from(KEYS),
        st.sampled_from(DIGESTS),
        st.sampled_from(DIGESTS),
    ),
    min_size=1,
    max_size=4,
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
def test_nothing_is_believed_without_a_signature(answer: Any, sent: list[SentEntry]) -> None:
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
