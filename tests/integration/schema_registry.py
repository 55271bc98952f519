"""A Confluent-compatible schema registry that knows this release's schemas, and what else a test registers.

It can be away, or answer what a broken one would; subjects have versions and a level, and it refuses what a test wants.
"""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self

from aiohttp import web

from gateway import schemas

SCHEMA_ABSENT = 40403
SUBJECT_ABSENT = 40401
LEVEL_ABSENT = 40408
INCOMPATIBLE = 409
FIRST_ID = 1_001  # of what is registered over HTTP

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SchemaRegistry:
    """`async with` serves it; our own schemas have the ids of the files, unless it begins `empty`.

    `trouble` answers every request while it is set.
    """

    def __init__(self, more: Mapping[int, Any] | None = None, *, empty: bool = False) -> None:
        self._texts = {} if empty else {number: schema.text for number, schema in schemas.own().by_id.items()}
        self._empty = empty
        self.versions: dict[str, list[int]] = {}
        self.levels: dict[str, str] = {}
        self.refuses: set[str] = set()  # subjects to which nothing can be added
        self.changes: list[str] = []  # requests that changed something
        self.trouble: Answer | None = None
        self._port = _free_port()
        self._runner: web.AppRunner | None = None
        for number, source in (more or {}).items():
            self.has(number, source)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def has(self, number: int, source: Any) -> None:
        """From now on this schema has this id."""
        self._texts[number] = json.dumps(source)

    async def start(self) -> None:
        """Answer, at the same address as before."""
        app = web.Application()
        routes = [
            web.get("/schemas/ids/{id}", self._schema),
            web.post("/subjects/{subject}", self._find),
            web.post("/subjects/{subject}/versions", self._add),
            web.get("/subjects/{subject}/versions/latest", self._latest),
            web.get("/config/{subject}", self._level),
            web.put("/config/{subject}", self._set_level),
        ]
        app.add_routes([web.route(route.method, route.path, self._or_trouble(route.handler)) for route in routes])
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def stop(self) -> None:
        """Be away."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _or_trouble(self, plain: Answer) -> Answer:
        async def answer(request: web.Request) -> web.StreamResponse:
            return await (self.trouble or plain)(request)

        return answer

    async def _schema(self, request: web.Request) -> web.Response:
        text = self._texts.get(int(request.match_info["id"]))
        return _absent(SCHEMA_ABSENT) if text is None else web.json_response({"schema": text})

    async def _find(self, request: web.Request) -> web.Response:
        subject, wanted = request.match_info["subject"], (await request.json())["schema"]
        known = self.versions.get(subject, ()) if self._empty else self._texts
        number = next((number for number in known if self._texts[number] == wanted), None)
        if number is None:
            return _absent(SCHEMA_ABSENT if known else SUBJECT_ABSENT)
        return web.json_response({"id": number, "subject": subject, "version": 1, "schema": wanted})

    async def _add(self, request: web.Request) -> web.Response:
        subject, text = request.match_info["subject"], (await request.json())["schema"]
        if subject in self.refuses:
            return web.json_response({"error_code": INCOMPATIBLE, "message": "incompatible"}, status=409)
        self.changes.append(f"add {subject}")
        number = next((known for known, there in self._texts.items() if there == text), FIRST_ID + len(self._texts))
        self._texts[number] = text
        self.versions.setdefault(subject, []).append(number)
        return web.json_response({"id": number})

    async def _latest(self, request: web.Request) -> web.Response:
        subject = request.match_info["subject"]
        if subject not in self.versions:
            return _absent(SUBJECT_ABSENT)
        number = self.versions[subject][-1]
        version = {"subject": subject, "id": number, "version": len(self.versions[subject])}
        return web.json_response(version | {"schema": self._texts[number]})

    async def _level(self, request: web.Request) -> web.Response:
        level = self.levels.get(request.match_info["subject"])
        return _absent(LEVEL_ABSENT) if level is None else web.json_response({"compatibilityLevel": level})

    async def _set_level(self, request: web.Request) -> web.Response:
        subject, level = request.match_info["subject"], (await request.json())["compatibility"]
        self.changes.append(f"level {subject}")
        self.levels[subject] = level
        return web.json_response({"compatibility": level})


def saying(body: bytes, status: int = 200, media_type: str = "application/json") -> Answer:
    """A trouble: always this."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body, content_type=media_type)

    return answer


async def silent(request: web.Request) -> web.StreamResponse:
    """A trouble: half an answer, and then nothing."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b'{"schema": "')
    await asyncio.Event().wait()
    return response


def _absent(code: int) -> web.Response:
    return web.json_response({"error_code": code, "message": "not found"}, status=404)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
