"""What topics, GeNiE's receipts and requests say, as lines of the story; and which lines a violation is about.

Knows what hangs together: keys, input records, lanes and subjects. Must not know what is done to whom.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import orjson

from gateway import schemas
from gateway.sandbox.verifier.history import INPUTS, Raw, Topic
from tests.simulation.clocks import EPOCH_MS
from tests.simulation.partner import Asked
from tests.simulation.story import Line
from tests.simulation.workload import Append

Record = Mapping[str, Any]
Records = Mapping[Topic, Sequence[Raw]]
OK = 200
MOST_NAMED = 3  # in one line
SHORT = 8  # characters of a key: enough to tell those of one story apart
LATE_S = 0.1  # from sending to taking; more is told
_RECORD = re.compile(r"[a-z.]+:\d+:\d+")
_LANE = re.compile(r"\b(?!receipts:)[a-z.]+:\d+(?![:\d])")
_KEY = re.compile(r"(?<![\w-])[\w-]{43}(?![\w-])")
_RECEIPT = re.compile(r"receipts:(\d+)")
_ENDING = {
    None: "",
    "commit": "",
    "abort": ", in a transaction that is aborted",
    "open": ", in a transaction that stays open",
}


def of_append(append: Append, offsets: Sequence[int]) -> tuple[str, set[str]]:
    """What a producer writes, and what that is about."""
    lane = f"{append.topic}:{append.partition}"
    about = {f"{lane}:{offset}" for offset in offsets}
    whose = ""
    if append.topic == Topic.CONSENTS.value:
        subject = (append.records[0][0] or b"").decode()
        about, whose = {subject}, f" of {_short(subject)}"
    if append.topic == Topic.CONTROLS.value:
        about = set()
    return f"{append.what}{whose} to {lane} at {_spans(offsets)}{_ENDING[append.transaction]}", about


def followed(violation: str, records: Records, receipts: Sequence[bytes]) -> frozenset[str]:
    """What it names, and what hangs together with that; empty if it names nothing, and all is told."""
    lines = (orjson.loads(receipts[int(number) - 1]) for number in _RECEIPT.findall(violation))
    names = {*_KEY.findall(violation), *_RECORD.findall(violation), *(line["idempotency_key"] for line in lines)}
    lanes = set(_LANE.findall(violation.partition(" after the last trouble")[0]))
    links = _links(records)
    names |= {name for name in links if name.rpartition(":")[0] in lanes}
    names = _linked(names, links)
    subjects = {
        raw.key.decode("utf-8", "replace")
        for topic in INPUTS
        for raw in records[topic]
        if raw.where in names and raw.key
    }
    if "came after" in violation:
        theirs = {
            raw.where
            for topic in INPUTS
            for raw in records[topic]
            if (raw.key or b"").decode("utf-8", "replace") in subjects
        }
        names = _linked(names | theirs, links)
    return frozenset({*names, *subjects, *lanes, *(name.rpartition(":")[0] for name in names if ":" in name)})


def _linked(names: set[str], links: Mapping[str, set[str]]) -> set[str]:
    """These, and whatever can be reached from them."""
    found, fresh = set(names), set(names)
    while fresh:
        fresh = {name for some in fresh for name in links.get(some, ())} - found
        found |= fresh
    return found


def _links(records: Records) -> Mapping[str, set[str]]:
    """From a key to the input records that have it, and back: a replay has the key of what it repeats."""
    found: dict[str, set[str]] = defaultdict(set)
    pairs = [(_input(record), record["idempotency_key"]) for _, record in _read(records[Topic.LEDGER])]
    for _, intent in _read(records[Topic.INTENTS]):
        pairs += [(f"{intent['lane']}:{entry['offset']}", entry["idempotency_key"]) for entry in intent["entries"]]
    for record, key in pairs:
        if key is not None:
            found[key].add(record)
            found[record].add(key)
    return found


def woven(told: Iterable[Line], records: Records, asked: Iterable[Asked], receipts: Sequence[bytes],
          wanted: Collection[str]) -> list[Line]:  # fmt: skip
    """All lines in order; what is wanted is named in them, the rest counted."""
    more = [*_announced(records, wanted), *_settled(records, wanted), *_asked(asked, receipts, wanted)]
    return sorted([*told, *more], key=lambda line: line.at_s)


def only(lines: Iterable[Line], wanted: Collection[str]) -> list[Line]:
    """Those about what is wanted, and those that are about nothing in particular."""
    return [line for line in lines if not wanted or not line.about or not line.about.isdisjoint(wanted)]


def _announced(records: Records, wanted: Collection[str]) -> Iterator[Line]:
    for at_s, intent in _read(records[Topic.INTENTS]):
        lane, entries = intent["lane"], intent["entries"]
        named = {f"{lane}:{entry['offset']}": entry["idempotency_key"] for entry in entries}
        among = [
            f"{entry['offset']} as {_short(entry['idempotency_key'])}, by consent version {entry['consent_version']}"
            for entry in entries
            if entry["idempotency_key"] in wanted
        ]
        offsets = _spans([entry["offset"] for entry in entries])
        who = intent["gateway"]["instance"]
        yield Line(at_s, f"{who} announces {offsets} of {lane}{_among(among)}", frozenset({*named, *named.values()}))


def _settled(records: Records, wanted: Collection[str]) -> Iterator[Line]:
    def alike(each: tuple[float, Record]) -> tuple[Any, ...]:
        at_s, record = each
        place = record["input"]
        lane = f"{place['topic']}:{place['partition']}"
        return at_s, record["gateway"]["instance"], lane, record["outcome"], record["reason"], record["transmitted"]

    for (at_s, who, lane, outcome, reason, sent), group in groupby(
        sorted(_read(records[Topic.LEDGER]), key=alike), key=alike
    ):
        some = [record for _, record in group]
        offsets = _spans([record["input"]["offset"] for record in some])
        keys = {record["idempotency_key"] for record in some} - {None}
        among = [
            f"{record['input']['offset']} as {_short(record['idempotency_key'])}"
            for record in some
            if record["idempotency_key"] in wanted
        ]
        what = f"{who} settles {offsets} of {lane}{_among(among)}: {outcome}, {reason}, transmitted: {sent}"
        yield Line(at_s, what, frozenset({*keys, *map(_input, some)}))


def _asked(asked: Iterable[Asked], receipts: Sequence[bytes], wanted: Collection[str]) -> Iterator[Line]:
    for each in asked:
        content = orjson.loads(each.content)
        keys = content.get("idempotency_keys") or [entry["idempotency_key"] for entry in content["entries"]]
        tell = _looked_up if "idempotency_keys" in content else _sent
        told = tell(each, keys, receipts, wanted)
        yield Line(each.at_s if each.judged_s is None else each.judged_s, told + _lost(each), frozenset(keys))


def _lost(each: Asked) -> str:
    if each.status is None:
        return "; there is no answer"
    if not each.reached:
        return "; the answer is lost"
    return "" if each.status == OK else f"; the answer says {each.status}"


def _sent(each: Asked, keys: Sequence[str], receipts: Sequence[bytes], wanted: Collection[str]) -> str:
    if not each.receipts:
        known = _among([_short(key) for key in keys if key in wanted])
        return f"{each.client} sends {len(keys)} to GeNiE{known}, which takes none"
    lines = [(number, orjson.loads(receipts[number - 1])) for number in each.receipts]
    statuses = Counter(line["status"] for _, line in lines)
    among = [
        f"{_short(line['idempotency_key'])} {line['status']} as receipts:{number}"
        for number, line in lines
        if line["idempotency_key"] in wanted
    ]
    late = each.judged_s is not None and each.judged_s - each.at_s > LATE_S
    when = f", sent at {each.at_s:.3f}" if late else ""
    counts = ", ".join(f"{count} {status}" for status, count in statuses.items())
    return f"GeNiE judges what {each.client} sends{when}: {counts}{_among(among)}"


def _looked_up(each: Asked, keys: Sequence[str], receipts: Sequence[bytes], wanted: Collection[str]) -> str:
    del receipts
    known = _among([_short(key) for key in keys if key in wanted])
    said = f": {_answers(each.answer)}" if each.status == OK else ""
    return f"{each.client} asks GeNiE about {len(keys)}{known}{said}"


def _answers(answer: bytes) -> str:
    """How many there are of each; an answer may be nonsense."""
    try:
        statuses = Counter(result["status"] for result in orjson.loads(answer)["results"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "nonsense"
    return ", ".join(f"{count} {status}" for status, count in statuses.items())


def _read(raws: Iterable[Raw]) -> Iterator[tuple[float, Record]]:
    """In order of their times: each with the second of the story in which it was written."""
    for raw in sorted(raws, key=lambda raw: raw.timestamp):
        if raw.value is not None:
            yield (raw.timestamp - EPOCH_MS) / 1000, schemas.decode(raw.value)[1]


def _input(record: Record) -> str:
    place = record["input"]
    return f"{place['topic']}:{place['partition']}:{place['offset']}"


def _among(told: Sequence[str]) -> str:
    more = [f"and {len(told) - MOST_NAMED} more"] if len(told) > MOST_NAMED else []
    return f" ({'; '.join([*told[:MOST_NAMED], *more])})" if told else ""


def _short(name: str) -> str:
    """The start of a key, or of a subject's own part."""
    return name.removeprefix("cust-")[:SHORT]


def _spans(numbers: Sequence[int]) -> str:
    """3-5, 7"""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
