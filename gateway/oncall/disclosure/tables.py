"""The documents as tables: one row for each thing told, each with the id of its document.

Knows the columns. Must not know what a spreadsheet makes of them (forms.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]
Table = tuple[Sequence[str], list[Sequence[object]]]

_DISCLOSED = (
    "文書番号",
    "調査時点",
    "番号",
    "区分",
    "日時",
    "情報の種類",
    "項目",
    "利用目的",
    "提供先の名称",
    "提供先の住所",
    "提供先の代表者",
    "同意記録番号",
    "同意の版",
    "同意日時",
    "プライバシーポリシーの版",
    "受領番号",
    "備考",
)
_NOTICED = (
    "文書番号",
    "調査時点",
    "本人の識別子",
    "番号",
    "区分",
    "日時",
    "情報の種類",
    "項目",
    "冪等キー",
    "送信元識別子",
    "本文のダイジェスト",
    "受領番号",
    "訂正対象の冪等キー",
    "備考",
)
ASKED_LATER = "送信に対する回答を受け取れなかったため、後日提供先に照会し、受領を確認したものです。"


def disclosure_table(document: Document) -> Table:
    """Head and rows of the answer to a customer."""
    consents = {each["number"]: each for each in document["consents"]}
    recipients = {each["number"]: each for each in document["recipients"]}
    purposes = {each["code"]: each["sign"] + each["text"] for each in document["purposes"]}

    def row(each: Document, kind: str, at: str, receipt: str | None, note: str) -> Sequence[object]:
        consent, recipient = consents.get(each["consent"], {}), recipients.get(each["recipient"], {})
        return (
            *_whose(document),
            each["number"],
            kind,
            at,
            each["event_text"],
            each["items_text"],
            "、".join(purposes[code] for code in each["purposes"]),
            *(recipient.get(name) for name in ("name", "address", "representative")),
            *(consent.get(name) for name in ("record_id", "version", "consented_at_text", "policy_version")),
            receipt,
            note,
        )

    told = [
        row(each, each["kind_text"], each["at_text"], each["receipt_id"], ASKED_LATER * each["confirmed_later"])
        for each in document["provisions"]
    ]
    told += [
        row(each, each["doubt_text"], each["tried_at_text"], None, each["sentence"]) for each in document["unsettled"]
    ]
    return _DISCLOSED, told or [(*_whose(document), None, document["headline"], *[None] * (len(_DISCLOSED) - 4))]


def notice_table(document: Document) -> Table:
    """Head and rows of the notice to GeNiE."""

    def row(each: Document, kind: str, at: str, corrects: str | None, note: str | None) -> Sequence[object]:
        return (
            *_whose(document),
            document["subject_key"],
            each["number"],
            kind,
            at,
            each["event_text"],
            each["items_text"],
            *(each.get(name) for name in ("idempotency_key", "origin", "body_digest", "receipt_id")),
            corrects,
            note,
        )

    told = [row(each, each["kind_text"], each["at_text"], None, None) for each in document["held"]]
    told += [
        row(each, each["doubt_text"], each["tried_at_text"], None, each["sentence"]) for each in document["unsettled"]
    ]
    told += [
        row(
            each,
            "訂正（未送信）",
            each["at_text"],
            each["corrects_idempotency_key"],
            "同意の撤回後の訂正のため送信していません。",
        )
        for each in document["corrections_withheld"]
    ]
    return _NOTICED, told


def _whose(document: Document) -> tuple[str, str]:
    return document["document"]["id"], document["ledger"]["as_of_text"]
