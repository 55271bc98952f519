"""The privacy policy as data: what may go to GeNiE, for what, under which versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway.core.events import EventType


class Clause(StrEnum):
    """Whether a policy version contains the clause on provision to GeNiE; only `yes` permits anything."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Kind(StrEnum):
    """How a field's value is written in a body."""

    TEXT = "text"
    INTEGER = "integer"
    DATE = "date"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version of the policy: in force from `start`, until the next one's start (`end`, not included)."""

    start: int  # JST day
    end: int | None
    clause: Clause


class PolicyError(ValueError):
    """The policy data breaks a rule; its text says where and what is needed."""


@dataclass(frozen=True, slots=True)
class Policy:
    """All that the gateway takes from the policy."""

    recipient_id: str
    mapping_version: int  # version of the rules that turn an event into a body
    items: frozenset[str]
    purposes: Mapping[str, int]  # code -> number in the clause
    texts: Mapping[str, str]  # code of an item or purpose -> the clause's own words
    opt_out_allowed: frozenset[str]
    versions: tuple[PolicyVersion, ...]  # oldest first
    fields: Mapping[EventType, Mapping[str, Mapping[str, Kind]]]  # item or envelope -> path -> kind
    event_items: Mapping[EventType, frozenset[str]]
    score_inputs: Mapping[tuple[str, str], Mapping[str, str]]  # (model id, version) -> input id -> its source


def from_mapping(data: Mapping[str, Any]) -> Policy:
    raise NotImplementedError
