"""Prometheus beside the demo: it scrapes every gateway and computes the recording rules, as in production.

Knows Prometheus' own settings, and where a checkout keeps its rules. Must not know what any metric means.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from gateway.sandbox.broker.node import free_port
from gateway.sandbox.demo.children import Child, Crew

PROGRAM = "prometheus"
JOB = "credit-gateway"
NAMESPACE = "demo"
SCRAPE_EVERY = "1s"  # a run lasts half a minute; in production 15 s or 30 s will do
KEPT_FOR = "1d"
KEPT_BYTES = "512MB"
RULES = Path(__file__).parents[3] / "deploy" / "prometheus" / "rules.yaml"

MISSING = (
    f"there is no program `{PROGRAM}` on the PATH. In a checkout `make demo-monitor` fetches it; else install "
    "Prometheus 2.42 or later (Debian: apt-get install prometheus) and try again, or run without --monitor"
)


def program() -> Path | None:
    """The Prometheus to run; None if there is none."""
    found = shutil.which(PROGRAM)
    return Path(found) if found else None


def without_rules() -> str:
    """What to say if there are no rules: an installed package has none beside it."""
    return "" if RULES.is_file() else " (without rules and alerts: those are in a checkout, in deploy/prometheus)"


def start(crew: Crew, directory: Path, prometheus: Path, targets: Mapping[str, str]) -> tuple[Child, str]:
    """Start it over these targets, HOST:PORT by the name that its series get as `instance`. Returns it and its URL;
    it is ready when URL/-/ready answers."""
    settings, address = directory / "prometheus.yaml", f"127.0.0.1:{free_port()}"
    settings.write_text(json.dumps(_settings(targets), indent=2), "utf-8")  # YAML takes all of JSON
    child = crew.start(
        "prometheus",
        f"--config.file={settings}",
        f"--storage.tsdb.path={directory / 'prometheus'}",
        f"--storage.tsdb.retention.time={KEPT_FOR}",
        f"--storage.tsdb.retention.size={KEPT_BYTES}",
        f"--web.listen-address={address}",
        "--log.level=warn",
        watched=True,
        program=prometheus,
    )
    return child, f"http://{address}"


def _settings(targets: Mapping[str, str]) -> dict[str, object]:
    """Each gateway with the labels that a pod of it would have."""
    return {
        "global": {
            "scrape_interval": SCRAPE_EVERY,
            "scrape_timeout": SCRAPE_EVERY,
            "evaluation_interval": SCRAPE_EVERY,
        },
        "rule_files": [str(RULES)] if RULES.is_file() else [],
        "scrape_configs": [
            {
                "job_name": JOB,
                "static_configs": [
                    {"targets": [target], "labels": {"namespace": NAMESPACE, "instance": name}}
                    for name, target in targets.items()
                ],
            }
        ],
    }
