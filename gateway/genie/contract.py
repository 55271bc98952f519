"""The contents of requests and answers: bytes of a batch out, checked results in.

Knows the JSON of the contract. Must not know HTTP, signatures, or what a result means (core/outcome.py).
Only verified answers are read at all; of these only what the contract defines is kept, and only in the forms
it defines, so that nothing that GeNiE adds by mistake can reach the ledger or a log.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

import orjson

from gateway.core.canonical import canonical_json
from gateway.core.facts import OutgoingEntry
from gateway.core.identity import b64url
from gateway.core.outcome import First, LookupReply, LookupResult, LookupStatus, Receipt, Reply, Result

# The closed list of problems for which GeNiE refuses an entry or a whole batch; another text of its is not repeated.
PROBLEM_TYPES = frozenset(
    f"urn:genie:problem:{name}"
    for name in (
        "body-not-canonical",
        "content-digest-mismatch",
        "content-digest-missing",
        "content-too-large",
        "duplicate-member",
        "entry-refused",
        "idempotency-key-mismatch",
        "idempotency-key-missing",
        "idempotency-key-reused",
        "malformed-json",
        "purposes-not-sorted",
        "schema-violated",
    )
)
MAX_LOOKUP_KEYS = 500
MAX_RETRY_AFTER_MS = 60_000  # a longer pause is asked for again when it is over

TIMES_KEPT = 256  # moments remembered: entries of one batch were mostly received in the same

_DIGEST = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_FIRST = re.compile("\n".join((*[_DIGEST.pattern] * 3, _TIME.pattern)))  # at once: half the time of one by one
_RECEIPT_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_PROBLEM_TYPE = re.compile(r"urn:genie:problem:[a-z0-9-]{1,64}")
_SECONDS = re.compile(r"[0-9]{1,12}")
_STATUSES = frozenset({"accepted", "duplicate", "superseded", "rejected", "retry"})
_TO_STANDARD_BASE64 = bytes.maketrans(b"-_", b"+/")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_MEDIA_TYPES = frozenset({"application/json", "application/problem+json"})


# --- out --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Provider:
    """Who provides, as APPI article 30 wants it told."""

    name: str
    address: str
    representative: str


class RequestWriter:
    """Writes the contents of requests; what is the same in all of them is written once."""

    __slots__ = ("_head", "_recipient", "_tail")

    def __init__(self, provider: Provider, acquisition: str, recipient_id: str) -> None:
        who = {"name": provider.name, "address": provider.address, "representative": provider.representative}
        # RFC 8785 sorts members, so "entries" lies between "acquisition" and "provider".
        self._head = b'{"acquisition":%b,"entries":[' % canonical_json(acquisition)
        self._recipient = canonical_json(recipient_id)
        self._tail = b'],"provider":%b,"recipient_id":%b}' % (canonical_json(who), self._recipient)

    def batch(self, entries: Sequence[OutgoingEntry]) -> bytes:
        """The canonical content of a batch; bodies go in as the bytes that their digests were taken of."""
        parts, before = [self._head], b'{"body":'
        for entry in entries:
            # Keys and origins are base64url: nothing in them needs escaping.
            rest = (
                f',"idempotency_key":"{entry.idempotency_key}","origin":"{entry.origin}",'
                f'"source_digest":"{b64url(entry.source_digest)}"}}'
            )
            parts += (before, entry.body, rest.encode("ascii"))
            before = b',{"body":'
        parts.append(self._tail)
        return b"".join(parts)

    def lookup(self, keys: Sequence[str]) -> bytes:
        """The canonical content of a lookup."""
        return b'{"idempotency_keys":%b,"recipient_id":%b}' % (canonical_json(list(keys)), self._recipient)


# --- in ---------------------------------------------------------------------------------------------------


def read_reply(
    status: int,
    content_type: str,
    retry_after: str | None,
    content: bytes,
    *,
    key_id: str | None,
    now_ms: int,
) -> Reply:
    """Read an answer to a batch; `key_id` is the key that verified it, None if nothing did."""
    media_type = content_type.partition(";")[0].strip().lower()
    document = _document(content) if key_id is not None else {}
    return Reply(
        status=status,
        verified=key_id is not None,
        media_type=media_type if media_type in _MEDIA_TYPES else "",
        retry_after_ms=retry_after_ms(retry_after, now_ms) if key_id is not None else None,
        results=_results(document) if status == 200 else None,
        problem_type=_problem_type(document),
        answer_digest=sha256(content).digest(),
        key_id=key_id,
    )


def read_lookup(content: bytes, asked: Collection[str], *, key_id: str) -> LookupReply | None:
    """Read a verified 200 to a lookup; a key told twice, or told nonsense, is left out."""
    document = _document(content)
    as_of, results = _time(document.get("as_of")), document.get("results")
    if as_of is None or not isinstance(results, list):
        return None
    dicts = [each for each in results if isinstance(each, dict)]
    times_told = Counter(_matched(_DIGEST, each.get("idempotency_key")) for each in dicts)
    answer_digest = sha256(content).digest()
    found = (_lookup_result(each, answer_digest, key_id) for each in dicts)
    return LookupReply(
        as_of,
        tuple(
            result
            for result in found
            if result and result.idempotency_key in asked and times_told[result.idempotency_key] == 1
        ),
    )


def retry_after_ms(value: str | None, now_ms: int) -> int | None:
    """Read a Retry-After header, seconds or an HTTP date, capped; None if there is none or it is nonsense."""
    if value is None:
        return None
    if _SECONDS.fullmatch(value.strip()):
        return min(int(value) * 1000, MAX_RETRY_AFTER_MS)
    try:
        at = parsedate_to_datetime(value)
        wait = (at.replace(tzinfo=at.tzinfo or UTC) - _EPOCH) // _MS - now_ms
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(wait, 0), MAX_RETRY_AFTER_MS)


def _document(content: bytes) -> dict[str, Any]:
    """The JSON object in `content`, {} if there is none. orjson bounds the depth, the client the size."""
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _results(document: dict[str, Any]) -> tuple[Result, ...] | None:
    results = document.get("results")
    if not isinstance(results, list):
        return None
    return tuple([result for each in results if (result := _result(each)) is not None])


def _result(each: Any) -> Result | None:
    """One entry's result; None if it cannot even be said whose it is."""
    if not isinstance(each, dict):
        return None
    key, status, problem = each.get("idempotency_key"), each.get("status"), each.get("problem")
    if not isinstance(key, str) or not _DIGEST.fullmatch(key):
        return None
    return Result(
        key,
        # Unhashable nonsense must not reach the set.
        status if isinstance(status, str) and status in _STATUSES else "",
        _first(each.get("first")),
        _matched(_RECEIPT_ID, each.get("receipt_id")),
        _problem_type(problem) if isinstance(problem, dict) else None,
    )


