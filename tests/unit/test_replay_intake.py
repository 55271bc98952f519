"""What of a replay request may be copied into our own records."""

import uuid
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient

from gateway import schemas
from gateway.core.identity import Identity
from gateway.core.reasons import Reason
from gateway.kafka.codec import Codec
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.exact import ExactRecord
from gateway.kafka.registry import FileRegistry
from gateway.kafka.replay_intake import ReplayIntake
from tests.integration.chosen_records import a_replay

MAIL = "taro@example.jp"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"request_id": MAIL}, Reason.BAD_VALUE),
        ({"request_id": "1" * 60_000}, Reason.BAD_VALUE),
        ({"input": {"topic": MAIL, "partition": 0, "offset": 1}}, Reason.REPLAY_TARGET_MISSING),
    ],
)
async def test_free_text_of_a_request_is_not_repeated(changes: dict[str, Any], reason: Reason) -> None:
    """Neither an id that is none nor a topic that is none of ours goes into ledger and parked records."""
    connection = KafkaConnection("nowhere:1", "test")
    codec = Codec(FileRegistry(), {"replays": "ReplayRequest"})
    intake = ReplayIntake(connection, AIOKafkaClient(), codec, Identity(b"k" * 32, b"p" * 32, "genie", "c"), {})
    request = a_replay("subject-1a", "lease.payments", 0, 1) | {"request_id": str(uuid.uuid4()), **changes}
    raw = ExactRecord("replays", 0, 3, 1, b"subject-1a", schemas.encode("ReplayRequest", request), ())
    try:
        (read,) = await intake.read([raw])
    finally:
        await intake.close()
    assert (read.reason, read.replay_of) == (reason, None)
