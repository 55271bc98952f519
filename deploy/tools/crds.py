"""JSON Schemas of the operators' resources that the chart may hold, in kubeconform's names, from typed models of them.

Run by the environment that has those models: `python crds.py FOLDER`. A field that a model does not know is refused,
else a misspelt one would pass.
"""

import json
import sys
from pathlib import Path
from typing import Any

KINDS = {
    "certificate-cert-manager-v1": ("cloudcoil.models.cert_manager.v1", "Certificate"),
    "podmonitor-monitoring-v1": ("cloudcoil.models.prometheus_operator.v1", "PodMonitor"),
    "servicemonitor-monitoring-v1": ("cloudcoil.models.prometheus_operator.v1", "ServiceMonitor"),
    "prometheusrule-monitoring-v1": ("cloudcoil.models.prometheus_operator.v1", "PrometheusRule"),
}


def closed(schema: Any) -> Any:
    """The same, without room for unknown fields."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    new = {key: closed(each) for key, each in schema.items()}
    if isinstance(new.get("properties"), dict) and "additionalProperties" not in new:
        new["additionalProperties"] = False
    return new


def main(folder: Path) -> None:
    from importlib import import_module

    for name, (module, kind) in KINDS.items():
        model = getattr(import_module(module), kind)
        (folder / f"{name}.json").write_text(json.dumps(closed(model.model_json_schema(by_alias=True))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
