"""Is it us, Kafka or GeNiE? What each part says, what is wrong with it, and whose it is.

Knows what a healthy gateway looks like from outside. Must not know how it is shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.core.delays import Delay
from gateway.core.holds import HoldScope
from gateway.kafka.brokers import Brokers
from gateway.oncall import times
from gateway.oncall.holds import Listed, State
from gateway.oncall.lanes import Lane, Picture
from gateway.oncall.processes import Fleet

LATE_MS = 60_000  # a record that old is late if its lane commits nothing
VERY_LATE_MS = 300_000  # and that old, whatever its lane does: 99.9 % end within it
QUIET_MS = 30_000  # a lane with late records that commits nothing for so long is stuck
VIEW_OLD_MS = 60_000
CERTIFICATE_SOON_MS = 30 * 86_400_000
CERTIFICATE_NOW_MS = 7 * 86_400_000
NAMED = 5  # of many, by name

CERTIFICATES = "gateway_certificate_expiry_timestamp_seconds"
CHANGE_REFUSED = "gateway_credential_change_refused"
ANSWERS = "gateway_genie_request_seconds_count"
METRICS = frozenset({CERTIFICATES, CHANGE_REFUSED, ANSWERS})
Metrics = Mapping[str, Mapping[tuple[str, ...], float]]

_REBALANCING = ("PreparingRebalance", "CompletingRebalance")


class Whose(StrEnum):
    """Who has to act."""

    US = "us"
    KAFKA = "Kafka"
    GENIE = "GeNiE"


class Level(StrEnum):
    """How a part is."""

    OK = "ok"
    NOTE = "note"
    WRONG = "WRONG"
    UNREACHABLE = "UNREACHABLE"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing, and what to type."""

    level: Level
    whose: Whose
    text: str
    type: tuple[str, ...] = ()
    sends_nothing: bool = False  # by a person's will


@dataclass(frozen=True, slots=True)
class Part:
    """One part: what it says, and what was found."""

    name: str
    line: str
    findings: tuple[Finding, ...] = ()
    details: tuple[str, ...] = field(default=())

    @property
    def level(self) -> Level:
        """Of its worst finding."""
        levels = {finding.level for finding in self.findings}
        return next((level for level in (Level.UNREACHABLE, Level.WRONG, Level.NOTE) if level in levels), Level.OK)


@dataclass(frozen=True, slots=True)
class Overview:
    """All parts at one moment (ms)."""

    at: int
    parts: tuple[Part, ...]

    @property
    def unreachable(self) -> bool:
        """Whether a part could not be asked."""
        return any(part.level is Level.UNREACHABLE for part in self.parts)

    @property
    def wrong(self) -> bool:
        """Whether anything is wrong."""
        return any(part.level is Level.WRONG for part in self.parts)

    @property
    def verdict(self) -> str:
        """Whose it is, and the first thing that says so; one line."""
        found = [f for part in self.parts for f in part.findings if f.level in (Level.WRONG, Level.UNREACHABLE)]
        if not found:
            notes = [f for part in self.parts for f in part.findings]
            if held := next((f.text for f in notes if f.sends_nothing), None):
                return f"Nothing is wrong; nothing is sent: {held}."
            return f"All is well; to know: {notes[0].text}." if notes else "All is well."
        whose = [each for each in (Whose.KAFKA, Whose.GENIE, Whose.US) if any(f.whose is each for f in found)]
        first = {each: next(f.text for f in found if f.whose is each) for each in whose}
        return f"It is {' and '.join(whose)}: {'; '.join(first.values())}."


_NOBODY_SAYS = "no process says"


# --- each part --------------------------------------------------------------------------------------------


def unreachable(name: str, whose: Whose, why: str, *commands: str) -> Part:
    """A part that could not be asked."""
    return Part(name, "not known", (Finding(Level.UNREACHABLE, whose, why, commands),))


