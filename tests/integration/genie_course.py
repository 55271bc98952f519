"""A course of a real gateway process through GeNiE's troubles, one after the other."""

import hmac
import traceback
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import PARTITIONS, World, Written
from tests.integration.genie_troubles import Trouble

Shown = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Event:
    """One payment that was written."""

    subject: str
    partition: int
    offset: int
    event_id: str


@dataclass
class Result:
    """What came of the events of one trouble."""

    problem: str = ""  # what did not happen in time
    reasons: list[str] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)  # GeNiE's, of each time that it judged one of them
    grew: set[str] = field(default_factory=set)  # metrics, meanwhile
    pauses: list[int] = field(default_factory=list)  # ms between two announcements of an event
    stopped: set[str] = field(default_factory=set)  # codes in the log


class Course:
    """Goes through troubles with one gateway, in a world that it knows."""

    def __init__(self, world: World, gateway: GatewayProcess) -> None:
        self.world = world
        self.gateway = gateway
        self._number = 0

    async def write(self) -> list[Event]:
        """Payments of two fresh subjects, two of the last one, all in one partition; the next call takes the other."""
        self._number += 1
        first, last = await self._subject(), await self._subject()
        return [await self._event(subject) for subject in (first, last, last)]

    async def one(self) -> Event:
        """A payment of a fresh subject."""
        self._number += 1
        return await self._event(await self._subject())

    async def _subject(self) -> str:
        """One who has consented."""
        subject = f"subject-{uuid.uuid4().hex[:12]}"
        await self.world.consent(subject)
        return subject

    async def _event(self, subject: str) -> Event:
        partition, event_id = self._number % PARTITIONS, str(uuid.uuid4())
        offset = await self.world.payment(subject, partition, event_id=event_id)
        return Event(subject, partition, offset, event_id)

    async def struck(self, fault: str, before: int) -> None:
        """Wait until a fault that is on has struck again."""
        hits = self.world.genie.faults.hits
        await self.world.sees(lambda: hits[fault] > before, f"that {fault} strikes")

    async def one_that_is_hit(self, **faults: Mapping[str, object]) -> Event:
        """A payment of a fresh subject, after these faults have been switched on and have struck it."""
        last = list(faults)[-1]
        before = self.world.genie.faults.hits[last]
        self.world.faults(**{name: {"share": 1, **parameters} for name, parameters in faults.items()})
        event = await self.one()
        await self.struck(last, before)
        return event

    async def strikes(self, **faults: Mapping[str, object]) -> None:
        """Switch to exactly these faults, and wait until the last of them has struck."""
        last = list(faults)[-1]
        before = self.world.genie.faults.hits[last]
        self.world.faults(**{name: {"share": 1, **parameters} for name, parameters in faults.items()})
        await self.struck(last, before)

    async def settled(self, *events: Event) -> None:
        """Wait for the end of each."""
        for event in events:
            await self.world.sees(lambda at=event: self.world.has_settled(at.offset, at.partition), "the end of all")

    async def shown(self) -> Shown:
        """Every metric now."""
        lines = (await self.gateway.metrics()).decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}

    async def seen(self, condition: Any, what: str) -> None:
        """Wait until the metrics show something."""

        async def holds() -> bool:
            return condition(await self.shown())

        await self.world.sees(holds, what)

    async def through(self, trouble: Trouble) -> Result:
        """Switch it on, write, see it strike, switch it off, wait for the end of what was written."""
        world, result, before, stops = self.world, Result(), await self.shown(), len(self.stops())
        announced, received = len(world.intents), len(world.received())
        events: list[Event] = []
        try:
            if trouble.together:
                events = await self.wait_together()
            last = {"key": self.key(events[-1].event_id)} if trouble.parks_one else {}
            hits = world.genie.faults.hits[trouble.fault]
            world.faults(**{trouble.fault: {"share": 1, **trouble.parameters, **last}})
            events = events or await self.write()
            await self.struck(trouble.fault, hits)
            if trouble.stop is not None:
                await world.sees(lambda: len(self.stops()) > stops, "that a lane stops")
            if trouble.parks_one:
                await self.settled(*events)
            world.faults()
            await self.settled(*events)
        except AssertionError as error:
            result.problem = str(error)
        world.faults()
        after = await self.shown()
        result.grew = {name for name, value in after.items() if value > before.get(name, 0.0)}
        result.stopped = {line["code"] for line in self.stops()[stops:]}
        self._judge(result, events, announced, received)
        return result

    async def listen(self, story: Callable[["Course"], Awaitable[None]]) -> str:
        """Go through a story; what was otherwise than told, if anything."""
        try:
            await story(self)
        except AssertionError:
            return traceback.format_exc()
        finally:
            self.world.faults()
        return ""

    async def wait_together(self) -> list[Event]:
        """Events that GeNiE has refused until each was there: those of a subject ride in the same batch next."""
        hits = self.world.genie.faults.hits
        self.world.faults(unavailable={"share": 1, "retry_after": 0})
        events = await self.write()
        await self.struck("unavailable", hits["unavailable"] + 1)
        return events

    def stops(self) -> list[Mapping[str, Any]]:
        """What the log says of lanes that stopped."""
        return [line for line in self.gateway.lines() if line["event"] == "lane stopped"]

    def _judge(self, result: Result, events: list[Event], announced: int, received: int) -> None:
        world, ids = self.world, {event.event_id for event in events}
        if result.problem:
            return
        result.reasons = [self.ending(event)["reason"] for event in events]
        result.statuses = [
            each["status"] for each in world.received()[received:] if each["body"]["envelope"]["event_id"] in ids
        ]
        times: dict[str, int] = {}
        for intent in world.intents[announced:]:
            for entry in intent["entries"]:
                key = entry["idempotency_key"]
                if key in times:
                    result.pauses.append(intent["announced_at"] - times[key])
                times[key] = intent["announced_at"]

    def announced(self, event: Event) -> int:
        """How many times; the second time shows what came of the first attempt."""
        key = self.key(event.event_id)
        return sum(entry["idempotency_key"] == key for intent in self.world.intents for entry in intent["entries"])

    def ending(self, event: Event) -> Written:
        """Its ledger record."""
        (ending,) = self.ends(self.world.names.payments, event.partition, event.offset)
        return ending

    def ends(self, topic: str, partition: int, offset: int) -> list[Written]:
        """The ledger records of what lies there."""
        at = {"topic": topic, "partition": partition, "offset": offset}
        return [written for written in self.world.ledger if at.items() <= written["input"].items()]

    def key(self, event_id: str) -> str:
        """The idempotency key of a payment, as the contract has it."""
        secret = urlsafe_b64decode(self.world.genie.pki.idempotency_key.read_bytes())
        digest = hmac.digest(secret, f"v1\x1fgenie\x1flease_payment\x1f{event_id}".encode(), "sha256")
        return urlsafe_b64encode(digest).decode().rstrip("=")
