"""A cluster of two brokers that are restarted and killed in turn under load: the gateway goes on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.kafka import rebootstrap
from gateway.sandbox.broker import Cluster, Node
from tests.faults import Where, fault
from tests.integration.gateway_world import PARTITIONS, World
from tests.integration.replicated_kafka import BROKERS, in_sync, make_topics
from tests.integration.supervisor import Supervisor
from tests.integration.waiting import until

SUBJECTS = [f"subject-{number:03d}" for number in range(20)]
AHEAD = 100  # records that may wait at the gateway; the load follows its pace
MORE = 40  # records settled while a broker is away
AGAIN_S = 60.0  # to go on, a new process included

Goes = Callable[[Node], None]
ComesBack = Callable[[Node], Awaitable[None]]


async def started(broker: Node) -> None:
    await broker.start_async()


async def thawed(broker: Node) -> None:
    broker.thaw()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two brokers and their controller."""
    rebootstrap.install()  # the test's own clients too must find the other broker
    made = Cluster(BROKERS)
    try:
        asyncio.run(made.start())
        yield made
    finally:
        made.close()


@pytest.fixture
async def world(cluster: Cluster, prefix: str, tmp_path: Path) -> AsyncIterator[World]:
    """Topics on both brokers, and consents."""
    await make_topics(cluster.bootstrap, prefix)
    async with World(cluster.bootstrap, prefix, tmp_path) as made:
        for subject in SUBJECTS:
            await made.consent(subject)
        yield made


class Load:
    """Payments on every partition, written as they are settled."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._over = False
        self.written = 0

    async def run(self) -> None:
        while not self._over:
            for number in range(PARTITIONS):
                await self._world.payment(SUBJECTS[self.written % len(SUBJECTS)], number)
                self.written += 1
            await until(lambda: self.written - len(self._world.ledger) < AHEAD, 2 * AGAIN_S, "the gateway goes on")

    async def goes_on(self) -> None:
        """More is settled."""
        enough = len(self._world.ledger) + MORE
        await until(lambda: len(self._world.ledger) >= enough, AGAIN_S, f"{MORE} more ledger records")

    def end(self) -> None:
        self._over = True


@asynccontextmanager
async def load_on(world: World) -> AsyncIterator[Load]:
    """Load while it lasts; all of it is settled in the end."""
    load = Load(world)
    async with asyncio.TaskGroup() as running:
        running.create_task(load.run())
        yield load
        load.end()
    await world.settled(load.written)


@pytest.mark.parametrize(
    ("goes", "comes_back"),
    [
        pytest.param(
            Node.stop,
            started,
            id="rolling-restart",
            marks=fault(
                Where.KAFKA,
                "the brokers of a cluster are restarted one after the other",
                does="goes on with the other broker; a lane whose commit is in doubt is opened again, and a process "
                "with two doubts of a lane within a minute ends, for the next one to go on",
                seen="`gateway_doubtful_commits_total`, `gateway_lane_openings_total`; exit status 3 if it ends",
            ),
        ),
        pytest.param(
            Node.kill,
            started,
            id="kill-9",
            marks=[
                pytest.mark.long,
                fault(
                    Where.KAFKA,
                    "a broker of a cluster is killed and comes back, then the other",
                    does="waits until the other broker leads, then goes on as after a restart",
                    seen="`gateway_doubtful_commits_total`, `gateway_lane_openings_total`; exit status 3 if it ends",
                ),
            ],
        ),
        pytest.param(
            Node.freeze,
            thawed,
            id="hang",
            marks=[
                pytest.mark.long,
                fault(
                    Where.KAFKA,
                    "a broker of a cluster hangs, then the other",
                    does="waits until the other broker leads, then goes on, if need be in the next process",
                    seen="`gateway_doubtful_commits_total`, `gateway_lane_openings_total`; exit status 3 if it ends",
                ),
            ],
        ),
    ],
)
async def test_brokers_go_and_come_back(world: World, cluster: Cluster, goes: Goes, comes_back: ComesBack) -> None:
    """With either broker away records are settled, and each of them once; coordinators move, and no lane ever takes
    that for "no committed offset"."""
    async with Supervisor(world), load_on(world) as load:
        await load.goes_on()
        for broker in cluster.brokers:
            await asyncio.to_thread(goes, broker)
            await load.goes_on()
            await comes_back(broker)
            await in_sync(cluster.bootstrap)
            await load.goes_on()
    logs = "".join(gateway.log.read_text("utf-8") for gateway in world.gateways)
    assert "no committed offset" not in logs
    verdict = await world.judged()
    assert verdict.ledger_records == verdict.produced == load.written


@fault(
    Where.KAFKA,
    "a broker of the cluster is away when the gateway starts",
    does="starts with the others",
    seen="nothing but the brokers' own alerts",
)
async def test_start_while_a_broker_is_away(world: World, cluster: Cluster) -> None:
    """The first of the addresses may be dead, and so may be a leader or coordinator of a moment ago."""
    away = cluster.brokers[0]
    await asyncio.to_thread(away.stop)
    async with world.gateway() as gateway:
        for subject in SUBJECTS:
            await world.payment(subject)
        await world.settled(len(SUBJECTS))
        await away.start_async()
        await in_sync(cluster.bootstrap)
        await world.payment(SUBJECTS[0])
        await world.settled(len(SUBJECTS) + 1)
        await gateway.end_in_order()
    await world.judged()
