"""Checks the ledger against the inputs: each delivered input has exactly one terminal record, and what it says is so.

Knows the order in which topics must be read for that. Must not know what is wrong with what is found (checks.py,
claims.py) or how it is shown. Inputs first, then where the lanes stand, then the ledger: what was settled by then is in
it. Then intents, then on-call's list; the ledger's end once more, for replays that were settled meanwhile.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from gateway.core.reasons import Outcome, Reason, Transmitted
from gateway.kafka.cluster import log_bounds
from gateway.kafka.scan import Span
from gateway.oncall.desk import Desk, Found
from gateway.oncall.ledger.checks import Lane, under
from gateway.oncall.ledger.claims import contradictions
from gateway.oncall.ledger.findings import Findings, Kind
from gateway.oncall.ledger.keys import Unresolved, judge_keys
from gateway.oncall.ledger.lanes import lanes_of
from gateway.oncall.ledger.offsets import KeyPlace, Keys
from gateway.oncall.ledger.source import BROKER_SKEW_MS, Wanted
from gateway.oncall.ledger.standing import refuse_unknown, standings
from gateway.oncall.ledger.state import Saved, StateFile
from gateway.oncall.ledger.steps import Steps, bound

AT_ONCE = 500  # records that are read again at their places
_PARKED, _PROVIDED, _INVALID = Outcome.PARKED.code, Outcome.PROVIDED.code, Outcome.INVALID.code
_TARGET_MISSING = Reason.REPLAY_TARGET_MISSING.code


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be verified: the inputs that were appended in a time (ms, either end open), as this group has it.

    `key` is the idempotency key; without it the values' digests are not compared.
    """

    group: str
    since: int | None = None
    until: int | None = None
    key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Verified:
    """What came out; `asked` is what was looked at, as it was when the look began."""

    asked: Asked
    lanes: Sequence[Lane]
    counts: Mapping[str, int]  # "ledger": records read; "other_cluster", "target_gone"
    outcomes: Mapping[str, int]
    findings: Findings
    unresolved: Sequence[Unresolved]
    unresolved_count: int


async def verify(desk: Desk, asked: Asked, path: Path | None = None, **options: str) -> Verified:
    """Look at the ledger; with a `path` from where the last look of these `options` was broken off.

    Raises what Desk.read raises, NoSuchGroupError and StateError.
    """
    await refuse_unknown(desk, asked.group)
    names = desk.names
    topics = (names.payments, names.scores, names.replays, names.ledger, names.intents, names.parked)
    key = "none" if asked.key is None else hmac.digest(asked.key, b"state", "sha256").hex()
    about = await bound(desk, "verify", topics, group=asked.group, key=key, **options)
    return await Verification(desk, asked, StateFile(path, about) if path else None).run()


