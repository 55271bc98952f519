"""What ledger and intents say of one lane, and where it goes on by that alone, once its committed offset is lost.

Knows what the window promises (step j): whatever is settled or announced lies nearer than the window to the watermark.
So all that lies a window or more below the newest trace is settled, and nothing of it need be kept. Must not know
topics, or how the two are read.

A record that was announced and has no ledger record may have been received, so the intent that announced it is named
as live again: the next owner sends the same body under the same key, or looks it up before it ends otherwise. That
names too many (those that surely were not received as well), never too few. Of several intents of the same offset and
body the one that expires last stands for all, as in a lane (Entry.announce).

Ledger and intents outlive the topic that they are about, so they may speak of an earlier log of the same name, whose
offsets mean other records: to believe one such trace loses the record that has its offset now. What the log holds was
appended since its first record was (the topics take their times from the brokers), and announced after that; so a
trace of an offset in the log that is dated earlier is of another log. It is left out if it is earlier by more than
clocks differ. Nearer than that nobody knows: a ledger record is refused, an intent is named if nothing else shows that
there was another log, for to forget a true one leaves a provision unrecorded, and a lane checks what is named for it.
It is not asked besides that times rise with offsets: they do in a log, but for a new leader with another clock.

Two things no trace can tell: whether offsets without a ledger record, below the window, were ever delivered (they are
counted, in memory that does not grow), and whether a lane began at the first offset that is known of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.coverage import Coverage
from gateway.core.metadata import MAX_LIVE_INTENTS, MAX_WINDOW, CommitMetadata, IntentRef

KEPT = 4 * MAX_WINDOW  # offsets, and announced bodies, of a lane in memory; above, those below the window are forgotten
CLOCKS_DIFFER_MS = 10_000  # the clocks of two brokers, or of a broker and a gateway, by no more


class UnsafeStartError(Exception):
    """The traces don't say safely where the lane goes on; the text says why, and what else to do."""


