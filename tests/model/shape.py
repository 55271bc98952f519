"""What one world holds: records, what is said about consent, which troubles and how many of each; time in ticks.

Time is abstract. A tick is longer than an announcement lasts, and shorter than that and the clock skew together: an
announcement of this tick is good, one of the last tick is too late to be sent but may still be accepted by a slow
clock, and an older one never.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property

from gateway.core.consent import Consent, ConsentStatus
from gateway.core.entry import InputRecord, ReplayOf
from gateway.core.events import EventType
from gateway.core.holds import Hold, Holds, HoldScope
from gateway.core.lane import Limits, Rules
from gateway.core.minimise import Minimiser
from gateway.core.reasons import Reason
from gateway.core.records import Origin, Recipient
from tests.core_cases import IDENTITY, NOW, POLICY, consent
from tests.lane_world.inputs import PARTITION, TOPIC, digest, event, origin

TICK, EXPIRES, SKEW = 1_000, 900, 900
OLD = 2  # ticks after which an announcement can't be accepted any more
NEVER = 1_000_000_000
MOST, SMALL = 700_000, 6_500  # states of a world: of `make model`, of a test

MINIMISER = Minimiser(POLICY, IDENTITY)
ORIGIN = Origin(
    "cluster-1",
    TOPIC,
    PARTITION,
    90 * 86_400_000,
    Recipient("genie", "GeNiE", "address", "representative"),
    1,
    "0",
    "model",
    frozenset(),
)


class Trouble(Enum):
    """What may go wrong, as often as a world allows."""

    KILL = "a process is killed"
    TAKE_OVER = "another process takes the lane over while the old one lives on"
    STUBBORN = "a process that lost the lane takes it over again"
    LOST = "an answer is lost, or the request is late"
    SLOW = "an answer takes longer than an announcement lasts"
    PROXY = "a proxy refuses, or loses the answer and says so; GeNiE may have the request"
    REFUSED = "GeNiE refuses the whole request for now, signed"
    RETRY = "GeNiE does not take an entry for now"
    REJECTED = "GeNiE rejects an entry"
    CHOKED = "GeNiE can't read the request"
    STOP = "GeNiE refuses our configuration"
    SUPERSEDED = "GeNiE knows a newer score"
    LOOKUP_LOST = "the answer to a lookup is lost"
    PROCESSING = "GeNiE is still processing what is asked about"
    STALE = "GeNiE's books are looked up as they were"
    DOUBT = "it is not heard whether a commit arrived"
    MARKERS = "the markers of a transaction are late"
    FENCE = "the view can't be proven fresh"
    VIEW = "a process starts with an old view of the consents"
    CLOSE = "the process is told to close"
    UNREADABLE = "a record can't be decoded any more"


@dataclass(frozen=True, slots=True)
class Change:
    """Something is acknowledged: what is said of consents, which holds are on from then, how many more records there
    are."""

    sentence: str
    consents: Mapping[str, Consent] = field(default_factory=dict)
    holds: Holds | None = None
    arrive: int = 0
    must_come: bool = False  # or the lane would wait for ever


@dataclass(frozen=True, slots=True)
class View:
    """What the view of consents and controls holds at one version of it."""

    consents: Mapping[str, Consent]
    holds: Holds


@dataclass(frozen=True)
class Shape:
    """One world. `records` by offset: `a1` is event 1 of subject a, `a1'` the same event in other words, `-` nothing,
    `?` what can't be decoded; in a lane of `replays` each is a request to provide its event again."""

    name: str
    about: str
    records: tuple[str, ...]
    troubles: Mapping[Trouble, int]
    changes: tuple[Change, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    replays: bool = False
    had_before: tuple[str, ...] = ()  # events that GeNiE took before this story
    hour: int = 0  # ticks until an unknown outcome is given up; 0: never
    most: int = MOST  # states, after which no further depth is begun

    def small(self) -> Shape:
        """Each trouble once at the most, and no depth is begun once there are as many states as a test has time for."""
        troubles = {trouble: min(1, times) for trouble, times in self.troubles.items()}
        return replace(self, troubles=troubles, most=SMALL)

    @property
    def old(self) -> int:
        """Ticks after which the age of an attempt matters to nobody; answers that speak of the past go further back."""
        return OLD + (Trouble.STALE in self.troubles)

    @cached_property
    def rules(self) -> Rules:
        """What the lane decides by: no pauses but those that a tick ends."""
        limits = {
            "expires_ms": EXPIRES,
            "skew_ms": SKEW,
            "decision_age_ms": TICK // 2,
            "cycle_min_ms": 0,
            "cycle_max_ms": 0,
            "fence_retry_ms": 0,
            "hold_poll_ms": 0,
            "stop_retry_ms": TICK // 2,
            "idle_commit_ms": 0,
            "unknown_limit_ms": self.hour * TICK - TICK // 2 if self.hour else NEVER,
            "batch": 1,
        }
        kind = None if self.replays else EventType.LEASE_PAYMENT
        return Rules(POLICY, MINIMISER, ORIGIN, Limits(**limits | self.limits), _no_wait, _no_delay, kind)

    @cached_property
    def views(self) -> tuple[View, ...]:
        """The view before any change, after the first, and so on."""
        consents = {subject(name): consent(subject_ref=subject(name)) for name in self.records if name[0].isalpha()}
        views = [View(consents, Holds())]
        for change in self.changes:
            last = views[-1]
            views.append(View({**last.consents, **change.consents}, change.holds or last.holds))
        return tuple(views)

    @cached_property
    def inputs(self) -> tuple[InputRecord | None, ...]:
        """What is delivered, by offset."""
        return tuple(_input(offset, name, self.replays) for offset, name in enumerate(self.records))

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """Where the input ends before any change, after the first, and so on."""
        later = [sum(change.arrive for change in self.changes[version:]) for version in range(len(self.changes) + 1)]
        return tuple(len(self.records) - records for records in later)

    @cached_property
    def delivered(self) -> tuple[int, ...]:
        """The offsets that are ever delivered."""
        return tuple(record.offset for record in self.inputs if record is not None)


def subject(name: str) -> str:
    """The subject of a record's name."""
    return f"subject-{name[0]}"


def key(name: str) -> str:
    """The idempotency key of the event that a record's name names."""
    return f"key-{name[:2]}"


def opts_out(name: str, version: int) -> Change:
    """The customer opts out of purpose 7."""
    said = _said(name, version, opted_out=frozenset({"credit_product_marketing"}))
    return Change(f"customer {name} opts out of purpose 7", {said.subject_ref: said})


def withdraws(name: str, version: int) -> Change:
    """The customer withdraws."""
    said = _said(name, version, status=ConsentStatus.WITHDRAWN)
    return Change(f"customer {name} withdraws consent", {said.subject_ref: said})


def renews(name: str, version: int) -> Change:
    """The customer consents again, to everything."""
    said = _said(name, version, status=ConsentStatus.RENEWED)
    return Change(f"customer {name} renews consent", {said.subject_ref: said})


def then_one_arrives(change: Change) -> Change:
    """The same, and a record that a lane reads beside those that it read before."""
    return replace(change, sentence=f"{change.sentence}; then a record arrives", arrive=1, must_come=True)


def hold(scope: HoldScope, value: str | None = None) -> Change:
    """On-call holds something back."""
    return Change(f"on-call puts {value or 'everything'} on hold", holds=Holds([Hold("hold-1", scope, value, None)]))


def release() -> Change:
    """On-call ends all holds."""
    return Change("on-call releases the hold", holds=Holds(), must_come=True)


def _said(name: str, version: int, **what: object) -> Consent:
    return consent(subject_ref=subject(name), version=version, record_id=f"record-{version}", **what)


def _input(offset: int, name: str, replays: bool) -> InputRecord | None:
    if name == "-":
        return None
    if name == "?":
        return InputRecord(offset, NOW, 1_000, digest("value", offset), reason=Reason.NOT_AVRO, origin=origin(offset))
    number, of = int(name[1]), subject(name)
    told = replace(event(number, 0), subject_ref=of, record={**event(number, 0).record, "subject_ref": of})
    source = digest("event", name)
    if not replays:
        return InputRecord(offset, NOW, 1_000, source, told, None, of, None, key(name), origin(offset))
    replayed = ReplayOf(TOPIC, 7, number, f"request-{offset}")
    return InputRecord(offset, NOW, 1_000, source, told, None, of, None, key(name), origin(-1 - number), replayed)


def _no_wait(attempt: int, retry_after_ms: int | None) -> int:
    return 0


def _no_delay() -> int:
    return 0
