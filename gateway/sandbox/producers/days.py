"""Days and months as the schemas count them: days since 1970-01-01 in Japan, times in ms UTC.

Knows the calendar; must not know what happens on a day.
"""

from __future__ import annotations

from datetime import date
from functools import cache

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
_JST_MS = 9 * HOUR_MS
_EPOCH = date(1970, 1, 1).toordinal()


def day_of(ms: int) -> int:
    """The day in Japan of a time."""
    return (ms + _JST_MS) // DAY_MS


def start_of(day: int) -> int:
    """The time at which a day begins in Japan."""
    return day * DAY_MS - _JST_MS


def day(year: int, month: int, dom: int) -> int:
    """A calendar date as a day."""
    return date(year, month, dom).toordinal() - _EPOCH


def month_of(which: int) -> int:
    """The month of a day, counted from year 0."""
    found = date.fromordinal(which + _EPOCH)
    return found.year * 12 + found.month - 1


@cache
def in_month(month: int, dom: int) -> int:
    """A day of a month; `dom` is at most 28."""
    return day(month // 12, month % 12 + 1, dom)


@cache
def month_name(month: int) -> str:
    """YYYY-MM."""
    return f"{month // 12}-{month % 12 + 1:02}"