def kafka(brokers: Brokers) -> Part:
    """The brokers and our topics on them."""
    troubles = {
        "no answer from broker": brokers.silent,
        "without leader:": brokers.leaderless,
        "with fewer copies in sync than there are:": brokers.under_replicated,
    }
    found = [
        Finding(Level.WRONG, Whose.KAFKA, f"{what} {_some(names)}", ("gateway topics check",))
        for what, names in troubles.items()
        if names
    ]
    if brokers.missing:  # nobody else makes them, or the prefix is wrong
        commands = ("gateway settings", "gateway topics create")
        found.append(Finding(Level.WRONG, Whose.US, f"no such topic: {_some(brokers.missing)}", commands))
    known = len(brokers.answering) + len(brokers.silent)
    return Part("Kafka", f"{len(brokers.answering)} of {known} brokers answer", tuple(found))


def group(fleet: Fleet, picture: Picture) -> Part:
    """Who is in it, and what nobody has."""
    told = fleet.group
    state, members = ("not asked", 0) if told is None else (told.state, len(told.members))
    owned = len({lane.name for lane in picture.lanes if lane.owner is not None})
    every = len({lane.name for lane in picture.lanes})
    lag = sum({lane.name: lane.lag or 0 for lane in picture.lanes}.values())
    found = []
    if told is not None and not told.is_there:
        others = f", there is {_some(fleet.other_groups)}" if fleet.other_groups else ""
        what = f"Kafka has no group {told.name}{others}: check kafka.group_id"
        found.append(Finding(Level.WRONG, Whose.US, what, ("gateway settings",)))
    elif not members:
        what = "no process has joined the group" if fleet.answering else "no process runs"
        found.append(Finding(Level.WRONG, Whose.US, what, ("gateway check", "gateway serve")))
    elif picture.unowned:
        what = f"nobody has {_some([lane.name for lane in picture.unowned])}"
        found.append(Finding(Level.WRONG, Whose.US, what, ("gateway lanes show --watch",)))
    if state in _REBALANCING:
        found.append(Finding(Level.NOTE, Whose.US, "the group is moving lanes", ("gateway lanes show --watch",)))
    if unset := [lane.name for lane in picture.lanes if lane.watermark is None]:
        commands = ("gateway lanes init --from ledger --dry-run",)
        found.append(Finding(Level.WRONG, Whose.US, f"no offset for {_some(unset)}", commands))
    line = f"{state}, {_count(members, 'member')}, {owned} of {_count(every, 'lane')} owned, lag {lag:,}"
    return Part("group", line, tuple(found))


def processes(fleet: Fleet) -> Part:
    """Whether each answers, lives and is ready."""
    found = [
        Finding(Level.UNREACHABLE, Whose.US, f"{process.at}: {process.trouble}", ("gateway status --at HOST:PORT",))
        for process in fleet.silent
    ]
    found += [
        Finding(
            Level.UNREACHABLE,
            Whose.US,
            f"{member.name} at {member.host} could not be asked",
            ("gateway status --at HOST:PORT",),
        )
        for member in fleet.unasked
    ]
    details = []
    for process, status in fleet.answering:
        if not status.live:
            found.append(Finding(Level.WRONG, Whose.US, f"{process.name}: its event loop hangs"))
        elif not status.ready:
            whose = Whose.KAFKA if any("Kafka" in reason for reason in status.reasons) else Whose.US
            why = _some(status.reasons)
            found.append(
                Finding(Level.WRONG, whose, f"{process.name} is not ready: {why}", ("gateway lanes show --watch",))
            )
        lanes = _count(len(status.lanes), "lane")
        details.append(f"{process.name} at {process.at}: {lanes}, release {status.process.version or 'unknown'}")
    if not fleet.processes and not fleet.unasked:
        return Part("processes", "none")
    ready = sum(status.ready and status.live for _, status in fleet.answering)
    hosts = {member.host for member in fleet.unasked}  # a member where nothing answers is one process, not two
    silent = [process for process in fleet.silent if process.host not in hosts]
    known = len(fleet.answering) + len(silent) + len(fleet.unasked)
    return Part("processes", f"{ready} of {known} ready", tuple(found), tuple(details))


