"""Gateways as their composition root wires them, in virtual time: they start, end, die, stand still and come back."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.record._crecords import default_records

from tests.simulation import keys, process
from tests.simulation.clocks import taken_over, wall_ms
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import Network
from tests.simulation.parts import GROUP, Parts
from tests.simulation.process import IN_ORDER, KILLED, Below, Process
from tests.simulation.registry import SimulatedRegistry
from tests.simulation.shape import SESSION_MS, draw
from tests.simulation.workload import Workload

BOUND_S = 120.0
POLL_S = 0.5
BUILT_ANEW = "consent view is built anew"


class World:
    """Brokers, GeNiE, some gateways, a few events, and no trouble."""

    def __init__(self, directory: Path, hosts: int = 1) -> None:
        self.loop = VirtualLoop()
        self.shape = replace(draw(1), hosts=hosts, partitions=1, static=False, usual=0.0, drift_ms=0, events=10)
        self.registry = SimulatedRegistry()
        self.logs: list[tuple[str, str]] = []
        self.gateways: list[Process] = []
        self._directory = directory

    def transport(self, name: str) -> process.Transport:
        return self.parts.partner.transport(name)

    def hear(self, host: str, level: str, event: str, beside: Mapping[str, Any]) -> None:
        self.logs.append((host, event))

    async def _go(self, story: Callable[["World"], Awaitable[Any]]) -> Any:
        pki = keys.cached()
        self.parts = Parts(self.shape, self.loop, pki, self.registry)
        self.work = Workload(
            self.shape, self.parts.write, self.parts.settled, self.loop.call_later, lambda: wall_ms(self.loop)
        )
        self.work.at_first()
        for name in ("one", "two")[: self.shape.hosts]:
            kafka = {"bootstrap_servers": self.parts.kafka.bootstrap, "group_id": GROUP}
            session = {"session_timeout_ms": SESSION_MS, "rebalance_timeout_ms": 10_000}
            given = process.settings(pki, name, self._directory / name, kafka=kafka | session, lane={"drain_ms": 4_000})
            self.gateways.append(Process(name, self.loop, given))
            self.gateways[-1].start()
        return await story(self)

    def tell(self, story: Callable[["World"], Awaitable[Any]], seed: int = 1) -> Any:
        with taken_over(self.loop, seed), process.installed(Below(self.transport, self.registry, self.hear)):
            return self.loop.run(self._go(story))

    async def until(self, wanted: Callable[[], bool]) -> None:
        """Wait for a condition, within a bound."""
        for _ in range(round(BOUND_S / POLL_S)):
            if wanted():
                return
            await asyncio.sleep(POLL_S)
        raise AssertionError(f"not within {BOUND_S} s: {self.logs[-20:]}")

    async def settled(self) -> None:
        await self.until(lambda: not self.parts.unsettled())

    def open_lanes(self, gateway: Process) -> int:
        return sum(driver.is_open for driver in gateway.gateway._drivers()) if gateway.gateway is not None else 0


def overridden() -> list[Any]:
    """What a gateway's start replaces in its client library, as it is now."""
    return [AIOKafkaConnection.send, AIOKafkaClient._metadata_update, default_records.gzip_decode]


def test_nothing_of_a_start_is_left_behind(tmp_path: Path) -> None:
    """What a gateway overrides in its client library for good is put back for whatever else runs in this process."""
    before = overridden()
    while_it_runs = World(tmp_path).tell(_started)
    assert not set(before) & set(while_it_runs)
    assert overridden() == before


async def _started(world: World) -> list[Any]:
    await world.settled()
    return overridden()


def test_without_kafka_it_gives_up_and_says_so(tmp_path: Path) -> None:
    """The real preflight runs, finds nobody, and the process ends with what it found."""
    loop = VirtualLoop()

    async def main() -> tuple[str, str]:
        gateway = Process("one", loop, process.settings(keys.cached(), "one", tmp_path))
        gateway.start()
        return await gateway.wait(), str(gateway.error)

    def no_transport(name: str) -> Any:
        raise AssertionError(f"{name} got as far as GeNiE")

    with taken_over(loop, 1), process.installed(Below(no_transport, SimulatedRegistry())):
        Network(loop, Random(1))
        ended, why = loop.run(main())
    assert ended == "NotReadyError"
    assert "kafka:9092" in why


def test_a_gateway_starts_settles_what_comes_and_ends_in_order(tmp_path: Path) -> None:
    """It joins, opens its lanes, provides, and SIGTERM ends it with nothing left over."""

    async def story(world: World) -> str:
        world.work.burst(10)
        await world.settled()
        return await world.gateways[0].stop()

    world = World(tmp_path)
    assert world.tell(story) == IN_ORDER
    assert world.parts.settled()
    assert world.parts.partner.receipts.lines
    assert not world.loop.complaints
    assert [event for _, event in world.logs if event.startswith("lane ")] == ["lane open"] * 3 + ["lane closed"] * 3


def test_a_killed_gateway_comes_back_on_its_view(tmp_path: Path) -> None:
    """Nothing of the dead one runs any more, its lock on the view is gone, and what it had written is there."""

    async def story(world: World) -> str:
        (gateway,) = world.gateways
        await world.until(lambda: world.open_lanes(gateway) == 3)
        world.work.burst(10)
        gateway.kill()
        ended = await gateway.wait()
        gateway.start()
        await world.settled()
        return ended

    world = World(tmp_path)
    assert world.tell(story) == KILLED
    assert [event for _, event in world.logs].count(BUILT_ANEW) == 1


def test_a_frozen_gateway_loses_its_lanes_and_comes_back_harmless(tmp_path: Path) -> None:
    """Beyond its session the other has all lanes; thawed, it finds out, or ends for a new one; nothing is twice."""

    def is_back(world: World) -> bool:
        one, two = world.gateways
        if not one.alive:  # with a doubtful commit behind it, it leaves the rest to a new process
            one.start()
        return world.open_lanes(one) > 0 and world.open_lanes(two) < 3

    async def story(world: World) -> list[str]:
        one, two = world.gateways
        await world.until(lambda: world.open_lanes(one) + world.open_lanes(two) == 3 and world.open_lanes(one) > 0)
        one.freeze()
        world.work.burst(10)
        await world.settled()
        assert world.open_lanes(two) == 3
        one.thaw()
        world.work.burst(10)
        await world.until(lambda: is_back(world))
        await world.settled()
        return [await one.stop(), await two.stop()]

    world = World(tmp_path, hosts=2)
    assert world.tell(story) == [IN_ORDER, IN_ORDER]
    assert len({(event.topic, event.partition, event.offset) for event in world.parts.settled()}) == len(
        world.parts.settled()
    )
