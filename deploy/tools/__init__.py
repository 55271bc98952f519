"""The pinned tools that judge what is deployed, and where each of them is. Knows the table of tools; not who uses them.

`python -m deploy.tools [NAME...]` installs into `.tools/`; `path_of("helm")` is where one of them is then.
"""

from collections.abc import Mapping
from pathlib import Path

from deploy.tools.home import Tool, ToolMissing, at_home, install
from deploy.tools.recipes import CrdSchemas, Deb, GoModule, NodePackage, Wheel

__all__ = ["TOOLS", "ToolMissing", "ensured", "path_of"]

_PROMETHEUS = Deb("prometheus", "2.42.0")

# Both files of one package share a folder.
TOOLS: Mapping[str, Tool] = {
    "prometheus": Tool("prometheus", _PROMETHEUS, "usr/bin/prometheus"),
    "promtool": Tool("prometheus", _PROMETHEUS, "usr/bin/promtool"),
    "hadolint": Tool("hadolint", Wheel(), "bin/hadolint"),
    "asyncapi": Tool("asyncapi", NodePackage(), "node_modules"),
    "dclint": Tool("dclint", NodePackage(), "node_modules/.bin/dclint"),
    "crds": Tool("crds", CrdSchemas(), "."),
    "checkov": Tool("checkov", Wheel(), "bin/checkov"),
    "kubeconform": Tool("kubeconform", GoModule("github.com/yannh/kubeconform/cmd/kubeconform"), "kubeconform"),
    "helm": Tool("helm", GoModule("helm.sh/helm/v4/cmd/helm"), "helm"),
}


def path_of(name: str) -> Path:
    """Where the installed tool is (asyncapi: its node_modules); raises ToolMissing: the reason, and what to type."""
    return at_home(TOOLS[name])


def ensured(name: str) -> Path:
    """The same, installed first if it is missing; waits for whoever else installs it at this moment."""
    install(TOOLS[name])
    return path_of(name)
