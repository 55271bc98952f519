"""Keys and certificates that change while the gateway runs: noticed, proven, and taken as one set; else the old stay.

Knows which settings may change without a restart, and what proves that a set is fit: its files, its dates, and for
GeNiE's an answer to a question that changes nothing there. Must not know what keys and certificates are used for.

The files that settings name may change, and so may the settings of keys in the TOML file (a new key id). A change is
looked at once it has stayed the same for two looks, so that somebody may replace several files one by one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from gateway.files import WARN_BEFORE, certificate_ends, read_credentials, read_login
from gateway.findings import Finding, Severity
from gateway.genie.client import GenieClient
from gateway.kafka.connection import KafkaConnection
from gateway.observe.logs import get_logger
from gateway.observe.metrics import Metrics
from gateway.preflight import ask_genie
from gateway.settings import CONFIG_VARIABLE, Settings, SettingsError, load

LOOK_EVERY_S = 2.0
PROVE_EVERY_S = 6.0  # while a set is refused: GeNiE is asked no more often
WARN_EVERY_S = 86_400.0  # about a certificate that ends soon
FILE_BYTES_MAX = 1 << 20  # of a file that is looked at

# What may change under each partner; everything else in the settings waits for a restart.
LIVE: Mapping[str, tuple[str, ...]] = {
    "genie": (
        "ca_file",
        "client_cert_file",
        "client_key_file",
        "signing_key_file",
        "signing_key_id",
        "answer_key_files",
    ),
    "kafka": ("ca_file", "client_cert_file", "client_key_file", "client_key_password_file"),
}

log = get_logger()


@dataclass(frozen=True, slots=True)
class Seen:
    """What settings and files held at one look: by partner, a digest of all that may change."""

    settings: Settings
    digests: Mapping[str, bytes]
    unreadable: bool = False  # the settings themselves can't be used

    def is_past(self, partner: str) -> bool:
        """Whether its files hold something else by now, so that what was just read may be half of each."""
        return _digests(self.settings)[partner] != self.digests[partner]


Take = Callable[[Seen], Awaitable[list[Finding] | None]]
"""Takes what was seen, or says why it is unfit; None if it has changed meanwhile, so that nothing can be said."""


class Renewal:
    """To be made before the files are first read, so that no change is missed; then `run` for ever."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._used = dict(_digests(settings))
        self._refused: dict[str, str] = {}  # partner -> the setting that keeps its change from being taken
        self._proved_at: dict[str, float] = {}
        self._warned_at = time.monotonic()  # the start has just looked at the dates

    async def run(self, partner: GenieClient, connection: KafkaConnection) -> None:
        """Look again and again."""
        takers: Mapping[str, Take] = {
            "genie": lambda seen: _take_genie(seen, partner),
            "kafka": lambda seen: _take_kafka(seen, connection),
        }
        self._show_ends()
        before = await asyncio.to_thread(self._look)
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            seen = await asyncio.to_thread(self._look)
            for name, take in takers.items():
                await self._consider(name, before, seen, take)
            before = seen
            self._warn_of_ends()

    def _look(self) -> Seen:
        """The settings in use, with what may change in them as it is now."""
        try:
            now = load()
        except SettingsError:
            return Seen(self._settings, _digests(self._settings), unreadable=True)
        sections = {
            name: getattr(self._settings, name).model_copy(
                update={field: getattr(getattr(now, name), field) for field in fields}
            )
            for name, fields in LIVE.items()
        }
        settings = self._settings.model_copy(update=sections)
        return Seen(settings, _digests(settings))

    async def _consider(self, name: str, before: Seen, seen: Seen, take: Take) -> None:
        if seen.unreadable:
            self._refuse(name, CONFIG_VARIABLE)
            return
        digest = seen.digests[name]
        if digest == self._used[name]:
            self._accept(name)
            return
        if digest != before.digests[name] or time.monotonic() < self._proved_at.get(name, 0.0) + PROVE_EVERY_S:
            return
        self._proved_at[name] = time.monotonic()
        try:
            findings = await take(seen)
        except Exception as error:  # whatever a library makes of a file: the set in use is as good as before
            log.error("taking changed keys or certificates failed", kind=name, error=error)
            self._refuse(name, name)
            return
        if findings is None:
            return
        if findings:
            self._refuse(name, findings[0].setting)
            return
        self._settings = self._settings.model_copy(update={name: getattr(seen.settings, name)})
        self._used[name] = digest
        self._metrics.credentials_changed(name)
        self._show_ends()
        log.info("changed keys and certificates are in use", kind=name)
        self._accept(name)

    def _refuse(self, name: str, settings: str) -> None:
        """The old set stays; `gateway check --genie` says in full why."""
        setting = settings.partition(",")[0]
        if self._refused.get(name) != setting:
            log.error("changed keys or certificates can't be used, the old ones stay", kind=name, setting=setting)
        self._refused[name] = setting
        self._metrics.credential_change_refused(name, refused=True)

    def _accept(self, name: str) -> None:
        if self._refused.pop(name, None) is not None:
            log.info("keys and certificates can be used again", kind=name)
            self._metrics.credential_change_refused(name, refused=False)

    def _show_ends(self) -> None:
        for name in LIVE:
            for setting, ends in certificate_ends(self._settings, name).items():
                shown = f"{name}_ca" if setting.endswith("ca_file") else name
                self._metrics.certificate_expiry(shown, ends.timestamp())
        self._metrics.signing_key(self._settings.genie.signing_key_id)

    def _warn_of_ends(self) -> None:
        """The start has warned; a process runs for months."""
        if time.monotonic() < self._warned_at + WARN_EVERY_S:
            return
        self._warned_at = time.monotonic()
        for name in LIVE:
            for setting, ends in certificate_ends(self._settings, name).items():
                left = ends - datetime.now(UTC)
                if left < WARN_BEFORE:
                    log.warning("a certificate ends soon", setting=setting, seconds=int(left.total_seconds()))


async def _take_genie(seen: Seen, partner: GenieClient) -> list[Finding] | None:
    credentials, findings = await asyncio.to_thread(read_credentials, seen.settings)
    if await asyncio.to_thread(seen.is_past, "genie"):
        return None
    if credentials is None or _problems(findings):
        return _problems(findings)
    if refusals := await ask_genie(seen.settings, credentials):
        return refusals
    await partner.use(credentials)
    return []


async def _take_kafka(seen: Seen, connection: KafkaConnection) -> list[Finding] | None:
    login, findings = await asyncio.to_thread(read_login, seen.settings)
    if await asyncio.to_thread(seen.is_past, "kafka"):
        return None
    if login is None or _problems(findings):
        return _problems(findings)
    connection.renew(login)
    return []


def _problems(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity is Severity.PROBLEM]


def _digests(settings: Settings) -> dict[str, bytes]:
    return {name: _digest(getattr(settings, name), fields) for name, fields in LIVE.items()}


def _digest(section: object, fields: tuple[str, ...]) -> bytes:
    digest = sha256()
    for field in fields:
        value = getattr(section, field)
        digest.update(f"{field}={value}\n".encode())
        for path in value.values() if isinstance(value, dict) else (value,):
            if isinstance(path, Path):
                digest.update(sha256(_content(path)).digest())
    return digest.digest()


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX)
    except OSError:
        return b""
