"""What of the view on disk is trusted after a restart."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from uuid import UUID

import lmdb
import pytest
from aiokafka.structs import TopicPartition

from gateway.core.consent import Consent, ConsentState, ConsentStatus, Denied, LegalBasis
from gateway.core.holds import Hold, HoldScope
from gateway.core.reasons import Reason
from gateway.kafka import view_store
from gateway.kafka.remembered import STATE_BYTES, Remembered
from gateway.kafka.view_rows import Seen, key_of
from gateway.kafka.view_store import (
    NOTED_EVERY_MS,
    Origin,
    Rebuilt,
    ViewDamagedError,
    ViewFullError,
    ViewInUseError,
    ViewStore,
)

ORIGIN = Origin("cluster", {"consent.records": UUID(int=1), "genie.gateway.controls": UUID(int=2)})
MAX_IDLE_MS = 1_000
MDB_CORRUPTED = -30_796
AT = TopicPartition("consent.records", 3)
SEEN = {
    "subject-anna": Seen(
        3,
        Consent(
            record_id="r1",
            version=7,
            subject_ref="subject-anna",
            recipient="genie",
            status=ConsentStatus.RENEWED,
            policy_version=20_510,
            consented_at=1,
            expires_at=None,
            history_from=20_000,
            items=frozenset({"name", "payment_history"}),
            opted_out=frozenset(),
            contract_refs=frozenset({"contract-1"}),
            legal_basis=LegalBasis.CONSENT,
        ),
    ),
    "subject-bert": Seen(0, Denied(Reason.NO_CONSENT, None, None)),
}
ANNAS = SEEN["subject-anna"].state
HOLDS = {"h1": Hold("h1", HoldScope.SUBJECT, "subject-anna", 99)}


def opened(directory: Path, origin: Origin = ORIGIN, now: int = 0) -> ViewStore:
    return ViewStore.open(directory, origin, now=now, max_idle_ms=MAX_IDLE_MS)


def filled(directory: Path) -> ViewStore:
    store = opened(directory)
    store.write(SEEN, HOLDS, {AT: 12})
    return store


def is_whole(store: ViewStore) -> bool:
    found = store.seen([*SEEN, "subject-none"])
    return (found, store.holds(), store.positions()) == ({**SEEN, "subject-none": None}, dict(HOLDS), {AT: 12})


def die(store: ViewStore) -> None:
    """End the store as kill -9 would: nothing is flushed or marked."""
    store._environment.close()
    view_store.os.close(store._owner)


def test_a_restart_finds_everything(tmp_path: Path) -> None:
    """States, holds and positions survive an orderly end and a kill."""
    for end in (ViewStore.close, die):
        store = filled(tmp_path / end.__name__)
        assert store.rebuilt is Rebuilt.NEW
        end(store)
        again = opened(tmp_path / end.__name__)
        assert again.rebuilt is None
        assert is_whole(again)
        assert again.count() == len(SEEN)
        again.close()


def withdrawn(version: int) -> Seen:
    """Anna's consent as it may go on."""
    return Seen(3, replace(ANNAS, version=version, status=ConsentStatus.WITHDRAWN))


def test_what_was_written_is_what_is_told(tmp_path: Path) -> None:
    """A state that was asked for is kept ready, the same object; one that has changed is told as it is now."""
    store = filled(tmp_path)
    told = store.get_many(["subject-anna", "subject-carl"])
    assert told == {"subject-anna": ANNAS, "subject-carl": None}
    assert store.get_many(["subject-anna"])["subject-anna"] is told["subject-anna"]
    store.write({"subject-anna": withdrawn(8), "subject-carl": SEEN["subject-bert"]}, {}, {})
    assert store.get_many(told) == {"subject-anna": withdrawn(8).state, "subject-carl": SEEN["subject-bert"].state}
    store.close()


def test_what_was_not_written_is_not_told(tmp_path: Path) -> None:
    """While there is no room the view is as it was, and as it is once there is."""
    store = filled(tmp_path)
    store.get_many(["subject-anna"])
    many = {f"subject-{number:05}": withdrawn(number) for number in range(2_000)}
    with no_room(tmp_path / "view.mdb"):
        with pytest.raises(ViewFullError):
            store.write({**many, "subject-anna": withdrawn(8)}, {}, {})
        assert store.get_many(["subject-anna"]) == {"subject-anna": ANNAS}
    store.write({"subject-anna": withdrawn(8)}, {}, {})
    assert store.get_many(["subject-anna"]) == {"subject-anna": withdrawn(8).state}
    store.close()


