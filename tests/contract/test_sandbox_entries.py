"""Idempotency, the order of a subject's entries, scores, lookups and receipts."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.sandbox.genie import Sandbox
from gateway.sandbox.genie.books import rfc3339
from tests.contract.genie_client import (
    BATCHES,
    LOOKUPS,
    NOW,
    SINGLE,
    Client,
    Clock,
    canonical,
    client_of,
    entry,
    key_of,
    lookup,
    payment,
    provision,
    score,
)


def first_of(reply: Any, index: int = 0) -> dict[str, str]:
    first: dict[str, str] = reply.json["results"][index]["first"]
    return first


async def test_accepted_says_what_was_received(genie: Client) -> None:
    """`first` of an accepted entry is the entry itself, with GeNiE's own time and the digest of the body."""
    reply = await genie.provide(entry("a"))
    result = reply.json["results"][0]
    assert result["idempotency_key"] == key_of("a")
    assert result["first"] == {
        "origin": key_of("origin"),
        "source_digest": key_of("source"),
        "body_digest": key_of(canonical(payment()).decode()),
        "received_at": rfc3339(NOW),
    }


async def test_a_duplicate_names_the_first(genie: Client) -> None:
    """The same key with the same body is a duplicate, whatever its origin, and keeps the receipt of the first."""
    accepted = (await genie.provide(entry("a", origin="one"))).json["results"][0]
    genie.clock.ms += 5000
    again = (await genie.provide(entry("a", origin="two"))).json["results"][0]
    assert again == accepted | {"status": "duplicate"}
    assert again["first"]["origin"] == key_of("one")


async def test_a_duplicate_within_one_batch(genie: Client) -> None:
    """Entries are applied in order: the second of two with one key is the duplicate."""
    reply = await genie.provide(entry("a", origin="one"), entry("a", origin="two"))
    assert reply.statuses == ["accepted", "duplicate"]
    assert first_of(reply, 1)["origin"] == key_of("one")


async def test_a_reused_key_is_rejected(genie: Client) -> None:
    """The same key with another body is rejected, shows the first, and changes nothing."""
    first = first_of(await genie.provide(entry("a")))
    reply = await genie.provide(entry("a", payment(status="unpaid")))
    result = reply.json["results"][0]
    assert (result["status"], result["first"]) == ("rejected", first)
    assert result["problem"]["type"] == "urn:genie:problem:idempotency-key-reused"
    assert "receipt_id" not in result
    assert first_of(await genie.look_up("a")) == first


async def test_later_entries_of_a_subject_wait(genie: Client) -> None:
    """After an entry that is not taken, later ones of its subject answer `retry`; other subjects go on."""
    await genie.provide(entry("a", payment("one")))
    reply = await genie.provide(
        entry("b", payment("one")),
        entry("a", payment("one", status="unpaid")),
        entry("c", payment("two")),
        entry("d", payment("one")),
        entry("a", payment("one")),
        entry("e", payment("two")),
    )
    assert reply.statuses == ["accepted", "rejected", "accepted", "retry", "retry", "accepted"]
    assert (await genie.look_up("d")).statuses == ["not_received"]
    assert (await genie.provide(entry("d", payment("one")))).statuses == ["accepted"]


async def test_duplicate_and_superseded_hold_up_nobody(genie: Client) -> None:
    """An entry that GeNiE has taken before, in whatever way, does not stop its subject."""
    await genie.provide(entry("a"), entry("s9", score(sequence=9)))
    reply = await genie.provide(entry("a"), entry("s8", score(sequence=8)), entry("b"))
    assert reply.statuses == ["duplicate", "superseded", "accepted"]


async def test_only_a_higher_score_is_accepted(genie: Client) -> None:
    """A score not above the highest of its subject is superseded, again and again; another subject's is not."""
    reply = await genie.provide(
        entry("s5", score(sequence=5)),
        entry("s5b", score(sequence=5)),
        entry("s4", score(sequence=4)),
        entry("s6", score(sequence=6)),
        entry("s4", score(sequence=4)),
        entry("t1", score("two", 1)),
    )
    assert reply.statuses == ["accepted", "superseded", "superseded", "accepted", "superseded", "accepted"]
    assert reply.json["results"][2] == reply.json["results"][4]
    assert (await genie.look_up("s4")).statuses == ["received"]
    assert (await genie.provide(entry("s4", score(sequence=3)))).statuses == ["rejected"]


async def test_one_by_one(genie: Client) -> None:
    """The path for single entries shares keys with the path for batches."""
    assert (await genie.post(SINGLE, provision(entry("a")))).statuses == ["accepted"]
    assert (await genie.provide(entry("a"))).statuses == ["duplicate"]


async def test_lookup_keeps_order_and_has_its_own_time(genie: Client) -> None:
    """Results come in the order of the keys, with what was first received, as of GeNiE's clock."""
    accepted = (await genie.provide(entry("a"))).json["results"][0]
    genie.clock.ms += 4321
    reply = await genie.look_up("nobody", "a", "nobody")
    assert reply.json["as_of"] == rfc3339(NOW + 4321)
    assert reply.statuses == ["not_received", "received", "not_received"]
    assert reply.json["results"][1] == accepted | {"status": "received"}


