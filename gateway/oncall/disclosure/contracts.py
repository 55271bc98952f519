"""Which customer a contract belongs to: the ledger itself names no contracts.

Knows two places that tell: a list that somebody exported, CSV with the columns contract_ref and subject_ref, and the
list that was imported into the ledger's index. Must not know what it is asked for.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.core.events import check_ref
from gateway.oncall.desk import Desk
from gateway.oncall.ledger.source import THE_TOPIC, IndexUnfitError

COLUMNS = ("contract_ref", "subject_ref")


@dataclass(frozen=True, slots=True)
class Whose:
    """A customer or a contract, one of them; `contracts` is the exported list, None: the imported one."""

    subject_ref: str
    contract_ref: str
    contracts: Path | None


class ContractsError(Exception):
    """The list can't be used, or does not say whose the contract is. Its text quotes no line of the list."""


async def customer(desk: Desk, index_url: str, whose: Whose) -> str:
    """The reference of the customer. Raises ContractsError, IndexAwayError."""
    if not whose.contract_ref:
        return whose.subject_ref
    if whose.contracts is not None:
        return subject_of(whose.contract_ref, whose.contracts)
    remedy = "give --contracts FILE.csv, or import the list: gateway ledger index --import-contracts FILE.csv"
    try:
        from gateway.oncall.ledger.contracts import subject_of_contract

        found = await subject_of_contract(desk, _there(index_url), whose.contract_ref)
    except (ImportError, IndexUnfitError) as error:
        raise ContractsError(f"nothing tells whose contract {whose.contract_ref} is: {remedy}. ({error})") from error
    if found is None:
        raise ContractsError(
            f"the imported list has no contract {whose.contract_ref}: check the reference, or {remedy}"
        )
    return found


def _there(index_url: str) -> str:
    """The index's place, even where the ledger is to be read from the topic."""
    return "" if index_url == THE_TOPIC else index_url


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
