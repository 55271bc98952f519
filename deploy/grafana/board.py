"""What all dashboards have in common: variables, links between them and to the runbook, alerts drawn as annotations.

Knows Grafana's frame around panels. Must not know any panel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard

from deploy.grafana.panels import ORANGE, RUNBOOK, SOURCE, Panel
from deploy.grafana.promql import recorded
from gateway.observe.rules import RUNBOOK as RUNBOOK_URL

TAG = "credit-gateway"
KNOWN_BY = "gateway_build_info"  # what every process shows: who there is, is read from it
EVERY = "30s"
_QUERY_REF = "PrometheusVariableQueryEditor-VariableQuery"  # Grafana's own name for it
_LABEL_VALUES = 1


@dataclass(frozen=True, slots=True)
class Section:
    """A row of the dashboard, with a question or a subject over it."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard: `name` is its file's and part of its address."""

    name: str
    title: str
    description: str
    sections: Sequence[Section]
    variables: Sequence[builders.QueryVariable] = ()

    def build(self) -> dashboard.Dashboard:
        """As Grafana's model has it; panels are laid out in the order given and numbered."""
        board = (
            builders.Dashboard(self.title)
            .uid(f"{TAG}-{self.name}")
            .description(self.description)
            .tags([TAG])
            .readonly()
            .time("now-3h", "now")
            .timezone("browser")
            .refresh(EVERY)
            .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
            .variables([_source(), *_whose(), *self.variables, _runbook()])
            .links([_runbook_link(), _siblings()])
            .annotations([_Alerts()])
        )
        for section in self.sections:
            board.with_row(builders.Row(section.title))
            for panel in section.panels:
                board.with_panel(panel)
        built = board.build()
        for number, placed in enumerate(built.panels or [], start=1):
            placed.id_val = number
        return built


def choice(name: str, label: str, metric: str, of: str, *, nothing_too: bool = False) -> builders.QueryVariable:
    """A variable: the values that label `of` has in a metric; any number of them, at first all. `nothing_too`: all
    includes series without that label."""
    asked = {"qryType": _LABEL_VALUES, "query": f"label_values({metric}, {of})", "refId": _QUERY_REF}
    return (
        builders.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(asked)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*" if nothing_too else ".+")
        .current(dashboard.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _source() -> builders.DatasourceVariable:
    return builders.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _whose() -> list[builders.QueryVariable]:
    """Each narrows the next. Outside Kubernetes there may be no namespace."""
    namespace = choice("namespace", "Namespace", KNOWN_BY, "namespace", nothing_too=True)
    job = choice("job", "Job", f'{KNOWN_BY}{{namespace=~"$namespace"}}', "job")
    instance = choice("instance", "Instance", f'{KNOWN_BY}{{namespace=~"$namespace",job=~"$job"}}', "instance")
    return [namespace, job, instance]


def _runbook() -> builders.TextBoxVariable:
    """Where it is served is known only where it is: anyone can say it, for himself and in an address."""
    there = dashboard.VariableOption(selected=True, text=RUNBOOK_URL, value=RUNBOOK_URL)
    return builders.TextBoxVariable("runbook").label("Runbook").default_value(RUNBOOK_URL).current(there)


def _runbook_link() -> builders.DashboardLink:
    link = builders.DashboardLink("Runbook").type(dashboard.DashboardLinkType.LINK).url(f"{RUNBOOK}.html")
    return link.icon("doc").tooltip("What each sign means, and what to type").target_blank(True)


def _siblings() -> builders.DashboardLink:
    link = builders.DashboardLink("Credit gateway").type(dashboard.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.include_vars(True).keep_time(True)


class _Firing(dashboard.AnnotationQuery):
    """The Prometheus data source has fields of its own for the text of an annotation; the model lacks them."""

    def to_json(self) -> dict[str, object]:
        texts = {"titleFormat": "{{alertname}}", "textFormat": "{{severity}}", "tagKeys": "alertname,severity"}
        return {**super().to_json(), **texts}


class _Alerts(builders.AnnotationQuery):
    def build(self) -> dashboard.AnnotationQuery:
        expr = recorded("ALERTS", 'alertstate="firing"', 'alertname=~"Gateway.+"')
        return _Firing(name="Alerts", datasource=SOURCE, enable=True, icon_color=ORANGE, expr=expr)
