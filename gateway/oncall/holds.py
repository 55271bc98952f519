"""Holds: what the controls say of each, how one is set and released, and where it is in force.

Reads the controls by the very function by which the gateway does, so that what is listed is what holds. Must not know
what a hold does to a lane.
"""

# aiokafka's producer is untyped:
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiokafka.structs import TopicPartition

from gateway.core.events import EventType, check_ref, is_uuid
from gateway.core.holds import HoldScope
from gateway.kafka.cluster import TopicMissingError, describe
from gateway.kafka.connection import KAFKA_CALL_TIMEOUT_S, within
from gateway.kafka.scan import scan
from gateway.kafka.view_reader import Control, read_control
from gateway.oncall import times
from gateway.oncall.audit import Deed, Operator, audited
from gateway.oncall.desk import Desk
from gateway.oncall.processes import Asker, Fleet, Process, Status

POLL_S = 0.25
_LANE = re.compile(r"[a-z0-9._-]{1,249}:[0-9]{1,6}", re.ASCII | re.IGNORECASE).fullmatch
MIN_TYPED = 4  # letters of an id that may stand for it


class HoldError(Exception):
    """A hold that can't be set or released; the text says why, and what to do."""


class UnfitError(HoldError):
    """What was typed is no hold that could hold anything."""


class State(StrEnum):
    """What a hold does now."""

    HELD = "held"
    EXPIRED = "expired"
    RELEASED = "released"
    UNREADABLE = "unreadable"  # it holds everything


@dataclass(frozen=True, slots=True)
class Listed:
    """What the controls say last of one hold, and where."""

    control: Control
    key: bytes
    partition: int
    offset: int
    written_at: int  # ms, by Kafka
    set_by: Mapping[str, Any] | None = None  # of a hold that is released: the record it was set by, if still there

    @property
    def hold_id(self) -> str:
        """What the gateway calls it."""
        return self.control.hold_id

    @property
    def name(self) -> str:
        """What people call it: its id, or where it lies if that is none of ours, for then it may be anything."""
        return self.hold_id if is_uuid(self.hold_id) else f"{self.partition}:{self.offset}"

    @property
    def record(self) -> Mapping[str, Any]:
        """Its record; empty if it can't be read."""
        return self.control.record or {}

    def state(self, now: int) -> State:
        """Whether it holds anything at this time (ms)."""
        if not self.control.readable:
            return State.UNREADABLE
        if self.control.hold is None:
            return State.RELEASED
        return State.HELD if self.control.hold.is_on(now) else State.EXPIRED

    def holds(self, now: int) -> bool:
        """Whether it does."""
        return self.state(now) in (State.HELD, State.UNREADABLE)


@dataclass(frozen=True, slots=True)
class Written:
    """A control record that Kafka has acknowledged."""

    hold_id: str
    partition: int
    offset: int
    acknowledged_at: int  # ms, by our clock


@dataclass(frozen=True, slots=True)
class Effect:
    """Whether a process shows that it has applied a control record. `applied_at` is by its own clock, ms."""

    process: Process
    applied: bool
    applied_at: int | None
    in_flight: int  # entries on their way to GeNiE when it was last asked
    trouble: str = ""


async def read_all(desk: Desk) -> list[Listed]:
    """The last word on each hold, by the time it was written. Raises KafkaUnavailableError or TopicMissingError."""
    last: dict[str, Listed] = {}

    async def take(raws: Sequence[Any]) -> None:
        await desk.codec.prepare([raw.value for raw in raws])
        for raw in raws:
            control = read_control(desk.codec, raw)
            before = last.pop(control.hold_id, None)
            if raw.value is not None:
                place = (raw.partition, raw.offset, raw.timestamp)
                last[control.hold_id] = Listed(control, raw.key or b"", *place, _set_by(control, before))

    await scan(desk.connection, desk.client, desk.names.controls, take, desk.tell)
    return sorted(last.values(), key=lambda listed: (listed.written_at, listed.hold_id))


def _set_by(control: Control, before: Listed | None) -> Mapping[str, Any] | None:
    """Released twice, a hold was still set once."""
    if before is None or not control.readable or control.hold is not None:
        return None
    return before.control.record if before.control.hold is not None else before.set_by


def expiry(text: str, now: int) -> int:
    """ms of `2h` from now on, or of a time with its zone. Raises UnfitError unless that is in the future."""
    try:
        moment = times.parse_time(text, now)
    except ValueError:
        moment = 0
    if text[-1:] in "smhd":  # read as so long ago
        moment = 2 * now - moment
    if moment <= now:
        raise UnfitError(f"--expires {text}: give 90m, 2h or 3d from now on, or a later time, with its zone")
    return moment


def named(holds: Sequence[Listed], typed: str) -> Listed:
    """The hold of this name, or of the only name that begins so. Raises HoldError."""
    exact = [hold for hold in holds if hold.name == typed]
    likely = exact or [hold for hold in holds if hold.name.startswith(typed) and len(typed) >= MIN_TYPED]
    if not likely:
        raise HoldError(f"no hold {typed} was ever set here: `gateway hold list --all` shows those that were")
    if len(likely) > 1:
        raise HoldError(f"{len(likely)} holds have an id that begins with {typed}: give more of it")
    return likely[0]


