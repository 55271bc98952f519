"""Who did what, and why: written to the audit topic before the deed. No audit, no deed.

Must not know what the deed is, beyond its name and what it is about.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from gateway.oncall import times
from gateway.oncall.desk import Desk

MAX_WORDS = 500  # characters of an operator's name, reason or ticket


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks, and why; each is text of 1 to MAX_WORDS characters, without personal data."""

    name: str
    reason: str
    ticket: str

    def __post_init__(self) -> None:
        for what, text in (("operator", self.name), ("reason", self.reason), ("ticket", self.ticket)):
            if not 0 < len(text.strip()) <= MAX_WORDS or not text.isprintable():
                raise ValueError(f"{what}: give 1 to {MAX_WORDS} printable characters")


@dataclass(frozen=True, slots=True)
class Deed:
    """What is about to be done; `command` is its name, such as `replay apply`."""

    command: str
    subject_ref: str | None = None
    plan_id: str | None = None
    hold_id: str | None = None
    input: tuple[str, int, int] | None = None  # topic, partition, offset
    count: int | None = None


async def audited(desk: Desk, operator: Operator, deed: Deed) -> str:
    """Write it down; returns the audit_id. Raises KafkaUnavailableError, and then the deed must not be done."""
    audit_id = str(uuid.uuid4())
    place = None
    if deed.input is not None:
        topic, partition, offset = deed.input
        place = {"topic": topic, "partition": partition, "offset": offset}
    record = {
        "audit_id": audit_id,
        "at": times.now_ms(),
        "operator": operator.name,
        "command": deed.command,
        "reason": operator.reason,
        "ticket": operator.ticket,
        "subject_ref": deed.subject_ref,
        "plan_id": deed.plan_id,
        "hold_id": deed.hold_id,
        "input": place,
        "count": deed.count,
    }
    await desk.write(desk.names.audit, [(operator.name, record)])
    return audit_id
