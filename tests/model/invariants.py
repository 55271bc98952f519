"""The promises, as what must hold whenever something is sent, accepted or committed, and when nothing is left to do;
and the rules that keep them.

Told from the commits, the ledger, GeNiE's books and the consents alone; nothing here asks a lane what it thinks.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.core.consent import Consent, ConsentStatus
from gateway.core.reasons import Outcome, Reason
from tests.core_cases import POLICY
from tests.lane_world.inputs import PARTITION, TOPIC
from tests.ledger_claims import TRUE_REJECTION, untrue
from tests.model.shape import Shape, Trouble
from tests.model.state import Announced, Commit, Entry, Fence, Kafka, Request, Said, State, Stored, Transaction

TOLD = ("accepted", "resolved_by_lookup")


class BrokenPromiseError(AssertionError):
    """A promise is broken; the text says which."""


def check(kept: bool, promise: str) -> None:
    """Break off unless the promise is kept."""
    if not kept:
        raise BrokenPromiseError(promise)


def rule(kept: bool, sentence: str) -> None:
    """Break off unless the rule is kept that keeps a promise: sooner than the promise itself would be broken."""
    check(kept, sentence)


def at_send(
    shape: Shape,
    fence: Fence | None,
    sent: Request,
    announced: Announced,
    purposes: dict[int, tuple[str, ...]],
) -> None:
    """Nothing is sent but behind a fence that was asked for after its intent was committed, as that fence permits. If
    the owner is gone before it can say when it decided, its decision is dated by the announcement: what that was too
    late for must not be sent."""
    rule(fence is not None and fence.must is not None, "a send follows a fence")
    assert fence is not None and fence.must is not None
    intent = announced.intent
    rule(announced.durable, "no durable intent, no send")
    rule(sent.number in fence.durable, "the fence begins after the announcement is committed")
    rule(fence.age == 0, "a decision is fresh")
    rule(sent.age == intent.age, "a batch is signed with the expires that was announced")
    rule(intent.age == 0, "past its expires a batch is announced again")
    view = shape.views[max(fence.view, fence.must, announced.since)]
    for entry in sent.entries:
        record = shape.inputs[entry.offset]
        assert record is not None and record.event is not None
        state = view.consents.get(record.event.subject_ref)
        valid = isinstance(state, Consent) and state.status in (ConsentStatus.GIVEN, ConsentStatus.RENEWED)
        check(valid, "nothing leaves without consent that was acknowledged before fence and announcement")
        assert state is not None
        permitted = tuple(sorted(set(POLICY.purpose_codes) - state.opted_out))
        check(purposes[entry.digest] == permitted, "a body carries the purposes that are permitted now")
        rule(entry in intent.entries, "what is sent is what was announced")
        check(not view.holds.parks(record.event.subject_ref, 0), "what is on hold is not sent")
        check(not view.holds.pauses("lease_payment", f"{TOPIC}:{PARTITION}", 0), "a lane on hold sends nothing")


def at_produce(
    shape: Shape, ledger: Iterable[Said], parked: Iterable[tuple[str, bool]], versions: range | None
) -> None:
    """Each parked record is said so, and what a replay resolved is taken back; what is withheld or held was so in a
    version of the view that a fence of this lane has proven fresh."""
    due = set()
    for said in ledger:
        if said.outcome == Outcome.WITHHELD.value or said.reason == Reason.HELD.value:
            rule(versions is not None, "every final decision follows a fence")
            true = any(_is_so(shape, said, version) for version in versions or ())
            check(true, "what is withheld is withheld by what a fence brought")
        if said.outcome == Outcome.PARKED.value:
            due.add((f"{TOPIC}:{PARTITION}:{said.offset}", False))
        elif said.replay_of is not None and said.outcome != Outcome.INVALID.value:
            due.add((said.replay_of, True))
    check(set(parked) == due, "what is parked and resolved is said so")


def _is_so(shape: Shape, said: Said, version: int) -> bool:
    view, record = shape.views[version], shape.inputs[said.offset]
    assert record is not None and record.event is not None
    subject = record.event.subject_ref
    if said.reason == Reason.HELD.value:
        return view.holds.parks(subject, 0)
    return said.reason == Reason.CONSENT_WITHDRAWN.value and view.consents[subject].status is ConsentStatus.WITHDRAWN


def at_commit(
    shape: Shape, kafka: Kafka, transaction: Transaction, books: tuple[Stored, ...], left: tuple[int, ...]
) -> None:
    """What a commit adds to the ledger is true, and said once."""
    there = {said.offset for said in kafka.ledger}
    stored = {each.key: each for each in books}
    for said in transaction.ledger:
        check(said.offset not in there, "exactly one ledger record")
        there.add(said.offset)
        had = stored.get(said.key or "")
        here = had is not None and had.offset == said.offset
        broken = untrue(said.outcome, said.reason, said.transmitted, had and had.status, ours=here)
        check(broken is None, broken or "")
        if said.reason in TOLD:
            check(had is not None and had.first.digest == said.digest, "the ledger names the body that GeNiE has")
        check(not here or said.transmitted != "no", "no provision goes unrecorded")
    rejected = [said for said in (*kafka.ledger, *transaction.ledger) if said.reason == Reason.REJECTED_BY_GENIE.value]
    check(len(rejected) <= _refusals(shape, left), TRUE_REJECTION)


def _refusals(shape: Shape, left: tuple[int, ...]) -> int:
    """How often GeNiE has refused for good: a refusal is a trouble that is spent, and ends one record at most."""
    spent = zip(shape.troubles.items(), left, strict=True)
    return sum(most - rest for (trouble, most), rest in spent if trouble in (Trouble.REJECTED, Trouble.CHOKED))


def at_rest(shape: Shape, kafka: Kafka, books: tuple[Stored, ...]) -> None:
    """After each commit and each acceptance: offset, settled set and ledger agree; all that GeNiE may have is known."""
    committed, ledger = kafka.committed, {said.offset: said for said in kafka.ledger}
    settled = {offset for offset in shape.delivered if offset < committed.offset} | set(committed.settled)
    rule(settled == ledger.keys(), "a commit says exactly what is settled")
    live = {(entry.offset, entry.digest) for intent in committed.live for entry in intent.entries}
    for stored in books:
        if stored.offset is not None and stored.offset not in ledger:
            rule((stored.offset, stored.first.digest) in live, "a live intent names what GeNiE has")
    provided = [shape.records[said.offset][:2] for said in kafka.ledger if said.outcome == Outcome.PROVIDED.value]
    provided += shape.had_before
    check(len(provided) == len(set(provided)), "an event is provided once")


def at_acceptance(shape: Shape, kafka: Kafka, books: tuple[Stored, ...], entry: Entry) -> None:
    """GeNiE takes an entry: it is not recorded otherwise already, and none after it of its subject was taken."""
    record = shape.inputs[entry.offset]
    assert record is not None
    for said in kafka.ledger:
        if said.offset == entry.offset:
            check(said.transmitted != "no", "no provision goes unrecorded")
    for other in books:
        if other.offset is not None and other.offset > entry.offset:
            later = shape.inputs[other.offset]
            assert later is not None
            check(later.subject_ref != record.subject_ref, "a subject's provisions keep their order")


def at_the_end(shape: Shape, state: State, view: dict[str, object]) -> None:
    """Nothing is left to happen: nothing is lost, all that GeNiE has is recorded, and the lane sleeps."""
    kafka = state.kafka
    check(tuple(said.offset for said in kafka.ledger) == shape.delivered, "nothing is lost")
    check(kafka.committed == Commit(len(shape.inputs)), "in the end all is committed and no intent is live")
    for stored in state.books:
        told = [said for said in kafka.ledger if said.key == stored.key and said.transmitted == "yes"]
        check(bool(told) or stored.offset is None or _given_up(kafka, stored), "no provision goes unrecorded")
    idle = ("unsettled", "ready", "in_flight", "waiting", "looking_up", "live_intents", "window_bytes", "wakes")
    left = [name for name in idle if view[name]]
    check(not left, f"nothing is left in the lane, and it sleeps: {', '.join(left)}")
    check(not any(owner.slots for owner in state.owners if not owner.stale), "all slots are given back")


def _given_up(kafka: Kafka, stored: Stored) -> bool:
    """Its outcome was not known for too long, and the ledger says so."""
    return any(said.offset == stored.offset and said.transmitted == "unknown" for said in kafka.ledger)
