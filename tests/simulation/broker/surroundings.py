"""What every part of the simulated cluster shares: chance, the clock, timers, how long things take, what happened.

Knows the running loop's timers alone. Must not know any part.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextvars import Context
from random import Random

Range = tuple[float, float]  # ms


class Surroundings:
    """Shared by all nodes of one cluster."""

    def __init__(self, rng: Random, now_ms: Callable[[], int], *, nodes: int) -> None:
        self.rng = rng
        self.now_ms = now_ms
        self.counts: Counter[str] = Counter()
        self.replication: Range = (0.0, 0.0) if nodes == 1 else (0.5, 3.0)
        self.markers: Range = (1.0, 6.0)  # from the decision to a marker in one partition
        self.gossip: Range = (0.0, 0.0) if nodes == 1 else (0.0, 60.0)  # until all nodes know a new leader
        self.election: Range = (50.0, 500.0)  # from a node's end to new leaders
        self.loading: Range = (0.0, 0.0) if nodes == 1 else (5.0, 200.0)  # a new coordinator reads its state
        self.reverted_share = 0.0 if nodes == 1 else 0.7  # of the coordinators that have just read what is committed
        self.abort_scan_ms = 10_000.0  # how often brokers look for transactions that are open too long
        self.initial_rebalance_ms = 0.0
        self._context = Context()  # of no simulated process: nobody's death or pause stops the brokers

    def chosen(self, between: Range) -> float:
        """A time in this range."""
        low, high = between
        return low if low == high else self.rng.uniform(low, high)

    def later(self, ms: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """Call after this many ms."""
        return asyncio.get_running_loop().call_later(ms / 1000, call, context=self._context)
