"""The few shapes of PromQL that every panel is made of.

Knows how series are chosen by the dashboard's variables, and that a rate's window is Grafana's to choose. Must not know
any panel.
"""

from __future__ import annotations

import re

JOBS = ('namespace=~"$namespace"', 'job=~"$job"')
WATCHED = (*JOBS, 'instance=~"$instance"')
WINDOW = "$__rate_interval"
SHOWN = "$__range"  # the whole time on the screen
LANE = ("topic", "partition")
PROCESS = ("namespace", "job", "instance")
_SELECTOR = re.compile(r"\{[^}]*\}(\[[^]]*\])?")


def series(name: str, *matchers: str) -> str:
    """The series of a metric that the dashboard's variables choose, and these matchers besides."""
    return f"{name}{{{','.join((*WATCHED, *matchers))}}}"


def recorded(name: str, *matchers: str) -> str:
    """The same of what is one for a whole gateway: what rules record, alerts, a promise."""
    return f"{name}{{{','.join((*JOBS, *matchers))}}}"


def rate(name: str, *matchers: str) -> str:
    """A counter's growth a second."""
    return f"rate({series(name, *matchers)}[{WINDOW}])"


def growth(name: str, *matchers: str) -> str:
    """How much a counter grew in each step on the screen."""
    return f"increase({series(name, *matchers)}[{WINDOW}])"


def grown(name: str, *matchers: str) -> str:
    """How much a counter grew in all the time on the screen."""
    return f"increase({series(name, *matchers)}[{SHOWN}])"


def total(expression: str, *by: str) -> str:
    """The sum over everything but these labels."""
    return f"sum{_by(by)} ({expression})"


def most(expression: str, *by: str) -> str:
    """The greatest over everything but these labels."""
    return f"max{_by(by)} ({expression})"


def least(expression: str, *by: str) -> str:
    """The smallest over everything but these labels."""
    return f"min{_by(by)} ({expression})"


def quantile(share: float, histogram: str, *matchers: str) -> str:
    """What this share of the observations stayed below."""
    return f"histogram_quantile({share}, {buckets(histogram, *matchers)})"


def buckets(histogram: str, *matchers: str) -> str:
    """Observations a second of each bucket."""
    return total(rate(f"{histogram}_bucket", *matchers), "le")


def ratio(part: str, whole: str) -> str:
    """A share of something; nothing where there is nothing to share."""
    return f"{part} / ({whole} > 0)"


def worst(count: int, expression: str, by: tuple[str, ...]) -> str:
    """Only so many of its series: those that are the most when the time on the screen ends. (topk alone chooses at
    every moment anew, and each series that was ever among them would be drawn.)"""
    return f"({expression}) and on ({', '.join(by)}) topk({count}, {at_end(expression)})"


def at_end(expression: str) -> str:
    """The same at the end of the time on the screen, at whatever moment it is asked for."""
    return _SELECTOR.sub(r"\g<0> @ end()", expression)


def named_or(expression: str, label: str, otherwise: str) -> str:
    """Where the expression has nothing, a 0 under this name: an empty panel looks like a broken one."""
    return f'{expression} or label_replace(vector(0), "{label}", "{otherwise}", "", "")'


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)})" if labels else ""
