"""What became of replays, and beside what: told from the topics alone, and from when gateways were killed.

Knows how requests, intents, ledger, parked records and consents hang together. Must not know which of it is wanted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from gateway import schemas
from gateway.sandbox.verifier.history import Raw, Topic

Record = Mapping[str, Any]
Records = Mapping[Topic, Sequence[Raw]]
Place = tuple[str, int, int]
Kill = tuple[str, int]  # which gateway, and when, ms
ENDS, BEGINS = "withdrawn", ("given", "renewed")
_REPLAYS = Topic.REPLAYS.value


@dataclass(frozen=True, slots=True)
class Replay:
    """One request that is settled."""

    place: Place  # its own
    target: str
    request_id: str
    subject: str
    key: str | None
    outcome: str
    reason: str
    asked_at: int
    settled_at: int
    settled_by: str


def seen(records: Records, kills: Iterable[Kill]) -> Counter[str]:
    """How often each thing befell a replay."""
    replays = list(_settled(records))
    found = Counter(f"replay {replay.outcome}" for replay in replays)
    found["a replay of what was provided"] = _of_provided(records, replays)
    found["replays of one record at once"] = _at_once(replays)
    found["a request applied twice"] = len(replays) - len({replay.request_id for replay in replays})
    found.update(_raced(records, replays))
    found.update(_moved(records, replays, list(kills)))
    found["a parked record resolved"] = _resolved(records[Topic.PARKED])
    return found


def _settled(records: Records) -> Iterator[Replay]:
    asked = {(raw.topic, raw.partition, raw.offset): raw for raw in records[Topic.REPLAYS]}
    for raw, record in _read(records[Topic.LEDGER]):
        of, place = record["replay_of"], _place(record["input"])
        if of is not None and place in asked:
            request = asked[place]
            yield Replay(
                place,
                f"{of['topic']}:{of['partition']}:{of['offset']}",
                of["request_id"],
                (request.key or b"").decode(),
                record["idempotency_key"],
                record["outcome"],
                record["reason"],
                request.timestamp,
                raw.timestamp,
                record["gateway"]["instance"],
            )


def _of_provided(records: Records, replays: Iterable[Replay]) -> int:
    """Replays that are duplicates of a provision with a record of its own."""
    provided = {
        record["idempotency_key"] for _, record in _read(records[Topic.LEDGER]) if record["outcome"] == "PROVIDED"
    }
    return sum(replay.outcome == "DUPLICATE" and replay.key in provided for replay in replays)


def _at_once(replays: Iterable[Replay]) -> int:
    """Pairs of neighbours: the second was asked for before the first was settled."""
    by_target: dict[str, list[Replay]] = defaultdict(list)
    for replay in replays:
        by_target[replay.target].append(replay)
    count = 0
    for some in by_target.values():
        some.sort(key=lambda replay: replay.asked_at)
        count += sum(later.asked_at < earlier.settled_at for earlier, later in pairwise(some))
    return count


def _raced(records: Records, replays: Iterable[Replay]) -> Iterator[str]:
    """A consent changed between request and settlement, and the replay ended as the change says."""
    changes: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for raw, record in _read(records[Topic.CONSENTS]):
        changes[record["subject_ref"]].append((raw.timestamp, record["status"]))
    for replay in replays:
        meanwhile = {status for at, status in changes[replay.subject] if replay.asked_at <= at <= replay.settled_at}
        if replay.reason == "consent_withdrawn" and ENDS in meanwhile:
            yield "a replay withheld after a withdrawal that raced it"
        if replay.outcome == "PROVIDED" and meanwhile.intersection(BEGINS):
            yield "a replay provided after a consent that raced it"


def _moved(records: Records, replays: Iterable[Replay], kills: Sequence[Kill]) -> Iterator[str]:
    """Announced by one process; it was killed, or its lane went to another one, before the replay was settled."""
    announced: dict[Place, list[tuple[int, str]]] = defaultdict(list)
    for raw, intent in _read(records[Topic.INTENTS]):
        topic, _, partition = intent["lane"].rpartition(":")
        for entry in intent["entries"] if topic == _REPLAYS else ():
            announced[topic, int(partition), entry["offset"]].append((raw.timestamp, intent["gateway"]["instance"]))
    for replay in replays:
        for at, instance in announced[replay.place][:1]:
            if any(name == instance and at <= killed_at <= replay.settled_at for name, killed_at in kills):
                yield "a replay in flight across a kill"
            elif instance != replay.settled_by:
                yield "a replay in flight across a rebalance"


def _resolved(parked: Iterable[Raw]) -> int:
    """Tombstones behind the parked record that they resolve."""
    open_ones: set[bytes | None] = set()
    count = 0
    for raw in sorted(parked, key=lambda raw: (raw.partition, raw.offset)):
        if raw.value is not None:
            open_ones.add(raw.key)
        elif raw.key in open_ones:
            open_ones.remove(raw.key)
            count += 1
    return count


def wrongly_parked(records: Records) -> Iterator[str]:
    """Where parked records and tombstones are not those that the ledger calls for: each record that is PARKED has its
    own, and a replay that is settled otherwise takes back the one of the record that it repeats."""
    due: Counter[tuple[str, bool]] = Counter()
    for _, record in _read(records[Topic.LEDGER]):
        of = record["replay_of"]
        if record["outcome"] == "PARKED":
            due[_name(record["input"]), True] += 1
        elif of is not None and record["outcome"] != "INVALID":
            due[_name(of), False] += 1
    there = Counter(((raw.key or b"").decode(), raw.value is not None) for raw in records[Topic.PARKED])
    for (where, stands), count in sorted((due - there).items()):
        yield f"parked: {where} : {count} {'parked records' if stands else 'tombstones'} are missing"
    for (where, stands), count in sorted((there - due).items()):
        yield f"parked: {where} : {count} {'parked records' if stands else 'tombstones'} too many"
    gone: set[bytes | None] = set()
    for raw in sorted(records[Topic.PARKED], key=lambda raw: (raw.partition, raw.offset)):
        if raw.value is None:
            gone.add(raw.key)
        elif raw.key in gone:
            yield f"parked: {(raw.key or b'').decode()} : it is parked after it was resolved"


def _read(raws: Iterable[Raw]) -> Iterator[tuple[Raw, Record]]:
    return ((raw, schemas.decode(raw.value)[1]) for raw in raws if raw.value is not None)


def _place(record: Record) -> Place:
    return record["topic"], record["partition"], record["offset"]


def _name(record: Record) -> str:
    return f"{record['topic']}:{record['partition']}:{record['offset']}"
