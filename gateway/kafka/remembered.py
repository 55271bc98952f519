"""Decoded consents that are kept ready: what a fetch has looked up, the fence behind it asks for again.

Knows two generations and their bound. Must not know where states come from or when they change.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.core.consent import ConsentState

REMEMBERED_BYTES = 48 << 20  # about 100,000 subjects
STATE_BYTES = 500  # of a state and its place here, beside its own texts
TEXT_FACTOR = 25  # a text of one letter takes so many times what it takes in a row


class Remembered:
    """States by subject. When the young are half of all that may be kept, they become the old, and the old are gone.

    To delete the oldest one by one would cost more than to read a state from the disk: a dictionary looks for its
    first key through all that were deleted before it.
    """

    def __init__(self, most_bytes: int = REMEMBERED_BYTES) -> None:
        self._young: dict[str, ConsentState] = {}
        self._old: dict[str, ConsentState] = {}
        self._young_bytes = 0
        self._half_bytes = most_bytes // 2

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def find(self, subjects: Iterable[str]) -> dict[str, ConsentState]:
        """The states of those subjects that are remembered."""
        young, old, found = self._young, self._old, {}
        for subject in subjects:
            if subject in young:
                found[subject] = young[subject]
            elif subject in old:
                found[subject] = old[subject]
        return found

    def add(self, subject: str, state: ConsentState, text_bytes: int) -> None:
        """Keep a state that was read, and so many bytes of text with it."""
        size = STATE_BYTES + TEXT_FACTOR * text_bytes
        if size > self._half_bytes:
            return
        if self._young_bytes + size > self._half_bytes:
            self._young, self._old, self._young_bytes = {}, self._young, 0
        self._young[subject] = state
        self._young_bytes += size

    def forget(self, subjects: Iterable[str]) -> None:
        """They have changed."""
        for subject in subjects:
            self._young.pop(subject, None)
            self._old.pop(subject, None)
