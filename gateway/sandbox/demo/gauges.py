"""Reads the few numbers that the board shows out of the gateway's metrics.

Knows the text form of metrics and those names. Must not know where the text comes from.
"""

from __future__ import annotations

import re

_SAMPLE = re.compile(r"^(?P<name>[a-z_]+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)$", re.MULTILINE)


def total(metrics: str, name: str, label: str = "") -> int:
    """The sum of a metric over all its series that have this label, such as `state="in_flight"`."""
    return int(
        sum(
            float(sample["value"])
            for sample in _SAMPLE.finditer(metrics)
            if sample["name"] == name and label in (sample["labels"] or "")
        )
    )


def in_flight(metrics: str) -> int:
    """Events on their way to GeNiE."""
    return total(metrics, "gateway_lane_records", 'state="in_flight"')


def taken(metrics: str) -> int:
    """Events that the gateway has taken from Kafka and not settled."""
    return total(metrics, "gateway_lane_unsettled_records")
