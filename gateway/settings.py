"""All settings, read and judged: the only reader of the environment and of the TOML file.

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
from typing import Any, TypeVar

from pydantic import Field, FilePath, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from gateway.sections import (
    GenieSettings,
    KafkaSettings,
    KeySettings,
    LaneSettings,
    ObserveSettings,
    ProviderSettings,
    RecipientSettings,
    SchemaSettings,
    Section,
    Text,
    TopicSettings,
    ViewSettings,
)

PREFIX = "GATEWAY_"
CONFIG_VARIABLE = "GATEWAY_CONFIG"
REQUIRED = "required"


class _Read(BaseSettings):
    """What is read from here."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, use_attribute_docstrings=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What a command was given first, then the environment, then the file; no others."""
        return (init_settings, *_sources(settings_cls).values())


class _KafkaAlone(_Read):
    """What a command needs that talks to Kafka alone."""

    model_config = SettingsConfigDict(extra="ignore")

    kafka: KafkaSettings


class Settings(_Read):
    """Everything that can be set."""

    model_config = SettingsConfigDict(extra="forbid")

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


_ReadT = TypeVar("_ReadT", bound=_Read)


def load() -> Settings:
    """Read the environment and the file; raises SettingsError with every problem in one list."""
    settings = _loaded(Settings)
    problems = [*_misspelt(), *_login(settings.kafka), *_contradictions(settings)]
    if problems:
        raise SettingsError(problems)
    return settings


def load_kafka(**given: str) -> KafkaSettings:
    """Read [kafka] alone, as load() does; what a command was `given` goes before both. Raises SettingsError."""
    kafka = _loaded(_KafkaAlone, kafka=given).kafka
    problems = [*_misspelt(), *_login(kafka)]
    if problems:
        raise SettingsError(problems)
    return kafka


def _loaded(kind: type[_ReadT], **given: Any) -> _ReadT:
    try:
        return kind(**given)
    except ValidationError as error:
        wrong = [problem for details in error.errors(include_url=False) for problem in _problems(details)]
        if not any(name.upper().startswith(PREFIX) for name in os.environ):
            wrong.append(Problem(CONFIG_VARIABLE, "not set", "it may name a TOML file that holds all of these"))
        raise SettingsError(wrong + list(_misspelt())) from None


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


def _section(info: FieldInfo) -> type[Section] | None:
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


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


def _login(kafka: KafkaSettings) -> Iterator[Problem]:
    """What a protocol lacks, and what is set although the protocol leaves it unused: one of the two is a mistake."""
    protocol = kafka.security_protocol
    needed, unused = _LOGINS[protocol]
    words = {setting: (variable, sentence) for setting, variable, _, sentence in reference()}
    for name in needed:
        if getattr(kafka, name) is None:
            variable, sentence = words[f"kafka.{name}"]
            why = f"missing, but kafka.security_protocol is {protocol}"
            yield Problem(f"kafka.{name}", why, f"set {variable} ({sentence.rstrip('.')})")
    for name in unused:
        if name in kafka.model_fields_set and getattr(kafka, name) is not None:
            variable, _ = words[f"kafka.{name}"]
            why = f"found {getattr(kafka, name)}, but kafka.security_protocol {protocol} leaves it unused"
            yield Problem(f"kafka.{name}", why, f"unset {variable} or change {PREFIX}KAFKA__SECURITY_PROTOCOL")
    for name, other in (("client_cert_file", "client_key_file"), ("client_key_file", "client_cert_file")):
        if name not in needed and getattr(kafka, name) is None and getattr(kafka, other) is not None:
            yield Problem(f"kafka.{name}", f"missing, but kafka.{other} is set", f"set {words[f'kafka.{name}'][0]}")


_CERTIFICATE = ("client_cert_file", "client_key_file")
_PASSWORD = ("sasl_username", "sasl_password_file")
# What each protocol needs, and what it leaves unused. SASL_PLAINTEXT is none of them: it would show every record, and
# enough of the password to guess it, to whoever sees the network.
_LOGINS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "PLAINTEXT": ((), ("ca_file", *_CERTIFICATE, "client_key_password_file", "sasl_mechanism", *_PASSWORD)),
    "SSL": (("ca_file", *_CERTIFICATE), ("sasl_mechanism", *_PASSWORD)),
    "SASL_SSL": (("ca_file", *_PASSWORD), ()),
}
