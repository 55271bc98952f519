"""Which records an earlier owner may have died of, and which need not be read again."""

from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from gateway.core.facts import Opened
from gateway.core.holds import Holds
from gateway.core.metadata import CommitMetadata
from gateway.kafka import head as head_module
from gateway.kafka.head import OPENS_UNTIL_WARY, Head, look_at_head

LANE = TopicPartition("lease.payments", 0)
WINDOW = 100


async def look(monkeypatch: pytest.MonkeyPatch, opens: int, end: int) -> Head:
    async def list_offsets(client: Any, times: Any) -> dict[TopicPartition, int]:
        return {LANE: end}

    monkeypatch.setattr(head_module, "list_offsets", list_offsets)
    opened = Opened(50, CommitMetadata((52, 53), (), opens), (), Holds(), 1)
    client: Any = None
    return await look_at_head(client, LANE, opened, WINDOW)


async def test_an_owner_that_made_progress_leaves_nothing_to_be_wary_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the third opening in a row everything is read as ever."""
    head = await look(monkeypatch, OPENS_UNTIL_WARY - 1, 60)
    assert not head.is_wary(50)
    assert head.settled == {52, 53}


@pytest.mark.parametrize(("end", "first_trusted"), [(50, 50), (60, 60), (1_000, 50 + WINDOW)])
async def test_the_head_is_what_the_dead_owner_can_have_read(
    monkeypatch: pytest.MonkeyPatch, end: int, first_trusted: int
) -> None:
    """It ends where the log ended, or a window behind the committed offset; on an idle lane there is none."""
    head = await look(monkeypatch, OPENS_UNTIL_WARY, end)
    assert [offset for offset in range(50, 200) if head.is_wary(offset)] == list(range(50, first_trusted))
