"""A minute of stories, as `make simulate` plays thousands of them; a seed replays; and planted bugs are found."""

import json
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from tests.simulation import faults, sometimes
from tests.simulation.evidence import Evidence
from tests.simulation.faults import Kind
from tests.simulation.shape import draw

SEEDS = 40  # of most of a minute on two cores
FEW = 150  # seeds at the most until a planted bug is found; the first bad one ends the search
BOUND_S = 600
MANY = 400  # seeds whose plans are looked at, but not played


def simulate(*arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit status, the last line, and what was said before it."""
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=BOUND_S)
    *said, last = done.stdout.splitlines() or [""]
    assert last.startswith("{"), done.stderr
    return done.returncode, json.loads(last), "\n".join(said) + done.stderr


@pytest.mark.timeout(BOUND_S)
def test_stories() -> None:
    """Whatever goes wrong, everything is settled in the end, and the verifier finds nothing."""
    status, told, said = simulate("--seeds", str(SEEDS))
    assert status == 0, said
    assert list(told) == ["seeds", "events", "faults", "violations", "never_reached"]
    assert told["seeds"] == SEEDS
    assert told["violations"] == 0
    assert told["events"] > 20 * SEEDS
    assert told["faults"] > SEEDS


def test_a_seed_replays() -> None:
    """The same seed is the same story to the last byte, and another one is another."""
    seeds = (5, 5, 6)
    digests = [said.split("digest ")[1].split(",")[0] for _, _, said in (simulate("--seed", str(k)) for k in seeds)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("step", "promise"),
    [
        ("watermark_at_the_position", "lost"),
        ("no_live_intents", "unrecorded"),
        ("no_settled_set", "duplicated"),
        ("any_order", "out_of_order"),
        ("retry_on_the_old_decision", "unconsented"),
    ],
)
def test_a_planted_bug_is_found(step: str, promise: str) -> None:
    """Without one step of the protocol a story soon breaks the promise that the step keeps."""
    status, told, said = simulate("--seeds", str(FEW), "--no-shrink", "--without", step)
    assert status == 1
    assert told["violations"]
    assert f"WRONG {promise}:" in said
    assert f"--without {step}" in said


def test_every_fault_is_planned() -> None:
    """Of so many seeds each fault of the closed set is in a plan, several times."""
    planned = Counter(fault.name for seed in range(MANY) for fault in faults.plan(draw(seed)))
    assert set(planned) == set(faults.names())
    assert min(planned.values()) > 2
    assert {fault.kind for seed in range(MANY) for fault in faults.plan(draw(seed))} == set(Kind)


def test_what_is_never_reached_is_named() -> None:
    """Everything, of no story at all."""
    unreached = sometimes.never(Evidence())
    assert len(unreached) == len(faults.names()) + len(sometimes.Rare)
    evidence = Evidence(done=Counter(faults.names()), reasons=Counter(["accepted"]))
    assert len(sometimes.never(evidence)) == len(sometimes.Rare) - 1