class Verification:
    """One look at one range. `state` keeps how far it is, if it is to be gone on with."""

    def __init__(self, desk: Desk, asked: Asked, state: StateFile | None = None) -> None:
        self._desk = desk
        self._asked = asked
        self._state = state
        saved = state.load() if state else None
        document, parts = (saved.document, saved.parts) if saved else ({}, {})
        if document:  # "3d" ago was another time then
            self._asked = replace(asked, since=document["since"], until=document["until"])
        self._steps = Steps(desk, self._save, document.get("steps"))
        lanes = (Lane.restored(each, parts) for each in document.get("lanes", ()))
        self._lanes = {(lane.topic, lane.partition): lane for lane in lanes}
        self._keys = Keys(under(parts, "keys/"))
        self._findings = Findings.restored(document["findings"]) if document else Findings()
        self._counts = Counter[str](document.get("counts", {}))
        self._outcomes = Counter[str](document.get("outcomes", {}))
        self._replays: list[list[Any]] = list(document.get("replays", ()))  # place, of which place, digest

    async def run(self) -> Verified:
        """Read all, and judge. Raises what Desk.read raises, and StateError."""
        with self._state.kept(self._saved) if self._state is not None else nullcontext():
            await self._read()
            unresolved, count = await self._judge()
        lanes = list(self._lanes.values())
        return Verified(self._asked, lanes, self._counts, self._outcomes, self._findings, unresolved, count)

    async def _read(self) -> None:
        names, asked, steps = self._desk.names, self._asked, self._steps
        inputs = (names.payments, names.scores, names.replays)
        if not steps.is_done("lanes"):
            self._lanes = await lanes_of(self._desk, inputs, asked.since)
            steps.finish("lanes")
        for topic in inputs:
            starts = {lane.partition: lane.start for lane in self._of(topic)}
            span = Span(until=asked.until, starts=starts)
            await steps.read(topic, topic, self._take_inputs, span, decoded=False)
        if not steps.is_done("watermarks"):
            stand = await standings(self._desk, asked.group, [lane.at for lane in self._lanes.values()])
            for lane in self._lanes.values():
                lane.end = max(lane.start, steps.ends(lane.topic).get(lane.partition, lane.end))
                lane.standing = stand[lane.at]
            steps.finish("watermarks")
        later = Span(since=None if asked.since is None else max(0, asked.since - BROKER_SKEW_MS))
        await steps.read("ledger", names.ledger, self._take_ledger, later)
        await steps.read("intents", names.intents, self._take_intents, later)
        await steps.read("parked", names.parked, self._take_parked, later)
        if not steps.is_done("ends"):
            bounds = await log_bounds(self._desk.client, [lane.at for lane in self._lanes.values()])
            for lane in self._lanes.values():
                lane.log_end = bounds[lane.at].end
                lane.log_start = max(lane.log_start, bounds[lane.at].start)  # what left meanwhile nobody may have read
            steps.finish("ends")
        rest = Span(starts=steps.ends("ledger"))
        await steps.read("ledger's end", names.ledger, partial(self._take_replays, later=True), rest)

    def _of(self, topic: str) -> Iterator[Lane]:
        return (lane for lane in self._lanes.values() if lane.topic == topic)

    # --- one record after the other -------------------------------------------------------------------------

    def _take_inputs(self, raws: Sequence[Any]) -> None:
        lane, key = self._lanes[raws[0].topic, raws[0].partition], self._asked.key
        for raw in raws:
            lane.deliver(raw.offset, None if key is None else hmac.digest(key, raw.value or b"", "sha256"))

    def _take_ledger(self, found: Sequence[Found]) -> None:
        self._counts["ledger"] += len(found)
        for each in found:
            if each.record is None:
                self._unreadable(each)
                continue
            position = each.record["input"]
            if position["cluster_id"] != self._desk.cluster_id:
                self._counts["other_cluster"] += 1
                continue
            lane = self._lanes.get((position["topic"], position["partition"]))
            if lane is None:
                self._take_stray(position, each)
            elif lane.is_of_range(position["offset"], position["timestamp"], self._asked.since, self._asked.until):
                self._take_record(lane, position["offset"], each)
        self._take_replays(found)

    def _take_stray(self, position: Mapping[str, Any], found: Found) -> None:
        """A record about no lane; it has but its own word for when its input was appended."""
        if Wanted(self._asked.since, self._asked.until).in_time(position["timestamp"]):
            what = f"no such lane ({found.place})"
            self._findings.add(Kind.NEVER_DELIVERED, position["topic"], position["partition"], position["offset"], what)

    def _take_record(self, lane: Lane, offset: int, found: Found) -> None:
        record: Mapping[str, Any] = found.record or {}
        self._outcomes[record["outcome"]] += 1
        if not lane.settled.add(offset):
            self._add(Kind.DUPLICATED, lane, offset, f"another is at {found.place}")
        if record["outcome"] == _PARKED:
            lane.due.add(offset)
        for what in contradictions(record):
            self._add(Kind.CONTRADICTION, lane, offset, f"{what} ({found.place})")
        key, transmitted = record["idempotency_key"], record["transmitted"]
        if key is not None and transmitted != Transmitted.NO.code:
            provided, unknown = record["outcome"] == _PROVIDED, transmitted == Transmitted.UNKNOWN.code
            self._keys.add(key, KeyPlace(found.partition, found.offset, provided, unknown))
        if self._asked.key is not None:
            self._compare(lane, offset, record)

    def _compare(self, lane: Lane, offset: int, record: Mapping[str, Any]) -> None:
        """The digest of the value: the input's own, or that of the input that was replayed."""
        digest, replay = record["source_digest"], record["replay_of"]
        of, at = lane, offset
        if replay is not None and record["reason"] != _TARGET_MISSING:
            at = replay["offset"]
            target = self._lanes.get((replay["topic"], replay["partition"]))
            if target is None or target.digests.is_same(at, digest) is None:
                place = [replay["topic"], replay["partition"], at]
                self._replays.append([[lane.topic, lane.partition, offset], place, digest.hex()])
                return
            of = target
        if of.digests.is_same(at, digest) is False:
            self._add(Kind.OTHER_CONTENT, lane, offset)

    def _take_replays(self, found: Sequence[Found], *, later: bool = False) -> None:
        for each in found:
            replay = each.record["replay_of"] if each.record is not None else None
            if each.record is None or replay is None or each.record["outcome"] in (_PARKED, _INVALID):
                continue
            lane = self._lanes.get((replay["topic"], replay["partition"]))
            if lane is not None and lane.may_hold(replay["offset"]):
                (lane.replayed_later if later else lane.replayed).add(replay["offset"])

    def _take_intents(self, found: Sequence[Found]) -> None:
        for each in found:
            if each.record is None:
                self._unreadable(each)
                continue
            lane = self._lane_of(each.record["lane"])
            for entry in each.record["entries"] if lane is not None else ():
                if lane is not None and lane.log_start <= entry["offset"] and lane.may_hold(entry["offset"]):
                    lane.announced.add(entry["offset"])

    def _take_parked(self, found: Sequence[Found]) -> None:
        for each in found:
            name, _, offset = (each.key or "").rpartition(":")
            lane = self._lane_of(name)
            if lane is None or not offset.isdecimal() or not lane.may_hold(int(offset)):
                continue
            if each.value is not None and each.record is None:
                self._unreadable(each)
                continue
            is_listed = each.value is not None
            (lane.listed if is_listed else lane.removed).add(int(offset))
            (lane.removed if is_listed else lane.listed).discard(int(offset))

    def _lane_of(self, name: str) -> Lane | None:
        topic, _, partition = name.rpartition(":")
        return self._lanes.get((topic, int(partition))) if partition.isdecimal() else None

    def _unreadable(self, found: Found) -> None:
        why = found.why.sentence if found.why is not None else "It has no value."
        self._findings.add(Kind.UNREADABLE, found.topic, found.partition, found.offset, why)

    def _add(self, kind: Kind, lane: Lane, offset: int, what: str = "") -> None:
        self._findings.add(kind, lane.topic, lane.partition, offset, what)

    # --- all of them ----------------------------------------------------------------------------------------

    async def _judge(self) -> tuple[list[Unresolved], int]:
        while self._replays:
            await self._compare_replays(self._replays[:AT_ONCE])
            del self._replays[:AT_ONCE]
        before = self._findings
        self._findings = Findings.restored(before.saved())  # what follows begins anew if it is broken off
        try:
            unresolved, count = await judge_keys(self._desk, self._keys, self._findings)
        except BaseException:
            self._findings = before
            raise
        for lane in self._lanes.values():
            lane.judge(self._findings)
        return unresolved, count

    async def _compare_replays(self, replays: Sequence[Sequence[Any]]) -> None:
        """Those whose originals lie outside the range."""
        key = self._asked.key
        places = [(place[0], place[1], place[2]) for _, place, _ in replays]
        targets = await self._desk.at(places, decoded=False)
        for ((topic, partition, offset), _, digest), target in zip(replays, targets, strict=True):
            if target is None:
                self._counts["target_gone"] += 1
            elif key is not None and hmac.digest(key, target.value or b"", "sha256").hex() != digest:
                self._findings.add(Kind.OTHER_CONTENT, topic, partition, offset)

    def _save(self) -> None:
        if self._state is not None:
            self._state.save(self._saved())

    def _saved(self) -> Saved:
        document = {
            "since": self._asked.since,
            "until": self._asked.until,
            "steps": self._steps.saved(),
            "lanes": [lane.saved() for lane in self._lanes.values()],
            "findings": self._findings.saved(),
            "counts": self._counts,
            "outcomes": self._outcomes,
            "replays": self._replays,
        }
        parts = {name: page for lane in self._lanes.values() for name, page in lane.pages()}
        parts |= {f"keys/{name}": page for name, page in self._keys.pages().items()}
        return Saved(document, parts)
