"""The shipped rules: every alert fires when it must and is silent when it must, judged by promtool."""

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from prometheus_client import generate_latest

from gateway import docs
from gateway.core.reasons import Reason
from gateway.observe import rules
from gateway.observe.metrics import Metrics
from gateway.observe.metrics import reference as metrics
from tests.monitoring import cases_objective, cases_processes, cases_records
from tests.monitoring.promtool import Case, judge

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "deploy" / "prometheus" / "rules.yaml"
RUNBOOK = ROOT / "docs" / "runbook"
CASES = [*cases_objective.CASES, *cases_processes.CASES, *cases_records.CASES]
ALERTS = list(rules.alerts(rules.Timing()))
_PLACEHOLDER = re.compile(r"\$(\w+)(?:\.(\w+))?")
_OUR_METRIC = re.compile(r"\bgateway_\w+")


@pytest.fixture(scope="module")
def promtool(tool: Callable[[str], Path]) -> Path:
    return tool("promtool")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alert}: {case.name}")
def test_an_alert(case: Case, promtool: Path, tmp_path: Path) -> None:
    """It fires at these times, and at those it is silent."""
    assert judge(promtool, SHIPPED.read_text("utf-8"), case, tmp_path) == ""


def test_each_alert_has_a_case_that_fires_it_and_one_that_does_not() -> None:
    """With each of its severities."""
    fired = {(c.alert, s) for c in CASES for e in c.at.values() for s in re.findall(r'severity="(\w+)"', " ".join(e))}
    assert fired == {(rule.alert, rule.severity) for rule in ALERTS}
    silent = {case.alert for case in CASES if not any(case.at.values())}
    assert silent == {rule.alert for rule in ALERTS}


def test_a_case_can_fail(promtool: Path, tmp_path: Path) -> None:
    """A rule that never fires is found."""
    case = next(case for case in CASES if case.alert == "GatewayLaneStopped" and any(case.at.values()))
    deaf = SHIPPED.read_text("utf-8").replace("gateway_lane_stops_total", "gateway_lane_stop_total")
    assert "genie_forbidden" in judge(promtool, deaf, case, tmp_path)


def test_promtool_finds_nothing_wrong(promtool: Path) -> None:
    """Neither an error nor a warning, in the rules and on the page of a real process."""
    checked = subprocess.run(
        [promtool, "check", "rules", "--lint-fatal", SHIPPED], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
    shown = Metrics("1.2.3", "replica-0")
    shown.lane_opened("lease.payments", 0)
    page = generate_latest(shown.registry)
    looked = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, check=False)
    assert (looked.returncode, looked.stdout, looked.stderr) == (0, b"", b"")


def test_the_file_is_what_the_code_says() -> None:
    """With the durations that are shipped."""
    assert yaml.safe_load(SHIPPED.read_text("utf-8")) == yaml.safe_load(rules.render(rules.Timing()))


def test_no_rule_asks_for_what_does_not_exist() -> None:
    """Metrics of ours, reasons of ours, and what is recorded before."""
    kinds = {name: kind for name, kind, *_ in metrics()}
    known = kinds.keys() | {
        f"{name}_{part}" for name, kind in kinds.items() if kind == "histogram" for part in ("count", "sum", "bucket")
    }
    recorded = dict(rules.recorded(rules.Timing()))
    for expr in (*recorded.values(), *(rule.expr for rule in ALERTS)):
        assert set(re.findall(r"job:\w+:\w+", expr)) <= recorded.keys()
        assert set(_OUR_METRIC.findall(re.sub(r"job:\w+:\w+", "", expr))) <= known, expr
    named = {
        word
        for rule in ALERTS
        for words in re.findall(r'reason[=!]~?"([^"]+)"', rule.expr)
        for word in words.split("|")
    }
    assert named <= {reason.code for reason in Reason}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule.alert} {rule.severity}")
def test_an_alert_says_what_to_do(rule: rules.Rule) -> None:
    """A line to group by, what is seen, a page that exists; and nothing in it but labels of closed sets and numbers."""
    (read,) = [r for r in _read() if (r.get("alert"), r.get("labels")) == (rule.alert, {"severity": rule.severity})]
    said = read["annotations"]
    assert set(said) == {"summary", "description", "runbook_url"}
    assert "{{" not in said["summary"]
    name = said["runbook_url"].removeprefix(f"{rules.RUNBOOK}/").removesuffix(".html")
    assert name == rule.alert
    assert (RUNBOOK / f"{name}.md").exists()
    asked = "\n".join([rule.expr, *(expr for name, expr in rules.recorded(rules.Timing()) if name in rule.expr)])
    labels = {label for labels in re.findall(r"by \(([^)]*)\)", asked) for label in labels.split(", ")}
    for what, label in _PLACEHOLDER.findall(said["description"]):
        assert what == "value" or label in labels | {"job", "instance", "reason"}, label
    assert rule.severity in {rules.PAGE, rules.TICKET}


def test_the_rules_can_be_written_with_ones_own_runbook() -> None:
    """By the line that docs/how-to/watch.md says."""
    page = (ROOT / "docs" / "how-to" / "watch.md").read_text("utf-8")
    (line,) = [line.strip() for line in page.splitlines() if line.strip().startswith("sed ")]
    command, target = line.split(" > ")
    ended = subprocess.run(shlex.split(command), capture_output=True, cwd=ROOT, text=True, check=True, timeout=10)
    own = rules.render(rules.Timing(), "https://docs.example.jp/gateway/runbook")
    assert yaml.safe_load(ended.stdout) == yaml.safe_load(own)
    assert target == "rules.yaml"


def test_every_alert_has_words_and_no_words_are_left_over() -> None:
    """In the same order, so that file, pages and runbook read alike."""
    assert list(rules.words()) == list(dict.fromkeys(rule.alert for rule in ALERTS))


def test_the_runbook_lists_every_alert() -> None:
    """As what it calls, with its sentence."""
    listed = re.findall(
        r"^\| \[`(Gateway\w+)`\]\((\S+)\) \| (.+) \| (.+) \|$",
        (ROOT / "docs" / "runbook.md").read_text("utf-8"),
        re.MULTILINE,
    )
    severities = {name: " or ".join(r.severity for r in ALERTS if r.alert == name) for name in rules.words()}
    assert listed == [
        (name, f"runbook/{name}.md", severities[name], words.summary) for name, words in rules.words().items()
    ]


def test_what_a_page_names_exists() -> None:
    """Nobody looks at 3 a.m. for a metric that was renamed."""
    kinds = {name: kind for name, kind, *_ in metrics()}
    known = kinds.keys() | {f"{name}_count" for name, kind in kinds.items() if kind == "histogram"}
    said = "\n".join(path.read_text("utf-8") for path in docs.render() if path.name.startswith("Gateway"))
    words = {name for text in re.findall(r"`([^`\n]+)`", said) for name in _OUR_METRIC.findall(text)}
    assert words <= known


def _read() -> list[dict[str, object]]:
    return [rule for group in yaml.safe_load(SHIPPED.read_text("utf-8"))["groups"] for rule in group["rules"]]
