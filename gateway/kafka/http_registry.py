"""A Confluent-compatible schema registry over HTTP.

Knows its paths and error codes. Trusts nothing that it answers: size, time and form are bounded, redirects
and the environment's proxies are ignored. Must not know topics beyond the subjects it is given, nor remember
answers.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from gateway import avro, schemas
from gateway.kafka.names import TopicNames
from gateway.kafka.registry import FileRegistry, NotRegisteredError, Registry, RegistryAway

ANSWER_TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 1 << 20
MAX_NUMBER = (1 << 31) - 1  # of an id or a version

_UNKNOWN_TO_IT = (401, 403)
_REACHABLE = "check its URL and that it runs"
_LOGIN = "check schemas.registry_username, schemas.registry_password_file, and what that user may do there"
_SUBJECT_ABSENT = 40401
_SCHEMA_ABSENT = 40403  # a 404 without an error code comes from something that is not a registry


@dataclass(frozen=True, slots=True)
class RegistryLogin:
    """Whom we trust at a registry (none: the usual public authorities), and who we are there (none: nobody)."""

    ssl_context: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)


NOBODY = RegistryLogin()


def registry_at(url: str | None, names: TopicNames, login: RegistryLogin = NOBODY) -> Registry:
    """The registry there; without a URL the release's files."""
    if url is None:
        return FileRegistry()
    return HttpRegistry.of(url, names, login)


class HttpRegistry:
    """`subjects` gives each of our record kinds the subject that its schema is registered under."""

    def __init__(self, url: str, subjects: Mapping[str, str], login: RegistryLogin = NOBODY) -> None:
        self._client = httpx.AsyncClient(
            base_url=url,
            verify=login.ssl_context or True,
            auth=None if login.username is None else httpx.BasicAuth(login.username, login.password or ""),
            trust_env=False,
            follow_redirects=False,
            timeout=ANSWER_TIMEOUT_S,
            headers={
                "accept": "application/vnd.schemaregistry.v1+json, application/json",
                "accept-encoding": "identity",
            },
        )
        self.where = f"schema registry {self._client.base_url.host}:{self._client.base_url.port or 'default port'}"
        self.subjects = subjects

    @classmethod
    def of(cls, url: str, names: TopicNames, login: RegistryLogin = NOBODY) -> HttpRegistry:
        """The registry there, in which each topic's schema is registered as the topic's value."""
        return cls(url, {kind: f"{topic}-value" for topic, kind in names.record_kinds().items()}, login)

    async def writer_schema(self, schema_id: int) -> Any | None:
        what = f"schema {schema_id}"
        status, answer = await self.ask(what, "GET", f"/schemas/ids/{schema_id}")
        if status == 404 and answer.get("error_code") == _SCHEMA_ABSENT:
            return None
        text = answer.get("schema")
        if status != 200 or not isinstance(text, str):
            raise self.away(what, f"status {status} without a schema", remedy(status))
        if answer.get("schemaType", "AVRO") != "AVRO":
            raise avro.SchemaError(avro.Fault.NOT_AVRO, "", f"{what} is registered in another format")
        return read_schema(text, what)

    async def id_of(self, name: str) -> int:
        ours, what = schemas.schema(name), f"subject {self.subjects[name]}"
        number = await self.find(name, ours.text)
        if number is None:
            raise NotRegisteredError(
                f"{self.where} lacks this release's {name} under {what}: run `gateway schemas register`"
            )
        if not await self._has(number, ours.record):  # else nobody could read what we write
            raise self.away(what, f"id {number}, under which it has another schema")
        return number

    async def find(self, name: str, text: str) -> int | None:
        """The id of exactly this schema of a record kind, if it is registered; raises RegistryAway."""
        subject = self.subjects[name]
        what = f"subject {subject}"
        status, answer = await self.ask(what, "POST", f"/subjects/{subject}", {"schema": text})
        if status == 404 and answer.get("error_code") in (_SUBJECT_ABSENT, _SCHEMA_ABSENT):
            return None
        return self.number(what, "id", status, answer)

    def number(self, what: str, field: str, status: int, answer: Mapping[str, Any]) -> int:
        """The id or version in this field of an answer."""
        number = answer.get(field)
        if status != 200 or type(number) is not int or not 0 <= number <= MAX_NUMBER:
            raise self.away(what, f"status {status} without {field}", remedy(status))
        return number

    async def _has(self, number: int, record: avro.Record) -> bool:
        try:
            raw = await self.writer_schema(number)
            return raw is not None and avro.parse(raw) == record
        except avro.SchemaError:
            return False

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(
        self, what: str, method: str, path: str, body: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of an answer about `what`; raises RegistryAway."""
        try:
            async with (
                asyncio.timeout(ANSWER_TIMEOUT_S),
                self._client.stream(method, path, json=body) as response,
            ):
                content = await self._read(what, response)
        except (httpx.HTTPError, TimeoutError) as error:
            raise self.away(what, type(error).__name__) from None
        if response.status_code in _UNKNOWN_TO_IT:
            return response.status_code, {}  # often without JSON
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            raise self.away(what, f"status {response.status_code}, not JSON") from None
        if not isinstance(answer, dict):
            raise self.away(what, f"status {response.status_code}, not a JSON object")
        return response.status_code, answer

    async def _read(self, what: str, response: httpx.Response) -> bytes:
        content = bytearray()
        async for chunk in response.aiter_raw():  # raw: an answer compressed all the same is refused as not JSON
            content += chunk
            if len(content) > MAX_ANSWER_BYTES:
                raise self.away(what, f"more than {MAX_ANSWER_BYTES} bytes")
        return bytes(content)

    def away(self, what: str, found: str, needed: str = _REACHABLE) -> RegistryAway:
        """What to raise when an answer about `what` is none to build on."""
        return RegistryAway(f"{self.where} gave no usable answer about {what} ({found}): {needed}")


def remedy(status: int) -> str:
    """What helps against a status that says nothing about schemas."""
    return _LOGIN if status in _UNKNOWN_TO_IT else _REACHABLE


def read_schema(text: str, what: str) -> Any:
    """The JSON of a schema's text; raises avro.SchemaError."""
    try:
        return json.loads(text)
    except RecursionError:
        raise avro.SchemaError(avro.Fault.TOO_DEEP, "", f"{what} is nested too deep") from None
    except ValueError:
        raise avro.SchemaError(avro.Fault.NOT_A_SCHEMA, "", f"{what} is not JSON") from None
