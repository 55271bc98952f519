"""What the sandbox wrote down of every entry that it judged.

Knows the file's format. Must not know what is a defect.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

STORED = frozenset({"accepted", "superseded"})  # GeNiE has it from then on
TAKEN = STORED | {"duplicate"}  # the data went there, again perhaps


class ReceiptsError(ValueError):
    """The file is not what the sandbox writes; the text names the line."""


class Receipt(NamedTuple):
    """One judged entry."""

    where: str
    line: bytes
    received_at: int
    key: str
    status: str
    digest: bytes
    body: Mapping[str, Any]


def read(path: Path, until: int, *, since: int = 0) -> Iterator[Receipt]:
    """The receipts that end in the first `until` bytes, and not in the first `since`, in the order of judging; a last
    line that was cut short is left out."""
    at = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            at += len(line)
            if at > until or not line.endswith(b"\n"):
                return
            if at > since:
                yield parse(f"{path.name}:{number}", line)


def parse(where: str, line: bytes) -> Receipt:
    """One line of the file."""
    try:
        data = orjson.loads(line)
        body = data["body"]
        return Receipt(
            where=where,
            line=line,
            received_at=int(data["received_at_ms"]),
            key=str(data["idempotency_key"]),
            status=str(data["status"]),
            digest=base64.urlsafe_b64decode(data["body_digest"] + "="),
            body=body if isinstance(body, dict) else {"": body},
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, binascii.Error):
        raise ReceiptsError(f"{where} is no receipt of the sandbox: check --receipts") from None
