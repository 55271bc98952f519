"""`gateway ledger tail` and `index` in a real terminal, while the ledger grows, until Ctrl-C."""

import sys
from pathlib import Path

import pexpect
import pytest

from gateway.cli.errors import Exit
from gateway.oncall.ledger import indexing
from gateway.oncall.ledger.following import TopicMadeAnewError
from tests.oncall.desk_world import T0, terminal_environment
from tests.oncall.ledger_world import LedgerWorld

INTERRUPTED = 130
BOUND_S = 60


@pytest.fixture(scope="module")
def world(kafka: str) -> LedgerWorld:
    """A ledger with a few records."""
    made = LedgerWorld(kafka)
    made.go_on(4)
    made.flush()
    return made


def start(world: LedgerWorld, *arguments: str) -> pexpect.spawn:
    return pexpect.spawn(
        sys.executable,
        ["-m", "gateway", "ledger", *arguments],
        env=terminal_environment(world),
        encoding="utf-8",
        dimensions=(24, 500),
        timeout=BOUND_S,
    )


def interrupt(process: pexpect.spawn) -> str:
    """Ctrl-C; what it still said. It must end by it, without a traceback."""
    process.sendintr()
    process.expect(pexpect.EOF)
    process.close()
    assert process.exitstatus == INTERRUPTED
    assert "Traceback" not in process.before
    return process.before


def test_tail_follows_until_interrupted(world: LedgerWorld) -> None:
    """What was there since the time given, then what comes and is wanted; what can't be read too."""
    process = start(world, "tail", "--since", "2026-05-01T09:00:00+09:00", "--subject", "subject-new")
    world.add(world.names.ledger, "stranger", b"nothing", at=T0)
    world.flush()
    process.expect("can't be read: not_avro")
    world.add_ledger((world.names.payments, 1, 77), "subject-new", at=T0 + 1_000)
    world.flush()
    process.expect("PROVIDED accepted  transmitted yes  [^ ]*lease.payments:1:77  subject subject-new")
    interrupt(process)


def test_index_follows_until_interrupted(world: LedgerWorld, tmp_path: Path) -> None:
    """What comes is in the database, and the end says how much that was."""
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    before = len(world.told()[0][0])
    process = start(world, "index", "--index", url)
    process.expect("following; Ctrl-C ends it")
    world.go_on(3)
    world.flush()
    process.expect(f"{before + 3} records indexed")
    assert f"{before + 3} records indexed" in interrupt(process)
    assert world.index(url).records == 0
    assert world.told() == world.told(index_url=url)


def test_index_ends_if_the_topic_is_made_anew(
    world: LedgerWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With that sentence and status 1, no traceback."""

    async def made_anew(*_: object) -> None:
        raise TopicMadeAnewError("the ledger was made anew while it was followed: start again")

    monkeypatch.setattr(indexing, "follow", made_anew)
    ended = world.run(["ledger", "index", "--index", f"sqlite:///{tmp_path / 'ledger.sqlite'}"])
    assert ended.status == Exit.FOUND_WRONG
    assert "error: the ledger was made anew while it was followed: start again" in ended.stderr
