"""Spans of one lane, from its driver's calls to a collector: their parents, links and attributes, and their bounds."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
from structlog.testing import capture_logs

from gateway.core import facts
from gateway.core.facts import OutgoingEntry
from gateway.core.outcome import Loss, Lost
from gateway.kafka.lane_trace import LaneTrace
from gateway.kafka.transactions import Outgoing
from gateway.observe import tracing as module
from gateway.observe.tracing import Tracing
from tests.integration.waiting import until
from tests.tracing.collector import Collector

BOUND_S = 20.0
TOPIC = "lease.payments"
TRACE_A, TRACE_B = "a" * 32, "b" * 32
SPAN_A, SPAN_B = "1" * 16, "2" * 16
PHONE = "00000000000000000000009012345678"  # nothing in the standard forbids it
LOST = Lost(Loss.TIMEOUT)


class Partner:
    """GeNiE: what header each request had."""

    def __init__(self) -> None:
        self.traceparents: list[str | None] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def send(self, entries: object, expires_at: int, traceparent: str | None = None) -> Any:
        self.traceparents.append(traceparent)
        await self.answers.wait()
        return LOST

    async def look_up(self, keys: object, traceparent: str | None = None) -> Any:
        self.traceparents.append(traceparent)


class Story:
    """A lane's driver, as far as tracing sees it."""

    def __init__(self, tracing: Tracing) -> None:
        self.trace = LaneTrace(tracing, TOPIC, 3)
        self.partner = Partner()

    def delivered(self, *records: tuple[int, str | None]) -> None:
        """(offset, traceparent); each has the key `key-OFFSET`."""
        self.trace.delivered([raw(offset, value) for offset, value in records])
        self.trace.decoded(SimpleNamespace(offset=offset, idempotency_key=f"key-{offset}") for offset, _ in records)

    def announced(self, batch: str, *offsets: int) -> None:
        entries = [{"offset": offset, "idempotency_key": f"key-{offset}"} for offset in offsets]
        self.trace.produced(facts.Produce(intents=[{"batch_id": batch, "entries": entries}]), [])

    async def sent(self, batch: str, *offsets: int) -> str | None:
        entries = [OutgoingEntry(f"key-{offset}", "", b"", b"") for offset in offsets]
        assert await self.trace.send(self.partner, facts.Send(batch, entries, 0)) is LOST
        return self.partner.traceparents[-1]

    def settled(self, *offsets: int) -> Sequence[Outgoing]:
        ledger = [ledger_record(offset) for offset in offsets]
        out = self.trace.produced(facts.Produce(ledger), [Outgoing("ledger", None, None, b"") for _ in offsets])
        self.trace.settled(ledger)
        return out


def raw(offset: int, traceparent: str | None) -> Any:
    headers = [("producer", b"billing")] + ([] if traceparent is None else [("traceparent", traceparent.encode())])
    return SimpleNamespace(offset=offset, headers=headers)


def ledger_record(offset: int) -> dict[str, Any]:
    return {
        "input": {"offset": offset},
        "idempotency_key": f"key-{offset}",
        "outcome": "PROVIDED",
        "reason": "accepted",
        "attempts": 2,
    }


def parent(trace: str, span: str, flags: str = "01") -> str:
    return f"00-{trace}-{span}-{flags}"


