"""All that the topics say about one customer, read in the order in which nothing falls between two readings.

Knows the order: what is being sent, then the ledger, then the input records behind it. Must not know what is told of
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.kafka.cluster import began_at, describe
from gateway.oncall import times
from gateway.oncall.desk import Desk
from gateway.oncall.disclosure.answer import Reading
from gateway.oncall.disclosure.in_flight import InFlight, in_flight
from gateway.oncall.disclosure.originals import Payment, is_payment, payments_behind
from gateway.oncall.disclosure.provisions import Books, Record, Source, sort_out, source
from gateway.oncall.disclosure.words import Kind
from gateway.oncall.ledger.source import LedgerEntry, Wanted, open_ledger, places_of


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a document is made of. `recipient` is the ledger's last word on who receives, None if it has none."""

    books: Books
    reading: Reading
    corrections: dict[Source, Payment]
    recipient: Record | None
    records: int  # of the ledger, about this customer
    source: str  # where the ledger was read from, for the operator


async def gather(desk: Desk, index_url: str, group: str, subject_ref: str) -> Gathered:
    """Read all of it.

    Raises TopicMissingError, KafkaUnavailableError, RegistryAway, IndexUnfitError, IndexAwayError.
    """
    at = times.now_ms()
    sending = await in_flight(desk, group, subject_ref)
    entries: list[LedgerEntry] = []
    async with open_ledger(desk, index_url) as ledger:
        await ledger.read(entries.extend, Wanted(subjects=frozenset({subject_ref})))
    newest = max(entries, key=lambda each: each.appended_at, default=None)
    recipient = newest.record["recipient"] if newest is not None else None
    books = with_sending(sort_out(entries), sending, entries, recipient)
    payments = [
        *(each.record for each in books.provisions if each.kind is Kind.PROVIDED and is_payment(each.record)),
        *filter(is_payment, books.corrections_withheld),
    ]
    originals = await payments_behind(desk, payments)
    reading = Reading(
        at,
        await _since(desk, entries),
        ledger.unreadable,
        sending.known,
        all(source(record) in originals for record in payments),
    )
    books = books.noting(frozenset(place for place, payment in originals.items() if payment.correction))
    return Gathered(books, reading, originals, recipient, len(entries), ledger.told)


def with_sending(books: Books, sending: InFlight, entries: Sequence[LedgerEntry], recipient: Record | None) -> Books:
    """With what is being sent, but for what the ledger has heard of since. Intents do not name the recipient."""
    inputs = {(entry.record["input"]["cluster_id"], *places_of(entry.record)[0]) for entry in entries}
    attempts = [
        replace(each, recipient=recipient) for each in sending.attempts if (each.cluster_id, *each.input) not in inputs
    ]
    return replace(books, unsettled=(*books.unsettled, *sorted(attempts, key=lambda each: each.tried_at)))


async def _since(desk: Desk, entries: Sequence[LedgerEntry]) -> int | None:
    """When the oldest record that was read was appended, ms: an index may go back further than the topic."""
    topic = desk.names.ledger
    began = await began_at(desk.client, (await describe(desk.client, [topic])).topics[topic].partitions)
    return min([*began.values(), *(entry.appended_at for entry in entries)], default=None)
