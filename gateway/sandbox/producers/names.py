"""Pools of Japanese names, places, buildings and notes, drawn once from a seed.

Knows words only. Faker alone has 2,550 full names; common parts of names make that more than 90,000.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from faker import Faker
from faker.providers.person.ja_JP import Provider as People

PLACES = 2_000
LOGINS = 500

# each a kanji and its reading
_FAMILY_HEADS = (
    "青アオ 赤アカ 秋アキ 石イシ 岩イワ 大オオ 小オ 北キタ 黒クロ 白シラ "
    "杉スギ 竹タケ 西ニシ 東ヒガシ 松マツ 南ミナミ 森モリ 吉ヨシ 若ワカ 柳ヤナギ"
)
_FAMILY_TAILS = (
    "山ヤマ 川カワ 田ダ 野ノ 原ハラ 沢サワ 谷タニ 島シマ 崎サキ 村ムラ 本モト 木キ 井イ 浦ウラ 岡オカ 橋ハシ"
)
_GIVEN_HEADS = "健ケン 真マ 直ナオ 和カズ 正マサ 英ヒデ 良ヨシ 春ハル 夏ナツ 秋アキ 千チ 美ミ 由ユ 優ユウ 光ミツ 明アキ"
_GIVEN_TAILS = "子コ 恵エ 代ヨ 江エ 香カ 人ト 也ヤ 樹キ 彦ヒコ 之ユキ 夫オ 太タ 菜ナ 帆ホ"

# what staff write: all of it must stay where it is
MEMOS = (
    "勤務先の都合により支払日の変更を希望。年収は申告のみ",
    "配偶者より電話あり、入院中のため連絡は午後を希望",
    "本籍地の記載がある書類を受領、返送済み",
    "口座変更の相談。信用情報機関への照会について質問あり",
    "転居予定、同居の家族は四名。次回更新時に確認",
    "車両の走行距離が多いとの指摘に対し説明済み",
)


@dataclass(frozen=True, slots=True)
class Word:
    """A family or given name."""

    written: str
    kana: str


@dataclass(frozen=True, slots=True)
class Pools:
    """What customers are drawn from."""

    families: tuple[Word, ...]
    givens: tuple[Word, ...]
    places: tuple[str, ...]
    buildings: tuple[str, ...]
    logins: tuple[str, ...]


def pools(seed: int) -> Pools:
    """The pools of a seed; the order differs from seed to seed, the names do not."""
    faker = Faker("ja_JP")
    faker.seed_instance(seed)
    families = _words(People.last_name_pairs, _FAMILY_HEADS, _FAMILY_TAILS)
    givens = _words((*People.first_name_female_pairs, *People.first_name_male_pairs), _GIVEN_HEADS, _GIVEN_TAILS)
    faker.random.shuffle(families)
    faker.random.shuffle(givens)
    return Pools(
        tuple(families),
        tuple(givens),
        tuple(dict.fromkeys(faker.prefecture() + faker.city() + faker.town() for _ in range(PLACES))),
        tuple(dict.fromkeys(faker.building_name() + faker.town() for _ in range(LOGINS))),
        tuple(dict.fromkeys(faker.user_name() for _ in range(LOGINS))),
    )


def _words(known: Iterable[tuple[str, str, str]], heads: str, tails: str) -> list[Word]:
    words = {written: Word(written, kana) for written, kana, _ in known}
    for head, tail in product(map(_part, heads.split()), map(_part, tails.split())):
        written = head.written + tail.written
        words.setdefault(written, Word(written, head.kana + tail.kana))
    return list(words.values())


def _part(text: str) -> Word:
    kana = re.sub(r"[^ァ-ヶー]", "", text)
    return Word(text.removesuffix(kana), kana)
