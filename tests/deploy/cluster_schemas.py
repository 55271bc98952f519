"""Schemas in kubeconform's layout, from packages: Kubernetes' own, the operators' (deploy/tools/crds.py), Strimzi's.

Strimzi publishes no models for Python, and its definitions in no package: its two are written here after
packaging/install/cluster-operator/043-Crd-kafkatopic.yaml and 044-Crd-kafkauser.yaml of 1.2.0 (0.49.0 has the same),
closed, and with what the chart always says required, so that a misspelt or missing field is refused.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate

_DEFINITIONS = "_definitions.json"
_OPERATIONS = [
    *("Read", "Write", "Create", "Delete", "Alter", "Describe"),
    *("ClusterAction", "AlterConfigs", "DescribeConfigs", "IdempotentWrite", "All"),
]


def write(folder: Path, version: str, kinds: set[str], crds: Path) -> None:
    """Into `folder`, what kubeconform needs to judge resources of these kinds: `statefulset-apps-v1`."""
    package = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / f"v{version}.0-local-strict"
    for kind in kinds:
        if (package / f"{kind}.json").exists():
            (folder / f"{kind}.json").write_text(_local(package / f"{kind}.json"))
    (folder / _DEFINITIONS).write_text(_local(package / _DEFINITIONS))
    for crd in crds.glob("*.json"):
        shutil.copy(crd, folder)
    for kind, spec in {"kafkatopic": _topic(), "kafkauser": _user()}.items():
        (folder / f"{kind}-kafka-v1.json").write_text(json.dumps(_resource(spec)))


def kind_of(resource: dict[str, Any]) -> str:
    """How kubeconform calls the schema of it."""
    group, _, version = resource["apiVersion"].rpartition("/")
    return "-".join(part for part in (resource["kind"].lower(), group.partition(".")[0], version) if part)


def _local(file: Path) -> str:
    return file.read_text().replace("/api/_definitions.json#", f"{_DEFINITIONS}#").replace('"$id"', '"$comment"')


def _resource(spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"type": "object", "required": ["name", "labels"], "properties": {"name": {"type": "string"}}}
    metadata["properties"] |= {"labels": {"type": "object", "required": ["strimzi.io/cluster"]}}
    return _closed({"apiVersion": {}, "kind": {}, "metadata": metadata, "spec": spec})


def _topic() -> dict[str, Any]:
    return _closed(
        {
            "topicName": {"type": "string"},
            "partitions": {"type": "integer", "minimum": 1},
            "replicas": {"type": "integer", "minimum": 1, "maximum": 32_767},
            "config": {"type": "object"},
        }
    )


def _user() -> dict[str, Any]:
    resource = {
        "type": "object",
        "additionalProperties": False,
        "required": ["type"],
        "properties": {
            "type": {"enum": ["topic", "group", "cluster", "transactionalId"]},
            "name": {"type": "string"},
            "patternType": {"enum": ["literal", "prefix"]},
        },
    }
    rule = _closed({"resource": resource, "operations": {"type": "array", "items": {"enum": _OPERATIONS}}})
    return _closed(
        {
            "authentication": _closed({"type": {"enum": ["tls", "tls-external", "scram-sha-512"]}}),
            "authorization": _closed({"type": {"const": "simple"}, "acls": {"type": "array", "items": rule}}),
        }
    )


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": sorted(properties),
        "properties": properties,
    }
