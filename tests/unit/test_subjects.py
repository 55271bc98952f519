"""`gateway schemas register` and `diff`, against a registry that keeps what it is given."""

import asyncio
import copy
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway import schemas
from gateway.kafka import subjects
from gateway.kafka.http_registry import HttpRegistry
from gateway.kafka.names import TopicNames
from gateway.kafka.registry import NotRegisteredError
from gateway.kafka.subjects import LEVEL, RefusedError
from tests.integration.schema_registry import SchemaRegistry, saying

PAYMENTS = "lease.payments-value"
KINDS = len(TopicNames().record_kinds())


@pytest.fixture
async def there() -> AsyncIterator[SchemaRegistry]:
    """An empty registry."""
    async with SchemaRegistry(empty=True) as served:
        yield served


@pytest.fixture
async def registry(there: SchemaRegistry) -> AsyncIterator[HttpRegistry]:
    client = HttpRegistry.of(there.url, TopicNames())
    yield client
    await client.close()


def changed_payment(**field: Any) -> str:
    """Our schema of payments with one more field."""
    raw = copy.deepcopy(dict(schemas.schema("LeasePaymentEvent").source))
    raw["fields"].append(field)
    return json.dumps(raw)


async def run(*arguments: str) -> tuple[int, str, str]:
    """Status, output and errors of a command."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "schemas", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, errors = await process.communicate()
    return process.returncode or 0, said.decode(), errors.decode()


async def test_what_is_registered_can_be_started_with(there: SchemaRegistry, registry: HttpRegistry) -> None:
    """An empty registry has all nine subjects afterwards, each fully compatible, and the gateway finds its ids."""
    with pytest.raises(NotRegisteredError):
        await registry.id_of("ProvisionRecord")
    done = await subjects.register(registry)
    assert {each.kept for each in done} == {subjects.Kept.NEW}
    assert set(there.levels.values()) == {LEVEL}
    assert len(there.versions) == len(there.levels) == KINDS
    for each in done:
        assert await registry.id_of(each.kind) == each.ids[-1]
    assert await subjects.differences(registry) == []


async def test_registering_again_changes_nothing(there: SchemaRegistry, registry: HttpRegistry) -> None:
    """The second run only looks."""
    await subjects.register(registry)
    there.changes.clear()
    done = await subjects.register(registry)
    assert {each.kept for each in done} == {subjects.Kept.THERE}
    assert there.changes == []


async def test_another_level_is_replaced_and_told(there: SchemaRegistry, registry: HttpRegistry) -> None:
    """A subject that allowed more than we can read is made strict."""
    there.levels[PAYMENTS] = "BACKWARD"
    done = {each.subject: each for each in await subjects.register(registry)}
    assert there.levels[PAYMENTS] == LEVEL
    assert "compatibility was BACKWARD" in str(done[PAYMENTS])


async def test_every_difference_is_told(there: SchemaRegistry, registry: HttpRegistry) -> None:
    """Levels, missing subjects, and each field by which the newest version is another."""
    await subjects.register(registry)
    there.levels[PAYMENTS] = "NONE"
    del there.versions["norel.scores-value"]
    await registry.ask(
        "", "POST", f"/subjects/{PAYMENTS}/versions", {"schema": changed_payment(name="x", type="int", default=0)}
    )
    told = [str(each) for each in await subjects.differences(registry)]
    assert [line.split(";")[0] for line in told] == [
        f"{PAYMENTS}: (whole schema): compatibility is NONE, needed: FULL_TRANSITIVE",
        f"{PAYMENTS}: x: only the registered schema has it",
        "norel.scores-value: (whole schema): no schema is registered",
    ]


async def test_a_schema_that_this_release_cannot_read_is_told(there: SchemaRegistry, registry: HttpRegistry) -> None:
    """What breaks reading or writing is named by its field; text that is no schema is named as that."""
    raw = json.loads(changed_payment(name="x", type="int"))
    raw["fields"][0]["type"] = "bytes"
    await registry.ask("", "POST", f"/subjects/{PAYMENTS}/versions", {"schema": json.dumps(raw)})
    told = [str(each) for each in await subjects.differences(registry) if each.subject == PAYMENTS]
    assert any("LeasePaymentEvent is not registered" in line for line in told)
    assert any("event_id: this release cannot read it: bytes is read as string" in line for line in told)
    await registry.ask("", "POST", f"/subjects/{PAYMENTS}/versions", {"schema": "{"})
    assert any("unfit" in str(each) for each in await subjects.differences(registry))


async def test_a_registry_that_may_not_be_written(there: SchemaRegistry, registry: HttpRegistry) -> None:
    """It is named with the request that it refuses."""
    there.trouble = saying(b'{"error_code": 40301}', 403)
    with pytest.raises(RefusedError, match=r"127\.0\.0\.1.*refuses GET /config/lease.payments-value.*403"):
        await subjects.register(registry)


async def test_the_commands(there: SchemaRegistry) -> None:
    """Status 1 while something differs or is refused, 0 when all is there, 3 when nobody answers, 2 without a URL."""
    status, said, _ = await run("diff", "--registry", there.url)
    assert (status, said.count("no schema is registered")) == (1, KINDS)
    there.refuses.add(PAYMENTS)
    status, said, _ = await run("register", "--registry", there.url)
    assert status == 1
    assert f"{PAYMENTS}: refused as incompatible" in said
    there.refuses.clear()
    status, said, _ = await run("register", "--registry", there.url, "--json")
    rows = {row["subject"]: row for row in json.loads(said)["subjects"]}
    assert (status, rows[PAYMENTS]["kept"], rows["norel.scores-value"]["kept"]) == (0, "new", "there")
    status, said, _ = await run("diff", "--registry", there.url, "--json")
    assert (status, json.loads(said)) == (0, {"differences": []})
    await there.stop()
    status, _, errors = await run("diff", "--registry", there.url)
    assert (status, "check its URL" in errors) == (3, True)
    status, _, errors = await run("register", "--registry", "http://user@registry")
    assert (status, "without a user" in errors) == (2, True)
