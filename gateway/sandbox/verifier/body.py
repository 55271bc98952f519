"""What a body at GeNiE may hold: contract.md's item table, written a second time, and the values of the input record.

Knows fields and formats. Must not know consent, topics or receipts.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gateway.sandbox.verifier.consent import Sent
from gateway.sandbox.verifier.policy import Policy, jst_day

Json = Mapping[str, Any]
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DAY_MS = 86_400_000
_DIGEST = re.compile(r"[A-Za-z0-9_-]{43}")  # base64url of 32 bytes, unpadded
_KNOWN_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")  # anything else in a finding could be data


@lru_cache(maxsize=65_536)
def _day(days: int) -> str | None:
    try:
        return (_EPOCH + dt.timedelta(days=days)).date().isoformat()
    except OverflowError:
        return None


def _time(ms: int) -> str | None:
    days, rest = divmod(ms, _DAY_MS)
    date = _day(days)
    return date and f"{date}T{_clock(rest // 1000)}.{rest % 1000:03}Z"


@lru_cache(maxsize=86_400)
def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


Format = Callable[[Any], Any]
Fields = Mapping[str, Format | None]  # None: as it is

_PAYMENT: Fields = {
    **dict.fromkeys(
        ("installment_no", "billing_month", "amount_due_jpy", "amount_paid_jpy", "amount_past_due_jpy",
         "payment_method", "days_past_due", "nonpayment_reason", "status", "corrects_event_id"), None
    ),
    "due_date": _day,
    "paid_date": _day,
}  # fmt: skip
_SCORE: Fields = {
    **dict.fromkeys(("sequence", "score", "scale_min", "scale_max", "model_id", "model_version", "supersedes"), None),
    "as_of": _time,
}
_INPUT: Fields = {"input_id": None, "value": None, "unit": None, "observed_at": _time}


@dataclass(frozen=True, slots=True)
class EventKind:
    """One type of event: its names, and where and in what format each field that may be sent lies in the input."""

    name: str  # event_type in bodies and in the ledger
    record: str  # Avro record
    id: str  # field of the event's id
    matter: str
    envelope: Fields
    of_record: Mapping[str, Fields]  # items whose fields lie at the top of the record
    of_customer: Mapping[str, Fields]
    items: frozenset[str]

    def item(self, name: str, record: Json) -> dict[str, Any] | None:
        """The item as it may be sent; None if this type of event has no such item, or it is not a plain one."""
        if name in self.of_record:
            return _formatted(self.of_record[name], record)
        if name in self.of_customer:
            return _formatted(self.of_customer[name], record["customer"])
        return None


KINDS = {
    kind.record: kind
    for kind in (
        EventKind(
            "lease_payment", "LeasePaymentEvent", "event_id", "payment_history",
            envelope={"event_id": None, "occurred_at": _time},
            of_record={"payment_history": _PAYMENT},
            of_customer={
                "name": {"name": None, "name_kana": None},
                "address": {"address": None},
                "phone": {"phone": None},
                "birth_date": {"birth_date": _day},
            },
            items=frozenset({"name", "address", "phone", "birth_date", "payment_history"}),
        ),
        EventKind(
            "norel_score_update", "NorelScoreUpdate", "score_id", "norel_score",
            envelope={"score_id": None},
            of_record={"norel_score": _SCORE},
            of_customer={},
            items=frozenset({"norel_score", "norel_score_inputs"}),
        ),
    )
}  # fmt: skip


def leaks(body: Json, kind: EventKind, record: Json, policy: Policy) -> Iterator[str]:
    """What a body holds that the item table does not allow, or that is not the input's; one line for each field."""
    expected: dict[str, Any] = {
        "event_type": kind.name,
        "envelope": _formatted(kind.envelope, record),
        "subject_key": body.get("subject_key"),
        "items": body.get("items"),
        "permitted_purposes": body.get("permitted_purposes"),
        "consent": body.get("consent"),
    }
    if "contract_ref" in record:
        expected["contract_key"] = body.get("contract_key")
    if body != expected:
        yield from _differences(body, expected, "")
    for name in ("subject_key", "contract_key"):
        if name in body and not (isinstance(body[name], str) and _DIGEST.fullmatch(body[name])):
            yield f"{name}: not a pseudonym"
    yield from _consent_leaks(body)
    items = body.get("items")
    for name, item in items.items() if isinstance(items, dict) else ():
        if name == "norel_score_inputs" and name in kind.items:
            yield from _input_leaks(item, record, policy)
            continue
        allowed = kind.item(name, record)
        if allowed is None:
            yield f"items.{_shown(name)}: not an item of this type of event"
        elif item != allowed:
            yield from _differences(item, allowed, f"items.{name}.")