def _lookup_result(each: dict[str, Any], answer_digest: bytes, key_id: str) -> LookupResult | None:
    key = _matched(_DIGEST, each.get("idempotency_key"))
    try:
        status = LookupStatus(each.get("status"))
    except ValueError:
        return None
    if key is None:
        return None
    if status is not LookupStatus.RECEIVED:
        return LookupResult(key, status)
    first, receipt_id = _first(each.get("first")), _matched(_RECEIPT_ID, each.get("receipt_id"))
    if first is None:
        return None
    receipt = Receipt(receipt_id, first.received_at, answer_digest, key_id) if receipt_id else None
    return LookupResult(key, status, first, receipt)


def _first(value: Any) -> First | None:
    try:
        origin, at = value["origin"], value["received_at"]
        source, body = value["source_digest"], value["body_digest"]
        told = "\n".join((origin, source, body, at))
    except (KeyError, TypeError):  # it is none, or something in it is missing or no text
        return None
    if not _FIRST.fullmatch(told) or (received_at := _ms_of(at)) is None:
        return None
    # Both at once, in a third of what base64.urlsafe_b64decode takes; "A" is six bits without meaning.
    digests = a2b_base64(f"{source}A{body}A".encode("ascii").translate(_TO_STANDARD_BASE64))
    return First(origin, digests[:32], digests[33:65], received_at)


def _problem_type(problem: dict[str, Any]) -> str | None:
    return _matched(_PROBLEM_TYPE, problem.get("type"))


def _time(value: Any) -> int | None:
    text = _matched(_TIME, value)
    return _ms_of(text) if text else None


@lru_cache(TIMES_KEPT)
def _ms_of(text: str) -> int | None:
    try:
        return (datetime.fromisoformat(text) - _EPOCH) // _MS
    except ValueError:  # a month 13
        return None


def _matched(pattern: re.Pattern[str], value: Any) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None
