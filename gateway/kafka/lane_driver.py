"""Carries out what a lane asks for, and tells it what came of it. It has no protocol branch of its own.

Knows the lane's producer, feed, fence and partner, and the bound of each call. Must not know why a lane asks:
a command becomes one call, the call's end becomes one fact.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from gateway.core import facts
from gateway.core.entry import InputRecord
from gateway.core.lane import Lane, Rules
from gateway.core.metadata import IntentRef
from gateway.core.outcome import Reply
from gateway.kafka.endings import failure_of
from gateway.kafka.fence import FenceFailed
from gateway.kafka.head import Head, look_at_head
from gateway.kafka.lane_counts import LaneCounts
from gateway.kafka.lane_trace import LaneTrace
from gateway.kafka.opening import LaneName, open_lane
from gateway.kafka.outgoing import outgoing
from gateway.kafka.registry import RegistryAway
from gateway.kafka.source import Feed
from gateway.kafka.surroundings import Reader, Surroundings
from gateway.kafka.transactions import Doubtful, Fenced, LaneProducer
from gateway.observe.genie_metrics import answer_kind
from gateway.observe.logs import get_logger

REGISTRY_RETRY_S = 1.0
MIN_WAKE_S = 0.001
OPEN_BOUND_S = 60.0
OPEN_RETRY_S = 0.5
HTTP_OK = 200
CLOSE_BOUND_S = 25.0  # after the drain: the last transaction and the producer's end
LATE_MS = 1_000  # a record that old has its delay looked for: that costs a look through the window
REOPEN_WINDOW_S = 60.0  # one reopening in it is a doubt, a second one a fault

log = get_logger()


class LaneFailedError(Exception):
    """A lane can't keep its promises in this process; the process must end, and the next one goes on."""

    def __init__(self, what: str, group: str, bootstrap: str, remedy: str) -> None:
        super().__init__(
            f"{what} (group {group}, kafka.bootstrap_servers {bootstrap}). {remedy} The next start goes on from what "
            "is committed."
        )


