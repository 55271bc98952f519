"""Personal values of the inputs, searched for in text where they may not be.

Knows which values are distinctive enough to be recognised. Must not know where the text comes from. Findings name
the field that a value belongs to, never the value.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Any

REFERENCES = ("subject_ref", "contract_ref")  # these may stand in topics, but nowhere else

_ANCHOR = 3  # characters that a search looks up before it compares whole values
_SHORTEST_ASCII = re.compile(r"[0-9A-Za-z](?:[^0-9A-Za-z]*[0-9A-Za-z]){5}")  # six letters or digits, one in front
_SHORTEST_NUMBER = 8  # shorter ones stand in any log
_PHONE_DIGITS = 10
_PREFIX = 16  # a long value that was cut short is still found by its beginning
_EPOCH = dt.date(1970, 1, 1)
_BORN_BEFORE = dt.date(2008, 7, 1)  # a later date could be one of a payment or of a log line

# ASCII values start and end at the edge of a word (a postal code is no part of a UUID); others may stand anywhere.
_STARTS = re.compile(r"(?<![0-9A-Za-z])[0-9A-Za-z]|[^\x00-\x7f]")
_ESCAPED = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")
_ESCAPED_BYTES = re.compile(r"(?:\\x[0-9a-fA-F]{2})+")
_SPACE = re.compile(r"\s+")
_NO_DIGIT = re.compile(r"[^0-9]+")
_DIGITS_AND_DASHES = re.compile(r"[0-9+() -]+")


class Canaries:
    """Values to look for, each with the name of its field."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}
        self._lengths: dict[str, tuple[int, ...]] = {}  # by the first characters

    def __len__(self) -> int:
        return len(self._fields)

    def add(self, value: str, field: str) -> None:
        """Look for `value` and for the forms it may take in text, as far as they are distinctive."""
        for form in _forms(value):
            if form in self._fields or not _distinctive(form):
                continue
            self._fields[form] = field
            anchor = form[:_ANCHOR]
            lengths = self._lengths.get(anchor, ())
            if len(form) not in lengths:
                self._lengths[anchor] = (*lengths, len(form))

    def found(self, text: str) -> Iterator[str]:
        """The field of each value in `text`, once for each place."""
        if "\\" in text:
            text = _plain(text)
        for start in _STARTS.finditer(text):
            at = start.start()
            for length in self._lengths.get(text[at : at + _ANCHOR], ()):
                form = text[at : at + length]  # shorter at the end of the text
                field = self._fields.get(form)
                if field is not None and _ends_a_word(text, at + len(form)):
                    yield field
                    break


class Personal:
    """The canaries of all inputs: personal values, and references."""

    def __init__(self) -> None:
        self.canaries = Canaries()
        self._seen: set[int] = set()  # hashes of parts already added: most events repeat their customer

    def learn(self, record: Mapping[str, Any]) -> None:
        """Take the personal values of an input record."""
        for name in REFERENCES:
            reference = record.get(name)
            if reference is not None and self._is_new(reference):
                self.canaries.add(reference, name)
        for part in ("customer", "vehicle"):
            fields = record.get(part)
            if fields is None or not self._is_new(tuple(fields.values())):
                continue
            for name, value in fields.items():
                if type(value) is str:
                    self.canaries.add(value, f"{part}.{name}")
                elif name == "birth_date" and self._is_new((name, value)):
                    self._learn_birth_date(value)

    def _learn_birth_date(self, days: int) -> None:
        try:
            day = _EPOCH + dt.timedelta(days=days)
        except OverflowError:
            return
        if day < _BORN_BEFORE:
            for form in ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d"):
                self.canaries.add(day.strftime(form), "customer.birth_date")

    def _is_new(self, part: object) -> bool:
        number = hash(part)
        if number in self._seen:
            return False
        self._seen.add(number)
        return True


def _forms(value: str) -> Iterator[str]:
    text = value.strip()
    yield text
    if not text.isascii():
        yield _SPACE.sub("", text)
    elif _DIGITS_AND_DASHES.fullmatch(text):
        digits = _NO_DIGIT.sub("", text)
        if len(digits) >= _PHONE_DIGITS:
            yield digits
    if len(text) > _PREFIX:
        yield text[:_PREFIX]


def _distinctive(text: str) -> bool:
    if not text.isascii():
        return len(text) >= _ANCHOR
    if text.isdigit():
        return len(text) >= _SHORTEST_NUMBER
    return _SHORTEST_ASCII.match(text) is not None


def _ends_a_word(text: str, end: int) -> bool:
    """Whether an ASCII value ends here; others are distinctive wherever they end."""
    if not text[end - 1].isascii() or not text[end - 1].isalnum():
        return True
    return end >= len(text) or not (text[end].isascii() and text[end].isalnum())


def _plain(text: str) -> str:
    """Text with \\u and \\x escapes as the characters they stand for, as JSON and Python's repr write them."""
    text = _ESCAPED.sub(lambda found: _utf16(found.group()), text)
    return _ESCAPED_BYTES.sub(
        lambda found: bytes.fromhex(found.group().replace("\\x", "")).decode("utf-8", "replace"), text
    )


def _utf16(escapes: str) -> str:
    return bytes.fromhex(escapes.replace("\\u", "")).decode("utf-16-be", "replace")