def test_no_answer_is_ever_older_than_a_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked and written in whatever order, and however little is kept ready."""
    monkeypatch.setattr(view_store, "Remembered", lambda: Remembered(60 * STATE_BYTES))  # a few
    rng, store, truth = Random(7), opened(tmp_path), dict[str, ConsentState]()
    subjects = [f"subject-{number}" for number in range(12)]
    for turn in range(2_000):
        some = rng.sample(subjects, rng.randrange(1, 5))
        if rng.random() < 0.3:
            seen = {subject: Seen(0, replace(ANNAS, subject_ref=subject, version=turn)) for subject in some}
            store.write(seen, {}, {})
            truth.update({subject: each.state for subject, each in seen.items()})
        else:
            assert store.get_many(some) == {subject: truth.get(subject) for subject in some}
    assert 0 < store.remembered < len(subjects)
    store.close()


def test_terms_that_a_failed_write_made_come_with_the_next(tmp_path: Path) -> None:
    """A row never points to what is not on the disk."""
    store = opened(tmp_path)
    anna = Seen(3, replace(ANNAS, record_id=str(UUID(int=5))))
    many = {f"subject-{number:05}": anna for number in range(2_000)}
    with no_room(tmp_path / "view.mdb"), pytest.raises(ViewFullError):
        store.write(many, {}, {})
    store.write({"subject-anna": anna}, {}, {})
    die(store)
    again = opened(tmp_path)
    assert again.rebuilt is None
    assert again.seen(["subject-anna"]) == {"subject-anna": anna}
    again.close()


def test_when_it_was_whole_is_noted_now_and_then(tmp_path: Path) -> None:
    """Each fence knows at once; a process that is killed forgets no more than a moment."""
    store = filled(tmp_path)
    for at in range(1, 3 * NOTED_EVERY_MS, 7):
        store.note_caught_up(at)
        assert store.caught_up_at() == at
    last = store.caught_up_at()
    die(store)
    again = opened(tmp_path)
    assert last - NOTED_EVERY_MS < again.caught_up_at() <= last
    again.close()


def test_a_hold_that_is_gone_is_gone(tmp_path: Path) -> None:
    """Writing None for a hold removes it."""
    store = filled(tmp_path)
    store.write({}, {"h1": None, "h2": None}, {})
    assert store.holds() == {}
    store.close()


@pytest.mark.parametrize(
    "origin",
    [
        Origin("other", ORIGIN.topics),
        Origin("cluster", {**ORIGIN.topics, "consent.records": UUID(int=9)}),
        Origin("cluster", {"t2.consent.records": UUID(int=1)}),
    ],
)
def test_a_view_of_something_else_is_rebuilt(tmp_path: Path, origin: Origin) -> None:
    """Another cluster, another topic, or the same name made anew: nothing of the old view is kept."""
    filled(tmp_path).close()
    store = opened(tmp_path, origin)
    assert store.rebuilt is Rebuilt.OTHER_ORIGIN
    assert (store.count(), store.positions(), store.holds()) == (0, {}, {})
    store.close()


def test_a_view_of_another_format_is_rebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later release that keeps states otherwise does not read the old ones."""
    filled(tmp_path).close()
    monkeypatch.setattr(view_store, "FORMAT", view_store.FORMAT + 1)
    store = opened(tmp_path)
    assert store.rebuilt is Rebuilt.OTHER_ORIGIN
    store.close()


def test_a_view_that_was_idle_too_long_is_rebuilt(tmp_path: Path) -> None:
    """Tombstones may be gone from the topic; a view noted as caught up since then is kept."""
    store = filled(tmp_path)
    store.note_caught_up(500)
    store.close()
    store = opened(tmp_path, now=500 + MAX_IDLE_MS)
    assert store.rebuilt is None
    store.close()
    store = opened(tmp_path, now=501 + MAX_IDLE_MS)
    assert store.rebuilt is Rebuilt.IDLE_TOO_LONG
    assert store.count() == 0
    store.close()


def test_after_a_power_cut_only_a_closed_view_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes are not flushed: what was open when the machine stopped is rebuilt, what was closed is kept."""
    filled(tmp_path).close()
    monkeypatch.setattr(view_store, "_boot_id", lambda: "after the reboot")
    store = opened(tmp_path)
    assert store.rebuilt is None
    die(store)
    monkeypatch.setattr(view_store, "_boot_id", lambda: "after another reboot")
    store = opened(tmp_path)
    assert store.rebuilt is Rebuilt.POWER_LOST
    store.close()


def test_nothing_is_unflushed_when_the_view_is_called_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages reach the disk in any order: a mark written together with others could be there without them."""
    store = filled(tmp_path)
    done: list[str] = []
    environment, note = store._environment, store._note

    class Watched:
        def sync(self, force: bool) -> None:
            environment.sync(force)
            done.append("flushed")

        def __getattr__(self, name: str) -> object:
            return getattr(environment, name)

    def mark(**what: bool) -> None:
        note(**what)
        done.append("marked")

    monkeypatch.setattr(store, "_environment", Watched())
    monkeypatch.setattr(store, "_note", mark)
    store.close()
    assert done == ["flushed", "marked", "flushed"]