class LaneDriver:
    """Runs one lane from its opening to its closing, through doubts."""

    def __init__(
        self,
        around: Surroundings,
        name: LaneName,
        rules: Rules,
        feed: Feed,
        reader: Reader,
        trace: LaneTrace | None = None,
    ) -> None:
        self.name = name
        self._around = around
        self._rules = rules
        self._feed = feed
        self._reader = reader
        self._trace = trace  # None: nothing is traced, and nothing is done for it
        self._head = Head(frozenset(), 0)
        self._position = 0  # behind what was taken from the feed
        self._awaits_registry = False
        self._lane: Lane | None = None
        self._producer: LaneProducer | None = None
        self._ended: asyncio.Future[facts.Command] | None = None
        self._facts: deque[facts.Fact] = deque()
        self._telling = False
        self._alarm: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots_held = 0
        self._counts = LaneCounts(name.topic, around.metrics)
        self._drain_until: int | None = None
        self._reopened_at = -REOPEN_WINDOW_S
        self._committed_at: int | None = None  # by this process, ms

    @property
    def is_open(self) -> bool:
        """Whether the lane has taken over and works."""
        return self._lane is not None

    def view(self) -> Mapping[str, Any]:
        """What the lane is doing: numbers and codes only."""
        if self._lane is None:
            return {"opening": True}
        view, now = self._lane.view(), self._around.now()
        oldest_at = view.get("oldest_at")
        late = oldest_at is not None and now - oldest_at >= LATE_MS
        return {
            **view,
            **self._feed.view(),
            "window_limit": self._rules.limits.window,
            "window_bytes_limit": self._rules.limits.window_bytes,
            "awaits_registry": self._awaits_registry,
            "committed_at": self._committed_at,
            "delay": self._lane.delay(now) if late else None,
        }

    async def run(self) -> None:
        """Open, work, reopen after a doubt, until closed; raises what ends the process."""
        try:
            while self._drain_until is None:
                end = await self._run_once()
                if isinstance(end, facts.Closed):
                    return
                await self._consider_reopening()
        finally:
            await self._let_go()

    def close(self, drain_ms: int) -> None:
        """Settle what is in flight for at most so long, then end `run`."""
        self._drain_until = self._around.now() + drain_ms
        self._tell(facts.Closing(self._drain_until))

    async def _run_once(self) -> facts.Command:
        around = self._around
        self._producer, opened = await self._open()
        self._ended = asyncio.get_running_loop().create_future()
        self._facts.clear()
        self._head = await look_at_head(around.client, self._feed.partition, opened, self._rules.limits.window)
        self._position = opened.offset
        self._feed.seek(opened.offset)
        now = around.now()
        self._lane = Lane(self._rules, opened, now)
        self._counts = LaneCounts(self.name.topic, around.metrics)
        around.metrics.lane_opened(self.name.topic, self.name.partition)
        log.info("lane open", lane=str(self.name), offset=opened.offset)
        self._obey(self._lane.start(now))
        if self._drain_until is not None:
            self._tell(facts.Closing(self._drain_until))
        self._set_alarm()
        return await self._ended

    async def _open(self) -> tuple[LaneProducer, facts.Opened]:
        """Take over; a connection that broke on the way is no reason to end, for the whole can be done again."""
        around, last = self._around, "Kafka did not answer"
        try:
            async with asyncio.timeout(OPEN_BOUND_S):
                while True:
                    try:
                        return await open_lane(
                            around.connection,
                            around.client,
                            around.codec,
                            self.name,
                            around.topics.intents,
                            around.view.holds,
                            is_new=self._feed.is_new,
                        )
                    except Fenced:  # by a process that takes over at this moment: it is not for us to take it back
                        raise
                    except (Doubtful, RegistryAway) as doubt:
                        last = str(doubt)
                    await asyncio.sleep(OPEN_RETRY_S)
        except TimeoutError:
            what = f"not open within {OPEN_BOUND_S:g} s: {last}"
            raise self._failed(what, "Check that brokers and schema registry are up and reachable.") from None

    async def _consider_reopening(self) -> None:
        """After a doubt: only as a member that the group still knows, and not again and again."""
        await self._let_go()
        now = time.monotonic()
        if now - self._reopened_at < REOPEN_WINDOW_S:
            what = f"a second doubtful commit within {REOPEN_WINDOW_S:g} s"
            raise self._failed(what, "Look at the log for the step that failed, and at the brokers' health and load.")
        self._reopened_at = now
        await self._feed.confirm_membership()

    def _failed(self, what: str, remedy: str) -> LaneFailedError:
        return LaneFailedError(f"lane {self.name}: {what}", self.name.group, self._around.connection.bootstrap, remedy)

    async def _let_go(self) -> None:
        self._feed.stop()
        if self._alarm is not None:
            self._alarm.cancel()
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._trace is not None:
            self._trace.left()
        self._free(self._slots_held)
        lane, self._lane = self._lane, None
        producer, self._producer = self._producer, None
        if lane is not None:
            self._around.metrics.lane_closed(self.name.topic, self.name.partition)
            log.info("lane closed", lane=str(self.name))
        if producer is not None:
            await producer.drop()

    # --- facts to the lane, commands from it --------------------------------------------------------------

    def _tell(self, fact: facts.Fact) -> None:
        """Hand over one fact, and carry out what the lane asks for; facts that arise meanwhile wait their turn."""
        self._facts.append(fact)
        if self._telling:
            return
        self._telling = True
        try:
            while self._facts and self._lane is not None:
                self._obey(self._lane.handle(self._facts.popleft(), self._around.now()))
        except Exception as error:
            self._fail(error)
        finally:
            self._telling = False
        self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        now = self._around.now()
        if self._lane is not None and (wake_at := self._lane.wake_at(now)) is not None:
            delay = max(MIN_WAKE_S, (wake_at - now) / 1000)
            self._alarm = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        self._alarm = None
        self._tell(facts.Tick(self._around.heard.ok_at))

    def _obey(self, commands: Sequence[facts.Command]) -> None:
        for command in commands:
            match command:
                case facts.FreeSlots():
                    self._free(command.count)
                case facts.Alert():
                    self._around.metrics.stopped(command.stop.value)
                    self._around.alert(str(self.name), command)
                case facts.Reopen() | facts.Closed():
                    self._end(command)
                case _:
                    self._start(_CALLS[type(command)](self, command))

    def _start(self, call: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(call)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if (error := failure_of(task)) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)

    def _end(self, how: facts.Command) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(how)

    def _free(self, count: int) -> None:
        self._slots_held -= count
        if count:
            self._around.slots.release(count)

    # --- one call for each command ------------------------------------------------------------------------

    async def _fetch(self, command: facts.FetchMore) -> None:
        wary = self._head.is_wary(self._position)
        taken, self._position = await self._feed.take(1 if wary else command.limit)
        raws, trace = [raw for raw in taken if raw.offset not in self._head.settled], self._trace
        if trace is not None:
            trace.delivered(raws)
        records = await self._read(raws, wary=wary)
        self._counts.read(records)
        if trace is not None:
            trace.decoded(records)
        subjects = {record.event.subject_ref for record in records if record.event is not None}
        self._tell(facts.Fetched(records, self._position, self._around.view.get_many(subjects)))

    async def _read(self, raws: Sequence[Any], *, wary: bool) -> list[InputRecord]:
        """Decoded records; while the registry is away the lane waits, and nothing is parked for it."""
        while True:
            try:
                records = await self._reader.read(raws, wary=wary)
            except RegistryAway:
                if not self._awaits_registry:
                    log.warning("lane waits for the schema registry", lane=str(self.name))
                self._awaits_registry = True
                await asyncio.sleep(REGISTRY_RETRY_S)
            else:
                self._awaits_registry = False
                return records

    async def _acquire(self, command: facts.WantSlots) -> None:
        granted = await self._around.slots.acquire(command.count)
        self._slots_held += granted
        self._tell(facts.SlotsGranted(granted))

    async def _produce(self, command: facts.Produce) -> None:
        producer = self._open_producer()
        try:
            out = outgoing(self._around.topics, str(self.name), command)
            if self._trace is not None:
                out = self._trace.produced(command, out)
            produced = await producer.begin_and_produce(out)
        except Doubtful as doubt:
            self._doubt(doubt)
            return
        self._counts.produced(command)
        intents = produced[len(produced) - len(command.intents) :]
        self._tell(facts.Produced([IntentRef(place.partition, place.offset) for place in intents]))

    async def _commit(self, command: facts.Commit) -> None:
        name, began = self.name, time.perf_counter()
        try:
            await self._open_producer().commit(name.topic, name.partition, command.offset, command.metadata)
        except Doubtful as doubt:
            self._doubt(doubt)
            return
        self._feed.is_new = False  # an offset that is lost from now on is no beginning
        self._committed_at = self._around.now()
        self._counts.committed(time.perf_counter() - began, self._committed_at)
        if self._trace is not None:
            self._trace.settled(self._counts.settling)
        self._tell(facts.Committed())

    def _doubt(self, doubt: Doubtful) -> None:
        log.warning(
            "doubtful commit, the lane opens again", lane=str(self.name), step=doubt.step, code=doubt.doubt.name
        )
        self._around.metrics.doubtful_commit(doubt.step)
        self._tell(facts.CommitDoubtful())

    async def _prove_fresh(self, command: facts.StartFence) -> None:
        began = time.perf_counter()
        try:
            mark = await self._around.fence.reach()
        except FenceFailed:
            self._around.metrics.fence_failed()
            self._tell(facts.FenceFailed())
            return
        self._around.metrics.fence_reached(time.perf_counter() - began)
        view = self._around.view
        self._tell(facts.FenceReached(mark.read_at_ms, view.get_many(command.subjects), view.holds))

    async def _send(self, command: facts.Send) -> None:
        around, began = self._around, time.perf_counter()
        around.metrics.sent(len(command.entries))
        if self._trace is None:
            answer = await around.partner.send(command.entries, command.expires_at)
        else:
            answer = await self._trace.send(around.partner, command)
        seconds = time.perf_counter() - began
        around.slots.observe(answer)
        if not isinstance(answer, Reply):
            around.heard.trouble = answer.detail.name.lower()
        elif answer.verified and answer.status == HTTP_OK:
            around.heard.ok_at = around.now()
        kind = answer_kind(answer)
        around.heard.last, around.heard.last_at = kind, around.now()
        around.metrics.answered(kind, seconds)
        self._free(1)
        self._tell(facts.Answered(command.batch_id, answer))

    async def _look_up(self, command: facts.LookUp) -> None:
        around, began = self._around, time.perf_counter()
        await around.slots.acquire(1)
        reply = None
        try:
            if self._trace is None:
                reply = await around.partner.look_up(command.keys)
            else:
                reply = await self._trace.look_up(around.partner, command.keys)
        finally:
            around.slots.asked(answered=reply is not None)
            around.slots.release(1)
        around.metrics.lookup(reply is not None, time.perf_counter() - began)
        self._tell(facts.LookedUp(command.lookup_id, reply))

    def _open_producer(self) -> LaneProducer:
        if self._producer is None:
            raise AssertionError("an open lane has its producer")
        return self._producer


_CALLS: Mapping[type[Any], Callable[[LaneDriver, Any], Coroutine[Any, Any, None]]] = {
    facts.FetchMore: LaneDriver._fetch,
    facts.WantSlots: LaneDriver._acquire,
    facts.Produce: LaneDriver._produce,
    facts.Commit: LaneDriver._commit,
    facts.StartFence: LaneDriver._prove_fresh,
    facts.Send: LaneDriver._send,
    facts.LookUp: LaneDriver._look_up,
}
