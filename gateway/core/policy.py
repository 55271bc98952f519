"""The privacy policy as data: what may go to GeNiE, for what, and under which versions.

Knows the form of the data and refuses what breaks its rules. Must not know where the data comes from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypeVar

from gateway.core.canonical import EPOCH_ORDINAL
from gateway.core.events import LAST_DAY, EventType, Item, Record

PROVIDABLE = frozenset(Item) - {Item.ENVELOPE, Item.INTERNAL}
INPUTS = "inputs[]"  # the part of a score's record that lists its inputs

# Where a registered score input may come from. `location` and `bureau` are missing on purpose: such data are
# never provided.
INPUT_SOURCES = frozenset({"payment_record", "contract", "application", "usage", "other"})


class Clause(StrEnum):
    """Whether a policy version contains the clause on provision to GeNiE."""

    YES = "yes"  # proven: the only one that permits anything
    NO = "no"
    UNKNOWN = "unknown"  # not proven: denies until counsel says otherwise


class Kind(StrEnum):
    """How a field's value is written in a body."""

    TEXT = "text"
    INTEGER = "integer"
    DATE = "date"  # days since epoch -> YYYY-MM-DD
    TIME = "time"  # ms since epoch -> RFC 3339


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version of the policy: in force from `start` until the next one's start."""

    start: int  # JST day
    end: int  # JST day, not included
    clause: Clause


class PolicyError(ValueError):
    """The policy data breaks a rule. Its text says where, what is needed and what was found."""

    def __init__(self, where: str, needed: str, found: object) -> None:
        self.where = where
        self.needed = needed
        self.found = found
        super().__init__(f"policy: {where}: needs {needed}, found {found!r}")


NUMBER_MAX = (1 << 31) - 1  # our records hold such a number as an Avro int
CODES_BYTES_MAX = 1_000  # of all purposes: each entry of an intent repeats them, and Kafka takes no record of any size

_M = TypeVar("_M", bound=StrEnum)

Fields = Mapping[str, Kind]  # path of a leaf -> how its value is written


@dataclass(frozen=True, slots=True)
class Policy:
    """All that the gateway takes from the policy."""

    recipient_id: str
    mapping_version: int  # of the rules that turn an event into a body
    items: frozenset[str]
    purposes: Mapping[str, int]  # code -> number in the clause
    purpose_codes: tuple[str, ...]  # sorted
    texts: Mapping[str, str]  # code of an item or a purpose -> the clause's own words
    opt_out_allowed: frozenset[str]
    versions: Mapping[int, PolicyVersion]  # first JST day -> version, oldest first
    fields: Mapping[EventType, Mapping[str, Fields]]  # item or envelope -> its fields
    event_items: Mapping[EventType, frozenset[str]]
    score_inputs: Mapping[tuple[str, str], Mapping[str, str]]  # model id and version -> input id -> its source

    def registered_inputs(self, record: Record) -> list[Record]:
        """The inputs of a score that are registered for its model version and come from the registered source."""
        sources = self.score_inputs.get((record["model_id"], record["model_version"]))
        if sources is None:
            return []
        return [each for each in record["inputs"] if sources.get(each["input_id"]) == each["source"]]


def from_mapping(data: Mapping[str, Any]) -> Policy:
    """Read the policy; see policies/genie.yaml for its form. Raises PolicyError."""
    _keys(data, "the file", {"policy", *_READ})
    purposes = [_purpose(each, f"purposes[{i}]") for i, each in enumerate(_list(data["purposes"], "purposes"))]
    numbers = {code: number for code, number, _ in purposes}
    if sorted(numbers.values()) != list(range(1, len(purposes) + 1)):
        raise PolicyError("purposes", "each code once, numbered from 1 without gaps", numbers)
    if sum(len(code.encode()) for code in numbers) > CODES_BYTES_MAX:
        raise PolicyError("purposes", f"codes of at most {CODES_BYTES_MAX} bytes together", numbers)
    items = {_text(k, "items"): _text(v, f"items.{k}") for k, v in _table(data["items"], "items").items()}
    if items.keys() != PROVIDABLE:
        raise PolicyError("items", f"exactly {_names(PROVIDABLE)}", _names(items))
    opt_outs = frozenset(_list(data["opt_out_allowed"], "opt_out_allowed"))
    if not opt_outs <= numbers.keys():
        raise PolicyError("opt_out_allowed", "codes of purposes", _names(opt_outs))
    fields = _events(data["events"])
    return Policy(
        recipient_id=_text(data["recipient_id"], "recipient_id"),
        mapping_version=_positive(data["mapping_version"], "mapping_version"),
        items=frozenset(items),
        purposes=numbers,
        purpose_codes=tuple(sorted(numbers)),
        texts=items | {code: text for code, _, text in purposes},
        opt_out_allowed=opt_outs,
        versions=_versions(data["versions"]),
        fields=fields,
        event_items={kind: frozenset(tables) - {Item.ENVELOPE} for kind, tables in fields.items()},
        score_inputs=_score_inputs(data["score_inputs"]),
    )


