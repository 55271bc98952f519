"""Stories told to the simulated Kafka and to Apache Kafka: each must get the same answers from both."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.simulation.broker import SimulatedKafka, stories, stories_groups
from tests.simulation.broker.raw_client import RawClient

pytestmark = pytest.mark.integration

Story = Callable[[RawClient, str], Awaitable[list[Any]]]


async def _told(story: Story, bootstrap: str, prefix: str) -> list[Any]:
    async with RawClient(bootstrap) as client:
        return await story(client, prefix)


STORIES: list[Any] = [
    stories.a_transaction,
    stories.repetitions,
    stories.a_zombie,
    stories.offsets_in_a_transaction,
    stories.offsets_in_their_log,
    stories.stable_offsets,
    stories.producers_without_transactions,
    stories.what_topics_there_are,
    stories.one_member,
    stories.a_static_member,
    stories_groups.two_members,
    stories_groups.one_does_not_rejoin,
    stories_groups.one_does_not_sync,
    pytest.param(stories_groups.time_is_over, marks=pytest.mark.long),
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_both_answer_the_same(story: Story, simulated: SimulatedKafka, apache: str, prefix: str) -> None:
    """The simulated Kafka and Apache Kafka give the same answers."""
    ours, real = await asyncio.gather(_told(story, simulated.bootstrap, prefix), _told(story, apache, prefix))
    assert ours == real
