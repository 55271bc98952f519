"""Stories of groups with several members, and of members and transactions that time out.

Each returns what it was told. Must not know which Kafka it speaks to.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tests.simulation.broker.raw_client import Producer, RawClient, until

_SOON_MS = 1_500  # a rebalance timeout that a story can wait for
_REJOIN = 27


async def two_members(client: RawClient, prefix: str) -> list[Any]:
    """A second member joins, the leader assigns, followers and the leader join again, one leaves."""
    group = f"{prefix}group"
    one = await _alone(client, group)
    told: list[Any] = []
    async with RawClient(client.bootstrap) as second:
        two = (await second.join(group, "")).member_id
        told += [await client.heartbeat(group, 1, one), await client.describe(group)]
        joining = asyncio.create_task(second.join(group, two))
        await until(lambda: _rebalances(client, group, 1, one))
        told += [await client.commit(group, 1, one, prefix + "t", 1, "m"), await client.sync(group, 1, one, [])]
        first, other = await client.join(group, one), await joining
        told += [_said(first, one), _said(other, two), await client.heartbeat(group, 2, one)]
        told += [_said(await second.join(group, two), two), await client.describe(group)]
        syncing = asyncio.create_task(second.sync(group, 2, two, []))
        told += [await client.sync(group, 2, one, [(one, b"for one"), (two, b"for two")]), await syncing]
        told += [_said(await second.join(group, two), two), await client.heartbeat(group, 2, one)]
        joining = asyncio.create_task(client.join(group, one))  # the leader joins again: everybody must
        await until(lambda: _rebalances(second, group, 2, two))
        told += [_said(await second.join(group, two), two), _said(await joining, one)]
        syncing = asyncio.create_task(second.sync(group, 3, two, []))
        told += [await client.sync(group, 3, one, [(one, b"all")]), await syncing]
        told += [await second.leave(group, two), await client.heartbeat(group, 3, one)]
        return [*told, _said(await client.join(group, one), one), await client.describe(group)]


async def one_does_not_rejoin(client: RawClient, prefix: str) -> list[Any]:
    """A rebalance waits for its timeout; then a dynamic member is out, and a static one stays."""
    told: list[Any] = []
    for instance in (None, "instance"):
        group = f"{prefix}group-{instance}"
        one = await _alone(client, group)
        async with RawClient(client.bootstrap) as second, RawClient(client.bootstrap) as third:
            two = await _second(client, second, group, one, instance)
            three = (await third.join(group, "", rebalance=_SOON_MS)).member_id
            joining = asyncio.create_task(third.join(group, three, rebalance=_SOON_MS))
            await until(lambda group=group, one=one: _rebalances(client, group, 2, one))
            first = await client.join(group, one, rebalance=_SOON_MS)
            told += [_said(first, one), _said(await joining, three)]
            told += [sorted(member for _, member, _ in first.members if member)]
            told += [await second.heartbeat(group, 2, two, instance), await second.heartbeat(group, 3, two, instance)]
            told += [await client.describe(group)]
    return told


async def one_does_not_sync(client: RawClient, prefix: str) -> list[Any]:
    """A follower that joins but does not sync in time is out."""
    group = f"{prefix}group"
    one = await _alone(client, group)
    async with RawClient(client.bootstrap) as second:
        two = (await second.join(group, "", rebalance=_SOON_MS)).member_id
        joining = asyncio.create_task(second.join(group, two, rebalance=_SOON_MS))
        await until(lambda: _rebalances(client, group, 1, one))
        await client.join(group, one, rebalance=_SOON_MS)
        await joining
        told: list[Any] = [await client.heartbeat(group, 2, one)]
        syncing = asyncio.create_task(client.sync(group, 2, one, [(one, b"one"), (two, b"two")]))
        told += [await syncing]
        await until(lambda: _rebalances(client, group, 2, one))
        return [*told, await second.heartbeat(group, 2, two), (await client.describe(group))[2]]


async def time_is_over(client: RawClient, prefix: str) -> list[Any]:
    """A member without heartbeats is out; a transaction without end is aborted, and its owner fenced."""
    topic, lane, group = f"{prefix}topic", f"{prefix}lane", f"{prefix}group"
    await client.create(topic, 1)
    producer = Producer(lane, *await client.take_over(lane, timeout_ms=1_000))
    await client.add(producer, topic, 0)
    told: list[Any] = [await client.produce(producer, topic, 0, 0)]
    one = await _alone(client, group)

    async def is_out() -> bool:
        return (await client.describe(group))[2] == 0

    await until(is_out)
    told += [await client.describe(group), await client.heartbeat(group, 1, one), await client.join(group, one)]
    told[-1] = told[-1].error_code
    await client.settled(topic, 0)
    told += [await client.fetch(topic, 0, 0, isolated=True), await client.produce(producer, topic, 0, 1)]
    told += [await client.end(producer, commit=True), await client.add(producer, topic, 0)]
    _, epoch = await client.take_over(lane)
    return [*told, epoch]


async def _alone(client: RawClient, group: str) -> str:
    member_id = (await client.join(group, "", rebalance=_SOON_MS)).member_id
    await client.join(group, member_id, rebalance=_SOON_MS)
    await client.sync(group, 1, member_id, [(member_id, b"all")])
    return str(member_id)


async def _second(client: RawClient, second: RawClient, group: str, one: str, instance: str | None) -> str:
    """A second member, which is assigned something in generation 2."""
    two = "" if instance else (await second.join(group, "", rebalance=_SOON_MS)).member_id
    joining = asyncio.create_task(second.join(group, two, instance, rebalance=_SOON_MS))
    await until(lambda: _rebalances(client, group, 1, one))
    await client.join(group, one, rebalance=_SOON_MS)
    two = (await joining).member_id
    await client.sync(group, 2, one, [(one, b"one"), (two, b"two")])
    await second.sync(group, 2, two, [], instance)
    return two


async def _rebalances(client: RawClient, group: str, generation: int, member_id: str) -> bool:
    return await client.heartbeat(group, generation, member_id) == _REJOIN


def _said(joined: Any, member_id: str) -> tuple[Any, ...]:
    """Of an answer to JoinGroup what is the same in every run."""
    leads = joined.leader_id == member_id
    return joined.error_code, joined.generation_id, joined.group_protocol, leads, len(joined.members)