_READ = {
    "recipient_id",
    "mapping_version",
    "items",
    "purposes",
    "opt_out_allowed",
    "versions",
    "events",
    "score_inputs",
}


def _purpose(data: Any, where: str) -> tuple[str, int, str]:
    _keys(data, where, {"number", "code", "text"})
    code = _text(data["code"], f"{where}.code")
    return code, _positive(data["number"], f"{where}.number"), _text(data["text"], f"{where}.text")


def _versions(data: Any) -> dict[int, PolicyVersion]:
    starts, clauses = [], []
    for i, each in enumerate(_list(data, "versions")):
        where = f"versions[{i}]"
        _keys(each, where, {"from", "clause"})
        starts.append(_day(each["from"], f"{where}.from"))
        clauses.append(_member(Clause, each["clause"], f"{where}.clause"))
        if i and starts[i] <= starts[i - 1]:
            raise PolicyError(f"{where}.from", "a later day than the version before it", str(each["from"]))
    ends = [*starts[1:], LAST_DAY + 1]
    return {parts[0]: PolicyVersion(*parts) for parts in zip(starts, ends, clauses, strict=True)}


def _events(data: Any) -> dict[EventType, dict[str, dict[str, Kind]]]:
    events = {}
    _keys(data, "events", {kind.code for kind in EventType})
    for kind in EventType:
        where = f"events.{kind.code}"
        tables = {
            _text(item, where): {
                _text(path, f"{where}.{item}"): _member(Kind, written, f"{where}.{item}.{path}")
                for path, written in _table(table, f"{where}.{item}").items()
            }
            for item, table in _table(data[kind.code], where).items()
        }
        if not {Item.ENVELOPE, kind.matter} <= tables.keys() <= PROVIDABLE | {Item.ENVELOPE}:
            raise PolicyError(where, f"envelope, {kind.matter.value} and no more than items", _names(tables))
        for item, table in tables.items():
            parts = {part for part, _, _ in (path.rpartition(".") for path in table)}
            if len(parts) > 1 or (INPUTS in parts) != (item == Item.NOREL_SCORE_INPUTS):
                raise PolicyError(
                    f"{where}.{item}", "fields of one part (norel_score_inputs: of inputs[])", _names(table)
                )
        events[kind] = tables
    return events


def _score_inputs(data: Any) -> dict[tuple[str, str], dict[str, str]]:
    registered = {}
    for model, versions in _table(data, "score_inputs").items():
        for version, inputs in _table(versions, f"score_inputs.{model}").items():
            where = f"score_inputs.{model}.{version}"
            sources = {_text(k, where): _text(v, f"{where}.{k}") for k, v in _table(inputs, where).items()}
            for name, source in sources.items():
                if source not in INPUT_SOURCES:
                    raise PolicyError(f"{where}.{name}", f"a source out of {_names(INPUT_SOURCES)}", source)
            registered[_text(model, "score_inputs"), _text(version, f"score_inputs.{model}")] = sources
    return registered


def _names(names: Any) -> str:
    return " ".join(sorted(map(str, names)))


def _shape(data: Any) -> str:
    """What it is, without what it says: a file named by mistake may be a key."""
    return f"{'an empty ' if isinstance(data, Mapping | list) else ''}{type(data).__name__}"


def _table(data: Any, where: str) -> Mapping[Any, Any]:
    if not isinstance(data, Mapping) or not data:
        raise PolicyError(where, "a table that is not empty", _shape(data))
    return data


def _keys(data: Any, where: str, needed: set[str]) -> None:
    if _table(data, where).keys() != needed:
        raise PolicyError(where, f"exactly the keys {_names(needed)}", _names(data))


def _list(data: Any, where: str) -> Sequence[Any]:
    if not isinstance(data, list) or not data:
        raise PolicyError(where, "a list that is not empty", _shape(data))
    return data


def _text(data: Any, where: str) -> str:
    if not isinstance(data, str) or not data:
        raise PolicyError(where, "text (quoted, if it looks like a number, a date, yes or no)", data)
    return data


def _positive(data: Any, where: str) -> int:
    if type(data) is not int or not 1 <= data <= NUMBER_MAX:
        raise PolicyError(where, f"a whole number from 1 to {NUMBER_MAX}", data)
    return data


def _day(data: Any, where: str) -> int:
    if not isinstance(data, date) or isinstance(data, datetime):
        raise PolicyError(where, "a date, YYYY-MM-DD without quotes", data)
    return data.toordinal() - EPOCH_ORDINAL


def _member(kind: type[_M], data: Any, where: str) -> _M:
    try:
        return kind(data)
    except ValueError:
        raise PolicyError(where, f"one of {_names(kind)} (yes and no in quotes)", data) from None
