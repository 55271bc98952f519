"""Which customer a contract belongs to, by a list that somebody exported: the ledger itself names no contracts.

Knows the form of the list, CSV with the columns contract_ref and subject_ref. Must not know what it is asked for.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from gateway.core.events import check_ref

COLUMNS = ("contract_ref", "subject_ref")


class ContractsError(Exception):
    """The list can't be used, or does not say whose the contract is. Its text quotes no line of the list."""


def subject_of(contract_ref: str, path: Path) -> str:
    """The one customer of a contract. Raises ContractsError."""
    subjects = {subject for contract, subject in _rows(path) if contract == contract_ref}
    if len(subjects) == 1:
        return subjects.pop()
    if not subjects:
        raise ContractsError(f"{path} has no contract {contract_ref}: check the reference, or export the list anew")
    raise ContractsError(
        f"{path} has {len(subjects)} customers for contract {contract_ref}: an answer must hold one customer's records "
        "alone; find out who asks, and give --subject"
    )


def contracts_of(subject_ref: str, path: Path) -> list[str]:
    """All contracts of a customer, sorted. Raises ContractsError."""
    return sorted({contract for contract, subject in _rows(path) if subject == subject_ref})


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    """Row by row: the list may be of every contract that there ever was."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not set(COLUMNS) <= set(reader.fieldnames or ()):
                raise ContractsError(f"{path}: the first line must name the columns {' and '.join(COLUMNS)}")
            for row in reader:
                contract, subject = (check_ref((row[column] or "").strip()) for column in COLUMNS)
                if contract is None or subject is None:
                    raise ContractsError(
                        f"{path} line {reader.line_num}: contract_ref or subject_ref is not a reference (6 to 64 of "
                        "A-Z a-z 0-9 _ -, at least one letter)"
                    )
                yield contract, subject
    except OSError as error:
        raise ContractsError(f"{path} can't be read: {error.strerror}") from error
    except (UnicodeError, csv.Error):
        raise ContractsError(f"{path} is not CSV in UTF-8") from None
