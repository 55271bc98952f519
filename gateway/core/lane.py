"""The lane protocol: one input partition from delivery to settlement, as a sans-I/O state machine.

    driver                       lane
    Opened            ->         window and live intents as committed              (a)
    Fetched           ->         entries wait for their subject's turn             (h)
    SlotsGranted      ->         Produce: settle + announce                        (c)
    Produced          ->         Commit: watermark, settled set, live intents      (c)
    Committed         ->         StartFence                                        (d)
    FenceReached      ->         final decision; Send, with the announced expires  (d) (e)
    Answered          ->         done, again later, or unknown                     (f)
    LookedUp          ->         done, or decide anew                              (f)
    CommitDoubtful    ->         Reopen; this machine is dead                      (g)
    Closing           ->         Closed, once all in flight is settled             (k)

Letters are the steps of the protocol in ARCHITECTURE.md. Knows the protocol whole. Must not know Kafka, HTTP,
clocks or tasks: facts come in with `now`, commands go out, and the driver adds no judgement of its own.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.core import facts, records
from gateway.core.decide import Permit, decide
from gateway.core.entry import Announcement, ConsentRef, Ending, Entry, Held, Made, State
from gateway.core.events import EventType
from gateway.core.facts import Command, Fact
from gateway.core.metadata import MAX_LIVE_INTENTS, MAX_WINDOW, CommitMetadata, IntentRef
from gateway.core.minimise import Minimiser, body_digest
from gateway.core.order import SubjectOrder
from gateway.core.outcome import (
    BatchOutcome,
    EntryOutcome,
    LookupReply,
    LookupResult,
    LookupStatus,
    Meaning,
    SentEntry,
    classify,
)
from gateway.core.policy import Policy
from gateway.core.reasons import Outcome, Reason, Transmitted
from gateway.core.window import Window

MAX_FAILED_ATTEMPTS = 8
MAX_LOOKUP_KEYS = 100
MAX_LOOKUPS = 4  # on their way at the same time
MAX_BATCHES_A_CYCLE = 16
_FINAL_AT_ONCE = frozenset({Reason.ACCEPTED, Reason.SAME_EVENT, Reason.NEWER_AT_GENIE})


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers of one lane; times in ms, sizes in bytes."""

    expires_ms: int = 30_000  # how long GeNiE may accept an attempt
    skew_ms: int = 5_000  # how far GeNiE's clock may be from ours
    batch: int = 100
    window: int = MAX_WINDOW
    window_bytes: int = 32 << 20
    live_intents: int = MAX_LIVE_INTENTS
    fetch: int = 2_000  # records in one Fetched
    decision_age_ms: int = 5_000  # an older decision is fenced again
    cycle_min_ms: int = 10  # between two transactions when little is going on
    cycle_max_ms: int = 100  # and when a full cycle's worth was settled
    full_cycle: int = 400  # entries settled in one transaction that make the cycle a full one
    fence_retry_ms: int = 200
    hold_poll_ms: int = 500
    stop_retry_ms: int = 30_000
    unknown_limit_ms: int = 3_600_000
    idle_commit_ms: int = 1_000  # gaps behind the last record are committed no sooner

    @property
    def send_margin_ms(self) -> int:
        """An announcement with less left than this is announced again instead of sent."""
        return self.expires_ms // 6


@dataclass(frozen=True, slots=True)
class Rules:
    """What a lane decides by."""

    policy: Policy
    minimiser: Minimiser
    origin: records.Origin
    limits: Limits
    waits: Callable[[int, int | None], int]  # (attempt, Retry-After in ms) -> ms to wait
    event_type: EventType | None  # None: the lane mixes types (replays), and a hold parks instead of pausing it


class ContradictionError(Exception):
    """What is committed contradicts the input partition; the text says where. The lane must not go on."""


@dataclass(slots=True)
class _Batch:
    announcement: Announcement
    entries: list[Entry]


@dataclass(slots=True)
class _Transaction:
    settled: int
    batches: list[_Batch]


@dataclass(slots=True)
class _Round:
    """Who waits for one fence."""

    batches: list[_Batch] = field(default_factory=list)
    checks: list[Entry] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.batches or self.checks)

    def subjects(self) -> frozenset[str]:
        entries = [entry for batch in self.batches for entry in batch.entries]
        return frozenset(entry.event.subject_ref for entry in [*entries, *self.checks])


