"""The consent view on disk: LMDB, larger than memory, there again in milliseconds after a restart.

Knows how states, holds and positions are kept, in one write transaction, and when what is found may not be
trusted. Must not know Kafka's client, or how a state comes about.

Writes are not flushed: a killed process loses nothing, and after a power cut the view is rebuilt from the topic.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import lmdb
import orjson
from aiokafka.structs import TopicPartition

from gateway.core.consent import ConsentState
from gateway.core.holds import Hold, HoldScope
from gateway.kafka.remembered import Remembered
from gateway.kafka.view_rows import PACKED_BYTES, UNREADABLE, Rows, Seen, key_of

FORMAT = 2
MAP_BYTES = 16 * 1024**3  # address space, not disk: about 150 million subjects
NOTED_EVERY_MS = 1_000  # how late a killed process may have known that its view was whole, against days of max_idle_ms
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_DATA, _LOCK = "view.mdb", "owner.lock"
_META, _ORIGIN, _TRUST = b"meta", b"origin", b"trust"
# LMDB calls a write that came out shorter than it should be an input/output error: mostly the disk is full.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})

T = TypeVar("T")


class Rebuilt(Enum):
    """Why the view starts empty."""

    NEW = "there was none"
    DAMAGED = "it was damaged"
    OTHER_ORIGIN = "it was of another cluster, topic or format"
    POWER_LOST = "the machine stopped before it was flushed"
    IDLE_TOO_LONG = "it had not followed the topic for too long, so tombstones may be gone"


class ViewDamagedError(Exception):
    """The view on disk can't be read; it was deleted, and a restart rebuilds it."""


class ViewFullError(Exception):
    """The view can't be written now; what was to be written is not, and may be tried again."""


class ViewInUseError(Exception):
    """Another process owns the directory."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What the view is a view of."""

    cluster_id: str
    topics: Mapping[str, UUID]

    def encode(self) -> bytes:
        """As it is kept, with the format."""
        topics = sorted((name, str(number)) for name, number in self.topics.items())
        return orjson.dumps([FORMAT, self.cluster_id, topics])


