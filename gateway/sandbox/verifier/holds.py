"""Was a hold on? From the records of the control topic alone.

Knows holds and when they were acknowledged. Must not know topics or receipts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Holds:
    """All records of all holds, in the order in which they were written."""

    def __init__(self) -> None:
        self._changes: dict[str, list[tuple[int, Mapping[str, Any] | None]]] = {}

    def add(self, hold_id: str, appended_at: int, record: Mapping[str, Any] | None) -> None:
        self._changes.setdefault(hold_id, []).append((appended_at, record))

    def cover(self, applies: Mapping[str, str | None], moment: int, received_at: int) -> bool:
        """Whether a hold on one of `applies` (scope -> value) was on before `moment` and stayed until `received_at`."""
        return any(self._on(changes, applies, moment, received_at) for changes in self._changes.values())

    @staticmethod
    def _on(
        changes: list[tuple[int, Mapping[str, Any] | None]],
        applies: Mapping[str, str | None],
        moment: int,
        received_at: int,
    ) -> bool:
        at = -1  # the last change acknowledged before the moment
        for index, (appended_at, _) in enumerate(changes):
            if appended_at < moment:
                at = index
        if at < 0:
            return False
        seen = [record for appended_at, record in changes[at:] if appended_at <= max(moment, received_at)]
        return all(
            record is not None
            and record["state"] == "held"
            and record["scope"] in applies
            and record["value"] == applies[record["scope"]]
            and (record["expires_at"] is None or record["expires_at"] > received_at)
            for record in seen
        )