class Lane:
    """One lane, from its opening to its closing or a doubt."""

    def __init__(self, rules: Rules, opened: facts.Opened, now: int) -> None:
        self._rules = rules
        self._limits = rules.limits
        self._origin = rules.origin
        self._window = Window(opened.offset, opened.metadata.settled)
        self._order = SubjectOrder()
        self._holds = opened.holds
        self._epoch = opened.epoch
        self._opens = opened.metadata.opens + 1
        self._live: list[Announcement] = []  # in the order of their intents
        self._recovered = self._recover(opened)
        self._finished: list[Entry] = []  # a heap by offset: DONE, not settled
        self._waiting: list[tuple[int, int, Entry]] = []  # a heap by time: RETRYING or LOOKUP_WAIT
        self._transaction: _Transaction | None = None
        self._next_round = _Round()
        self._round: _Round | None = None
        self._in_flight: dict[str, _Batch] = {}
        self._to_ask: deque[Entry] = deque()  # LOOKUP_WAIT, and the wait is over
        self._lookups: dict[int, list[Entry]] = {}
        self._commands: list[Command] = []
        self._bytes = 0
        self._slots = 0
        self._slots_asked = 0
        self._fetching = False
        self._committed: int | None = None  # the offset committed by this machine
        self._next_cycle_at = now
        self._next_gap_commit_at = now
        self._next_fence_at = now
        self._stopped_until = 0
        self._taken_at = 0  # when GeNiE last took an entry
        self._closing: int | None = None  # the deadline
        self._over = False
        self._serial = 0
        self._opened_at = now

    # --- facts in, commands out ---------------------------------------------------------------------------

    def start(self, now: int) -> list[Command]:
        """The first commands: commit the opening, fetch."""
        return self._go_on(now)

    def handle(self, fact: Fact, now: int) -> list[Command]:
        """Take one fact, at `now` (wall clock, ms); say what is to be done."""
        if self._over:
            return []
        self._HANDLERS[type(fact)](self, fact, now)
        return self._go_on(now)

    def wake_at(self, now: int) -> int | None:
        """When a Tick is due although nothing happens, ms; None if nothing waits for time."""
        if self._over:
            return None
        times = [self._waiting[0][0]] if self._waiting else []
        if self._transaction is None:
            if self._settleable() or self._slots:
                times.append(self._next_cycle_at)
            elif self._closing is not None:
                times.append(self._closing)
            if self._gap_to_commit():
                times.append(max(self._next_gap_commit_at, self._next_cycle_at))
        if self._stopped_until:
            times.append(self._stopped_until)
        if self._round is None and (self._next_round or self._polls_holds(now)):
            times.append(self._next_fence_at)
        return min(times, default=None)

    def view(self) -> Mapping[str, Any]:
        """What the lane is doing, for health and metrics: numbers and codes only."""
        return {
            "watermark": self._window.watermark,
            "position": self._window.position,
            "unsettled": self._window.unsettled,
            "window_span": self._window.span,
            "window_bytes": self._bytes,
            "ready": self._order.ready,
            "in_flight": sum(len(batch.entries) for batch in self._in_flight.values()),
            "waiting": len(self._waiting),
            "looking_up": len(self._to_ask) + sum(map(len, self._lookups.values())),
            "finished": len(self._finished),
            "live_intents": sum(1 for announcement in self._live if announcement.holders),
            "stopped": bool(self._stopped_until),
            "closing": self._closing is not None,
        }

    def _go_on(self, now: int) -> list[Command]:
        if not self._over:
            self._take_due(now)
            self._begin_transaction(now)
            self._begin_fence(now)
            self._balance_slots(now)
            self._look_up()
            self._ask_for_records()
            self._finish_closing(now)
        commands, self._commands = self._commands, []
        return commands

    # --- (a) open, and the order of delivery --------------------------------------------------------------

    def _recover(self, opened: facts.Opened) -> dict[int, list[tuple[str, Held]]]:
        """What the live intents say of each unsettled offset. They stay live until those are delivered again."""
        recovered: dict[int, list[tuple[str, Held]]] = {}
        settled = frozenset(opened.metadata.settled)
        for ref, intent in zip(opened.metadata.intents, opened.intents, strict=True):
            announcement = Announcement(intent["batch_id"], intent["announced_at"], intent["expires_at"], ref)
            self._live.append(announcement)
            for offset, key, held in records.held_in(intent, announcement):
                if offset >= opened.offset and offset not in settled:
                    recovered.setdefault(offset, []).append((key, held))
                    announcement.holders += 1
        return recovered

    def _on_fetched(self, fact: facts.Fetched, now: int) -> None:
        self._fetching = False
        for record in fact.records:
            if not self._window.deliver(record.offset):
                continue
            entry = Entry(record, must_ask=record.replay_of is not None)
            self._bytes += record.size
            if record.offset in self._recovered:
                self._remember(entry, self._recovered.pop(record.offset), now)
            if record.event is None:
                self._end(entry, record.reason or Reason.BAD_VALUE, now, now)
                continue
            entry.consent = fact.consents.get(record.event.subject_ref)
            self._order.join(entry)
        self._window.advance(fact.position)
        if any(offset < fact.position for offset in self._recovered):
            raise ContradictionError(
                f"lane {self._origin.lane}: live intents name offsets below {fact.position} that are gone. "
                "Find out what removed them; ask GeNiE what it holds before `gateway lanes init`."
            )

    def _remember(self, entry: Entry, named: list[tuple[str, Held]], now: int) -> None:
        """A live intent names it: an earlier owner may have sent it."""
        for key, held in named:
            if entry.record.event is None:  # it could be decoded once, so the key is known from then
                entry.record = replace(entry.record, idempotency_key=key)
            elif entry.record.idempotency_key != key:
                raise ContradictionError(
                    f"lane {self._origin.lane}: a live intent names another idempotency key for offset "
                    f"{entry.record.offset}. Restore the key it was made with, or find out what replaced the record."
                )
            entry.announce(held)
            held.announcement.holders -= 1
            announcement = held.announcement
            entry.last_expires = max(entry.last_expires, announcement.expires_at)
            entry.decided_at = max(entry.decided_at, announcement.announced_at)
            since = min(entry.unknown_since or announcement.announced_at, announcement.announced_at)
            entry.unknown_since = entry.first_failed_at = since
        entry.maybe_received, entry.must_ask = True, False
        entry.sends = 1
        if entry.record.event is not None and self._crowded():
            self._look_up_later(entry, None, now)

    def _ask_for_records(self) -> None:
        limits = self._limits
        room = min(limits.window - self._window.span, limits.fetch)
        if self._fetching or self._closing is not None or room <= 0 or self._bytes >= limits.window_bytes:
            return
        self._fetching = True
        self._commands.append(facts.FetchMore(room))

    # --- (c) settle, commit, announce ---------------------------------------------------------------------

    def _balance_slots(self, now: int) -> None:
        """Ask for slots for what is ready; those that nothing is ready for go back at once."""
        if not (self._order.ready_below(self._beyond()) and self._may_announce(now)):
            self._free_slots()
            return
        if self._slots_asked:
            return
        wanted = min(MAX_BATCHES_A_CYCLE, -(-self._order.ready // self._limits.batch)) - self._slots
        if wanted > 0:
            self._slots_asked = wanted
            self._commands.append(facts.WantSlots(wanted))

    def _on_slots(self, fact: facts.SlotsGranted, now: int) -> None:
        self._slots_asked = 0
        self._slots += fact.count

    def _free_slots(self) -> None:
        if self._slots:
            self._commands.append(facts.FreeSlots(self._slots))
            self._slots = 0

    def _may_announce(self, now: int) -> bool:
        return self._closing is None and not self._stopped_until and not self._paused(now) and not self._crowded()

    def _crowded(self) -> bool:
        """Whether the metadata can name no more live intents."""
        if len(self._live) >= self._limits.live_intents:
            self._forget_dead_intents()
        return len(self._live) >= self._limits.live_intents

    def _paused(self, now: int) -> bool:
        kind = self._rules.event_type
        return kind is not None and self._holds.pauses(kind.value, self._origin.lane, now)

    def _begin_transaction(self, now: int) -> None:
        if self._transaction is not None or now < self._next_cycle_at:
            return
        batches = self._form_batches(now) if self._slots and self._may_announce(now) else []
        settling = self._take_settleable()
        gap = self._gap_to_commit() and now >= self._next_gap_commit_at
        if not (batches or settling or self._committed is None or gap):
            return
        self._transaction = _Transaction(len(settling), batches)
        intents = tuple(records.intent(self._origin, b.announcement, b.entries, self._epoch) for b in batches)
        self._commands.append(self._produce(settling, intents, now))

    def _gap_to_commit(self) -> bool:
        return self._committed is not None and self._committed < self._window.watermark

    def _take_settleable(self) -> list[Entry]:
        """What is finished and near enough to the watermark for the settled set."""
        settling = []
        while self._settleable():
            entry = heapq.heappop(self._finished)
            self._window.settle(entry.record.offset)
            self._bytes -= entry.record.size
            entry.release()
            settling.append(entry)
        return settling

    def _settleable(self) -> bool:
        return bool(self._finished) and self._finished[0].record.offset < self._beyond()

    def _beyond(self) -> int:
        """The first offset too far from the watermark to be settled; what can't be settled is not announced."""
        return self._window.watermark + self._limits.window

    def _produce(self, settling: Iterable[Entry], intents: tuple[records.Record, ...], now: int) -> facts.Produce:
        ledger, parked = [], []
        for entry in settling:
            ending = _ending(entry)
            ledger.append(records.provision_record(self._origin, entry, ending, now))
            replay = entry.record.replay_of
            if ending.reason.outcome is Outcome.PARKED:
                key = f"{self._origin.lane}:{entry.record.offset}"
                parked.append(facts.Parked(key, records.parked_event(self._origin, entry, ending, now)))
            elif replay is not None and ending.reason.outcome is not Outcome.INVALID:
                parked.append(facts.Parked(f"{replay.topic}:{replay.partition}:{replay.offset}", None))
        return facts.Produce(ledger, parked, intents)

    def _on_produced(self, fact: facts.Produced, now: int) -> None:
        transaction = self._in_transaction()
        for batch, ref in zip(transaction.batches, fact.intents, strict=True):
            batch.announcement.ref = ref
        self._forget_dead_intents()
        if transaction.settled:
            self._opens = 0
        offset = self._window.watermark
        refs = tuple(_ref(announcement) for announcement in self._live)
        metadata = CommitMetadata(tuple(self._window.settled_beyond()), refs, self._opens)
        self._committed = offset
        self._commands.append(facts.Commit(offset, metadata.encode(offset)))

    def _on_committed(self, fact: facts.Committed, now: int) -> None:
        transaction = self._in_transaction()
        self._transaction = None
        self._next_round.batches.extend(transaction.batches)
        limits = self._limits
        load = min(1.0, transaction.settled / limits.full_cycle)
        self._next_cycle_at = now + limits.cycle_min_ms + int(load * (limits.cycle_max_ms - limits.cycle_min_ms))
        self._next_gap_commit_at = now + limits.idle_commit_ms

    def _on_doubtful(self, fact: facts.CommitDoubtful, now: int) -> None:
        self._over = True
        self._commands.append(facts.Reopen())

    def _in_transaction(self) -> _Transaction:
        if self._transaction is None:
            raise AssertionError("no transaction is open")
        return self._transaction

    # --- forming batches: (h) the order of subjects, (j) bounds -------------------------------------------

    def _form_batches(self, now: int) -> list[_Batch]:
        self._forget_dead_intents()
        batches: list[_Batch] = []
        while self._slots and len(self._live) < self._limits.live_intents:
            self._serial += 1
            batch_id = f"{self._origin.lane}/{self._epoch}/{self._opened_at}/{self._serial}"
            announcement = Announcement(batch_id, now, now + self._limits.expires_ms)
            entries = self._form_batch(announcement)
            if not entries:
                break
            self._slots -= 1
            self._live.append(announcement)
            batches.append(_Batch(announcement, entries))
        return batches

    def _forget_dead_intents(self) -> None:
        self._live = [announcement for announcement in self._live if announcement.holders]

    def _form_batch(self, announcement: Announcement) -> list[Entry]:
        """Take heads of lines, and what rides behind them; what looks as if it were not to be provided is
        checked instead."""
        chosen: list[Entry] = []
        keys: set[str] = set()
        limit = self._limits.batch
        while len(chosen) < limit and (head := self._order.next_head()) is not None:
            own = min(limit, head.batch_limit or limit)
            if len(chosen) >= own or not self._line_up(head, chosen, keys, own, announcement):
                self._order.requeue(head)
                break
            limit = own
        return chosen

    def _line_up(
        self, head: Entry, chosen: list[Entry], keys: set[str], limit: int, announcement: Announcement
    ) -> bool:
        """Let a head and what may ride behind it join the batch; False if the head itself must wait."""
        now, beyond = announcement.announced_at, self._beyond()
        checking = False
        for entry in self._order.line(head):
            key = entry.record.idempotency_key
            limit = min(limit, entry.batch_limit or limit)
            if entry.state is not State.QUEUED or len(chosen) >= limit or key in keys or entry.record.offset >= beyond:
                return entry is not head
            if entry.must_ask:  # once all before it are done: one of them may be of the same event
                if entry is head:
                    self._look_up_later(entry, None, now)
                return True
            permit = self._judge(entry, now, announcement.expires_at)
            if isinstance(permit, Reason) or not entry.may_send(self._make(entry, permit).digest):
                entry.state = State.CHECKING
                self._next_round.checks.append(entry)
                checking = True
            elif checking:  # it would overtake one that the fence may yet permit
                return True
            elif chosen and chosen[0].held[-1].scope.policy_version != permit.scope.policy_version:
                return entry is not head  # an intent cites one policy version
            else:
                self._announce(entry, permit, announcement)
                chosen.append(entry)
                keys.add(key)
        return True

    def _announce(self, entry: Entry, permit: Permit, announcement: Announcement) -> None:
        made, consent = self._make(entry, permit), permit.consent
        entry.state = State.ANNOUNCED
        entry.announce(Held(made.scope, made.digest, consent.record_id, consent.version, announcement))

    def _judge(self, entry: Entry, now: int, expires_at: int) -> Permit | Reason:
        event = entry.event
        if self._holds.parks(event.subject_ref, now):
            return Reason.HELD
        if self._rules.event_type is None and self._holds.pauses(event.type.value, self._origin.lane, now):
            return Reason.HELD
        return decide(
            event,
            entry.consent,
            self._rules.policy,
            now=now,
            expires_at=expires_at,
            skew_ms=self._limits.skew_ms,
        )

    def _make(self, entry: Entry, permit: Permit) -> Made:
        made = entry.made
        if made is None or made.scope != permit.scope:
            body = self._rules.minimiser.body(entry.event, permit.scope)
            made = entry.made = Made(permit.scope, body, body_digest(body))
        return made

    # --- (d) fence, final decision, (e) send --------------------------------------------------------------

    def _begin_fence(self, now: int) -> None:
        if self._round is not None or now < self._next_fence_at:
            return
        if not self._next_round and not self._polls_holds(now):
            return
        self._round, self._next_round = self._next_round, _Round()
        self._commands.append(facts.StartFence(self._round.subjects()))

    def _polls_holds(self, now: int) -> bool:
        """A paused lane asks again and again whether it still is."""
        return bool(self._order.ready) and self._closing is None and self._paused(now)

    def _on_fence_failed(self, fact: facts.FenceFailed, now: int) -> None:
        self._put_round_back()
        self._next_fence_at = now + self._limits.fence_retry_ms

    def _put_round_back(self) -> None:
        waited = self._round or _Round()
        self._round = None
        self._next_round.batches[:0] = waited.batches
        self._next_round.checks[:0] = waited.checks

    def _on_fence_reached(self, fact: facts.FenceReached, now: int) -> None:
        self._holds = fact.holds
        if now - fact.read_at > self._limits.decision_age_ms:
            self._put_round_back()
            return
        if self._round is None:
            raise AssertionError("no fence was asked for")
        waited, self._round = self._round, None
        self._next_fence_at = now + self._limits.hold_poll_ms if self._paused(now) else now
        for batch in waited.batches:
            self._decide_batch(batch, fact, now)
        for entry in waited.checks:
            self._decide_check(entry, fact, now)

    def _decide_batch(self, batch: _Batch, fact: facts.FenceReached, now: int) -> None:
        announcement = batch.announcement
        too_late = now > announcement.expires_at - self._limits.send_margin_ms
        wait = too_late or bool(self._stopped_until) or self._paused(now)
        barred: set[str] = set()  # subjects of which an earlier entry goes later
        sending = []
        for entry in batch.entries:
            subject = entry.event.subject_ref
            entry.consent = fact.consents.get(subject)
            if wait or subject in barred:
                self._requeue(entry, now)
                continue
            permit = self._judge(entry, now, announcement.expires_at)
            if isinstance(permit, Permit) and self._is_as_announced(entry, permit):
                entry.decided_at = fact.read_at
                sending.append(entry)
            elif not self._set_aside(entry, permit, fact.read_at, now):
                barred.add(subject)
        if sending:
            self._send(_Batch(announcement, sending))
        else:
            self._commands.append(facts.FreeSlots(1))

    def _is_as_announced(self, entry: Entry, permit: Permit) -> bool:
        held, consent = entry.held[-1], permit.consent
        if (held.consent_record_id, held.consent_version) != (consent.record_id, consent.version):
            return False
        return self._make(entry, permit).digest == held.digest

    def _decide_check(self, entry: Entry, fact: facts.FenceReached, now: int) -> None:
        entry.consent = fact.consents.get(entry.event.subject_ref)
        self._set_aside(entry, self._judge(entry, now, now + self._limits.expires_ms), fact.read_at, now)

    def _set_aside(self, entry: Entry, permit: Permit | Reason, read_at: int, now: int) -> bool:
        """It is not sent as announced: end it, look it up first, or announce it anew. True if it is at its end."""
        if isinstance(permit, Reason):
            self._end(entry, permit, read_at, now)
            return entry.state is State.DONE
        if entry.may_send(self._make(entry, permit).digest):
            self._requeue(entry, now)
        else:
            self._look_up_later(entry, None, now)
        return False

    def _requeue(self, entry: Entry, now: int) -> None:
        """It waits for its turn to be announced anew; if there is no room for intents, a lookup makes some. (Else
        all intents might stay live for entries that wait for one.)"""
        if entry.maybe_received and self._crowded():
            self._look_up_later(entry, None, now)
            return
        if not entry.maybe_received:
            entry.release()
        self._order.requeue(entry)

    def _send(self, batch: _Batch) -> None:
        announcement = batch.announcement
        for entry in batch.entries:
            entry.state = State.SENDING
            entry.sends += 1
        self._in_flight[announcement.batch_id] = batch
        entries = tuple(_outgoing(entry) for entry in batch.entries)
        self._commands.append(facts.Send(announcement.batch_id, entries, announcement.expires_at))

    # --- (f) what GeNiE said ------------------------------------------------------------------------------

    def _on_answered(self, fact: facts.Answered, now: int) -> None:
        batch = self._in_flight.pop(fact.batch_id)
        sent = tuple(_sent(entry) for entry in batch.entries)
        outcome = classify(fact.answer, sent)
        if outcome.stop is not None:
            self._stopped_until = now + self._limits.stop_retry_ms
            self._commands.append(facts.Alert(outcome.stop))
        failed = [
            entry
            for entry, said in zip(batch.entries, outcome.entries, strict=True)
            if not self._taken_or_over(entry, said, batch, outcome, now)
        ]
        if failed:  # they wait together, so that they ride together again
            attempt = max(entry.unknowns + entry.refusals for entry in failed)
            wait = self._rules.waits(1, 0) if outcome.bisect else self._rules.waits(attempt, outcome.retry_after_ms)
            for entry in failed:
                self._wait(entry, State.RETRYING, now + wait)

    def _taken_or_over(self, entry: Entry, said: EntryOutcome, batch: _Batch, outcome: BatchOutcome, now: int) -> bool:
        """Take in what was said of one entry. False: it is to be tried again."""
        if said.meaning is Meaning.FINAL:
            self._final(entry, said, now)
            return True
        entry.first_failed_at = entry.first_failed_at or now
        half = max(1, len(batch.entries) // 2)
        if said.meaning is Meaning.UNKNOWN:
            entry.maybe_received = True
            entry.unknown_since = entry.unknown_since or now
            entry.last_expires = max(entry.last_expires, batch.announcement.expires_at)
            entry.unknowns += 1
            if self._gives_up(entry, now):
                return True
            if entry.unknowns > 1:
                entry.batch_limit = half
        else:
            entry.refusals += outcome.stop is None
            if outcome.bisect or (entry.refusals and entry.refusals % MAX_FAILED_ATTEMPTS == 0):
                entry.batch_limit = half
            if not entry.maybe_received:
                entry.release()
        if len(batch.entries) == 1 and self._genie_fails_on(entry, now):
            fails = Ending(Reason.GENIE_FAILS_ON_ENTRY, Transmitted.NO, entry.decided_at)
            self._end_as(entry, fails, now)
            return True
        return False

    def _genie_fails_on(self, entry: Entry, now: int) -> bool:
        """Whether it fails again and again, alone in its batch, while GeNiE takes others."""
        if self._taken_at <= entry.first_failed_at:
            return False
        if entry.unknowns >= MAX_FAILED_ATTEMPTS:
            return True
        too_long = now - entry.first_failed_at > self._limits.unknown_limit_ms
        return too_long and entry.refusals >= MAX_FAILED_ATTEMPTS

    def _final(self, entry: Entry, said: EntryOutcome, now: int) -> None:
        if said.reason is None:
            raise AssertionError("a final outcome has a reason")
        reason, held = said.reason, entry.held[-1]
        if reason is Reason.ACCEPTED and said.repeated and not self._is_ours(entry):
            reason = Reason.SAME_EVENT
        if reason in _FINAL_AT_ONCE:
            self._taken_at = now
        ending = Ending(
            reason,
            Transmitted.YES,
            entry.decided_at,
            held,
            ConsentRef.held(held),
            said.receipt,
            said.problem_type,
        )
        if reason in _FINAL_AT_ONCE:
            self._done(entry, ending)
        else:
            self._end_as(entry, ending, now)

    @staticmethod
    def _is_ours(entry: Entry) -> bool:
        """Whether what GeNiE has under this record's own origin came from this record's attempts. A replay has the
        origin of the record it repeats; it asks before it is first sent, and so knows what was there before."""
        return entry.maybe_received or entry.record.replay_of is None

    def _gives_up(self, entry: Entry, now: int) -> bool:
        """Unknown for too long: park it; a later record resolves it."""
        if entry.unknowns + entry.asks < MAX_FAILED_ATTEMPTS:  # an outage of an hour is no hour of trying
            return False
        if now - entry.unknown_since <= self._limits.unknown_limit_ms:
            return False
        held = entry.held[-1] if entry.held else None
        consent = ConsentRef.held(held) if held is not None else None
        transmitted = Transmitted.UNKNOWN if entry.maybe_received else Transmitted.NO
        ending = Ending(Reason.OUTCOME_UNKNOWN, transmitted, entry.decided_at or now, held, consent)
        self._done(entry, ending)
        return True

    def _look_up_later(self, entry: Entry, ending: Ending | None, now: int) -> None:
        """Ask once GeNiE can no longer accept it; `ending` is what holds if it was not received."""
        entry.ending = ending
        entry.unknown_since = entry.unknown_since or now
        self._wait(entry, State.LOOKUP_WAIT, max(now, entry.last_expires + self._limits.skew_ms + 1))

    def _wait(self, entry: Entry, state: State, due_at: int) -> None:
        entry.state = state
        heapq.heappush(self._waiting, (due_at, entry.record.offset, entry))

    def _take_due(self, now: int) -> None:
        while self._waiting and self._waiting[0][0] <= now:
            entry = heapq.heappop(self._waiting)[2]
            if entry.state is State.RETRYING:
                self._requeue(entry, now)
            else:
                self._to_ask.append(entry)
        if self._stopped_until and now >= self._stopped_until:
            self._stopped_until = 0

    def _look_up(self) -> None:
        while self._to_ask and len(self._lookups) < MAX_LOOKUPS:
            entries = [self._to_ask.popleft() for _ in range(min(MAX_LOOKUP_KEYS, len(self._to_ask)))]
            for entry in entries:
                entry.state = State.LOOKING_UP
            self._serial += 1
            self._lookups[self._serial] = entries
            # A producer's duplicate may ask beside the record it repeats: each key is asked once.
            keys = tuple(dict.fromkeys(entry.record.idempotency_key for entry in entries))
            self._commands.append(facts.LookUp(self._serial, keys))

    def _on_looked_up(self, fact: facts.LookedUp, now: int) -> None:
        entries = self._lookups.pop(fact.lookup_id)
        told = {result.idempotency_key: result for result in fact.reply.results} if fact.reply else {}
        open_still = []
        for entry in entries:
            result = told.get(entry.record.idempotency_key)
            if result is None or fact.reply is None or not self._resolve(entry, result, fact.reply, now):
                entry.asks += 1
                if not self._gives_up(entry, now):
                    open_still.append(entry)
        if open_still:
            wait = self._rules.waits(max(entry.asks for entry in open_still), None)
            for entry in open_still:
                self._wait(entry, State.LOOKUP_WAIT, now + wait)

    def _resolve(self, entry: Entry, result: LookupResult, reply: LookupReply, now: int) -> bool:
        """Take in what a lookup says of one entry. False: it must be asked again."""
        match result.status:
            case LookupStatus.RECEIVED:
                self._done(entry, self._received(entry, result))
            case LookupStatus.NOT_RECEIVED if reply.as_of > entry.last_expires + self._limits.skew_ms:
                entry.maybe_received, entry.must_ask = False, False
                entry.unknown_since = entry.asks = 0
                ending, entry.ending = entry.ending, None
                if ending is not None:
                    self._done(entry, ending)
                else:
                    self._requeue(entry, now)
            case _:
                return False
        return True

    def _received(self, entry: Entry, result: LookupResult) -> Ending:
        """GeNiE has the key: from this record, with the scope whose digest it names, or from another record."""
        first = result.first
        if first is None:
            raise AssertionError("a key that was received has its first")
        held = next((h for h in entry.held if h.digest == first.body_digest), None)
        if first.origin == entry.record.origin and self._is_ours(entry):
            reason = Reason.RESOLVED_BY_LOOKUP if held is not None else Reason.OUTCOME_UNKNOWN
        elif held is None and first.source_digest != entry.record.source_digest:
            reason = Reason.EVENT_ID_REUSED
        else:
            same = held is not None or not entry.held
            reason = Reason.SAME_EVENT if same else Reason.SAME_EVENT_OTHER_SCOPE
        if reason is Reason.RESOLVED_BY_LOOKUP:
            self._taken_at = max(self._taken_at, first.received_at)
        consent = ConsentRef.held(held) if held is not None else None
        return Ending(reason, Transmitted.YES, entry.decided_at, held, consent, result.receipt)

    # --- endings ------------------------------------------------------------------------------------------

    def _end(self, entry: Entry, reason: Reason, decided_at: int, now: int) -> None:
        """It is not provided."""
        self._end_as(entry, Ending(reason, Transmitted.NO, decided_at, None, ConsentRef.of(entry.consent)), now)

    def _end_as(self, entry: Entry, ending: Ending, now: int) -> None:
        """End it so, unless an attempt may have been received: then look it up first."""
        if entry.maybe_received:
            self._look_up_later(entry, ending, now)
        else:
            self._done(entry, ending)

    def _done(self, entry: Entry, ending: Ending) -> None:
        entry.state = State.DONE
        entry.ending = ending
        heapq.heappush(self._finished, entry)
        if entry.record.event is not None:
            self._order.leave(entry)

    # --- time and (k) closing -----------------------------------------------------------------------------

    def _on_tick(self, fact: facts.Tick, now: int) -> None:
        self._taken_at = max(self._taken_at, fact.genie_ok_at)

    def _on_closing(self, fact: facts.Closing, now: int) -> None:
        self._closing = fact.deadline

    def _finish_closing(self, now: int) -> None:
        if self._closing is None or self._transaction is not None or self._settleable():
            return
        drained = not (self._in_flight or self._round or self._next_round)
        if drained or now >= self._closing:
            self._over = True
            self._commands.append(facts.Closed())

    _HANDLERS: Mapping[type[Any], Callable[[Lane, Any, int], None]] = {
        facts.Fetched: _on_fetched,
        facts.SlotsGranted: _on_slots,
        facts.Produced: _on_produced,
        facts.Committed: _on_committed,
        facts.CommitDoubtful: _on_doubtful,
        facts.FenceReached: _on_fence_reached,
        facts.FenceFailed: _on_fence_failed,
        facts.Answered: _on_answered,
        facts.LookedUp: _on_looked_up,
        facts.Tick: _on_tick,
        facts.Closing: _on_closing,
    }


def _ending(entry: Entry) -> Ending:
    if entry.ending is None:
        raise AssertionError("a finished entry has its ending")
    return entry.ending


def _ref(announcement: Announcement) -> IntentRef:
    if announcement.ref is None:
        raise AssertionError("a live intent was produced")
    return announcement.ref


def _outgoing(entry: Entry) -> facts.OutgoingEntry:
    if entry.made is None:
        raise AssertionError("an entry is sent with its body")
    record = entry.record
    return facts.OutgoingEntry(record.idempotency_key, record.origin, record.source_digest, entry.made.body)


def _sent(entry: Entry) -> SentEntry:
    record = entry.record
    return SentEntry(record.idempotency_key, record.origin, record.source_digest, entry.held[-1].digest)