def tracing_to(endpoint: str, ratio: float = 0.0, *, trusts: bool = True) -> Tracing:
    return Tracing(endpoint, ratio, None, trust_producers=trusts, instance="one", version="1.2.3")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans reach the collector by the end of a story, on a busy machine too."""
    monkeypatch.setattr(module, "CLOSE_BOUND_S", BOUND_S)


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with Collector() as made:
        yield made


@asynccontextmanager
async def story(collector: Collector, ratio: float = 0.0, *, trusts: bool = True) -> AsyncIterator[Story]:
    """All spans have arrived at its end."""
    tracing = tracing_to(collector.endpoint, ratio, trusts=trusts)
    yield Story(tracing)
    await tracing.close()


async def test_a_record_is_followed_in_its_producers_trace_and_a_request_in_its_own(collector: Collector) -> None:
    """Parent, links in both directions, attributes, and what GeNiE and the ledger are told."""
    async with story(collector) as lane:
        lane.delivered((7, parent(TRACE_A, SPAN_A)), (8, None), (9, parent(TRACE_B, SPAN_B)))
        lane.announced("batch", 7, 8, 9)
        told = await lane.sent("batch", 7, 8, 9)
        out = lane.settled(7, 8, 9)
    first, second = collector.of("process")
    (request,) = collector.of("provide")
    assert [(span.trace, span.parent) for span in (first, second)] == [(TRACE_A, SPAN_A), (TRACE_B, SPAN_B)]
    assert request.trace not in {TRACE_A, TRACE_B}
    assert request.parent == ""
    assert request.links == (first.context, second.context)
    assert first.links == second.links == (request.context,)
    assert told == f"{request.traceparent}03"
    assert [each.headers for each in out] == [
        [("traceparent", f"{first.traceparent}01".encode())],
        (),
        [("traceparent", f"{second.traceparent}01".encode())],
    ]
    assert first.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.destination.name": TOPIC,
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 7,
        "gateway.outcome": "PROVIDED",
        "gateway.reason": "accepted",
        "gateway.attempts": 2,
    }
    assert request.attributes == {"gateway.entries": 3, "gateway.attempt": 1, "gateway.answer": "lost"}
    assert (request.is_client, request.failed) == (True, True)
    assert first.resource == {
        "service.name": "credit-gateway",
        "service.version": "1.2.3",
        "service.instance.id": "one",
    }


async def test_each_attempt_is_a_span(collector: Collector) -> None:
    """Announced anew, in another batch with others: each request is linked to those that were in it."""
    async with story(collector, 1.0, trusts=False) as lane:
        lane.delivered((7, None), (8, None))
        lane.announced("first", 7, 8)
        await lane.sent("first", 7)  # the final decision left one out
        lane.announced("second", 8, 7)
        await lane.sent("second", 8, 7)
        lane.settled(7, 8)
    seven, eight = collector.of("process")
    first, second = collector.of("provide")
    assert (first.links, second.links) == ((seven.context,), (eight.context, seven.context))
    assert (seven.links, eight.links) == ((first.context, second.context), (second.context,))
    assert [span.attributes["gateway.attempt"] for span in (first, second)] == [1, 2]


async def test_a_lookup_is_linked_to_the_records_that_it_is_about(collector: Collector) -> None:
    """GeNiE is told its context as well."""
    async with story(collector) as lane:
        lane.delivered((7, parent(TRACE_A, SPAN_A)), (8, None))
        await lane.trace.look_up(lane.partner, ["key-8", "key-7", "key-6"])
        lane.settled(7, 8)
        await lane.trace.look_up(lane.partner, ["key-7"])
    (record,), (lookup,) = collector.of("process"), collector.of("look up")
    assert lookup.links == (record.context,)
    assert lookup.attributes == {"gateway.entries": 3, "gateway.answer": "unanswered"}
    assert lookup.failed
    assert lane.partner.traceparents == [f"{lookup.traceparent}03", None]


@pytest.mark.parametrize(
    ("records", "continued"),
    [([(7, parent(TRACE_A, SPAN_A))], True), ([(7, parent(TRACE_A, SPAN_A)), (8, None)], False)],
    ids=["one record", "one of two"],
)
async def test_a_request_goes_on_with_the_trace_of_its_one_record(
    collector: Collector, records: Sequence[tuple[int, str | None]], continued: bool
) -> None:
    """Of several no one is the parent."""
    async with story(collector) as lane:
        lane.delivered(*records)
        lane.announced("batch", *(offset for offset, _ in records))
        told = await lane.sent("batch", *(offset for offset, _ in records))
        lane.settled(7)
    (record,), (request,) = collector.of("process"), collector.of("provide")
    expected = (record.trace, record.id) if continued else (request.trace, "")
    assert (request.trace, request.parent) == expected
    assert (request.trace == TRACE_A) is continued
    assert told is not None
    assert told.startswith(request.traceparent)


async def test_what_a_producer_does_not_sample_is_passed_on_and_not_exported(collector: Collector) -> None:
    """To GeNiE and to the ledger's readers."""
    async with story(collector, 1.0) as lane:
        lane.delivered((7, parent(TRACE_A, SPAN_A, "00")))
        lane.announced("batch", 7)
        told = await lane.sent("batch", 7)
        (out,) = lane.settled(7)
    assert out.headers is not None
    for passed_on in (told, out.headers[0][1].decode()):
        assert re.fullmatch(rf"00-{TRACE_A}-[0-9a-f]{{16}}-00", passed_on or "")
    assert collector.spans == []


