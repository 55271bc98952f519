"""Finds the defects: settles inputs against the ledger and goes through the receipts once, in order.

Knows contract.md's six counts. Must not know Kafka or files.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right, insort
from collections.abc import Iterable
from typing import NamedTuple

from gateway.sandbox.verifier import body as bodies
from gateway.sandbox.verifier.consent import objection
from gateway.sandbox.verifier.history import Attempt, Entry, Event, History
from gateway.sandbox.verifier.policy import Policy
from gateway.sandbox.verifier.receipts import STORED, TAKEN, Receipt
from gateway.sandbox.verifier.verdict import Defect, Findings, Verdict

DEFAULT_SKEW_MS = 5_000
_AT_GENIE = frozenset({"PROVIDED", "DUPLICATE", "SUPERSEDED"})  # outcomes that say GeNiE has the event


class _Decision(NamedTuple):
    """When a body that GeNiE received may have been decided on."""

    moment: int
    expires_at: int
    attempt: Attempt | None


class Judge:
    """Judges one history. `complete`: every input must be settled, not only those before the last settled one.
    `drift_ms`: how far the gateways' clocks and GeNiE's may be from the brokers', which date consents and holds."""

    def __init__(
        self,
        history: History,
        policy: Policy,
        findings: Findings,
        *,
        complete: bool,
        skew_ms: int = DEFAULT_SKEW_MS,
        drift_ms: int = 0,
    ) -> None:
        self._history = history
        self._policy = policy
        self._findings = findings
        self._complete = complete
        self._skew = skew_ms
        self._drift = drift_ms
        self._stored: dict[int, str] = {}  # number of each key that GeNiE stored -> its first receipt
        self._arrived: set[int] = set()  # rows of attempts that a receipt was matched with
        self._order: dict[tuple[str, str], array[int]] = {}  # (lane, subject) -> offsets received, sorted
        self._pseudonyms: dict[int, int] = {}  # hash of a reference -> hash of its pseudonym, and back
        self._by_event: dict[tuple[str, str], int] | None = None
        self._held = 0

    def verdict(self, receipts: Iterable[Receipt], later: Iterable[Receipt] = ()) -> Verdict:
        """Everything, in one go. `later` receipts only say what GeNiE had taken by when the ledger was read."""
        self._history.own.finish()
        for receipt in receipts:
            self._receipt(receipt)
        self._settled()
        self._provided_twice()
        self._unrecorded()
        self._never_taken(later)
        history, findings = self._history, self._findings
        return Verdict(
            **{defect.value: count for defect, count in findings.counts.items()},
            examples={defect.value: tuple(found) for defect, found in findings.examples.items()},
            produced=history.produced,
            ledger_records=sum(history.outcomes.values()),
            outcomes=dict(history.outcomes),
            reasons=dict(history.reasons),
            partner_received=len(self._stored),
            sent_while_held=self._held,
        )

    # ---- inputs and ledger ----------------------------------------------------------------------------------------

    def _settled(self) -> None:
        """Every input has exactly one terminal record."""
        for partition in self._history.partitions:
            count = len(partition.settled) if self._complete else partition.last_settled + 1
            for index in range(count):
                times = partition.settled[index]
                if times == 1:
                    continue
                where = partition.name(partition.offsets[index])
                if times:
                    self._findings.add(Defect.DUPLICATED, where, f"{times} terminal records")
                else:
                    self._findings.add(Defect.LOST, where, "no terminal record")
        for where, times in self._history.strays.items():
            if times > 1:
                self._findings.add(
                    Defect.DUPLICATED, where, f"{times} terminal records of an input that was not delivered"
                )

    def _provided_twice(self) -> None:
        for number, more in self._history.provided.items():
            key = self._history.key(number)
            self._findings.add(Defect.DUPLICATED, "ledger", f"{more + 1} records say PROVIDED", key)

    def _unrecorded(self) -> None:
        for number, where in self._stored.items():
            entries = self._history.entries(number)
            if any(entry.transmitted for entry in entries) or self._in_flight(number, entries):
                continue
            outcomes = ", ".join(sorted({entry.outcome for entry in entries})) or "none"
            self._findings.add(
                Defect.UNRECORDED,
                where,
                f"no ledger record says transmitted (records: {outcomes})",
                self._history.key(number),
            )

    def _never_taken(self, later: Iterable[Receipt]) -> None:
        """The other way round: what the ledger says GeNiE has, GeNiE took."""
        history = self._history
        taken_later = {history.number(receipt.key) for receipt in later if receipt.status in STORED}
        for number in history.numbers():
            if number in self._stored or number in taken_later:
                continue
            for entry in history.entries(number):
                if entry.outcome in _AT_GENIE:
                    what = f"the ledger says {entry.outcome.lower()}, GeNiE never took it"
                    self._findings.add(Defect.LOST, self._where(entry), what, history.key(number))

    def _where(self, entry: Entry) -> str:
        if entry.input is None:
            return "ledger"
        partition, offset = self._history.place(entry.input)
        return partition.name(offset)

    def _in_flight(self, number: int, entries: list[Entry]) -> bool:
        """While the gateway runs, what it has not settled yet is no defect."""
        if self._complete or entries:
            return False
        inputs = {attempt.input for attempt in self._history.attempts(number, b"")}
        return any(reference is not None and self._unsettled(reference) for reference in inputs)

    def _unsettled(self, reference: int) -> bool:
        partition, offset = self._history.place(reference)
        index = partition.find(offset)
        return index is not None and index > partition.last_settled

    # ---- receipts -------------------------------------------------------------------------------------------------

    def _receipt(self, receipt: Receipt) -> None:
        number = self._history.number(receipt.key)
        attempts = self._history.attempts(number, receipt.digest)
        entries = self._history.entries(number)
        event = self._event(receipt, attempts, entries)
        if event is None:
            self._leak(receipt, "no input record holds this event")
        else:
            self._body(receipt, event)
            self._consent(receipt, event, attempts, entries)
        if receipt.status in STORED and number not in self._stored:
            self._stored[number] = receipt.where
            if event is not None:
                self._in_order(receipt, event, attempts, entries)

    def _event(self, receipt: Receipt, attempts: list[Attempt], entries: list[Entry]) -> Event | None:
        """The input that the body was made of: by its intent, else by the ledger, else by the event's own id."""
        history = self._history
        for reference in (*(a.input for a in attempts if a.same_body), *(e.input for e in entries)):
            if reference is not None and (event := history.event(reference)) is not None:
                return event
        if self._by_event is None:
            self._by_event = {
                (event.kind.name, event.record[event.kind.id]): reference for reference, event in history.events()
            }
        envelope = receipt.body.get("envelope")
        for kind in bodies.KINDS.values():
            event_id = envelope.get(kind.id) if isinstance(envelope, dict) else None
            found = self._by_event.get((kind.name, event_id)) if isinstance(event_id, str) else None
            if found is not None:
                return history.event(found)
        return None

    def _leak(self, receipt: Receipt, what: str) -> None:
        self._findings.add(Defect.LEAKED_FIELDS, receipt.where, what, receipt.key)

    def _body(self, receipt: Receipt, event: Event) -> None:
        """Only allowed fields, with the input's values, and pseudonyms that stand for one reference each."""
        for what in bodies.leaks(receipt.body, event.kind, event.record, self._policy):
            self._leak(receipt, what)
        for field, name in (("subject_ref", "subject_key"), ("contract_ref", "contract_key")):
            reference, pseudonym = event.record.get(field), receipt.body.get(name)
            if reference is None or pseudonym is None:
                continue
            if reference.encode() in receipt.line:
                self._leak(receipt, f"{field} is in it")
            if not self._stands_for(hash((field, reference)), hash((name, str(pseudonym)))):
                self._leak(receipt, f"{name}: stands for another {field}, or differs from the one used before")

    def _stands_for(self, reference: int, pseudonym: int) -> bool:
        known = self._pseudonyms
        return (
            known.setdefault(reference, pseudonym) == pseudonym and known.setdefault(pseudonym, reference) == reference
        )

    def _consent(self, receipt: Receipt, event: Event, attempts: list[Attempt], entries: list[Entry]) -> None:
        """The benefit of the doubt: any attempt that no other receipt was matched with may be the one that arrived."""
        sent = bodies.sent(receipt.body, event.kind, event.record)
        changes = self._history.changes(sent.subject_ref)
        chosen: _Decision | None = None
        why: str | None = None
        for decision in self._decisions(receipt, attempts, entries):
            against = objection(
                sent,
                changes,
                self._policy,
                moment=decision.moment - self._drift,
                received_at=receipt.received_at + self._drift,
                expires_at=decision.expires_at,
                skew=self._skew,
            )
            if chosen is None or against is None:
                chosen, why = decision, against
            if against is None:
                break
        if chosen is None:
            return
        if chosen.attempt is not None:
            self._arrived.add(chosen.attempt.row)
        if receipt.status not in TAKEN:
            return
        if why is not None:
            self._findings.add(Defect.UNCONSENTED, receipt.where, f"{why} ({event.where})", receipt.key)
        self._hold(receipt, event, chosen)

    def _hold(self, receipt: Receipt, event: Event, decision: _Decision) -> None:
        applies = {
            "all": None,
            "event_type": event.kind.name,
            "subject": event.record["subject_ref"],
            "input_partition": event.lane,
        }
        self._held += self._history.holds.cover(
            applies, decision.moment - self._drift, receipt.received_at + self._drift
        )

    def _decisions(self, receipt: Receipt, attempts: list[Attempt], entries: list[Entry]) -> list[_Decision]:
        """The decisions that the receipt may rest on, those that expire first in front."""
        known = {entry.input: entry for entry in entries if entry.transmitted and not entry.by_lookup}
        open_ones = [
            attempt
            for attempt in attempts
            if attempt.same_body
            and attempt.row not in self._arrived
            and attempt.announced_at <= receipt.received_at + self._skew
            and attempt.expires_at >= receipt.received_at - self._skew
        ]
        if open_ones:
            open_ones.sort(key=lambda attempt: attempt.expires_at)
            return [
                _Decision(
                    self._moment(attempt, attempts, known.get(attempt.input), receipt),
                    attempt.expires_at // 1000 * 1000,  # a signature's `expires` has no fraction
                    attempt,
                )
                for attempt in open_ones
            ]
        decided = [e.decided_at for e in known.values() if e.decided_at <= receipt.received_at + self._skew]
        return [_Decision(max(decided, default=receipt.received_at), receipt.received_at, None)]

    def _moment(self, attempt: Attempt, attempts: list[Attempt], entry: Entry | None, receipt: Receipt) -> int:
        """When the attempt was decided on: as the ledger says, if that speaks of this attempt; else not before it."""
        later = (a.announced_at for a in attempts if a.input == attempt.input and a.announced_at > attempt.announced_at)
        until = min((receipt.received_at + self._skew + 1, *later))  # whoever takes over names the last announcement
        if entry is not None and attempt.announced_at <= entry.decided_at < until:
            return entry.decided_at
        return attempt.announced_at

    def _in_order(self, receipt: Receipt, event: Event, attempts: list[Attempt], entries: list[Entry]) -> None:
        """First-time provisions of a subject come in the order of their partition."""
        reference = self._first_time_input(attempts, entries)
        if reference is None:
            return
        partition, offset = self._history.place(reference)
        lane = f"{partition.topic}:{partition.number}"
        received = self._order.setdefault((lane, event.record["subject_ref"]), array("q"))
        overtaken = len(received) - bisect_right(received, offset)
        if overtaken:
            what = f"{partition.name(offset)} came after {overtaken} later of its subject"
            self._findings.add(Defect.OUT_OF_ORDER, receipt.where, what, receipt.key, overtaken)
        insort(received, offset)

    def _first_time_input(self, attempts: list[Attempt], entries: list[Entry]) -> int | None:
        """The input that a first-time provision came from; None for a replay, or where several could be meant: an event
        that its producer sent twice may be superseded by way of a replay of one, and later of the other."""
        recorded = [e for e in entries if e.outcome in {"PROVIDED", "SUPERSEDED"} and e.input is not None]
        if any(e.replay for e in recorded):
            return None
        if recorded:
            return min(e.input for e in recorded if e.input is not None)
        announced = {a.input for a in attempts if a.input is not None and not self._history.is_replay(a.input)}
        return announced.pop() if len(announced) == 1 else None
