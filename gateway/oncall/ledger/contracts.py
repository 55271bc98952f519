"""Which customer a contract belongs to, as billing's list says: imported into the index's database, asked by the desk.

Knows the list's form. A line's text is never repeated in a message: what stands in the wrong column may be anything.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import sqlalchemy as sa

from gateway.core.events import check_ref
from gateway.oncall.desk import Desk
from gateway.oncall.ledger.indexing import index_of
from gateway.oncall.ledger.place import usual_url
from gateway.oncall.ledger.tables import CONTRACTS, Database

HEAD = ["contract_ref", "subject_ref"]
MOST_LINES_TOLD = 20
AT_ONCE = 1_000  # contracts in one query

Mapped = Mapping[str, tuple[str, int]]  # contract_ref -> subject_ref and the number of its line


class BadLinesError(Exception):
    """The list can't be imported; the text names its lines by number. Nothing was imported."""

    def __init__(self, wrong: Sequence[tuple[int, str]]) -> None:
        told = [f"line {number}: {what}" for number, what in wrong[:MOST_LINES_TOLD]]
        if len(wrong) > MOST_LINES_TOLD:
            told.append(f"and {len(wrong) - MOST_LINES_TOLD:,} more lines")
        super().__init__("\n".join(["nothing was imported:", *told]))


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: contracts that are new, known already, and given to another customer."""

    new: int
    known: int
    replaced: int


def read_list(lines: Iterable[str]) -> Mapped:
    """The list, CSV with a first line of HEAD; raises BadLinesError with all that is wrong in it."""
    reader = csv.reader(lines)
    found: dict[str, tuple[str, int]] = {}
    wrong = []
    if next(reader, None) != HEAD:
        raise BadLinesError([(1, f"the first line must be {','.join(HEAD)}")])
    try:
        for row in reader:
            what = _wrong(row, found)
            if what:
                wrong.append((reader.line_num, what))
            elif row and row[0] not in found:
                found[row[0]] = (row[1], reader.line_num)
    except csv.Error:
        wrong.append((reader.line_num, "no CSV"))
    if wrong:
        raise BadLinesError(wrong)
    return found


def import_list(database: Database, given: Mapped, *, replace: bool) -> Imported:
    """Take the list into the index's database, all or nothing; `replace`: contracts may change hands.

    Raises BadLinesError, IndexAwayError.
    """
    with database.writing() as connection:
        known = _known(connection, given)
        moved = {contract for contract, subject in known.items() if given[contract][0] != subject}
        if moved and not replace:
            what = "this contract is another customer's in the index: give --replace if the list is right"
            raise BadLinesError([(given[contract][1], what) for contract in given if contract in moved])
        for some in _some(sorted(moved)):
            connection.execute(sa.delete(CONTRACTS).where(CONTRACTS.c.contract_ref.in_(some)))
        for some in _some([contract for contract in given if contract not in known or contract in moved]):
            rows = [{"contract_ref": contract, "subject_ref": given[contract][0]} for contract in some]
            connection.execute(sa.insert(CONTRACTS), rows)
    return Imported(len(given) - len(known), len(known) - len(moved), len(moved))


async def subject_of_contract(desk: Desk, index_url: str, contract_ref: str) -> str | None:
    """The customer of a contract, as last imported; None if it is on no list. Without a URL: the index at its usual
    place. Raises IndexUnfitError (also if there is no index yet), IndexAwayError."""
    query = sa.select(CONTRACTS.c.subject_ref).where(CONTRACTS.c.contract_ref == contract_ref)
    database = Database(index_url or usual_url(desk))
    try:
        with (await index_of(desk, database)).looking() as connection:
            found: str | None = connection.execute(query).scalar_one_or_none()
            return found
    finally:
        database.close()


def _wrong(row: Sequence[str], found: Mapped) -> str:
    """What is wrong with a line; empty if nothing is. An empty line says nothing."""
    if not row:
        return ""
    if len(row) != len(HEAD):
        return f"{len(row)} columns in place of {len(HEAD)}"
    for name, text in zip(HEAD, row, strict=True):
        if check_ref(text) is None:
            return f"{name} is no reference: 6 to 64 letters, digits, _ and -, at least one letter"
    contract, subject = row
    if contract in found and found[contract][0] != subject:
        return f"the contract of line {found[contract][1]}, for another customer"
    return ""


def _known(connection: sa.Connection, given: Mapped) -> dict[str, str]:
    known: dict[str, str] = {}
    for some in _some(list(given)):
        found = connection.execute(sa.select(CONTRACTS).where(CONTRACTS.c.contract_ref.in_(some)))
        known |= {row.contract_ref: row.subject_ref for row in found}
    return known


def _some(contracts: Sequence[str]) -> Iterator[list[str]]:
    left = iter(contracts)
    while some := list(islice(left, AT_ONCE)):
        yield some
