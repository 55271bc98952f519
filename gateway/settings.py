"""All settings, with defaults, bounds and one sentence each: the only reader of the environment and of the TOML file.

`GATEWAY_KAFKA__BOOTSTRAP_SERVERS` in the environment is `bootstrap_servers` under `[kafka]` in the file that
GATEWAY_CONFIG names; the environment wins. Secrets are never settings: settings name the files that hold them.
Must not know how anything is done with them.
"""

from __future__ import annotations

import os
import re
import socket
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FilePath,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

PREFIX = "GATEWAY_"
CONFIG_VARIABLE = "GATEWAY_CONFIG"
REQUIRED = "required"

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Port = Annotated[int, Ge(0), Le(65_535)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)


def _at_most(value: int, info: ValidationInfo, other: str, share: float) -> int:
    """Refuse a value above this share of another setting of its section, if that one is right."""
    bound = info.data.get(other)
    if bound is not None and value > bound * share:
        about = {"most": f"{bound * share:g}", "other": other, "bound": bound}
        raise PydanticCustomError("too_much", "must be at most {most}, because {other} is {bound}", about)
    return value


class KafkaSettings(_Section):
    """Where Kafka is."""

    bootstrap_servers: Annotated[str, Field(pattern=r"^[^\s,]+:\d{1,5}(,[^\s,]+:\d{1,5})*$")]
    """Brokers to start from, host:port, comma-separated."""
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


class TopicSettings(_Section):
    """Names of topics."""

    prefix: str = ""
    """Put before every topic's name."""


class SchemaSettings(_Section):
    """Where writers' schemas are looked up."""

    registry_url: Annotated[str, Field(pattern=r"^https?://[^\s@]+$")] | None = None
    """URL of a Confluent-compatible registry, without a user; none: the files of this release."""


class GenieSettings(_Section):
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


class RecipientSettings(_Section):
    """Who receives: the record-keeping duty of APPI art. 29 names all three."""

    id: Text = "genie"
    """The recipient in consent records."""
    name: Text
    """Registered name, as in the ledger."""
    address: Text
    """Registered address, as in the ledger."""
    representative: Text
    """Name of the representative, as in the ledger."""


class ProviderSettings(_Section):
    """Who provides: GeNiE must record it (APPI art. 30)."""

    name: Text
    """Our registered name."""
    address: Text
    """Our registered address."""
    representative: Text
    """Name of our representative."""
    acquisition: Text = "Collected from the principal in the lease application and during the lease."
    """How we obtained the data."""


class KeySettings(_Section):
    """Secret keys for names that GeNiE sees; back them up like the ledger."""

    idempotency_key_file: FilePath
    """Base64 of 32 bytes or more; it never changes without a new version."""
    pseudonym_key_file: FilePath
    """Base64 of 32 bytes or more."""


class LaneSettings(_Section):
    """Bounds of one lane."""

    window: Annotated[int, Ge(100), Le(16_384)] = 16_384
    """How far settlement may run ahead of the watermark, offsets."""
    window_bytes: Annotated[int, Ge(1 << 20), Le(1 << 30)] = 32 << 20
    """Bytes of input records in memory."""
    cycle_max_ms: Annotated[int, Ge(10), Le(2_000)] = 100
    """Between two transactions of a busy lane."""
    cycle_min_ms: Annotated[int, Ge(0), Le(1_000)] = 10
    """Between two transactions of an idle lane."""
    drain_ms: Annotated[int, Ge(1_000), Le(300_000)] = 30_000
    """How long a closing lane waits for answers; less than kafka.rebalance_timeout_ms."""

    @field_validator("cycle_min_ms")
    @classmethod
    def _within_cycle_max(cls, cycle_min_ms: int, info: ValidationInfo) -> int:
        return _at_most(cycle_min_ms, info, "cycle_max_ms", 1)


class ViewSettings(_Section):
    """The local view of consents and holds."""

    path: Path = Path("/var/lib/credit-gateway/view")
    """Directory of the view; it is rebuilt from Kafka when lost."""
    max_idle_ms: Annotated[int, Ge(60_000)] = 12 * 3_600_000
    """Rebuild a view that was idle for longer: at most half of delete.retention.ms of consent.records."""


class ObserveSettings(_Section):
    """What the process shows."""

    host: Text = "0.0.0.0"  # noqa: S104 - Prometheus and the kubelet come from other hosts
    """Where metrics and health listen."""
    port: Port = 9464
    """Port of metrics and health; 0 takes a free one."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged."""


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    instance: Text = Field(default_factory=socket.gethostname)
    """Name of this process in the ledger and in metrics."""
    policy_file: FilePath | None = None
    """The privacy policy as data; none: the one of this release."""
    kafka: KafkaSettings
    topics: TopicSettings = TopicSettings()
    schemas: SchemaSettings = SchemaSettings()
    genie: GenieSettings
    recipient: RecipientSettings
    provider: ProviderSettings
    keys: KeySettings
    lane: LaneSettings = LaneSettings()
    view: ViewSettings = ViewSettings()
    observe: ObserveSettings = ObserveSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then the file; no others."""
        return tuple(_sources(settings_cls).values())


class _Environment(EnvSettingsSource):
    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Leave what is not JSON as it is: validation then names the setting, which the base class doesn't."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


def _sources(settings_class: type[BaseSettings]) -> dict[str, PydanticBaseSettingsSource]:
    sources: dict[str, PydanticBaseSettingsSource] = {"environment": _Environment(settings_class)}
    path = os.environ.get(CONFIG_VARIABLE)
    if path and not Path(path).is_file():
        raise SettingsError([Problem(CONFIG_VARIABLE, f"no file {path}", "name a TOML file or unset it")])
    if path:
        try:
            sources["file"] = TomlConfigSettingsSource(settings_class, Path(path))
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(
                [Problem(CONFIG_VARIABLE, f"{path} is not TOML: {error}", "correct the file")]
            ) from None
        except UnicodeDecodeError:
            raise SettingsError([Problem(CONFIG_VARIABLE, f"{path} is not UTF-8", "correct the file")]) from None
        except OSError as error:
            found = f"{path} can't be read: {error.strerror}"
            raise SettingsError([Problem(CONFIG_VARIABLE, found, "let the process read it")]) from None
    return sources


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong setting: its name, what was found, what is needed."""

    setting: str
    found: str
    needed: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.found}; {self.needed}"


