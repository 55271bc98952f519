"""What may be seen of a value: its shape, or, unmasked, itself without what a terminal would take for a command."""

from typing import Any

import pytest

from gateway.oncall import times
from gateway.oncall.reveal import SHAPE_MAX, TEXT_MAX, _field, leaves, masked, plain

NOW = 1_777_600_000_000


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("山田 太郎", "漢漢 漢漢 (5 characters)"),
        ("ヤマダ", "アアア (3 characters)"),
        ("ﾔﾏﾀﾞ", "ｱｱｱｱ (4 characters)"),
        ("ひらがな", "ああああ (4 characters)"),
        ("Ｔａｒｏ", "ＡＡＡＡ (4 characters)"),
        ("Taro-1", "Aaaa-9 (6 characters)"),
        ("０３", "９９ (2 characters)"),
        ("Дмитрий", "xxxxxxx (7 characters)"),
        ("a\x1b[31m\u202eb", "a�[99a�a (8 characters)"),
        ("😀", "� (1 characters)"),
        ("", " (0 characters)"),
        ("あ" * (SHAPE_MAX + 1), "あ" * SHAPE_MAX + f"… ({SHAPE_MAX + 1} characters)"),
        (45_000, "(a number of 5 digits)"),
        (-7, "(a negative number of 1 digits)"),
        (b"secret", "(6 bytes)"),
        (["a", "b"], "(a value)"),
        (None, "null"),
    ],
)
def test_a_shape_says_no_character(value: object, shape: str) -> None:
    """What kind of characters, and how many."""
    assert masked(value) == shape


@pytest.mark.parametrize(
    ("value", "kind", "shape"),
    [
        ("unpaid", "enum", "(a word of a closed set)"),
        (5_000, "date", "(a day)"),
        (NOW - 1, "timestamp-millis", "(a time before now)"),
        (NOW + 1, "timestamp-millis", "(a time after now)"),
    ],
)
def test_where_a_shape_would_say_the_value_it_says_less(
    monkeypatch: pytest.MonkeyPatch, value: object, kind: str, shape: str
) -> None:
    """`paid` has four letters and `unpaid` six."""
    monkeypatch.setattr(times, "now_ms", lambda: NOW)
    assert masked(value, kind) == shape


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ("山田\x1b[31m\n\u202e", "", "山田\\x1b[31m\\n\\u202e"),
        (b"\xff\x1b", "", "\\xff\\x1b"),
        (0, "date", "1970-01-01"),
        (1 << 40, "date", str(1 << 40)),
        (0, "timestamp-millis", "1970-01-01 09:00:00 JST (00:00:00Z)"),
        (-(1 << 60), "timestamp-millis", str(-(1 << 60))),
        ("x" * (TEXT_MAX + 1), "", "x" * TEXT_MAX + f"… ({TEXT_MAX + 1:,} characters)"),
        (None, "date", "null"),
    ],
)
def test_a_value_moves_no_cursor(value: object, kind: str, text: str) -> None:
    """Whoever wrote the record may have written it for a terminal; a day or time that is none stays a number."""
    assert plain(value, kind) == text


@pytest.mark.parametrize(
    ("leaf", "value", "seen"),
    [
        ("subject_ref", "subject-1a", "subject-1a"),
        ("subject_ref", "山田太郎", "漢漢漢漢 (4 characters)"),
        ("event_id", "03-0000-0000", "99-9999-9999 (12 characters)"),
        ("customer.memo", "subject-1a", "aaaaaaa-9a (10 characters)"),
        ("of_a_later_schema", "Taro", "Aaaa (4 characters)"),
    ],
)
def test_only_a_well_formed_reference_is_shown(leaf: str, value: str, seen: str) -> None:
    """In the place of a reference; anything else is masked there too."""
    assert _field(leaf, value, {}, masked) == seen


def test_every_value_has_its_place_and_its_leaf() -> None:
    """A list of records is walked, one of values is one value."""
    record: dict[str, Any] = {"a": 1, "b": {"c": None}, "inputs": [{"x": 1}, {"x": 2}], "words": ["v"]}
    assert list(leaves(record)) == [
        ("a", "a", 1),
        ("b.c", "b.c", None),
        ("inputs[0].x", "inputs[].x", 1),
        ("inputs[1].x", "inputs[].x", 2),
        ("words", "words", ["v"]),
    ]
