"""One lane, led by hand: tells it facts, and takes the commands that it asked for."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from gateway.core import facts
from gateway.core.consent import Consent, ConsentState, ConsentStatus
from gateway.core.entry import InputRecord, ReplayOf
from gateway.core.events import EventType
from gateway.core.holds import Hold, Holds, HoldScope
from gateway.core.lane import Lane, Limits, Rules
from gateway.core.metadata import CommitMetadata, IntentRef
from gateway.core.minimise import body_digest
from gateway.core.outcome import (
    First,
    LookupReply,
    LookupResult,
    LookupStatus,
    Loss,
    Lost,
    Receipt,
    Reply,
    Result,
)
from gateway.core.policy import Policy
from gateway.core.reasons import Reason
from tests.core_cases import NOW, POLICY, consent
from tests.lane_world.inputs import digest, event, origin
from tests.lane_world.world import MINIMISER, ORIGIN

LOST = Lost(Loss.TIMEOUT)
C = TypeVar("C", bound=facts.Command)


def record(offset: int, subject: int = 1, number: int | None = None, **changes: Any) -> InputRecord:
    """A payment of a subject at an offset; records with one `number` are the producer's duplicates."""
    told = event(offset if number is None else number, subject)
    source, key = digest("event", told.event_id), f"key-{told.event_id[-6:]}"
    plain = InputRecord(
        offset, NOW, 1_000, source, told, None, told.subject_ref, None, key, changes.pop("origin", origin(offset))
    )
    return replace(plain, **changes)


def undecodable(offset: int, reason: Reason = Reason.UNKNOWN_SCHEMA_ID) -> InputRecord:
    """A record without event."""
    return InputRecord(offset, NOW, 1_000, digest("value", offset), reason=reason, origin=origin(offset))


def replay(offset: int, number: int, subject: int = 1) -> InputRecord:
    """A request to provide event `number` again."""
    return record(
        offset,
        subject,
        number,
        origin=origin(-1 - number),
        replay_of=ReplayOf("lease.payments", 7, number, "request-1"),
    )


def hold(scope: HoldScope, value: str | None = None) -> Holds:
    """One hold that is on."""
    return Holds([Hold("hold-1", scope, value, None)])


def signed(status: int, *results: Result, wait: int | None = None, problem: str | None = None) -> Reply:
    """A verified answer."""
    return Reply(status, True, "application/json", wait, results or None, problem, b"d" * 32, "genie-1")


