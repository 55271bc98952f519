"""One real schema registry for all tests of this directory, with this release's schemas under the ids of its files."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import schemas
from gateway.kafka import subjects
from gateway.kafka.http_registry import HttpRegistry
from gateway.kafka.names import TopicNames
from gateway.sandbox import pki as pkis
from gateway.sandbox.broker import ArtifactError
from tests.integration.conftest import kafka
from tests.registry.apicurio import Apicurio, unpacked
from tests.registry.door import PASSWORD, USER, Door

__all__ = ["kafka"]

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and not {"kafka", "apicurio"}.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.integration)


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


@pytest.fixture(scope="session")
def door(apicurio: Apicurio, pki: pkis.Pki) -> Iterator[Door]:
    """The same registry behind TLS and a password."""
    with Door(apicurio.url, pki.server) as opened:
        yield opened


@pytest.fixture(scope="session")
def login(door: Door, pki: pkis.Pki, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The settings that open the door, by the names of their variables without prefix."""
    password = tmp_path_factory.mktemp("login") / "password"
    password.write_text(PASSWORD, "utf-8")
    password.chmod(0o600)
    return {
        "schemas__registry_url": door.url,
        "schemas__registry_ca_file": str(pki.ca),
        "schemas__registry_username": USER,
        "schemas__registry_password_file": str(password),
    }


async def _register(url: str) -> dict[str, int]:
    registry = HttpRegistry.of(url, TopicNames())
    done = await subjects.register(registry)
    await registry.close()
    return {each.kind: each.ids[-1] for each in done}