@pytest.mark.parametrize("flags", ["01", "00", "03"], ids=["sampled", "not sampled", "said to be random"])
@pytest.mark.parametrize("trusts", [False, True], ids=["by default", "vouched for"])
async def test_a_phone_number_in_a_trace_id_leaves_only_if_the_settings_vouch_that_there_is_none(
    collector: Collector, trusts: bool, flags: str
) -> None:
    """In no header of the ledger, request to GeNiE, lookup, parent or link: every trace is our own."""
    async with story(collector, 1.0, trusts=trusts) as lane:
        lane.delivered((7, parent(PHONE, PHONE[-16:], flags)))
        lane.announced("batch", 7)
        told = [await lane.sent("batch", 7)]
        await lane.trace.look_up(lane.partner, ["key-7"])
        told.append(lane.partner.traceparents[-1])
        (out,) = lane.settled(7)
    assert out.headers is not None
    shown = [*told, str(out.headers)]
    assert None not in shown
    assert [PHONE in str(text) for text in shown] == [trusts] * 3
    # what of a producer's id arrives: as a record's trace and its parent, and in what is asked about that one record
    is_exported = not trusts or flags != "00"
    assert [span.name for span in collector.spans] == (["provide", "look up", f"process {TOPIC}"] * is_exported)
    ids = {part for span in collector.spans for part in (*span.context, span.parent, *sum(span.links, ()))}
    assert (PHONE in ids, PHONE[-16:] in ids) == (trusts and is_exported, trusts and is_exported)
    assert re.search("9012345678", str(shown) + str(ids)) is None or trusts


async def test_a_share_of_what_nobody_traces_yet_is_traced(collector: Collector) -> None:
    """All with 1, none with 0; between them by the trace id, which is random."""
    for ratio, expected in ((1.0, 5), (0.0, 0)):
        async with story(collector, ratio) as lane:
            lane.delivered(*((offset, None) for offset in range(5)))
            lane.settled(*range(5))
        assert len(collector.spans) == expected
        collector.spans.clear()


async def test_a_lane_that_is_let_go_of_ends_its_spans_without_an_outcome(collector: Collector) -> None:
    """And keeps nothing of them: after a reopening the same offsets come again."""
    async with story(collector) as lane:
        lane.delivered((7, parent(TRACE_A, SPAN_A)))
        lane.announced("batch", 7)
        lane.trace.left()
        lane.delivered((7, parent(TRACE_A, SPAN_A)))
        assert await lane.sent("batch", 7) is None, "a batch of the owner before"
        lane.settled(7)
    left, settled = collector.of("process")
    assert "gateway.outcome" not in left.attributes
    assert settled.attributes["gateway.outcome"] == "PROVIDED"


async def test_a_request_that_is_broken_off_ends_its_span(collector: Collector) -> None:
    """A lane's calls are cancelled when it is let go of."""
    async with story(collector) as lane:
        lane.delivered((7, parent(TRACE_A, SPAN_A)))
        lane.announced("batch", 7)
        lane.partner.answers.clear()
        sending = asyncio.create_task(lane.sent("batch", 7))
        await until(lambda: lane.partner.traceparents, BOUND_S, "a request under way")
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        lane.trace.left()
    (request,) = collector.of("provide")
    assert "gateway.answer" not in request.attributes


# --- bounds -----------------------------------------------------------------------------------------------


