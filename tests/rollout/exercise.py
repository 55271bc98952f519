"""One exercise: pods start, deeds are done under load, everything settles, all pods end, and the verifier judges.

Knows the order of these, and what makes an exercise good. Must not know how a pod is started or ended.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gateway.kafka.connection import KafkaConnection
from gateway.sandbox.demo.tasks import alongside
from tests.chaos.counts import Counts
from tests.chaos.journal import Journal
from tests.chaos.load import Load
from tests.chaos.plan import Plan
from tests.chaos.stage import GROUP, Stage
from tests.deploy.charts import Chart, Rendered
from tests.integration.waiting import until
from tests.rollout.lanes import GroupWatch, Moves, moves, turns
from tests.rollout.pauses import Pauses
from tests.rollout.pod import Pod
from tests.rollout.stateful_set import StatefulSet
from tests.rollout.terms import Terms

# Events a second and customers: each lane has some all the time, and none is held back while most lanes wait.
LONG_FLOW, SHORT_FLOW = (150.0, 2_000), (60.0, 500)
SHOW_EVERY_S = 10.0
MOST_PODS = 3
CALM_S = (1.0, 4.0)  # between two kills
FLOW_S = 120.0  # beyond what the terms say: after a deed each lane settles what was written after it
SETTLE_S = 180.0
MOST_S = 1_800.0  # an exercise that takes longer hangs
VERIFY_S = 300.0
COUNTS = ("lost", "unrecorded", "unconsented", "duplicated", "out_of_order", "leaked_fields", "sent_while_held")
INSTANCE_ID = "instance_id"  # the step that can be taken out: then the group does not know a pod by its name
_UNUSED_FILES = ("kafka", "kafka-ca")
_UNUSED_SETTINGS = ("ca_file", "sasl_username", "sasl_password_file")


@dataclass(frozen=True, slots=True)
class Flow(Plan):
    """What the producers make: an even stream."""

    per_second: float
    customers: int

    @property
    def rate(self) -> float:
        return self.per_second

    @property
    def subjects(self) -> int:
        return self.customers


@dataclass(frozen=True, slots=True)
class Done:
    """One deed, and what it cost."""

    name: str
    seconds: float
    restarts: bool  # pods came back: no lane may move
    moves: Moves
    unstable: int  # answers of the coordinator that said that lanes were given anew
    pause_s: float  # the longest of a lane
    slowest_s: float  # event, from its writing to its ledger record

    def sentence(self) -> str:
        return (
            f"{self.name}: {self.seconds:.0f} s; {self.moves.moved} lanes moved, {self.moves.closed} closed elsewhere; "
            f"a lane paused {self.pause_s:.1f} s at most, the slowest event took {self.slowest_s:.1f} s"
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What an exercise came to; `wrong` says in words why it is not good."""

    done: tuple[Done, ...]
    restarts: int
    longest_end_s: float
    verdict: Mapping[str, Any]
    seconds: float

    def line(self) -> dict[str, object]:
        """The last line."""
        pauses: dict[str, float] = {}
        for deed in self.done:
            pauses[deed.name] = max(pauses.get(deed.name, 0.0), round(deed.pause_s, 1))
        return {
            "deeds": len(self.done),
            "restarts": self.restarts,
            "seconds": round(self.seconds),
            "events": self.verdict["produced"],
            "lanes_moved_by_restarts": sum(deed.moves.moved for deed in self._restarting),
            "lanes_closed_elsewhere_by_restarts": sum(deed.moves.closed for deed in self._restarting),
            "rebalances_seen_in_restarts": sum(deed.unstable for deed in self._restarting),
            **{name: self.verdict[name] for name in COUNTS},
            "longest_pause_s": max(pauses.values()),
            "pauses_s": pauses,
            "slowest_event_s": round(max(deed.slowest_s for deed in self.done), 1),
            "longest_end_s": round(self.longest_end_s, 1),
        }

    @property
    def wrong(self) -> list[str]:
        found = [f"{name}: {self.verdict[name]}" for name in COUNTS if self.verdict[name]]
        found += [
            f"{deed.name}: a restart must move no lane; {deed.moves.moved} moved, {deed.moves.closed} were closed "
            f"elsewhere, the group was not stable {deed.unstable} times"
            for deed in self._restarting
            if deed.moves.moved or deed.moves.closed or deed.unstable
        ]
        found += [f"{deed.name}: lanes were to move, none did" for deed in self.done if _idle(deed)]
        examples = self.verdict["examples"].items()
        found += [f"{name}: {each['where']}: {each['what']}" for name, of_it in examples for each in of_it]
        return found

    @property
    def _restarting(self) -> list[Done]:
        return [deed for deed in self.done if deed.restarts]


def _idle(deed: Done) -> bool:
    """Who finds nothing moved where something must have is blind."""
    return not deed.restarts and not deed.moves.moved


