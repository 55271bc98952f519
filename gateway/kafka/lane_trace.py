"""Which records of one lane are traced, and by which spans: the lane's driver tells what it does.

Knows which offset a delivered record, an intent's entry, a ledger record and a request are about. Must not know how
spans are made or exported (observe/tracing.py), and changes nothing that a lane does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gateway.core import facts
from gateway.core.entry import InputRecord
from gateway.core.outcome import Answer, LookupReply
from gateway.kafka.intake import RawRecord
from gateway.kafka.surroundings import Partner
from gateway.kafka.transactions import Outgoing
from gateway.observe.genie_metrics import answer_kind

if TYPE_CHECKING:  # it imports OpenTelemetry, which is there only where tracing is on
    from gateway.observe.tracing import RecordSpan, Tracing

MAX_ANNOUNCED = 1_024  # batches announced and not yet sent; some never are, and the oldest go
_ANSWERED, _UNANSWERED = "answered", "unanswered"  # as metrics name the ends of lookups


class LaneTrace:
    """The spans of one lane's records that are delivered and not settled, by offset."""

    def __init__(self, tracing: Tracing, topic: str, partition: int) -> None:
        self._tracing = tracing
        self._place = topic, partition
        self._spans: dict[int, RecordSpan] = {}
        self._sends: dict[int, int] = {}  # offset -> requests that it was in
        self._of_key: dict[str, int] = {}  # idempotency key -> offset, of decoded records
        self._announced: dict[str, Mapping[str, int]] = {}  # batch -> idempotency key -> offset

    def delivered(self, raws: Iterable[RawRecord]) -> None:
        """Records came, and are about to be decoded."""
        for raw in raws:
            span = self._tracing.record(raw.headers, *self._place, raw.offset)
            if span is not None:
                self._spans[raw.offset] = span

    def decoded(self, records: Iterable[InputRecord]) -> None:
        """What they are."""
        if self._spans:
            for record in records:
                if record.idempotency_key and record.offset in self._spans:
                    self._of_key[record.idempotency_key] = record.offset

    def produced(self, command: facts.Produce, out: list[Outgoing]) -> list[Outgoing]:
        """What is about to be produced, ledger records first: theirs go on with their records' traces."""
        if not self._spans:
            return out
        for intent in command.intents:
            self._announce(intent)
        for index, record in enumerate(command.ledger):
            span = self._spans.get(record["input"]["offset"])
            if span is not None:
                out[index] = replace(out[index], headers=[("traceparent", span.traceparent.encode("ascii"))])
        return out

    def settled(self, ledger: Iterable[Mapping[str, Any]]) -> None:
        """These ledger records are committed."""
        if not self._spans:
            return
        for record in ledger:
            offset, key = record["input"]["offset"], record["idempotency_key"]
            span = self._spans.pop(offset, None)
            if span is not None:
                span.settled(record["outcome"], record["reason"], record["attempts"])
                self._sends.pop(offset, None)
                if self._of_key.get(key) == offset:
                    del self._of_key[key]

    def left(self) -> None:
        """The lane is let go of, with whatever is not settled."""
        for span in self._spans.values():
            span.left()
        for kept in (self._spans, self._sends, self._of_key, self._announced):
            kept.clear()

    async def send(self, partner: Partner, command: facts.Send) -> Answer:
        """Make one attempt, and follow it."""
        offsets = self._announced.pop(command.batch_id, {})
        sent = [offsets[entry.idempotency_key] for entry in command.entries if entry.idempotency_key in offsets]
        offsets_traced = [offset for offset in sent if offset in self._spans]
        for offset in offsets_traced:
            self._sends[offset] = self._sends.get(offset, 0) + 1
        attempt = max((self._sends[offset] for offset in offsets_traced), default=None)
        traced = [self._spans[offset] for offset in offsets_traced]
        with self._tracing.request("provide", traced, len(command.entries), attempt) as span:
            answer = await partner.send(command.entries, command.expires_at, span.traceparent)
            span.answered(answer_kind(answer))
            return answer

    async def look_up(self, partner: Partner, keys: Sequence[str]) -> LookupReply | None:
        """Ask about keys, and follow that."""
        traced = [self._spans[offset] for key in keys if (offset := self._of_key.get(key)) in self._spans]
        with self._tracing.request("look up", traced, len(keys)) as span:
            reply = await partner.look_up(keys, span.traceparent)
            span.answered(_UNANSWERED if reply is None else _ANSWERED)
            return reply

    def _announce(self, intent: Mapping[str, Any]) -> None:
        entries = intent["entries"]
        traced = {each["idempotency_key"]: each["offset"] for each in entries if each["offset"] in self._spans}
        if traced:
            self._announced[intent["batch_id"]] = traced
            if len(self._announced) > MAX_ANNOUNCED:
                del self._announced[next(iter(self._announced))]
