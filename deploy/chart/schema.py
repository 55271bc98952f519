"""values.schema.json: what a right value looks like, so that helm refuses a wrong one and names its line.

Knows Kubernetes' part; the settings' comes from settings.py. Nothing is open but what Kubernetes itself judges.
"""

from collections.abc import Mapping
from typing import Any

from deploy.chart import formats, settings
from deploy.chart.places import MOUNTED
from gateway.kafka.acls import Role
from gateway.oncall.audit import MAX_WORDS

Schema = dict[str, Any]

_NAME = {"type": "string", "pattern": formats.SUBDOMAIN, "maxLength": 253}
_TEXT = {"type": "string", "pattern": r"\S"}
_AUDITED = {"type": "string", "pattern": r"\S", "maxLength": MAX_WORDS}
_YES_NO = {"type": "boolean"}
_WORDS = {"type": "object", "additionalProperties": {"type": "string"}}
_LABELS = formats.labels(further=False)
_FURTHER_LABELS = formats.labels(further=True)
_PAGES = {"type": "string", "pattern": formats.PAGES}
_KEY = {"type": "string", "pattern": formats.KEY}
_OPEN = {"type": "object"}
_CPU = {"type": "string", "pattern": r"^([1-9][0-9]*m|[1-9][0-9]*|[0-9]+\.[0-9]+)$"}
_MEMORY = {"type": "string", "pattern": "^[1-9][0-9]*(Mi|Gi)$"}
_DURATION = {"type": "string", "pattern": formats.DURATION, "minLength": 2}
_STORAGE = {"type": "string", "pattern": "^[1-9][0-9]*(Mi|Gi|Ti)$"}
_PORT = {"type": "integer", "minimum": 1, "maximum": 65_535}


