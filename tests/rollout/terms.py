"""How long the chart lets pods live, start and end, read from what helm renders, so that a change of it counts here.

Knows where Kubernetes' manifests say it. Must not know what is done with pods.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel

from gateway.sections import GenieSettings, KafkaSettings
from tests.deploy.charts import Rendered


@dataclass(frozen=True, slots=True)
class Probe:
    """What kubelet asks of a container, again and again."""

    path: str
    period_s: float
    timeout_s: float
    failures: int  # in a row, before it counts

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Self:
        return cls(
            manifest["httpGet"]["path"],
            manifest["periodSeconds"],
            manifest["timeoutSeconds"],
            manifest["failureThreshold"],
        )


@dataclass(frozen=True, slots=True)
class Terms:
    """Those of one rendering."""

    name: str  # of the StatefulSet
    startup: Probe
    liveness: Probe
    readiness: Probe
    grace_s: float  # from SIGTERM to SIGKILL
    min_ready_s: float  # before the next pod is replaced
    at_once: bool  # whether pods that are added or removed wait for each other
    away: int  # how many pods a node's drain may evict at once
    volume_goes: bool  # when its pod's place does
    session_s: float
    rebalance_s: float
    skew_ms: int

    @classmethod
    def of(cls, rendered: Rendered) -> Self:
        manifest, settings = rendered.one("StatefulSet"), rendered.settings
        spec, pod = manifest["spec"], rendered.pod
        container = pod["containers"][0]
        (budget,) = rendered.all("PodDisruptionBudget")
        kafka, genie = settings.get("kafka", {}), settings.get("genie", {})
        return cls(
            name=manifest["metadata"]["name"],
            startup=Probe.of(container["startupProbe"]),
            liveness=Probe.of(container["livenessProbe"]),
            readiness=Probe.of(container["readinessProbe"]),
            grace_s=pod["terminationGracePeriodSeconds"],
            min_ready_s=spec["minReadySeconds"],
            at_once=spec["podManagementPolicy"] == "Parallel",
            away=int(budget["spec"]["maxUnavailable"]),
            volume_goes=spec["persistentVolumeClaimRetentionPolicy"]["whenScaled"] == "Delete",
            session_s=_value(kafka, KafkaSettings, "session_timeout_ms") / 1000,
            rebalance_s=_value(kafka, KafkaSettings, "rebalance_timeout_ms") / 1000,
            skew_ms=_value(genie, GenieSettings, "skew_ms"),
        )


def _value(given: Mapping[str, Any], section: type[BaseModel], name: str) -> int:
    """What the chart leaves out has the gateway's own default."""
    return int(given.get(name, section.model_fields[name].default))
