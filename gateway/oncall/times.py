"""Times as people read them, in JST and UTC, and as they type them. The only clock of this room."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta, timezone

JST = timezone(timedelta(hours=9), "JST")
_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_AGO = re.compile(r"(\d{1,6})([smhd])")


def now_ms() -> int:
    """ms since epoch, UTC."""
    return time.time_ns() // 1_000_000


def shown(ms: int) -> str:
    """`2026-11-22 18:04:05 JST (09:04:05Z)`; the day is JST's, as in the policy. Any number is shown."""
    utc = _utc(ms)
    return f"{ms} ms" if utc is None else f"{utc.astimezone(JST):%Y-%m-%d %H:%M:%S} JST ({utc:%H:%M:%S}Z)"


def iso(ms: int) -> str:
    """As a program reads it: UTC, with milliseconds; what is no time stays a number of ms."""
    utc = _utc(ms)
    return str(ms) if utc is None else utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _utc(ms: int) -> datetime | None:
    """None for what somebody else wrote as a time, and no calendar knows."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def lasted(ms: int) -> str:
    """How long: `45 s`, `3 h 12 min`, `5 d 2 h`."""
    seconds = max(0, ms) // 1000
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def parse_time(text: str, now: int) -> int:
    """ms of `2026-11-22T18:00:00+09:00`, or of `90m`, `2h`, `3d` before `now`. Raises ValueError."""
    ago = _AGO.fullmatch(text)
    if ago:
        return max(0, now - int(ago[1]) * _UNITS_MS[ago[2]])
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or moment.timestamp() < 0:
        raise ValueError("a time needs its zone")
    return int(moment.timestamp() * 1000)
