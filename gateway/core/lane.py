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

MAX_UNKNOWN_ATTEMPTS = 8
MAX_LOOKUP_KEYS = 100
MAX_BATCHES_A_CYCLE = 16
SOFT_LIVE_INTENTS = MAX_LIVE_INTENTS - 2 * MAX_BATCHES_A_CYCLE  # beyond it only what was announced before
_FINAL_AT_ONCE = frozenset({Reason.ACCEPTED, Reason.SAME_EVENT, Reason.NEWER_AT_GENIE})


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers of one lane; times in ms, sizes in bytes."""

    expires_ms: int = 30_000  # how long GeNiE may accept an attempt
    skew_ms: int = 5_000  # how far GeNiE's clock may be from ours
    batch: int = 100
    window: int = MAX_WINDOW
    window_bytes: int = 32 << 20
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
        times = [self._waiting[0][0]] if self._waiting else []
        if self._transaction is None:
            if self._finished or (self._order.ready and self._slots):
                times.append(self._next_cycle_at)
            if self._gap_to_commit():
                times.append(self._next_gap_commit_at)
        if self._stopped_until:
            times.append(self._stopped_until)
        if self._round is None and (self._next_round or self._polls_holds(now)):
            times.append(self._next_fence_at)
        if self._closing is not None:
            times.append(self._closing)
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
            "looking_up": sum(map(len, self._lookups.values())),
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
            self._ask_for_slots(now)
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
            entry = Entry(record)
            self._bytes += record.size
            if record.offset in self._recovered:
                self._remember(entry, self._recovered.pop(record.offset))
            if record.event is None:
                self._end(entry, record.reason or Reason.BAD_VALUE, now, now)
                continue
            entry.consent = fact.consents.get(record.event.subject_ref)
            self._order.join(entry)
        self._window.advance(fact.position)

    def _remember(self, entry: Entry, named: list[tuple[str, Held]]) -> None:
        """A live intent names it: an earlier owner may have sent it."""
        for key, held in named:
            if entry.record.event is None:  # it could be decoded once, so the key is known from then
                entry.record = replace(entry.record, idempotency_key=key)
            entry.announce(held)
            held.announcement.holders -= 1
            entry.last_expires = max(entry.last_expires, held.announcement.expires_at)
        entry.maybe_received = True
        entry.sends = 1
        entry.first_unknown_at = entry.first_announced_at

    def _ask_for_records(self) -> None:
        limits = self._limits
        room = min(limits.window - self._window.span, limits.window - self._window.unsettled, limits.fetch)
        if self._fetching or self._closing is not None or room <= 0 or self._bytes >= limits.window_bytes:
            return
        self._fetching = True
        self._commands.append(facts.FetchMore(room))

    # --- (c) settle, commit, announce ---------------------------------------------------------------------

    def _ask_for_slots(self, now: int) -> None:
        if self._slots_asked or not self._may_announce(now):
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
        return self._closing is None and not self._stopped_until and not self._paused(now)

    def _paused(self, now: int) -> bool:
        kind = self._rules.event_type
        return kind is not None and self._holds.pauses(kind.value, self._origin.lane, now)

    def _begin_transaction(self, now: int) -> None:
        if self._transaction is not None or now < self._next_cycle_at:
            return
        batches = self._form_batches(now) if self._slots and self._may_announce(now) else []
        if not (self._order.ready and self._may_announce(now)):
            self._free_slots()
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
        while self._finished:
            offset = self._finished[0].record.offset
            if offset >= self._window.watermark + self._limits.window:
                break
            entry = heapq.heappop(self._finished)
            self._window.settle(offset)
            self._bytes -= entry.record.size
            entry.release()
            settling.append(entry)
        return settling

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
            self._live.append(batch.announcement)
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
        while self._slots and len(self._live) + len(batches) < MAX_LIVE_INTENTS:
            self._serial += 1
            batch_id = f"{self._origin.lane}/{self._opened_at}/{self._serial}"
            announcement = Announcement(batch_id, now, now + self._limits.expires_ms)
            crowded = len(self._live) + len(batches) >= SOFT_LIVE_INTENTS
            entries = self._form_batch(announcement, crowded)
            if not entries:
                break
            self._slots -= 1
            batches.append(_Batch(announcement, entries))
        return batches

    def _forget_dead_intents(self) -> None:
        self._live = [announcement for announcement in self._live if announcement.holders]

    def _form_batch(self, announcement: Announcement, crowded: bool) -> list[Entry]:
        """Take heads of lines, and what rides behind them; what looks as if it were not to be provided is
        checked instead."""
        chosen: list[Entry] = []
        keys: set[str] = set()
        limit = self._limits.batch
        put_back: list[Entry] = []
        while len(chosen) < limit and (head := self._order.next_head()) is not None:
            if crowded and not head.held:
                put_back.append(head)
                continue
            own = self._limits.batch if crowded else head.batch_limit or self._limits.batch
            if len(chosen) >= own or not self._line_up(head, chosen, keys, min(limit, own), announcement):
                put_back.append(head)
                break
            limit = min(limit, own)
        for head in put_back:
            self._order.requeue(head)
        return chosen

    def _line_up(
        self, head: Entry, chosen: list[Entry], keys: set[str], limit: int, announcement: Announcement
    ) -> bool:
        """Let a head and what may ride behind it join the batch; False if the head itself must wait."""
        checking = False
        for entry in (head, *self._order.behind(head)):
            key = entry.record.idempotency_key
            limit = min(limit, entry.batch_limit or limit)
            if entry.state is not State.QUEUED or len(chosen) >= limit or key in keys:
                return entry is not head
            permit = self._judge(entry, announcement.announced_at, announcement.expires_at)
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
            entry.decided_at = fact.read_at
            if wait or subject in barred:
                self._requeue(entry)
                continue
            permit = self._judge(entry, now, announcement.expires_at)
            if isinstance(permit, Permit) and self._make(entry, permit).digest == entry.held[-1].digest:
                sending.append(entry)
            elif not self._set_aside(entry, permit, now):
                barred.add(subject)
        if sending:
            self._send(_Batch(announcement, sending))
        else:
            self._commands.append(facts.FreeSlots(1))

    def _decide_check(self, entry: Entry, fact: facts.FenceReached, now: int) -> None:
        entry.consent = fact.consents.get(entry.event.subject_ref)
        entry.decided_at = fact.read_at
        permit = self._judge(entry, now, now + self._limits.expires_ms)
        if isinstance(permit, Permit) and entry.may_send(self._make(entry, permit).digest):
            self._requeue(entry)
        else:
            self._set_aside(entry, permit, now)

    def _set_aside(self, entry: Entry, permit: Permit | Reason, now: int) -> bool:
        """It is not sent as announced: end it, look it up first, or announce it anew. True if it is at its end."""
        if isinstance(permit, Reason):
            self._end(entry, permit, entry.decided_at, now)
            return entry.state is State.DONE
        if entry.maybe_received:
            self._look_up_later(entry, None, now)
        else:
            self._requeue(entry)
        return False

    def _requeue(self, entry: Entry) -> None:
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
        half = max(1, len(batch.entries) // 2)
        for entry, said in zip(batch.entries, outcome.entries, strict=True):
            match said.meaning:
                case Meaning.FINAL:
                    self._final(entry, said, now)
                case Meaning.NOT_RECEIVED:
                    entry.batch_limit = half if outcome.bisect else entry.batch_limit
                    self._not_received(entry, 0 if outcome.bisect else outcome.retry_after_ms, now)
                case Meaning.UNKNOWN:
                    self._unknown(entry, batch.announcement.expires_at, half, now)

    def _final(self, entry: Entry, said: EntryOutcome, now: int) -> None:
        if said.reason is None:
            raise AssertionError("a final outcome has a reason")
        reason, held = said.reason, entry.held[-1]
        if reason is Reason.ACCEPTED and self._was_provided_before(entry, said):
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
        if entry.maybe_received and reason not in _FINAL_AT_ONCE:
            self._look_up_later(entry, ending, now)
        else:
            self._done(entry, ending)

    def _was_provided_before(self, entry: Entry, said: EntryOutcome) -> bool:
        """A replay that GeNiE had before this lane first announced it repeats what another record tells of."""
        if entry.record.replay_of is None or said.first is None:
            return False
        return said.first.received_at + self._limits.skew_ms < entry.first_announced_at

    def _not_received(self, entry: Entry, retry_after_ms: int | None, now: int) -> None:
        entry.refusals += 1
        if not entry.maybe_received:
            entry.release()
        self._retry_at(entry, now + self._rules.waits(entry.refusals, retry_after_ms))

    def _unknown(self, entry: Entry, expires_at: int, half: int, now: int) -> None:
        entry.maybe_received = True
        entry.unknowns += 1
        entry.first_unknown_at = entry.first_unknown_at or now
        entry.last_expires = max(entry.last_expires, expires_at)
        if entry.unknowns > 1:
            entry.batch_limit = half
        if self._gives_up(entry, now):
            return
        if entry.unknowns >= MAX_UNKNOWN_ATTEMPTS and self._taken_at > entry.first_unknown_at:
            fails = Ending(Reason.GENIE_FAILS_ON_ENTRY, Transmitted.NO, entry.decided_at, entry.held[-1])
            self._look_up_later(entry, fails, now)
        else:
            self._retry_at(entry, now + self._rules.waits(entry.unknowns, None))

    def _gives_up(self, entry: Entry, now: int) -> bool:
        """Unknown for too long: park it; a later record resolves it."""
        if now - entry.first_unknown_at <= self._limits.unknown_limit_ms:
            return False
        held = entry.held[-1]
        self._done(
            entry,
            Ending(Reason.OUTCOME_UNKNOWN, Transmitted.UNKNOWN, entry.decided_at, held, ConsentRef.held(held)),
        )
        return True

    def _look_up_later(self, entry: Entry, ending: Ending | None, now: int) -> None:
        """Ask once GeNiE can no longer accept it; `ending` is what holds if it was not received."""
        entry.ending = ending
        entry.state = State.LOOKUP_WAIT
        entry.due_at = max(now, entry.last_expires + self._limits.skew_ms + 1)
        heapq.heappush(self._waiting, (entry.due_at, entry.record.offset, entry))

    def _retry_at(self, entry: Entry, due_at: int) -> None:
        entry.state = State.RETRYING
        entry.due_at = due_at
        heapq.heappush(self._waiting, (due_at, entry.record.offset, entry))

    def _take_due(self, now: int) -> None:
        asking: list[Entry] = []
        while self._waiting and self._waiting[0][0] <= now:
            entry = heapq.heappop(self._waiting)[2]
            if entry.state is State.RETRYING:
                self._order.requeue(entry)
            else:
                asking.append(entry)
        for start in range(0, len(asking), MAX_LOOKUP_KEYS):
            self._look_up(asking[start : start + MAX_LOOKUP_KEYS])
        if self._stopped_until and now >= self._stopped_until:
            self._stopped_until = 0

    def _look_up(self, entries: list[Entry]) -> None:
        self._serial += 1
        self._lookups[self._serial] = entries
        for entry in entries:
            entry.state = State.LOOKING_UP
        self._commands.append(facts.LookUp(self._serial, tuple(e.record.idempotency_key for e in entries)))

    def _on_looked_up(self, fact: facts.LookedUp, now: int) -> None:
        entries = self._lookups.pop(fact.lookup_id)
        told = {result.idempotency_key: result for result in fact.reply.results} if fact.reply else {}
        for entry in entries:
            result = told.get(entry.record.idempotency_key)
            if result is not None and fact.reply is not None:
                self._resolve(entry, result, fact.reply, now)
            elif not self._gives_up(entry, now):
                self._ask_again(entry, now)

    def _ask_again(self, entry: Entry, now: int) -> None:
        entry.unknowns += 1
        entry.state = State.LOOKUP_WAIT
        entry.due_at = now + self._rules.waits(entry.unknowns, None)
        heapq.heappush(self._waiting, (entry.due_at, entry.record.offset, entry))

    def _resolve(self, entry: Entry, result: LookupResult, reply: LookupReply, now: int) -> None:
        match result.status:
            case LookupStatus.RECEIVED:
                self._done(entry, self._received(entry, result))
            case LookupStatus.NOT_RECEIVED if reply.as_of > entry.last_expires + self._limits.skew_ms:
                entry.maybe_received = False
                ending, entry.ending = entry.ending, None
                if ending is not None:
                    self._done(entry, ending)
                else:
                    entry.release()
                    self._order.requeue(entry)
            case _:
                if not self._gives_up(entry, now):
                    self._ask_again(entry, now)

    def _received(self, entry: Entry, result: LookupResult) -> Ending:
        """GeNiE has the key: from this record, with the scope whose digest it names, or from another record."""
        first = result.first
        if first is None:
            raise AssertionError("a key that was received has its first")
        held = next((h for h in entry.held if h.digest == first.body_digest), None)
        if first.origin != entry.record.origin:
            reason = Reason.SAME_EVENT if held is not None else Reason.SAME_EVENT_OTHER_SCOPE
            if first.source_digest != entry.record.source_digest and held is None:
                reason = Reason.EVENT_ID_REUSED
        else:
            reason = Reason.RESOLVED_BY_LOOKUP if held is not None else Reason.OUTCOME_UNKNOWN
        if reason is Reason.RESOLVED_BY_LOOKUP:
            self._taken_at = max(self._taken_at, first.received_at)
        consent = ConsentRef.held(held) if held is not None else None
        return Ending(reason, Transmitted.YES, entry.decided_at, held, consent, result.receipt)

    # --- endings ------------------------------------------------------------------------------------------

    def _end(self, entry: Entry, reason: Reason, decided_at: int, now: int) -> None:
        """It is not provided; if an attempt may have been received, look it up first."""
        ending = Ending(reason, Transmitted.NO, decided_at, None, ConsentRef.of(entry.consent))
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
        self._free_slots()

    def _finish_closing(self, now: int) -> None:
        if self._closing is None or self._transaction is not None or self._finished:
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
