"""What an answer of GeNiE means for each entry sent: the total outcome table, in one function, `classify`.

Knows HTTP statuses and the words of GeNiE's results. Must not know how the answer travelled, how its
signature was checked, or what a lane does next. Whatever is not surely one thing is UNKNOWN: that is always
safe, because a lane sends the same bytes again or looks up. Keys are unique within a batch.

| what came                                         | verified, signed              | otherwise        |
|---|---|---|
| nothing left this machine (`NotSent`)             |                               | NOT_RECEIVED     |
| 200 with results                                  | entry by entry, `_ENTRIES`    | UNKNOWN          |
| 429, 503                                          | NOT_RECEIVED, Retry-After     | UNKNOWN          |
| 400, 413, 422                                     | bisect; a single one: parked  | UNKNOWN          |
| 401 signature-expired                             | NOT_RECEIVED: announce again  | UNKNOWN and stop |
| 408, 409                                          | UNKNOWN                       | UNKNOWN          |
| any 3xx, any other 4xx                            | NOT_RECEIVED and stop         | UNKNOWN and stop |
| signed at a time far from ours (`Loss.CLOCK`)     |                               | UNKNOWN and stop |
| all else: other statuses, no whole answer (`Lost`)| UNKNOWN                       | UNKNOWN          |
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

from gateway.core.reasons import Reason
from gateway.core.values import value

KEY_REUSED = "urn:genie:problem:idempotency-key-reused"
SIGNATURE_EXPIRED = "urn:genie:problem:signature-expired"


# --- what came back ---------------------------------------------------------------------------------------


class Unsent(Enum):
    """Why surely no byte of the request left."""

    REFUSED = "no connection to GeNiE could be opened"
    TLS_FAILED = "the TLS handshake failed before the request"
    EXPIRED = "the announcement had expired before the request was written"
    CLOSED = "our client is closed"


class Loss(Enum):
    """Why the request may have arrived, but no whole answer came that can be believed."""

    TIMEOUT = "no whole answer before the attempt's deadline"
    BROKEN = "the connection broke or spoke no HTTP"
    TOO_LARGE = "the answer was larger than its bound"
    ENCODED = "the answer came compressed although that was ruled out"
    CLOCK = "GeNiE signed the answer at a time that is far from ours"


@dataclass(frozen=True, slots=True)
class NotSent:
    """Surely no byte of the request left this machine."""

    detail: Unsent


@dataclass(frozen=True, slots=True)
class Lost:
    """The request may have arrived; no whole answer came back that can be believed."""

    detail: Loss


@value(frozen=True, slots=True)
class First:
    """What GeNiE says it first accepted under an idempotency key."""

    origin: str
    source_digest: bytes
    body_digest: bytes
    received_at: int


@value(frozen=True, slots=True)
class Result:
    """GeNiE's word on one entry; `status` is "" where it sent nonsense."""

    idempotency_key: str
    status: str
    first: First | None = None
    receipt_id: str | None = None
    problem_type: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole HTTP answer; nothing in it but the status may be believed unless `verified`."""

    status: int
    verified: bool
    media_type: str
    retry_after_ms: int | None
    results: tuple[Result, ...] | None
    problem_type: str | None
    answer_digest: bytes
    key_id: str | None


Answer = NotSent | Lost | Reply


@value(frozen=True, slots=True)
class SentEntry:
    """What must be remembered of an entry to understand the answer to it."""

    idempotency_key: str
    origin: str
    source_digest: bytes
    body_digest: bytes


@value(frozen=True, slots=True)
class Receipt:
    """Proof of GeNiE's acceptance, as the ledger keeps it."""

    id: str
    received_at: int
    answer_digest: bytes
    key_id: str


class LookupStatus(Enum):
    """What GeNiE says of a key on being asked."""

    RECEIVED = "received"
    PROCESSING = "processing"
    NOT_RECEIVED = "not_received"


@dataclass(frozen=True, slots=True)
class LookupResult:
    """GeNiE's word on one key; `first` is there whenever the status is RECEIVED."""

    idempotency_key: str
    status: LookupStatus
    first: First | None = None
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class LookupReply:
    """A verified answer to a lookup; a key that is missing here got no usable answer."""

    as_of: int
    results: tuple[LookupResult, ...]


