"""What the chart would run, run: its jobs and its pod as processes, with its settings, variables and mounts, on a real
Kafka beside a strict GeNiE. Nothing but Kubernetes is missing."""

import asyncio
import os
import signal
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from deploy.chart.places import MOUNTED
from gateway.sandbox.broker.node import free_port
from tests.deploy.charts import Chart, Rendered, Resource
from tests.integration.conftest import kafka
from tests.integration.gateway_world import World
from tests.integration.waiting import until

__all__ = ["kafka"]

pytestmark = pytest.mark.integration

POD = "gw-credit-gateway-0"
JOB_S = 60
READY_S = 60
# what the secrets and configMaps that the values name hold, by the sandbox's names of them
HELD = {
    "keys": {
        "signing.key": "norel-ed25519.key",
        "idempotency.key": "idempotency.key",
        "pseudonym.key": "pseudonym.key",
    },
    "genie-tls": {"tls.crt": "client.pem", "tls.key": "client.key"},
    "genie-ca": {"ca.crt": "ca.pem"},
    "genie-keys": {"genie-2026-1.pub": "genie-ed25519.pub"},
}


class Place:
    """One pod's file system, below a directory."""

    def __init__(self, directory: Path, rendered: Rendered, pod: Resource, pki: Path) -> None:
        self.container: Resource = pod["containers"][0]
        self._root = directory
        mounts = {mount["mountPath"].removeprefix(f"{MOUNTED}/"): mount["name"] for mount in self._mounts()}
        for name, files in HELD.items():
            if f"file-{name}" == mounts.get(name):
                (directory / name).mkdir(parents=True)
                for key, held in files.items():
                    (directory / name / key).write_bytes((pki / held).read_bytes())
        config = next(volume["configMap"]["name"] for volume in pod["volumes"] if volume["name"] == "settings")
        (toml,) = [
            each["data"]["gateway.toml"] for each in rendered.all("ConfigMap") if each["metadata"]["name"] == config
        ]
        (directory / "settings").mkdir(parents=True)
        (directory / "credit-gateway").mkdir()  # the volume of the view
        (directory / "settings" / "gateway.toml").write_text(toml.replace(MOUNTED, str(directory)))

    async def start(self, **how: Any) -> asyncio.subprocess.Process:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
        environment = inherited | {each["name"]: self._value(each) for each in self.container["env"]}
        command = [sys.executable, "-m", "gateway", *self.container["args"]]
        return await asyncio.create_subprocess_exec(*command, env=environment, cwd=self._root, **how)

    def _mounts(self) -> list[Resource]:
        return list(self.container["volumeMounts"])

    def _value(self, variable: Resource) -> str:
        """As Kubernetes would fill it in, with paths below our directory."""
        if "value" in variable:
            return str(variable["value"]).replace(MOUNTED, str(self._root)).replace("/var/lib", str(self._root))
        source = variable["valueFrom"]
        if "fieldRef" in source:
            assert source["fieldRef"]["fieldPath"] == "metadata.name"
            return POD
        assert source["resourceFieldRef"]["resource"] == "limits.memory"
        return str(int(self.container["resources"]["limits"]["memory"].removesuffix("Gi")) << 30)


def rendered_for(chart: Chart, world: World) -> Rendered:
    settings = {
        "kafka": {
            "bootstrap_servers": world.kafka,
            "security_protocol": "PLAINTEXT",
            "allow_dev_topics": True,
            "group_id": world.group,
        },
        "topics": {"prefix": world.prefix},
        "observe": {"host": "127.0.0.1", "port": free_port()},
    }
    changes = {f"settings.{section}": values for section, values in settings.items()}
    files = {f"files.{name}": ... for name in ("kafka", "kafka-ca")}
    return chart.render(
        "least",
        {**changes, **files, "settings.genie.base_url": world.genie.url, "lanesInit.from": "earliest"},
    )


@pytest.mark.parametrize(
    ("component", "said"),
    [("topic-check", "nothing wrong"), ("lanes-init", "lease.payments:0 kept at 0"), ("test", "nothing wrong")],
)
async def test_each_job_does_what_it_is_for(
    chart: Chart, world: World, tmp_path: Path, component: str, said: str
) -> None:
    rendered = rendered_for(chart, world)
    pod = rendered.one("Job", component)["spec"]["template"]["spec"]
    place = Place(tmp_path / "pod", rendered, pod, world.genie.pki.directory)
    pipe = asyncio.subprocess.PIPE
    async with asyncio.timeout(JOB_S):
        process = await place.start(stdout=pipe, stderr=pipe)
        out, error = await process.communicate()
    assert (process.returncode, said in out.decode()) == (0, True), out.decode() + error.decode()


async def test_a_pod_becomes_ready_provides_and_ends_within_its_grace(
    chart: Chart, world: World, tmp_path: Path
) -> None:
    rendered = rendered_for(chart, world)
    place = Place(tmp_path / "pod", rendered, rendered.pod, world.genie.pki.directory)
    probe = place.container["readinessProbe"]["httpGet"]
    url = f"http://127.0.0.1:{place.container['ports'][0]['containerPort']}{probe['path']}"
    process = await place.start(stdout=(tmp_path / "log").open("wb"))
    try:
        await until(lambda: asyncio.to_thread(answers, url), READY_S, "the pod is ready")
        await world.consent("subject-a")
        await world.payment("subject-a")
        await until(lambda: bool(world.ledger), READY_S, "the payment is in the ledger")
        assert world.ledger[0]["gateway"]["instance"] == POD
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(rendered.pod["terminationGracePeriodSeconds"]):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - the probe's own address
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
async def world(kafka: str, prefix: str, tmp_path: Path) -> Any:
    async with World(kafka, prefix, tmp_path) as made:
        yield made
