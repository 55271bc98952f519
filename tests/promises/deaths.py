"""Places at which a gateway process kills itself with -9, as a crash at the worst moment would."""

import os
import signal
from collections.abc import Sequence
from typing import Any

from gateway.core.outcome import Answer, Reply
from gateway.genie.client import GenieClient
from gateway.kafka.transactions import LaneProducer, Outgoing
from tests.promises.patching import Named, replace

NAMED = Named()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@NAMED
def die_after_answer() -> None:
    """GeNiE's verified answer has come, nothing is settled."""

    async def send(self: GenieClient, *arguments: Any) -> Answer:
        answer = await plain(self, *arguments)
        if isinstance(answer, Reply) and answer.verified:
            _die()
        return answer

    plain = replace(GenieClient, "send", send)


@NAMED
def die_before_commit() -> None:
    """Ledger records are written, their transaction is not committed."""

    async def begin_and_produce(self: LaneProducer, records: Sequence[Outgoing]) -> Any:
        produced = await plain(self, records)
        if any(record.topic.endswith("genie.provision.ledger") for record in records):
            _die()
        return produced

    plain = replace(LaneProducer, "begin_and_produce", begin_and_produce)
