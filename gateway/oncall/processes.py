"""The running processes of the gateway: found through the group, asked over HTTP what they do.

Knows where a process answers, and that whatever answers there may be slow, endless or another program. Must not know
what anyone makes of the answers.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import httpx
from aiokafka.client import AIOKafkaClient
from prometheus_client.parser import text_string_to_metric_families
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from gateway.kafka.connection import KafkaUnavailableError
from gateway.kafka.group import Group, Member, describe_group, list_groups

ANSWER_WITHIN_S = 5.0
MAX_ANSWER_BYTES = 16 << 20
MAX_ASKED_AT_ONCE = 16
MAX_TEXT = 200
NO_PORT = 0  # takes a free one: nobody else knows which


def _shown(text: str) -> str:
    """What a stranger says, fit for a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:MAX_TEXT])


Text = Annotated[str, AfterValidator(_shown)]


class _Part(BaseModel):
    """A part of /status; what a process of another release leaves out has no value here."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class About(_Part):
    """Who a process is."""

    instance: Text = ""
    version: Text = ""
    member_id: Text = ""


class GenieSeen(_Part):
    """What it knows of GeNiE."""

    breaker_open: bool = False
    slots: int = 0
    slots_in_use: int = 0
    slots_waited_for: int = 0
    retry_wait_seconds: float = 0.0
    clock_difference_ms: int = 0
    last: Text = "none"
    last_at: int | None = None
    ok_at: int | None = None
    trouble: Text = "none"


class Applied(_Part):
    """How far it has applied a partition of the controls."""

    offset: int
    applied_at: int | None = None


class ConsentsSeen(_Part):
    """Its view of consents and holds."""

    subjects: int = 0
    lag: int = 0
    whole_at: int | None = None
    holds: tuple[Text, ...] = ()
    controls: Mapping[Text, Applied] = {}


class LaneSeen(_Part):
    """What one of its lanes does."""

    opening: bool = False
    watermark: int | None = None
    position: int | None = None
    unsettled: int = 0
    oldest_at: int | None = None
    window_span: int = 0
    window_limit: int | None = None
    ready: int = 0
    in_flight: int = 0
    waiting: int = 0
    looking_up: int = 0
    stopped: bool = False
    closing: bool = False
    awaits_registry: bool = False
    committed_at: int | None = None
    delay: Text | None = None


class Status(_Part):
    """All of it."""

    ready: bool
    live: bool
    reasons: tuple[Text, ...]
    kafka_silence_seconds: float | None = None
    process: About = About()
    genie: GenieSeen = GenieSeen()
    consents: ConsentsSeen = ConsentsSeen()
    lanes: Mapping[Text, LaneSeen]


@dataclass(frozen=True, slots=True)
class Process:
    """One place that was asked: a status, or the trouble instead."""

    at: str  # host:port
    status: Status | None
    trouble: str = ""

    @property
    def name(self) -> str:
        """Its instance, else where it is."""
        return (self.status.process.instance if self.status else "") or self.at

    @property
    def host(self) -> str:
        """Where it was asked, without the port."""
        return self.at.rpartition(":")[0].strip("[]")


@dataclass(frozen=True, slots=True)
class Fleet:
    """What is known of all processes; `group` is None if Kafka was not asked.

    `other_groups` are those that there are, if this one is not: then nobody knows which processes run.
    """

    group: Group | None
    processes: tuple[Process, ...]
    other_groups: tuple[str, ...] = ()

    @property
    def answering(self) -> tuple[tuple[Process, Status], ...]:
        """Those that said how they are."""
        return tuple((process, process.status) for process in self.processes if process.status is not None)

    @property
    def silent(self) -> tuple[Process, ...]:
        """Places where none answered."""
        return tuple(process for process in self.processes if process.status is None)

    @property
    def unasked(self) -> tuple[Member, ...]:
        """Members of the group that nothing which answered is."""
        if self.group is None:
            return ()
        answered = {status.process.member_id for _, status in self.answering}
        # An older release does not say which member it is.
        hosts = {process.host for process, status in self.answering if not status.process.member_id}
        return tuple(
            member for member in self.group.members if member.member_id not in answered and member.host not in hosts
        )

    @property
    def all_asked(self) -> bool:
        """Whether every process that there may be has answered."""
        return self.group is not None and self.group.is_there and not (self.silent or self.unasked)


class Asker:
    """Asks processes. Nothing in the environment changes whom it asks, and it follows no redirect."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._turns = asyncio.Semaphore(MAX_ASKED_AT_ONCE)

    async def status(self, at: str) -> Process:
        """What the process there says of itself, or why it does not; raises nothing."""
        try:
            return Process(at, Status.model_validate_json(await self._get(at, "/status")))
        except ValidationError:
            return Process(at, None, "what answers there is no gateway, or one of another release")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError, _UnfitError) as error:
            return Process(at, None, _trouble(error))

    async def metrics(self, at: str, names: frozenset[str]) -> dict[str, dict[tuple[str, ...], float]]:
        """Metric -> values of its labels, in order -> value, of these metrics; empty if there is no answer."""
        try:
            text = (await self._get(at, "/metrics")).decode("utf-8", "replace")
            lines = [line for line in text.split("\n") if line.split("{")[0].split(" ")[0] in names]
            found: dict[str, dict[tuple[str, ...], float]] = {}
            for family in text_string_to_metric_families("\n".join([*lines, ""])):
                for sample in filter(lambda sample: math.isfinite(sample.value), family.samples):
                    found.setdefault(sample.name, {})[tuple(map(_shown, sample.labels.values()))] = sample.value
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError, ValueError, _UnfitError):
            return {}
        return found

    async def statuses(self, places: Sequence[str]) -> tuple[Process, ...]:
        """All at once, in order."""
        return tuple(await asyncio.gather(*map(self.status, places)))

    async def _get(self, at: str, path: str) -> bytes:
        content = bytearray()
        url = f"http://{at}{path}"
        async with self._turns, asyncio.timeout(ANSWER_WITHIN_S), self._client.stream("GET", url) as answer:
            if answer.status_code != httpx.codes.OK:
                raise _UnfitError(f"it answers {answer.status_code}")
            async for part in answer.aiter_raw():
                content += part
                if len(content) > MAX_ANSWER_BYTES:
                    raise _UnfitError(f"it answers more than {MAX_ANSWER_BYTES:,} bytes")
        return bytes(content)


