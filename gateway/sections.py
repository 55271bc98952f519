"""What can be set, section by section, with defaults, bounds and one sentence each.

Knows what a right value looks like. Must not know where values come from, nor how anything is done with them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, Field, FilePath, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Port = Annotated[int, Ge(0), Le(65_535)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)


def _at_most(value: int, info: ValidationInfo, other: str, share: float) -> int:
    """Refuse a value above this share of another setting of its section, if that one is right."""
    bound = info.data.get(other)
    if bound is not None and value > bound * share:
        about = {"most": f"{bound * share:g}", "other": other, "bound": bound}
        raise PydanticCustomError("too_much", "must be at most {most}, because {other} is {bound}", about)
    return value


class KafkaSettings(Section):
    """Where Kafka is."""

    bootstrap_servers: Annotated[str, Field(pattern=r"^[^\s,]+:\d{1,5}(,[^\s,]+:\d{1,5})*$")]
    """Brokers to start from, host:port, comma-separated."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_SSL"] = "PLAINTEXT"
    """SSL proves who we are by certificate, SASL_SSL by password; PLAINTEXT is for development alone."""
    ca_file: FilePath | None = None
    """Certificates of the authority that signs the brokers' certificates (PEM)."""
    client_cert_file: FilePath | None = None
    """Our client certificate (PEM)."""
    client_key_file: FilePath | None = None
    """Its private key (PEM)."""
    client_key_password_file: FilePath | None = None
    """The password of that key, if it is encrypted: one line."""
    sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    """How the password is proven; PLAIN shows it to the broker."""
    sasl_username: Text | None = None
    """Our user on Kafka."""
    sasl_password_file: FilePath | None = None
    """Its password: one line."""
    group_id: Text = "credit-gateway"
    """Consumer group; also the first part of each lane's transactional.id."""
    group_instance_id: Text | None = None
    """Static membership: stable for one replica across restarts, so that a restart moves no lane."""
    client_id: Text = "credit-gateway"
    """What brokers' logs call this process."""
    session_timeout_ms: Annotated[int, Ge(6_000), Le(300_000)] = 30_000
    """How long the group waits for a silent process before its lanes move."""
    rebalance_timeout_ms: Annotated[int, Ge(5_000), Le(600_000)] = 60_000
    """How long a rebalance waits for lanes to drain."""
    allow_dev_topics: bool = False
    """Accept one broker without replication; never in production."""


class TopicSettings(Section):
    """Names of topics."""

    prefix: str = ""
    """Put before every topic's name."""


class SchemaSettings(Section):
    """Where writers' schemas are looked up."""

    registry_url: Annotated[str, Field(pattern=r"^https?://[^\s@]+$")] | None = None
    """URL of a Confluent-compatible registry, without a user; none: the files of this release."""


class GenieSettings(Section):
    """How to reach GeNiE."""

    base_url: Annotated[str, Field(pattern=r"^https://[^/\s@]+$")]
    """https://host[:port], without a path."""
    ca_file: FilePath
    """Certificates of the authority that signs GeNiE's server certificate."""
    client_cert_file: FilePath
    """Our client certificate (PEM)."""
    client_key_file: FilePath
    """Its private key (PEM)."""
    signing_key_file: FilePath
    """Private key that signs requests: Ed25519 or P-256 (PEM)."""
    signing_key_id: Text
    """Its key id, as agreed with GeNiE."""
    answer_key_files: dict[str, FilePath] = Field(min_length=1)
    """Key id -> public key file (PEM) of each key that GeNiE may sign answers with."""
    expires_ms: Annotated[int, Ge(2_000), Le(300_000)] = 30_000
    """How long GeNiE may accept an attempt."""
    skew_ms: Annotated[int, Ge(500), Le(60_000)] = 5_000
    """How far GeNiE's clock may be from ours."""
    batch: Annotated[int, Ge(1), Le(500)] = 100
    """Entries in one request, at most."""
    connections: Annotated[int, Ge(1), Le(1_024)] = 64
    """Requests under way at once, at most."""

    @field_validator("skew_ms")
    @classmethod
    def _within_expires(cls, skew_ms: int, info: ValidationInfo) -> int:
        return _at_most(skew_ms, info, "expires_ms", 0.5)


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

    idempotency_key_file: FilePath
    """Base64 of 32 bytes or more; it never changes without a new version."""
    pseudonym_key_file: FilePath
    """Base64 of 32 bytes or more."""


class LaneSettings(Section):
    """Bounds of one lane."""

    window: Annotated[int, Ge(100), Le(16_384)] = 16_384
    """How far settlement may run ahead of the watermark, offsets."""
    window_bytes: Annotated[int, Ge(1 << 20), Le(1 << 30)] = 32 << 20
    """Bytes of input records in memory."""
    cycle_max_ms: Annotated[int, Ge(10), Le(2_000)] = 300
    """Between two transactions of a busy lane."""
    cycle_min_ms: Annotated[int, Ge(0), Le(1_000)] = 10
    """Between two transactions of an idle lane."""
    drain_ms: Annotated[int, Ge(1_000), Le(300_000)] = 30_000
    """How long a closing lane waits for answers; less than kafka.rebalance_timeout_ms."""

    @field_validator("cycle_min_ms")
    @classmethod
    def _within_cycle_max(cls, cycle_min_ms: int, info: ValidationInfo) -> int:
        return _at_most(cycle_min_ms, info, "cycle_max_ms", 1)


class ViewSettings(Section):
    """The local view of consents and holds."""

    path: Path = Path("/var/lib/credit-gateway/view")
    """Directory of the view; it is rebuilt from Kafka when lost."""
    max_idle_ms: Annotated[int, Ge(60_000)] = 12 * 3_600_000
    """Rebuild a view that was idle for longer: at most half of delete.retention.ms of consent.records."""


class ObserveSettings(Section):
    """What the process shows."""

    host: Text = "0.0.0.0"  # noqa: S104 - Prometheus and the kubelet come from other hosts
    """Where metrics and health listen."""
    port: Port = 9464
    """Port of metrics and health; 0 takes a free one."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged."""
