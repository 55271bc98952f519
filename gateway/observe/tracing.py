"""Spans of OpenTelemetry, made by hand, and W3C Trace Context: what became of a record, what was asked of GeNiE.

Knows OpenTelemetry, and all that a span may hold: the arguments below are its closed set, and none of them can be a key
or a value of a record. Imported only where tracing is on. Must not know lanes, topics or what GeNiE is sent.

A producer's trace id is text that a producer chose, and 32 hexadecimal digits can be a phone number. The ledger keeps
it for years, and a link to it would carry it to the collector. So every trace is our own, and what a producer says of
his is not read, unless the settings vouch that producers make their ids at random. `tracestate` never is: it may hold
anything.

Nothing here can hold a lane up: spans wait in a queue with a bound, a thread of the library's exports them, and what
does not fit, or is not taken in time, is dropped.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import random
from types import TracebackType
from typing import Self

import requests
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway.observe.logs import get_logger

SERVICE = "credit-gateway"
TRACEPARENT = "traceparent"
MAX_TRACEPARENT_BYTES = 256  # version 00 has 55; a later one may be longer
MAX_OPEN = 2_048  # records followed at once in a process; those beyond are not traced
MAX_NAMED = 128  # records that a request is linked to
MAX_REQUESTS = 8  # requests that a record is linked to, the latest
QUEUE_SPANS = 1_024  # ended and not yet exported
EXPORT_SPANS = 256  # in one request to the collector
EXPORT_EVERY_MS = 1_000
EXPORT_TIMEOUT_S = 5.0  # for one of these requests, its repetitions included
CLOSE_BOUND_S = 2.0  # for what is still queued when the process ends

_W3C = TraceContextTextMapPropagator()
_GOOD_ANSWERS = frozenset({"2xx", "answered"})

log = get_logger()


class RecordSpan:
    """One record, from its delivery until its settlement is committed."""

    __slots__ = ("_span", "_tracing")

    def __init__(self, tracing: Tracing, span: Span) -> None:
        self._tracing = tracing
        self._span = span

    @property
    def is_sampled(self) -> bool:
        """Whether it will be exported; if not, only its context is passed on."""
        return self._span.is_recording()

    @property
    def traceparent(self) -> str:
        """Its context for whoever goes on with the record."""
        return _traceparent(self._span)

    def settled(self, outcome: str, reason: str, attempts: int) -> None:
        """It has its ledger record."""
        self._span.set_attributes({"gateway.outcome": outcome, "gateway.reason": reason, "gateway.attempts": attempts})
        self.left()

    def left(self) -> None:
        """The lane lets go of it, settled or not: whoever takes it next begins another span."""
        self._span.end()
        self._tracing.ended()


class RequestSpan:
    """One request to GeNiE; `with` it while the request is under way. Without `span` it is not traced."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: Span | None) -> None:
        self._span = span
        self.traceparent = None if span is None else _traceparent(span)

    def answered(self, kind: str) -> None:
        """How it ended, as metrics name it."""
        if self._span is not None:
            self._span.set_attribute("gateway.answer", kind)
            if kind not in _GOOD_ANSWERS:
                self._span.set_status(StatusCode.ERROR)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._span is not None:
            self._span.end()