class _UnfitError(Exception):
    """An answer that nothing is made of."""


@asynccontextmanager
async def asking() -> AsyncIterator[Asker]:
    """Someone who asks; every connection is closed in the end."""
    headers = {"accept-encoding": "identity"}
    bound = httpx.Timeout(ANSWER_WITHIN_S)
    async with httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=bound, headers=headers) as client:
        yield Asker(client)


async def find(asker: Asker, client: AIOKafkaClient | None, group: str, named: Sequence[str], port: int) -> Fleet:
    """The processes: those `named` (host:port), else where the group's members are. Raises KafkaUnavailableError."""
    members = None if client is None else await describe_group(client, group)
    places = list(dict.fromkeys(named))
    if not places and members is not None and port != NO_PORT:
        places = list(dict.fromkeys(_place(member.host, port) for member in members.members))
    others: tuple[str, ...] = ()
    if client is not None and members is not None and not members.is_there:
        others = await list_groups(client)
    return Fleet(members, await asker.statuses(places), others)


async def find_or_named(asker: Asker, client: AIOKafkaClient, group: str, named: Sequence[str], port: int) -> Fleet:
    """The same; if the group can't be asked, those that were named are."""
    try:
        return await find(asker, client, group, named, port)
    except KafkaUnavailableError:
        return await find(asker, None, group, named, port)


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _trouble(error: Exception) -> str:
    if isinstance(error, (TimeoutError, httpx.TimeoutException)):
        return f"no answer within {ANSWER_WITHIN_S:g} s"
    if isinstance(error, httpx.ConnectError):
        return "nothing listens there, or the way is closed"
    return str(error) if isinstance(error, _UnfitError) else f"no answer ({type(error).__name__})"
