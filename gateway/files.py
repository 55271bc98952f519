"""What the files hold that the settings name: read together, judged together, each fault with its setting.

Knows which setting a file comes from, whether certificates belong to their keys, and their dates. Must not know what
the keys are used for, nor any network. No finding quotes a file.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from gateway import policies
from gateway.core.policy import Policy, PolicyError
from gateway.findings import Finding, Severity
from gateway.genie.client import Credentials
from gateway.genie.keys import AnswerKey, KeyFileError, SigningKey, load_answer_keys, load_signing_key
from gateway.kafka.connection import KafkaConnection
from gateway.kafka_login import kafka_connection
from gateway.secret_keys import SecretKeyError, read_secret
from gateway.sections import KafkaSettings, TracingSettings
from gateway.settings import PREFIX, Settings, SettingsError, partly
from gateway.tls import TlsFileError, authorities_end, chain_ends, tls_context, trusting

WARN_BEFORE = timedelta(days=30)  # a certificate that expires within these is a warning
_SAMPLE = b"a sample to sign"
_REFUSALS = (PolicyError, KeyFileError, SecretKeyError, TlsFileError)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Files:
    """All that was read."""

    policy: Policy
    credentials: Credentials
    idempotency_key: bytes
    pseudonym_key: bytes


def read_files(settings: Settings) -> tuple[Files | None, list[Finding]]:
    """The files of everything but Kafka, if all can be used, and what is wrong with those that can't."""
    keys = settings.keys
    findings: list[Finding] = []
    policy = _read(settings, "policy_file", lambda: policies.load(settings.policy_file), findings)
    credentials, of_credentials = read_credentials(settings)
    findings += of_credentials
    idempotency_key = _read(
        settings, "keys.idempotency_key_file", lambda: read_secret(keys.idempotency_key_file), findings
    )
    pseudonym_key = _read(settings, "keys.pseudonym_key_file", lambda: read_secret(keys.pseudonym_key_file), findings)
    if policy is not None and _has(settings, "recipient.id"):
        findings += _about_somebody_else(settings, policy)
    if pseudonym_key is not None and pseudonym_key == idempotency_key:
        findings.append(_wrong("keys.pseudonym_key_file", "the same key as in keys.idempotency_key_file"))
    if not (policy and credentials and idempotency_key and pseudonym_key):
        return None, findings
    return Files(policy, credentials, idempotency_key, pseudonym_key), findings


def read_credentials(settings: Settings) -> tuple[Credentials | None, list[Finding]]:
    """Keys and certificates for GeNiE, if all can be used, and what is wrong with those that can't."""
    genie = settings.genie
    findings: list[Finding] = []
    tls = _read(
        settings,
        "genie.ca_file, genie.client_cert_file, genie.client_key_file",
        lambda: tls_context(genie.ca_file, genie.client_cert_file, genie.client_key_file),
        findings,
    )
    signing_key = _read(
        settings,
        "genie.signing_key_file, genie.signing_key_id",
        lambda: load_signing_key(genie.signing_key_file, genie.signing_key_id),
        findings,
    )
    answer_keys = _read(settings, "genie.answer_key_files", lambda: load_answer_keys(genie.answer_key_files), findings)
    if signing_key is not None and answer_keys is not None:
        findings += _mixed_up(signing_key, answer_keys)
    findings += _dates(settings, "genie")
    if not (tls and signing_key and answer_keys):
        return None, findings
    return Credentials(tls, signing_key, answer_keys), findings


def read_login(settings: Settings) -> tuple[KafkaConnection | None, list[Finding]]:
    """How to log in to Kafka, if its files can be used, and what is wrong with them."""
    kafka = settings.kafka
    findings = []
    if kafka.security_protocol == "PLAINTEXT" and not kafka.allow_dev_topics:
        found = "found PLAINTEXT: customers' names, addresses and phone numbers would cross the network readable"
        findings.append(_wrong("kafka.security_protocol", found, "set SSL or SASL_SSL"))
    findings += _dates(settings, "kafka")
    try:
        return kafka_connection(kafka), findings
    except SettingsError as error:
        return None, [*findings, *Finding.of(error.problems)]


def certificate_ends(settings: Settings, section: str) -> dict[str, datetime]:
    """Setting of a section -> when the certificates in its file end; a file that can't be read is found elsewhere."""
    ends = {}
    for setting, path in _certificates(settings, section).items():
        with suppress(TlsFileError):
            ends[setting] = authorities_end(path) if setting.endswith("ca_file") else chain_ends(path)
    return ends