def values(defaults: Mapping[str, Any]) -> Schema:
    """The whole, for a page of values with these defaults."""
    schema: Schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": "Written by `python -m deploy.chart`: change deploy/chart/schema.py or the gateway's settings.",
        **_closed(
            {
                "image": _closed(
                    {
                        "repository": {"type": "string", "pattern": formats.IMAGE, "maxLength": 255},
                        "tag": _or_none({"type": "string", "pattern": formats.TAG}),
                        "digest": _or_none({"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}),
                        "pullPolicy": {"enum": ["IfNotPresent", "Always", "Never"]},
                    }
                ),
                "imagePullSecrets": _list(_closed({"name": _NAME}, ["name"])),
                "replicas": _whole(0, 1_000),
                "minReadySeconds": _whole(0, 600),
                "terminationGracePeriodSeconds": _or_none(_whole(1, 3_600)),
                "resources": _resources(),
                "files": _files(),
                "settings": settings.schema(),
                "persistence": _closed(
                    {
                        "enabled": _YES_NO,
                        "size": _STORAGE,
                        "storageClass": _or_none(_NAME),
                        "accessMode": {"enum": ["ReadWriteOnce", "ReadWriteOncePod"]},
                    }
                ),
                "podSecurity": _closed({"runAsUser": _or_none(_whole(1, 2**31 - 1))}),
                "podDisruptionBudget": _closed({"enabled": _YES_NO, "maxUnavailable": _whole(1, 1_000)}),
                **_scheduling(),
                "networkPolicy": _network(),
                "topicCheck": _closed(
                    {"enabled": _YES_NO, "retries": _or_none(_whole(0, 20)), "deadlineSeconds": _whole(10, 3_600)}
                ),
                "lanesInit": _closed(
                    {
                        "from": _or_none({"type": "string", "pattern": formats.TIME}),
                        "operator": _or_none(_AUDITED),
                        "ticket": _or_none(_AUDITED),
                    }
                ),
                "oncall": _on_call(),
                "podMonitor": _monitor(),
                "serviceMonitor": _monitor(),
                "prometheusRule": _closed(
                    {"enabled": _YES_NO, "runbookUrl": _or_none(_PAGES), "labels": _FURTHER_LABELS}
                ),
                "grafana": _closed(
                    {
                        "dashboards": _closed(
                            {
                                "enabled": _YES_NO,
                                "namespace": _or_none(_NAME),
                                "label": _KEY,
                                "labelValue": {"type": "string", "pattern": formats.LABEL_VALUE},
                                "annotations": _WORDS,
                            }
                        )
                    }
                ),
                "autoscaling": _closed(
                    {
                        "enabled": _YES_NO,
                        "minReplicas": _whole(1, 1_000),
                        "maxReplicas": _whole(1, 1_000),
                        "targetCpu": _CPU,
                    }
                ),
                "strimzi": _strimzi(),
                "global": _OPEN,  # helm's own
            },
        ),
    }
    # settings know themselves which of them are required
    others = {"properties": {name: part for name, part in schema["properties"].items() if name != "settings"}}
    _keep(others, defaults)
    return schema | {"required": sorted([*others["required"], "settings"])}


def _keep(schema: Schema, default: object) -> None:
    """What has a default can be changed but not taken out, by null: templates rely on it."""
    if isinstance(default, Mapping):
        for name, part in schema.get("properties", {}).items():
            _keep(part, default.get(name))
            if default.get(name) is not None and "null" not in part.get("type", ()):
                schema["required"] = sorted({*schema.get("required", ()), name})


def _resources() -> Schema:
    requests = _closed({"cpu": _CPU, "memory": _or_none(_MEMORY)})
    return _closed(
        {"requests": requests, "limits": _closed({"cpu": _or_none(_CPU), "memory": _MEMORY}, ["memory"])}, ["limits"]
    )


def _on_call() -> Schema:
    """Of Kafka's settings only those that say who logs in: it is the same Kafka."""
    path = {"type": "string", "pattern": f"^{MOUNTED}/[a-z0-9-]+/[^/]+$"}
    files = ("sasl_password_file", "client_cert_file", "client_key_file", "client_key_password_file")
    return _closed(
        {
            "enabled": _YES_NO,
            "kafka": _closed({"sasl_username": _TEXT, **dict.fromkeys(files, path)}),
            "files": _files(),
            "workSize": _STORAGE,
            "resources": _resources(),
        }
    )


def _files() -> Schema:
    certificate = _closed(
        {
            "issuerRef": _closed({"name": _NAME, "kind": _TEXT, "group": _TEXT}, ["name"]),
            "commonName": _TEXT | {"maxLength": 64},
            "dnsNames": _list(_TEXT),
            "duration": _DURATION,
            "renewBefore": _DURATION,
        },
        ["issuerRef", "commonName"],
    )
    login = _closed({"name": _NAME}, ["name"])
    csi = _closed({"driver": _TEXT, "volumeAttributes": _WORDS, "nodePublishSecretRef": login}, ["driver"])
    source = _closed({"secret": _NAME, "configMap": _NAME, "csi": csi, "certificate": certificate})
    return {
        "type": "object",
        "propertyNames": {"pattern": "^[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?$", "not": {"const": "settings"}},
        "additionalProperties": source | {"minProperties": 1, "maxProperties": 1},
        "description": f"Each is mounted as {MOUNTED}/NAME",
    }


def _scheduling() -> Schema:
    toleration = _closed(
        {
            "key": _KEY,
            "operator": {"enum": ["Exists", "Equal"]},
            "value": {"type": "string", "pattern": formats.LABEL_VALUE},
            "effect": {"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
            "tolerationSeconds": _whole(0, 2**31 - 1),
        }
    ) | _if("operator", ["Exists"], {"properties": {"value": False}}, {"required": ["key"]})
    evicted = {"properties": {"effect": {"const": "NoExecute"}}, "required": ["effect"]}
    toleration["dependencies"] = {"tolerationSeconds": evicted}
    affinity = _closed(dict.fromkeys(("nodeAffinity", "podAffinity", "podAntiAffinity"), _OPEN))
    return {
        "topologyKeys": _list(_KEY),
        "affinity": affinity,
        "nodeSelector": _LABELS,
        "tolerations": _list(toleration),
        "priorityClassName": _or_none(_NAME),
        "podLabels": _FURTHER_LABELS,
        "podAnnotations": formats.annotations("checksum/settings"),
    }


def _network() -> Schema:
    comparing, asking = ["In", "NotIn"], ["Exists", "DoesNotExist"]
    words = _list({"type": "string", "pattern": formats.LABEL_VALUE}, least=1)
    expression = _closed(
        {"key": _KEY, "operator": {"enum": comparing + asking}, "values": words}, ["key", "operator"]
    ) | _if("operator", comparing, {"required": ["values"]}, {"properties": {"values": False}})
    selector = _closed({"matchLabels": _LABELS, "matchExpressions": _list(expression)})
    network = {"type": "string", "pattern": formats.NETWORK}
    peer = _closed(
        {
            "ipBlock": _closed({"cidr": network, "except": _list(network)}, ["cidr"]),
            "namespaceSelector": selector,
            "podSelector": selector,
        }
    ) | {"minProperties": 1, "dependencies": {"ipBlock": {"maxProperties": 1}}}
    part = _closed({"to": _list(peer), "ports": _list(_PORT)})
    # in a policy nothing means everything: no peer is every address, no port is every port
    somewhere = _closed({"to": _list(peer, least=1), "ports": _list(_PORT, least=1)})
    return _closed(
        {
            "enabled": _YES_NO,
            "metrics": _closed({"from": _list(peer)}),
            "dns": somewhere,
            **dict.fromkeys(("kafka", "genie", "registry", "tracing"), part),
        }
    )


def _monitor() -> Schema:
    return _closed({"enabled": _YES_NO, "interval": _DURATION, "labels": _FURTHER_LABELS})


def _strimzi() -> Schema:
    return _closed(
        {
            "apiVersion": {"enum": ["kafka.strimzi.io/v1", "kafka.strimzi.io/v1beta2"]},
            "cluster": _or_none(_NAME),
            "namespace": _or_none(_NAME),
            "topics": _closed({"enabled": _YES_NO, "partitions": _whole(1, 1_000)}),
            "users": _closed({"enabled": _YES_NO, "names": _closed({role.value: _or_none(_NAME) for role in Role})}),
        }
    )


def _closed(properties: Mapping[str, Schema], required: list[str] | None = None) -> Schema:
    closed: Schema = {"type": "object", "additionalProperties": False, "properties": dict(properties)}
    return closed | ({"required": required} if required else {})


def _list(of: Schema, *, least: int = 0) -> Schema:
    return {"type": "array", "items": of} | ({"minItems": least} if least else {})


def _if(name: str, one_of: list[str], then: Schema, otherwise: Schema) -> Schema:
    """What else is asked, if the property of this name is one of these."""
    condition = {"properties": {name: {"enum": one_of}}, "required": [name]}
    return {"if": condition, "then": then, "else": otherwise}


def _whole(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def _or_none(schema: Schema) -> Schema:
    return schema | {"type": [schema["type"], "null"]}
