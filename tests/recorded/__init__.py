"""What releases have written, as they wrote it: `python -m tests.recorded` adds this release's, once and for good.

Later releases must read it, so nothing in here is ever changed. Knows where things lie and how what is read is
compared; tests/recorded/samples.py knows what was written.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

from gateway.core.metadata import CommitMetadata

HERE = Path(__file__).parent
METADATA, RECORDS, SCHEMAS, NAMES, VIEW, STATES = (
    *("metadata.json", "records.json", "schemas.json", "names.json"),
    *("view", "view.json"),
)


def releases() -> list[Path]:
    """The directories of all releases, the oldest first."""
    found = [path for path in HERE.iterdir() if path.is_dir() and path.name[0].isdigit()]
    return sorted(found, key=lambda path: [int(part) for part in path.name.split(".")])


def summary(metadata: CommitMetadata) -> dict[str, Any]:
    """What it says, with a digest in the place of up to 16,384 offsets."""
    settled = hashlib.sha256(repr(metadata.settled).encode()).hexdigest()
    count = len(metadata.settled)
    return {"settled": {"count": count, "digest": settled}, "intents": plain(metadata.intents), "opens": metadata.opens}


def plain(value: Any) -> Any:
    """As JSON holds it: bytes in hex, sets sorted."""
    for kind, made in _PLAIN.items():
        if isinstance(value, kind):
            return made(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return value


_PLAIN: dict[Any, Callable[[Any], Any]] = {
    Enum: lambda value: value.value,
    UUID: str,
    bytes: bytes.hex,
    frozenset: sorted,
    Mapping: lambda value: {str(key): plain(inner) for key, inner in value.items()},
    list | tuple: lambda value: [plain(inner) for inner in value],
}
