"""`gateway ledger tail` and `count`: what they print, from the topic and from an index."""

import itertools

import orjson
import pytest

from gateway.cli.errors import Exit
from gateway.oncall.ledger.counting import By, count
from gateway.oncall.ledger.source import open_ledger
from tests.oncall import golden
from tests.oncall.ledger_world import LedgerWorld


@pytest.fixture(scope="module")
def world(kafka: str) -> LedgerWorld:
    """Thirty records, two of them unreadable."""
    made = LedgerWorld(kafka)
    made.go_on(30, unreadable=2)
    return made


@pytest.fixture(scope="module")
def url(world: LedgerWorld, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An index of the first twenty-odd, so that the rest comes from the topic."""
    made = f"sqlite:///{tmp_path_factory.mktemp('index') / 'ledger.sqlite'}"
    world.index(made)
    world.go_on(6)
    return made


@pytest.mark.parametrize("source", ["topic", "index"])
def test_counts(world: LedgerWorld, url: str, source: str) -> None:
    """By outcome, reason and whether GeNiE has it; what can't be read is told."""
    ended = world.run(["ledger", "count", "--index", "topic" if source == "topic" else url])
    assert ended.status == Exit.DONE
    golden.check("ledger_count.txt", ended.stdout.rpartition("read from")[0])


def test_counts_of_every_grouping_are_alike(world: LedgerWorld, url: str) -> None:
    """What the database counts is what counting one by one gives, times and filters included."""
    groupings = [by for size in (1, 2, 5) for by in itertools.combinations(By, size)]

    async def counting(desk, index):
        async with open_ledger(desk, index) as ledger:
            return [await count(ledger, by) for by in groupings], ledger.unreadable

    assert world.at_desk(lambda desk: counting(desk, url)) == world.at_desk(lambda desk: counting(desk, "topic"))


def test_counts_as_json(world: LedgerWorld, url: str) -> None:
    """One object; times as they were understood."""
    arguments = ["--by", "day,event_type", "--since", "2026-05-01T09:05:00+09:00", "--transmitted", "yes", "--json"]
    ended = world.run(["ledger", "count", "--index", "topic", *arguments])
    golden.check("ledger_count.json", ended.stdout)


def test_tail_ends_where_the_ledger_does(world: LedgerWorld, url: str) -> None:
    """With --once, filtered, from an index too."""
    arguments = ["ledger", "tail", "--once", "--since", "2026-05-01T09:10:00+09:00", "--outcome", "PROVIDED"]
    ended = world.run([*arguments, "--index", "topic"])
    golden.check("ledger_tail.txt", ended.stdout + ended.stderr)
    assert world.run([*arguments, "--index", url]) == ended


def test_tail_as_json(world: LedgerWorld, url: str) -> None:
    """A record a line, with nothing left out."""
    ended = world.run(["ledger", "tail", "--once", "--index", "topic", "--json", "--reason", "same_event"])
    lines = [orjson.loads(line) for line in ended.stdout.splitlines()]
    assert {line["reason"] for line in lines} == {"same_event"}
    golden.check("ledger_tail.json", orjson.dumps(lines[0], option=orjson.OPT_INDENT_2).decode() + "\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["count", "--by", "outcome,outcome"], "--by outcome,outcome: give some of"),
        (["count", "--reason", "acepted"], "--reason acepted: give one of accepted"),
        (["tail", "--input", "payments:1"], "--input payments:1: give topic:partition:offset"),
        (["count", "--index", "sqlite:////nowhere/at/all.sqlite"], "No such file or directory"),
        (["count", "--index", "mysql://root@db/x"], "give sqlite:////path/to/file or postgresql://"),
    ],
)
def test_mistakes_are_told(world: LedgerWorld, arguments: list[str], message: str) -> None:
    """A word that no record can have is no empty answer."""
    ended = world.run(["ledger", *arguments])
    assert (ended.stdout, ended.status in (Exit.WRONG_USE, Exit.FOUND_WRONG)) == ("", True)
    assert message in ended.stderr
