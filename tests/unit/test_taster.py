"""The child process that decodes first: what it survives, and what counts as its death."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gateway import schemas
from gateway.core.events import EventType
from gateway.kafka import taster as taster_module
from gateway.kafka.codec import Codec
from gateway.kafka.decoder_child import Request
from gateway.kafka.registry import FileRegistry
from gateway.kafka.taster import Taster, TasterFailedError
from tests.core_cases import payment
from tests.promises import deadly_decoder
from tests.promises.deadly_decoder import ENDS_PROCESS, HANGS, TAKES_MEMORY, TALKS


@dataclass(frozen=True, slots=True)
class Raw:
    """A consumed record."""

    value: bytes | None
    topic: str = "payments"
    key: bytes | None = b"subject-000001"


def a_record(name: bytes = b"", **changes: object) -> Raw:
    record = payment(**changes)
    record["customer"] = record["customer"] | {"memo": name.decode()}
    return Raw(schemas.encode("LeasePaymentEvent", record))


@pytest.fixture
async def taster(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Taster]:
    monkeypatch.setattr(taster_module, "COMMAND", (sys.executable, "-m", deadly_decoder.__name__))
    made = Taster(Codec(FileRegistry(), {"payments": "LeasePaymentEvent"}), EventType.LEASE_PAYMENT)
    yield made
    await made.close()


async def test_what_is_refused_in_order_is_survived(taster: Taster) -> None:
    """Good records, and bad ones that get their reason, kill nothing: the intake names the reason."""
    good = a_record()
    cut, trailing = Raw(good.value[:-1]), Raw(good.value + b"\x00")
    unframed, tombstone, unknown = Raw(b"{}"), Raw(None), Raw(schemas.frame(999, good.value[5:]))
    raws = [good, replace(good, key=None), cut, trailing, a_record(due_date=-(10**6)), unframed, tombstone, unknown]
    assert [await taster.dies_of(raw) for raw in raws] == [False] * len(raws)


async def test_what_is_not_decoded_needs_no_child(taster: Taster) -> None:
    """A process takes a second, and somebody could ask for many."""
    assert [await taster.dies_of(Raw(value)) for value in (None, b"{}")] == [False, False]
    assert taster._child is None


async def test_a_schema_too_deep_to_be_told_needs_no_child(taster: Taster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is ever decoded by it."""

    class Deep(FileRegistry):
        async def writer_schema(self, schema_id: int) -> object:
            deep: list[object] = []
            for _ in range(100_000):
                deep = [deep]
            return deep

    monkeypatch.setattr(taster, "_codec", Codec(Deep(), {"payments": "LeasePaymentEvent"}))
    assert not await taster.dies_of(a_record())
    assert taster._child is None


async def test_the_child_reads_what_the_lane_would_read(taster: Taster, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the same schema, as the same kind of record and event."""
    lines: list[bytes] = []

    async def answers(child: object, line: bytes, bound_s: float) -> bool:
        lines.append(line)
        return True

    monkeypatch.setattr(taster_module, "_answers", answers)
    raw, source = a_record(), json.dumps(schemas.schema("LeasePaymentEvent").source)
    assert not await taster.dies_of(raw)
    assert lines[-1] == Request("LeasePaymentEvent", "lease_payment", source, raw.key, raw.value).line()


async def test_lanes_share_one_child(taster: Taster) -> None:
    """One record after the other: each gets its own answer."""
    assert not await taster.dies_of(a_record())
    child = taster._child
    assert await asyncio.gather(*(taster.dies_of(a_record()) for _ in range(3))) == [False] * 3
    assert taster._child is child


@pytest.mark.parametrize("mark", [ENDS_PROCESS, HANGS, TAKES_MEMORY, TALKS])
async def test_a_record_that_the_child_does_not_survive(
    taster: Taster, mark: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Death, silence, memory or output past the bound are all the same; the next record has a fresh child."""
    if mark is HANGS:
        monkeypatch.setattr(taster_module, "TASTE_BOUND_S", 0.2)
    assert await taster.dies_of(a_record(mark))
    monkeypatch.undo()
    monkeypatch.setattr(taster_module, "COMMAND", (sys.executable, "-m", deadly_decoder.__name__))
    assert not await taster.dies_of(a_record())


async def test_one_death_of_a_child_proves_nothing(taster: Taster) -> None:
    """A child that something else has ended is replaced, and the record is tried again."""
    assert not await taster.dies_of(a_record())
    (child,) = [taster._child]
    child.kill()
    await child.wait()
    assert not await taster.dies_of(a_record())


async def test_a_taste_that_is_cancelled_answers_for_no_other(taster: Taster) -> None:
    """A lane lets go while the child decodes; the answer that is still to come is not the next record's."""
    assert not await taster.dies_of(a_record())
    tasting = asyncio.create_task(taster.dies_of(a_record()))
    child = taster._child
    for _ in range(3):  # asked, not answered yet
        await asyncio.sleep(0)
    tasting.cancel()
    await asyncio.wait([tasting])
    assert tasting.cancelled()
    async with asyncio.timeout(10):
        await child.wait()
    assert await taster.dies_of(a_record(ENDS_PROCESS))


async def test_a_child_that_can_not_start_proves_nothing(taster: Taster, monkeypatch: pytest.MonkeyPatch) -> None:
    """No record is condemned for want of a process."""
    for command in ((sys.executable, "-c", "pass"), ("/nowhere/python",)):
        monkeypatch.setattr(taster_module, "COMMAND", command)
        with pytest.raises(TasterFailedError):
            await taster.dies_of(a_record())


async def test_nobody_asks_any_more(taster: Taster, monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle child ends by itself."""
    monkeypatch.setattr(taster_module, "IDLE_S", 0.0)
    assert not await taster.dies_of(a_record())
    child = taster._child
    async with asyncio.timeout(10):
        await child.wait()
    assert taster._child is None


async def test_the_child_inherits_no_settings(taster: Taster, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says of files and passwords is not handed to a process that bytes may take over."""
    monkeypatch.setenv("GATEWAY_SECRET", "secret")
    assert not await taster.dies_of(a_record())
    assert b"GATEWAY_SECRET" not in environment_of(taster._child.pid)


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()
