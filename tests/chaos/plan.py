"""What goes wrong in one run: which kinds, how many of each, in which order, when. It all follows from the seed.

Knows numbers and names. Must not know how anything is brought about.
"""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from itertools import cycle, islice

from tests.chaos.points import Deed, Point
from tests.coded import Coded

WARM_UP_S = 4.0
EVENTS_PER_MINUTE = 33_400  # so that half an hour has a million
SPARE = 1.5  # how much faster than needed on average events are made: they wait while the parts are down
SUBJECTS_PER_MINUTE = 1_000
FEWEST_SUBJECTS = 2_000
CHANGES_PER_S = 10.0  # of consents
STOP_S = (0.5, 2.0, 4.5, 9.0)  # the third is past what is announced, the last past the group's session
LONG_STOP_S = 35.0  # of one stop of a run: past what brokers give a transaction (20 s), and look for it (10 s)
LONG_STOP_MINUTES = 5.0  # of a run that has the time for it, at least
AWAY_S = (0.5, 5.0)
LINK_S = (0.5, 10.0)  # the longest are past the bound of a call to Kafka
OUTAGE_S = (1.0, 6.0)
BROKER_STOP_S = (1.0, 7.0)


class Link(Enum):
    """What a gateway is connected to."""

    KAFKA = "kafka"
    GENIE = "genie"


class LinkTrouble(Coded):
    """What befalls all connections of one link."""

    sentence: str

    CUT = ("cut", "connections are reset, and so is every new one")
    DELAY = ("delay", "whatever passes is late")
    SILENT = ("silent", "nothing passes, connections stay open")
    HALF_OPEN = ("half_open", "what is asked arrives, no answer comes back, connections stay open")
    RESET_AFTER = ("reset_after", "connections are reset after some bytes of an answer")


class Outage(Enum):
    """How GeNiE fails on everything for a while: the names are those of the sandbox's faults."""

    UNAVAILABLE = "unavailable"
    BAD_GATEWAY_AFTER_ACCEPTING = "bad_gateway_after_accepting"
    HANG_BEFORE_ACCEPTING = "hang_before_accepting"
    TIMEOUT_AFTER_ACCEPTING = "timeout_after_accepting"
    LATE_ACCEPTANCE = "late_acceptance"
    RESET_AFTER_ACCEPTING = "reset_after_accepting"
    HANDSHAKE_REFUSED = "handshake_refused"
    TOO_MANY_REQUESTS = "too_many_requests"


class Kind(Coded):
    """Everything that is done to the parts, and how often."""

    per_minute: float
    sentence: str

    KILL_AT = ("kill_at", 1 / 3, "a gateway is killed with -9 at a named point (so often for each point)")
    STOP_AT = ("stop_at", 1.4, "a gateway is stopped at a named point, and goes on later")
    KILL = ("kill", 5 / 3, "a gateway is killed with -9, wherever it is")
    STOP = ("stop", 0.5, "a gateway is stopped, wherever it is, and goes on later")
    REBALANCE = ("rebalance", 0.6, "a gateway leaves the group in order, and joins again")
    BROKER_KILL = ("broker_kill", 0.4, "the broker is killed with -9 and starts again on its data")
    BROKER_STOP = ("broker_stop", 0.3, "the broker is stopped, and goes on later")
    KAFKA_LINK = ("kafka_link", 0.7, "trouble between a gateway and Kafka")
    GENIE_LINK = ("genie_link", 0.7, "trouble between a gateway and GeNiE")
    OUTAGE = ("outage", 0.8, "GeNiE fails on everything for a while")
    GENIE_KILL = ("genie_kill", 1 / 15, "GeNiE is killed with -9 and starts again on its receipts")
    REPLAY = ("replay", 3, "on-call applies plans of replays, some twice, while their customers' consents change")


Detail = Point | Outage | LinkTrouble | None


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do."""

    due_s: float  # since events began to flow
    kind: Kind
    detail: Detail
    seconds: float  # how long it lasts, where it lasts
    chance: float  # from 0 to 1: for whatever is left to choose

    @property
    def name(self) -> str:
        """What is counted: the kind, and which of its sorts."""
        return self.kind.value if self.detail is None else f"{self.kind.value} {self.detail.value}"


@dataclass(frozen=True, slots=True)
class Plan:
    """One run."""

    minutes: float
    seed: int

    @property
    def events(self) -> int:
        """The fewest."""
        return int(self.minutes * EVENTS_PER_MINUTE)

    @property
    def rate(self) -> float:
        """Events a second."""
        return EVENTS_PER_MINUTE * SPARE / 60

    @property
    def subjects(self) -> int:
        return FEWEST_SUBJECTS + int(self.minutes * SUBJECTS_PER_MINUTE)

    @property
    def most_seconds(self) -> float:
        """A run that takes longer hangs."""
        return 300 + 2 * 60 * self.minutes

    def actions(self) -> tuple[Action, ...]:
        """In the order of their times."""
        rng = random.Random(self.seed)
        wanted = [(kind, detail) for kind in Kind for detail in self._details(kind, rng)]
        rng.shuffle(wanted)
        pause = (60 * self.minutes - WARM_UP_S) / len(wanted)
        actions = [
            Action(WARM_UP_S + number * pause, kind, detail, _seconds(kind, rng), rng.random())
            for number, (kind, detail) in enumerate(wanted)
        ]
        if self.minutes >= LONG_STOP_MINUTES:
            first = next(number for number, action in enumerate(actions) if action.kind is Kind.STOP)
            actions[first] = replace(actions[first], seconds=LONG_STOP_S)
        return tuple(actions)

    def _details(self, kind: Kind, rng: random.Random) -> Iterator[Detail]:
        """One for each time that this kind is due; those of a kind that has sorts take turns."""
        times = max(1, math.ceil(self.minutes * kind.per_minute))
        sorts: list[Detail] = list(_SORTS.get(kind, (None,)))
        rng.shuffle(sorts)
        return islice(cycle(sorts), times * len(sorts) if kind is Kind.KILL_AT else times)


_SORTS: Mapping[Kind, tuple[Detail, ...]] = {
    Kind.KILL_AT: tuple(Point),
    Kind.STOP_AT: tuple(Point),
    Kind.KAFKA_LINK: tuple(LinkTrouble),
    Kind.GENIE_LINK: tuple(LinkTrouble),
    Kind.OUTAGE: tuple(Outage),
}
DEEDS: Mapping[Kind, Deed] = {Kind.KILL_AT: Deed.KILL, Kind.STOP_AT: Deed.STOP}
LINKS: Mapping[Kind, Link] = {Kind.KAFKA_LINK: Link.KAFKA, Kind.GENIE_LINK: Link.GENIE}


def _seconds(kind: Kind, rng: random.Random) -> float:
    match kind:
        case Kind.STOP | Kind.STOP_AT:
            return rng.choice(STOP_S)
        case Kind.BROKER_STOP:
            return rng.uniform(*BROKER_STOP_S)
        case Kind.OUTAGE:
            return rng.uniform(*OUTAGE_S)
        case Kind.KAFKA_LINK | Kind.GENIE_LINK:
            return rng.uniform(*LINK_S)
        case _:
            return rng.uniform(*AWAY_S)
