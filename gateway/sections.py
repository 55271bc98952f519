"""What can be set, section by section, with defaults, bounds and one sentence each.

Knows what a right value looks like. Must not know where values come from, nor how anything is done with them; what
is wrong only beside another setting is in contradictions.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from annotated_types import Ge, Le
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, FilePath, StringConstraints
from pydantic_core import PydanticCustomError

PORT_MAX = 65_535
TEXT_MAX = 1_000  # each ledger record repeats some of them
KAFKA_NAME_MAX = 249  # what Kafka allows a topic or an instance to be called
PREFIX_MAX = 200  # leaves room for the names of topics


@dataclass(frozen=True, slots=True)
class Allowed:
    """In words, the values that a setting takes, where its type does not say so."""

    words: str


def _no_truth(value: Any) -> Any:
    """TOML's `true` is no number, although Python takes it for 1."""
    if isinstance(value, bool):
        raise PydanticCustomError("not_a_number", "is no number")
    return value


def _bootstrap(value: str) -> str:
    brokers = value.split(",")
    if any(_broker(broker) is None for broker in brokers) or len(set(brokers)) < len(brokers):
        raise PydanticCustomError("not_brokers", "is no list of brokers")
    return value


def _broker(text: str) -> tuple[str, int] | None:
    """Host and port."""
    matched = re.fullmatch(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})", text)
    return (matched[1], int(matched[2])) if matched and 0 < int(matched[2]) <= PORT_MAX else None


def _url(value: str) -> str:
    """A host, a port that exists, and neither user nor spaces nor what comes behind a path."""
    if re.search(r"[\s@?#\\]", value) or not _address(value):
        raise PydanticCustomError("not_a_url", "is no such URL")
    return value


def _address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is no number or too large, brackets that don't close
        return False


def _without_path(value: str) -> str:
    if urlsplit(value).path:
        raise PydanticCustomError("with_path", "has a path")
    return value


Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=TEXT_MAX),
    Allowed(f"text that is not empty, at most {TEXT_MAX} characters"),
]
Whole = Annotated[int, BeforeValidator(_no_truth)]
Share = Annotated[float, BeforeValidator(_no_truth), Field(allow_inf_nan=False), Allowed("a number from 0 to 1")]
Port = Annotated[Whole, Ge(0), Le(PORT_MAX)]
Url = Annotated[str, AfterValidator(_url)]
IN_A_FILE = Allowed("the path of a file that is there; the secret itself is in the file")
Secret = Annotated[FilePath, IN_A_FILE]
Brokers = Annotated[
    str, AfterValidator(_bootstrap), Allowed("host:port, or several with commas and no spaces, ports from 1 to 65535")
]
Name = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9._-]+$", max_length=KAFKA_NAME_MAX),
    Allowed("letters, digits, '.', '_' and '-', at most 249"),
]
Group = Annotated[
    str,
    StringConstraints(pattern=r"^[!-~]+$", max_length=KAFKA_NAME_MAX),
    Allowed("1 to 249 ASCII characters, no spaces"),
]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)


class KafkaSettings(Section):
    """Where Kafka is."""

    bootstrap_servers: Brokers
    """Brokers to start from, host:port, comma-separated."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_SSL"] = "PLAINTEXT"
    """SSL proves who we are by certificate, SASL_SSL by password; PLAINTEXT is for development alone."""
    ca_file: FilePath | None = None
    """Certificates of the authority that signs the brokers' certificates (PEM)."""
    client_cert_file: FilePath | None = None
    """Our client certificate (PEM)."""
    client_key_file: Secret | None = None
    """Its private key (PEM)."""
    client_key_password_file: Secret | None = None
    """The password of that key, if it is encrypted: one line."""
    sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    """How the password is proven; PLAIN shows it to the broker."""
    sasl_username: Text | None = None
    """Our user on Kafka."""
    sasl_password_file: Secret | None = None
    """Its password: one line."""
    group_id: Group = "credit-gateway"
    """Consumer group; also the first part of each lane's transactional.id."""
    group_instance_id: Name | None = None
    """Static membership: stable for one replica across restarts, so that a restart moves no lane."""
    client_id: Text = "credit-gateway"
    """What brokers' logs call this process."""
    session_timeout_ms: Annotated[Whole, Ge(6_000), Le(300_000)] = 30_000
    """How long the group waits for a silent process before its lanes move."""
    rebalance_timeout_ms: Annotated[Whole, Ge(5_000), Le(600_000)] = 60_000
    """How long a rebalance waits for lanes to drain."""
    allow_dev_topics: bool = False
    """Accept one broker without replication; never in production."""


class TopicSettings(Section):
    """Names of topics."""

    prefix: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z0-9._-]*$", max_length=PREFIX_MAX),
        Allowed("letters, digits, '.', '_' and '-', at most 200, or nothing"),
    ] = ""
    """Put before every topic's name."""