async def test_lookup_sees_what_is_in_progress(genie: Client) -> None:
    """Between reading and judging a key is `processing`, unless it is received already."""
    await genie.provide(entry("a"))
    await genie.set_faults(latency={"share": 1, "ms": 100_000})
    waiting = asyncio.create_task(genie.provide(entry("a"), entry("b")))
    try:
        await genie.stats_until(lambda stats: stats["faults"].get("latency") == 1)
        await genie.set_faults()
        statuses = (await genie.look_up("a", "b", "c")).statuses
    finally:
        waiting.cancel()
    assert statuses == ["received", "processing", "not_received"]


class LateClock(Clock):
    """A clock that leaps when it is asked for the second time: between arrival and acceptance."""

    leap_ms = 0

    def __call__(self) -> int:
        now, self.ms, self.leap_ms = self.ms, self.ms + self.leap_ms, 0
        return now


@pytest.mark.parametrize("path", [BATCHES, SINGLE, LOOKUPS])
@pytest.mark.parametrize(("leap_ms", "taken"), [(10_000, True), (10_001, False)])
async def test_expires_counts_at_acceptance(tmp_path: Path, path: str, leap_ms: int, taken: bool) -> None:
    """A request that expires while GeNiE works on it is refused and leaves nothing behind."""
    clock = LateClock()
    async with Sandbox(tmp_path, clock=clock) as sandbox, client_of(sandbox, clock) as genie:
        content = lookup("a") if path == LOOKUPS else provision(entry("a"))
        message = genie.request(path, content, expires=10)
        clock.leap_ms = leap_ms
        reply = await genie.send(message)
        if taken:
            assert reply.status_code == 200
        else:
            assert reply.problem == "signature-expired"
            assert (await genie.look_up("a")).statuses == ["not_received"]


def lines(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [json.loads(line) for line in sandbox.receipts.read_text("utf-8").splitlines()]


async def test_receipts_tell_what_was_judged(genie: Client) -> None:
    """There is one line for each judged entry, whatever its status, as the verifier reads it."""
    await genie.provide(entry("a"), entry("a", payment(status="unpaid")), entry("b"))
    message = genie.sent[-1]
    found = lines(genie.sandbox)
    assert [line["status"] for line in found] == ["accepted", "rejected", "retry"]
    assert [line["seq"] for line in found] == [1, 2, 3]
    assert ["receipt_id" in line for line in found] == [True, False, False]
    receipt = found[0].pop("receipt_id")
    assert isinstance(receipt, str)
    assert found[0] == {
        "seq": 1,
        "received_at_ms": NOW,
        "endpoint": BATCHES,
        "request_digest": message.headers["Idempotency-Key"].strip('"'),
        "idempotency_key": key_of("a"),
        "origin": key_of("origin"),
        "source_digest": key_of("source"),
        "status": "accepted",
        "body_digest": key_of(canonical(payment()).decode()),
        "body": payment(),
    }


async def test_it_remembers_after_a_restart(tmp_path: Path, clock: Clock) -> None:
    """What was taken before a restart is a duplicate after it, under its first receipt; highest scores stay."""
    entries = [entry("a"), entry("s5", score(sequence=5)), entry("s4", score(sequence=4))]
    async with Sandbox(tmp_path, clock=clock) as sandbox, client_of(sandbox, clock) as genie:
        before = (await genie.provide(*entries)).json["results"]
        clock.ms += 1000
        await genie.provide(*entries)
    clock.ms += 1000
    async with Sandbox(tmp_path, clock=clock) as sandbox, client_of(sandbox, clock) as genie:
        again = await genie.provide(*entries, entry("s5b", score(sequence=5)), entry("b"))
        assert again.statuses == ["duplicate", "duplicate", "superseded", "superseded", "accepted"]
        assert [result["first"] for result in again.json["results"][:3]] == [each["first"] for each in before]
        assert [each["receipt_id"] for each in again.json["results"][:3]] == [each["receipt_id"] for each in before]
        assert [line["seq"] for line in lines(sandbox)] == list(range(1, 12))


async def test_half_a_line_was_never_answered_for(tmp_path: Path, clock: Clock) -> None:
    """A line cut off by a kill is dropped at the next start, and the whole lines before it stay."""
    async with Sandbox(tmp_path, clock=clock) as sandbox, client_of(sandbox, clock) as genie:
        await genie.provide(entry("a"), entry("b"))
    content = sandbox.receipts.read_bytes()
    sandbox.receipts.write_bytes(content[:-10])
    async with Sandbox(tmp_path, clock=clock) as sandbox, client_of(sandbox, clock) as genie:
        assert (await genie.look_up("a", "b")).statuses == ["received", "not_received"]
        await genie.provide(entry("b"))
    assert [line["idempotency_key"] for line in lines(sandbox)] == [key_of("a"), key_of("b")]
