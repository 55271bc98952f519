"""The forms a document can have beside PDF: JSON, and CSV that a spreadsheet opens.

Knows what spreadsheets make of cells. Must not know what the document is about.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

_BOM = "\ufeff"  # else Excel reads UTF-8 as something else
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet would run


def json_of(document: Mapping[str, Any]) -> bytes:
    """UTF-8, keys as they are told."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def csv_of(head: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    """UTF-8 with its mark; a cell that a spreadsheet would take for a formula has an apostrophe before it."""
    text = io.StringIO(_BOM, newline="")
    text.seek(0, io.SEEK_END)
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULAS) else text