class Exercise:
    """`go` does it all. `without`: steps taken out."""

    def __init__(
        self, chart: Chart, directory: Path, journal: Journal, seed: int, *, short: bool, without: tuple[str, ...] = ()
    ) -> None:
        self._chart = chart
        self._directory = directory
        self._journal = journal
        self._seed = seed
        self._short = short
        self._without = without
        self._stage = Stage(directory, 0, seed)
        self._rng = random.Random(seed)
        self._places: dict[int, Pod] = {}
        self._done: list[Done] = []

    async def go(self) -> Report:
        """Raises RolloutError, or AssertionError when something takes too long: then there is no verdict."""
        began = time.monotonic()
        async with self._stage as stage:
            self._set = StatefulSet(self._terms, self._pod)
            self._pauses = Pauses(stage.node.bootstrap, stage.ledger, stage.inputs)
            self._group = GroupWatch(KafkaConnection(stage.node.bootstrap, "rollout"), GROUP)
            async with Counts(stage.node.bootstrap, stage.inputs, stage.replays, stage.ledger) as self._counts:
                plan = Flow(MOST_S / 60, self._seed, *(SHORT_FLOW if self._short else LONG_FLOW))
                self._load = Load(stage.node.bootstrap, plan, self._journal, lambda: self._counts.waiting)
                await self._load.consents_at_first()
                beside = [self._load.run(), self._pauses.run(), self._group.run(), self._watch(), self._show()]
                async with asyncio.timeout(MOST_S):
                    await alongside(self._course(), *beside)
            self._journal.say("all settled, the verifier reads")
            logs = [log for pod in self._places.values() for log in pod.logs]
            verdict = await stage.verdict(logs, self._terms.skew_ms, VERIFY_S)
        self._journal.note("verdict", **verdict)
        longest = max(over - begun for pod in self._places.values() for begun, over in pod.ends)
        return Report(tuple(self._done), self._set.restarts, longest, verdict, time.monotonic() - began)

    # --- the course -----------------------------------------------------------------------------------------

    async def _course(self) -> None:
        await self._set.scale(2 if self._short else 1)
        await self._flowing()
        await (self._short_course() if self._short else self._long_course())
        await self._load.end()
        await until(self._counts.all_settled, SETTLE_S, "all events are recorded")
        await self._set.scale(0)

    async def _short_course(self) -> None:
        await self._restart("rolling update", self._set.update)
        await self._restart("kill", lambda: self._set.kill(self._anyone()))

    async def _long_course(self) -> None:
        await self._deed("scale 1 to 3", lambda: self._set.scale(MOST_PODS))
        await self._restart("rolling update", self._set.update)
        await self._restart("node drain", lambda: self._set.drain(self._rng.sample(self._set.pods, 2)))
        for pod in self._rng.sample(self._set.pods, MOST_PODS):
            await asyncio.sleep(self._rng.uniform(*CALM_S))
            await self._restart("kill", lambda pod=pod: self._set.kill(pod))
        await self._deed("scale 3 to 1", lambda: self._set.scale(1))

    async def _restart(self, name: str, do: Callable[[], Awaitable[None]]) -> None:
        await self._deed(name, do, restarts=True)

    async def _deed(self, name: str, do: Callable[[], Awaitable[None]], *, restarts: bool = False) -> None:
        """Done, and over: each lane settles what is written after it."""
        self._pauses.begin()
        since, unstable = time.time(), self._group.unstable
        self._journal.note("begin", deed=name)
        await do()
        await self._flowing()
        over = time.time()
        pods = self._places.values()
        course, ends = turns({pod.name: pod.logs for pod in pods}), {pod.name: pod.ends for pod in pods}
        done = Done(
            name,
            over - since,
            restarts,
            moves(course, ends, since, over),
            self._group.unstable - unstable,
            self._pauses.longest.seconds,
            self._pauses.slowest_s,
        )
        self._done.append(done)
        self._journal.say(done.sentence())

    async def _flowing(self) -> None:
        at = time.time()
        most = self._terms.session_s + self._terms.rebalance_s + FLOW_S
        await until(lambda: self._pauses.flows_since(at), most, "each lane settles what is written now")

    def _anyone(self) -> Pod:
        return self._rng.choice(self._set.pods)

    # --- the parts ------------------------------------------------------------------------------------------

    @cached_property
    def _rendered(self) -> Rendered:
        """With what differs between a cluster and this machine; the short one does not wait between two pods."""
        settings = {
            "kafka.bootstrap_servers": self._stage.node.bootstrap,
            "kafka.security_protocol": "PLAINTEXT",
            "kafka.allow_dev_topics": True,
            "genie.base_url": f"https://localhost:{self._stage.genie.port}",
        }
        changes = {f"settings.{name}": value for name, value in settings.items()}
        changes |= {f"files.{name}": ... for name in _UNUSED_FILES}
        changes |= {f"settings.kafka.{name}": ... for name in _UNUSED_SETTINGS}
        return self._chart.render("least", changes | ({"minReadySeconds": 0} if self._short else {}))

    @cached_property
    def _terms(self) -> Terms:
        return Terms.of(self._rendered)

    def _pod(self, ordinal: int) -> Pod:
        """A place once made is there for ever: its logs are read in the end."""
        if ordinal not in self._places:
            static = INSTANCE_ID not in self._without
            name = f"{self._terms.name}-{ordinal}"
            keys = self._stage.genie.keys.directory
            self._places[ordinal] = Pod(name, self._directory, self._rendered, keys, static=static)
        return self._places[ordinal]

    async def _watch(self) -> None:
        """Return never: raise RolloutError when a pod is not as kubelet wants it."""
        await asyncio.gather(*(self._pod(ordinal).watch() for ordinal in range(MOST_PODS)))

    async def _show(self) -> None:
        while True:
            await asyncio.sleep(SHOW_EVERY_S)
            waiting = max(0, self._counts.waiting)
            self._journal.say(f"{self._counts.inputs:,} events, {waiting:,} not recorded yet")
