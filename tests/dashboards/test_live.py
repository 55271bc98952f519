"""Every expression asked of a real Prometheus that watches the demo: none is refused, and none shows nothing."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.dashboards.checked_in import FILES, Asked, annotations, asked, dashboard, filled
from tests.dashboards.questions import recorded
from tests.integration.test_demo import processes_of

EVENTS = 4_000  # enough for every outcome, and for an alert about consents that nobody can make sense of
RUN_SECONDS = 180
SEEN_SECONDS = 20
END_SECONDS = 20
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Prometheus:
    """The one beside the demo, and when that began."""

    url: str
    began: float

    def get(self, path: str, **parameters: object) -> Any:
        """What it answers; a refusal raises with its reason."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params={k: str(v) for k, v in parameters.items()}, timeout=30)
        assert answer.is_success, answer.text
        return answer.json()["data"]

    def values(self, question: Asked) -> list[float]:
        """Every number that a panel would show, over the whole run if it is a curve."""
        now = time.time()
        if question.instant:
            found = self.get("query", query=question.filled, time=now)["result"]
            samples = [series["value"] for series in found]
        else:
            found = self.get("query_range", query=question.filled, start=self.began, end=now, step=1)["result"]
            samples = [sample for series in found for sample in series["values"]]
        return [number for _, value in samples if math.isfinite(number := float(value))]

    def number(self, query: str) -> float:
        """The sum of what a query finds now."""
        return sum(float(series["value"][1]) for series in self.get("query", query=query)["result"])


@pytest.fixture(scope="module")
def prometheus(tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Up beside a demo that has come to its verdict; in the end Ctrl-C ends both, and nothing stays behind."""
    programs, directory = tool("prometheus").parent, tmp_path_factory.mktemp("demo")
    report, began = directory / "report.json", time.time()
    arguments = ["--monitor", "--stay", "--no-board", "--events", str(EVENTS), "--report", str(report)]
    run = subprocess.Popen(
        [sys.executable, "-m", "gateway", "demo", *arguments],
        env={**os.environ, "TMPDIR": str(directory), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        stdout=(directory / "said").open("wb"),
        stderr=subprocess.STDOUT,
    )
    try:
        until(lambda: report.is_file() or run.poll() is not None, RUN_SECONDS)
        assert report.is_file(), (directory / "said").read_text()
        told = json.loads(report.read_text())
        here = Prometheus(told["endpoints"]["prometheus"], began)
        until(lambda: here.number("sum(gateway_settled_total)") >= told["produced"], SEEN_SECONDS)
        yield here
        run.send_signal(signal.SIGINT)
        assert run.wait(END_SECONDS) == 0, (directory / "said").read_text()
        assert processes_of(directory) == []
        assert {path.name for path in directory.iterdir()} == {"report.json", "said"}
    finally:
        run.kill()
        run.wait()


def until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for another process, which can only be polled."""
    give_up_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_at, f"not within {seconds:.0f} s"
        time.sleep(POLL_SECONDS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_panel_is_empty(prometheus: Prometheus, path: Path) -> None:
    """Each query of each panel has a number at some moment of the run."""
    assert [question.where for question in asked(path) if not prometheus.values(question)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_alerts_are_drawn(prometheus: Prometheus, path: Path) -> None:
    """The demo's consents are odd enough for an alert, and every dashboard marks it."""
    assert all(prometheus.values(question) for question in annotations(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_there_is_something_to_choose(prometheus: Prometheus, path: Path) -> None:
    """Each variable that Prometheus is asked for has values."""
    for variable in dashboard(path)["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = filled(variable["query"]["query"]).removeprefix("label_values(").rstrip(")").rsplit(", ", 1)
            assert prometheus.get(f"label/{label}/values", **{"match[]": metric}), variable["name"]


def test_what_is_recorded_is_there(prometheus: Prometheus) -> None:
    """Prometheus took the shipped rules, and none of them fails."""
    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
    assert {rule["name"] for rule in rules} >= set(recorded())
    assert all(prometheus.get("query", query=name)["result"] for name in set(recorded()))
