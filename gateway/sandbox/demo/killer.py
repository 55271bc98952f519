"""Kills the gateway with -9 while it works, some of the times between GeNiE's 2xx and the settlement.

Knows how to hit that moment: stop the process as soon as GeNiE has taken something, wait until whatever it had already
handed to Kafka is through, and see that events which GeNiE has are not settled. Nothing in the gateway helps.
Must not know what the gateway does when it comes back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from gateway.sandbox.demo.plan import Kill
from gateway.sandbox.demo.receipts import Receipts
from gateway.sandbox.demo.stage import Stage
from gateway.sandbox.demo.tally import Tally
from gateway.sandbox.demo.tasks import until

POLL_SECONDS = 0.01
SETTLE_SECONDS = 0.5  # a commit that Kafka has already been handed is visible long before
AIM_SECONDS = 20.0  # then it is killed at whatever it does: the report will say what was missed


@dataclass(slots=True)
class Killed:
    """One kill, and the events that GeNiE had taken and that were not settled then."""

    at_ms: int
    unsettled: frozenset[str] = frozenset()  # idempotency keys

    def hit(self, settled_at: Mapping[str, int]) -> bool:
        """Whether such an event was indeed settled later, by the ledger's own times."""
        return any(settled_at.get(key, 0) > self.at_ms for key in self.unsettled)


@dataclass(slots=True)
class Killer:
    """Carries out a plan's kills."""

    stage: Stage
    tally: Tally
    kills: list[Killed] = field(default_factory=list)

    async def run(self) -> None:
        """Every kill in its turn; after each the gateway starts again."""
        for share, moment in self.stage.plan.kill_moments:
            await until(partial(self._is_due, share))
            unsettled = await self._aim() if moment is Kill.UNSETTLED else frozenset()
            self.stage.kill_gateway()
            self.kills.append(Killed(time.time_ns() // 1_000_000, unsettled))
            self.stage.start_gateways()
            await self.stage.gateways_ready()

    def _is_due(self, share: float) -> bool:
        return self.tally.settled >= share * self.stage.plan.events

    async def _aim(self) -> frozenset[str]:
        """Leave the gateway standing still at the right moment; returns what GeNiE has and the ledger lacks."""
        receipts = Receipts(self.stage.genie.receipts)
        give_up_at = time.monotonic() + AIM_SECONDS
        while time.monotonic() < give_up_at:
            taken = receipts.newly_taken()
            if taken:
                self.stage.gateway.pause()
                await asyncio.sleep(SETTLE_SECONDS)
                unsettled = frozenset(taken - self.tally.settled_at.keys())
                if unsettled:
                    return unsettled
                self.stage.gateway.resume()
            await asyncio.sleep(POLL_SECONDS)
        return frozenset()