# --- what it means ----------------------------------------------------------------------------------------


class Meaning(Enum):
    """What an answer settles for one entry."""

    FINAL = "GeNiE has decided; the reason says how"
    NOT_RECEIVED = "surely not received by this attempt"
    UNKNOWN = "it may or may not have been received"


class Stop(StrEnum):
    """Why lanes must stop and a person must look: our configuration or GeNiE's is wrong."""

    sentence: str

    def __new__(cls, code: str, sentence: str) -> Stop:
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member

    UNAUTHENTICATED = ("genie_unauthenticated", "GeNiE refuses our signature (401): check keys and clocks.")
    FORBIDDEN = ("genie_forbidden", "GeNiE does not know our key or recipient id (403): check the key id.")
    WRONG_URL = ("genie_wrong_url", "GeNiE's URL is wrong (404, 405, 410): check the base URL.")
    WRONG_MEDIA_TYPE = ("genie_wrong_media_type", "GeNiE takes other media (415): compare contract versions.")
    REDIRECTED = ("genie_redirected", "GeNiE redirects (3xx), which is never followed: check the base URL.")
    CLOCK = ("genie_clock", "GeNiE's clock is further from ours than the skew allows: set the clocks.")
    REFUSED = ("genie_refused", "GeNiE refuses with another 4xx: ask GeNiE what it expects.")


