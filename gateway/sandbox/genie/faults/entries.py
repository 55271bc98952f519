"""Faults of single entries: refused by themselves, or dragging down every batch that holds them.

Knows how entries are refused; must not know what is in them.
"""

import random
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from gateway.sandbox.genie.answer import Answer, Wire
from gateway.sandbox.genie.books import Status
from gateway.sandbox.genie.faults.fault import MAX_SECONDS, Fault, MarkedFault, Point
from gateway.sandbox.genie.faults.refusals import refusing


class BatchStatus(IntEnum):
    """How a whole batch is refused for what one entry holds."""

    BAD_REQUEST = 400
    CONTENT_TOO_LARGE = 413
    UNPROCESSABLE_CONTENT = 422


class EntryFault(Fault):
    """Refuses single entries of a provision."""

    point = Point.ENTRY
    status: ClassVar[Status]


@dataclass(frozen=True, kw_only=True)
class EntryRetry(EntryFault):
    sentence = "an entry is answered `retry`"
    status = Status.RETRY


@dataclass(frozen=True, kw_only=True)
class EntryRejected(EntryFault):
    sentence = "an entry is answered `rejected`"
    status = Status.REJECTED


@dataclass(frozen=True, kw_only=True)
class EntryBreaks(MarkedFault):
    point = Point.BEFORE_JUDGING
    sentence = "GeNiE chokes on marked entries: 500 to every batch that holds one"
    signed: bool = False

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        return refusing(500, signed=self.signed)


@dataclass(frozen=True, kw_only=True)
class EntryHangs(MarkedFault):
    point = Point.BEFORE_JUDGING
    sentence = "GeNiE chokes on marked entries: no answer to any batch that holds one"
    seconds: float = 60

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        raise await wire.hang(min(self.seconds, MAX_SECONDS))


@dataclass(frozen=True, kw_only=True)
class EntrySpoilsBatch(MarkedFault):
    point = Point.BEFORE_JUDGING
    sentence = "GeNiE refuses, signed, every batch that holds a marked entry"
    status: BatchStatus = BatchStatus.UNPROCESSABLE_CONTENT

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        return refusing(self.status, signed=True)
