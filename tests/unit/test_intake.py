"""From a raw record to what its lane takes: its event, or why it has none, and what is taken beside it."""

from types import SimpleNamespace
from typing import Any

import pytest

from gateway import schemas
from gateway.core.events import EventType
from gateway.core.identity import Identity
from gateway.core.reasons import Reason
from gateway.kafka.codec import Codec
from gateway.kafka.exact import ExactRecord
from gateway.kafka.intake import Intake, failed, producer_of
from gateway.kafka.registry import FileRegistry
from tests.integration.chosen_records import a_payment

SUBJECT = "subject-1a"
IDENTITY = Identity(b"k" * 32, b"p" * 32, "genie", "c")


def raw(value: bytes | None, offset: int = 3, key: bytes | None = SUBJECT.encode()) -> Any:
    return ExactRecord("payments", 0, offset, 1, key, value, ())


def payment(**changes: Any) -> bytes:
    return schemas.encode("LeasePaymentEvent", a_payment(SUBJECT, **changes))


class Tasted:
    """Stands for the child process: it dies of chosen values."""

    def __init__(self, *deadly: bytes) -> None:
        self.deadly = deadly
        self.closed = 0

    async def dies_of(self, record: Any) -> bool:
        return record.value in self.deadly

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
def intake() -> Intake:
    """Of payments."""
    return Intake(Codec(FileRegistry(), {"payments": "LeasePaymentEvent"}), IDENTITY, EventType.LEASE_PAYMENT)


async def test_each_record_comes_out_with_its_event_or_why_it_has_none(intake: Intake) -> None:
    """In order; one layout serves all records of a schema."""
    raws = [raw(payment(), 3), raw(b"garbage", 4), raw(payment(amount_due_jpy=1 << 60), 5), raw(payment(), 6)]
    good, garbage, bad, other = await intake.read(raws)
    assert (garbage.reason, bad.reason) == (Reason.NOT_AVRO, Reason.BAD_VALUE)
    assert good.event is not None
    assert other.event is not None
    assert (good.reason, good.offset, other.offset) == (None, 3, 6)
    assert good.event.layout is other.event.layout
    assert good.source_digest == IDENTITY.source_digest(raws[0].value)
    assert garbage.source_digest == IDENTITY.source_digest(b"garbage")
    assert good.size > garbage.size


async def test_only_who_reads_warily_has_records_tasted(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a child dies of is neither prepared nor decoded here; its end is waited for."""
    tasted: Any = Tasted(b"deadly")
    intake._taster = tasted
    plain, prepared = intake._codec.prepare, []

    async def prepare(values: list[bytes | None]) -> None:
        prepared.append(len(values))
        await plain(values)

    monkeypatch.setattr(intake._codec, "prepare", prepare)
    read = await intake.read([raw(b"deadly", 3), raw(payment(), 4)], wary=True)
    assert [each.reason for each in read] == [Reason.KILLS_DECODER, None]
    assert (await intake.read([raw(b"deadly")]))[0].reason is Reason.NOT_AVRO
    assert prepared == [1, 1]
    await intake.close()
    assert tasted.closed == 1


@pytest.mark.parametrize(
    ("reason", "key", "subject"),
    [
        (Reason.UNKNOWN_SCHEMA_ID, SUBJECT.encode(), SUBJECT),
        (Reason.UNKNOWN_SCHEMA_ID, None, None),
        (Reason.UNKNOWN_SCHEMA_ID, b"taro@example.jp", None),
        (Reason.SUBJECT_MISMATCH, SUBJECT.encode(), None),
        (Reason.NOT_AVRO, SUBJECT.encode(), None),
    ],
)
def test_a_key_is_kept_only_where_it_may_be_believed(reason: Reason, key: bytes | None, subject: str | None) -> None:
    """A record that contradicts itself is nobody's, and one that may be anything names nobody."""
    assert failed(IDENTITY, raw(b"x", key=key), reason).subject_ref == subject


@pytest.mark.parametrize(
    ("header", "producer"),
    [
        (b"billing", "billing"),
        (b"billing-eu.2", "billing-eu.2"),
        (b"09012345678", None),
        (b"090-1234-5678", None),
        (b"taro@example.jp", None),
        ("\u5c71\u7530".encode(), None),
        (b"x" * 65, None),
        (b"", None),
        (None, None),
    ],
)
def test_a_producer_is_named_only_by_a_name(header: bytes | None, producer: str | None) -> None:
    """What could be a person's telephone number, address or name is not passed on to labels and parked records."""
    raw = SimpleNamespace(headers=(("trace", b"billing-trace"), ("producer", header)))
    assert producer_of(raw) == producer
