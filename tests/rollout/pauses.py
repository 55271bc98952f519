"""How long nothing comes out of a lane, and how long an event takes, as a read_committed reader of the ledger sees it.

Knows the ledger's records. Must not know what makes a lane pause.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from gateway import schemas

POLL_MS = 100


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing came out of a lane from then on for so long."""

    since: float  # s, as time.time
    seconds: float
    lane: str


NONE = Pause(0.0, 0.0, "")


class Pauses:
    """`run` follows the ledger; `begin` starts a new account."""

    def __init__(self, bootstrap: str, ledger: Sequence[TopicPartition], lanes: Iterable[TopicPartition]) -> None:
        self._bootstrap = bootstrap
        self._ledger = list(ledger)
        self._last: dict[str, float] = {}  # when something came out of it
        self._newest: dict[str, float] = {f"{lane.topic}:{lane.partition}": 0.0 for lane in lanes}
        self.longest = NONE
        self.slowest_s = 0.0

    def begin(self) -> None:
        """Forget what was."""
        self.longest, self.slowest_s = NONE, 0.0

    def flows_since(self, at: float) -> bool:
        """Whether each lane has settled an event that was written after that."""
        return all(written >= at for written in self._newest.values())

    async def run(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            consumer.assign(self._ledger)
            while True:
                for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                    now = time.time()
                    for record in records:
                        self._seen(schemas.decode(record.value)[1]["input"], now)
        finally:
            await consumer.stop()

    def _seen(self, of: Mapping[str, Any], now: float) -> None:
        lane, written = f"{of['topic']}:{of['partition']}", of["timestamp"] / 1000
        since = self._last.get(lane, now)
        if now - since > self.longest.seconds:
            self.longest = Pause(since, now - since, lane)
        self._last[lane] = now
        self._newest[lane] = max(self._newest.get(lane, 0.0), written)
        self.slowest_s = max(self.slowest_s, now - written)
