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
clocks or tasks: facts come in with `now`, commands go out, and the driver adds no judgement of its own. What it
leaves to others: whose turn it is (order, batching), what may be provided (judge), what an answer makes of an entry
(fates), which intents are live (live), who waits and for what (rounds, waiting), what is settled (settling, window).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.core import facts, records
from gateway.core.batching import Batch, Batching
from gateway.core.cycle import Cycle
from gateway.core.decide import Permit
from gateway.core.delays import BY_STATE, Delay
from gateway.core.entry import Ending, Entry, State
from gateway.core.facts import Command, Fact
from gateway.core.fates import Fates, Lookup, is_sure, not_provided
from gateway.core.judge import Judge
from gateway.core.live import ContradictionError, LiveIntents
from gateway.core.order import SubjectOrder
from gateway.core.outcome import BatchOutcome, classify
from gateway.core.reasons import Reason
from gateway.core.rounds import Rounds
from gateway.core.rules import Limits, Rules
from gateway.core.settling import Settling, ledger_records, parked_records
from gateway.core.slots import Slots
from gateway.core.waiting import Lookups, Waiting

__all__ = ["ContradictionError", "Lane", "Limits", "Rules"]


class Lane:
    """One lane, from its opening to its closing or a doubt."""

    def __init__(self, rules: Rules, opened: facts.Opened, now: int) -> None:
        self._rules = rules
        self._limits = rules.limits
        self._origin = rules.origin
        self._settling = Settling(rules.limits, opened)
        self._live = LiveIntents(rules.origin.lane, opened, rules.limits.live_intents)
        self._order = SubjectOrder()
        self._judge = Judge(rules, opened.holds)
        self._batching = Batching(self._order, self._judge, rules.limits, f"{rules.origin.lane}/{opened.epoch}/{now}")
        self._fates = Fates(rules.limits)
        self._waiting = Waiting()  # RETRYING and LOOKUP_WAIT
        self._lookups = Lookups()
        self._cycle = Cycle(rules.limits, opened, self._settling.window, now)
        self._rounds = Rounds(now)
        self._in_flight: dict[str, Batch] = {}
        self._commands: list[Command] = []
        self._slots = Slots()
        self._fetching = False
        self._stopped_until = 0
        self._closing: int | None = None  # the deadline
        self._over = False
        self._epoch = opened.epoch

    # --- facts in, commands out ---------------------------------------------------------------------------

    def start(self, now: int) -> list[Command]:
        """The first command: commit the opening."""
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
        times = [self._waiting.next_at, self._cycle.next_at(self._settling.is_due or bool(self._slots.held))]
        if self._closing is not None and not self._cycle.is_open and not self._settling.is_due:
            times.append(self._closing)
        if self._stopped_until:
            times.append(self._stopped_until)
        if self._wants_fence(now):
            times.append(self._rounds.next_at)
        return min((time for time in times if time is not None), default=None)

    def view(self) -> Mapping[str, Any]:
        """What the lane is doing, for health and metrics: numbers and codes only."""
        return {
            **self._settling.view(),
            "ready": self._order.ready,
            "in_flight": sum(len(batch.entries) for batch in self._in_flight.values()),
            "waiting": len(self._waiting),
            "looking_up": len(self._lookups),
            "live_intents": len(self._live),
            "stopped": bool(self._stopped_until),
            "closing": self._closing is not None,
        }

    def delay(self, now: int) -> Delay | None:
        """Why its oldest unsettled record is not settled; None if there is none. (It looks through the window.)"""
        offset = self._settling.oldest
        if offset is None:
            return None
        if self._settling.awaits_commit(offset):
            return Delay.COMMIT
        entry = self._order.head_at(offset) or self._waiting.at(offset) or self._lookups.at(offset)
        if entry is None or entry.state is State.QUEUED:  # None of them can't be, but a view ends no process
            return self._delay_of_turn(now)
        if entry.state is State.ANNOUNCED and self._cycle.announces(entry.held[-1].announcement):
            return Delay.COMMIT
        return BY_STATE[entry.state]

    def _delay_of_turn(self, now: int) -> Delay:
        if self._closing is not None:
            return Delay.CLOSING
        if self._stopped_until:
            return Delay.STOP
        if self._judge.pauses(now):
            return Delay.HOLD
        if self._live.is_full:
            return Delay.INTENTS
        return Delay.COMMIT if self._slots.held else Delay.SLOT

    def _go_on(self, now: int) -> list[Command]:
        if not self._over:
            self._take_due(now)
            self._begin_transaction(now)
            self._begin_fence(now)
            self._balance_slots(now)
            self._commands += self._lookups.questions()
            self._ask_for_records()
            self._finish_closing(now)
        commands, self._commands = self._commands, []
        return commands

    # --- (a) open, and the order of delivery --------------------------------------------------------------

    def _on_fetched(self, fact: facts.Fetched, now: int) -> None:
        self._fetching = False
        for record in fact.records:
            if not self._settling.deliver(record):
                continue
            entry = Entry(record, must_ask=record.replay_of is not None)
            self._live.remember(entry)
            if record.event is None:
                if entry.maybe_received:
                    self._order.bar(record.offset)
                self._end(entry, not_provided(entry, record.reason or Reason.BAD_VALUE, now), now)
                continue
            entry.consent = fact.consents.get(record.event.subject_ref)
            if entry.maybe_received and self._live.is_full:
                self._look_up_later(entry, None, now)
            self._order.join(entry)
        self._settling.window.advance(fact.position)
        self._live.check_delivered(fact.position)

    def _ask_for_records(self) -> None:
        room = self._settling.room(bool(self._order.ready), self._live.awaits_delivery)
        if room and self._cycle.has_opened and not self._fetching and self._closing is None:
            self._fetching = True
            self._commands.append(facts.FetchMore(room))

    # --- (c) settle, commit, announce ---------------------------------------------------------------------

    def _balance_slots(self, now: int) -> None:
        wanted = 0
        if self._order.ready_below(self._settling.beyond) and self._may_announce(now):
            wanted = min(self._limits.batches_a_cycle, -(-self._order.ready // self._limits.batch))
        balance = self._slots.balance(wanted)
        if balance is not None:
            self._commands.append(balance)

    def _on_slots(self, fact: facts.SlotsGranted, now: int) -> None:
        self._slots.grant(fact.count)

    def _may_announce(self, now: int) -> bool:
        if self._closing is not None or self._stopped_until or self._live.is_full:
            return False
        return not self._judge.pauses(now)

    def _begin_transaction(self, now: int) -> None:
        if not self._cycle.may_begin(now):
            return
        batches = self._form_batches(now) if self._slots.held and self._may_announce(now) else []
        settling = self._settling.take()
        if not (batches or settling or self._cycle.must_begin(now)):
            return
        self._cycle.begin(len(settling), batches, now)
        ledger, parked = ledger_records(self._origin, settling, now), parked_records(self._origin, settling, now)
        intents = [records.intent(self._origin, b.announcement, b.entries, self._epoch) for b in batches]
        self._commands.append(facts.Produce(ledger, parked, intents))

    def _on_produced(self, fact: facts.Produced, now: int) -> None:
        self._commands.append(self._cycle.commit(fact.intents, self._live))

    def _on_committed(self, fact: facts.Committed, now: int) -> None:
        self._settling.committed()
        self._rounds.join(batches=self._cycle.end(now))

    def _on_doubtful(self, fact: facts.CommitDoubtful, now: int) -> None:
        self._over = True
        self._commands.append(facts.Reopen())

    def _form_batches(self, now: int) -> list[Batch]:
        batches: list[Batch] = []
        while self._slots.held and not self._live.is_full:
            batch = self._batching.form(now, self._settling.beyond)
            if batch is None:
                break
            self._slots.use()
            self._live.add(batch.announcement)
            batches.append(batch)
        passed = self._batching.take_passed()
        self._rounds.join(checks=passed.checks)
        for entry in passed.asks:
            self._look_up_later(entry, None, now)
        return batches

    # --- (d) fence, final decision, (e) send --------------------------------------------------------------

    def _begin_fence(self, now: int) -> None:
        if self._wants_fence(now) and now >= self._rounds.next_at:
            self._commands.append(facts.StartFence(self._rounds.begin()))

    def _wants_fence(self, now: int) -> bool:
        """Somebody waits for one; or the lane is paused, and asks again and again whether it still is."""
        if self._rounds.is_under_way:
            return False
        paused = bool(self._order.ready) and self._closing is None and self._judge.pauses(now)
        return paused or self._rounds.is_wanted

    def _on_fence_failed(self, fact: facts.FenceFailed, now: int) -> None:
        self._rounds.put_back()
        self._rounds.next_at = now + self._limits.fence_retry_ms

    def _on_fence_reached(self, fact: facts.FenceReached, now: int) -> None:
        self._judge.holds = fact.holds
        if now - fact.read_at > self._limits.decision_age_ms:
            self._rounds.put_back()
            return
        waited = self._rounds.take()
        self._rounds.next_at = now + self._limits.hold_poll_ms if self._judge.pauses(now) else now
        for batch in waited.batches:
            self._decide_batch(batch, fact, now)
        for entry in waited.checks:
            entry.consent = fact.consents.get(entry.event.subject_ref)
            permit = self._judge.judge(entry, now, now + self._limits.expires_ms)
            self._set_aside(entry, permit, fact.read_at, now)

    def _decide_batch(self, batch: Batch, fact: facts.FenceReached, now: int) -> None:
        announcement = batch.announcement
        too_late = now > announcement.expires_at - self._limits.send_margin_ms
        wait = too_late or bool(self._stopped_until) or self._judge.pauses(now)
        barred: set[str] = set()  # subjects of which an earlier entry goes later
        sending = []
        for entry in batch.entries:
            subject = entry.event.subject_ref
            entry.consent = fact.consents.get(subject)
            if wait or subject in barred:
                self._requeue(entry, now)
                continue
            permit = self._judge.judge(entry, now, announcement.expires_at)
            if isinstance(permit, Permit) and self._judge.is_as_announced(entry, permit):
                entry.decided_at = fact.read_at
                sending.append(entry)
            elif not self._set_aside(entry, permit, fact.read_at, now):
                barred.add(subject)
        if sending:
            self._send(Batch(announcement, sending))
        else:
            self._commands.append(facts.FreeSlots(1))

    def _set_aside(self, entry: Entry, permit: Permit | Reason, read_at: int, now: int) -> bool:
        """It is not sent as announced: end it, look it up first, or announce it anew. True if it is at its end."""
        if isinstance(permit, Reason):
            self._end(entry, not_provided(entry, permit, read_at), now)
            return entry.state is State.DONE
        if self._judge.may_send(entry, permit):
            self._requeue(entry, now)
        else:
            self._look_up_later(entry, None, now)
        return False

    def _requeue(self, entry: Entry, now: int) -> None:
        """It waits for its turn to be announced anew; if there is no room for intents, a lookup makes some. (Else
        all intents might stay live for entries that wait for one.)"""
        if entry.maybe_received and self._live.is_full:
            self._look_up_later(entry, None, now)
            return
        if not entry.maybe_received:
            entry.release()
        self._order.requeue(entry)

    def _send(self, batch: Batch) -> None:
        announcement = batch.announcement
        for entry in batch.entries:
            entry.state = State.SENDING
            entry.sends += 1
        self._in_flight[announcement.batch_id] = batch
        self._commands.append(facts.Send(announcement.batch_id, batch.outgoing(), announcement.expires_at))

    # --- (f) what GeNiE said ------------------------------------------------------------------------------

    def _on_answered(self, fact: facts.Answered, now: int) -> None:
        batch = self._in_flight.pop(fact.batch_id)
        outcome = classify(fact.answer, batch.sent())
        if outcome.stop is not None:
            self._stopped_until = now + self._limits.stop_retry_ms
            self._commands.append(facts.Alert(outcome.stop))
        again = []
        for entry, said in zip(batch.entries, outcome.entries, strict=True):
            fate = self._fates.answered(entry, said, batch, outcome, now)
            if fate is None:
                again.append(entry)
            elif isinstance(fate, Lookup):
                self._look_up_later(entry, None, now)
            else:
                self._end(entry, fate, now)
        if again:
            self._retry(again, outcome, now)

    def _retry(self, entries: list[Entry], outcome: BatchOutcome, now: int) -> None:
        """They wait together, so that they ride together again."""
        attempt = 1 if outcome.bisect else max(entry.unknowns + entry.refusals for entry in entries)
        budget = 0 if outcome.bisect else self._rules.retry_delay()  # GeNiE copes with a batch that it refuses whole
        due_at = now + self._rules.waits(attempt, outcome.retry_after_ms) + budget
        for entry in entries:
            self._waiting.add(entry, State.RETRYING, due_at)

    def _look_up_later(self, entry: Entry, ending: Ending | None, now: int) -> None:
        """Ask once GeNiE can no longer accept it; `ending` is what holds if it was not received."""
        entry.ending = ending
        entry.unknown_since = entry.unknown_since or now
        self._waiting.add(entry, State.LOOKUP_WAIT, max(now, entry.last_expires + self._limits.skew_ms + 1))

    def _on_looked_up(self, fact: facts.LookedUp, now: int) -> None:
        reply = fact.reply
        told = {result.idempotency_key: result for result in reply.results} if reply else {}
        as_of = reply.as_of if reply else 0
        open_still = []
        for entry in self._lookups.take(fact.lookup_id):
            found = self._fates.looked_up(entry, told.get(entry.record.idempotency_key), as_of, now)
            if found is Lookup.OPEN:
                open_still.append(entry)
            elif isinstance(found, Ending):
                self._done(entry, found)
            elif entry.ending is not None:
                self._done(entry, entry.ending)
            else:
                self._requeue(entry, now)
        if open_still:
            due_at = now + self._rules.waits(max(entry.asks for entry in open_still), None)
            for entry in open_still:
                self._waiting.add(entry, State.LOOKUP_WAIT, due_at)

    def _end(self, entry: Entry, ending: Ending, now: int) -> None:
        """End it so, unless an earlier attempt may have been received: then look it up first."""
        if entry.maybe_received and not is_sure(ending):
            self._look_up_later(entry, ending, now)
        else:
            self._done(entry, ending)

    def _done(self, entry: Entry, ending: Ending) -> None:
        entry.state = State.DONE
        entry.ending = ending
        self._settling.finish(entry)
        if entry.record.event is not None:
            self._order.leave(entry)

    # --- time and (k) closing -----------------------------------------------------------------------------

    def _take_due(self, now: int) -> None:
        for entry in self._waiting.take_due(now):
            if entry.state is State.RETRYING:
                self._requeue(entry, now)
            else:
                self._order.unbar(entry.record.offset)  # too late for GeNiE to accept it
                self._lookups.add(entry)
        if self._stopped_until and now >= self._stopped_until:
            self._stopped_until = 0

    def _on_tick(self, fact: facts.Tick, now: int) -> None:
        self._fates.taken_at = max(self._fates.taken_at, fact.genie_ok_at)

    def _on_closing(self, fact: facts.Closing, now: int) -> None:
        self._closing = fact.deadline

    def _finish_closing(self, now: int) -> None:
        if self._closing is None or self._cycle.is_open or self._settling.is_due:
            return
        if not (self._in_flight or self._rounds) or now >= self._closing:
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
