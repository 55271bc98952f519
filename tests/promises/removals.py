"""The steps that keep the promises, each taken out of the gateway by one function: its promise's test must then fail.

Patches for the gateway's own process; see launch.py.
"""

import dataclasses
import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from gateway import memory
from gateway.core import decide, fates, lane, outcome, records
from gateway.core.decide import Permit
from gateway.core.entry import Entry, State
from gateway.core.metadata import CommitMetadata
from gateway.core.order import SubjectOrder
from gateway.core.policy import Policy
from gateway.core.window import Window
from gateway.kafka import intake
from gateway.kafka.codec import Codec, Undecodable
from gateway.kafka.fence import Fence, FenceMark
from gateway.kafka.transactions import LaneProducer, Outgoing
from gateway.observe import logs
from tests.promises.patching import Named, replace, replace_everywhere

NAMED = Named()
NO_BOUND = 1 << 40

# --- 1: nothing is lost -------------------------------------------------------------------------------------


@NAMED
def watermark_at_the_position() -> None:
    """The offset that is committed passes records that are not settled."""
    replace(Window, "watermark", property(lambda self: self.position))


# --- 2: nothing leaves without valid consent ----------------------------------------------------------------


@NAMED
def no_fence() -> None:
    """The final decision takes the local view as it is."""

    async def reach(self: Fence) -> FenceMark:
        return FenceMark(time.time_ns() // 1_000_000)

    replace(Fence, "reach", reach)


@NAMED
def retry_on_the_old_decision() -> None:
    """What was permitted once stays permitted."""
    plain, permits = decide.decide, {}

    def decide_once(event: Any, *arguments: Any, **times: Any) -> Any:
        if event.event_id not in permits:
            decision = plain(event, *arguments, **times)
            if not isinstance(decision, Permit):
                return decision
            permits[event.event_id] = decision
        return permits[event.event_id]

    replace_everywhere(plain, decide_once)


# --- 3: no provision goes unrecorded ------------------------------------------------------------------------


@NAMED
def no_live_intents() -> None:
    """The commit does not say which intents may have been sent."""
    plain = CommitMetadata.encode
    replace(CommitMetadata, "encode", lambda self, offset: plain(dataclasses.replace(self, intents=()), offset))


@NAMED
def withhold_without_asking() -> None:
    """A record that may have been received is withheld at once, without wait and lookup."""

    replace_everywhere(fates.is_sure, lambda ending: True)


# --- 4: exactly one ledger record ---------------------------------------------------------------------------


@NAMED
def ledger_outside_the_transaction() -> None:
    """Ledger records are written beside the transaction that commits their offset."""

    async def begin_and_produce(self: LaneProducer, outgoing: Sequence[Outgoing]) -> Any:
        beside = [record for record in outgoing if record.topic.endswith("genie.provision.ledger")]
        if beside:
            async with AIOKafkaProducer(**self._connection.kwargs()) as producer:
                for record in beside:
                    await producer.send_and_wait(record.topic, key=record.key, value=record.value, partition=0)
        return await plain(self, [record for record in outgoing if record not in beside])

    plain = replace(LaneProducer, "begin_and_produce", begin_and_produce)


@NAMED
def no_settled_set() -> None:
    """The commit does not say what is settled beyond its offset."""
    replace(Window, "settled_beyond", lambda self: [])


# --- 5: the order of a subject ------------------------------------------------------------------------------


class _AnyOrder(SubjectOrder):
    """A line for each entry."""

    def join(self, entry: Entry) -> None:
        self._lines[entry.record.offset] = deque([entry])
        if entry.state is State.QUEUED:
            self._may_start(entry)

    def leave(self, entry: Entry) -> None:
        del self._lines[entry.record.offset]

    def requeue(self, entry: Entry) -> None:
        entry.state = State.QUEUED
        self._may_start(entry)

    def line(self, head: Entry) -> Iterator[Entry]:
        return iter((head,))


@NAMED
def any_order() -> None:
    """A subject's entries do not wait for each other."""
    replace(lane, "SubjectOrder", _AnyOrder)


# --- 6: only allow-listed items leave -----------------------------------------------------------------------


@NAMED
def unregistered_inputs() -> None:
    """Every input of a score passes."""
    replace(Policy, "registered_inputs", lambda self, record: record["inputs"])


@NAMED
def library_logs() -> None:
    """Libraries log what they want, as they want."""

    def configure(level: str) -> None:
        logging.basicConfig(level=logging.DEBUG)

    replace(logs, "configure", configure)


@NAMED
def unchecked_keys() -> None:
    """A record's key is copied although it is no subject_ref."""

    def failed(identity: Any, raw: Any, reason: Any) -> Any:
        return dataclasses.replace(plain_failed(identity, raw, reason), subject_ref=(raw.key or b"").decode())

    def provision_record(origin: Any, entry: Entry, *arguments: Any) -> Any:
        return {**plain_record(origin, entry, *arguments), "subject_ref": entry.record.subject_ref}

    plain_failed = replace(intake, "failed", failed)
    plain_record = replace(records, "provision_record", provision_record)


# --- 7: memory stays bounded --------------------------------------------------------------------------------


@NAMED
def no_byte_bounds() -> None:
    """Window and feed are bounded in records alone."""
    replace(memory, "share", lambda *_: memory.Share(window=NO_BOUND, feed=NO_BOUND))


# --- 8: poison never blocks ---------------------------------------------------------------------------------


@NAMED
def poison_raises() -> None:
    """A value that can't be decoded is an exception."""

    def decode(self: Codec, topic: str, value: bytes | None) -> Any:
        decoded = plain(self, topic, value)
        if isinstance(decoded, Undecodable):
            raise ValueError("undecodable")
        return decoded

    plain = replace(Codec, "decode", decode)


@NAMED
def no_bisection() -> None:
    """A batch that GeNiE refuses is sent again as it was."""
    plain = outcome.classify

    def classify(answer: Any, sent: Any) -> Any:
        return dataclasses.replace(plain(answer, sent), bisect=False)

    replace_everywhere(plain, classify)
