"""deploy/compose.yaml: by the Compose specification's schema, and by the gateway's own judgement of what it is told."""

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import typer.main
import yaml

from deploy.chart.places import CHART, ROOT
from gateway import __version__
from gateway import settings as gateway_settings
from gateway.cli import app
from gateway.sandbox import pki as pkis
from gateway.sandbox.broker.config import server_properties
from tests.deploy.charts import Tool

FILE = ROOT / "deploy" / "compose.yaml"
COMPOSE = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if service["image"].startswith("credit-gateway"))
LINT_S = 60
SAME_PREFIXES = (
    "auto.create",
    "offsets.topic.replication",
    "transaction.state.log.replication",
    "transaction.state.log.min",
)
# A service that is built may name the image that comes of it: four services share one build so.
NOT_OURS = ["no-build-and-image"]


def lint(tool: Tool, file: Path) -> list[str]:
    """Rules that are broken; a schema violation is one of them."""
    command = [tool("dclint"), str(file), "--quiet", "--formatter", "json", "--disable-rule", *NOT_OURS]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LINT_S, check=False, cwd=file.parent)
    assert ended.returncode in {0, 1}, ended.stderr
    return [message["rule"] for each in json.loads(ended.stdout) for message in each["messages"]]


def test_it_is_as_the_compose_specification_says(tool: Tool) -> None:
    assert lint(tool, FILE) == []


def test_the_judge_finds_a_misspelt_key(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(FILE.read_text().replace("stop_grace_period", "stop_grace"))
    assert lint(tool, tmp_path / "compose.yaml") == ["invalid-schema"]


def test_chart_and_images_have_the_gateways_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == __version__
    assert {SERVICES[name]["image"].partition(":")[2] for name in OURS} == {__version__}


def test_every_file_that_is_mounted_is_there() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (FILE.parent / source).exists(), (name, source)
            else:
                assert source in COMPOSE["volumes"], (name, source)


def test_nothing_listens_beyond_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(ports) == 5
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", OURS)
def test_our_containers_can_do_little_and_their_commands_exist(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    arguments = service.get("command", ["serve"])
    command: click.Command = typer.main.get_command(app)
    context = click.Context(command, info_name="gateway")
    while isinstance(command, click.Group):
        found, rest = arguments[0], arguments[1:]
        subcommand = command.get_command(context, found)
        assert subcommand is not None, (name, found)
        command, arguments = subcommand, rest
    command.make_context(name, list(arguments), parent=context)


def test_the_gateway_takes_its_settings(tmp_path: Path, pki: pkis.Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the keys that the sandbox makes, under the names that it gives them."""
    toml = (FILE.parent / "compose" / "gateway.toml").read_text()
    (tmp_path / "gateway.toml").write_text(toml.replace("/var/lib/genie/pki", str(pki.directory)))
    monkeypatch.setenv("GATEWAY_CONFIG", str(tmp_path / "gateway.toml"))
    settings = gateway_settings.load()
    assert settings.observe.port == 9464
    genie = SERVICES["genie"]["command"]
    assert settings.genie.base_url.endswith(f":{genie[genie.index('--port') + 1]}")
    assert SERVICES["gateway"]["network_mode"] == "service:genie"
    assert "genie:/var/lib/genie:ro" in SERVICES["gateway"]["volumes"]
    assert settings.kafka.bootstrap_servers == "kafka:9092"
    assert "INSIDE://kafka:9092" in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert tomllib.loads(toml)["schemas"]["registry_url"].startswith("http://registry:8080/")


def test_the_gateway_has_time_to_end() -> None:
    grace = int(SERVICES["gateway"]["stop_grace_period"].removesuffix("s"))
    assert grace == json.loads((ROOT / "deploy/helm/credit-gateway/files/settings.json").read_text())["closing_s"] + 30


def test_kafka_is_set_as_the_embedded_one_that_all_tests_run_on() -> None:
    """But for addresses, paths, names of listeners, and what makes tests quick."""
    embedded = dict(line.split("=", 1) for line in server_properties(Path("/data"), 1, 2, {}).splitlines())
    theirs = {name: value for name, value in embedded.items() if name.startswith(SAME_PREFIXES)}
    ours = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in SERVICES["kafka"]["environment"].items()
    }
    assert ours.items() >= theirs.items()


def test_prometheus_takes_its_configuration_and_rules(tool: Tool, tmp_path: Path) -> None:
    rules = ROOT / "deploy" / "prometheus" / "rules.yaml"
    text = (FILE.parent / "compose" / "prometheus.yaml").read_text()
    (tmp_path / "prometheus.yaml").write_text(text.replace("/etc/prometheus/rules.yaml", str(rules)))
    ended = subprocess.run(
        [tool("promtool"), "check", "config", str(tmp_path / "prometheus.yaml")],
        capture_output=True,
        text=True,
        timeout=LINT_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "/etc/prometheus/rules.yaml:ro" in " ".join(SERVICES["prometheus"]["volumes"])
