"""Contents of requests, and defensive reading of answers."""

from typing import Any

import orjson
import pytest
import rfc8785

from gateway.core.canonical import canonical_json
from gateway.core.facts import OutgoingEntry
from gateway.core.identity import b64url
from gateway.core.outcome import First, LookupStatus, Receipt, Result
from gateway.genie.contract import (
    MAX_RETRY_AFTER_MS,
    Provider,
    RequestWriter,
    read_lookup,
    read_reply,
    retry_after_ms,
)

KEY, OTHER_KEY, ORIGIN = b64url(b"k" * 32), b64url(b"l" * 32), b64url(b"o" * 32)
WRITER = RequestWriter(Provider("株式会社 例", "東京都", '代表 "例"'), "お客様から直接取得", "genie")
NOW = 1_800_000_000_000
FIRST = {
    "origin": ORIGIN,
    "source_digest": b64url(b"s" * 32),
    "body_digest": b64url(b"b" * 32),
    "received_at": "2026-11-22T01:02:03.004Z",
}
RECEIVED_AT = 1_795_309_323_004


def outgoing(n: int, body: dict[str, Any]) -> OutgoingEntry:
    return OutgoingEntry(b64url(bytes([n]) * 32), ORIGIN, b"s" * 32, canonical_json(body))


def test_a_batch_is_canonical_as_a_whole() -> None:
    """The joined bytes are what RFC 8785 makes of the document, and hold each body as it was digested."""
    entries = [outgoing(1, {"b": "二", "a": [1, {"z": "\n\u2028"}]}), outgoing(2, {"items": {}})]
    content = WRITER.batch(entries)
    document = orjson.loads(content)
    assert content == rfc8785.dumps(document)
    assert document["provider"]["representative"] == '代表 "例"'
    assert [each["source_digest"] for each in document["entries"]] == [b64url(b"s" * 32)] * 2
    assert all(entry.body in content for entry in entries)


def test_a_lookup_is_canonical() -> None:
    """A lookup names the recipient and the keys, in RFC 8785 form."""
    content = WRITER.lookup([KEY, OTHER_KEY])
    assert content == rfc8785.dumps({"recipient_id": "genie", "idempotency_keys": [KEY, OTHER_KEY]})


def read(document: Any, *, status: int = 200, key_id: str | None = "genie-1") -> Any:
    content = document if isinstance(document, bytes) else orjson.dumps(document)
    return read_reply(status, "application/json; charset=utf-8", "3", content, key_id=key_id, now_ms=NOW)


def test_a_whole_result_is_read() -> None:
    """Every field of a result arrives in its own type."""
    told = {"idempotency_key": KEY, "status": "accepted", "first": FIRST, "receipt_id": "receipt-1"}
    reply = read({"results": [told]})
    first = First(ORIGIN, b"s" * 32, b"b" * 32, RECEIVED_AT)
    assert reply.results == (Result(KEY, "accepted", first, "receipt-1"),)
    assert (reply.verified, reply.key_id, reply.media_type) == (True, "genie-1", "application/json")
    assert reply.retry_after_ms == 3_000


def test_nothing_is_read_of_an_unverified_answer() -> None:
    """Without a signature only the status is kept."""
    told = {"idempotency_key": KEY, "status": "accepted", "first": FIRST, "receipt_id": "receipt-1"}
    reply = read({"results": [told], "type": "urn:genie:problem:x"}, key_id=None)
    assert (reply.status, reply.verified) == (200, False)
    assert (reply.results, reply.problem_type, reply.retry_after_ms, reply.key_id) == (None,) * 4


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b"{",
        b'{"results":{}}',
        b'{"results":1}',
        b"[" * 500_000,
        b'{"results":' + b"[" * 90_000,
    ],
)
def test_an_answer_without_results_has_none(content: bytes) -> None:
    """Nonsense, and JSON nested without end, is an answer without results."""
    assert read(content).results is None


@pytest.mark.parametrize("nonsense", [None, 1, [], {}, "", "x", "é" * 43, KEY + "=", KEY[:-1] + "B", [KEY], {"a": KEY}])
def test_fields_of_other_types_are_as_good_as_missing(nonsense: Any) -> None:
    """Whatever stands in place of a field, its entry says nothing or less, and nothing breaks."""
    assert read({"results": [nonsense, {"idempotency_key": nonsense, "status": "accepted"}]}).results == ()
    for field in FIRST:
        told = {"idempotency_key": KEY, "status": nonsense, "first": FIRST | {field: nonsense}}
        assert read({"results": [told]}).results == (Result(KEY, ""),)
    told = {"idempotency_key": KEY, "status": "rejected", "problem": nonsense}
    assert read({"results": [told]}).results == (Result(KEY, "rejected"),)


@pytest.mark.parametrize("status", [201, 422, 503])
def test_only_a_200_has_results(status: int) -> None:
    """What stands in another answer under that name are none."""
    assert (
        read({"results": [{"idempotency_key": KEY, "status": "accepted", "first": FIRST}]}, status=status).results
        is None
    )


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("application/problem+json", "application/problem+json"),
        (" Application/JSON ;q=1", "application/json"),
        ("\u5c71", ""),
    ],
)
def test_a_media_type_is_one_of_two(told: str, kept: str) -> None:
    """Another one is text of GeNiE's own choosing."""
    assert read_reply(200, told, None, b"{}", key_id="genie-1", now_ms=NOW).media_type == kept


