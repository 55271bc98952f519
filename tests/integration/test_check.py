"""`gateway check` beside a real Kafka and a strict GeNiE: what it finds, how it ends, and that it changes nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import trustme
from aiokafka.structs import TopicPartition
from typer.testing import CliRunner

from gateway import preflight
from gateway.cli import app
from gateway.genie.client import wall_ms
from gateway.kafka.cluster import log_bounds
from gateway.kafka.connection import KafkaConnection
from gateway.sandbox import pki as pkis
from tests.integration.gateway_world import World
from tests.integration.schema_registry import SchemaRegistry

NOBODY = "127.0.0.1:9"  # the discard port: nothing listens there

Finding = Mapping[str, str]
Check = Callable[..., Awaitable[tuple[int, list[Finding]]]]


@pytest.fixture
async def check(world: World) -> AsyncIterator[Check]:
    """`await check(genie=False, kafka__group_id="x")`: exit status and findings, with some settings changed."""

    async def run(*, genie: bool = False, **changes: str) -> tuple[int, list[Finding]]:
        made = {f"GATEWAY_{name.upper()}": value for name, value in changes.items()}
        arguments = ["check", "--json", *(["--genie"] if genie else [])]
        ended = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=world.settings("one") | made)
        assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
        return ended.exit_code, orjson.loads(ended.stdout)["findings"]

    yield run


async def test_where_all_is_right_nothing_is_found_or_changed(world: World, check: Check) -> None:
    """Status 0 and an empty list, with GeNiE asked too; no topic grows and nobody receives anything."""
    partitions = [TopicPartition(topic, 0) for topic in world.names.record_kinds()]
    async with KafkaConnection(world.kafka, "test").client() as client:
        before = await log_bounds(client, partitions)
        assert await check(genie=True) == (0, [])
        assert await log_bounds(client, partitions) == before
    assert world.received() == []
    assert not list(world.directory.glob("view*"))


async def test_each_part_on_kafka_that_is_wrong_is_named(world: World, check: Check, tmp_path: Path) -> None:
    """The setting or part, what was found, the remedy, and the status; other settings are not blamed."""
    cases: list[tuple[dict[str, str], int, str, list[str]]] = [
        ({"kafka__bootstrap_servers": NOBODY}, 3, "kafka.bootstrap_servers", [NOBODY, "brokers are up"]),
        ({"schemas__registry_url": f"http://{NOBODY}"}, 3, "schemas.registry_url", [NOBODY, "check its URL"]),
        ({"topics__prefix": "absent."}, 1, "topics", ["absent.consent.records", "gateway topics create"]),
        ({"kafka__group_id": "new"}, 1, "kafka.group_id", ["lanes init --group new", "4 more lanes"]),
        ({"kafka__allow_dev_topics": "false"}, 1, "kafka.security_protocol", ["PLAINTEXT", "SASL_SSL"]),
        ({"view__path": str(tmp_path / "file" / "view")}, 1, "view.path", ["file is no directory"]),
        ({"genie__batch": "0"}, 1, "genie.batch", ["whole numbers from 1 to 500"]),
    ]
    (tmp_path / "file").touch()
    for changes, status, setting, words in cases:
        ended, findings = await check(**changes)
        said = str(findings)
        assert ended == status, said
        assert findings[0]["setting"] == setting, said
        assert all(word in said for word in words), said


async def test_all_that_is_wrong_comes_in_one_list(world: World, check: Check) -> None:
    """A broken file hides neither Kafka nor the registry, and what is wrong counts more than what is away."""
    world.genie.pki.pseudonym_key.write_text("short")
    status, findings = await check(
        kafka__group_id="new", schemas__registry_url=f"http://{NOBODY}", genie__signing_key_id="a b"
    )
    assert status == 1
    assert [(finding["severity"], finding["setting"]) for finding in findings] == [
        ("problem", "genie.signing_key_file, genie.signing_key_id"),
        ("problem", "keys.pseudonym_key_file"),
        ("problem", "kafka.group_id"),
        ("away", "schemas.registry_url"),
    ]


async def test_a_registry_without_our_schemas_is_named(check: Check) -> None:
    """Each kind of record that the gateway writes must be registered."""
    async with SchemaRegistry({}) as registry:
        assert await check(schemas__registry_url=registry.url) == (0, [])
        registry._texts.clear()
        status, findings = await check(schemas__registry_url=registry.url)
    assert (status, len(findings)) == (1, 3)
    assert all("gateway schemas register" in finding["found"] for finding in findings)


async def test_what_genie_does_not_understand_is_named(world: World, check: Check) -> None:
    """Asked about one made-up key, GeNiE shows a wrong URL, certificate, key, key id, recipient or clock."""
    pki = world.genie.pki
    other = pkis.make(world.directory / "other")
    other_answers = f'{{"{pkis.GENIE_ED25519_ID}": "{pkis.public_half(other.genie_ed25519)}"}}'
    other_login = {"genie__client_cert_file": str(other.client), "genie__client_key_file": str(other.client_key)}
    cases: list[tuple[dict[str, str], int, str, str]] = [
        ({"genie__base_url": f"https://{NOBODY}"}, 3, "genie.base_url", "no connection"),
        ({"genie__ca_file": str(other.ca)}, 1, "genie.base_url", "TLS handshake"),
        (other_login, 3, "genie.base_url", "connection broke"),
        ({"genie__signing_key_file": str(pki.norel_p256)}, 1, "genie", "refuses our signature"),
        ({"genie__signing_key_id": "norel-1999"}, 1, "genie", "check the key id"),
        ({"genie__answer_key_files": other_answers}, 1, "genie.answer_key_files", "without a valid signature"),
    ]
    for changes, status, setting, words in cases:
        ended, findings = await check(genie=True, **changes)
        assert (ended, [finding["setting"] for finding in findings]) == (status, [setting]), (changes, findings)
        assert words in findings[0]["found"], findings
    assert world.received() == []


async def test_a_clock_far_from_genies_is_named(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signed answer carries GeNiE's time."""
    monkeypatch.setattr(preflight, "wall_ms", lambda: wall_ms() + 60_000)
    status, findings = await check(genie=True)
    assert (status, [finding["setting"] for finding in findings]) == (1, ["genie.skew_ms"])


async def test_a_certificate_that_expires_soon_is_a_warning(world: World, check: Check) -> None:
    """Nothing is kept from starting, and both check and serve say it."""
    soon = trustme.CA().issue_cert("gateway.example", not_after=datetime.now(UTC) + timedelta(days=3))
    world.genie.pki.client.write_bytes(soon.cert_chain_pems[0].bytes())
    world.genie.pki.client_key.write_bytes(soon.private_key_pem.bytes())
    status, (finding,) = await check()
    assert (status, finding["severity"], finding["setting"]) == (0, "warning", "genie.client_cert_file")
    async with world.gateway() as gateway:
        await gateway.serving()
    (warned,) = [line for line in gateway.lines() if line["event"].startswith("a file must be replaced")]
    assert warned["setting"] == "genie.client_cert_file"


async def test_a_gateway_that_runs_disturbs_no_check(world: World, check: Check) -> None:
    """Its lanes' open transactions and its view are its own: the check beside it finds nothing, again and again."""
    async with world.gateway() as gateway:
        await gateway.ready(1)
        await world.consent("subject-anna")
        await world.payments("subject-anna", 200)
        results: list[Any] = [await check() for _ in range(3)]
        await world.settled(200)
    assert results == [(0, [])] * 3
