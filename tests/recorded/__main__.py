"""`python -m tests.recorded`: record what this release writes, to be read by all later ones; never twice."""

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

from gateway import __version__, schemas
from gateway.kafka import view_store
from gateway.kafka.view_store import ViewStore
from tests.core_cases import NOW, POLICY
from tests.recorded import HERE, METADATA, NAMES, RECORDS, SCHEMAS, STATES, VIEW, plain, samples, summary


def record(directory: Path) -> None:
    directory.mkdir()
    _write(directory / METADATA, [_metadata(offset, metadata) for offset, metadata in samples.METADATA])
    _write(directory / RECORDS, [_record(kind, each) for kind, each in samples.RECORDS])
    _write(directory / SCHEMAS, {number: schema.source for number, schema in schemas.own().by_id.items()})
    bodies = {what: body.decode() for what, body in samples.bodies()}
    _write(directory / NAMES, {"names": samples.names(), "mapping_version": POLICY.mapping_version, "bodies": bodies})
    _record_view(directory)


def _metadata(offset: int, metadata: Any) -> dict[str, Any]:
    return {"offset": offset, "text": metadata.encode(offset), "means": summary(metadata)}


def _record(kind: str, means: dict[str, Any]) -> dict[str, Any]:
    value = base64.b64encode(schemas.encode(kind, means)).decode()
    return {"kind": kind, "value": value, "means": plain(means)}


def _record_view(directory: Path) -> None:
    view_store._BOOT_ID = Path(os.devnull)  # it is read elsewhere
    store = ViewStore.open(directory / VIEW, samples.ORIGIN, now=NOW, max_idle_ms=1)
    store.write(samples.SEEN, samples.HOLDS, samples.POSITIONS)
    store.close()
    for lock in (directory / VIEW).glob("*lock"):
        lock.unlink()
    positions = [[at.topic, at.partition, offset] for at, offset in samples.POSITIONS.items()]
    states = {"seen": plain(samples.SEEN), "holds": plain(samples.HOLDS), "positions": positions}
    _write(directory / STATES, {"caught_up_at": NOW, "origin": plain(samples.ORIGIN)} | states)


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    target = HERE / __version__
    if target.exists():
        sys.exit(f"{target} is there: what a release wrote is recorded once. Raise the version of the package.")
    record(target)