@dataclass(frozen=True, slots=True)
class Log:
    """The log of a lane as it is before its traces are read."""

    start: int
    end: int
    began_at: int | None  # when its first record was appended, ms; None if it holds none


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where a lane goes on."""

    offset: int
    metadata: CommitMetadata
    gone: int = 0  # offsets without a ledger record that have left the log
    gone_announced: int = 0  # those of them that GeNiE may hold
    unrecorded: int = 0  # offsets without a ledger record between the first that is known and the window
    ignored: int = 0  # traces of an earlier log


@dataclass(frozen=True, slots=True)
class _Announced:
    """The intent that stands for one body of one record."""

    ref: IntentRef
    announced_at: int
    expires_at: int
    is_doubtful: bool  # it may be of an earlier log


class Traces:
    """Takes the whole ledger of a lane, then all of its intents, each in any order."""

    __slots__ = (
        "_announced",
        "_covered",
        "_doubtful",
        "_first",
        "_ignored",
        "_log",
        "_newest",
        "_settled",
        "newest_settled",
    )

    def __init__(self, log: Log) -> None:
        self._log = log
        self._covered = Coverage(log.end)
        self._ignored = 0
        self._doubtful = 0  # ledger records
        self.newest_settled: tuple[int, int] | None = None  # with its append time, ms: tells this log from another one
        self._first: int | None = None
        self._newest = -1
        self._settled: set[int] = set()
        self._announced: dict[tuple[int, bytes], _Announced] = {}

    @property
    def is_empty(self) -> bool:
        """Whether there is none at all."""
        return self._first is None and not self._ignored and not self._doubtful

    def settle(self, offset: int, appended_at: int) -> None:
        """The ledger has a record of this offset, whose input was appended then."""
        if self._is_of_another_log(offset, appended_at):
            self._ignored += 1
            return
        if self._is_dated_before(offset, appended_at):
            self._doubtful += 1
            return
        self._see(offset)
        if offset not in self._settled:
            self._covered.see(offset)
        if self.newest_settled is None or offset > self.newest_settled[0]:
            self.newest_settled = (offset, appended_at)
        if offset > self._newest - MAX_WINDOW:
            self._settled.add(offset)
        if len(self._settled) > KEPT:
            self._settled = {o for o in self._settled if o > self._newest - MAX_WINDOW}

    def announce(self, intent: Mapping[str, Any], ref: IntentRef) -> None:
        """The intents topic has this intent of the lane, there."""
        at = intent["announced_at"]
        for entry in intent["entries"]:
            offset = entry["offset"]
            if self._is_of_another_log(offset, at):
                self._ignored += 1
                continue
            announced = _Announced(ref, at, intent["expires_at"], self._is_dated_before(offset, at))
            self._see(offset)
            if offset in self._settled or offset <= self._newest - MAX_WINDOW:
                continue
            older = self._announced.get((offset, entry["body_digest"]))
            if older is None or older.expires_at <= announced.expires_at:
                self._announced[offset, entry["body_digest"]] = announced
        if len(self._announced) > KEPT:
            self._forget_old_announcements()

    def resume(self, log_start: int, log_end: int, *, force: bool) -> Resumed:
        """Where the lane goes on in a log of these bounds; raises UnsafeStartError.

        Offsets that are gone from the log without a ledger record were lost, unless nothing was ever delivered
        there: that is for a person to judge, and to `force`.
        """
        first = self._known_first(log_end)
        gone, gone_announced = self._gone(log_start)
        if not force:
            self._refuse_gone(log_start, gone, gone_announced)
            self._refuse_unknown_beginning(first, max(log_start, self._floor))
        offset = max(log_start, self._floor)
        while offset in self._settled:
            offset += 1
        metadata = CommitMetadata(tuple(sorted(o for o in self._settled if o >= offset)), self._live(offset))
        try:
            metadata.encode(offset)
        except ValueError as error:
            raise UnsafeStartError(
                f"what is settled or announced beyond offset {offset} does not fit: {error}"
            ) from None
        return Resumed(offset, metadata, gone, gone_announced, self._unrecorded(first), self._ignored)

    @property
    def _floor(self) -> int:
        """All below it is settled, or was never the lane's."""
        return max(0, self._newest - MAX_WINDOW + 1)

    def _is_dated_before(self, offset: int, at: int) -> bool:
        """Whether the log holds this offset, but did not yet begin then."""
        began_at = self._log.began_at
        return began_at is not None and offset >= self._log.start and at < began_at

    def _is_of_another_log(self, offset: int, at: int) -> bool:
        return self._is_dated_before(offset, at + CLOCKS_DIFFER_MS)

    def _known_first(self, log_end: int) -> int:
        """The first offset that is known of the lane, if what is known is of this log."""
        if self._doubtful:
            raise UnsafeStartError(
                f"{self._doubtful} ledger records are about records appended up to {CLOCKS_DIFFER_MS // 1000} s before "
                "the first that the log holds. Either the topic was made anew just then: use --from earliest --force "
                "with --lane, or a time up to which the new log is settled. Or the clocks of the brokers differ"
            )
        if self._first is None and self._ignored:
            raise UnsafeStartError(
                "the ledger and the intents are about other records than those in the log: the topic was made anew. "
                "Use --from earliest --force with --lane"
            )
        if self._first is None:
            raise UnsafeStartError("neither ledger nor intents have a record of it")
        if self._newest >= log_end:
            raise UnsafeStartError(
                f"the ledger speaks of offset {self._newest}, but the log ends at {log_end}: the topic was made anew, "
                "so the ledger is about other records. Use --from earliest with --lane"
            )
        return self._first

    def _refuse_gone(self, log_start: int, gone: int, announced: int) -> None:
        if gone:
            raise UnsafeStartError(
                f"{gone} offsets below {log_start}, where the log begins, have no ledger record and are gone: have "
                f"their producers send them again. {announced} of them were announced: ask GeNiE whether it holds "
                "them. (Markers of transactions look the same.) Then --force starts the lane behind them"
            )

    def _refuse_unknown_beginning(self, first: int, below: int) -> None:
        if first > below:
            raise UnsafeStartError(
                f"nothing is recorded of the offsets {below} to {first - 1}: the lane was begun behind them, or had "
                "not settled them yet. (Markers of transactions look the same.) --force takes what is there, after "
                "later records of the same subjects; --from a time, with --force and --lane, leaves it out"
            )

    def _unrecorded(self, first: int) -> int:
        """In the window it is known of each offset; below it, how many were seen."""
        if first >= self._floor:
            return 0
        settled = sum(offset >= self._floor for offset in self._settled)
        return max(0, self._floor - first - (self._covered.seen - settled))

    def _see(self, offset: int) -> None:
        self._newest = max(self._newest, offset)
        self._first = offset if self._first is None else min(self._first, offset)

    def _forget_old_announcements(self) -> None:
        self._announced = {at: kept for at, kept in self._announced.items() if at[0] >= self._floor}
        if len(self._announced) > KEPT:
            raise UnsafeStartError(f"more than {KEPT} bodies were announced and are not settled")

    def _gone(self, log_start: int) -> tuple[int, int]:
        below = max(self._floor, self._first or 0)
        settled = sum(below <= offset < log_start for offset in self._settled)
        announced = {offset for offset, _ in self._announced if self._floor <= offset < log_start}
        return max(0, log_start - below - settled), len(announced)

    def _live(self, offset: int) -> tuple[IntentRef, ...]:
        """The intents to name, oldest first."""
        live = {kept for (at, _), kept in self._announced.items() if at >= offset}
        if self._ignored and any(kept.is_doubtful for kept in live):
            raise UnsafeStartError(
                f"the topic was made anew within {CLOCKS_DIFFER_MS // 1000} s of batches announced for its earlier log "
                "that have no outcome in the ledger. Ask GeNiE what it holds of them; then use --from earliest "
                "--force with --lane, or a time up to which the new log is settled"
            )
        if len(live) > MAX_LIVE_INTENTS:
            raise UnsafeStartError(
                f"{len(live)} announced batches have no outcome in the ledger, and only {MAX_LIVE_INTENTS} can be "
                "named as live. Ask GeNiE what it holds of them before the lane is started by --from TIME"
            )
        return tuple(kept.ref for kept in sorted(live, key=_age))


def _age(announced: _Announced) -> tuple[int, IntentRef]:
    return announced.announced_at, announced.ref