def look_at_right(right: Mapping[str, Any]) -> list[Finding]:
    """What is wrong with the files that right settings name, although other settings are wrong."""
    settings = partly(right)
    findings = read_files(settings)[1]
    if all(f"kafka.{name}" in right for name in KafkaSettings.model_fields):
        findings += read_login(settings)[1]
    if all(f"tracing.{name}" in right for name in TracingSettings.model_fields):
        findings += look_at_tracing(settings)
    return findings + (look_at_view(right["view.path"]) if "view.path" in right else [])


def look_at_view(path: Path) -> list[Finding]:
    """Whether the view can be made and written there; what is made to find out is gone again."""
    try:
        existing = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
        if not existing.is_dir():
            return [_wrong("view.path", f"found {path}: {existing} is no directory")]
        with TemporaryDirectory(dir=existing):
            return []
    except OSError as error:
        return [unwritable_view(path, error)]


def look_at_tracing(settings: Settings) -> list[Finding]:
    """Whether spans can be made, and the collector's certificate be judged; a collector that is away keeps nobody."""
    wanted = settings.tracing
    if wanted.endpoint is None:
        return []
    findings: list[Finding] = []
    try:
        import_module("gateway.observe.tracing")
    except ModuleNotFoundError as error:
        needed = f"install credit-gateway[tracing], or unset {PREFIX}TRACING__ENDPOINT"
        findings.append(_wrong("tracing.endpoint", f"{error.name} is not installed, which makes spans", needed))
    ca_file = wanted.ca_file
    if ca_file is not None:
        _read(settings, "tracing.ca_file", lambda: trusting(ca_file, ssl.SSLContext), findings)
    return [*findings, *_dates(settings, "tracing")]


def unwritable_view(path: Path, error: OSError) -> Finding:
    """What is wrong with a directory of the view that can't be made or written."""
    needed = f"give this user a directory there that it can write to, or change {PREFIX}VIEW__PATH"
    return _wrong("view.path", f"found {path}, which can't be made or written: {error.strerror}", needed)


def _about_somebody_else(settings: Settings, policy: Policy) -> Iterator[Finding]:
    if policy.recipient_id != settings.recipient.id:
        found = f"found {settings.recipient.id}, but the policy is about {policy.recipient_id}"
        yield _wrong("recipient.id", found, f"change {PREFIX}RECIPIENT__ID or {PREFIX}POLICY_FILE")


def _certificates(settings: Settings, section: str) -> dict[str, Path]:
    partner = getattr(settings, section)
    files = {f"{section}.{name}": getattr(partner, name, None) for name in ("ca_file", "client_cert_file")}
    return {setting: path for setting, path in files.items() if path is not None}


def _dates(settings: Settings, section: str) -> Iterator[Finding]:
    """What of a section has expired, or soon will have."""
    now, paths = datetime.now(UTC), _certificates(settings, section)
    for setting, ends in certificate_ends(settings, section).items():
        if ends <= now:
            yield _wrong(setting, f"{paths[setting]} has expired at {ends.isoformat()}", "put a new certificate there")
        elif ends <= now + WARN_BEFORE:
            soon = f"{paths[setting]} expires at {ends.isoformat()}"
            yield Finding(Severity.WARNING, setting, soon, "put a new certificate there before")


def _mixed_up(signing_key: SigningKey, answer_keys: Mapping[str, AnswerKey]) -> Iterator[Finding]:
    """Our own key among GeNiE's: no answer could ever be believed."""
    signature = signing_key.sign(_SAMPLE)
    ours = [key.id for key in answer_keys.values() if key.verify(_SAMPLE, signature)]
    if ours:
        found = f"the key of {', '.join(ours)} belongs to genie.signing_key_file: it is ours, not GeNiE's"
        yield _wrong("genie.answer_key_files", found)


def _has(settings: Settings, names: str) -> bool:
    """Whether these settings are right: of those that are not, something is said already."""
    try:
        attrgetter(*names.split(", "))(settings)
    except AttributeError:
        return False
    return True


def _read(settings: Settings, names: str, reading: Callable[[], T], findings: list[Finding]) -> T | None:
    if not _has(settings, names):
        return None
    try:
        return reading()
    except _REFUSALS as error:
        findings.append(_wrong(names, str(error)))
        return None


def _wrong(settings: str, found: str, needed: str = "") -> Finding:
    variables = " or ".join(f"{PREFIX}{name.replace('.', '__').upper()}" for name in settings.split(", "))
    return Finding(Severity.PROBLEM, settings, found, needed or f"correct it or change {variables}")
