"""One real schema registry for all tests of this directory, with this release's schemas under the ids of its files."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from gateway import schemas
from gateway.kafka import subjects
from gateway.kafka.http_registry import HttpRegistry
from gateway.kafka.names import TopicNames
from gateway.sandbox.broker import ArtifactError
from tests.integration.conftest import kafka
from tests.registry.apicurio import Apicurio, unpacked

__all__ = ["kafka"]


@pytest.fixture(scope="session")
def apicurio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apicurio]:
    """Its ids are the files', because it was empty and both count from 1 in the same order."""
    try:
        unpacked()
    except ArtifactError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no schema registry: {error}")
    with Apicurio(tmp_path_factory.mktemp("apicurio")) as served:
        assert asyncio.run(_register(served.url)) == {kind: each.id for kind, each in schemas.own().current.items()}
        yield served


async def _register(url: str) -> dict[str, int]:
    registry = HttpRegistry.of(url, TopicNames())
    done = await subjects.register(registry)
    await registry.close()
    return {each.kind: each.ids[-1] for each in done}
