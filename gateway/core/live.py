"""The live intents of a lane: those whose entries may have been sent and are not settled. (steps a, c)

Knows which intents the next commit must name, and what those of an earlier owner say of each offset. Must not know
why an entry holds or lets go of an announcement.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.core import records
from gateway.core.entry import Announcement, Entry, Held
from gateway.core.facts import Opened
from gateway.core.metadata import IntentRef


class ContradictionError(Exception):
    """What is committed contradicts the input partition; the text says where. The lane must not go on."""


class LiveIntents:
    """Announcements in the order of their intents; one is live while an entry holds it."""

    __slots__ = ("_lane", "_live", "_most", "_recovered")

    def __init__(self, lane: str, opened: Opened, most: int) -> None:
        self._lane = lane
        self._most = most
        self._live: list[Announcement] = []
        self._recovered: dict[int, list[tuple[str, Held]]] = {}  # offset -> idempotency key and what it was sent as
        self._recover(opened)

    def __len__(self) -> int:
        return sum(1 for announcement in self._live if announcement.holders)

    @property
    def is_full(self) -> bool:
        """Whether the metadata can name no more of them."""
        if len(self._live) >= self._most:
            self._forget_dead()
        return len(self._live) >= self._most

    @property
    def awaits_delivery(self) -> bool:
        """Whether live intents name offsets that are not delivered again yet: until then they can't be resolved."""
        return bool(self._recovered)

    def add(self, announcement: Announcement) -> None:
        """One more is about to be produced."""
        if self.is_full:
            raise AssertionError("more live intents than the metadata can name")
        self._live.append(announcement)

    def refs(self) -> tuple[IntentRef, ...]:
        """Where they lie; all are produced by now."""
        self._forget_dead()
        return tuple(_ref(announcement) for announcement in self._live)

    def remember(self, entry: Entry) -> None:
        """A delivered entry takes over what live intents say of it: an earlier owner may have sent it."""
        named = self._recovered.pop(entry.record.offset, None)
        if named is None:
            return
        for key, held in named:
            self._check_key(entry, key)
            announcement = held.announcement
            entry.announce(held)
            announcement.holders -= 1
            entry.last_expires = max(entry.last_expires, announcement.expires_at)
            entry.decided_at = max(entry.decided_at, announcement.announced_at)
        entry.unknown_since = entry.first_failed_at = min(held.announcement.announced_at for _, held in named)
        entry.maybe_received, entry.must_ask = True, False
        entry.sends = 1

    def check_delivered(self, position: int) -> None:
        """Whatever is named below `position` must have been delivered."""
        if self._recovered and min(self._recovered) < position:
            raise ContradictionError(
                f"lane {self._lane}: live intents name offsets below {position} that are gone. "
                f"Find out what removed them, and ask GeNiE what it holds; then run "
                f"`gateway lanes init --lane {self._lane} --from ledger --force --reason ... --ticket ...`."
            )

    def _recover(self, opened: Opened) -> None:
        """They stay live until the unsettled offsets that they name are delivered again, and then for these."""
        settled = frozenset(opened.metadata.settled)
        for ref, intent in zip(opened.metadata.intents, opened.intents, strict=True):
            announcement = Announcement(intent["batch_id"], intent["announced_at"], intent["expires_at"], ref)
            self._live.append(announcement)
            for offset, key, held in records.held_in(intent, announcement):
                if offset >= opened.offset and offset not in settled:
                    self._recovered.setdefault(offset, []).append((key, held))
                    announcement.holders += 1

    def _check_key(self, entry: Entry, key: str) -> None:
        record = entry.record
        if record.event is None:  # it could be decoded once: its key is known from then
            entry.record = replace(record, idempotency_key=key)
        elif record.idempotency_key != key:
            raise ContradictionError(
                f"lane {self._lane}: a live intent names another idempotency key for offset {record.offset}. "
                "Restore the key it was made with, or find out what replaced the record."
            )

    def _forget_dead(self) -> None:
        self._live = [announcement for announcement in self._live if announcement.holders]


def _ref(announcement: Announcement) -> IntentRef:
    if announcement.ref is None:
        raise AssertionError("a live intent was produced")
    return announcement.ref
