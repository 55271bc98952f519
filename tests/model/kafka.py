"""Transactions and fencing, as a broker that keeps its word does them.

A transaction belongs to whoever took over last: taking over aborts the older one's, and waits for the markers of one
that is decided. Whatever an older owner sends then is refused, late copies too: nothing changes by it.
In an intact world no request to end a transaction comes twice: it is sent once, over TCP, and after a doubt the lane is
opened anew, so a copy that still travelled would find a newer epoch. Strays are there for removals that send it again.
"""

from __future__ import annotations

from tests.model.state import Commit, Kafka, Said, Transaction


def may_take_over(kafka: Kafka) -> bool:
    """Not before the markers of the last transaction are written."""
    return kafka.before is None


def take_over(kafka: Kafka, owner: int) -> Kafka:
    """From now on only this owner can commit."""
    return kafka._replace(holder=owner, transaction=None, strays=0)


def read_committed(kafka: Kafka) -> Commit:
    """As a reader sees it that waits for markers; may_take_over says whether they are there."""
    return kafka.committed


def begin(kafka: Kafka, ledger: tuple[Said, ...], numbers: tuple[int, ...]) -> Kafka:
    """Begin a transaction and write into it."""
    return kafka._replace(transaction=Transaction(ledger, numbers))


def ask_to_commit(kafka: Kafka, commit: Commit) -> Kafka:
    """The offset is in the transaction, and the request to end it is on its way."""
    transaction = kafka.transaction or Transaction((), ())  # one that was ended by a stray begins anew
    return kafka._replace(transaction=transaction._replace(commit=commit))


def end(kafka: Kafka, late: bool) -> Kafka:
    """The request to end the transaction arrives: from now on it is committed, and its markers may be `late`."""
    transaction = kafka.transaction
    assert transaction is not None
    ledger = tuple(sorted([*kafka.ledger, *transaction.ledger]))
    before = kafka.committed if late else None
    committed = transaction.commit or kafka.committed
    return kafka._replace(committed=committed, ledger=ledger, transaction=None, before=before)


def write_markers(kafka: Kafka) -> Kafka:
    """Everybody sees the transaction."""
    return kafka._replace(before=None)


def without_owner(kafka: Kafka, gone: int) -> Kafka:
    """An owner is gone; what it sent still arrives."""
    holder = -1 if kafka.holder == gone else kafka.holder - (kafka.holder > gone)
    return kafka._replace(holder=holder)
