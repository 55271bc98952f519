"""What an input record says, once its bytes are decoded: an Event, or the reason why it can never be one.

Knows the fields of the input records and which values are possible. Must not know Avro, consent or bodies.
Checked is every value that may leave or that a decision rests on (whoever lets another field leave adds it here);
what stays inside is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self

from gateway.code import Code
from gateway.core.reasons import Coded, Reason
from gateway.core.values import value

Record = Mapping[str, Any]

DAY_MS = 86_400_000
JST_AHEAD_MS = 9 * 3_600_000  # Japan has no summer time

INT_MAX = 2**31 - 1
SAFE_INTEGER = 2**53 - 1  # the largest integer that every JSON reader keeps exact
FIRST_DAY, LAST_DAY = -25_567, 84_005  # 1900-01-01 to 2199-12-31
LAST_MS = (LAST_DAY + 1) * DAY_MS - 1
REF_MAX = 64
TEXT_MAX = 200
ADDRESS_MAX = 500
PHONE_MAX = 32
UNIT_MAX = 64
INPUTS_MAX = 200


class Item(StrEnum):
    """What a leaf of a schema may be labelled: the seven items of the policy, and what is none of them."""

    NAME = "name"
    ADDRESS = "address"
    PHONE = "phone"
    BIRTH_DATE = "birth_date"
    PAYMENT_HISTORY = "payment_history"
    NOREL_SCORE = "norel_score"
    NOREL_SCORE_INPUTS = "norel_score_inputs"
    ENVELOPE = "envelope"  # says which event it is
    INTERNAL = "internal"  # never leaves


class EventType(Coded):
    """The two kinds of event, each with the item that it is about (its matter)."""

    matter: Item

    def __new__(cls, code: str, matter: Item) -> Self:
        member = object.__new__(cls)
        member._value_ = member.code = code
        member.matter = matter
        return member

    LEASE_PAYMENT = ("lease_payment", Item.PAYMENT_HISTORY)
    NOREL_SCORE_UPDATE = ("norel_score_update", Item.NOREL_SCORE)


@dataclass(frozen=True, slots=True)
class Layout:
    """The writer schema of a record: its id, and what its leaves are labelled."""

    schema_id: int
    items: Mapping[str, str]  # path of a leaf ("customer.name", "inputs[].value") -> item


@value(frozen=True, slots=True)
class Event:
    """One input record whose values are all possible."""

    type: EventType
    event_id: str
    subject_ref: str
    contract_ref: str | None
    occurred_at: int  # ms
    covered_days: tuple[int, ...]  # JST days that consent must cover, whatever leaves
    creditor_is_us: bool
    correction: bool  # corrects an event that may have been provided
    layout: Layout
    record: Record


def jst_day(ms: int) -> int:
    """The day in Japan, as days since epoch, of a moment in ms since epoch."""
    return (ms + JST_AHEAD_MS) // DAY_MS


# At least one letter, so that no telephone number fits; no @, blank or kana, so that no e-mail or name does.
_REF = re.compile(r"(?=[0-9_-]*[A-Za-z])[A-Za-z0-9][A-Za-z0-9_-]{5,63}").fullmatch
is_uuid = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
_MONTH = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])").fullmatch
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?").fullmatch


def check_ref(ref: bytes | str) -> str | None:
    """The text of a well-formed subject_ref or contract_ref; None if it is not one."""
    if len(ref) > REF_MAX:
        return None
    if isinstance(ref, bytes):
        if not ref.isascii():
            return None
        ref = ref.decode()
    return ref if _REF(ref) else None


def parse(
    type: EventType,  # noqa: A002 - the field's name, as in Event
    layout: Layout,
    record: Record,
    key: bytes | None,
) -> Event | Reason:
    """Make an Event of a decoded record, or say why it is none. Raises nothing, whatever the record holds."""
    ref = None if key is None else check_ref(key)
    if ref is None:
        return Reason.BAD_KEY
    try:
        event = _READERS[type](type, layout, record)
        if event is not None and (event.subject_ref == ref or check_ref(event.subject_ref)):
            return event if event.subject_ref == ref else Reason.SUBJECT_MISMATCH
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        pass  # a field is missing, or of another type
    return Reason.BAD_VALUE


def _fits(
    integers: Iterable[tuple[str, int, int]],  # name, lowest, highest
    texts: Iterable[tuple[str, int, int]] = (),  # name, shortest, longest
    codes: Iterable[tuple[str, frozenset[str | None]]] = (),
    forms: Iterable[tuple[str, Callable[[str], object]]] = (),
) -> Callable[[Record], bool]:
    """A function that says whether these fields of a record have possible values."""
    code = Code({})

    def refuse_unless(name: str, possible: str) -> None:
        code.line(f"value = record[{name!r}]")
        code.line(f"if not ({possible}): return False")

    for name, low, high in integers:
        refuse_unless(name, f"type(value) is int and {low} <= value <= {high}")  # to isinstance a bool is an int
    for name, low, high in texts:
        refuse_unless(name, f"type(value) is str and {low} <= len(value) <= {high}")
        code.line("if not value.isascii(): value.encode()")  # raises for half a surrogate pair, which no JSON can hold
    for name, known in codes:
        refuse_unless(name, f"value in {code.constant(known)}")
    for name, form in forms:
        refuse_unless(name, f"{code.constant(form)}(value)")
    code.line("return True")
    return code.function("record")


_PAYMENT = _fits(
    integers=(
        ("occurred_at", 0, LAST_MS),
        ("installment_no", 0, INT_MAX),
        ("due_date", FIRST_DAY, LAST_DAY),
        ("amount_due_jpy", -SAFE_INTEGER, SAFE_INTEGER),
        ("amount_paid_jpy", -SAFE_INTEGER, SAFE_INTEGER),
        ("amount_past_due_jpy", 0, SAFE_INTEGER),
        ("days_past_due", 0, INT_MAX),
    ),
    codes=(
        ("creditor", frozenset({"idom_caas", "partner_lessor"})),
        (
            "payment_method",
            frozenset({"account_debit", "bank_transfer", "convenience_store", "card", "other"}),
        ),
        ("nonpayment_reason", frozenset({"customer", "not_customer", "unknown", None})),
        ("status", frozenset({"paid", "partial", "unpaid", "reversed", "corrected"})),
    ),
    forms=(("event_id", is_uuid), ("contract_ref", check_ref), ("billing_month", _MONTH)),
)
_CUSTOMER = _fits(
    integers=(("birth_date", FIRST_DAY, LAST_DAY),),
    texts=(
        ("name", 1, TEXT_MAX),
        ("name_kana", 1, TEXT_MAX),
        ("address", 1, ADDRESS_MAX),
        ("phone", 1, PHONE_MAX),
    ),
)
_SCORE = _fits(
    integers=(("sequence", 0, SAFE_INTEGER), ("as_of", 0, LAST_MS), ("computed_at", 0, LAST_MS)),
    texts=(("model_id", 1, TEXT_MAX), ("model_version", 1, TEXT_MAX)),
    forms=(("score_id", is_uuid), ("score", _DECIMAL), ("scale_min", _DECIMAL), ("scale_max", _DECIMAL)),
)
_INPUT = _fits(
    integers=(("observed_at", 0, LAST_MS),),
    texts=(("input_id", 1, TEXT_MAX), ("unit", 0, UNIT_MAX), ("source", 1, TEXT_MAX)),
    forms=(("value", _DECIMAL),),
)


def _payment(kind: EventType, layout: Layout, record: Record) -> Event | None:
    paid_date, corrects = record["paid_date"], record["corrects_event_id"]
    if (
        not _PAYMENT(record)
        or not _CUSTOMER(record["customer"])
        or not (paid_date is None or (type(paid_date) is int and FIRST_DAY <= paid_date <= LAST_DAY))
        or not (corrects is None or is_uuid(corrects))
    ):
        return None
    return Event(
        kind,
        record["event_id"],
        record["subject_ref"],
        record["contract_ref"],
        record["occurred_at"],
        (record["due_date"],),
        record["creditor"] == "idom_caas",
        record["status"] == "corrected" or corrects is not None,
        layout,
        record,
    )


def _score(kind: EventType, layout: Layout, record: Record) -> Event | None:
    supersedes, inputs = record["supersedes"], record["inputs"]
    if (
        not _SCORE(record)
        or not Decimal(record["scale_min"]) <= Decimal(record["score"]) <= Decimal(record["scale_max"])
        or not (supersedes is None or is_uuid(supersedes))
        or len(inputs) > INPUTS_MAX
        or not all(map(_INPUT, inputs))
    ):
        return None
    return Event(
        kind,
        record["score_id"],
        record["subject_ref"],
        None,
        record["computed_at"],
        (jst_day(record["as_of"]),),
        True,  # our own score
        False,
        layout,
        record,
    )


_READERS = {EventType.LEASE_PAYMENT: _payment, EventType.NOREL_SCORE_UPDATE: _score}