def sent(body: Json, kind: EventKind, record: Json) -> Sent:
    """What consent has to allow of this body."""
    items = _mapping(body.get("items"))
    consent = _mapping(body.get("consent"))
    purposes = body.get("permitted_purposes")
    if kind.matter == "payment_history":
        days = [record["due_date"]]
    else:
        inputs = items.get("norel_score_inputs")
        observed = [_ms(_mapping(entry).get("observed_at")) for entry in (inputs if isinstance(inputs, list) else ())]
        days = [jst_day(record["as_of"]), *(jst_day(ms) for ms in observed if ms is not None)]
    version = consent.get("policy_version")
    version_ms = _ms(version if isinstance(version, str) and len(version) == len("2026-02-25") else None)
    return Sent(
        subject_ref=record["subject_ref"],
        contract_ref=record.get("contract_ref"),
        creditor=record.get("creditor"),
        days=tuple(days),
        matter=kind.matter,
        event_items=kind.items,
        items=frozenset(items),
        purposes=frozenset(p for p in purposes if isinstance(p, str)) if isinstance(purposes, list) else frozenset(),
        policy_version=None if version_ms is None else version_ms // _DAY_MS,
        consented_at=_ms(consent.get("consented_at")),
    )


def _formatted(fields: Fields, values: Json) -> dict[str, Any]:
    return {
        name: value if form is None else form(value)
        for name, form in fields.items()
        if (value := values[name]) is not None
    }


def _input_leaks(item: Any, record: Json, policy: Policy) -> Iterator[str]:
    """A score input passes if it is the record's, registered for the model, and from the registered source."""
    registered = policy.score_inputs.get((record["model_id"], record["model_version"]), {})
    known = [_formatted(_INPUT, entry) for entry in record["inputs"]]
    passing = [
        shown
        for shown, entry in zip(known, record["inputs"], strict=True)
        if registered.get(entry["input_id"]) == entry["source"] and entry["source"] not in {"location", "bureau"}
    ]
    if not isinstance(item, list):
        yield "items.norel_score_inputs: not a list"
        return
    for index, entry in enumerate(item):
        where = f"items.norel_score_inputs[{index}]"
        if entry in passing:
            continue
        if entry in known:
            yield f"{where}: not registered for this model version, or from another source"
            continue
        same = [shown for shown in known if shown["input_id"] == _mapping(entry).get("input_id")]
        yield from _differences(entry, same[0] if same else {}, f"{where}.")


def _consent_leaks(body: Json) -> Iterator[str]:
    consent = body.get("consent")
    if not isinstance(consent, dict):
        yield "consent: not an object"
        return
    yield from (
        f"consent.{_shown(name)}: not allowed" for name in consent if name not in {"policy_version", "consented_at"}
    )
    if any(_ms(value) is None for value in consent.values()):
        yield "consent: not a date or time"
    purposes = body.get("permitted_purposes")
    if not isinstance(purposes, list) or not all(isinstance(purpose, str) for purpose in purposes):
        yield "permitted_purposes: not a list of names"


def _differences(found: Any, allowed: Json, path: str) -> Iterator[str]:
    """Fields that are not allowed or have another value; a missing one is no leak."""
    if not isinstance(found, dict):
        yield f"{path.rstrip('.') or 'body'}: not an object"
        return
    for name, value in found.items():
        if name not in allowed:
            yield f"{path}{_shown(name)}: not allowed"
        elif isinstance(value, dict) and isinstance(allowed[name], dict):
            yield from _differences(value, allowed[name], f"{path}{name}.")
        elif value != allowed[name]:
            yield f"{path}{name}: not the input's value"


def _shown(name: str) -> str:
    return name if _KNOWN_NAME.fullmatch(name) else "(a name that is not shown)"


def _mapping(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


@lru_cache(maxsize=65_536)
def _parsed(text: str) -> int | None:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment.replace(tzinfo=moment.tzinfo or dt.UTC) - _EPOCH) // dt.timedelta(milliseconds=1)


def _ms(text: Any) -> int | None:
    """ms since the epoch of an RFC 3339 time in UTC, or of a date at 00:00 UTC."""
    return _parsed(text) if isinstance(text, str) else None
