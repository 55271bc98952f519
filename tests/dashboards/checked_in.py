"""The dashboards as they are checked in, taken apart for the tests: panels, expressions, and what Grafana fills in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).parents[2] / "deploy" / "grafana"
FILES = sorted(DIRECTORY.glob("*.json"))

# What Grafana puts in place of a variable when "All" is chosen, for a scrape a second and a run that has just begun.
_FILLED = {
    "$__rate_interval": "15s",
    "$__range": "10m",
    "$namespace": ".*",
    "$job": ".+",
    "$instance": ".+",
    "$topic": ".+",
    "$partition": ".+",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One expression of a dashboard, and where it stands."""

    where: str
    expr: str
    instant: bool

    @property
    def filled(self) -> str:
        """As Prometheus gets it."""
        return filled(self.expr)


def filled(text: str) -> str:
    """With a value for every variable; longer names first, for some begin as others do."""
    for name, value in sorted(_FILLED.items(), key=lambda pair: -len(pair[0])):
        text = text.replace(name, value)
    assert "$" not in text, f"a variable that nobody fills in: {text}"
    return text


def dashboard(path: Path) -> dict[str, Any]:
    """The whole of a file."""
    read: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return read


def panels(path: Path) -> Iterator[Mapping[str, Any]]:
    """Every panel that shows something."""
    return (panel for panel in dashboard(path)["panels"] if panel["type"] != "row")


def asked(path: Path) -> Iterator[Asked]:
    """Every expression of a dashboard's panels."""
    for panel in panels(path):
        for target in panel["targets"]:
            where = f"{path.stem}: {panel['title']} {target['refId']}"
            yield Asked(where, target["expr"], bool(target.get("instant")))


def annotations(path: Path) -> Iterator[Asked]:
    """Every expression that draws marks across all panels."""
    for each in dashboard(path)["annotations"]["list"]:
        yield Asked(f"{path.stem}: annotation {each['name']}", each["expr"], instant=False)
