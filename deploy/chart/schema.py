"""values.schema.json: what a right value looks like, so that helm refuses a wrong one and names its line.

Knows Kubernetes' part; the settings' comes from settings.py. Nothing is open but what Kubernetes itself judges.
"""

from collections.abc import Mapping
from typing import Any

from deploy.chart import settings
from deploy.chart.places import MOUNTED
from gateway.kafka.acls import Role
from gateway.oncall.audit import MAX_WORDS

Schema = dict[str, Any]

_NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"}
_TEXT = {"type": "string", "minLength": 1}
_AUDITED = {"type": "string", "pattern": r"\S", "maxLength": MAX_WORDS}
_YES_NO = {"type": "boolean"}
_WORDS = {"type": "object", "additionalProperties": {"type": "string"}}
_OPEN = {"type": "object"}
_CPU = {"type": "string", "pattern": r"^([1-9][0-9]*m|[1-9][0-9]*|[0-9]+\.[0-9]+)$"}
_MEMORY = {"type": "string", "pattern": "^[1-9][0-9]*(Mi|Gi)$"}
_DURATION = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$"}
_STORAGE = {"type": "string", "pattern": "^[1-9][0-9]*(Mi|Gi|Ti)$"}
_PORT = {"type": "integer", "minimum": 1, "maximum": 65_535}


def values() -> Schema:
    """The whole."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": "Written by `python -m deploy.chart`: change deploy/chart/schema.py or the gateway's settings.",
        **_closed(
            {
                "image": _closed(
                    {
                        "repository": _TEXT,
                        "tag": _or_none(_TEXT),
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
                        "from": _or_none({"type": "string", "pattern": r"^(earliest|latest|\d{4}-\d\d-\d\dT\S+)$"}),
                        "operator": _or_none(_AUDITED),
                        "ticket": _or_none(_AUDITED),
                    }
                ),
                "oncall": _on_call(),
                "podMonitor": _monitor(),
                "serviceMonitor": _monitor(),
                "prometheusRule": _closed({"enabled": _YES_NO, "labels": _WORDS}),
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
            ["image", "settings", "files"],
        ),
    }


def _resources() -> Schema:
    requests = _closed({"cpu": _CPU, "memory": _MEMORY})
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
            "commonName": {"type": "string", "minLength": 1, "maxLength": 64},
            "dnsNames": _list(_TEXT),
            "duration": _DURATION,
            "renewBefore": _DURATION,
        },
        ["issuerRef", "commonName"],
    )
    csi = _closed({"driver": _TEXT, "volumeAttributes": _WORDS, "nodePublishSecretRef": _closed({"name": _NAME})})
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
            "key": _TEXT,
            "operator": {"enum": ["Exists", "Equal"]},
            "value": {"type": "string"},
            "effect": {"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
            "tolerationSeconds": _whole(0, 2**31 - 1),
        }
    )
    affinity = _closed(dict.fromkeys(("nodeAffinity", "podAffinity", "podAntiAffinity"), _OPEN))
    return {
        "topologyKeys": _list(_TEXT),
        "affinity": affinity,
        "nodeSelector": _WORDS,
        "tolerations": _list(toleration),
        "priorityClassName": _or_none(_NAME),
        "podLabels": _WORDS,
        "podAnnotations": _WORDS,
    }


def _network() -> Schema:
    expression = _closed({"key": _TEXT, "operator": _TEXT, "values": _list(_TEXT)}, ["key", "operator"])
    selector = _closed({"matchLabels": _WORDS, "matchExpressions": _list(expression)})
    network = {"type": "string", "pattern": r"^[0-9a-fA-F:.]+/\d{1,3}$"}
    peer = _closed(
        {
            "ipBlock": _closed({"cidr": network, "except": _list(network)}, ["cidr"]),
            "namespaceSelector": selector,
            "podSelector": selector,
        }
    ) | {"minProperties": 1}
    part = _closed({"to": _list(peer), "ports": _list(_PORT)})
    return _closed(
        {
            "enabled": _YES_NO,
            "metrics": _closed({"from": _list(peer)}),
            "dns": part,
            **dict.fromkeys(("kafka", "genie", "registry", "tracing"), part),
        }
    )


def _monitor() -> Schema:
    return _closed({"enabled": _YES_NO, "interval": _DURATION, "labels": _WORDS})


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


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _whole(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def _or_none(schema: Schema) -> Schema:
    return schema | {"type": [schema["type"], "null"]}
