"""What must hold at every commit and at the end, told from Kafka, GeNiE's books and the consents alone."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson

from gateway.core.consent import Consent, ConsentStatus
from gateway.core.facts import FenceReached, Send
from gateway.core.minimise import body_digest
from tests.core_cases import POLICY
from tests.lane_world.inputs import PARTITION, TOPIC
from tests.ledger_claims import TRUE_REJECTION, untrue

if TYPE_CHECKING:
    from tests.lane_world.world import Owner, World


class BrokenPromiseError(AssertionError):
    """A promise was broken; the text is the end of the story."""


def check(kept: bool, promise: str, world: World, **about: Any) -> None:
    """Break off with the story unless the promise is kept."""
    if not kept:
        told = " ".join(f"{name}={value}" for name, value in about.items())
        raise BrokenPromiseError("\n".join([*world.story[-80:], f"seed {world.seed}: broken: {promise} ({told})"]))


def at_send(world: World, owner: Owner, send: Send, fence: FenceReached | None, as_of: int) -> None:
    """Nothing is sent but behind a fence that began after its intent was committed, as that fence permits."""
    check(fence is not None, "a send follows a fence", world, batch=send.batch_id)
    assert fence is not None
    intent = next((i for i in world.kafka.intents.values() if i["batch_id"] == send.batch_id), None)
    check(intent is not None, "a send has its committed intent", world, batch=send.batch_id)
    assert intent is not None
    check(owner.fence_began > world.announced_in[send.batch_id], "the fence begins after the announcement", world)
    check(owner.now() - fence.read_at <= world.shape.limits.decision_age_ms, "a decision is fresh", world)
    check(owner.now() < send.expires_at, "past its expires a batch is announced again", world)
    check(send.expires_at == intent["expires_at"], "the announced expires is signed", world)
    named = {each["idempotency_key"]: each for each in intent["entries"]}
    held = world.holds.at(as_of)
    for entry in send.entries:
        record = world.by_key[entry.idempotency_key].record
        assert record.event is not None
        state = world.consents.at(record.event.subject_ref, as_of)
        body = orjson.loads(entry.body)
        valid = isinstance(state, Consent) and state.status in (ConsentStatus.GIVEN, ConsentStatus.RENEWED)
        check(valid, "nothing leaves without consent", world, key=entry.idempotency_key)
        assert isinstance(state, Consent)
        purposes = sorted(set(POLICY.purpose_codes) - state.opted_out)
        check(body["permitted_purposes"] == purposes, "a body carries the purposes permitted now", world)
        check(entry.idempotency_key in named, "an intent names what is sent", world, key=entry.idempotency_key)
        check(named[entry.idempotency_key]["body_digest"] == body_digest(entry.body), "sent as announced", world)
        check(not held.parks(record.event.subject_ref, owner.now()), "a subject on hold waits", world)
    check(not held.pauses("lease_payment", "lease.payments:0", owner.now()), "a lane on hold waits", world)


def at_commit(world: World) -> None:
    """Offset, settled set and ledger say the same, and all that GeNiE may have is in the ledger or in a live intent."""
    kafka, metadata = world.kafka, world.kafka.metadata
    said = {o for o, slot in enumerate(world.partition[: kafka.offset]) if slot is not None} | set(metadata.settled)
    check(
        said == kafka.ledger.keys(), "the commit says what is settled", world, differ=sorted(said ^ kafka.ledger.keys())
    )
    twice = [offset for offset, records in kafka.ledger.items() if len(records) != 1]
    check(not twice, "exactly one ledger record", world, twice=twice)
    check(len(metadata.intents) <= world.shape.limits.live_intents, "live intents are bounded", world)
    live = {(each["offset"], each["body_digest"]) for intent in kafka.live_intents() for each in intent["entries"]}
    for stored in world.genie.stored.values():
        if stored.offset is None or stored.offset in kafka.ledger:
            continue
        named = (stored.offset, stored.first.body_digest) in live
        check(named, "a live intent names what GeNiE has", world, offset=stored.offset)


def at_the_end(world: World, owner: Owner) -> None:
    """Nothing lost, nothing twice, nothing unrecorded, all in order, all slots back."""
    delivered = {offset for offset, slot in enumerate(world.partition) if slot is not None}
    ledger = world.kafka.ledger
    check(
        ledger.keys() == delivered,
        "nothing is lost",
        world,
        lost=sorted(delivered - ledger.keys()),
        lane=owner.lane.view(),
    )
    provided = Counter(world.provided_before)
    provided.update(r["idempotency_key"] for r in world.kafka.records() if r["outcome"] == "PROVIDED")
    check(max(provided.values(), default=0) <= 1, "an event is provided once", world, provided=provided.most_common(2))
    check(not world.genie.confused, "a key keeps its body", world, keys=world.genie.confused)
    _recorded(world)
    _true(world)
    _in_order(world)
    _parked(world)
    check(owner.slots.free == world.shape.slots, "all slots are back", world, free=owner.slots.free)
    view = owner.lane.view()
    idle = not any(
        view[what]
        for what in ("unsettled", "ready", "in_flight", "waiting", "looking_up", "live_intents", "window_bytes")
    )
    check(idle, "nothing is left in the lane", world, view=view)
    check(owner.lane.wake_at(owner.now()) is None, "an idle lane sleeps", world, at=owner.lane.wake_at(owner.now()))


def _recorded(world: World) -> None:
    for key, stored in world.genie.stored.items():
        if stored.offset is None:
            continue
        records = [r for r in world.kafka.records() if r["idempotency_key"] == key]
        told = any(r["transmitted"] == "yes" for r in records)
        check(told, "no provision goes unrecorded", world, key=key, records=[r["reason"] for r in records])
        for record in records:
            if record["reason"] in ("accepted", "resolved_by_lookup"):
                same = record["body_digest"] == stored.first.body_digest
                check(same, "the ledger names the body that GeNiE has", world, key=key)


def _true(world: World) -> None:
    """What the ledger says of GeNiE's books is so."""
    for record in world.kafka.records():
        key, reason, offset = record["idempotency_key"], record["reason"], record["input"]["offset"]
        had = world.genie.stored.get(key)
        status = had and ("superseded" if had.superseded else "accepted")
        ours = had is not None and had.offset == offset
        broken = untrue(record["outcome"], reason, record["transmitted"], status, ours=ours)
        check(broken is None, broken or "", world, offset=offset, key=key, reason=reason)
        if reason == "rejected_by_genie":
            check(key in world.genie.refused, TRUE_REJECTION, world, offset=offset, key=key)


def _in_order(world: World) -> None:
    last: dict[str, int] = {}
    for key, stored in sorted(world.genie.stored.items(), key=lambda item: item[1].number):
        if stored.offset is None:
            continue
        subject = world.subject(key)
        check(
            last.get(subject, -1) < stored.offset,
            "a subject's provisions keep their order",
            world,
            offset=stored.offset,
        )
        last[subject] = stored.offset


def _parked(world: World) -> None:
    """Each parked record by its position, and a tombstone for what a replay resolved."""
    said = Counter((parked.key, parked.record is None) for parked in world.kafka.parked)
    due: Counter[tuple[str, bool]] = Counter()
    for record in world.kafka.records():
        replay = record["replay_of"]
        if record["outcome"] == "PARKED":
            due[f"{TOPIC}:{PARTITION}:{record['input']['offset']}", False] += 1
        elif replay is not None and record["outcome"] != "INVALID":
            due[f"{replay['topic']}:{replay['partition']}:{replay['offset']}", True] += 1
    check(said == due, "what is parked and resolved is said so", world, differ=(said - due, due - said))
