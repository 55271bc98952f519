"""The Japanese words of the privacy desk's documents, and how they write numbers and times.

Items and purposes are not here: their words are the policy's own, verbatim.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Self

from gateway.core.canonical import EPOCH_ORDINAL
from gateway.oncall.times import JST

EVENTS = {
    "lease_payment": "サービス利用料の支払い",
    "norel_score_update": "ノレルスコアの算出",
}


class _Worded(Enum):
    word: str
    sentence: str

    def __new__(cls, code: str, word: str, sentence: str) -> Self:
        member = object.__new__(cls)
        member._value_ = code
        member.word = word
        member.sentence = sentence
        return member


class Kind(_Worded):
    """What one transmission was: (code, word, sentence)."""

    PROVIDED = ("provided", "提供", "提供先が受領した旨を回答したものです。")
    CORRECTION = ("correction", "提供（訂正）", "先の情報を訂正するもので、提供先が受領した旨を回答したものです。")
    DUPLICATE = (
        "duplicate",
        "重複送信",
        "同じ情報を重ねて送信したもので、提供先がすでに受領していた旨を回答したものです。",
    )
    SUPERSEDED = (
        "superseded",
        "送信（旧情報）",
        "送信しましたが、提供先がより新しいノレルスコアをすでに受領していた旨を回答したものです。",
    )
    REFUSED = ("refused", "送信（不受領）", "送信しましたが、提供先が受け入れない旨を回答したものです。")


class Doubt(_Worded):
    """Why it is not settled whether, or as what, GeNiE received something."""

    OUTCOME_UNKNOWN = (
        "outcome_unknown",
        "受領未確認",
        "送信を試みましたが、提供先が受領したかどうかを確認できていません。",
    )
    BODY_UNKNOWN = (
        "body_unknown",
        "内容未確認",
        "提供先が受領したことは確認しましたが、受領した内容がどの送信によるものかを特定できていません。",
    )
    IN_FLIGHT = (
        "in_flight",
        "送信手続中",
        "送信の手続中であり、提供先が受領したかどうかはまだ記録されていません。",
    )


def moment(ms: int) -> str:
    """`2026年5月1日 09時00分01秒` in Japan."""
    at = datetime.fromtimestamp(ms / 1000, UTC).astimezone(JST)
    return f"{_day(at)} {at:%H時%M分%S秒}"


def day_of(ms: int) -> str:
    """`2026年5月1日`: the day in Japan of a moment."""
    return _day(datetime.fromtimestamp(ms / 1000, UTC).astimezone(JST))


def policy_day(days: int) -> str:
    """`2026年2月25日`, of days since epoch."""
    return _day(date.fromordinal(days + EPOCH_ORDINAL))


def circled(number: int) -> str:
    """`①`, as the policy numbers its purposes; plain above 20, where Unicode's row ends."""
    return chr(ord("①") + number - 1) if 1 <= number <= 20 else f"({number})"


def listed(words: list[str] | tuple[str, ...]) -> str:
    """`氏名、住所`"""
    return "、".join(words)


def year_month_day(ms: int) -> tuple[int, int, int]:
    """The day in Japan, in numbers."""
    at = datetime.fromtimestamp(ms / 1000, UTC) + timedelta(hours=9)
    return at.year, at.month, at.day


def _day(at: date) -> str:
    return f"{at.year}年{at.month}月{at.day}日"