class Story:
    """A lane, its clock, and what it asked for that nobody has taken yet."""

    def __init__(
        self,
        opened: facts.Opened | None = None,
        *,
        mixed: bool = False,
        holds: Holds | None = None,
        policy: Policy = POLICY,
        **limits: int,
    ) -> None:
        self.now = NOW
        self.limits = Limits(**{"cycle_max_ms": 100} | limits)
        self.holds = holds or Holds()
        self.asked: list[facts.Command] = []
        self.ledger: dict[int, Mapping[str, Any]] = {}
        self.parked: list[facts.Parked] = []
        self.intents: dict[IntentRef, Mapping[str, Any]] = {}
        self.offset, self.metadata = 0, CommitMetadata()
        if opened is not None:
            self.intents = dict(zip(opened.metadata.intents, opened.intents, strict=True))
        opened = opened or facts.Opened(0, self.metadata, (), self.holds, 1)
        kind = None if mixed else EventType.LEASE_PAYMENT
        self.waits: list[tuple[int, int | None]] = []  # attempt and Retry-After of each that was asked for
        self.retry_delay = 0
        rules = Rules(policy, MINIMISER, ORIGIN, self.limits, self._wait_before, lambda: self.retry_delay, kind)
        self.lane = Lane(rules, opened, self.now)
        self.asked += self.lane.start(self.now)

    # --- any fact, any command ----------------------------------------------------------------------------

    def tell(self, fact: facts.Fact) -> None:
        """Hand over a fact."""
        self.asked += self.lane.handle(fact, self.now)

    def take(self, kind: type[C]) -> C:
        """The one command of this kind that it asks for."""
        found = self.all(kind)
        assert len(found) == 1, f"{kind.__name__}: {found} in {self.asked}"
        self.asked = [command for command in self.asked if command is not found[0]]
        return found[0]

    def all(self, kind: type[C]) -> list[C]:
        """The commands of this kind that nobody has taken yet."""
        return [command for command in self.asked if isinstance(command, kind)]

    def wait(self, ms: int) -> None:
        """Let time pass."""
        self.now += ms
        self.tell(facts.Tick())

    # --- the steps ----------------------------------------------------------------------------------------

    def commit(self) -> facts.Produce:
        """Let the open transaction succeed; what it settles and announces."""
        if not self.all(facts.Produce):
            self.wait(self.limits.cycle_max_ms)
        produce = self.take(facts.Produce)
        refs = [IntentRef(0, len(self.intents) + n) for n in range(len(produce.intents))]
        self.intents.update(zip(refs, produce.intents, strict=True))
        self.tell(facts.Produced(refs))
        commit = self.take(facts.Commit)
        self.offset, self.metadata = commit.offset, CommitMetadata.decode(commit.metadata, commit.offset)
        self.ledger.update((each["input"]["offset"], each) for each in produce.ledger)
        self.parked += produce.parked
        self.tell(facts.Committed())
        return produce

    def deliver(self, *records: InputRecord, position: int | None = None, **states: ConsentState) -> None:
        """The records come, with everybody's consent unless `states` (by subject) say otherwise."""
        if self.all(facts.Produce):
            self.commit()
        self.take(facts.FetchMore)
        end = records[-1].offset + 1 if position is None else position
        self.tell(facts.Fetched(records, end, self._consents(records, states)))

    def deliver_more(self, *records: InputRecord) -> None:
        """As `deliver`, whatever transaction is open."""
        self.take(facts.FetchMore)
        self.tell(facts.Fetched(records, records[-1].offset + 1, self._consents(records, {})))

    @staticmethod
    def result(send: facts.Send, status: str, told: First | None, problem: str | None = None) -> Result:
        """GeNiE's word on the one entry of a batch."""
        (entry,) = send.entries
        return Result(entry.idempotency_key, status, told, "receipt-1" if told else None, problem)

    def grant(self) -> None:
        """Give the slots that it wants, and time for the next transaction to begin."""
        if self.all(facts.Produce):
            self.commit()
        for command in self.all(facts.WantSlots):
            self.asked.remove(command)
            self.tell(facts.SlotsGranted(command.count))
        if not self.all(facts.Produce):
            self.wait(self.limits.cycle_max_ms)

    def announce(self) -> facts.Produce:
        """Let it announce what is ready."""
        self.grant()
        return self.commit()

    def decide(self, read_at: int | None = None, **states: ConsentState) -> None:
        """The fence is reached."""
        subjects = self.take(facts.StartFence).subjects
        consents = {s: states.get(_short(s), consent(subject_ref=s)) for s in subjects}
        self.tell(facts.FenceReached(self.now if read_at is None else read_at, consents, self.holds))

    def send(self, **states: ConsentState) -> facts.Send:
        """From slots to sending, in one go."""
        self.announce()
        self.decide(**states)
        return self.take(facts.Send)

    def sent(self, *records: InputRecord) -> facts.Send:
        """Deliver and send."""
        self.deliver(*records)
        return self.send()

    def answer(self, send: facts.Send, answer: Any = "accepted") -> None:
        """An answer: a whole one, or one status for each entry."""
        if isinstance(answer, str):
            answer = [answer] * len(send.entries)
        if isinstance(answer, list):
            told = zip(send.entries, answer, strict=True)
            answer = signed(200, *(_result(entry, status, self.now) for entry, status in told))
        self.tell(facts.Answered(send.batch_id, answer))

    def look_up(self, status: LookupStatus, first: First | None = None, as_of: int | None = None) -> None:
        """Every key asked about has this status."""
        question = self.take(facts.LookUp)
        receipt = Receipt("receipt-1", self.now, b"d" * 32, "genie-1") if first else None
        results = tuple(LookupResult(key, status, first, receipt) for key in question.keys)
        as_of = self.now if as_of is None else as_of
        self.tell(facts.LookedUp(question.lookup_id, LookupReply(as_of, results)))

    def announce_or_check(self) -> None:
        """Its turn has come: it is announced, or waits for the fence as it is."""
        self.grant()
        if self.all(facts.Produce):
            self.commit()

    def look_up_now(self, status: LookupStatus, told: First | None = None) -> None:
        """A replay asks before it sends."""
        self.wait(self.limits.skew_ms)
        self.look_up(status, told)

    def until_lookup(self) -> None:
        """Wait until GeNiE can accept no earlier attempt any more, by its own clock."""
        self.wait(self.limits.expires_ms + 2 * self.limits.skew_ms)

    def commit_all(self) -> None:
        """Let transactions succeed as long as one is open."""
        while self.all(facts.Produce):
            self.commit()

    def settle(self) -> Mapping[int, tuple[str, str]]:
        """Reason and transmitted of all that is settled by now, by offset."""
        while self.all(facts.Produce) or self.lane.view()["finished"]:
            self.commit()
        return {offset: (each["reason"], each["transmitted"]) for offset, each in self.ledger.items()}

    def next_owner(self) -> facts.Opened:
        """What another owner would open with."""
        intents = tuple(self.intents[ref] for ref in self.metadata.intents)
        return facts.Opened(self.offset, self.metadata, intents, self.holds, 2)

    def _wait_before(self, attempt: int, retry_after_ms: int | None) -> int:
        self.waits.append((attempt, retry_after_ms))
        return 100 + (retry_after_ms or 0)

    def _consents(
        self, records: tuple[InputRecord, ...], states: Mapping[str, ConsentState]
    ) -> dict[str, ConsentState]:
        subjects = {each.event.subject_ref for each in records if each.event is not None}
        return {s: states.get(_short(s), consent(subject_ref=s)) for s in subjects}


def state(subject: int = 1, **changes: Any) -> Consent:
    """A consent of a subject; with `changes` it is a newer one."""
    newer = {"version": 2, "record_id": "record-2"} if changes else {}
    return consent(subject_ref=f"subject-{subject}a", **newer | changes)


WITHDRAWN = state(status=ConsentStatus.WITHDRAWN)
OPTED_OUT = state(opted_out=frozenset({"credit_product_marketing"}))


def first(entry: facts.OutgoingEntry, at: int = NOW, **changes: Any) -> First:
    """What GeNiE says it took."""
    return replace(First(entry.origin, entry.source_digest, body_digest(entry.body), at), **changes)


def _short(subject_ref: str) -> str:
    """`s1` for subject 1."""
    return "s" + subject_ref.removeprefix("subject-").removesuffix("a")


def _result(entry: facts.OutgoingEntry, status: str, now: int) -> Result:
    if status in ("accepted", "duplicate", "superseded"):
        return Result(entry.idempotency_key, status, first(entry, now), "receipt-1")
    return Result(entry.idempotency_key, status)
