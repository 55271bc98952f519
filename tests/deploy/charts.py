"""The chart as helm renders it, for tests: the value sets in its `ci/`, changed here and there."""

import copy
import hashlib
import json
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from deploy.chart.places import CHART

SETS = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
NAMESPACE = "lending"
HELM_S = 60
Resource = dict[str, Any]


class RefusedError(Exception):
    """What helm says of wrong values."""


@dataclass(frozen=True)
class Rendered:
    """All that one set of values becomes."""

    text: str
    resources: list[Resource]

    def all(self, kind: str) -> list[Resource]:
        return [resource for resource in self.resources if resource["kind"] == kind]

    def one(self, kind: str, component: str = "gateway") -> Resource:
        (found,) = [
            each
            for each in self.all(kind)
            if each["metadata"]["labels"].get("app.kubernetes.io/component") == component
        ]
        return found

    @property
    def pod(self) -> Resource:
        return dict(self.one("StatefulSet")["spec"]["template"]["spec"])

    @property
    def settings(self) -> dict[str, Any]:
        return tomllib.loads(self.one("ConfigMap")["data"]["gateway.toml"])


@cache
def values(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((CHART / "ci" / f"{name}-values.yaml").read_text()))


def changed(name: str, changes: Mapping[str, object]) -> dict[str, Any]:
    """A set with the values at these dotted paths; `...` takes one out."""
    new = copy.deepcopy(values(name))
    for path, value in changes.items():
        *way, last = path.split(".")
        place = new
        for key in way:
            place = place.setdefault(key, {})
        if value is ...:
            place.pop(last, None)
        else:
            place[last] = value
    return new


class Chart:
    """helm template, which runs what an installation renders, without a cluster."""

    def __init__(self, helm: Path, folder: Path) -> None:
        self._helm = helm
        self._folder = folder
        self._rendered: dict[str, Rendered] = {}

    def render(
        self, name: str, changes: Mapping[str, object] | None = None, *options: str, release: str = "gw"
    ) -> Rendered:
        """With further options of helm's, as somebody types them."""
        text = json.dumps(changed(name, changes or {}), ensure_ascii=False)
        asked = " ".join((release, text, *options))
        if asked not in self._rendered:
            said = self.run("template", release, str(CHART), "--values", str(self._file(text)), *options)
            resources = [each for each in yaml.load_all(said, yaml.CSafeLoader) if each]
            self._rendered[asked] = Rendered(said, resources)
        return self._rendered[asked]

    def notes(self, name: str, changes: Mapping[str, object] | None = None) -> str:
        """What an installation says at its end."""
        values = str(self._file(json.dumps(changed(name, changes or {}), ensure_ascii=False)))
        return self.run("install", "gw", str(CHART), "--dry-run=client", "--values", values).partition("\nNOTES:\n")[2]

    def _file(self, text: str) -> Path:
        file = self._folder / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
        file.write_text(text)
        return file

    def run(self, *arguments: str) -> str:
        command = [self._helm, *arguments, "--namespace", NAMESPACE]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=HELM_S, check=False, cwd=self._folder)
        if ended.returncode:
            raise RefusedError(ended.stderr + ended.stdout)
        return ended.stdout


Tool = Callable[[str], Path]
