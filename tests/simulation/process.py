"""One simulated gateway process: the real `gateway.app.Gateway` on a host of the virtual loop, and what surrounds it.

Promised: from the composition root down to aiokafka's sockets it is the code that runs in production, except

    HTTP server for health and metrics, watchdog    not there: they have threads of their own
    lines of the log          go to `Below.log`, if anywhere
    the settings' files       read and judged once for all processes, writers' schemas compiled once
    renewal of keys and certificates    not there: it looks at files and the environment every two seconds
    the transport to GeNiE, the schema registry    those of `Below`
    the child process that tastes records for a wary lane    says of each that it survives
    how often idle polls look    less often: records end a poll at once, so only what is not delivered is seen later
    the collector of garbage     is the loop's affair (loop.py), not the gateway's
    aiokafka's sets of brokers   hashed without the rack: None is hashed by its address, which differs in each run

A killed process leaves its consent view as SIGKILL does: what was written is there, nothing is flushed or marked clean.
Must not know what the world does with it.
"""

import asyncio
import contextvars
import logging
import os
import signal
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self
from unittest import mock

import orjson
import structlog
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.record._crecords import default_records, legacy_records
from aiokafka.structs import BrokerMetadata

from gateway import app, code, files, genie_login, preflight
from gateway.app import Gateway
from gateway.files import Files
from gateway.findings import Finding
from gateway.genie.transport import Transport
from gateway.kafka import consent_view, intake, replay_intake, source, view_store, writer
from gateway.kafka.registry import Registry
from gateway.kafka.taster import Taster
from gateway.kafka.view_store import ViewStore
from gateway.sandbox import pki as pkis
from gateway.sandbox.pki import Pki
from gateway.settings import PREFIX, Settings
from tests.simulation.loop import HOST, Host, VirtualLoop

KILLED = "killed"
IN_ORDER = "in order"
BOOT = "simulated"  # of the machine, which never stops
VIEW_POLL_MS = 200  # four times the gateway's own, and of the next too: a quarter of all steps was that
SOURCE_POLL_MS = 400
CAUSES = 20  # of an error, whose frames are let go