class ViewStore:
    """One LMDB environment, owned by one process. Use `open`."""

    def __init__(self, directory: Path, owner: int, origin: Origin) -> None:
        self._directory = directory
        self._owner = owner
        self._origin = origin
        self.rebuilt: Rebuilt | None = None
        self.closed = False
        self._rows = Rows({})
        self._remembered = Remembered()
        self._caught_up_at = self._noted_at = 0
        self._open_environment()

    @classmethod
    def open(cls, directory: Path, origin: Origin, *, now: int, max_idle_ms: int) -> ViewStore:
        """Take the directory; what is in it is kept if it may be trusted, else deleted (see `rebuilt`)."""
        directory.mkdir(parents=True, exist_ok=True)
        owner = _own(directory / _LOCK)
        try:
            store, why = cls._found(directory, owner, origin, now, max_idle_ms)
            if why is not None:
                store._empty()
                store.rebuilt = why
                store._caught_up_at = now
            store._note(clean=False)
            store._environment.sync(True)
        except lmdb.Error as error:
            os.close(owner)
            raise _full(directory, error) or error from None
        return store

    @classmethod
    def _found(
        cls, directory: Path, owner: int, origin: Origin, now: int, max_idle_ms: int
    ) -> tuple[ViewStore, Rebuilt | None]:
        """What is in the directory, and why it may not be trusted; what is damaged is replaced."""
        existed = (directory / _DATA).exists()
        store = None
        try:
            store = cls(directory, owner, origin)
            why = store._distrust(now, max_idle_ms) if existed else Rebuilt.NEW
            if why is None:
                store._rows = Rows(store._read_terms())
            return store, why
        except (lmdb.Error, *UNREADABLE) as error:
            if store is not None:
                store._environment.close()
            if isinstance(error, lmdb.Error) and _full(directory, error):
                raise
            _delete(directory)
        return cls(directory, owner, origin), Rebuilt.DAMAGED

    def close(self) -> None:
        """Flush, so that even a power cut after this loses nothing; without room, a power cut rebuilds the view."""
        with suppress(ViewFullError):
            self._guarded(self._flush)
        self._environment.close()
        os.close(self._owner)
        self.closed = True

    def caught_up_at(self) -> int:
        """When the view last held all of its topics, ms; 0 if never."""
        return self._caught_up_at

    def note_caught_up(self, at: int) -> None:
        """Remember that all that was in the topics at this time is applied; on disk now and then."""
        self._caught_up_at = at
        if at - self._noted_at >= NOTED_EVERY_MS:
            self._guarded(lambda: self._note(clean=False))

    @property
    def remembered(self) -> int:
        """How many states are kept ready."""
        return len(self._remembered)

    def positions(self) -> dict[TopicPartition, int]:
        """The applied positions."""
        return self._guarded(self._read_positions)

    def holds(self) -> dict[str, Hold]:
        """All holds that are set."""
        return self._guarded(self._read_holds)

    def get_many(self, subjects: Collection[str]) -> dict[str, ConsentState]:
        """Each subject's state, kept ready if it was asked for lately; None for one without any record."""
        states = self._remembered.find(subjects)

        def read() -> None:
            with self._environment.begin(self._consents) as transaction:
                for subject in [each for each in subjects if each not in states]:
                    row = transaction.get(key_of(subject))
                    states[subject] = None if row is None else self._rows.read(subject, row).state
                    self._remembered.add(subject, states[subject], 0 if row is None else len(row) - PACKED_BYTES)

        if len(states) < len(subjects):
            self._guarded(read)
        return states

    def seen(self, subjects: Iterable[str]) -> dict[str, Seen | None]:
        """What was seen of each subject, read anew; None for one without any record."""

        def read() -> dict[str, Seen | None]:
            with self._environment.begin(self._consents) as transaction:
                rows = ((subject, transaction.get(key_of(subject))) for subject in subjects)
                return {subject: None if row is None else self._rows.read(subject, row) for subject, row in rows}

        return self._guarded(read)

    def write(
        self,
        seen: Mapping[str, Seen],
        holds: Mapping[str, Hold | None],
        positions: Mapping[TopicPartition, int],
    ) -> None:
        """Apply changes and the positions behind them, together or not at all; a hold of None is gone.

        Raises ViewFullError, and may be tried again.
        """

        rows = [(key_of(subject), self._rows.write(what)) for subject, what in seen.items()]

        def change() -> None:
            with self._environment.begin(write=True) as transaction:
                transaction.cursor(self._consents).putmulti(rows)
                transaction.cursor(self._terms).putmulti(self._rows.unsaved().items())
                for hold_id, hold in holds.items():
                    if hold is None:
                        transaction.delete(hold_id.encode(), db=self._holds)
                    else:
                        transaction.put(hold_id.encode(), _encode_hold(hold), db=self._holds)
                for partition, offset in positions.items():
                    key = orjson.dumps([partition.topic, partition.partition])
                    transaction.put(key, orjson.dumps(offset), db=self._positions)

        self._guarded(change)
        self._rows.all_saved()
        self._remembered.forget(seen)

    def count(self) -> int:
        """How many subjects have a state."""

        def read() -> int:
            with self._environment.begin() as transaction:
                return int(transaction.stat(self._consents)["entries"])

        return self._guarded(read)

    def discard(self) -> None:
        """Delete the view, so that the next start rebuilds it."""
        self._environment.close()
        _delete(self._directory)
        os.close(self._owner)
        self.closed = True

    def _open_environment(self) -> None:
        path = self._directory / _DATA
        self._environment = lmdb.open(
            str(path), subdir=False, map_size=MAP_BYTES, max_dbs=5, sync=False, metasync=False
        )
        needed = (self._environment.info()["last_pgno"] + 1) * self._environment.stat()["psize"]
        if path.stat().st_size < needed:
            # Reading a page beyond the end of the file would end the process with SIGBUS.
            self._environment.close()
            raise ValueError("the file is shorter than its own table of pages says")
        self._meta = self._environment.open_db(_META)
        self._consents = self._environment.open_db(b"consents")
        self._terms = self._environment.open_db(b"terms")
        self._holds = self._environment.open_db(b"holds")
        self._positions = self._environment.open_db(b"positions")

    def _distrust(self, now: int, max_idle_ms: int) -> Rebuilt | None:
        with self._environment.begin(self._meta) as transaction:
            origin = transaction.get(_ORIGIN)
        if origin != self._origin.encode():
            return Rebuilt.OTHER_ORIGIN
        clean, self._caught_up_at, boot = self._trusted()
        if not clean and (not boot or boot != _boot_id()):
            return Rebuilt.POWER_LOST
        if now - self._caught_up_at > max_idle_ms:
            return Rebuilt.IDLE_TOO_LONG
        return None

    def _flush(self) -> None:
        self._environment.sync(True)  # first: pages reach the disk in any order, and the mark vouches for all others
        self._note(clean=True)
        self._environment.sync(True)

    def _empty(self) -> None:
        with self._environment.begin(write=True) as transaction:
            for database in (self._consents, self._terms, self._holds, self._positions, self._meta):
                transaction.drop(database, delete=False)
            transaction.put(_ORIGIN, self._origin.encode(), db=self._meta)

    def _trusted(self) -> tuple[bool, int, str]:
        with self._environment.begin(self._meta) as transaction:
            raw = transaction.get(_TRUST)
        clean, caught_up_at, boot = orjson.loads(raw) if raw else (False, 0, "")
        return clean, caught_up_at, boot

    def _note(self, *, clean: bool) -> None:
        with self._environment.begin(self._meta, write=True) as transaction:
            transaction.put(_TRUST, orjson.dumps([clean, self._caught_up_at, _boot_id()]))
        self._noted_at = self._caught_up_at

    def _read_terms(self) -> dict[bytes, bytes]:
        with self._environment.begin(self._terms) as transaction:
            return dict(transaction.cursor())

    def _read_positions(self) -> dict[TopicPartition, int]:
        with self._environment.begin(self._positions) as transaction:
            return {TopicPartition(*orjson.loads(key)): orjson.loads(raw) for key, raw in transaction.cursor()}

    def _read_holds(self) -> dict[str, Hold]:
        with self._environment.begin(self._holds) as transaction:
            return {key.decode(): _decode_hold(key.decode(), raw) for key, raw in transaction.cursor()}

    def _guarded(self, access: Callable[[], T]) -> T:
        try:
            return access()
        except (lmdb.Error, *UNREADABLE) as error:
            if isinstance(error, lmdb.Error) and (full := _full(self._directory, error)):
                raise full from error
            self.discard()
            raise ViewDamagedError(
                f"the consent view in {self._directory} is damaged ({type(error).__name__}) and was deleted: "
                "start the gateway again, it rebuilds the view"
            ) from error


def _full(directory: Path, error: lmdb.Error) -> ViewFullError | None:
    """The error, if it says that there is no room: full is not damaged."""
    if not isinstance(error, lmdb.MapFullError) and error.code not in _NO_ROOM:
        return None
    return ViewFullError(
        f"the consent view in {directory} can't be written: no room on the disk, or the disk fails; make room there"
    )


def _encode_hold(hold: Hold) -> bytes:
    return orjson.dumps([hold.scope.value, hold.value, hold.expires_at])


def _decode_hold(hold_id: str, raw: bytes) -> Hold:
    scope, value, expires_at = orjson.loads(raw)
    return Hold(hold_id, HoldScope(scope), value, expires_at)


def _own(lock: Path) -> int:
    owner = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(owner)
        raise ViewInUseError(
            f"another process uses the consent view in {lock.parent}: give each gateway a directory of its own"
        ) from error
    return owner


def _delete(directory: Path) -> None:
    for path in directory.glob(f"{_DATA}*"):
        path.unlink(missing_ok=True)


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""  # unknown: only what was closed in order is trusted
