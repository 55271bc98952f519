"""A strict GeNiE in this process, with a clock that the test moves, and a client that shares nothing with ours."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.sandbox import pki as pkis
from gateway.sandbox.genie import Sandbox
from tests.contract.genie_client import Client, Clock, client_of


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sandbox(tmp_path: Path, pki: pkis.Pki, clock: Clock) -> AsyncIterator[Sandbox]:
    shutil.copytree(pki.directory, tmp_path / "pki")
    async with Sandbox(tmp_path, clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
async def genie(sandbox: Sandbox, clock: Clock) -> AsyncIterator[Client]:
    async with client_of(sandbox, clock) as client:
        yield client
