"""A process that decodes what may end it: `python -m gateway.kafka.decoder_child`, started by kafka/taster.py.

Knows how a record is decoded and checked, and the bound on its own memory. Must not know a lane, a registry or any
setting: all that it needs stands in each request. It answers with one byte for each record that it survives, so that
nothing which a record may have made of it comes back.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import resource
import sys
from dataclasses import dataclass
from typing import Any

from gateway import core_dumps
from gateway.core import events
from gateway.core.events import EventType, Layout
from gateway.kafka.codec import Codec, Decoded

ALIVE = b"."
MEMORY_BYTES = 256 << 20  # address space; the process itself takes a fifth of it

_TOPIC = "tasted"
_EVENT_TYPES = {kind.code: kind for kind in EventType}


@dataclass(frozen=True, slots=True)
class Request:
    """One record, and what it is decoded by."""

    kind: str
    event_type: str | None  # None: it is decoded, and not looked at further
    source: str  # JSON of the writer's schema
    key: bytes | None
    value: bytes

    def line(self) -> bytes:
        """The request as it goes to the child."""
        key = None if self.key is None else base64.b64encode(self.key).decode()
        value = base64.b64encode(self.value).decode()
        return json.dumps([self.kind, self.event_type, self.source, key, value]).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Request:
        """What `line` wrote."""
        kind, event_type, source, key, value = json.loads(line)
        return cls(kind, event_type, source, None if key is None else base64.b64decode(key), base64.b64decode(value))


class _Given:
    """A registry that knows one schema, under every id."""

    def __init__(self, source: str) -> None:
        self._source = source

    async def writer_schema(self, schema_id: int) -> Any | None:
        return json.loads(self._source)

    async def id_of(self, name: str) -> int:
        raise NotImplementedError(name)

    async def close(self) -> None:
        return


class Decoder:
    """Decodes as the intake of a lane does; records in a row mostly share their schema."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._made_for: tuple[str, str] | None = None

    def decode(self, request: Request) -> None:
        """All that the gateway itself would do with these bytes."""
        if self._made_for != (request.kind, request.source):
            self._codec = Codec(_Given(request.source), {_TOPIC: request.kind})
            self._made_for = request.kind, request.source
        self._runner.run(self._codec.prepare([request.value]))
        decoded = self._codec.decode(_TOPIC, request.value)
        if isinstance(decoded, Decoded) and request.event_type is not None:
            layout = Layout(decoded.schema_id, self._codec.fields(decoded.schema_id))
            events.parse(_EVENT_TYPES[request.event_type], layout, decoded.record, request.key)


def main() -> None:
    """Decode until the parent closes the pipe or is gone."""
    core_dumps.leave_none()
    with contextlib.suppress(OSError, ValueError):  # some systems know no such bound
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    with asyncio.Runner() as runner:
        decoder = Decoder(runner)
        _answer(answers)
        for line in iter(requests.readline, b""):
            decoder.decode(Request.read(line))
            _answer(answers)


def _answer(answers: Any) -> None:
    answers.write(ALIVE)
    answers.flush()


if __name__ == "__main__":
    main()
