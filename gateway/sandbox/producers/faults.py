"""What goes wrong with input on its way: sent twice, an id used twice, and poison that nobody should send.

Knows how to spoil one record. Must not know how a reader judges it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Any

from gateway import schemas
from gateway.sandbox.producers.days import DAY_MS

UNKNOWN_SCHEMA_ID = 999_999
TOO_LARGE_BYTES = 200_000
MAX_JUNK_BYTES = 400
FUTURE_MS = 30 * DAY_MS


class Fault(Enum):
    """One way in which input goes wrong: (code, share of all events, whether it is poison, sentence)."""

    share: float
    poison: bool
    sentence: str

    def __new__(cls, code: str, share: float, poison: bool, sentence: str) -> Fault:
        member = object.__new__(cls)
        member._value_ = code
        member.share = share
        member.poison = poison
        member.sentence = sentence
        return member

    DUPLICATE = ("duplicate", 0.01, False, "The producer sends an earlier event again, byte for byte.")
    REUSED_ID = ("reused_id", 0.002, False, "An earlier event's id comes again with other content.")
    JUNK = ("junk", 0.001, True, "Random bytes.")
    FRAMED_JUNK = ("framed_junk", 0.001, True, "Random bytes behind a proper schema id.")
    TRUNCATED = ("truncated", 0.002, True, "The end of the record is missing.")
    TRAILING_BYTES = ("trailing_bytes", 0.002, True, "Bytes follow the end of the record.")
    UNKNOWN_SCHEMA = ("unknown_schema", 0.001, True, "No registry knows the schema id.")
    NULL_VALUE = ("null_value", 0.001, True, "There is a key and no value.")
    PHONE_AS_KEY = ("phone_as_key", 0.001, True, "The key is a telephone number instead of a subject_ref.")
    NO_KEY = ("no_key", 0.001, True, "There is no key.")
    OTHER_KEY = ("other_key", 0.002, True, "The key is another customer's subject_ref.")
    BAD_VALUE = ("bad_value", 0.003, True, "A field holds what cannot be.")
    FUTURE = ("future", 0.001, True, "The event happens a month from now.")
    TOO_LARGE = ("too_large", 0.0005, True, "Free text of 200 KB.")


@dataclass(slots=True)
class Draft:
    """A record about to be written."""

    schema: str
    record: dict[str, Any]
    key: bytes


@dataclass(frozen=True, slots=True)
class Around:
    """What a fault may need besides the record."""

    rng: Random
    other_key: bytes  # another customer's
    now: int


Spoilt = tuple[bytes | None, bytes | None]  # key, value

# field and impossible value; each must stay encodable
_BAD_PAYMENTS: tuple[dict[str, Any], ...] = (
    {"amount_past_due_jpy": -1},
    {"amount_due_jpy": 2**53},
    {"days_past_due": -3},
    {"billing_month": "2026-13"},
    {"event_id": "not-a-uuid"},
    {"due_date": 2**31 - 1},
)
_BAD_SCORES: tuple[dict[str, Any], ...] = (
    {"score": "NaN"},
    {"score": "1e3"},
    {"score": "99999"},
    {"sequence": -1},
    {"score_id": ""},
    {"as_of": -(2**62)},
)


def spoil(fault: Fault, draft: Draft, around: Around) -> Spoilt:
    """Key and value of the record with this fault in it."""
    return _WAYS[fault](draft, around)


def encode(draft: Draft) -> bytes:
    """The record as a careful producer writes it."""
    return schemas.encode(draft.schema, draft.record)


def _junk(draft: Draft, around: Around) -> Spoilt:
    return draft.key, b"\xff" + around.rng.randbytes(around.rng.randrange(MAX_JUNK_BYTES))


def _framed_junk(draft: Draft, around: Around) -> Spoilt:
    return draft.key, schemas.frame(
        schemas.schema_id(draft.schema), around.rng.randbytes(around.rng.randrange(MAX_JUNK_BYTES))
    )


def _truncated(draft: Draft, around: Around) -> Spoilt:
    value = encode(draft)
    return draft.key, value[: around.rng.randrange(1, len(value))]


def _trailing_bytes(draft: Draft, around: Around) -> Spoilt:
    return draft.key, encode(draft) + around.rng.randbytes(around.rng.randrange(1, 9))


def _unknown_schema(draft: Draft, _around: Around) -> Spoilt:
    return draft.key, schemas.encode(draft.schema, draft.record, UNKNOWN_SCHEMA_ID)


def _null_value(draft: Draft, _around: Around) -> Spoilt:
    return draft.key, None


def _phone_as_key(draft: Draft, around: Around) -> Spoilt:
    customer = draft.record.get("customer")
    phone = customer["phone"] if customer else f"090-{around.rng.randrange(10**4):04}-{around.rng.randrange(10**4):04}"
    return phone.encode(), encode(draft)


def _no_key(draft: Draft, _around: Around) -> Spoilt:
    return None, encode(draft)


def _other_key(draft: Draft, around: Around) -> Spoilt:
    return around.other_key, encode(draft)


def _bad_value(draft: Draft, around: Around) -> Spoilt:
    choices = _BAD_PAYMENTS if "customer" in draft.record else _BAD_SCORES
    draft.record |= around.rng.choice(choices)
    return draft.key, encode(draft)


def _future(draft: Draft, around: Around) -> Spoilt:
    for name in ("occurred_at", "recorded_at", "computed_at"):
        if name in draft.record:
            draft.record[name] = around.now + FUTURE_MS
    return draft.key, encode(draft)


def _too_large(draft: Draft, around: Around) -> Spoilt:
    text = around.rng.randbytes(TOO_LARGE_BYTES // 2).hex()
    if "customer" in draft.record:
        draft.record["customer"] = draft.record["customer"] | {"memo": text}
    else:
        draft.record["model_id"] = text
    return draft.key, encode(draft)


_WAYS: dict[Fault, Callable[[Draft, Around], Spoilt]] = {
    Fault.JUNK: _junk,
    Fault.FRAMED_JUNK: _framed_junk,
    Fault.TRUNCATED: _truncated,
    Fault.TRAILING_BYTES: _trailing_bytes,
    Fault.UNKNOWN_SCHEMA: _unknown_schema,
    Fault.NULL_VALUE: _null_value,
    Fault.PHONE_AS_KEY: _phone_as_key,
    Fault.NO_KEY: _no_key,
    Fault.OTHER_KEY: _other_key,
    Fault.BAD_VALUE: _bad_value,
    Fault.FUTURE: _future,
    Fault.TOO_LARGE: _too_large,
}