Connect = Callable[[str, ssl.SSLContext, int], Transport]
LogSink = Callable[[str, str, str, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Below:
    """What all processes of one world stand on."""

    transport: Callable[[str], Connect]  # to GeNiE, by the name of the host that asks
    registry: Registry
    log: LogSink | None = None  # is told of each line: host, level, event, what is beside it

    def connect(self, base_url: str, tls: ssl.SSLContext, connections: int) -> Transport:
        """As the gateway makes its transport."""
        return self.transport(_host_name())(base_url, tls, connections)


def settings(keys: Pki, name: str, view: Path, **sections: Mapping[str, Any]) -> Settings:
    """Of a process of this name; `kafka={"bootstrap_servers": ...}` and others change what is usual."""
    usual = _usual_settings(keys.directory)
    changed = {
        section: getattr(usual, section).model_copy(update=dict(values))
        for section, values in {**sections, "view": {"path": view, **sections.get("view", {})}}.items()
    }
    return usual.model_copy(update={"instance": name, **changed})


class Process:
    """One gateway that is started, stopped, killed, frozen, and started again on the same view."""

    def __init__(self, name: str, loop: VirtualLoop, given: Settings) -> None:
        self.name = name
        self.settings = given
        self.skew_ms = 0.0
        self.host: Host | None = None
        self.gateway: Gateway | None = None
        self.ended: str | None = None  # KILLED, IN_ORDER or the name of the error that ended it
        self.error: BaseException | None = None
        self.starts = 0
        self._loop = loop
        self._end: asyncio.Future[None] | None = None

    @property
    def alive(self) -> bool:
        """Running or frozen."""
        return self.host is not None and self.host.alive

    def start(self) -> Host:
        """A new process in the place of the last one, which must have ended."""
        if self.alive:
            raise AssertionError(f"{self.name} is still there")
        self.starts += 1
        self.ended = self.error = None
        host = self.host = Host(self.name, self._loop)
        host.skew_ms = self.skew_ms
        end = self._end = self._loop.create_future()
        host.at_death(lambda: self._gone(end))
        task = host.start(self._main)
        task.add_done_callback(lambda task: self._returned(task, host), context=contextvars.Context())
        return host

    async def wait(self) -> str:
        """How it ended, once it has."""
        if self._end is None:
            raise AssertionError(f"{self.name} was never started")
        await asyncio.shield(self._end)
        return self.ended or KILLED

    async def stop(self) -> str:
        """SIGTERM, and wait."""
        self.terminate()
        return await self.wait()

    def terminate(self) -> None:
        """SIGTERM; before the gateway listens to it, the signal ends the process at once."""
        if self.host is not None and self.host.alive and not self.host.signal(signal.SIGTERM):
            self.host.kill()

    def kill(self) -> None:
        if self.host is not None:
            self.host.kill()

    def freeze(self) -> None:
        if self.host is not None:
            self.host.freeze()

    def thaw(self) -> None:
        if self.host is not None:
            self.host.thaw()

    def set_clock(self, skew_ms: float) -> None:
        """Its wall clock, from now on and after the next start."""
        self.skew_ms = skew_ms
        if self.host is not None:
            self.host.skew_ms = skew_ms

    async def _main(self) -> None:
        self.gateway = _Gateway(self.settings)
        await self.gateway.run()

    def _returned(self, task: "asyncio.Task[None]", host: Host) -> None:
        """The process exits; whatever of it still ran goes with it."""
        self.error = _without_frames(None if task.cancelled() else task.exception())
        self.ended = IN_ORDER if self.error is None else type(self.error).__name__
        host.kill()

    def _gone(self, end: "asyncio.Future[None]") -> None:
        self.ended = self.ended or KILLED
        self.gateway = None  # all that it held can go when the loop closes
        if not end.done():
            end.set_result(None)


# What the gateway's start overrides in aiokafka, for good: put back for whatever else runs in this process.
_OVERRIDDEN = (
    (AIOKafkaConnection, "send"),
    (AIOKafkaClient, "_metadata_update"),
    *(
        (reader, name)
        for reader in (default_records, legacy_records)
        for name in vars(reader)
        if name.endswith("_decode")
    ),
)


@contextmanager
def installed(below: Below) -> Iterator[None]:
    """Let every gateway that is started in here stand on this."""
    with ExitStack() as stack:
        for owner, name, new in (
            (genie_login, "GenieTransport", below.connect),
            (app, "registry_at", lambda *_: below.registry),
            (preflight, "registry_at", lambda *_: below.registry),
            (preflight, "read_files", _files_once),
            (preflight, "look_at_view", lambda _: []),
            (app, "Renewal", _NoRenewal),
            (app, "_spare_the_collector", lambda: None),
            (intake, "Taster", _SureTaster),
            (replay_intake, "Taster", _SureTaster),
            (consent_view, "ViewStore", _Store),
            (BrokerMetadata, "__hash__", _hash_of_broker),
            (writer, "make_ready", _ready_once),
            (view_store, "_boot_id", lambda: BOOT),
            (consent_view, "POLL_MS", VIEW_POLL_MS),
            (source, "POLL_MS", SOURCE_POLL_MS),
        ):
            stack.enter_context(mock.patch.object(owner, name, new))
        for owner, name in _OVERRIDDEN:
            stack.enter_context(mock.patch.object(owner, name, getattr(owner, name)))
        stack.enter_context(mock.patch.object(code, "compile", _compiled_once, create=True))
        stack.enter_context(_logs_to(below.log))
        yield


class _Gateway(Gateway):
    def _start_observing(self, stack: AsyncExitStack) -> list[Finding]:
        self._pulse.start()
        stack.callback(self._pulse.stop)
        return []


class _NoRenewal:
    def __init__(self, *_: Any) -> None:
        """Nothing is looked at."""

    async def run(self, *_: Any) -> None:
        await asyncio.get_running_loop().create_future()


class _SureTaster(Taster):
    async def _survives(self, line: bytes) -> bool:
        return True


class _Store(ViewStore):
    """Lets go of its files when its process dies, as the operating system would."""

    @classmethod
    def open(cls, *arguments: Any, **named: Any) -> Self:
        store = super().open(*arguments, **named)
        host = HOST.get()
        if host is not None:
            host.at_death(store.let_go)
        return store

    def let_go(self) -> None:
        if not self.closed:
            self._environment.close()
            os.close(self._owner)
            self.closed = True


@lru_cache(1)
def _usual_settings(directory: Path) -> Settings:
    keys = Pki(directory)
    with mock.patch.dict(os.environ):
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            del os.environ[name]
        return Settings(
            instance="usual",
            kafka={"bootstrap_servers": "kafka:9092", "group_id": "gateway", "allow_dev_topics": True},
            genie={
                "base_url": "https://genie.simulated",
                "ca_file": keys.ca,
                "client_cert_file": keys.client,
                "client_key_file": keys.client_key,
                "signing_key_file": keys.norel_ed25519,
                "signing_key_id": pkis.NOREL_ED25519_ID,
                "answer_key_files": {pkis.GENIE_ED25519_ID: pkis.public_half(keys.genie_ed25519)},
            },
            recipient={"name": "GeNiE株式会社", "address": "東京都架空区架空一丁目1-1", "representative": "架空 受子"},
            provider={
                "name": "株式会社 IDOM CaaS Technology",
                "address": "東京都架空区架空二丁目2-2",
                "representative": "架空 渡子",
            },
            keys={"idempotency_key_file": keys.idempotency_key, "pseudonym_key_file": keys.pseudonym_key},
        )


_compiled_once = lru_cache(maxsize=256)(compile)  # the same source for each process of each world
_read_files = files.read_files
_files: dict[Path, tuple[Files | None, Sequence[Finding]]] = {}


def _files_once(given: Settings) -> tuple[Files | None, list[Finding]]:
    """As read for the first process: the files of a world do not change."""
    place = given.keys.idempotency_key_file.parent
    if place not in _files:
        _files.clear()
        _files[place] = _read_files(given)
    found, findings = _files[place]
    return found, list(findings)


_make_ready = writer.make_ready


@lru_cache(64)
def _ready(schema: bytes) -> writer.Writer | writer.Unfit:
    return _make_ready(orjson.loads(schema))


def _ready_once(raw: Any) -> writer.Writer | writer.Unfit:
    """Compiled for the first process that reads this schema."""
    return _ready(orjson.dumps(raw))


def _without_frames(error: BaseException | None) -> BaseException | None:
    """Frames would keep the whole process in memory; where it was raised is noted."""
    place = error and error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if error is not None and place is not None:
        error.add_note(f"raised in {place.tb_frame.f_code.co_qualname}:{place.tb_lineno}")
    inner: BaseException | None = error
    for _ in range(CAUSES):
        if inner is not None:
            inner.__traceback__ = None
            inner = inner.__cause__ or inner.__context__
    return error


def _hash_of_broker(broker: BrokerMetadata) -> int:
    """Without its rack: None is hashed by its address, and aiokafka keeps brokers in sets."""
    return hash(broker[:3])


def _host_name() -> str:
    host = HOST.get()
    return "" if host is None else host.name


@contextmanager
def _logs_to(sink: LogSink | None) -> Iterator[None]:
    """No line leaves; `sink` hears of ours."""

    def tell(_: Any, level: str, event: dict[str, Any]) -> Any:
        if sink is not None:
            sink(_host_name(), level, str(event.pop("event", "")), event)
        raise structlog.DropEvent

    before, library = structlog.get_config(), logging.getLogger("aiokafka")
    level = library.level
    least = logging.INFO if sink is not None else logging.CRITICAL
    structlog.configure(
        processors=[tell],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    library.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        library.setLevel(level)
        structlog.configure(**before)
