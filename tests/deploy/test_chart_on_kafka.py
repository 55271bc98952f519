"""What the chart would run, run: its jobs and its pod as processes, with its settings, variables and mounts, on a real
Kafka beside a strict GeNiE. Nothing but Kubernetes is missing."""

import asyncio
import signal
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from gateway.kafka.connection import KafkaConnection
from gateway.oncall.desk import Found, open_desk
from gateway.sandbox.broker.node import free_port
from tests.deploy.charts import Chart, Rendered
from tests.deploy.place import Place
from tests.integration.conftest import kafka
from tests.integration.gateway_world import World
from tests.integration.waiting import until

__all__ = ["kafka"]

pytestmark = pytest.mark.integration

POD = "gw-credit-gateway-0"
JOB_S = 60
READY_S = 60


async def start(place: Place, **how: Any) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "gateway", *place.arguments]
    return await asyncio.create_subprocess_exec(*command, env=place.environment, cwd=place.root, **how)


def rendered_for(chart: Chart, world: World, group: str | None = None) -> Rendered:
    settings = {
        "kafka": {
            "bootstrap_servers": world.kafka,
            "security_protocol": "PLAINTEXT",
            "allow_dev_topics": True,
            "group_id": group or world.group,
        },
        "topics": {"prefix": world.prefix},
        "observe": {"port": free_port()},
    }
    changes = {f"settings.{section}": values for section, values in settings.items()}
    files = {f"files.{name}": ... for name in ("kafka", "kafka-ca")}
    return chart.render(
        "least",
        {
            **changes,
            **files,
            "settings.genie.base_url": world.genie.url,
            "oncall.enabled": True,
            "lanesInit": {"from": "earliest", "operator": "yamada", "ticket": "OPS-12"},
        },
    )


async def ended(rendered: Rendered, component: str, world: World, directory: Path) -> tuple[int | None, str, str]:
    """How a job ends, and what it says."""
    pod = rendered.one("Job", component)["spec"]["template"]["spec"]
    place = Place(directory / "pod", rendered, pod, world.genie.pki.directory, POD)
    pipe = asyncio.subprocess.PIPE
    async with asyncio.timeout(JOB_S):
        process = await start(place, stdout=pipe, stderr=pipe)
        out, error = await process.communicate()
    return process.returncode, out.decode(), error.decode()


@pytest.mark.parametrize(
    ("component", "said"),
    [("topic-check", "nothing wrong"), ("lanes-init", "lease.payments:0 kept at 0"), ("test", "nothing wrong")],
)
async def test_each_job_does_what_it_is_for(
    chart: Chart, world: World, tmp_path: Path, component: str, said: str
) -> None:
    status, out, error = await ended(rendered_for(chart, world), component, world, tmp_path)
    assert (status, said in out) == (0, True), out + error


async def test_the_job_starts_the_lanes_that_pods_wait_for_and_writes_down_who_asked(
    chart: Chart, world: World, tmp_path: Path
) -> None:
    """A pod of a group without starts ends, with what to type, and is no hindrance to the job a moment later."""
    rendered = rendered_for(chart, world, f"{world.group}-new")
    pod = Place(tmp_path / "waiting", rendered, rendered.pod, world.genie.pki.directory, POD)
    process = await start(pod, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(READY_S):
        out, wrong = await process.communicate()
    assert (process.returncode, b"gateway lanes init" in out + wrong) == (2, True), wrong.decode()
    status, said, error = await ended(rendered, "lanes-init", world, tmp_path)
    assert (status, "lease.payments:0 set at 0" in said) == (0, True), said + error
    audited: list[Found] = []
    async with open_desk(KafkaConnection(world.kafka, "test"), world.names, None, lambda *_: None) as desk:
        await desk.read(world.names.audit, audited.extend)
    told = [(each.record["operator"], each.record["ticket"]) for each in audited if each.record is not None]
    assert told[-1:] == [("yamada", "OPS-12")]


async def test_a_pod_becomes_ready_provides_and_ends_within_its_grace(
    chart: Chart, world: World, tmp_path: Path
) -> None:
    rendered = rendered_for(chart, world)
    place = Place(tmp_path / "pod", rendered, rendered.pod, world.genie.pki.directory, POD)
    probe = place.container["readinessProbe"]["httpGet"]
    url = f"http://127.0.0.1:{place.container['ports'][0]['containerPort']}{probe['path']}"
    process = await start(place, stdout=(tmp_path / "log").open("wb"))
    try:
        await until(lambda: asyncio.to_thread(answers, url), READY_S, "the pod is ready")
        await world.consent("subject-a")
        await world.payment("subject-a")
        await until(lambda: bool(world.ledger), READY_S, "the payment is in the ledger")
        assert world.ledger[0]["gateway"]["instance"] == POD
        await what_is_said_to_work_in_pods_works(place, rendered, world, tmp_path / "on-call")
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(rendered.pod["terminationGracePeriodSeconds"]):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def what_is_said_to_work_in_pods_works(gateway: Place, rendered: Rendered, world: World, own: Path) -> None:
    """Typed into a pod that serves, and into the one for people on call: there nobody is anybody until they say who."""
    pod = rendered.one("StatefulSet", "on-call")["spec"]["template"]["spec"]
    people = Place(own, rendered, pod, world.genie.pki.directory, "gw-credit-gateway-on-call-0")
    hold = ("hold", "add", "subject", "subject-b", "--reason", "he disputes it", "--ticket", "INC-1")
    for place, operator, typed, status, said in (
        (gateway, "", ["check"], 0, "unless it is this very gateway"),
        (people, "", ["status"], 0, POD),
        (people, "", hold, 2, "--operator"),
        (people, "yamada", hold, 0, POD),
    ):
        named = {"GATEWAY_OPERATOR": operator} if operator else {}
        inherited = {name: value for name, value in place.environment.items() if name != "USER"}  # no container has it
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", *typed),
            env=inherited | named,
            cwd=place.root,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(JOB_S):
            out, _ = await process.communicate()
        assert (process.returncode, said in out.decode()) == (status, True), out.decode()


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
