"""What the files hold that the settings name: read together, judged together, each fault with its setting.

Knows which setting a file comes from, whether certificates belong to their keys, and their dates. Must not know what
the keys are used for, nor any network. No finding quotes a file.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from gateway import policies
from gateway.core.policy import Policy, PolicyError
from gateway.findings import Finding, Severity
from gateway.genie.keys import AnswerKey, KeyFileError, SigningKey, load_answer_keys, load_signing_key
from gateway.kafka.connection import KafkaConnection
from gateway.kafka_login import kafka_connection
from gateway.secret_keys import SecretKeyError, read_secret
from gateway.settings import PREFIX, Settings, SettingsError
from gateway.tls import TlsFileError, authorities_end, chain_ends, tls_context

WARN_BEFORE = timedelta(days=30)  # a certificate that expires within these is a warning
_REFUSALS = (PolicyError, KeyFileError, SecretKeyError, TlsFileError)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Files:
    """All that was read."""

    policy: Policy
    tls: ssl.SSLContext
    signing_key: SigningKey
    answer_keys: Mapping[str, AnswerKey]
    idempotency_key: bytes
    pseudonym_key: bytes


def read_files(settings: Settings) -> tuple[Files | None, list[Finding]]:
    """The files of everything but Kafka, if all can be used, and what is wrong with those that can't."""
    genie, keys = settings.genie, settings.keys
    findings: list[Finding] = []

    def read(names: str, reading: Callable[[], T]) -> T | None:
        try:
            return reading()
        except _REFUSALS as error:
            findings.append(_wrong(names, str(error)))
            return None

    policy = read("policy_file", lambda: policies.load(settings.policy_file))
    tls = read(
        "genie.ca_file, genie.client_cert_file, genie.client_key_file",
        lambda: tls_context(genie.ca_file, genie.client_cert_file, genie.client_key_file),
    )
    signing_key = read(
        "genie.signing_key_file, genie.signing_key_id",
        lambda: load_signing_key(genie.signing_key_file, genie.signing_key_id),
    )
    answer_keys = read("genie.answer_key_files", lambda: load_answer_keys(genie.answer_key_files))
    idempotency_key = read("keys.idempotency_key_file", lambda: read_secret(keys.idempotency_key_file))
    pseudonym_key = read("keys.pseudonym_key_file", lambda: read_secret(keys.pseudonym_key_file))
    if policy is not None:
        findings += _about_somebody_else(settings, policy)
    if pseudonym_key is not None and pseudonym_key == idempotency_key:
        findings.append(_wrong("keys.pseudonym_key_file", "the same key as in keys.idempotency_key_file"))
    findings += _dates({"genie.ca_file": genie.ca_file, "genie.client_cert_file": genie.client_cert_file})
    if not (policy and tls and signing_key and answer_keys and idempotency_key and pseudonym_key):
        return None, findings
    return Files(policy, tls, signing_key, answer_keys, idempotency_key, pseudonym_key), findings


def read_login(settings: Settings) -> tuple[KafkaConnection | None, list[Finding]]:
    """How to log in to Kafka, if its files can be used, and what is wrong with them."""
    kafka = settings.kafka
    findings = []
    if kafka.security_protocol == "PLAINTEXT" and not kafka.allow_dev_topics:
        found = "found PLAINTEXT: customers' names, addresses and phone numbers would cross the network readable"
        findings.append(_wrong("kafka.security_protocol", found, "set SSL or SASL_SSL"))
    findings += _dates({"kafka.ca_file": kafka.ca_file, "kafka.client_cert_file": kafka.client_cert_file})
    try:
        return kafka_connection(kafka), findings
    except SettingsError as error:
        return None, [*findings, *Finding.of(error.problems)]


def look_at_view(path: Path) -> list[Finding]:
    """Whether the view can be written there, without writing."""
    existing = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if not existing.is_dir():
        return [_wrong("view.path", f"found {path}: {existing} is no directory")]
    if not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
        return [_wrong("view.path", f"found {path}: {existing} can't be written to by this user")]
    return []


def _about_somebody_else(settings: Settings, policy: Policy) -> Iterator[Finding]:
    if policy.recipient_id != settings.recipient.id:
        found = f"found {settings.recipient.id}, but the policy is about {policy.recipient_id}"
        yield _wrong("recipient.id", found, f"change {PREFIX}RECIPIENT__ID or {PREFIX}POLICY_FILE")


def _dates(certificates: Mapping[str, Path | None]) -> Iterator[Finding]:
    """What has expired, or soon will have; a file that can't be read is found elsewhere."""
    now = datetime.now(UTC)
    for setting, path in certificates.items():
        if path is None:
            continue
        try:
            ends = authorities_end(path) if setting.endswith("ca_file") else chain_ends(path)
        except TlsFileError:
            continue
        if ends <= now:
            yield _wrong(setting, f"{path} has expired at {ends.isoformat()}", "put a new certificate there")
        elif ends <= now + WARN_BEFORE:
            soon = f"{path} expires at {ends.isoformat()}"
            yield Finding(Severity.WARNING, setting, soon, "put a new certificate there before")


def _wrong(settings: str, found: str, needed: str = "") -> Finding:
    variables = " or ".join(f"{PREFIX}{name.replace('.', '__').upper()}" for name in settings.split(", "))
    return Finding(Severity.PROBLEM, settings, found, needed or f"correct it or change {variables}")