def genie(fleet: Fleet, shown: Mapping[str, Metrics], now: int) -> Part:
    """How GeNiE copes, as each process sees it."""
    if not fleet.answering:
        return Part("GeNiE", _NOBODY_SAYS)
    asked = [status.genie for _, status in fleet.answering]
    open_in = [each for each in asked if each.breaker_open]
    found = []
    if open_in:
        causes = Counter(each.trouble for each in open_in).most_common(1)[0][0]
        what = f"the breaker is open in {len(open_in)} of {_count(len(asked), 'process')} ({causes}): nothing is lost"
        found.append(Finding(Level.WRONG, Whose.GENIE, what, ("gateway check --genie", "gateway lanes show --watch")))
    counts: Counter[str] = Counter()
    for metrics in shown.values():
        counts.update({labels[0]: int(value) for labels, value in metrics.get(ANSWERS, {}).items() if labels and value})
    ok_at = max((each.ok_at or 0 for each in asked), default=0)
    slots, used = sum(each.slots for each in asked), sum(each.slots_in_use for each in asked)
    last = f"last good answer {times.lasted(now - ok_at)} ago" if ok_at else "no good answer yet"
    far = max(asked, key=lambda each: abs(each.clock_difference_ms)).clock_difference_ms
    details = [
        "answers since start: " + (", ".join(f"{kind} {count:,}" for kind, count in counts.most_common()) or "none"),
        f"its clock: {far / 1000:+.1f} s",
    ]
    return Part("GeNiE", f"{last}, {used} of {_count(slots, 'slot')} in use", tuple(found), tuple(details))


def consents(fleet: Fleet, now: int) -> Part:
    """Whether each view of consents and holds is whole."""
    found = []
    if not fleet.answering:
        return Part("consent view", _NOBODY_SAYS)
    for process, status in fleet.answering:
        seen = status.consents
        if seen.whole_at is not None and now - seen.whole_at > VIEW_OLD_MS:
            age = f"was last whole {times.lasted(now - seen.whole_at)} ago" if seen.whole_at else "was never whole"
            what = f"{process.name}: its consent view {age}, lag {seen.lag:,}; nothing is sent meanwhile"
            found.append(Finding(Level.WRONG, Whose.US, what, ("gateway topics check",)))
    lag = max((status.consents.lag for _, status in fleet.answering), default=0)
    subjects = max((status.consents.subjects for _, status in fleet.answering), default=0)
    return Part("consent view", f"{_count(subjects, 'subject')}, lag {lag:,}", tuple(found))


def holds(listed: Sequence[Listed], now: int) -> Part:
    """What is held back on purpose, and what can't be read and so holds everything."""
    on = [hold for hold in listed if hold.holds(now)]
    found = []
    if unreadable := [hold.name for hold in on if hold.state(now) is State.UNREADABLE]:
        what = f"a control record at {_some(unreadable)} can't be read, so everything is held"
        found.append(Finding(Level.WRONG, Whose.US, what, ("gateway hold list",)))
    if len(on) > len(unreadable):
        whole = any(
            hold.control.readable and hold.control.hold.scope is HoldScope.ALL for hold in on if hold.control.hold
        )
        count = _count(len(on) - len(unreadable), "hold")
        what = f"{'everything is held' if whole else f'{count} on'}, on purpose"
        found.append(Finding(Level.NOTE, Whose.US, what, ("gateway hold list",), sends_nothing=whole))
    return Part("holds", f"{len(on)} on" if on else "none", tuple(found))


def lanes(picture: Picture) -> Part:
    """Lanes that stopped, and records that are late."""
    found = []
    if stopped := [lane.name for lane in picture.lanes if lane.seen is not None and lane.seen.stopped]:
        what = f"stopped for a configuration that is wrong, ours or GeNiE's: {_some(stopped)}"
        found.append(Finding(Level.WRONG, Whose.US, what, ("gateway check --genie", "gateway lanes show --watch")))
    late: dict[str, list[Lane]] = {}
    for lane in picture.lanes:
        if is_late(lane) and lane.name not in stopped and lane.seen is not None:
            late.setdefault(lane.seen.delay or "unknown", []).append(lane)
    found += [_late(code, some) for code, some in late.items()]
    oldest = max((lane.oldest_ms or 0 for lane in picture.lanes), default=0)
    in_flight = sum(lane.seen.in_flight for lane in picture.lanes if lane.seen)
    line = f"{in_flight:,} entries on their way, oldest unsettled record {times.lasted(oldest)}"
    return Part("lanes", line, tuple(found))


