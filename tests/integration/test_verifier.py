"""The verifier on real topics, and its command."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from gateway.cli import app
from gateway.sandbox.verifier import TopicsError, verify
from gateway.sandbox.verifier.history import Topic
from tests.integration.conftest import MakeTopic
from tests.integration.waiting import log_ends_at
from tests.verifier_story import ANN, Story


@pytest.fixture
async def story(prefix: str, make_topic: MakeTopic) -> Story:
    """All topics exist; three payments are provided, and between two of them lies one that was aborted."""
    for topic in Topic:
        await make_topic(topic.value, 2)
    story = Story(prefix)
    story.consent()
    story.provide(story.payment())
    story.skip(Topic.PAYMENTS, 2)  # the aborted record and its marker
    story.provide(story.payment())
    story.provide(story.payment(partition=1))
    return story


async def publish(story: Story, kafka: str) -> None:
    """Write the story's records, and an aborted one wherever it leaves two offsets out."""
    plain = AIOKafkaProducer(bootstrap_servers=kafka)
    careless = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{story.prefix}careless")
    ends: Counter[tuple[str, int]] = Counter()
    async with plain, careless:
        for _, raw in story.records:
            record = {"topic": raw.topic, "partition": raw.partition, "key": raw.key, "value": raw.value}
            if ends[raw.topic, raw.partition] < raw.offset:
                await careless.begin_transaction()
                await careless.send_and_wait(**record)
                await careless.abort_transaction()
                await log_ends_at(kafka, raw.topic, raw.partition, raw.offset)
            sent = await plain.send_and_wait(**record, timestamp_ms=raw.timestamp)
            assert sent.offset == raw.offset
            ends[raw.topic, raw.partition] = sent.offset + 1


def written(story: Story, directory: Path) -> Path:
    path = directory / "receipts.jsonl"
    path.write_bytes(b"".join(story.lines()))
    return path


async def test_clean_history_read_from_kafka(story: Story, kafka: str, tmp_path: Path) -> None:
    """What was written through transactions and over partitions is read whole, aborted records left out."""
    await publish(story, kafka)
    verdict = await asyncio.to_thread(verify, kafka, written(story, tmp_path), prefix=story.prefix, complete=True)
    assert verdict.clean, verdict
    assert (verdict.produced, verdict.ledger_records, verdict.partner_received) == (3, 3, 3)


async def test_command_finds_planted_defects(story: Story, kafka: str, tmp_path: Path) -> None:
    """One defect of each kind, planted in topics, receipts, a log and saved metrics, is counted and shown."""
    swapped, lost, twice = story.payment(), story.payment(), story.payment()
    story.provide(twice)
    story.settle(twice, outcome="DUPLICATE", reason="same_event")
    story.provide(swapped)
    story.consent(status="withdrawn")
    unrecorded = story.payment()
    story.announce(unrecorded)
    story.receive(unrecorded)
    story.withhold(unrecorded)
    await publish(story, kafka)
    log, metrics = tmp_path / "gateway.log", tmp_path / "metrics.txt"
    log.write_text(f"cannot send {ANN}\n", "utf-8")
    metrics.write_text('sent_total{who="090-0000-1234"} 1\n', "utf-8")
    files = ["--receipts", str(written(story, tmp_path)), "--logs", str(log), "--metrics", str(metrics)]
    arguments = ["dev", "verify", "--bootstrap", kafka, "--prefix", story.prefix, *files]
    found = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--json"])
    assert found.exit_code == 1, found.output
    answer = json.loads(found.output)
    counts = {"lost": 1, "unrecorded": 1, "unconsented": 1, "duplicated": 1, "out_of_order": 1, "leaked_fields": 2}
    assert {name: answer[name] for name in counts} == counts
    assert answer["examples"]["lost"][0]["where"] == lost.where
    assert answer["clean"] is False
    shown = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert shown.exit_code == 1
    assert f"- {lost.where}: no terminal record" in shown.output
    assert "\x1b[" not in shown.output


async def test_missing_topic_is_named(kafka: str, prefix: str, tmp_path: Path) -> None:
    """Topics that are not there are an error that names the first, not an empty history."""
    receipts = tmp_path / "receipts.jsonl"
    receipts.touch()
    with pytest.raises(TopicsError, match=f"{prefix}lease.payments"):
        await asyncio.to_thread(verify, kafka, receipts, prefix=prefix)