class Tracing:
    """All spans of one process, and their way to the collector. close() ends it."""

    def __init__(
        self,
        endpoint: str,
        ratio: float,
        ca_file: Path | None,
        *,
        trust_producers: bool,
        instance: str,
        version: str,
    ) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # _Watched says it, and once
        session = requests.Session()
        session.trust_env = False  # no proxy or password comes from the environment
        self._exporter = _Watched(
            OTLPSpanExporter(
                endpoint,
                certificate_file=None if ca_file is None else str(ca_file),
                timeout=EXPORT_TIMEOUT_S,
                compression=Compression.Gzip,
                session=session,
            )
        )
        self._processor = BatchSpanProcessor(self._exporter, QUEUE_SPANS, EXPORT_EVERY_MS, EXPORT_SPANS)
        self._resource = Resource(
            {"service.name": SERVICE, "service.version": version, "service.instance.id": instance}
        )
        self._ratio = ratio
        self._records = self._tracer(MAX_REQUESTS)
        self._requests = self._tracer(MAX_NAMED)
        self._trust_producers = trust_producers
        self._open = 0

    def record(
        self, headers: Sequence[tuple[str, bytes]], topic: str, partition: int, offset: int
    ) -> RecordSpan | None:
        """Follow a record in the trace that trusted headers name, or in a new one if chance has it; None: in none."""
        if self._open >= MAX_OPEN:
            return None
        parent = parent_of(headers) if self._trust_producers else None
        if parent is None and random() >= self._ratio:  # noqa: S311 - which ones does not matter
            return None  # before the library is asked, which takes a hundred times as long to say no
        span = self._records.start_span(
            f"process {topic}",
            parent or Context(),
            SpanKind.CONSUMER,
            {
                "messaging.system": "kafka",
                "messaging.operation.type": "process",
                "messaging.destination.name": topic,
                "messaging.destination.partition.id": str(partition),
                "messaging.kafka.offset": offset,
            },
        )
        self._open += 1
        return RecordSpan(self, span)

    def request(
        self, name: str, records: Sequence[RecordSpan], entries: int, attempt: int | None = None
    ) -> RequestSpan:
        """Follow a request about `entries` entries, of which these records are traced; linked both ways."""
        sampled = [record._span for record in records if record.is_sampled][:MAX_NAMED]
        continued = self._trust_producers and entries == len(records) == 1
        if not (sampled or continued):
            return RequestSpan(None)
        attributes = {"gateway.entries": entries} | ({} if attempt is None else {"gateway.attempt": attempt})
        span = self._requests.start_span(
            name,
            set_span_in_context(records[0]._span, Context()) if continued else Context(),
            SpanKind.CLIENT,
            attributes,
            [] if continued else [Link(each.get_span_context()) for each in sampled],
        )
        if not continued:
            for each in sampled:
                each.add_link(span.get_span_context())
        return RequestSpan(span)

    def ended(self) -> None:
        """One record fewer is followed."""
        self._open -= 1

    async def close(self) -> None:
        """Export what is queued, for CLOSE_BOUND_S at most; then give it up."""
        loop, exported = asyncio.get_running_loop(), asyncio.Event()

        def export() -> None:
            self._processor.shutdown()  # type: ignore[no-untyped-call] # it has no annotations
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(exported.set)

        threading.Thread(target=export, name="last spans", daemon=True).start()  # a daemon: it keeps no process alive
        try:
            async with asyncio.timeout(CLOSE_BOUND_S):
                await exported.wait()
        except TimeoutError:
            self._exporter.shutdown()
            log.warning("spans given up: the collector does not take them", setting="tracing.endpoint")

    def _tracer(self, links: int) -> Tracer:
        """It does as the parent does. Every limit is given, so that no variable of the environment changes one."""
        limits = SpanLimits(
            max_attributes=16,
            max_events=0,
            max_links=links,
            max_span_attributes=16,
            max_event_attributes=0,
            max_link_attributes=0,
            max_attribute_length=256,
            max_span_attribute_length=256,
        )
        provider = TracerProvider(ParentBased(ALWAYS_ON), self._resource, shutdown_on_exit=False, span_limits=limits)
        provider.add_span_processor(self._processor)
        return provider.get_tracer(SERVICE)


class _Watched(SpanExporter):
    """Says when spans stop arriving at the collector and when they arrive again, once each; never why in its words."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._fails = False
        self._is_shut_down = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        fails = result is not SpanExportResult.SUCCESS
        if fails != self._fails and not self._is_shut_down:
            self._fails = fails
            if fails:
                log.warning("spans are dropped: the collector does not take them", setting="tracing.endpoint")
            else:
                log.info("spans reach the collector again")
        return result

    def shutdown(self) -> None:
        if not self._is_shut_down:
            self._is_shut_down = True
            self._exporter.shutdown()


def parent_of(headers: Sequence[tuple[str, bytes]]) -> Context | None:
    """The context that the one well-formed `traceparent` names; anything else is as if there were none."""
    named = [value for name, value in headers if name == TRACEPARENT]
    if len(named) != 1 or not named[0] or len(named[0]) > MAX_TRACEPARENT_BYTES or not named[0].isascii():
        return None
    return _W3C.extract({TRACEPARENT: named[0].decode("ascii")}, Context()) or None


def _traceparent(span: Span) -> str:
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, set_span_in_context(span, Context()))
    return carrier[TRACEPARENT]
