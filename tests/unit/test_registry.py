"""Schema registries: the files, and a Confluent-compatible one over HTTP that may be down, slow or hostile."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from gateway import avro, schemas
from gateway.core.reasons import Reason
from gateway.kafka import http_registry
from gateway.kafka.codec import Codec, Decoded, Undecodable
from gateway.kafka.http_registry import MAX_ANSWER_BYTES, HttpRegistry
from gateway.kafka.registry import FileRegistry, NotRegisteredError, RegistryAway
from gateway.kafka.writer import unfit

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
SUBJECTS = {"Control": "genie.gateway.controls-value"}
CONTROL = schemas.schema("Control")


class Stub:
    """A tiny registry: it knows schema 70 and subject controls, unless a test gives it another answer."""

    def __init__(self) -> None:
        self.url = ""
        self.answer: Answer | None = None
        self.asked: list[str] = []
        self.registered: list[str] = [CONTROL.text]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        if self.answer is not None:
            return await self.answer(request)
        if request.path == "/schemas/ids/70":
            return web.json_response({"schema": CONTROL.text})
        if request.method == "POST" and (await request.json())["schema"] in self.registered:
            return web.json_response({"subject": "s", "id": 70, "version": 1, "schema": CONTROL.text})
        return web.json_response({"error_code": 40403, "message": "Schema not found"}, status=404)


@pytest.fixture
async def stub() -> AsyncIterator[tuple[Stub, HttpRegistry]]:
    registry_stub, app = Stub(), web.Application()
    app.router.add_route("*", "/{path:.*}", registry_stub.handle)
    server = TestServer(app)
    await server.start_server()
    registry_stub.url = str(server.make_url("/"))
    registry = HttpRegistry(registry_stub.url, SUBJECTS)
    yield registry_stub, registry
    await registry.close()
    await server.close()


def answering(body: str | bytes, status: int = 200, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        content = body.encode() if isinstance(body, str) else body
        return web.Response(status=status, body=content, headers=headers)

    return answer


async def test_the_file_registry_knows_what_was_built_in() -> None:
    """Ids of ids.json lead to the schemas as written; any other is absent."""
    registry = FileRegistry()
    assert await registry.writer_schema(await registry.id_of("Control")) == CONTROL.source
    assert await registry.writer_schema(4_000_000_000) is None


async def test_a_schema_is_fetched_by_its_id(stub: tuple[Stub, HttpRegistry]) -> None:
    """A value written under a registry's id is decoded, and the registry is asked once."""
    registry_stub, registry = stub
    codec = Codec(registry, {"controls": "Control"})
    value = schemas.frame(70, b"")
    await codec.prepare([value, value])
    await codec.prepare([value])
    assert codec.decode("controls", value) == Undecodable(Reason.NOT_AVRO)
    assert codec.fields(70)["hold_id"] == "internal"
    assert registry_stub.asked == ["GET /schemas/ids/70"]


async def test_an_id_that_the_registry_lacks_is_absent(stub: tuple[Stub, HttpRegistry]) -> None:
    """404 with the registry's own error code is knowledge, and parks."""
    _, registry = stub
    assert await registry.writer_schema(71) is None


async def test_our_schema_has_the_id_that_it_is_registered_under(stub: tuple[Stub, HttpRegistry]) -> None:
    """The subject is asked for exactly the schema that we write by."""
    registry_stub, registry = stub
    assert await registry.id_of("Control") == 70
    assert registry_stub.asked == ["POST /subjects/genie.gateway.controls-value", "GET /schemas/ids/70"]


async def test_a_schema_that_is_not_registered_names_the_remedy(stub: tuple[Stub, HttpRegistry]) -> None:
    """The error names kind, subject and the command that registers it."""
    registry_stub, registry = stub
    registry_stub.registered.clear()
    with pytest.raises(NotRegisteredError, match=r"Control.*genie\.gateway\.controls-value.*schemas register"):
        await registry.id_of("Control")


async def test_an_id_under_which_the_registry_has_another_schema_is_not_written_by(
    stub: tuple[Stub, HttpRegistry],
) -> None:
    """What we write must be read by what we write by."""
    registry_stub, registry = stub
    for other in ("ConsentRecord", None):
        text = schemas.schema(other).text if other else "no schema"

        async def answer(request: web.Request, text: str = text) -> web.Response:
            return web.json_response({"id": 70} if request.method == "POST" else {"schema": text})

        registry_stub.answer = answer
        with pytest.raises(RegistryAway, match="id 70, under which it has another schema"):
            await registry.id_of("Control")


AWAY = {
    "an id that is none": answering('{"id": -1, "schema": 7}'),
    "404 of something else": answering('{"message": "no such page"}', 404),
    "404 that is not JSON": answering("<html>not here</html>", 404),
    "401": answering('{"error_code": 401, "message": "who are you"}', 401),
    "absent, but not 404": answering('{"error_code": 40403, "message": "Schema not found"}', 500),
    "what is asked for, but not 200": answering(json.dumps({"id": 70, "schema": CONTROL.text}), 500),
    "500": answering('{"error_code": 50001, "message": "store"}', 500),
    "200 that is not JSON": answering("<html>welcome</html>"),
    "200 with an array": answering("[]"),
    "200 without a schema": answering("{}"),
    "schema of another type": answering('{"schema": 7}'),
    "deep JSON": answering("[" * 100_000),
    "invalid UTF-8": answering(b'{"schema": "\xff"}'),
    "endless": answering(json.dumps({"id": 70, "schema": CONTROL.text}).encode() + b" " * MAX_ANSWER_BYTES),
    "claims to be compressed": answering(b"\x1f\x8b\x08\x00garbage", **{"content-encoding": "gzip"}),
    "redirect": answering("{}", 302, location="/elsewhere"),
}


