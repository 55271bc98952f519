"""What the chart brings for Prometheus' and Grafana's operators: rules and dashboards, whose links lead somewhere."""

import json

import pytest
import yaml

from deploy.chart.places import CHART, ROOT
from gateway.observe.rules import RUNBOOK, Timing, render
from tests.deploy.charts import Chart, RefusedError, Rendered, Resource

OURS = "https://docs.example.jp/gateway/runbook"
MOST_BYTES = 1 << 20  # of a ConfigMap; what Kubernetes' database takes is 1.5 MiB for any object
DASHBOARDS = sorted((ROOT / "deploy" / "grafana").glob("*.json"))


def dashboards(rendered: Rendered) -> list[Resource]:
    component = "app.kubernetes.io/component"
    return [each for each in rendered.all("ConfigMap") if each["metadata"]["labels"][component] == "dashboard"]


def test_alerts_lead_to_the_installations_own_runbook(chart: Chart) -> None:
    """And are else those that are tested."""
    assert chart.render("operators").one("PrometheusRule")["spec"] == yaml.safe_load(render(Timing(), OURS))


def test_dashboards_are_taken_by_grafanas_sidecar_and_lead_there_too(chart: Chart) -> None:
    rendered = chart.render("operators")
    found = {name: text for each in dashboards(rendered) for name, text in each["data"].items()}
    for path in DASHBOARDS:
        assert json.loads(found.pop(path.name)) == json.loads(path.read_text("utf-8").replace(RUNBOOK, OURS))
    assert found == {}
    assert {path.name for path in (CHART / "files" / "dashboards").iterdir()} == {path.name for path in DASHBOARDS}
    for each in dashboards(rendered):
        assert each["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert each["metadata"]["annotations"] == {"grafana_folder": "Lending"}
        assert len(json.dumps(each, ensure_ascii=False).encode()) < MOST_BYTES
    assert "RUNBOOK_URL" not in rendered.text


def test_dashboards_are_looked_for_where_and_by_what_grafana_does(chart: Chart) -> None:
    wanted = {"enabled": True, "namespace": "monitoring", "label": "dashboards", "labelValue": "yes"}
    changes = {"grafana.dashboards": wanted, "prometheusRule.runbookUrl": OURS}
    found = dashboards(chart.render("least", changes))
    assert len(found) == len(DASHBOARDS)
    for each in found:
        assert each["metadata"]["namespace"] == "monitoring"
        assert each["metadata"]["labels"]["dashboards"] == "yes"
        assert "grafana_dashboard" not in each["metadata"]["labels"]
    assert dashboards(chart.render("least")) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prometheusRule.enabled": True}, "prometheusRule.runbookUrl: missing, but prometheusRule.enabled is true"),
        ({"grafana.dashboards": {"enabled": True}}, "runbookUrl: missing, but grafana.dashboards.enabled is true"),
        ({"prometheusRule.runbookUrl": "http://docs.example.jp/runbook"}, "/prometheusRule/runbookUrl'"),
        ({"prometheusRule.runbookUrl": f"{OURS}/"}, "/prometheusRule/runbookUrl'"),
        ({"prometheusRule.runbookUrl": "docs.example.jp/runbook"}, "/prometheusRule/runbookUrl'"),
        ({"grafana.dashboards": {"label": "a b"}}, "/grafana/dashboards/label': 'a b' does not match"),
    ],
    ids=lambda each: str(each)[:50],
)
def test_a_mistake_is_refused_with_the_line_to_change(chart: Chart, changes: dict[str, object], said: str) -> None:
    with pytest.raises(RefusedError) as refused:
        chart.render("least", changes)
    assert said in str(refused.value)
