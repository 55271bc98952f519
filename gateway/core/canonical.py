"""Canonical JSON and the text forms of days and moments in bodies.

Knows RFC 8785 for the JSON that bodies are made of: ASCII keys, integers to 2^53 - 1, no floats.
Must not know what a body is.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Any

import orjson

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
DAYS_KEPT = 8192  # texts of days remembered: every due date and some birthdays

# Looked up, because formatting a moment piece by piece costs three times as much.
_MINUTES = tuple(f"T{minute // 60:02}:{minute % 60:02}:" for minute in range(1440))
_SECONDS = tuple(f"{second:02}." for second in range(60))
_MILLIS = tuple(f"{ms:03}Z" for ms in range(1000))


def canonical_json(obj: Any) -> bytes:
    """Write `obj` by RFC 8785. Floats and keys beyond ASCII would not be canonical: bodies hold none."""
    return orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)


def sorted_json(obj: Any) -> bytes:
    """The same of an `obj` whose keys are in order already: sorting them again costs a quarter of the writing."""
    return orjson.dumps(obj)


@lru_cache(DAYS_KEPT)
def iso_day(day: int) -> str:
    """YYYY-MM-DD of days since epoch."""
    return date.fromordinal(EPOCH_ORDINAL + day).isoformat()


def iso_ms(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, of ms since epoch."""
    seconds = ms // 1000
    minutes = seconds // 60
    return f"{iso_day(minutes // 1440)}{_MINUTES[minutes % 1440]}{_SECONDS[seconds % 60]}{_MILLIS[ms % 1000]}"
