"""What every fault is: one kind of trouble, where it strikes, and how large a share.

Knows the points of a request's way. Must not know which faults there are.
"""

import hashlib
import random
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import ClassVar

from gateway.sandbox.genie.answer import Answer, Wire

MAX_SECONDS = 300.0  # no fault waits longer than this


class FaultError(ValueError):
    """A fault that does not exist, or not like that; the message says what does."""


class Point(Enum):
    """Where a fault acts. In the order of a request's way, but for the last three."""

    BEFORE_READING = "the content is still unread"
    QUEUED = "the request is sound, but GeNiE has not looked at it: a lookup does not find it"
    BEFORE_JUDGING = "nothing is taken yet, and a lookup says `processing`"
    AFTER_ACCEPTING = "what is taken is durable"
    ON_ANSWERING = "the answer is known, and not signed yet"
    ON_SENDING = "the answer is signed, and nothing of it has left"
    ENTRY = "one new entry of a provision is about to be taken"
    SIGNING = "the answer is being signed"
    HANDSHAKE = "a connection is being opened"


class Operation(StrEnum):
    """Which requests a fault may strike."""

    ANY = "any"
    PROVISIONS = "provisions"
    LOOKUPS = "lookups"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One kind of trouble."""

    point: ClassVar[Point]
    sentence: ClassVar[str]  # what it imitates
    share: float  # of requests, of new entries, or of handshakes
    burst_s: float = 0  # once it strikes, it strikes everything for so long: a storm, an outage

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        """Wait, end the connection by raising, or answer in GeNiE's place; None lets the request go on."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class RequestFault(Fault):
    """Strikes requests: all of them, or those of one kind."""

    on: Operation = Operation.ANY

    def aims_at(self, wire: Wire) -> bool:
        """Whether it may strike this request."""
        return self.on is Operation.ANY or (self.on is Operation.LOOKUPS) == wire.lookup


@dataclass(frozen=True, kw_only=True)
class MarkedFault(RequestFault):
    """Strikes every request that holds a marked entry: a share of the idempotency keys, or one of them.

    A key is marked or not for good, so that whoever halves a batch ends at the entry that is marked.
    """

    key: str = ""  # the only one to be marked
    on: Operation = Operation.PROVISIONS

    def marks(self, key: str, seed: int) -> bool:
        """Whether this key is marked."""
        if self.key:
            return self.share > 0 and key == self.key
        drawn = hashlib.sha256(f"{type(self).__name__} {seed} {key}".encode()).digest()
        return int.from_bytes(drawn[:8]) < self.share * 2**64
