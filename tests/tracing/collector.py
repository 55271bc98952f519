"""An OTLP/HTTP collector in the test's own loop: what spans arrived, as anyone decodes them; silent if it shall be."""

import asyncio
import gzip
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

PATH = "/v1/traces"


@dataclass(frozen=True, slots=True)
class Seen:
    """A span as it arrived; ids in hexadecimal."""

    trace: str
    id: str
    parent: str  # empty for a root
    name: str
    is_client: bool
    failed: bool
    links: tuple[tuple[str, str], ...]  # (trace, span)
    dropped_links: int
    attributes: dict[str, Any]
    resource: dict[str, Any]

    @property
    def context(self) -> tuple[str, str]:
        return self.trace, self.id

    @property
    def traceparent(self) -> str:
        """As whoever goes on from it is told, sampled and with a random trace id or not."""
        return f"00-{self.trace}-{self.id}-"


class Collector:
    """`async with` makes it listen; `hold()` keeps requests waiting, `status` is what it answers."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.spans: list[Seen] = []
        self.text = ""  # of all that arrived, field by field
        self.came = 0  # requests
        self.status = 200
        self._open = asyncio.Event()
        self._open.set()
        self._port = 0
        self._tls = tls

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post(PATH, self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open.set()
        await self._runner.cleanup()

    @property
    def endpoint(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}{PATH}"

    def hold(self) -> None:
        """Answer nothing from now on."""
        self._open.clear()

    def of(self, name: str) -> list[Seen]:
        """Spans whose name begins so."""
        return [span for span in self.spans if span.name.startswith(name)]

    async def _take(self, request: web.Request) -> web.Response:
        self.came += 1
        content = await request.read()  # aiohttp undoes the compression
        await self._open.wait()
        if self.status == 200:
            sent = ExportTraceServiceRequest.FromString(gzip.decompress(content) if content[:1] == b"\x1f" else content)
            self.spans += _spans(sent)
            self.text += str(sent)
        return web.Response(status=self.status)


def _spans(sent: ExportTraceServiceRequest) -> Iterator[Seen]:
    for of_resource in sent.resource_spans:
        resource = _attributes(of_resource.resource.attributes)
        for scope in of_resource.scope_spans:
            for span in scope.spans:
                assert not span.events
                yield Seen(
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.name,
                    span.kind == Span.SPAN_KIND_CLIENT,
                    span.status.code == Status.STATUS_CODE_ERROR,
                    tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                    span.dropped_links_count,
                    _attributes(span.attributes),
                    resource,
                )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair) for pair in pairs}


def _value(pair: KeyValue) -> Any:
    return getattr(pair.value, pair.value.WhichOneof("value") or "string_value")
