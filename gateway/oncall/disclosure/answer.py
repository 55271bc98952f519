"""The answer to a customer who asks what was provided: all that a document says, as plain data.

Knows what the law wants told, and the words. Must not know the form (PDF, CSV, JSON) or where the records come from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.core.policy import Policy
from gateway.oncall import times
from gateway.oncall.disclosure import words
from gateway.oncall.disclosure.provisions import Books, Provision, Record, Unsettled
from gateway.oncall.disclosure.words import Doubt, Kind

LAW = "個人情報の保護に関する法律第33条第5項およびNOREL プライバシーポリシー第8条"
TITLE = "第三者提供記録の開示について（回答）"


@dataclass(frozen=True, slots=True)
class Provider:
    """Who we are."""

    name: str
    address: str
    representative: str


@dataclass(frozen=True, slots=True)
class Reading:
    """Of what a document tells: the ledger as it was at `at`, back to `since` (None: it is empty), ms."""

    at: int
    since: int | None
    unreadable: int  # ledger records that nobody can read; any of them may be this customer's
    in_flight_known: bool  # whether attempts under way could be looked for
    corrections_known: bool  # whether each provision's own record is still there to say if it is a correction


def disclosure(
    subject_ref: str, ticket: str, books: Books, reading: Reading, provider: Provider, policy: Policy
) -> dict[str, Any]:
    """The whole answer; its id names its content."""
    told = Told(policy, books)
    content = {
        "document": {
            "kind": "disclosure",
            "title": TITLE,
            "law": LAW,
            "ticket": ticket,
            "made_at": times.iso(reading.at),
            "made_on_text": words.day_of(reading.at),
            "made_at_text": words.moment(reading.at),
        },
        "provider": of_provider(provider),
        "subject_ref": subject_ref,
        "ledger": of_reading(reading),
        "provided": bool(books.taken),
        "headline": headline(books, reading.unreadable),
        "summary": summary(books),
        "recipients": told.recipients,
        "items": told.items,
        "purposes": told.purposes,
        "consents": told.consents,
        "kinds": [
            {"code": kind.value, "word": kind.word, "sentence": kind.sentence}
            for kind in Kind
            if any(each.kind is kind for each in books.provisions)
        ],
        "provisions": [told.provision(number, each) for number, each in enumerate(books.provisions, 1)],
        "unsettled": [told.unsettled(number, each) for number, each in enumerate(books.unsettled, 1)],
        "statements": statements(books, reading),
    }
    return named("TPR", reading.at, content)


def named(series: str, at: int, content: dict[str, Any]) -> dict[str, Any]:
    """The content with a document id: the day, and a digest of all that the document says."""
    digest = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
    year, month, day = words.year_month_day(at)
    content["document"]["id"] = f"{series}-{year}{month:02}{day:02}-{digest[:12].upper()}"
    content["document"]["date"] = {"year": year, "month": month, "day": day}
    return content


def of_provider(provider: Provider) -> dict[str, str]:
    """Who we are, as data."""
    return {"name": provider.name, "address": provider.address, "representative": provider.representative}


def of_reading(reading: Reading) -> dict[str, Any]:
    """What was read, as data."""
    since = reading.since
    return {
        "as_of": times.iso(reading.at),
        "as_of_text": words.moment(reading.at),
        "since": None if since is None else times.iso(since),
        "since_text": None if since is None else words.moment(since),
        "unreadable_records": reading.unreadable,
        "in_flight_known": reading.in_flight_known,
    }


def headline(books: Books, unreadable: int) -> str:
    """The answer in a sentence or two. That there is none is said only if nothing can speak against it."""
    if books.taken:
        first, last = words.day_of(books.taken[0].at), words.day_of(books.taken[-1].at)
        when = f"{first}に" if first == last else f"{first}から{last}までの間に"
        return f"{when}、お客さまの同意に基づき、下記の提供先に個人データを提供しました。"
    if not (books.provisions or books.unsettled or unreadable):
        return "お客さまの個人データを第三者に提供した記録は、ありませんでした。"
    said = ""
    if not any(each.doubt is Doubt.BODY_UNKNOWN for each in books.unsettled):
        said += "提供先が受領したことを確認できた個人データの提供の記録は、ありませんでした。"
    if books.provisions:
        said += "送信しましたが提供先が受け入れなかったものが、下記のとおりあります。"
    if books.unsettled:
        said += "受領の有無または受領した内容が確定していないものが、下記のとおりあります。"
    if unreadable:
        said += "台帳には読み取ることのできない記録があり、お客さまに関するものがその中にないことは確認できていません。"
    return said


def summary(books: Books) -> dict[str, Any]:
    """In numbers."""
    kinds = {kind.value: sum(each.kind is kind for each in books.provisions) for kind in Kind}
    return {
        **kinds,
        "unsettled": len(books.unsettled),
        "first_text": words.day_of(books.taken[0].at) if books.taken else None,
        "last_text": words.day_of(books.taken[-1].at) if books.taken else None,
    }


def statements(books: Books, reading: Reading) -> list[str]:
    """What has to be said beside the lists, in sentences."""
    said = [
        span(reading),
        "提供しないこととした情報は、提供先に送信していないため、本書に記載していません。",
        "台帳には提供した項目の種類を記録しており、提供した情報の内容そのものは記録していません。",
        "日時は日本時間です。提供日時は、提供先が受領した日時（受領の回答がないものは、当社が結果を記録した日時）です。",
    ]
    if books.provisions and not reading.corrections_known:
        said.append(
            "受領済みの支払いに関する提供のうち、元の記録の保存期間が経過したものについては、先の情報を訂正するものであったか"
            f"どうかを区別せず、「{Kind.PROVIDED.word}」と記載しています。"
        )
    if not reading.in_flight_known:
        said.append("調査の時点で送信の手続中であったものの有無は、確認できていません。")
    if reading.unreadable:
        said.append(
            f"台帳には、読み取ることのできない記録が{reading.unreadable}件あり、その内容は本書に反映していません。"
        )
    return said


def span(reading: Reading) -> str:
    """Which part of the ledger was read, and as of when."""
    begun = f"本書は、当社の提供記録台帳を{words.moment(reading.at)}（日本時間）の時点で調査した結果です。"
    if reading.since is None:
        return f"{begun}台帳には記録がありませんでした。"
    return f"{begun}調査の対象は、{words.moment(reading.since)}以降に台帳に記録されたすべての記録です。"


class Told:
    """Numbers recipients and consents in the order in which they come, so that a row of a table can point to them."""

    def __init__(self, policy: Policy, books: Books) -> None:
        self._policy = policy
        self.recipients: list[dict[str, Any]] = []
        self.consents: list[dict[str, Any]] = []
        rows: list[Provision | Unsettled] = [*books.provisions, *books.unsettled]
        for row in rows:
            recipient, consent = _parties(row)
            _number(self.recipients, recipient, dict)
            _number(self.consents, consent, _consent)
        self.items = self._items({item for row in books.taken for item in _items(row)})
        self.purposes = self._purposes({purpose for row in rows for purpose in _purposes(row)})

    def provision(self, number: int, each: Provision) -> dict[str, Any]:
        """One row."""
        return {
            "number": number,
            "kind": each.kind.value,
            "kind_text": each.kind.word,
            "at": times.iso(each.at),
            "at_text": words.moment(each.at),
            "confirmed_later": each.confirmed_later,
            **self._row(each),
            "receipt_id": each.receipt_id,
        }

    def unsettled(self, number: int, each: Unsettled) -> dict[str, Any]:
        """One row."""
        return {
            "number": number,
            "doubt": each.doubt.value,
            "doubt_text": each.doubt.word,
            "sentence": each.doubt.sentence,
            "tried_at": times.iso(each.tried_at),
            "tried_at_text": words.moment(each.tried_at),
            **self._row(each),
        }

    def _row(self, each: Provision | Unsettled) -> dict[str, Any]:
        event = each.record["event_type"] if isinstance(each, Provision) else each.event_type
        recipient, consent = _parties(each)
        items, purposes = self._items(_items(each)), self._purposes(_purposes(each))
        return {
            "event_type": event,
            "event_text": words.EVENTS.get(event or "", event or ""),
            "items": [item["code"] for item in items],
            "items_text": words.listed([item["text"] for item in items]) or _no_items(each),
            "purposes": [purpose["code"] for purpose in purposes],
            "purposes_text": "".join(purpose["sign"] for purpose in purposes),
            "recipient": _number(self.recipients, recipient, dict),
            "consent": _number(self.consents, consent, _consent),
        }

    def _items(self, codes: Iterable[str]) -> list[dict[str, str]]:
        """In the order of the policy."""
        order = {code: at for at, code in enumerate(self._policy.texts)}
        return [
            {"code": code, "text": self._policy.texts.get(code, code)}
            for code in sorted(codes, key=lambda code: (order.get(code, len(order)), code))
        ]

    def _purposes(self, codes: Iterable[str]) -> list[dict[str, Any]]:
        """By their numbers."""
        numbers = self._policy.purposes
        return [
            {
                "code": code,
                "number": numbers.get(code),
                "sign": words.circled(numbers[code]) if code in numbers else f"({code})",
                "text": self._policy.texts.get(code, code),
            }
            for code in sorted(codes, key=lambda code: (numbers.get(code, len(numbers) + 1), code))
        ]


def _no_items(each: Provision | Unsettled) -> str:
    if isinstance(each, Unsettled) and each.doubt is not Doubt.OUTCOME_UNKNOWN:
        return "特定できていません"
    return "台帳に記録がありません"


def _items(row: Provision | Unsettled) -> Sequence[str]:
    return row.record["items"] if isinstance(row, Provision) else row.items


def _purposes(row: Provision | Unsettled) -> Sequence[str]:
    return row.record["permitted_purposes"] if isinstance(row, Provision) else row.purposes


def _parties(row: Provision | Unsettled) -> tuple[Record | None, Record | None]:
    if isinstance(row, Provision):
        return row.record["recipient"], row.record["consent"]
    return row.recipient, row.consent


def _number(known: list[dict[str, Any]], record: Record | None, read: Any) -> int | None:
    """Its number in the list, where it is put if it is new; None if there is none."""
    if record is None:
        return None
    told = read(record)
    for each in known:
        if {**told, "number": each["number"]} == each:
            return int(each["number"])
    known.append({"number": len(known) + 1, **told})
    return len(known)


def _consent(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "record_id": record["record_id"],
        "version": record["consent_version"],
        "policy_version": words.policy_day(record["policy_version"]),
        "consented_at": times.iso(record["consented_at"]),
        "consented_at_text": words.moment(record["consented_at"]),
    }
