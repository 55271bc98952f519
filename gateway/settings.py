"""All settings, read and judged: the only reader of the environment and of the TOML file.

What is wrong comes in one list: wrong by itself (sections.py), by its name (mistakes.py), or beside others
(contradictions.py).

`GATEWAY_KAFKA__BOOTSTRAP_SERVERS` in the environment is `bootstrap_servers` under `[kafka]` in the file that
GATEWAY_CONFIG names; the environment wins. Secrets are never settings: settings name the files that hold them.
Must not know how anything is done with them.
"""

from __future__ import annotations

import os
import socket
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar

from annotated_types import Ge, Le
from pydantic import BaseModel, Field, FilePath, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from gateway import memory
from gateway.contradictions import contradictions
from gateway.mistakes import PREFIX, Problem, problems, shown, unknown, variable
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
    TracingSettings,
    ViewSettings,
    Whole,
)

__all__ = [
    "PREFIX",
    "Problem",
    "Settings",
    "SettingsError",
    "found",
    "load",
    "load_kafka",
    "load_schemas",
    "partly",
    "reference",
    "state_directory",
    "values",
]

CONFIG_VARIABLE = "GATEWAY_CONFIG"
OF_COMMANDS = frozenset({f"{PREFIX}OPERATOR", f"{PREFIX}DESK__INDEX_URL"})  # of a person's, and no settings of ours
REQUIRED = "required"
OWN_DIRECTORY = "credit-gateway"


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


class _SchemasAlone(_Read):
    """What a command needs that talks to the schema registry."""

    model_config = SettingsConfigDict(extra="ignore")

    schemas: SchemaSettings = SchemaSettings()


class Settings(_Read):
    """Everything that can be set."""

    model_config = SettingsConfigDict(extra="forbid")

    instance: Text = Field(default_factory=socket.gethostname)
    """Name of this process in the ledger and in metrics."""
    policy_file: FilePath | None = None
    """The privacy policy as data; none: the one of this release."""
    memory_bytes: Annotated[Whole, Ge(memory.least_bytes(1)), Le(1 << 40)] = 1 << 30
    """What the process may take at most: the limit that its container is given; lanes share what is left of it."""
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
    tracing: TracingSettings = TracingSettings()


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


class SettingsError(Exception):
    """Some settings are missing or wrong; `problems` has all of them, `right` the values of the others by name."""

    def __init__(self, problems: list[Problem], right: Mapping[str, Any] | None = None) -> None:
        self.problems = problems
        self.right = right or {}
        super().__init__("\n".join(["settings are missing or wrong:", *(f"  {problem}" for problem in problems)]))


_ReadT = TypeVar("_ReadT", bound=_Read)
_ModelT = TypeVar("_ModelT", bound=BaseModel)


def load() -> Settings:
    """Read the environment and the file; raises SettingsError with every problem in one list."""
    return _loaded(Settings)


def load_kafka(**given: str) -> KafkaSettings:
    """Read [kafka] alone, as load() does; what a command was `given` goes before both. Raises SettingsError."""
    return _loaded(_KafkaAlone, kafka=given).kafka


def load_schemas(**given: str) -> SchemaSettings:
    """Read [schemas] alone, as load_kafka() does for [kafka]."""
    return _loaded(_SchemasAlone, schemas=given).schemas


def values(settings: BaseSettings) -> dict[str, Any]:
    """Setting -> value, of all that are there."""
    flat: dict[str, Any] = {}
    for name, value in vars(settings).items():
        flat |= (
            {f"{name}.{inner}": each for inner, each in vars(value).items()}
            if isinstance(value, Section)
            else {name: value}
        )
    return flat


def partly(right: Mapping[str, Any]) -> Settings:
    """Settings of which only these are there: enough to look at the files that they name."""
    parts: dict[str, Any] = {}
    for name, info in Settings.model_fields.items():
        section = _section(info)
        if section is not None:
            inside = {inner: right[f"{name}.{inner}"] for inner in section.model_fields if f"{name}.{inner}" in right}
            parts[name] = _bare(section, inside)
        elif name in right:
            parts[name] = right[name]
    return _bare(Settings, parts)


