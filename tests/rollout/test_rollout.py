"""A short rollout, as `make rollout` does a long one; and the terms that it takes from the chart."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.charts import Chart
from tests.rollout.exercise import COUNTS
from tests.rollout.terms import Terms

SHORT_S = 300  # whatever else this machine does


@pytest.mark.integration
@pytest.mark.timeout(SHORT_S)
@pytest.mark.usefixtures("helm")
def test_an_update_and_a_kill_move_no_lane(tmp_path: Path) -> None:
    """Two pods are replaced one after the other, one is killed; the verifier finds nothing wrong."""
    command = [sys.executable, "-m", "tests.rollout", "--short", "--directory", str(tmp_path / "run")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    assert (said["deeds"], said["restarts"]) == (2, 3)
    assert {said[name] for name in (*COUNTS, "lanes_moved_by_restarts")} == {0}
    assert said["events"] > 0


def test_terms_are_the_charts(helm: Path, tmp_path: Path) -> None:
    """What the chart says counts, and where it leaves a setting out, the gateway's own default."""
    chart = Chart(helm, tmp_path)
    terms = Terms.of(chart.render("least"))
    assert (terms.session_s, terms.rebalance_s, terms.at_once, terms.away) == (45, 60, True, 1)
    other = {
        "settings.kafka.session_timeout_ms": 20_000,
        "settings.lane.drain_ms": 10_000,
        "minReadySeconds": 3,
        "podDisruptionBudget": {"maxUnavailable": 2},
    }
    changed = Terms.of(chart.render("least", other))
    assert (changed.session_s, changed.min_ready_s, changed.away) == (20, 3, 2)
    assert changed.grace_s == terms.grace_s - 20


@pytest.fixture
def helm(tool: Callable[[str], Path]) -> Path:
    return tool("helm")