async def test_no_more_records_are_followed_than_the_bound(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the whole process; those beyond go untraced, and room is made by those that end."""
    monkeypatch.setattr(module, "MAX_OPEN", 3)
    async with story(collector, 1.0) as lane:
        other = LaneTrace(lane.trace._tracing, "norel.scores", 0)
        other.delivered([raw(0, None)])
        lane.delivered(*((offset, None) for offset in range(5)))
        lane.settled(*range(5))
        lane.delivered((5, None))
        lane.settled(5)
        other.left()
    offsets = [span.attributes["messaging.kafka.offset"] for span in collector.of(f"process {TOPIC}")]
    assert offsets == [0, 1, 5]
    assert lane.trace._tracing._open == 0


async def test_links_are_bounded_on_both_sides(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request names so many records; a record the latest of its requests."""
    monkeypatch.setattr(module, "MAX_NAMED", 4)
    async with story(collector, 1.0) as lane:
        lane.delivered(*((offset, None) for offset in range(6)))
        for number in range(10):
            lane.announced(f"batch-{number}", *range(6))
            await lane.sent(f"batch-{number}", *range(6))
        lane.settled(*range(6))
    requests = collector.of("provide")
    assert [len(request.links) for request in requests] == [4] * 10
    first = collector.of("process")[0]
    assert first.links == tuple(request.context for request in requests[-module.MAX_REQUESTS :])


async def test_batches_that_are_never_sent_are_forgotten(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest first, beyond a bound."""
    monkeypatch.setattr("gateway.kafka.lane_trace.MAX_ANNOUNCED", 3)
    async with story(collector, 1.0) as lane:
        lane.delivered((7, None))
        for number in range(10):
            lane.announced(f"batch-{number}", 7)
        assert list(lane.trace._announced) == ["batch-7", "batch-8", "batch-9"]
        lane.settled(7)
        kept = (lane.trace._spans, lane.trace._sends, lane.trace._of_key)
    assert kept == ({}, {}, {})


# --- a collector in trouble -------------------------------------------------------------------------------


async def test_a_collector_that_answers_nothing_holds_nobody_up(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records are followed and settled while it keeps a request; the queue has its bound, and so has the end."""
    monkeypatch.setattr(module, "CLOSE_BOUND_S", 0.1)
    collector.hold()
    tracing = tracing_to(collector.endpoint, 1.0)
    lane = Story(tracing)
    lane.delivered((-1, None))
    lane.settled(-1)
    await until(lambda: collector.came, BOUND_S, "a request at the collector")
    for begin in range(0, 3 * module.QUEUE_SPANS, 512):
        lane.delivered(*((offset, None) for offset in range(begin, begin + 512)))
        lane.settled(*range(begin, begin + 512))
    assert collector.came == 1, "it has been let go of meanwhile: this proved nothing"
    assert len(tracing._processor._batch_processor._queue) <= module.QUEUE_SPANS
    with capture_logs() as logs:
        await tracing.close()
    assert [line["event"] for line in logs] == ["spans given up: the collector does not take them"]


async def test_trouble_is_said_once_and_its_end_too(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal; then it takes them again. What it failed with is dropped, and nothing of it is repeated in a log."""
    monkeypatch.setattr(module, "EXPORT_EVERY_MS", 20)
    said: list[str] = []
    monkeypatch.setattr(module, "log", SimpleNamespace(warning=lambda line, **_: said.append(line), info=said.append))
    collector.status = 400
    tracing = tracing_to(collector.endpoint, 1.0)
    lane = Story(tracing)
    for offset in range(2):
        lane.delivered((offset, None))
        lane.settled(offset)
        await until(lambda least=offset + 1: collector.came >= least, BOUND_S, "a request at the collector")
    await until(lambda: said, BOUND_S, "a line")
    collector.status = 200
    lane.delivered((2, None))
    lane.settled(2)
    await until(lambda: len(said) > 1, BOUND_S, "another line")
    await tracing.close()
    assert said == [
        "spans are dropped: the collector does not take them",
        "spans reach the collector again",
    ]
    assert [span.attributes["messaging.kafka.offset"] for span in collector.spans] == [2]


async def test_a_collector_is_believed_by_the_authority_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And by no other, whatever the environment names."""
    ours, theirs = trustme.CA(), trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.issue_cert("127.0.0.1").configure_cert(tls)
    for authority, name in ((ours, "ours.pem"), (theirs, "theirs.pem")):
        authority.cert_pem.write_to_path(str(tmp_path / name))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "theirs.pem"))
    async with Collector(tls) as collector:
        for name, bound_s in (("theirs.pem", BOUND_S), ("ours.pem", 0.5)):
            monkeypatch.setattr(module, "EXPORT_TIMEOUT_S", bound_s)
            authority = tmp_path / name
            tracing = Tracing(
                collector.endpoint, 1.0, authority, trust_producers=False, instance="one", version="1.2.3"
            )
            lane = Story(tracing)
            lane.delivered((1, None))
            lane.settled(1)
            await tracing.close()
            assert len(collector.spans) == 1


async def test_no_collector_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead address: the end waits no longer than its bound."""
    monkeypatch.setattr(module, "CLOSE_BOUND_S", 0.1)
    async with Collector() as gone:
        endpoint = gone.endpoint
    tracing = tracing_to(endpoint, 1.0)
    lane = Story(tracing)
    lane.delivered((1, None))
    lane.settled(1)
    await tracing.close()