@value(frozen=True, slots=True)
class EntryOutcome:
    """What the answer means for one entry; `reason` is there when it is FINAL.

    `repeated`: GeNiE had it before this attempt.
    """

    meaning: Meaning
    reason: Reason | None = None
    first: First | None = None
    receipt: Receipt | None = None
    problem_type: str | None = None
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What the answer means for the batch; `entries` has one for each entry sent, in its order."""

    entries: tuple[EntryOutcome, ...]
    retry_after_ms: int | None = None
    bisect: bool = False
    stop: Stop | None = None


# --- the tables -------------------------------------------------------------------------------------------

_NOT_RECEIVED = EntryOutcome(Meaning.NOT_RECEIVED)
_UNKNOWN = EntryOutcome(Meaning.UNKNOWN)


class _Match(StrEnum):  # whose hash, unlike an Enum's, is no call
    """How `first` compares with what we sent."""

    OURS = "our origin, our body"
    SAME_BODY = "another origin, the same body"
    SAME_SOURCE = "the same input value, another body: another scope"
    OTHER = "another input value and another body"
    NONE = "no well-formed `first`"


_REUSED = "rejected because the key was used for another body"

# Where `first` contradicts the status GeNiE breaks its duties, so the cell says UNKNOWN: an `accepted` whose
# `first` is not ours might be a swapped result, and a lookup or the next attempt tells.
_ENTRIES: dict[str, dict[_Match, Reason | Meaning]] = {
    "accepted": {_Match.OURS: Reason.ACCEPTED},
    "duplicate": {_Match.OURS: Reason.ACCEPTED, _Match.SAME_BODY: Reason.SAME_EVENT},
    "superseded": {_Match.OURS: Reason.NEWER_AT_GENIE, _Match.SAME_BODY: Reason.NEWER_AT_GENIE},
    _REUSED: {_Match.SAME_SOURCE: Reason.SAME_EVENT_OTHER_SCOPE, _Match.OTHER: Reason.EVENT_ID_REUSED},
    "rejected": {_Match.NONE: Reason.REJECTED_BY_GENIE},
    "retry": dict.fromkeys(_Match, Meaning.NOT_RECEIVED),
}
_NO_ROW: dict[_Match, Reason | Meaning] = {}  # of a word that is none of these


class _Rule(Enum):
    """What a verified status says of the batch; unverified, each of them says UNKNOWN."""

    EACH = "each entry by its own result"
    LATER = "surely not received; come back after Retry-After"
    BISECT = "one entry is at fault: halve the batch until it is alone, and park it"
    MAYBE = "it may or may not have been received"


# The first row that fits; all else is MAYBE.
_STATUSES: tuple[tuple[Container[int], _Rule | Stop], ...] = (
    (frozenset({200}), _Rule.EACH),
    (frozenset({429, 503}), _Rule.LATER),
    (frozenset({400, 413, 422}), _Rule.BISECT),
    (frozenset({408, 409}), _Rule.MAYBE),
    (range(300, 400), Stop.REDIRECTED),
    (frozenset({401}), Stop.UNAUTHENTICATED),
    (frozenset({403}), Stop.FORBIDDEN),
    (frozenset({404, 405, 410}), Stop.WRONG_URL),
    (frozenset({415}), Stop.WRONG_MEDIA_TYPE),
    (range(400, 500), Stop.REFUSED),
)


# --- the one function -------------------------------------------------------------------------------------


def classify(answer: Answer, sent: Sequence[SentEntry]) -> BatchOutcome:
    """Say what `answer` means for each entry of `sent`; total, whatever GeNiE sent."""
    if isinstance(answer, NotSent):
        return _all(_NOT_RECEIVED, sent)
    if isinstance(answer, Lost):
        return _all(_UNKNOWN, sent, stop=Stop.CLOCK if answer.detail is Loss.CLOCK else None)
    rule = next((rule for statuses, rule in _STATUSES if answer.status in statuses), _Rule.MAYBE)
    if not answer.verified:
        return _all(_UNKNOWN, sent, stop=rule if isinstance(rule, Stop) else None)
    if isinstance(rule, Stop):
        # A slow network or a busy GeNiE lets a signature expire without anybody's configuration being wrong.
        expired = rule is Stop.UNAUTHENTICATED and answer.problem_type == SIGNATURE_EXPIRED
        return _all(_NOT_RECEIVED, sent, stop=None if expired else rule)
    return _verified(answer, rule, sent)


def _verified(reply: Reply, rule: _Rule, sent: Sequence[SentEntry]) -> BatchOutcome:
    match rule:
        case _Rule.EACH:
            return BatchOutcome(_each(reply, sent))
        case _Rule.LATER:
            return _all(_NOT_RECEIVED, sent, retry_after_ms=reply.retry_after_ms)
        case _Rule.BISECT if len(sent) > 1:
            return _all(_NOT_RECEIVED, sent, bisect=True)
        case _Rule.BISECT if reply.problem_type != KEY_REUSED:
            parked = EntryOutcome(Meaning.FINAL, Reason.REJECTED_BY_GENIE, problem_type=reply.problem_type)
            return _all(parked, sent)
        case _:
            # A key reused, said of the whole request, names no `first` and so not whose record GeNiE has.
            return _all(_UNKNOWN, sent)


def _all(
    outcome: EntryOutcome,
    sent: Sequence[SentEntry],
    *,
    retry_after_ms: int | None = None,
    bisect: bool = False,
    stop: Stop | None = None,
) -> BatchOutcome:
    return BatchOutcome((outcome,) * len(sent), retry_after_ms, bisect, stop)


def _each(reply: Reply, sent: Sequence[SentEntry]) -> tuple[EntryOutcome, ...]:
    """Match results by key, never by place: a key missing or told twice says nothing about its entry."""
    told: dict[str, Result | None] = {}
    for result in reply.results or ():
        key = result.idempotency_key
        told[key] = None if key in told else result
    return tuple([_entry(reply, told.get(entry.idempotency_key), entry) for entry in sent])


def _entry(reply: Reply, result: Result | None, entry: SentEntry) -> EntryOutcome:
    if result is None:
        return _UNKNOWN
    status, first, receipt = result.status, result.first, None
    reused = status == "rejected" and result.problem_type == KEY_REUSED
    row = _ENTRIES.get(_REUSED if reused else status, _NO_ROW)
    cell = row.get(_match(first, entry), Meaning.UNKNOWN)
    if isinstance(cell, Meaning):
        return _UNKNOWN if cell is Meaning.UNKNOWN else _NOT_RECEIVED
    if first is not None and result.receipt_id is not None and reply.key_id is not None:
        receipt = Receipt(result.receipt_id, first.received_at, reply.answer_digest, reply.key_id)
    return EntryOutcome(Meaning.FINAL, cell, first, receipt, result.problem_type, status == "duplicate")


def _match(first: First | None, entry: SentEntry) -> _Match:
    if first is None:
        return _Match.NONE
    if first.body_digest == entry.body_digest:
        return _Match.OURS if first.origin == entry.origin else _Match.SAME_BODY
    return _Match.SAME_SOURCE if first.source_digest == entry.source_digest else _Match.OTHER
