"""A strict GeNiE in this process, with a clock that the test moves, and a client that shares nothing with ours."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.sandbox.genie import Sandbox
from tests.contract.genie_client import Client, Clock, client_of


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sandbox(tmp_path: Path, clock: Clock) -> AsyncIterator[Sandbox]:
    async with Sandbox(tmp_path, clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
async def genie(sandbox: Sandbox, clock: Clock) -> AsyncIterator[Client]:
    async with client_of(sandbox, clock) as client:
        yield client