def _loaded(kind: type[_ReadT], **given: Any) -> _ReadT:
    """Read and judge all of it: each by itself, the names, and what fits together."""
    fields = _fields(kind)
    raw = _raw(kind, given)
    settings = None
    try:
        settings = kind(**given)
        wrong, right = [], values(settings)
    except ValidationError as error:
        right = _right(fields, raw)
        wrong = [each for details in error.errors(include_url=False) for each in problems(details, fields)]
        if not any(name.upper().startswith(PREFIX) for name in os.environ):
            wrong.append(Problem(CONFIG_VARIABLE, "not set", "it may name a TOML file that holds all of these"))
    wrong += [*_misspelt(), *contradictions(right, raw.keys())]
    if settings is None or wrong:
        raise SettingsError(wrong, right)
    return settings


def found() -> dict[str, tuple[str, str]]:
    """Setting -> (value as written, "environment" or "file") of what is set here, right or wrong."""
    fields = _fields(Settings)
    there: dict[str, tuple[str, str]] = {}
    for name, source in reversed(_sources(Settings).items()):
        there |= {setting: (shown(value, fields[setting]), name) for setting, value in _named(source(), fields)}
    return there


def state_directory() -> Path:
    """Where commands keep files of this user that are to last, by the XDG base directory specification: not made by
    asking."""
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".local" / "state") / OWN_DIRECTORY


def reference() -> Iterator[tuple[str, str, str, str]]:
    """(setting, variable, default, sentence) of every setting, in order."""
    for setting, field in _fields(Settings).items():
        yield setting, variable(setting), _default(field), field.description or ""


def _fields(kind: type[BaseSettings]) -> dict[str, FieldInfo]:
    """Every setting by its name, in order."""
    fields: dict[str, FieldInfo] = {}
    for name, info in kind.model_fields.items():
        section = _section(info)
        if section is not None:
            fields |= {f"{name}.{inner}": field for inner, field in section.model_fields.items()}
        else:
            fields[name] = info
    return fields


def _section(info: FieldInfo) -> type[Section] | None:
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _bare(kind: type[_ModelT], there: Mapping[str, Any]) -> _ModelT:
    """With these attributes and no others: a default in the place of a wrong value would be judged as if set."""
    made = kind.__new__(kind)
    for name, value in there.items():
        object.__setattr__(made, name, value)
    return made


def _raw(kind: type[BaseSettings], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is set, as written."""
    fields = _fields(kind)
    raw: dict[str, Any] = {}
    for source in (*(source() for source in reversed(_sources(kind).values())), given):
        raw.update(_named(source, fields))
    return raw


def _named(source: Mapping[str, Any], fields: Iterable[str]) -> Iterator[tuple[str, Any]]:
    for setting in fields:
        section, _, inner = setting.partition(".")
        value = source.get(section)
        if inner:
            value = value.get(inner) if isinstance(value, dict) else None
        if value is not None:
            yield setting, value


def _right(fields: Mapping[str, FieldInfo], raw: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the settings that are right by themselves, although others are not."""
    right: dict[str, Any] = {}
    for setting, field in fields.items():
        if setting not in raw and not field.is_required():
            right[setting] = field.get_default(call_default_factory=True, validated_data={})
        elif setting in raw:
            with suppress(ValidationError):
                kind: Any = Annotated[field.annotation, field]
                right[setting] = TypeAdapter(kind).validate_python(raw[setting])
    return right


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return REQUIRED
    if info.default_factory is not None:
        return "host name"
    words = {"None": "none", "True": "true", "False": "false", "": "empty"}
    return words.get(str(info.default), str(info.default))


def _misspelt() -> Iterator[Problem]:
    """Variables with our prefix that name no setting: the environment source passes them over in silence."""
    fields = _fields(Settings)
    sections = {setting.partition(".")[0] for setting in fields if "." in setting}
    for name in sorted(os.environ):
        if not name.upper().startswith(PREFIX) or name == CONFIG_VARIABLE or name in OF_COMMANDS:
            continue
        setting = name.upper().removeprefix(PREFIX).lower().replace("__", ".")
        if setting not in fields and setting.partition(".")[0] not in sections:
            yield unknown(name, setting, fields)
