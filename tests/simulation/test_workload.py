"""What goes into the topics follows from the seed, and what the verdict rests on is told apart."""

import hashlib
import zlib
from collections.abc import Container

from gateway import schemas
from gateway.sandbox.verifier.history import Raw, Topic
from tests.simulation import evidence
from tests.simulation.params import Params
from tests.simulation.replays import Settled
from tests.simulation.shape import draw
from tests.simulation.workload import NAMES, Append, Told, Workload

NOW = 1_795_309_200_000
SEEDS = range(60)


def played(seed: int, kept: Container[int] | None = None, **params: int) -> list[Append]:
    """All that is written in a story of this seed in which nothing is settled but one record."""
    shape = Params(seed, **params).shape
    written: list[Append] = []

    def write(append: Append, told: Told) -> None:
        written.append(append)
        first = zlib.crc32(repr(append).encode())  # wherever the others lie
        told(range(first, first + len(append.records)))

    settled = [Settled(NAMES.payments, 0, 3, "subject-1a", "held")]
    workload = Workload(shape, write, lambda: settled, lambda _, act: act(), lambda: NOW)
    workload.at_first()
    for _, act in sorted(workload.agenda(kept), key=lambda each: each[0]):
        act()
    workload.release_all()
    return written


def test_what_is_left_out_changes_nothing_else() -> None:
    """Of the same bytes some are not written, in the same order; those of what is left out, whatever kind it is."""
    for seed in SEEDS[:20]:
        every, some = played(seed), played(seed, range(0, 10_000, 2))
        rest = iter(every)
        assert all(append in rest for append in some)
        assert len(some) < len(every)
        assert played(seed, range(10_000)) == every


def digest(written: list[Append]) -> str:
    return hashlib.sha256(repr(written).encode()).hexdigest()


def test_a_seed_says_it_all() -> None:
    """The same seed writes the same bytes, another one others."""
    assert digest(played(7)) == digest(played(7)) != digest(played(8))


def test_as_many_events_as_wanted() -> None:
    """Whatever they are written in; consents, holds and replays come beside them."""
    for seed in SEEDS:
        written = played(seed, events=40)
        inputs = [append for append in written if append.topic in (NAMES.payments, NAMES.scores)]
        assert sum(len(append.records) for append in inputs) == 40
        assert sum(append.topic == NAMES.replays for append in written) >= draw(seed).replays


def test_every_hold_ends() -> None:
    """What was held is released, or a story could not settle."""
    for seed in SEEDS:
        states: dict[bytes | None, str] = {}
        for append in played(seed, events=10):
            if append.topic == NAMES.controls:
                ((key, value, _),) = append.records
                states[key] = schemas.decode(value or b"")[1]["state"]
        assert set(states.values()) <= {"released"}


def test_no_records_show_nothing() -> None:
    """Evidence is only what is there."""
    nothing: dict[Topic, list[Raw]] = {topic: [] for topic in Topic}
    found = evidence.of_records(nothing, [])
    assert not any(+getattr(found, name) for name in found.__slots__)