@pytest.mark.parametrize("case", AWAY)
async def test_an_answer_to_build_nothing_on_means_away(stub: tuple[Stub, HttpRegistry], case: str) -> None:
    """Nothing is parked for what a proxy, a wrong URL or a broken registry says; nothing is followed."""
    registry_stub, registry = stub
    registry_stub.answer = AWAY[case]
    with pytest.raises(RegistryAway, match=r"schema registry .* about schema 70 .*: check"):
        await registry.writer_schema(70)
    with pytest.raises(RegistryAway):
        await registry.id_of("Control")
    assert len(registry_stub.asked) == 2


async def test_a_registry_that_is_down_is_away() -> None:
    """A refused connection is no knowledge about the schema."""
    registry = HttpRegistry(f"http://user:secret@localhost:{unused_port()}", SUBJECTS)
    with pytest.raises(RegistryAway, match="ConnectError") as away:
        await registry.writer_schema(70)
    assert "secret" not in str(away.value)
    await registry.close()


@pytest.mark.parametrize(
    ("url", "where"), [("http://there:8081", "there:8081"), ("http://there", "there:default port")]
)
async def test_errors_say_which_registry(url: str, where: str) -> None:
    """By host and port, and nothing else of the URL."""
    registry = HttpRegistry(url, SUBJECTS)
    assert registry.where == f"schema registry {where}"
    await registry.close()
    assert registry._client.is_closed


async def test_a_registry_that_never_ends_its_answer_is_away(
    stub: tuple[Stub, HttpRegistry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole answer has one bound in time, however slowly its bytes come."""
    registry_stub, registry = stub
    monkeypatch.setattr(http_registry, "ANSWER_TIMEOUT_S", 0.05)
    ended = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b" ")
        await ended.wait()
        return response

    registry_stub.answer = answer
    with pytest.raises(RegistryAway, match="TimeoutError"):
        await registry.writer_schema(70)
    ended.set()


async def test_the_environment_has_no_say_in_where_it_connects(
    stub: tuple[Stub, HttpRegistry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy variable changes nothing."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://localhost:{unused_port()}")
    registry = HttpRegistry(stub[0].url, SUBJECTS)
    assert await registry.writer_schema(70) == CONTROL.source
    await registry.close()


UNUSABLE: dict[str, tuple[dict[str, Any], Reason]] = {
    "protobuf": ({"schema": 'syntax = "proto3";', "schemaType": "PROTOBUF"}, Reason.NOT_AVRO),
    "not JSON": ({"schema": "{"}, Reason.SCHEMA_WITHOUT_ITEM),
    "nested beyond reading": ({"schema": "[" * 100_000}, Reason.TOO_DEEP),
}


@pytest.mark.parametrize("case", UNUSABLE)
async def test_what_is_registered_but_unusable_gives_a_reason(stub: tuple[Stub, HttpRegistry], case: str) -> None:
    """The registry answered: its records end as INVALID or PARKED, and the lane goes on."""
    registry_stub, registry = stub
    answer, reason = UNUSABLE[case]
    registry_stub.answer = answering(json.dumps(answer))
    with pytest.raises(avro.SchemaError) as unusable:
        await registry.writer_schema(70)
    assert unfit(unusable.value).reason is reason


async def test_a_reference_to_another_subject_is_not_followed(stub: tuple[Stub, HttpRegistry]) -> None:
    """A schema that is complete only with its references parks: its leaves cannot be judged."""
    registry_stub, registry = stub
    raw = {**CONTROL.source, "fields": [{"name": "x", "type": "jp.other.Thing", "item": "internal"}]}
    registry_stub.answer = answering(
        json.dumps({"schema": json.dumps(raw), "references": [{"name": "jp.other.Thing"}]})
    )
    codec = Codec(registry, {"controls": "Control"})
    await codec.prepare([schemas.frame(70, b"")])
    assert codec.decode("controls", schemas.frame(70, b"")) == Undecodable(Reason.SCHEMA_WITHOUT_ITEM)


async def test_a_record_of_ours_goes_round_through_a_registry(stub: tuple[Stub, HttpRegistry]) -> None:
    """Written under the registry's id, read by the registry's schema."""
    _, registry = stub
    record = {
        "hold_id": "h-1",
        "scope": "subject",
        "value": "subj-000001",
        "state": "released",
        "operator": "on-call",
        "reason": "drill",
        "ticket": "OPS-1",
        "at": 1,
        "expires_at": 2,
    }
    value = schemas.encode("Control", record, await registry.id_of("Control"))
    codec = Codec(registry, {"controls": "Control"})
    await codec.prepare([value])
    assert codec.decode("controls", value) == Decoded(70, record)