def value_shown(record: Mapping[str, Any]) -> str | None:
    """What a hold holds, unless it is nothing that a hold of ours could: that may be anything."""
    value, scope = record.get("value"), record.get("scope")
    fits = {
        HoldScope.EVENT_TYPE.value: value in {kind.code for kind in EventType},
        HoldScope.SUBJECT.value: isinstance(value, str) and check_ref(value) is not None,
        HoldScope.INPUT_PARTITION.value: isinstance(value, str) and _LANE(value) is not None,
    }
    return value if value is None or fits.get(str(scope), False) else "(nothing that there is)"


async def check_value(desk: Desk, scope: HoldScope, value: str | None) -> None:
    """Raise UnfitError unless there can be such a hold: a typing error would hold nothing, in silence."""
    if scope is HoldScope.ALL:
        if value is not None:
            raise UnfitError("a hold on all takes no value")
        return
    if value is None:
        raise UnfitError(f"say what to hold: gateway hold add {scope.value} VALUE")
    if scope is HoldScope.EVENT_TYPE and value not in (known := [kind.code for kind in EventType]):
        raise UnfitError(f"no event type {value}: give {' or '.join(known)}")
    if scope is HoldScope.SUBJECT and check_ref(value) is None:
        raise UnfitError("that is no subject_ref: 6 to 64 letters, digits, - and _, at least one letter")
    if scope is HoldScope.INPUT_PARTITION:
        await _check_lane(desk, value)


async def _check_lane(desk: Desk, value: str) -> None:
    topic, _, number = value.rpartition(":")
    lanes = (desk.names.payments, desk.names.scores, desk.names.replays)
    if topic not in lanes or not number.isdecimal():
        raise UnfitError(f"no lane {value}: give topic:partition, with one of the topics {', '.join(lanes)}")
    cluster = await describe(desk.client, [topic])
    if topic not in cluster.topics:
        raise TopicMissingError([topic])
    if TopicPartition(topic, int(number)) not in cluster.topics[topic].partitions or value != f"{topic}:{int(number)}":
        raise UnfitError(f"no lane {value}: {topic} has partitions 0 to {len(cluster.topics[topic].partitions) - 1}")


async def add(
    desk: Desk, operator: Operator, scope: HoldScope, value: str | None, expires_at: int | None
) -> tuple[Written, Mapping[str, Any]]:
    """Set a hold, audited first; where it lies, and its record. Raises HoldError or KafkaUnavailableError."""
    await check_value(desk, scope, value)
    hold_id = str(uuid.uuid4())
    record = {"hold_id": hold_id, "scope": scope.value, "value": value, "expires_at": expires_at}
    record |= _words(operator, "held")
    subject = value if scope is HoldScope.SUBJECT else None
    await audited(desk, operator, Deed("hold add", subject_ref=subject, hold_id=hold_id))
    value_bytes = await desk.encoded(desk.names.controls, record)
    return await _write(desk, hold_id, hold_id.encode(), value_bytes, None), record


async def release(desk: Desk, operator: Operator, hold: Listed) -> Written:
    """End a hold, audited first. Its partition is that of the hold: elsewhere nobody could tell which came last."""
    subject = hold.record.get("value") if hold.record.get("scope") == HoldScope.SUBJECT.value else None
    place = None if is_uuid(hold.hold_id) else (desk.names.controls, hold.partition, hold.offset)
    named_id = hold.hold_id if place is None else None
    await audited(desk, operator, Deed("hold release", subject_ref=subject, hold_id=named_id, input=place))
    value = None
    if hold.control.readable:
        value = await desk.encoded(desk.names.controls, {**hold.record, **_words(operator, "released")})
    return await _write(desk, hold.name, hold.key, value, hold.partition)


def _words(operator: Operator, state: str) -> dict[str, Any]:
    return {
        "state": state,
        "operator": operator.name,
        "reason": operator.reason,
        "ticket": operator.ticket,
        "at": times.now_ms(),
    }


async def _write(desk: Desk, hold_id: str, key: bytes, value: bytes | None, partition: int | None) -> Written:
    topic = desk.names.controls
    async with desk.producer() as producer:
        sending = producer.send_and_wait(topic, value, key, partition=partition)
        placed = await within(KAFKA_CALL_TIMEOUT_S, f"writing to {topic}", sending)
    return Written(hold_id, placed.partition, placed.offset, times.now_ms())


# --- where it is in force ---------------------------------------------------------------------------------


def has_applied(status: Status, partition: int, offset: int) -> bool | None:
    """Whether a process has applied what lies there; None if it does not say."""
    applied = status.consents.controls.get(str(partition))
    return None if applied is None else applied.offset > offset


async def effects(asker: Asker, fleet: Fleet, written: Written, wait_s: float) -> list[Effect]:
    """Ask every process that answered until it shows that it has applied this, for at most so long."""
    give_up_at = time.monotonic() + wait_s
    found = {process.at: _effect(process, written) for process, _ in fleet.answering}
    while pending := [at for at, effect in found.items() if not effect.applied]:
        if time.monotonic() >= give_up_at:
            break
        await asyncio.sleep(POLL_S)
        for process in await asker.statuses(pending):
            found[process.at] = _effect(process, written)
    return list(found.values())


def _effect(process: Process, written: Written) -> Effect:
    status = process.status
    if status is None:
        return Effect(process, False, None, 0, process.trouble)
    shows = has_applied(status, written.partition, written.offset)
    in_flight = sum(lane.in_flight for lane in status.lanes.values())
    if shows is None:
        return Effect(process, False, None, in_flight, "it does not say how far it has read the controls")
    applied_at = status.consents.controls[str(written.partition)].applied_at if shows else None
    return Effect(process, shows, applied_at, in_flight)
