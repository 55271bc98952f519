"""What an expression asks for, read from its syntax tree: metrics, labels, and how many series may come of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import promql_parser as promql
import yaml

from gateway.observe.metrics import reference
from tests.dashboards.checked_in import DIRECTORY

RULES = DIRECTORY.parent / "prometheus" / "rules.yaml"
SCRAPED = frozenset({"namespace", "job", "instance"})  # labels that every scraped series gets
OF_A_JOB = frozenset({"namespace", "job"})
OF_ALERTS = OF_A_JOB | {"alertname", "alertstate", "severity"}

Known = Mapping[str, tuple[str, frozenset[str]]]  # type and labels of a metric, by name
CHOOSING = ("topk", "bottomk")
# Labels whose values are few whatever runs: closed sets, three topics, a handful of certificates and releases.
FEW = frozenset(
    {"outcome", "reason", "topic", "kind", "result", "state", "cause", "code", "step", "scope", "partner", "name"}
    | {"le", "version", "severity", "alertname"}
)


@dataclass(frozen=True, slots=True)
class Selected:
    """One selector: a metric, what it must match, and whether it is taken at the end of the time on the screen."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]  # label, operator, value
    at_end: bool


def selectors(tree: promql.Expr) -> Iterator[Selected]:
    """Every selector in an expression."""
    found: list[promql.VectorSelector] = []

    def note(node: promql.Expr) -> bool:
        if isinstance(node, promql.VectorSelector):
            found.append(node)
        return True

    promql.walk(tree, note)
    for each in found:
        matchers = tuple((m.name, str(m.op).removeprefix("MatchOp."), m.value) for m in each.matchers.matchers)
        yield Selected(each.name or "", matchers, each.at is not None)


def known_metrics() -> Known:
    """(type, labels) of everything that may be asked for, by name."""
    known: dict[str, tuple[str, frozenset[str]]] = {}
    for name, kind, labels, _ in reference():
        has = SCRAPED | set(labels)
        if kind == "histogram":
            known |= {f"{name}_count": ("counter", has), f"{name}_sum": ("counter", has)}
            known[f"{name}_bucket"] = ("counter", has | {"le"})
        else:
            known[name] = (kind, has)
    for name in ("resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds"):
        known[f"process_{name}"] = ("gauge", SCRAPED)
    known["process_cpu_seconds_total"] = ("counter", SCRAPED)
    known["up"] = ("gauge", SCRAPED)
    known["ALERTS"] = ("gauge", OF_ALERTS)
    return known | dict.fromkeys(recorded(), ("gauge", OF_A_JOB))


def recorded() -> Iterator[str]:
    """The names that the shipped rules record."""
    for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"]:
        yield from (rule["record"] for rule in group["rules"] if "record" in rule)


def labels_of(tree: Any, known: Known) -> frozenset[str]:
    """The labels that a result may have."""
    labels: frozenset[str] = frozenset()
    match tree:
        case promql.VectorSelector():
            labels = known[tree.name or ""][1]
        case promql.MatrixSelector():
            labels = labels_of(tree.vector_selector, known)
        case promql.AggregateExpr() if str(tree.op) in CHOOSING:
            labels = labels_of(tree.expr, known)
        case promql.AggregateExpr() if tree.modifier:
            labels = frozenset(tree.modifier.labels)
        case promql.Call():
            labels = labels.union(*(labels_of(each, known) for each in tree.args))
            labels |= {tree.args[1].val} if tree.func.name == "label_replace" else labels
            labels -= {"le"} if tree.func.name == "histogram_quantile" else set()
        case promql.BinaryExpr() if str(tree.op) == "or":
            labels = labels_of(tree.lhs, known) | labels_of(tree.rhs, known)
        case promql.BinaryExpr():
            labels = labels_of(tree.lhs, known)
        case promql.ParenExpr() | promql.UnaryExpr():
            labels = labels_of(tree.expr, known)
    return labels


def most_series(tree: Any, known: Known, *, instant: bool) -> float:
    """How many series may come of it, infinity if that grows with processes or partitions; labels that tell few things
    apart count as one. Chosen over time, topk draws each series that was ever among the greatest: only at one moment
    is it a bound."""
    match tree:
        case promql.AggregateExpr() if str(tree.op) in CHOOSING:
            fixed = instant or all(selected.at_end for selected in selectors(tree.expr))
            return float(tree.param.val) if fixed else math.inf
        case promql.BinaryExpr() if str(tree.op) == "and":
            sides = (most_series(side, known, instant=instant) for side in (tree.lhs, tree.rhs))
            return min(sides)
        case promql.BinaryExpr() if str(tree.op) == "or":
            return most_series(tree.lhs, known, instant=instant) + most_series(tree.rhs, known, instant=instant)
        case promql.ParenExpr():
            return most_series(tree.expr, known, instant=instant)
    return 1 if labels_of(tree, known) <= FEW else math.inf
