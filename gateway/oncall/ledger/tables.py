"""The tables of the index, and the databases they may lie in: SQLite or PostgreSQL.

Knows SQL and how each database begins a transaction. Must not know Kafka.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from gateway.oncall.ledger.source import IndexAwayError, IndexUnfitError

LAYOUT = 1  # of these tables: one that fills them otherwise counts it up, and older indexes are rebuilt
LOCKED_S = 60.0  # another indexer holds the lock for one batch at a time
CONNECT_S = 15
_WRITING = 0x6C6564676572  # PostgreSQL's advisory lock of who writes: any number that is ours alone
_WRITES = "writes"

_tables = sa.MetaData()

INDEXED = sa.Table(  # one row: of which topic this is an index; the same in every layout
    "ledger_index",
    _tables,
    sa.Column("layout", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("cluster_id", sa.Text, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("topic_id", sa.Text, nullable=False),
)
OFFSETS = sa.Table(  # how far each partition is indexed
    "ledger_offsets",
    _tables,
    sa.Column("ledger_partition", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("next_offset", sa.BigInteger, nullable=False),
)
RECORDS = sa.Table(  # each ledger record as it lies in the topic, and what it is asked by
    "ledger_records",
    _tables,
    sa.Column("ledger_partition", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("ledger_offset", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("appended_at", sa.BigInteger, nullable=False),
    sa.Column("subject_ref", sa.Text),
    sa.Column("event_id", sa.Text),
    sa.Column("event_type", sa.Text),
    sa.Column("idempotency_key", sa.Text),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("transmitted", sa.Text, nullable=False),
    sa.Column("input_topic", sa.Text, nullable=False),
    sa.Column("input_partition", sa.Integer, nullable=False),
    sa.Column("input_offset", sa.BigInteger, nullable=False),
    sa.Column("replay_topic", sa.Text),
    sa.Column("replay_partition", sa.Integer),
    sa.Column("replay_offset", sa.BigInteger),
    sa.Column("value", sa.LargeBinary, nullable=False),
    # Each with the place behind it: so the rows of a partition come in order, which a planner takes to.
    sa.Index("ledger_records_time", "ledger_partition", "appended_at"),
    sa.Index("ledger_records_subject", "subject_ref", "ledger_partition", "ledger_offset"),
    sa.Index("ledger_records_event", "event_id", "ledger_partition", "ledger_offset"),
    sa.Index("ledger_records_key", "idempotency_key", "ledger_partition", "ledger_offset"),
    sa.Index("ledger_records_input", "input_offset", "ledger_partition", "ledger_offset"),
    sa.Index("ledger_records_replay", "replay_offset", "ledger_partition", "ledger_offset"),
)
UNREADABLE = sa.Table(  # where the topic has what is no ledger record: the place and why, never the bytes
    "ledger_unreadable",
    _tables,
    sa.Column("ledger_partition", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("ledger_offset", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("appended_at", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)
CONTRACTS = sa.Table(  # imported, so that a subject is found by a contract; a rebuild leaves it alone
    "contracts",
    _tables,
    sa.Column("contract_ref", sa.Text, primary_key=True),
    sa.Column("subject_ref", sa.Text, nullable=False, index=True),
)
FROM_THE_TOPIC = (INDEXED, OFFSETS, RECORDS, UNREADABLE)


class Database:
    """Where an index lies. `where` names it without a password."""

    def __init__(self, url: str, *, fill: bool = False) -> None:
        """`fill`: a SQLite file that is not there yet is made."""
        try:
            parsed = sa.make_url(url)
        except ArgumentError:
            raise IndexUnfitError(f"{_FORMS}, not something else") from None
        self.where = parsed.render_as_string(hide_password=True)
        kind = parsed.get_backend_name()
        if kind == "sqlite" and parsed.database:
            self._engine = _sqlite(Path(parsed.database), fill=fill)
        elif kind == "postgresql":
            self._engine = sa.create_engine(
                parsed.set(drivername="postgresql+psycopg"), connect_args={"connect_timeout": CONNECT_S}
            )
        else:
            raise IndexUnfitError(f"{_FORMS}, not {self.where}")
        self._sqlite = kind == "sqlite"

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that writes, one at a time: committed as a whole or not at all. Raises IndexAwayError."""
        options = {_WRITES: True, **self._isolated("READ COMMITTED")}
        with (
            self._mapped(),
            self._engine.connect().execution_options(**options) as connection,
            connection.begin(),
        ):
            if not self._sqlite:
                connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCKED_S:g}s'"))
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITING)))
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """A transaction that sees the database as it is when first asked, whoever writes. Raises IndexAwayError."""
        with (
            self._mapped(),
            self._engine.connect().execution_options(**self._isolated("REPEATABLE READ")) as connection,
            connection.begin(),
        ):
            yield connection

    def create(self) -> None:
        """Make the tables that are missing."""
        with self.writing() as connection:
            _tables.create_all(connection)

    def recreate(self, connection: sa.Connection) -> None:
        """Empty the tables that come from the topic, whatever their layout was."""
        if not self._sqlite:  # as who asks does: first this one, so that neither waits for the other for ever
            connection.execute(sa.text(f"LOCK TABLE {INDEXED.name} IN ACCESS EXCLUSIVE MODE"))
        _tables.drop_all(connection, tables=list(FROM_THE_TOPIC))
        _tables.create_all(connection)

    def close(self) -> None:
        """Let go of the connections."""
        self._engine.dispose()

    def _isolated(self, level: str) -> dict[str, str]:
        return {} if self._sqlite else {"isolation_level": level}  # SQLite knows but one, the strictest

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, NoSuchModuleError) as error:
            # The driver's own text may repeat a statement's parameters.
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise IndexAwayError(
                f"the index at {self.where} can't be used ({type(cause).__name__}): check that the database runs, "
                "that this user may create and write its tables, and that the disk is not full"
            ) from error


_FORMS = "the index's URL: give sqlite:////path/to/file or postgresql://user@host/database (the password in ~/.pgpass)"


def _sqlite(path: Path, *, fill: bool) -> sa.Engine:
    try:
        if fill:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | (os.O_CREAT if fill else 0), 0o600))  # references of customers: private
    except OSError as error:
        raise IndexUnfitError(f"the index at {path}: {error.strerror}. `gateway ledger index` makes one.") from error
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": LOCKED_S})
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _: object) -> None:
    """Let SQLAlchemy begin transactions: the driver would leave SELECT and CREATE outside them."""
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")  # who reads and who writes do not wait for each other
    connection.execute("PRAGMA synchronous=NORMAL")  # a crash of the machine may cost the last batches, in whole


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