def test_free_text_of_genie_is_dropped() -> None:
    """A name in a place for an identifier, or in a problem's text, is not kept anywhere."""
    told = {
        "idempotency_key": KEY,
        "status": "rejected",
        "receipt_id": "山田太郎 様",
        "problem": {"type": "urn:genie:problem:山田太郎", "title": "山田太郎", "detail": "山田太郎"},
    }
    assert "山田" not in repr(read({"results": [told]}))
    assert "山田" not in repr(read({"type": "山田太郎", "detail": "山田太郎"}, status=422))


def test_problem_types_are_read() -> None:
    """A problem's type is kept, of the whole answer and of an entry."""
    assert read({"type": "urn:genie:problem:signature-expired"}, status=401).problem_type == (
        "urn:genie:problem:signature-expired"
    )
    told = {"idempotency_key": KEY, "status": "rejected", "problem": {"type": "urn:genie:problem:entry-refused"}}
    assert read({"results": [told]}).results[0].problem_type == "urn:genie:problem:entry-refused"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("0", 0),
        ("7", 7_000),
        (" 7 ", 7_000),
        ("999999", MAX_RETRY_AFTER_MS),
        ("9" * 12, MAX_RETRY_AFTER_MS),
        ("9" * 5_000, None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("Fri, 15 Jan 2027 08:00:10 GMT", 10_000),
        ("Fri, 15 Jan 2027 07:59:59 GMT", 0),
        ("Fri, 15 Jan 2027 08:00:10 -0000", 10_000),
        ("Fri, 15 Jan 2027 17:00:10 +0900", 10_000),
        ("Fri, 15 Jan 2027 23:59:59 GMT", MAX_RETRY_AFTER_MS),
        ("Fri, 99 Jan 2027 08:00:10 GMT", None),
    ],
)
def test_retry_after(value: str | None, expected: int | None) -> None:
    """Seconds and HTTP dates are honoured up to the cap; nonsense is no Retry-After."""
    assert retry_after_ms(value, NOW) == expected


def look_up(document: Any, *asked: str) -> Any:
    return read_lookup(orjson.dumps(document), set(asked), key_id="genie-1")


def test_a_lookup_is_read() -> None:
    """Each key has its status; a received one has what GeNiE first took, and its receipt."""
    reply = look_up(
        {
            "as_of": "2026-11-22T01:02:03.004Z",
            "results": [
                {"idempotency_key": KEY, "status": "received", "first": FIRST, "receipt_id": "receipt-1"},
                {"idempotency_key": OTHER_KEY, "status": "processing"},
            ],
        },
        KEY,
        OTHER_KEY,
    )
    received, processing = reply.results
    assert reply.as_of == RECEIVED_AT
    assert received.status is LookupStatus.RECEIVED
    assert received.first == First(ORIGIN, b"s" * 32, b"b" * 32, RECEIVED_AT)
    assert isinstance(received.receipt, Receipt)
    assert (received.receipt.id, received.receipt.key_id) == ("receipt-1", "genie-1")
    assert (processing.status, processing.first) == (LookupStatus.PROCESSING, None)


@pytest.mark.parametrize(
    "told",
    [
        {"idempotency_key": KEY, "status": "received"},
        {"idempotency_key": KEY, "status": "received", "first": FIRST | {"origin": 1}},
        {"idempotency_key": KEY, "status": "accepted", "first": FIRST},
        {"idempotency_key": KEY, "status": {}},
        {"idempotency_key": 1, "status": "not_received"},
        {"idempotency_key": OTHER_KEY, "status": "not_received"},
        None,
    ],
)
def test_a_lookup_says_nothing_of_a_key_told_nonsense(told: Any) -> None:
    """A status that nobody knows, `received` without `first`, or a key not asked for, is no answer."""
    assert look_up({"as_of": "2026-11-22T01:02:03.004Z", "results": [told]}, KEY).results == ()


def test_a_lookup_says_nothing_of_a_key_told_twice() -> None:
    """Two results for one key cancel each other, even if one of them is nonsense."""
    not_received = {"idempotency_key": KEY, "status": "not_received"}
    for second in (not_received, {"idempotency_key": KEY, "status": 5}):
        document = {"as_of": "2026-11-22T01:02:03.004Z", "results": [not_received, second]}
        assert look_up(document, KEY).results == ()


@pytest.mark.parametrize("as_of", [None, 5, "2026-11-22T01:02:03Z", "2026-13-22T01:02:03.004Z", "yesterday"])
def test_a_lookup_without_its_time_is_none(as_of: Any) -> None:
    """Without `as_of` nobody knows what `not_received` is worth."""
    assert look_up({"as_of": as_of, "results": [{"idempotency_key": KEY, "status": "not_received"}]}, KEY) is None


@pytest.mark.parametrize("receipt_id", [None, "\u5c71\u7530"])
def test_a_lookup_without_a_receipt_tells_what_was_received(receipt_id: str | None) -> None:
    """GeNiE has it; the receipt is for the books."""
    told = {"idempotency_key": KEY, "status": "received", "first": FIRST, "receipt_id": receipt_id}
    (result,) = look_up({"as_of": "2026-11-22T01:02:03.004Z", "results": [told]}, KEY).results
    assert (result.status, result.receipt) == (LookupStatus.RECEIVED, None)
