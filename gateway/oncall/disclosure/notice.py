"""The notice to GeNiE of what it holds of a customer who withdrew: by the names that GeNiE knows, and no others.

Knows what GeNiE is asked to do, and the words. Must not know the form or where the records come from. No reference of
ours to the customer or an event is in it: the two keys make GeNiE's names of them. Contracts are not named at all, for
GeNiE would hear of those of which nothing was provided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.core.events import EventType
from gateway.core.identity import Identity
from gateway.core.policy import Policy
from gateway.oncall import times
from gateway.oncall.disclosure import words
from gateway.oncall.disclosure.answer import Provider, Reading, Told, named, of_provider, of_reading, span
from gateway.oncall.disclosure.provisions import Books, Provision, Record, Source, Unsettled, original, source
from gateway.oncall.disclosure.words import Kind

TITLE = "個人データの第三者提供の停止に関する通知"

_WITHDRAWN = "第三者提供に係る同意が撤回されました"
_NO_CONSENT = "第三者提供に係る有効な同意の記録が当社にありません"

Names = Callable[[str], Identity]  # of a Kafka cluster's records


def stop_notice(
    subject_ref: str,
    withdrawn: bool,
    withdrawn_at: int | None,
    ticket: str,
    books: Books,
    corrected: Mapping[Source, str | None],
    reading: Reading,
    provider: Provider,
    recipient: Record,
    policy: Policy,
    names: Names,
    cluster_id: str,
) -> dict[str, Any]:
    """The whole notice. `corrected`: of a correction that was withheld, the event that it corrects, where known;
    `withdrawn`: by a consent record that is still there, else it is erased or there never was one; `withdrawn_at` in
    ms, None where no record says."""
    told = Told(policy, books)
    ours = names(cluster_id)
    held = _held(books.provisions)
    content = {
        "document": {
            "kind": "stop_notice",
            "title": TITLE,
            "ticket": ticket,
            "made_at": times.iso(reading.at),
            "made_on_text": words.day_of(reading.at),
            "made_at_text": words.moment(reading.at),
        },
        "provider": of_provider(provider),
        "recipient": dict(recipient),
        "subject_key": ours.subject_key(subject_ref),
        "occasion": _WITHDRAWN if withdrawn else _NO_CONSENT,
        "withdrawn_at": None if withdrawn_at is None else times.iso(withdrawn_at),
        "withdrawn_at_text": None if withdrawn_at is None else words.moment(withdrawn_at),
        "ledger": of_reading(reading),
        "held": [_entry(number, told.provision(number, each), each, names) for number, each in enumerate(held, 1)],
        "unsettled": [_doubtful(told.unsettled(n, each), each, names) for n, each in enumerate(books.unsettled, 1)],
        "corrections_withheld": [
            _correction(number, each, corrected.get(source(each)), policy, ours)
            for number, each in enumerate(books.corrections_withheld, 1)
        ],
        "statements": _statements(books, reading),
    }
    return named("STN", reading.at, content)


def _held(provisions: Sequence[Provision]) -> list[Provision]:
    """Each event that GeNiE took, once: what it called a duplicate is listed where its first is out of reach."""
    first: dict[object, Provision] = {}
    taken = (each for each in provisions if each.kind is not Kind.REFUSED)
    for each in sorted(taken, key=lambda each: each.kind in (Kind.DUPLICATE, Kind.SUPERSEDED)):
        first.setdefault(each.record["idempotency_key"] or source(each.record), each)
    return sorted(first.values(), key=lambda each: (each.at, original(each.record)))


def _entry(number: int, row: dict[str, Any], each: Provision, names: Names) -> dict[str, Any]:
    record, digest = each.record, each.record["body_digest"]
    known = each.kind is not Kind.DUPLICATE  # else it first came from a record out of reach
    identity = names(record["input"]["cluster_id"])
    return {
        "number": number,
        "at": row["at"],
        "at_text": row["at_text"],
        "kind": row["kind"],
        "kind_text": row["kind_text"],
        "event_type": row["event_type"],
        "event_text": row["event_text"],
        "items": row["items"],
        "items_text": row["items_text"],
        "idempotency_key": record["idempotency_key"],
        "origin": identity.origin(*original(record)) if known else None,
        "body_digest": digest.hex() if digest else None,
        "receipt_id": each.receipt_id,
    }


def _doubtful(row: dict[str, Any], each: Unsettled, names: Names) -> dict[str, Any]:
    kept = ("number", "doubt", "doubt_text", "sentence", "tried_at", "tried_at_text", "event_type", "event_text")
    return {
        **{name: row[name] for name in (*kept, "items", "items_text")},
        "idempotency_key": each.key,
        "origin": names(each.cluster_id).origin(*each.place),
    }


def _correction(number: int, record: Record, corrects: str | None, policy: Policy, ours: Identity) -> dict[str, Any]:
    kind = next((kind for kind in EventType if kind.code == record["event_type"]), EventType.LEASE_PAYMENT)
    return {
        "number": number,
        "at": times.iso(record["decided_at"]),
        "at_text": words.moment(record["decided_at"]),
        "event_type": kind.code,
        "event_text": words.EVENTS[kind.code],
        "items": [kind.matter.value],
        "items_text": policy.texts[kind.matter],
        "idempotency_key": record["idempotency_key"],
        "corrects_idempotency_key": None if corrects is None else ours.idempotency_key(kind, corrects),
    }


def _statements(books: Books, reading: Reading) -> list[str]:
    said = [
        "識別子およびキーは、当社が貴社への送信に際して用いているものです。本人の氏名その他の情報は、本書に記載していません。",
        span(reading),
        "日時は日本時間です。受領日時は、貴社が回答した日時（回答がないものは、当社が結果を記録した日時）です。",
    ]
    if books.corrections_withheld:
        said.append(
            "訂正対象のキーを「不明」としたものは、元の記録の保存期間が経過したか、訂正対象の記載がないものです。"
        )
    if not reading.in_flight_known:
        said.append("調査の時点で送信の手続中であったものの有無は、確認できていません。")
    if reading.unreadable:
        said.append(
            f"台帳には、読み取ることのできない記録が{reading.unreadable}件あり、その内容は本書に反映していません。"
        )
    return said
