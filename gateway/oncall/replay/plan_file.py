"""A plan of replays as a file: what would be replayed, from which reading of the topics, and the digest of it all.

Knows the form of the file, and when it is no longer what was made. Must not know how it came about.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from gateway.core.canonical import canonical_json
from gateway.core.reasons import Reason
from gateway.core.values import value
from gateway.oncall import times
from gateway.oncall.replay.selection import MAX_ENTRIES, Place

FORMAT = 1
PROVIDE = "provide"  # what would become of an entry today; else it is the code of a reason
STALE_MS = 24 * 3_600_000  # what was decided when it was planned is no longer what a person approved
MAX_BYTES = 256 << 20

_ENDS = frozenset({PROVIDE, *(reason.code for reason in Reason)})


class PlanError(Exception):
    """A plan that can't be used; the text says why, and what to do."""


class NoPlanFileError(PlanError):
    """The file that was named is not there, or can't be read."""


@value(frozen=True, slots=True)
class Entry:
    """One record to replay: how it stands in the ledger, and what would become of it when it was planned."""

    topic: str
    partition: int
    offset: int
    subject_ref: str
    stands: str  # code of a reason
    today: str  # PROVIDE, or code of a reason

    @property
    def place(self) -> Place:
        """Where its record lies."""
        return self.topic, self.partition, self.offset

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"


@dataclass(frozen=True)
class Plan:
    """What a person approves by applying it. `topics`: name -> id; `read_to`: of each topic that moves on while the
    plan is carried out, the first offset of each partition that it has not seen."""

    plan_id: str
    made_at: int  # ms
    cluster_id: str
    topics: Mapping[str, str]
    read_to: Mapping[str, Mapping[int, int]]
    selection: Mapping[str, Any]
    left_out: Mapping[str, int]
    entries: Sequence[Entry]

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of all that it says; every request repeats it."""
        told = hashlib.sha256()
        for number, (name, said) in enumerate(sorted(self._document().items())):
            told.update(b"{" if number == 0 else b",")
            told.update(canonical_json(name) + b":")
            for part in _parts(said, canonical_json, b"[", b",", b"]"):
                told.update(part)
        told.update(b"}")
        return told.digest()

    @property
    def transactional_id(self) -> str:
        """Who writes its requests: one at a time."""
        return f"replay-{self.plan_id}"

    def request_id(self, entry: Entry) -> str:
        """The same whenever this plan asks for this record."""
        return str(uuid.uuid5(uuid.UUID(self.plan_id), str(entry)))

    def today(self) -> dict[str, int]:
        """How many would end how, most first."""
        return dict(Counter(entry.today for entry in self.entries).most_common())

    def is_stale(self, now: int) -> bool:
        """Whether it is too old to be carried out."""
        return now - self.made_at > STALE_MS

    def write(self, path: Path) -> None:
        """Write it, readable by its owner alone; raises PlanError if there is a file already, or none can be."""
        document = {**self._document(), "digest": self.digest.hex()}
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                for number, (name, said) in enumerate(document.items()):
                    file.write((b",\n" if number else b"{\n") + orjson.dumps(name) + b": ")
                    file.writelines(_parts(said, orjson.dumps, b"[\n", b",\n", b"\n]"))
                file.write(b"\n}\n")
        except FileExistsError:
            raise PlanError(f"{path} is there already: give another name by --out, or remove it") from None
        except OSError as error:
            raise PlanError(f"{path} can't be written ({error.strerror}): give another name by --out") from None

    def _document(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "plan_id": self.plan_id,
            "made_at": times.iso(self.made_at),
            "cluster_id": self.cluster_id,
            "topics": dict(self.topics),
            "read_to": {
                topic: {str(partition): offset for partition, offset in offsets.items()}
                for topic, offsets in self.read_to.items()
            },
            "selection": dict(self.selection),
            "counts": {"entries": len(self.entries), "today": self.today(), "left_out": dict(self.left_out)},
            "entries": map(_told, self.entries),  # one at a time: of a large plan all of them at once are 100 MB
        }


def read(path: Path) -> Plan:
    """The plan in a file; raises PlanError if it is none, or is not as it was made."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise PlanError(f"{path} is larger than any plan: give a file that `gateway replay plan` wrote")
        document = orjson.loads(path.read_bytes())
    except OSError as error:
        raise NoPlanFileError(f"{path}: {error.strerror}: give a file that `gateway replay plan` wrote") from None
    except orjson.JSONDecodeError:
        raise PlanError(f"{path} is no JSON: give a file that `gateway replay plan` wrote") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise PlanError(f"{path} is no plan of this release: make it again by `gateway replay plan`")
    said = document.pop("digest", None)
    if said != hashlib.sha256(canonical_json(document)).hexdigest():
        raise PlanError(
            f"{path} was changed after it was made: its digest does not fit. A plan is never edited; make another by "
            "`gateway replay plan`"
        )
    try:
        return _plan(document)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise PlanError(f"{path} is no plan of this release: make it again by `gateway replay plan`") from None


def _plan(document: Mapping[str, Any]) -> Plan:
    entries = [Entry(**each) for each in document["entries"]]
    if len(entries) > MAX_ENTRIES or len({entry.place for entry in entries}) < len(entries):
        raise ValueError
    for entry in entries:
        if entry.today not in _ENDS or not isinstance(entry.offset, int):
            raise ValueError
    return Plan(
        str(uuid.UUID(document["plan_id"])),
        round(datetime.fromisoformat(document["made_at"]).timestamp() * 1000),
        document["cluster_id"],
        document["topics"],
        {
            topic: {int(partition): offset for partition, offset in offsets.items()}
            for topic, offsets in document["read_to"].items()
        },
        document["selection"],
        document["counts"]["left_out"],
        entries,
    )


def _told(entry: Entry) -> dict[str, Any]:
    return {
        "topic": entry.topic,
        "partition": entry.partition,
        "offset": entry.offset,
        "subject_ref": entry.subject_ref,
        "stands": entry.stands,
        "today": entry.today,
    }


def _parts(said: Any, dumps: Callable[[Any], bytes], opening: bytes, between: bytes, closing: bytes) -> Iterator[bytes]:
    """JSON of a value; of many values between these, such as one a line, so that a plan can be read and compared."""
    if not isinstance(said, Iterator):
        yield dumps(said)
        return
    yield opening
    for number, each in enumerate(said):
        if number:
            yield between
        yield dumps(each)
    yield closing
