"""A poison record, or one that GeNiE chokes on, never blocks a partition."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gateway import schemas
from gateway.sandbox.genie import content as contents
from gateway.sandbox.genie.content import Entry
from gateway.sandbox.genie.problems import Refusal, Rule
from tests.integration.gateway_world import World
from tests.integration.promises.proof import Removed, also_without, judge

ANN, BOB, CAROL = "subject-ann", "subject-bob", "subject-carol"
REFUSALS = 4  # of the same whole batch: it will not be split any more


class Choking:
    """Makes GeNiE refuse every request that holds one event."""

    def __init__(self, event_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refused_together = 0
        self._event_id = event_id.encode()
        self._plain = contents.entries
        monkeypatch.setattr(contents, "entries", self._entries)

    def _entries(self, document: Mapping[str, Any], content: bytes) -> Sequence[Entry]:
        found = self._plain(document, content)
        if any(self._event_id in entry.body for entry in found):
            self.refused_together += len(found) > 1
            raise Refusal(Rule.SCHEMA_VIOLATED, "at /entries")
        return found


@also_without("poison_raises", "no_bisection")
async def test_promise_8_poison_never_blocks(world: World, removed: Removed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind bytes that are no record, and beside an event for which GeNiE refuses its whole batch, others go on."""
    hated = str(uuid.uuid4())
    choking = Choking(hated, monkeypatch)
    for subject in (ANN, BOB, CAROL):
        await world.consent(subject)
    await world.write(world.names.payments, ANN, schemas.frame(1, b"\xff" * 100))
    await world.write(world.names.payments, ANN, None)
    await world.payment(ANN)
    await world.payment(BOB, event_id=hated)
    await world.payment(CAROL)
    async with world.gateway(*removed) as gateway:
        await world.sees(
            lambda: len(world.ledger) == 5 or gateway.ended or choking.refused_together >= REFUSALS,
            "the end of all five, or of the gateway, or that the batch stays whole",
        )
    judge(await world.verdict(), removed, breaks="lost")
    if not removed:
        assert world.reasons() == ["not_avro", "null_value", "accepted", "rejected_by_genie", "accepted"]
