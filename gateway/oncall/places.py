"""Where a record lies, as people type and read it: `topic:partition:offset`."""

from __future__ import annotations

import re

from gateway.core.events import is_uuid
from gateway.oncall.ledger.source import Place

_PLACE = re.compile(r"([A-Za-z0-9._-]{1,249}):(\d{1,9}):(\d{1,18})")


def parse_place(text: str) -> Place:
    """The topic, partition and offset typed. Raises ValueError."""
    parts = _PLACE.fullmatch(text)
    if parts is None:
        raise ValueError("give topic:partition:offset, such as lease.payments:3:1204")
    return parts[1], int(parts[2]), int(parts[3])


def id_or_place(text: object, place: str) -> str:
    """An id, if it has the form of ours; else, since it may be anything, the place of the record that says it."""
    return text if isinstance(text, str) and is_uuid(text) else f"the one in {place}"


def shown_place(place: Place) -> str:
    """topic:partition:offset"""
    return "{}:{}:{}".format(*place)
