"""The chart's job that starts the lanes, run where schemas are in a registry behind TLS and a password."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.chart.places import MOUNTED
from tests.deploy.charts import Chart, Rendered
from tests.deploy.conftest import chart
from tests.deploy.place import Place
from tests.oncall.desk_world import DeskWorld

__all__ = ["chart"]

pytestmark = pytest.mark.integration

JOB_S = 60


def rendered_for(chart: Chart, world: DeskWorld, kafka: str, login: dict[str, str]) -> Rendered:
    schemas = {
        "registry_url": login["schemas__registry_url"],
        "registry_ca_file": f"{MOUNTED}/registry/ca.pem",
        "registry_username": login["schemas__registry_username"],
        "registry_password_file": f"{MOUNTED}/registry/password",
    }
    of_kafka = {"bootstrap_servers": kafka, "security_protocol": "PLAINTEXT", "group_id": f"{world.prefix}gateway"}
    return chart.render(
        "least",
        {
            **{f"files.{name}": ... for name in ("kafka", "kafka-ca")},
            "files.registry": {"secret": "registry-login"},
            "settings.kafka": of_kafka,
            "settings.topics": {"prefix": world.prefix},
            "settings.schemas": schemas,
            "networkPolicy.registry.to": [{"ipBlock": {"cidr": "10.20.1.0/24"}}],
            "lanesInit": {"from": "earliest", "operator": "yamada"},
        },
    )


def test_the_lanes_begin_once_the_schemas_are_registered(
    chart: Chart, kafka: str, login: dict[str, str], tmp_path: Path
) -> None:
    """Until then the job says what comes first; with what its pod has it then reaches the registry and is let in."""
    world = DeskWorld(kafka)
    rendered = rendered_for(chart, world, kafka, login)
    pod = rendered.one("Job", "lanes-init")["spec"]["template"]["spec"]
    files = {"ca.pem": login["schemas__registry_ca_file"], "password": login["schemas__registry_password_file"]}
    held = {"registry": {key: Path(file) for key, file in files.items()}}
    place = Place(tmp_path / "pod", rendered, pod, tmp_path, "lanes-init", held)
    early = run(place, *place.arguments)
    assert (early.returncode, early.stderr.startswith("error: schema registry ")) == (1, True), early.stderr
    assert "gateway schemas register" in early.stderr
    why = ("--reason", "to try", "--ticket", "INC-1", "--operator", "yamada")
    hold = run(place, "hold", "add", "all", *why)  # what other commands write needs schemas as well
    assert (hold.returncode, hold.stderr.startswith("error: schema registry ")) == (1, True), hold.stderr
    assert run(place, "schemas", "register").returncode == 0
    done = run(place, *place.arguments)
    assert (done.returncode, " set at 0" in done.stdout) == (0, True), done.stderr
    (audited,) = world.records(world.names.audit)
    assert audited["operator"] == "yamada"


def run(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=JOB_S, env=place.environment, cwd=place.root, check=False
    )
