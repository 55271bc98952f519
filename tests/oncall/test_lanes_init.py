"""`gateway lanes init` in the audit: who set where lanes start, and why."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from gateway.cli.lanes_audit import NOT_GIVEN
from tests.oncall.desk_world import OPERATOR, DeskWorld, Result

NOBODY = {"GATEWAY_OPERATOR": "", "USER": ""}


def init(
    world: DeskWorld, *options: str, group: str = "gateway", start: str = "earliest", **environment: str
) -> Result:
    """With a group of this world's own."""
    group = f"{world.prefix}{group}"
    return world.run(["lanes", "init", "--from", start, "--group", group, *options], **environment)


def audit(world: DeskWorld) -> list[tuple[object, ...]]:
    """What the audit holds, oldest first."""
    asked = ("command", "operator", "reason", "ticket", "count")
    return [tuple(record[each] for each in asked) for record in world.records(world.names.audit)]


@pytest.fixture
def world(kafka: str) -> DeskWorld:
    """Topics of each test's own: what a test writes to the audit is all there is."""
    return DeskWorld(kafka)


@pytest.mark.parametrize("start", ["earliest", "ledger"])
def test_a_start_is_audited_and_one_that_sets_nothing_is_not(world: DeskWorld, start: str) -> None:
    """A first start needs no words, as of a chart's job; what is replaced needs all three; a dry run is no deed."""
    assert init(world, "--dry-run", start=start, **NOBODY).status == 0
    assert audit(world) == []
    first = init(world, start=start, **NOBODY)
    assert first.status == 0, first.stderr
    done = [("lanes init", NOT_GIVEN, NOT_GIVEN, NOT_GIVEN, first.stdout.count(" set at "))]
    assert audit(world) == done
    assert init(world, start=start, **NOBODY).status == 0  # all keep theirs
    assert init(world, "--force", "--dry-run", start=start, **NOBODY).status == 0
    assert audit(world) == done
    lane = f"--lane={world.names.payments}:0"
    assert init(world, "--force", lane, *OPERATOR, start=start).status == 0
    assert audit(world) == [*done, ("lanes init", "ann", "test", "T-1", 1)]


@pytest.mark.parametrize("left_out", range(3))
def test_to_replace_offsets_who_and_why_must_be_said(world: DeskWorld, left_out: int) -> None:
    """Before anything is read or set."""
    given = [word for at, word in enumerate(OPERATOR) if at // 2 != left_out]
    refused = init(world, "--force", *given, **NOBODY)
    assert refused.status == 2
    assert OPERATOR[2 * left_out] in refused.stderr
    assert audit(world) == []


def test_without_an_audit_topic_nothing_is_set(world: DeskWorld) -> None:
    """The message says which command makes it."""

    async def remove() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=world.kafka)
        await admin.start()
        try:
            await admin.delete_topics([world.names.audit])
        finally:
            await admin.close()

    asyncio.run(remove())
    refused = init(world, *OPERATOR)
    assert refused.status == 1
    assert "no such topic" in refused.stderr
    assert "gateway topics create" in refused.stderr
    planned = init(world, "--dry-run")
    assert " set at " in planned.stdout
    assert " kept at " not in planned.stdout
