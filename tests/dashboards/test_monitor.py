"""Prometheus beside the demo: what it is told to watch, and what a person is told where there is none."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway import cli
from gateway.cli.errors import CommandError, Exit
from gateway.sandbox.demo import monitor
from gateway.sandbox.demo.children import Crew


def a_program(directory: Path, text: str) -> Path:
    """A program that can be started in Prometheus' place."""
    path = directory / monitor.PROGRAM
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(0o755)
    return path


async def test_every_gateway_is_watched_under_its_own_name(tmp_path: Path) -> None:
    """As in production each series says whose it is; its settings are a file that a person can read."""
    crew = Crew(tmp_path)
    targets = {"gateway-1": "127.0.0.1:1", "gateway-2": "127.0.0.1:2"}
    try:
        child, url = monitor.start(crew, tmp_path, a_program(tmp_path, 'echo "{\\"given\\": \\"$*\\"}"'), targets)
        given = (await child.says("given", 10))["given"]
    finally:
        await crew.end()
    assert f"--config.file={tmp_path / 'prometheus.yaml'}" in given
    assert f"--web.listen-address={url.removeprefix('http://')}" in given
    (job,) = json.loads((tmp_path / "prometheus.yaml").read_text())["scrape_configs"]
    watched = {config["labels"]["instance"]: config["targets"] for config in job["static_configs"]}
    assert watched == {"gateway-1": ["127.0.0.1:1"], "gateway-2": ["127.0.0.1:2"]}
    assert {config["labels"]["namespace"] for config in job["static_configs"]} == {monitor.NAMESPACE}


def test_without_prometheus_nothing_starts_and_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Asked to watch and unable to, it does not run unwatched."""
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    refused = CliRunner().invoke(cli.app, ["demo", "--monitor"]).exception
    assert isinstance(refused, CommandError)
    assert refused.status is Exit.WRONG_USE
    assert "make demo-monitor" in str(refused) and "without --monitor" in str(refused)


def test_the_program_is_looked_for_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What can be started there is taken."""
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    assert monitor.program() is None
    assert a_program(tmp_path, "true") == monitor.program()


def test_who_has_no_rules_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A checkout has them; without them dashboards lack the promise, and nothing alerts."""
    assert monitor.without_rules() == ""
    monkeypatch.setattr(monitor, "RULES", tmp_path / "rules.yaml")
    assert "deploy/prometheus" in monitor.without_rules()
