"""GeNiE's books: what it took under each key, and how it answers for each entry.

Knows idempotency, the order of a subject's entries and the highest score. Must not know HTTP, signatures or
faults: time and whether to refuse a sound entry are arguments.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from gateway.sandbox.genie.content import Entry
from gateway.sandbox.genie.problems import EntryRule, Refusal, Rule
from gateway.sandbox.genie.receipts import Receipts

MAX_KEYS = 5_000_000  # some 500 bytes each; past it the sandbox is unavailable and says so


class Status(StrEnum):
    """How GeNiE answers for one entry."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"
    RETRY = "retry"


_TAKEN = frozenset({Status.ACCEPTED, Status.DUPLICATE, Status.SUPERSEDED})

Whim = Callable[[], Status | None]  # refuses (retry or rejected) an entry that would be taken, or does not


class First(NamedTuple):
    """What was first taken under a key."""

    seq: int
    status: Status  # accepted or superseded
    origin: str
    source_digest: str
    body_digest: str
    received_at_ms: int

    @property
    def receipt_id(self) -> str:
        return f"receipt-{self.seq:010d}"

    def document(self) -> dict[str, str]:
        return {
            "origin": self.origin,
            "source_digest": self.source_digest,
            "body_digest": self.body_digest,
            "received_at": rfc3339(self.received_at_ms),
        }


class Verdict(NamedTuple):
    """The answer for one entry."""

    entry: Entry
    status: Status
    first: First | None = None
    rule: EntryRule | None = None

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {"idempotency_key": self.entry.idempotency_key, "status": self.status}
        if self.first is not None:
            document["first"] = self.first.document()
            if self.status in _TAKEN:
                document["receipt_id"] = self.first.receipt_id
        if self.rule is not None:
            document["problem"] = self.rule.document()
        return document


@dataclass(slots=True)
class _Page:
    """What one request adds, kept apart until it is durable."""

    seq: int
    kept: dict[str, First]
    sequences: dict[str, int]
    blocked: set[str]


class Books:
    """All that was taken. Rebuilt from the receipts at start."""

    def __init__(self, receipts: Receipts) -> None:
        self._receipts = receipts
        self._kept: dict[str, First] = {}
        self._sequences: dict[str, int] = {}  # highest score taken, by subject_key
        self._in_progress: list[frozenset[str]] = []  # keys of each request
        self._seq = 0
        for line in receipts.read():
            self._remember(line)

    def __len__(self) -> int:
        return len(self._kept)

    @contextmanager
    def in_progress(self, entries: Sequence[Entry]) -> Iterator[None]:
        """Until it ends, a lookup of these keys answers `processing`, unless they are received."""
        keys = frozenset(entry.idempotency_key for entry in entries)
        self._in_progress.append(keys)
        try:
            yield
        finally:
            self._in_progress.remove(keys)

    def take(self, entries: Sequence[Entry], now_ms: int, whim: Whim, request: Mapping[str, str]) -> list[Verdict]:
        """Judge the entries in order and keep what is taken; durable when this returns.

        `request` says where they came from and stands in every receipt.
        """
        if len(self._kept) + len(entries) > MAX_KEYS:
            raise Refusal(Rule.UNAVAILABLE, f"the sandbox keeps at most {MAX_KEYS} keys")
        page = _Page(self._seq, {}, {}, set())
        verdicts = [self._judge(entry, page, now_ms, whim) for entry in entries]
        try:
            self._receipts.append(_lines(verdicts, self._seq, now_ms, request))
        except OSError as error:
            raise Refusal(Rule.UNAVAILABLE, f"receipts cannot be written (errno {error.errno})") from error
        self._seq = page.seq
        self._kept.update(page.kept)
        self._sequences.update(page.sequences)
        return verdicts

    def look_up(self, keys: Iterable[str]) -> list[dict[str, Any]]:
        """What became of each key, as it is answered."""
        return [self._state(key) for key in keys]

    def _state(self, key: str) -> dict[str, Any]:
        first = self._kept.get(key)
        if first is not None:
            received = {"status": "received", "first": first.document(), "receipt_id": first.receipt_id}
            return {"idempotency_key": key} | received
        in_progress = any(key in keys for keys in self._in_progress)
        return {"idempotency_key": key, "status": "processing" if in_progress else "not_received"}

    def _judge(self, entry: Entry, page: _Page, now_ms: int, whim: Whim) -> Verdict:
        """The numbered list under "Idempotency" in the OpenAPI, in its order."""
        page.seq += 1
        if entry.subject_key in page.blocked:
            return Verdict(entry, Status.RETRY)
        first = page.kept.get(entry.idempotency_key) or self._kept.get(entry.idempotency_key)
        if first is not None and first.body_digest == entry.body_digest:
            again = Status.SUPERSEDED if first.status is Status.SUPERSEDED else Status.DUPLICATE
            return Verdict(entry, again, first)
        if first is not None:
            page.blocked.add(entry.subject_key)
            return Verdict(entry, Status.REJECTED, first, EntryRule.IDEMPOTENCY_KEY_REUSED)
        refused = whim()
        if refused is not None:
            page.blocked.add(entry.subject_key)
            rule = EntryRule.ENTRY_REFUSED if refused is Status.REJECTED else None
            return Verdict(entry, refused, rule=rule)
        return self._take_new(entry, page, now_ms)

    def _take_new(self, entry: Entry, page: _Page, now_ms: int) -> Verdict:
        status = Status.ACCEPTED
        if entry.sequence is not None:
            highest = page.sequences.get(entry.subject_key, self._sequences.get(entry.subject_key, -1))
            if entry.sequence <= highest:
                status = Status.SUPERSEDED
            else:
                page.sequences[entry.subject_key] = entry.sequence
        first = First(page.seq, status, entry.origin, entry.source_digest, entry.body_digest, now_ms)
        page.kept[entry.idempotency_key] = first
        return Verdict(entry, status, first)

    def _remember(self, line: Mapping[str, Any]) -> None:
        self._seq = line["seq"]
        status = Status(line["status"])
        if status not in (Status.ACCEPTED, Status.SUPERSEDED) or line["idempotency_key"] in self._kept:
            return
        self._kept[line["idempotency_key"]] = First(
            self._seq,
            status,
            line["origin"],
            line["source_digest"],
            line["body_digest"],
            line["received_at_ms"],
        )
        sequence = line["body"]["items"].get("norel_score", {}).get("sequence")
        if sequence is not None and status is Status.ACCEPTED:
            self._sequences[line["body"]["subject_key"]] = sequence


@lru_cache(16)  # one batch has one time
def rfc3339(ms: int) -> str:
    """UTC with milliseconds, as the contract writes times."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def _lines(verdicts: Sequence[Verdict], seq: int, now_ms: int, request: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for number, verdict in enumerate(verdicts, seq + 1):
        entry = verdict.entry
        line: dict[str, Any] = {
            "seq": number,
            "received_at_ms": now_ms,
            **request,
            "idempotency_key": entry.idempotency_key,
            "origin": entry.origin,
            "source_digest": entry.source_digest,
            "status": verdict.status,
            "body_digest": entry.body_digest,
            "body": orjson.Fragment(entry.body),
        }
        if verdict.first is not None and verdict.status in _TAKEN:
            line["receipt_id"] = verdict.first.receipt_id
        yield line
