"""A histogram that takes many observations at once: the client's own costs about 4 µs for each, this about 0.2.

Knows how Prometheus counts buckets. Must not know what is measured.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class BulkHistogram(Collector):
    """One histogram without labels; `bounds` ascend, and a last bucket without bound is added."""

    def __init__(self, name: str, sentence: str, bounds: Sequence[float], registry: CollectorRegistry) -> None:
        self._name = name
        self._sentence = sentence
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()  # scraped from another thread
        registry.register(self)

    def observe_many(self, values: Sequence[float]) -> None:
        """Count each value in the first bucket whose bound is not below it."""
        bounds, counts = self._bounds, self._counts
        with self._lock:
            for value in values:
                counts[bisect_left(bounds, value)] += 1
            self._sum += sum(values)

    def observe_counts(self, counts: Mapping[int, int]) -> None:
        """Value -> how often it came."""
        with self._lock:
            for value, count in counts.items():
                self._counts[bisect_left(self._bounds, value)] += count
                self._sum += value * count

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """The metric as it stands."""
        with self._lock:
            upto, total = list(accumulate(self._counts)), self._sum
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        yield HistogramMetricFamily(
            self._name, self._sentence, buckets=list(zip(names, map(float, upto), strict=True)), sum_value=total
        )
