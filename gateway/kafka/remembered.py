"""Decoded consents that are kept ready, so that a hot subject's is not read from the disk for each of its records.

Knows what a state takes in memory, and its bound. Must not know where states come from or when they change.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.core.consent import Consent, ConsentState

REMEMBERED_BYTES = 48 << 20  # about 65,000 subjects
STATE_BYTES = 500  # of a state and its place here, beside its texts
CHARS_SHARED = 512  # in the texts of a set of items or purposes that many subjects have in common
TEXT_BYTES = 50  # of a text, beside its characters


class Remembered:
    """States by subject; beyond the bound the one that came first is forgotten."""

    def __init__(self, most_bytes: int = REMEMBERED_BYTES) -> None:
        self._states: dict[str, ConsentState] = {}
        self._bytes = 0
        self._most_bytes = most_bytes

    def __len__(self) -> int:
        return len(self._states)

    def __contains__(self, subject: str) -> bool:
        return subject in self._states

    def __getitem__(self, subject: str) -> ConsentState:
        return self._states[subject]

    def add(self, subject: str, state: ConsentState) -> None:
        """Keep a state that was read."""
        self.forget(subject)
        self._states[subject] = state
        self._bytes += _size(state)
        while self._bytes > self._most_bytes:
            self.forget(next(iter(self._states)))

    def forget(self, subject: str) -> None:
        """It has changed."""
        if subject in self._states:
            self._bytes -= _size(self._states.pop(subject))


def _size(state: ConsentState) -> int:
    return STATE_BYTES + sum(TEXT_BYTES + len(text) for text in _texts(state))


def _texts(state: ConsentState) -> Iterator[str]:
    """What differs from subject to subject: sets of items and purposes do so only if they are long."""
    if state is None:
        return
    yield state.record_id or ""
    if isinstance(state, Consent):
        yield from state.contract_refs or ()
        if sum(map(len, state.items)) + sum(map(len, state.opted_out)) > CHARS_SHARED:
            yield from state.items
            yield from state.opted_out