class SchemaSettings(Section):
    """Where writers' schemas are looked up."""

    registry_url: (
        Annotated[
            Url, StringConstraints(pattern=r"^https?://"), Allowed("http:// or https://, host, and perhaps a path")
        ]
        | None
    ) = None
    """URL of a Confluent-compatible registry, without a user; none: the files of this release."""
    registry_ca_file: FilePath | None = None
    """Certificates of the authority that signs the registry's certificate (PEM); none: the usual public ones."""
    registry_username: Text | None = None
    """Our user at the registry (basic authentication)."""
    registry_password_file: Secret | None = None
    """Its password: one line."""


class GenieSettings(Section):
    """How to reach GeNiE."""

    base_url: Annotated[
        Url,
        AfterValidator(_without_path),
        StringConstraints(pattern=r"^https://"),
        Allowed("https://host or https://host:port"),
    ]
    """https://host[:port], without a path."""
    ca_file: FilePath
    """Certificates of the authority that signs GeNiE's server certificate."""
    client_cert_file: FilePath
    """Our client certificate (PEM)."""
    client_key_file: Secret
    """Its private key (PEM)."""
    signing_key_file: Secret
    """Private key that signs requests: Ed25519 or P-256 (PEM)."""
    signing_key_id: Text
    """Its key id, as agreed with GeNiE."""
    answer_key_files: Annotated[
        dict[str, FilePath],
        Allowed('a key id and a file that is there, or several: {"genie-2026-1": "/path/genie.pub"}'),
    ] = Field(min_length=1)
    """Key id -> public key file (PEM) of each key that GeNiE may sign answers with."""
    expires_ms: Annotated[Whole, Ge(2_000), Le(300_000)] = 30_000
    """How long GeNiE may accept an attempt."""
    skew_ms: Annotated[Whole, Ge(500), Le(60_000)] = 5_000
    """How far GeNiE's clock may be from ours."""
    batch: Annotated[Whole, Ge(1), Le(500)] = 100
    """Entries in one request, at most."""
    connections: Annotated[Whole, Ge(1), Le(1_024)] = 64
    """Requests under way at once, at most."""


class RecipientSettings(Section):
    """Who receives: the record-keeping duty of APPI art. 29 names all three."""

    id: Text = "genie"
    """The recipient in consent records."""
    name: Text
    """Registered name, as in the ledger."""
    address: Text
    """Registered address, as in the ledger."""
    representative: Text
    """Name of the representative, as in the ledger."""


class ProviderSettings(Section):
    """Who provides: GeNiE must record it (APPI art. 30)."""

    name: Text
    """Our registered name."""
    address: Text
    """Our registered address."""
    representative: Text
    """Name of our representative."""
    acquisition: Text = "Collected from the principal in the lease application and during the lease."
    """How we obtained the data."""


class KeySettings(Section):
    """Secret keys for names that GeNiE sees; back them up like the ledger."""

    idempotency_key_file: Secret
    """Base64 of 32 bytes or more; it never changes without a new version."""
    pseudonym_key_file: Secret
    """Base64 of 32 bytes or more."""


class LaneSettings(Section):
    """Bounds of one lane."""

    window: Annotated[Whole, Ge(100), Le(16_384)] = 16_384
    """How far settlement may run ahead of the watermark, offsets."""
    window_bytes: Annotated[Whole, Ge(1 << 20), Le(1 << 30)] = 32 << 20
    """Bytes of input records in memory, at most; less if the lanes' shares of memory_bytes are smaller."""
    cycle_max_ms: Annotated[Whole, Ge(10), Le(2_000)] = 300
    """Between two transactions of a busy lane."""
    cycle_min_ms: Annotated[Whole, Ge(0), Le(1_000)] = 10
    """Between two transactions of an idle lane."""
    drain_ms: Annotated[Whole, Ge(1_000), Le(300_000)] = 30_000
    """How long a closing lane waits for answers; at most half of kafka.rebalance_timeout_ms."""


class ViewSettings(Section):
    """The local view of consents and holds."""

    path: Path = Path("/var/lib/credit-gateway/view")
    """Directory of the view; it is rebuilt from Kafka when lost."""
    max_idle_ms: Annotated[Whole, Ge(60_000), Le(12 * 3_600_000)] = 12 * 3_600_000
    """Rebuild a view that was idle for longer: at most half of the least delete.retention.ms of consent.records."""


class TracingSettings(Section):
    """Spans for OpenTelemetry; off unless an endpoint is set."""

    endpoint: (
        Annotated[Url, StringConstraints(pattern=r"^https?://"), Allowed("http:// or https://, host, and the path")]
        | None
    ) = None
    """Where spans go: an OTLP/HTTP collector, with the path (http://HOST:4318/v1/traces); none: nothing is traced."""
    ca_file: FilePath | None = None
    """Certificates of the authority that signs the collector's certificate (PEM); none: those that Python brings."""
    ratio: Annotated[Share, Ge(0), Le(1)] = 0.01
    """Share of the records that are traced; with trust_producers, of those that bring no traceparent."""
    trust_producers: bool = False
    """Go on with producers' traces, in the ledger and at GeNiE too: only if every trace id is surely made at random."""


class ObserveSettings(Section):
    """What the process shows."""

    host: Text = "0.0.0.0"  # noqa: S104 - Prometheus and the kubelet come from other hosts
    """Where metrics and health listen."""
    port: Port = 9464
    """Port of metrics and health; 0 takes a free one."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged."""
