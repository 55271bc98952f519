"""Looks at the running parts every second, and tells Prometheus, the log and /status what it sees.

Knows every part's numbers and what is worth a line in the log. Must not know how parts are wired, and changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from gateway.core.events import is_uuid
from gateway.genie.client import GenieClient
from gateway.genie.limiter import Limiter
from gateway.kafka.cluster import LATEST, NO_OFFSET, TopicMissingError, list_offsets
from gateway.kafka.codec import Codec
from gateway.kafka.connection import KafkaUnavailableError
from gateway.kafka.consent_view import ConsentView
from gateway.kafka.lane_driver import LaneDriver
from gateway.kafka.membership import Membership
from gateway.kafka.source import Source
from gateway.kafka.surroundings import Heard, Surroundings
from gateway.observe.clock import ClockWatch
from gateway.observe.logs import get_logger
from gateway.observe.metrics import OBJECTIVE_S, Metrics

LOOK_EVERY_S = 1.0
LAG_EVERY_S = 5.0
OVERDUE_MS = OBJECTIVE_S * 1000
NOT_A_HOLD = "unreadable"  # in the place of a hold's id: a control record that can't be read may have any key

log = get_logger()


class ClockSetError(Exception):
    """The wall clock was set by more than the skew: what waits for a time would wait for the wrong one."""

    def __init__(self, by_ms: int) -> None:
        super().__init__(
            f"the clock of this machine was set by {by_ms / 1000:+.1f} s (or it slept); started again, the gateway "
            "takes the new time for all it does. Check the time synchronisation."
        )


@dataclass(frozen=True, slots=True)
class Parts:
    """What is looked at."""

    client: AIOKafkaClient
    codec: Codec
    view: ConsentView
    slots: Limiter
    partner: GenieClient
    heard: Heard
    source: Source
    drivers: Callable[[], Sequence[LaneDriver]]


class Lookout:
    """What was last seen, for whoever asks.

    A process to which Kafka says nothing for longer than its session is not ready: others may have its lanes, so it
    can't claim that they work. Nothing is restarted or sent elsewhere for that; but a rollout stops at the first
    process that loses Kafka, and a person sees which do. GeNiE's silence is no such reason: the lanes are ours still.
    """

    def __init__(self, metrics: Metrics, skew_ms: int) -> None:
        self.lanes: Mapping[str, Mapping[str, object]] = {}
        self.genie: Mapping[str, object] = {}
        self.consents: Mapping[str, object] = {}
        self.member_id = ""
        self.kafka_silence: float | None = None
        self.not_working: tuple[str, ...] = ("no lanes yet",)  # why not every lane works
        self._metrics = metrics
        self._skew_ms = skew_ms
        self._clock = ClockWatch()
        self._held_back = False
        self._is_far = False
        self._kafka_is_silent = False
        self._behind: dict[TopicPartition, tuple[int, int]] = {}  # lane -> a watermark below its end, and since when

    async def watch(self, parts: Parts) -> None:
        """Look for ever; raises ClockSetError."""
        while True:
            if abs(set_by := self._clock.look()) > self._skew_ms:
                raise ClockSetError(set_by)
            self._look_at_genie(parts.slots, parts.partner, parts.heard)
            self._look_at_consents(parts.view, parts.codec)
            self._look_at_kafka(parts.source.membership)
            self._look_at_lanes(parts.drivers(), assigned=parts.source.assigned)
            await asyncio.sleep(LOOK_EVERY_S)

    async def measure_lag(self, parts: Parts) -> None:
        """Asked of the brokers: what a paused consumer knows of the end of a log is old just when it matters."""
        while True:
            await asyncio.sleep(LAG_EVERY_S)
            lanes = {TopicPartition(d.name.topic, d.name.partition): d for d in parts.drivers() if d.is_open}
            late_at = Surroundings.now() - OVERDUE_MS
            late = [lane for lane, driver in lanes.items() if self._unsettled_since(lane, driver.view()) < late_at]
            try:
                ends = await list_offsets(parts.client, dict.fromkeys(lanes, LATEST)) if lanes else {}
                in_time = await list_offsets(parts.client, dict.fromkeys(late, late_at)) if late else {}
            except (KafkaUnavailableError, TopicMissingError):
                continue  # the last value stays; that Kafka is away shows in its silence
            for lane, end in ends.items():
                first_in_time = in_time.get(lane, 0)
                self._show_lag(lane, lanes[lane].view(), end, end if first_in_time == NO_OFFSET else first_in_time)

    def _show_lag(self, lane: TopicPartition, view: Mapping[str, Any], end: int, first_in_time: int) -> None:
        """`first_in_time`: the first offset that is not late yet."""
        if (watermark := view.get("watermark")) is None:  # it was closed meanwhile
            return
        lag, position = max(0, end - watermark), view["position"]
        if not lag:
            self._behind.pop(lane, None)
        elif self._behind.get(lane, (None,))[0] != watermark:
            self._behind[lane] = (watermark, Surroundings.now())
        # Between watermark and position some are settled, nobody knows where: no more are late than are unsettled.
        overdue = min(first_in_time - watermark, view["unsettled"] + max(0, first_in_time - position))
        self._metrics.lag(lane.topic, lane.partition, lag, max(0, overdue))

    def _unsettled_since(self, lane: TopicPartition, view: Mapping[str, Any]) -> int:
        """When the first record that is not settled was appended, ms; now if there is none. Of a record that was not
        taken it is known since when it is waited for."""
        now = Surroundings.now()
        if isinstance(oldest_at := view.get("oldest_at"), int):
            return min(oldest_at, now)
        watermark, since = self._behind.get(lane, (None, now))
        return since if watermark is not None and watermark == view.get("watermark") else now

    def _look_at_genie(self, slots: Limiter, partner: GenieClient, heard: Heard) -> None:
        if slots.open is not self._held_back:
            self._held_back = slots.open
            if self._held_back:
                log.warning("GeNiE fails, requests are held back", code=heard.trouble)
            else:
                log.info("GeNiE answers again")
        difference_ms = partner.clock_difference_ms
        if (abs(difference_ms) > self._skew_ms) is not self._is_far:
            self._is_far = not self._is_far
            if self._is_far:
                log.error("clock is far from GeNiE's, nothing it says is believed", seconds=difference_ms / 1000)
            else:
                log.info("clock agrees with GeNiE's again")
        self.genie = {
            "breaker_open": slots.open,
            "slots": slots.limit,
            "slots_in_use": slots.in_use,
            "slots_waited_for": slots.waiting,
            "retry_wait_seconds": round(slots.retries.wait_s, 3),
            "clock_difference_ms": difference_ms,
            "last": heard.last,
            "last_at": heard.last_at or None,
            "ok_at": heard.ok_at or None,
            "trouble": heard.trouble,
        }
        self._metrics.genie_clock(difference_ms)
        self._metrics.limiter(slots.limit, slots.in_use, slots.waiting, slots.open)
        self._metrics.retry_budget(slots.retries.per_second, slots.retries.wait_s)

    def _look_at_kafka(self, membership: Membership) -> None:
        self.member_id = membership.member_id
        self.kafka_silence, is_silent = membership.silence(), membership.is_silent
        self._metrics.kafka_silence(self.kafka_silence)
        if is_silent is not self._kafka_is_silent:
            self._kafka_is_silent = is_silent
            if is_silent:
                log.error("Kafka says nothing, others may have our lanes", seconds=self.kafka_silence)
            else:
                log.info("Kafka answers again")

    def _look_at_consents(self, view: ConsentView, codec: Codec) -> None:
        now, subjects, lag = Surroundings.now(), view.subjects(), view.lag()
        on = [hold for hold in view.holds.all if hold.is_on(now)]
        self.consents = {
            "subjects": subjects,
            "lag": lag,
            "whole_at": view.caught_up_at(),
            "holds": [hold.hold_id if is_uuid(hold.hold_id) else NOT_A_HOLD for hold in on],
            "controls": {str(p): {"offset": at, "applied_at": when} for p, (at, when) in view.controls().items()},
        }
        self._metrics.view(subjects, lag, view.caught_up_at(), Counter(hold.scope for hold in on))
        self._metrics.remembered(codec.remembered, view.remembered)
        self._metrics.view_records(asdict(view.counts))

    def _look_at_lanes(self, drivers: Sequence[LaneDriver], *, assigned: bool) -> None:
        self.lanes = {str(driver.name): driver.view() for driver in drivers}
        if self._kafka_is_silent:
            self.not_working = ("Kafka says nothing for longer than kafka.session_timeout_ms",)
        elif not assigned:
            self.not_working = ("the group has not assigned lanes yet",)
        else:
            self.not_working = tuple(f"lane {driver.name} opening" for driver in drivers if not driver.is_open)
        for driver in drivers:
            name, view, now = driver.name, self.lanes[str(driver.name)], Surroundings.now()
            oldest_at, delay = view.get("oldest_at"), view.get("delay")
            self._metrics.lane_view(name.topic, name.partition, view)
            oldest = (now - oldest_at) / 1000 if isinstance(oldest_at, int) else 0.0
            lag = (now - self._unsettled_since(TopicPartition(name.topic, name.partition), view)) / 1000
            self._metrics.waits(name.topic, name.partition, oldest, lag, delay if isinstance(delay, str) else None)