@pytest.mark.parametrize("damage", ["garbage", "short", "empty"])
def test_a_damaged_file_is_rebuilt(tmp_path: Path, damage: str) -> None:
    """A file that is no database, or is cut off, is replaced instead of ending the process."""
    filled(tmp_path).close()
    path = tmp_path / "view.mdb"
    whole = path.read_bytes()
    path.write_bytes({"garbage": b"x" * len(whole), "short": whole[: len(whole) // 2], "empty": b""}[damage])
    store = opened(tmp_path)
    assert store.rebuilt in (Rebuilt.DAMAGED, Rebuilt.OTHER_ORIGIN)
    assert store.count() == 0
    store.close()


def test_a_value_that_cannot_be_read_deletes_the_view(tmp_path: Path) -> None:
    """Damage found while running ends the process, and the next start rebuilds."""
    store = filled(tmp_path)
    with store._environment.begin(store._consents, write=True) as transaction:
        transaction.put(key_of("subject-anna"), b"[0,1")
    with pytest.raises(ViewDamagedError, match="rebuilds"):
        store.get_many(["subject-anna"])
    again = opened(tmp_path)
    assert again.rebuilt is Rebuilt.NEW
    again.close()


def test_terms_that_cannot_be_read_rebuild_the_view(tmp_path: Path) -> None:
    """Without them nobody knows what the rows say."""
    store = filled(tmp_path)
    with store._environment.begin(store._terms, write=True) as transaction:
        transaction.put(b"\0\0", b"[]")
    store.close()
    again = opened(tmp_path)
    assert (again.rebuilt, again.count()) == (Rebuilt.DAMAGED, 0)
    again.close()


@contextmanager
def no_room(path: Path) -> Iterator[None]:
    """No file of this process may grow beyond what this one has now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_not_damage(tmp_path: Path) -> None:
    """What can't be written is not, what is there stays, and the same write succeeds once there is room."""
    store = filled(tmp_path)
    many = {f"subject-{number:05}": SEEN["subject-anna"] for number in range(2_000)}
    with no_room(tmp_path / "view.mdb"):
        for _ in range(2):
            with pytest.raises(ViewFullError, match="no room"):
                store.write(many, {}, {AT: 13})
        assert is_whole(store)
    store.write(many, {}, {AT: 13})
    assert store.count() == len(SEEN) + len(many)
    assert store.positions() == {AT: 13}
    store.close()
    assert opened(tmp_path).rebuilt is None


def test_a_view_without_room_closes_and_says_so_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end is in order, the directory free again, and a start names the directory and the remedy."""
    store = filled(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise lmdb.MapFullError("full")

    with monkeypatch.context() as patched:
        patched.setattr(ViewStore, "_note", full)
        store.close()
        with pytest.raises(ViewFullError, match=f"{tmp_path}.*make room"):
            opened(tmp_path)
    again = opened(tmp_path)
    assert again.rebuilt is None
    assert is_whole(again)
    again.close()


def test_a_directory_belongs_to_one_process(tmp_path: Path) -> None:
    """Two owners would write over each other."""
    store = filled(tmp_path)
    with pytest.raises(ViewInUseError, match="directory of its own"):
        opened(tmp_path)
    store.close()


def test_a_disk_without_room_at_the_start_is_not_a_damaged_view(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there is kept for a start that has room."""
    filled(tmp_path).close()

    def full(*_: object) -> None:
        raise lmdb.MapFullError

    with monkeypatch.context() as context:
        context.setattr(ViewStore, "_distrust", full)
        with pytest.raises(ViewFullError):
            opened(tmp_path)
    store = opened(tmp_path)
    assert store.rebuilt is None
    assert store.seen(SEEN) == SEEN
    store.close()


def test_without_a_boot_id_only_an_orderly_end_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows whether the machine stopped meanwhile."""
    monkeypatch.setattr(view_store, "_BOOT_ID", tmp_path / "nothing")
    filled(tmp_path).close()
    store = opened(tmp_path)
    assert store.rebuilt is None
    die(store)
    store = opened(tmp_path)
    assert store.rebuilt is Rebuilt.POWER_LOST
    store.close()


def test_a_view_that_was_not_trusted_yet_is_not_trusted_now(tmp_path: Path) -> None:
    """It was killed between being emptied and being marked."""
    store = filled(tmp_path)
    store._empty()
    die(store)
    store = opened(tmp_path, now=50)
    assert (store.rebuilt, store.caught_up_at()) == (Rebuilt.POWER_LOST, 50)
    store.close()


def test_what_lmdb_says_of_damage_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start as it is, and while running as a view that must be rebuilt."""

    def damaged(*_: object, **__: object) -> None:
        error = lmdb.CorruptedError()
        error.code = MDB_CORRUPTED
        raise error

    with monkeypatch.context() as context:
        context.setattr(ViewStore, "_note", damaged)
        with pytest.raises(lmdb.CorruptedError):
            opened(tmp_path)
    store = filled(tmp_path)
    with monkeypatch.context() as context:
        context.setattr(ViewStore, "_read_holds", damaged)
        with pytest.raises(ViewDamagedError, match="CorruptedError"):
            store.holds()
    assert opened(tmp_path).rebuilt is Rebuilt.NEW