def is_late(lane: Lane) -> bool:
    """Whether its oldest record waits for too long: a lane that catches up has old ones, but commits."""
    if lane.oldest_ms is None:
        return False
    stuck = lane.committed_ms is None or lane.committed_ms >= QUIET_MS
    return lane.oldest_ms >= VERY_LATE_MS or (lane.oldest_ms >= LATE_MS and stuck)


_WHOSE_DELAY = {
    Delay.SLOT: Whose.GENIE,
    Delay.ANSWER: Whose.GENIE,
    Delay.RETRY: Whose.GENIE,
    Delay.LOOKUP_TIME: Whose.GENIE,
    Delay.LOOKUP: Whose.GENIE,
    Delay.INTENTS: Whose.GENIE,
    Delay.COMMIT: Whose.KAFKA,
    Delay.FENCE: Whose.KAFKA,
}


def _late(code: str, some: Sequence[Lane]) -> Finding:
    known = {delay.value: delay for delay in Delay}
    delay = known.get(code)
    why = delay.sentence.rstrip(".") if delay else "not known why"
    oldest = max(lane.oldest_ms or 0 for lane in some)
    what = f"{_count(len(some), 'lane')} late by {times.lasted(oldest)}: {why[0].lower()}{why[1:]}"
    if delay is Delay.HOLD:
        return Finding(Level.NOTE, Whose.US, what, ("gateway hold list",))
    whose = _WHOSE_DELAY.get(delay, Whose.US) if delay else Whose.US
    return Finding(Level.WRONG, whose, what, ("gateway lanes show --watch",))


def parked(count: int | None, replays: int = 0) -> Part:
    """How many records a person must look at, and how many replays of such ended so; None: it took too long to
    count."""
    if count is None:
        return Part("parked", "not counted in time", (), ("gateway parked stats counts them",))
    if not count and not replays:
        return Part("parked", "none")
    told = _count(count, "record") + (f" and {_count(replays, 'replay')}" if replays else "")
    note = Finding(Level.NOTE, Whose.US, f"{told} parked", ("gateway parked stats",))
    return Part("parked", f"{count:,}" + (f", and {_count(replays, 'replay')}" if replays else ""), (note,))


def certificates(shown: Mapping[str, Metrics], now: int) -> Part:
    """When ours, and those that we trust, end; by process."""
    ends: dict[str, float] = {}
    found = []
    for process, metrics in shown.items():
        for labels, moment in metrics.get(CERTIFICATES, {}).items():
            name = labels[0] if labels else "unnamed"
            ends[name] = min(moment, ends.get(name, moment))
        if refused := [labels[0] for labels, value in metrics.get(CHANGE_REFUSED, {}).items() if labels and value]:
            what = f"{process}: changed keys or certificates for {_some(refused)} can't be used, the old ones still are"
            found.append(Finding(Level.WRONG, Whose.US, what, ("gateway check",)))
    found += list(_ending(ends, now))
    if not ends:
        return Part("certificates", _NOBODY_SAYS, tuple(found))
    first = min(ends, key=lambda name: ends[name])
    return Part("certificates", f"{first} ends first, at {times.shown(int(ends[first] * 1000))}", tuple(found))


def _ending(ends: Mapping[str, float], now: int) -> Iterator[Finding]:
    for name, moment in sorted(ends.items()):
        left = int(moment * 1000) - now
        if left < CERTIFICATE_SOON_MS:
            level = Level.WRONG if left < CERTIFICATE_NOW_MS else Level.NOTE
            what = f"certificate {name} " + (f"ends in {times.lasted(left)}" if left > 0 else "has ended")
            yield Finding(level, Whose.US, what, ("gateway check",))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def _count(number: int, what: str) -> str:
    plural = f"{what}es" if what.endswith("s") else f"{what}s"
    return f"{number:,} {what if number == 1 else plural}"
