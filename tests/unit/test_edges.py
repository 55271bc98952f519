"""docs/faults.md and the result of `make edges`."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from gateway.observe.metrics import reference
from gateway.sandbox.broker import NodeError
from tests import edges
from tests.edges import DOCUMENT, Collection, Results, summary
from tests.faults import Fault, Where, document

ROOT = DOCUMENT.parents[1]
RUNBOOK = ROOT / "docs" / "runbook.md"
LINKS = re.compile(r"\[(\w+)\]\(\.\./(tests/[\w/]+\.py)\)")
METRIC = re.compile(r"\b(gateway_[a-z0-9_]+)(?:\{([^}]*)\})?")
JUDGES = {"judged", "judge"}  # World.judged, and the promises' own, which also fails without what it proves

# Proofs of faults that no verifier judges, and why.
UNJUDGED = {
    "test_start_errors.py": "nothing starts",
    "test_kafka_security.py": "the verifier knows no login; what is looked at is what may be done, and what is said",
    "test_own_trouble_kafka_keys.py": "the verifier knows no login",
    "test_a_log_truncated_past_the_watermark": "counts of the verdict; what GeNiE got of deleted records has no input",
    "test_an_input_topic_deleted_and_made_anew": "the old records are gone, and the new ones have their offsets",
}


FAULT = Fault(Where.GENIE, "silence", "waits", "gateway_genie_slots")


# --- the page -----------------------------------------------------------------------------------------------


def test_document_is_what_the_tests_say() -> None:
    """docs/faults.md is written from the tests, and is not stale."""
    command = [sys.executable, "-m", "tests.edges", "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_faults_that_are_treated_alike_share_a_row() -> None:
    """The row has all their names and names each test once."""
    noise, other = replace(FAULT, name="noise"), Fault(Where.KAFKA, "away", "waits", "ready")
    proofs = {FAULT: ["tests/a.py::test_silence[1]"], noise: ["tests/a.py::test_noise"], other: ["tests/b.py::test_b"]}
    rows = document(proofs).splitlines()
    link = "[test_noise](../tests/a.py), [test_silence](../tests/a.py)"
    assert f"| noise<br>silence | waits | gateway_genie_slots | {link} |" in rows
    assert "| away | waits | ready | [test_b](../tests/b.py) |" in rows


@pytest.mark.parametrize("path", [DOCUMENT, RUNBOOK], ids=lambda path: path.name)
def test_metrics_that_a_page_names_exist(path: Path) -> None:
    """Each name is one that /metrics shows, letter by letter, and so is each label."""
    text = path.read_text("utf-8")
    assert list(unknown_metrics(text)) == []


def test_a_metric_that_does_not_exist_is_found() -> None:
    """Neither a beginning of a name nor another label passes."""
    text = '`gateway_lane_window_span`, `gateway_lane_stops_total{reason="x"}`, `gateway_lane_stops_total{code}`'
    assert list(unknown_metrics(text)) == ["gateway_lane_window_span", "gateway_lane_stops_total: reason"]


def unknown_metrics(text: str) -> Iterator[str]:
    """What a page says of metrics that is not so."""
    known = shown()
    for name, labels in METRIC.findall(text):
        if name not in known:
            yield name
            continue
        for label in filter(None, (part.partition("=")[0].strip() for part in labels.split(","))):
            if label not in known[name]:
                yield f"{name}: {label}"


@cache
def shown() -> Mapping[str, set[str]]:
    """The names that /metrics shows, and their labels."""
    names: dict[str, set[str]] = {}
    for name, kind, labels, _ in reference():
        endings = ("", "_bucket", "_count", "_sum") if kind == "histogram" else ("",)
        names |= {name + ending: set(labels) for ending in endings}
    return names


# --- what judges the proofs ---------------------------------------------------------------------------------


def test_every_proof_is_judged_or_says_why_not() -> None:
    """A test of a fault asks the independent verifier, itself or through its fixture, or is listed with a reason."""
    proofs = {(ROOT / path, name) for name, path in LINKS.findall(DOCUMENT.read_text("utf-8"))}
    whole = {(path, name) for path, name in proofs if "integration" in path.parts}
    assert len(whole) > 50, "the links are not found any more"
    unjudged = {(path.name, name) for path, name in whole if not is_judged(path, name)}
    assert {each for each in unjudged if UNJUDGED.keys().isdisjoint(each)} == set()
    assert UNJUDGED.keys() - {word for each in unjudged for word in each} == set(), "judged after all, or gone"


def test_a_test_that_asks_nobody_is_found(tmp_path: Path) -> None:
    """A verdict counts where a test, a fixture of its or a function that it calls asks for it, and nowhere else."""
    path = tmp_path / "test_x.py"
    path.write_text(
        "async def run(): return await story()\n"
        "async def story(): await world.judged()\n"
        "def test_by_fixture(run): pass\n"
        "def test_alone(world): world.ledger\n"
    )
    assert is_judged(path, "test_by_fixture")
    assert not is_judged(path, "test_alone")


def is_judged(path: Path, name: str) -> bool:
    """Whether one of JUDGES is within reach of this function."""
    seen: set[tuple[Path, str]] = set()
    ahead = [(path, name)]
    while ahead:
        at = ahead.pop()
        if at in seen or (found := functions(at[0]).get(at[1])) is None:
            continue
        seen.add(at)
        words = set(words_of(found))
        if words & JUDGES:
            return True
        ahead += [(imports(at[0]).get(word, at[0]), word) for word in words]
    return False


def words_of(function: ast.AST) -> Iterator[str]:
    """Every name in it, the arguments too: a fixture is asked for by one."""
    for node in ast.walk(function):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name


@cache
def functions(path: Path) -> Mapping[str, ast.AST]:
    body = ast.parse(path.read_text("utf-8")).body
    return {node.name: node for node in body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


@cache
def imports(path: Path) -> Mapping[str, Path]:
    """What a module takes from other modules of the tests, and where these are."""
    taken: dict[str, Path] = {}
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests.integration"):
            source = ROOT / f"{(node.module or '').replace('.', '/')}.py"
            taken |= {alias.name: source for alias in node.names if source.exists()}
    return taken


# --- the last line ------------------------------------------------------------------------------------------


def test_fault_with_a_failing_test_is_named() -> None:
    """A fault passes only if all its tests do; a test that was skipped or never ran has not passed."""
    results = Results()
    results.passed = {"a", "b"}
    other = Fault(Where.KAFKA, "away", "waits", "ready")
    skipped = Fault(Where.OWN, "no disk", "ends", "exit status")
    assert summary({FAULT: ["a"], other: ["a", "b"]}, results) == {"faults": 2, "passed": 2, "failed": []}
    results.failed = {"b"}
    assert summary({FAULT: ["a"], other: ["a", "b"], skipped: ["c"]}, results) == {
        "faults": 3,
        "passed": 1,
        "failed": ["away", "no disk"],
    }


def test_only_what_is_selected_is_counted() -> None:
    """What the arguments leave out is no fault of this run."""
    arguments = ["tests/unit/test_recorded.py", "tests/integration/test_releases.py", "-k", "metadata"]
    program = f"from tests.edges import collect; print([fault.name for fault in collect({arguments}).proofs])"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ast.literal_eval(ended.stdout.splitlines()[-1]) == [
        "a gateway is replaced by the next release, or by the one before"
    ]


def no_node() -> None:
    raise NodeError("it did not start")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        pytest.param(2, "collecting the tests ended with status 2", id="a file that can't be imported"),
        pytest.param(5, "no test of a fault is selected", id="a word that no test has"),
        pytest.param(0, "it did not start", id="a node that does not start"),
    ],
)
def test_the_last_line_comes_whatever_happens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], status: int, error: str
) -> None:
    """Without a run no fault has passed, and the line says why there was none."""
    monkeypatch.setattr(edges, "collect", lambda _: Collection({FAULT: ["a"]}, status))
    monkeypatch.setattr(edges, "Node", no_node)
    assert edges.run([]) == edges.COULD_NOT
    line = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(line) == {"faults": 1, "passed": 0, "failed": ["silence"], "error": error}
