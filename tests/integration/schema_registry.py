"""A Confluent-compatible schema registry that knows this release's schemas, and what else a test registers."""

import json
from collections.abc import Mapping
from typing import Any, Self

from aiohttp import web

from gateway import schemas

SCHEMA_ABSENT = 40403
SUBJECT_ABSENT = 40401


class SchemaRegistry:
    """`async with` serves it; our own schemas have the ids of the files."""

    def __init__(self, more: Mapping[int, Any]) -> None:
        self._texts = {number: schema.text for number, schema in schemas.own().by_id.items()}
        self._texts |= {number: json.dumps(source) for number, source in more.items()}
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.add_routes([web.get("/schemas/ids/{id}", self._schema), web.post("/subjects/{subject}", self._id)])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _schema(self, request: web.Request) -> web.Response:
        text = self._texts.get(int(request.match_info["id"]))
        if text is None:
            return web.json_response({"error_code": SCHEMA_ABSENT, "message": "not found"}, status=404)
        return web.json_response({"schema": text})

    async def _id(self, request: web.Request) -> web.Response:
        wanted = (await request.json())["schema"]
        number = next((number for number, text in self._texts.items() if text == wanted), None)
        if number is None:
            return web.json_response({"error_code": SUBJECT_ABSENT, "message": "not found"}, status=404)
        return web.json_response({"id": number, "subject": request.match_info["subject"], "version": 1})
