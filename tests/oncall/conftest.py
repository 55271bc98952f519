"""A world for each module: its tests share the topics and what is in them."""

from pathlib import Path

import pytest

from tests.integration.conftest import kafka
from tests.oncall.desk_world import DeskWorld

__all__ = ["kafka"]

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="module")
def desk_world(kafka: str) -> DeskWorld:
    """The nine topics, empty."""
    return DeskWorld(kafka)