class SettingsError(Exception):
    """Some settings are missing or wrong; `problems` has all of them."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(["settings are missing or wrong:", *(f"  {problem}" for problem in problems)]))


def load() -> Settings:
    """Read the environment and the file; raises SettingsError with every problem in one list."""
    problems = list(_misspelt())
    try:
        settings = Settings()  # type: ignore[call-arg]  # the required sections come from environment and file
    except ValidationError as error:
        wrong = [problem for details in error.errors(include_url=False) for problem in _problems(details)]
        if not any(name.upper().startswith(PREFIX) for name in os.environ):
            wrong.append(Problem(CONFIG_VARIABLE, "not set", "it may name a TOML file that holds all of these"))
        raise SettingsError(wrong + problems) from None
    problems.extend(_contradictions(settings))
    if problems:
        raise SettingsError(problems)
    return settings


def found() -> dict[str, tuple[str, str]]:
    """Setting -> (value as written, "environment" or "file") of what is set here, right or wrong."""
    there: dict[str, tuple[str, str]] = {}
    for name, source in reversed(_sources(Settings).items()):
        values = source()
        for setting, *_ in reference():
            section, _, inner = setting.partition(".")
            value: Any = values.get(section)
            if inner:
                value = value.get(inner) if isinstance(value, dict) else None
            if value is not None:
                there[setting] = (_shown(value), name)
    return there


def _shown(value: Any) -> str:
    """As text; a password that somebody put into a URL is not shown."""
    return re.sub(r"//[^/@\s]*@", "//***@", str(value))


def reference() -> Iterator[tuple[str, str, str, str]]:
    """(setting, variable, default, sentence) of every setting, in order."""
    for name, info in Settings.model_fields.items():
        section = _section(info)
        if section is not None:
            for inner, field in section.model_fields.items():
                variable = f"{PREFIX}{name}__{inner}".upper()
                yield f"{name}.{inner}", variable, _default(field), field.description or ""
        else:
            yield name, f"{PREFIX}{name}".upper(), _default(info), info.description or ""


def _section(info: FieldInfo) -> type[_Section] | None:
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, _Section) else None


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return REQUIRED
    if info.default_factory is not None:
        return "host name"
    words = {"None": "none", "True": "true", "False": "false", "": "empty"}
    return words.get(str(info.default), str(info.default))


def _problems(details: ErrorDetails) -> Iterator[Problem]:
    """One problem for each setting that an error is about; a missing section is all that it requires."""
    name = ".".join(str(part) for part in details["loc"])
    about = [row for row in reference() if f"{name}.".startswith(f"{row[0]}.")]
    if details["type"] == "missing":
        inside = [row for row in reference() if row[0].startswith(f"{name}.") and row[2] == REQUIRED]
        for setting, variable, _, sentence in about or inside:
            yield Problem(setting, "missing", f"set {variable} ({sentence.rstrip('.')})")
    elif details["type"] == "extra_forbidden":
        yield Problem(name, "no such setting", "see `gateway settings`")
    else:
        found = "" if isinstance(details["input"], dict | list) else f"found {_shown(details['input'])!r}: "
        _, variable, _, sentence = about[0] if about else ("", f"{PREFIX}{name}".upper(), "", "")
        needed = f"change {variable}" + (f" ({sentence.rstrip('.')})" if sentence else "")
        yield Problem(name, f"{found}{details['msg']}", needed)


def _misspelt() -> Iterator[Problem]:
    """Variables with our prefix that name no setting: the environment source passes them over in silence."""
    fields = Settings.model_fields
    sections = {name for name, info in fields.items() if _section(info) is not None}
    for name in sorted(os.environ):
        first, _, inner = name.upper().removeprefix(PREFIX).lower().partition("__")
        known = first in sections or (first in fields and not inner)
        if name.upper().startswith(PREFIX) and name != CONFIG_VARIABLE and not known:
            yield Problem(name, "no such setting", "see `gateway settings`")


def _contradictions(settings: Settings) -> Iterator[Problem]:
    """What only two sections together get wrong."""
    drain, rebalance = settings.lane.drain_ms, settings.kafka.rebalance_timeout_ms
    if drain >= rebalance:
        needed = f"make GATEWAY_LANE__DRAIN_MS less than GATEWAY_KAFKA__REBALANCE_TIMEOUT_MS ({rebalance})"
        yield Problem("lane.drain_ms", f"found {drain}: a rebalance would not wait for it", needed)
