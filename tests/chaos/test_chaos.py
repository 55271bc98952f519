"""A minute of chaos, as `make chaos` does half an hour of it; and its parts."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.plan import LONG_STOP_S, Kind, Plan
from tests.chaos.points import Point
from tests.chaos.run import COUNTS

MINUTE_S = 600  # with the start, the end, the verdict, and whatever else this machine does
FULL = Plan(minutes=30, seed=1)


@pytest.mark.integration
@pytest.mark.timeout(MINUTE_S)
def test_a_minute_of_chaos(tmp_path: Path) -> None:
    """Whatever is killed, stopped or cut off: the verifier finds nothing wrong, and all that was planned happened."""
    command = [sys.executable, "-m", "tests.chaos", "--minutes", "1", "--directory", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert list(said) == ["minutes", "kills", "broker_faults", "events", *COUNTS]
    assert {said[name] for name in COUNTS} == {0}
    assert said["kills"] >= len(Point)
    assert said["broker_faults"] >= 2
    assert said["events"] >= Plan(1, 0).events


def test_half_an_hour_is_enough() -> None:
    """A million events, ten kills at each named point, 150 kills and 20 faults of the broker."""
    actions = Counter(action.name for action in FULL.actions())
    kinds = Counter(action.kind for action in FULL.actions())
    assert FULL.events >= 1_000_000
    assert all(actions[f"kill_at {point.value}"] >= 10 for point in Point)
    assert kinds[Kind.KILL_AT] + kinds[Kind.KILL] >= 150
    assert kinds[Kind.BROKER_KILL] + kinds[Kind.BROKER_STOP] >= 20


def test_one_stop_is_long() -> None:
    """Past what brokers give a transaction, once in a run that has the time for it."""
    assert [action.seconds for action in FULL.actions()].count(LONG_STOP_S) == 1
    assert max(action.seconds for action in Plan(1, 7).actions()) < LONG_STOP_S


def test_a_seed_says_it_all() -> None:
    """The same seed is the same plan, another one is another."""
    assert FULL.actions() == Plan(30, 1).actions()
    assert FULL.actions() != Plan(30, 2).actions()


def test_every_kind_happens_in_a_minute() -> None:
    """The short run leaves no kind out, and no point."""
    actions = Plan(1, 7).actions()
    assert {action.kind for action in actions} == set(Kind)
    assert {action.detail for action in actions if action.kind is Kind.KILL_AT} == set(Point)
