"""Our schemas in a Confluent-compatible registry: registering them, and comparing what is there with ours.

Knows subjects, their versions and compatibility levels. Must not know who asks, or what records are written by them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from gateway import avro, schemacheck, schemas
from gateway.kafka.http_registry import HttpRegistry, read_schema

LEVEL = "FULL_TRANSITIVE"  # every version reads what any other wrote

_INCOMPATIBLE = 409
_NO_SUBJECT, _NO_VERSION, _NO_LEVEL = 40401, 40402, 40408
_REFUSALS = (401, 403, 405, 409, 422)
_LEVELS = re.compile(r"[A-Z_]{1,40}").fullmatch


class RefusedError(Exception):
    """The registry does not do what it was asked to; the text says which subject, and what to do."""


class Kept(Enum):
    """What became of one of our schemas."""

    NEW = "registered"
    THERE = "there already"
    REFUSED = "refused as incompatible with what is registered"


@dataclass(frozen=True, slots=True)
class Registered:
    """What became of one record kind; `level_before` is the level that was replaced, `breaks` why it was refused."""

    subject: str
    kind: str
    ids: Sequence[int]  # of its versions, the current one last
    kept: Kept
    level_before: str | None
    breaks: Sequence[schemacheck.Break] = ()

    def __str__(self) -> str:
        text = f"{self.subject}: {self.kept.value}"
        if self.ids and self.kept is not Kept.REFUSED:
            text += f", id {self.ids[-1]}"
        if self.level_before not in (None, LEVEL):
            text += f"; compatibility was {self.level_before}"
        if self.kept is Kept.REFUSED:
            text = "\n".join([f"{text}: see gateway schemas diff", *map(_told, self.breaks)])
        return text


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in the registry that is not as this release has it; `path` is empty for the subject as a whole."""

    subject: str
    path: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.path or '(whole schema)'}: {self.what}; {self.remedy}"


async def register(registry: HttpRegistry) -> list[Registered]:
    """Register every version of every record kind, in order; changes nothing that is there already.

    Raises RegistryAway or RefusedError.
    """
    return [await _register(registry, kind) for kind in registry.subjects]


async def differences(registry: HttpRegistry) -> list[Difference]:
    """How the registry differs from this release; raises RegistryAway or RefusedError."""
    return [found for kind in registry.subjects for found in await _differences(registry, kind)]


async def _register(registry: HttpRegistry, kind: str) -> Registered:
    subject, before = registry.subjects[kind], await _level(registry, kind)
    if before != LEVEL:
        await _ask(registry, subject, "PUT", f"/config/{subject}", {"compatibility": LEVEL})
    ids: list[int] = []
    kept = Kept.THERE
    for version in schemas.versions(kind):
        number = await registry.find(kind, version.text)
        if number is None:
            number, kept = await _add(registry, kind, version.text), Kept.NEW
        if number is None:
            return Registered(subject, kind, ids, Kept.REFUSED, before, await _breaks(registry, kind, version.record))
        ids.append(number)
    return Registered(subject, kind, ids, kept, before)


async def _breaks(registry: HttpRegistry, kind: str, ours: avro.Record) -> Sequence[schemacheck.Break]:
    """What keeps ours and the newest version from reading each other; empty if an older one is in the way."""
    newest = await _newest(registry, kind)
    try:
        theirs = None if newest is None else avro.parse(read_schema(newest[1], "the newest version"))
    except avro.SchemaError as error:
        return [schemacheck.Break(error.path, f"the newest version is unfit: {error.what}")]
    if theirs is None:
        return []
    return list(dict.fromkeys([*schemacheck.breaks(ours, theirs), *schemacheck.breaks(theirs, ours)]))


def _told(broken: schemacheck.Break) -> str:
    remedy = "keep the field as it is registered, and add a new one with a default instead"
    return f"  {broken.path or '(whole schema)'}: {broken.what}; {remedy}"


async def _add(registry: HttpRegistry, kind: str, text: str) -> int | None:
    """Its id; None if it is incompatible with what is there."""
    subject = registry.subjects[kind]
    path = f"/subjects/{subject}/versions"
    answer = await _ask(registry, subject, "POST", path, {"schema": text}, known=(_INCOMPATIBLE,))
    return None if answer is None else registry.number(f"subject {subject}", "id", 200, answer)


async def _differences(registry: HttpRegistry, kind: str) -> list[Difference]:
    subject, ours = registry.subjects[kind], schemas.schema(kind)
    register_it = "run `gateway schemas register`"
    found = []
    if (level := await _level(registry, kind)) != LEVEL:
        found.append(Difference(subject, "", f"compatibility is {level or 'not set'}, needed: {LEVEL}", register_it))
    there, newest = await registry.find(kind, ours.text), await _newest(registry, kind)
    if newest is None:
        return [*found, Difference(subject, "", "no schema is registered", register_it)]
    if there is not None and there == newest[0]:
        return found
    if there is None:
        found.append(Difference(subject, "", f"this release's {kind} is not registered", register_it))
    remedy = "find out which release registered it" if there is not None else "mend one of the two, then register"
    return found + [Difference(subject, *broken, remedy) for broken in _compare(ours.record, newest[1])]


def _compare(ours: avro.Record, text: str) -> list[tuple[str, str]]:
    try:
        theirs = avro.parse(read_schema(text, "the newest version"))
    except avro.SchemaError as error:
        return [(error.path, f"the newest version is unfit: {error.what}")]
    if not isinstance(theirs, avro.Record):
        return [("", "the newest version is no record")]
    return [(broken.path, broken.what) for broken in schemacheck.differences(ours, theirs)]


async def _newest(registry: HttpRegistry, kind: str) -> tuple[int, str] | None:
    """Id and text of the newest version of a subject."""
    subject = registry.subjects[kind]
    path = f"/subjects/{subject}/versions/latest"
    answer = await _ask(registry, subject, "GET", path, known=(_NO_SUBJECT, _NO_VERSION))
    if answer is None:
        return None
    text = answer.get("schema")
    if not isinstance(text, str):
        raise registry.away(f"subject {subject}", "a version without a schema")
    return registry.number(f"subject {subject}", "id", 200, answer), text


async def _level(registry: HttpRegistry, kind: str) -> str | None:
    """The subject's own compatibility level, if it has one."""
    subject = registry.subjects[kind]
    answer = await _ask(registry, subject, "GET", f"/config/{subject}", known=(_NO_SUBJECT, _NO_LEVEL))
    if answer is None:
        return None
    level = answer.get("compatibilityLevel")
    if not isinstance(level, str) or not _LEVELS(level):
        raise registry.away(f"subject {subject}", "a configuration without a compatibility level")
    return level


async def _ask(
    registry: HttpRegistry,
    subject: str,
    method: str,
    path: str,
    body: Mapping[str, str] | None = None,
    *,
    known: Sequence[int] = (),
) -> dict[str, Any] | None:
    """The answer; None if it is one of the `known` errors. Raises RegistryAway or RefusedError."""
    status, answer = await registry.ask(f"subject {subject}", method, path, body)
    if status == 200:
        return answer
    if answer.get("error_code") in known:
        return None
    if status in _REFUSALS:
        raise RefusedError(
            f"{registry.where} refuses {method} {path} with status {status}: check that it is open for writing, "
            "schemas.registry_username, schemas.registry_password_file, and what that user may do there"
        )
    raise registry.away(f"subject {subject}", f"status {status}")
