"""Metrics are declared here: each with its prefix, its sentence and its labels, of which there is a bound.

Knows the Prometheus client. Must not know which metrics there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from gateway.observe.histogram import BulkHistogram

PREFIX = "gateway_"
OTHER = "other"
MAX_SERIES = 1_000  # of one metric; more label values than any sane set-up has become OTHER


class Series:
    """Children of one metric by label values, each looked up once; beyond MAX_SERIES all share one child."""

    def __init__(self, metric: Any) -> None:
        self._metric = metric
        self._children: dict[tuple[str, ...], Any] = {}

    def __call__(self, *values: str) -> Any:
        child = self._children.get(values)
        if child is None:
            if len(self._children) >= MAX_SERIES:
                values = (OTHER,) * len(values)
            child = self._children[values] = self._metric.labels(*values)
        return child


class Declared:
    """Metrics on a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a creation time beside each series helps nobody
        self.registry = CollectorRegistry()
        self._labels: dict[str, tuple[str, ...]] = {}

    def declared(self) -> Iterator[tuple[str, str, tuple[str, ...], str]]:
        """(name, type, labels, sentence) of every metric of ours in the registry."""
        for metric in self.registry.collect():
            name = f"{metric.name}_total" if metric.type == "counter" else metric.name
            if name in self._labels:
                yield name, metric.type, self._labels[name], metric.documentation

    def _counter(self, name: str, sentence: str, *labels: str) -> Counter:
        return Counter(self._name(name, labels), sentence, labels, registry=self.registry)

    def _gauge(self, name: str, sentence: str, *labels: str) -> Gauge:
        return Gauge(self._name(name, labels), sentence, labels, registry=self.registry)

    def _histogram(self, name: str, sentence: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(self._name(name, labels), sentence, labels, buckets=buckets, registry=self.registry)

    def _bulk_histogram(self, name: str, sentence: str, buckets: Sequence[float]) -> BulkHistogram:
        return BulkHistogram(self._name(name, ()), sentence, buckets, self.registry)

    def _name(self, name: str, labels: tuple[str, ...]) -> str:
        self._labels[PREFIX + name] = labels
        return PREFIX + name
