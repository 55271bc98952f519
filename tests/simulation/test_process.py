"""A gateway as its composition root wires it, in virtual time."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.simulation import keys, process
from tests.simulation.clocks import taken_over
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import Network
from tests.simulation.process import Below, Process
from tests.simulation.registry import SimulatedRegistry


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return keys.make(tmp_path_factory.mktemp("keys"))


def test_without_kafka_it_gives_up_and_says_so(pki: Any, tmp_path: Path) -> None:
    """The real preflight runs, finds nobody, and the process ends with what it found."""
    loop = VirtualLoop()

    async def main() -> tuple[str, str]:
        gateway = Process("one", loop, process.settings(pki, "one", tmp_path))
        gateway.start()
        return await gateway.wait(), str(gateway.error)

    def no_transport(name: str) -> Any:
        raise AssertionError(f"{name} got as far as GeNiE")

    with taken_over(loop, 1), process.installed(Below(no_transport, SimulatedRegistry())):
        Network(loop, Random(1))
        ended, why = loop.run(main())
    assert ended == "NotReadyError"
    assert "kafka:9092" in why
