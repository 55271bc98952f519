"""A document in the form that was asked for, in a file that nobody else reads.

Knows the forms and how a file is written whole or not at all. Must not know what a document says.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from gateway.oncall.disclosure.forms import csv_of, json_of
from gateway.oncall.disclosure.tables import disclosure_table, notice_table
from gateway.oncall.disclosure.typeset import pdf_of

MODE = 0o600


class Form(StrEnum):
    """What a document is handed out as."""

    PDF = "pdf"
    CSV = "csv"
    JSON = "json"


class OutError(Exception):
    """The file can't be written there."""


def _exists(path: Path) -> OutError:
    return OutError(f"{path} is there already: name another file, or replace it with --force")


_TEMPLATES = {"disclosure": "disclosure", "stop_notice": "notice"}
_TABLES = {"disclosure": disclosure_table, "stop_notice": notice_table}


def formed(document: Mapping[str, Any], form: Form) -> bytes:
    """The document's bytes; the same document makes the same. Raises CannotTypesetError."""
    kind = document["document"]["kind"]
    if form is Form.JSON:
        return json_of(document)
    return csv_of(*_TABLES[kind](document)) if form is Form.CSV else pdf_of(_TEMPLATES[kind], document)


def look_at_place(path: Path, *, force: bool) -> None:
    """Raises OutError, before any work is done."""
    if path.is_dir() or not path.parent.is_dir():
        raise OutError(f"{path}: name a file in a directory that is there")
    if path.exists() and not force:
        raise _exists(path)


def write_out(path: Path, content: bytes, *, force: bool) -> None:
    """Readable by its owner alone, whatever was there before. Raises OutError."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        if force:
            part.replace(path)
        else:
            os.link(part, path)  # fails if there is one, even if it came this moment
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise OutError(f"{path} can't be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
