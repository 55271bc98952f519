"""Asks GeNiE whether it has exactly what the ledger says: of every key in a time, some hundred keys a question.

Knows what is read and asked when. Must not know how GeNiE is asked (questions.py) or what is wrong (books.py).

A record and GeNiE's word on its key mostly agree, and are forgotten. Where they don't, other records of the key may
tell why: it was provided before, or resolved since. So such a key is kept as in doubt, and of many of them at a time
all records of the whole ledger are read, and then GeNiE is asked again. What GeNiE has and the ledger still lacks may
be under way: then it is read where the lanes stand, then the ledger once more, then which batches were announced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from gateway.genie.contract import MAX_LOOKUP_KEYS
from gateway.kafka.scan import Span
from gateway.oncall.desk import Desk, Found
from gateway.oncall.ledger.books import Judged, Record, judged
from gateway.oncall.ledger.claims import Claim, claim
from gateway.oncall.ledger.findings import LISTED_MAX, Findings, Kind
from gateway.oncall.ledger.questions import Questions, Said
from gateway.oncall.ledger.source import BROKER_SKEW_MS, Ledger, LedgerEntry, Wanted
from gateway.oncall.ledger.standing import Standing, refuse_unknown, stand
from gateway.oncall.ledger.state import Saved, StateFile
from gateway.oncall.ledger.steps import Steps, bound

DOUBTS_MAX = 20_000  # keys in doubt at a time: their records are in memory together, some KB each


@dataclass(frozen=True, slots=True)
class Asked:
    """Which ledger records: those appended in a time (ms, either end open), as this group wrote them."""

    group: str
    since: int | None = None
    until: int | None = None


class Resolved(NamedTuple):
    """An outcome that nobody knew, and what GeNiE says of it."""

    place: str
    key: str
    received: bool
    what: str


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What came out; `asked` is what was looked at, as it was when the look began."""

    asked: Asked
    counts: Mapping[str, int]  # records: "records", "without_key", "unreadable", "agree"; keys: "explained" by other
    # records than those of the time, "under_way"; records: "resolved"
    claims: Mapping[str, int]  # records by what they say that GeNiE has
    findings: Findings
    resolved: Sequence[Resolved]
    requests: int  # made in this run


async def reconcile(
    desk: Desk, ledger: Ledger, questions: Questions, asked: Asked, path: Path | None = None, **options: str
) -> Reconciled:
    """Hold the ledger against GeNiE's books; with a `path` from where a look of these `options` was broken off.

    Raises what Desk.read, Ledger.read and Questions.ask raise, NoSuchGroupError and StateError.
    """
    await refuse_unknown(desk, asked.group)
    topics = (desk.names.ledger, desk.names.intents)
    about = await bound(desk, "reconcile", topics, group=asked.group, **options)
    state = StateFile(path, about) if path else None
    return await Reconciliation(desk, ledger, questions, asked, state).run()


class Reconciliation:
    """One look at one time."""

    def __init__(
        self, desk: Desk, ledger: Ledger, questions: Questions, asked: Asked, state: StateFile | None = None
    ) -> None:
        self._desk = desk
        self._ledger = ledger
        self._questions = questions
        self._asked = asked
        self._state = state
        saved = state.load() if state else None
        document: Mapping[str, Any] = saved.document if saved else {}
        if document:  # "3d" ago was another time then
            self._asked = replace(asked, since=document["since"], until=document["until"])
        self._steps = Steps(desk, self._save, document.get("steps"))
        self._findings = Findings.restored(document["findings"]) if document else Findings()
        self._counts = Counter[str](document.get("counts", {}))
        self._claims = Counter[str](document.get("claims", {}))
        self._resolved = [Resolved(*each) for each in document.get("resolved", ())]
        self._doubts = dict.fromkeys(document.get("doubts", ()))  # keys, in the order in which they came

    async def run(self) -> Reconciled:
        """Read and ask; at the end the state file is gone."""
        asked = self._asked
        until = None if asked.until is None else asked.until + BROKER_SKEW_MS
        with self._state.kept(self._saved) if self._state is not None else nullcontext():
            await self._steps.read("ledger", self._desk.names.ledger, self._take, Span(asked.since, until))
            await self._settle_doubts()
        resolved = sorted(self._resolved)
        return Reconciled(asked, self._counts, self._claims, self._findings, resolved, self._questions.asked)

    # --- record by record -----------------------------------------------------------------------------------

    async def _take(self, found: Sequence[Found]) -> None:
        """What is counted is counted at the end, at once: broken off before, the same records come again."""
        if len(self._doubts) >= DOUBTS_MAX:
            await self._settle_doubts()
        time = Wanted(self._asked.since, self._asked.until)
        found = [each for each in found if time.in_time(each.timestamp)]
        by_key: dict[str, list[Record]] = {}
        read = [each.record for each in found if each.record is not None]
        for record in read:
            if record["idempotency_key"] is not None:
                by_key.setdefault(record["idempotency_key"], []).append(record)
        said = await self._ask(list(by_key))
        unsure = {
            key: sum(not _is_sure(record, said.get(key)) for record in records) for key, records in by_key.items()
        }
        self._doubts |= dict.fromkeys(key for key, records in unsure.items() if records)
        self._counts["records"] += len(found)
        self._counts["unreadable"] += len(found) - len(read)
        for each in found:
            if each.record is None:
                why = each.why.sentence if each.why is not None else "It has no value."
                self._findings.add(Kind.UNREADABLE, each.topic, each.partition, each.offset, why)
        self._counts["without_key"] += sum(record["idempotency_key"] is None for record in read)
        self._counts["agree"] += sum(map(len, by_key.values())) - sum(unsure.values())
        self._claims.update(claim(record).name for record in read if record["idempotency_key"] is not None)

    async def _ask(self, keys: Sequence[str], *, tell: bool = False) -> dict[str, Said]:
        said: dict[str, Said] = {}
        for done, some in enumerate(_chunks(keys, MAX_LOOKUP_KEYS), 1):
            said |= await self._questions.ask(some)
            if tell:
                self._desk.tell("keys in doubt", min(done * MAX_LOOKUP_KEYS, len(keys)), len(keys))
        return said

    # --- keys in doubt --------------------------------------------------------------------------------------

    async def _settle_doubts(self) -> None:
        for keys in _chunks(list(self._doubts), DOUBTS_MAX):
            histories = await self._histories(keys)
            said = await self._ask(keys, tell=True)
            results = {key: judged(records, said.get(key)) for key, records in histories.items()}
            unrecorded = [key for key, result in results.items() if result.is_not_recorded]
            again, under_way = await self._once_more(unrecorded, said)
            results |= again
            for key in keys:
                self._note(key, results[key], under_way)
                del self._doubts[key]
        self._save()

    async def _histories(self, keys: Collection[str]) -> dict[str, list[Record]]:
        """All records of these keys that the ledger has now, in the order in which they were settled."""
        entries: list[LedgerEntry] = []
        await self._ledger.read(entries.extend, Wanted(keys=frozenset(keys)))
        entries.sort(key=lambda entry: (entry.record["settled_at"], entry.partition, entry.offset))
        histories: dict[str, list[Record]] = {key: [] for key in keys}
        for entry in entries:
            histories[entry.record["idempotency_key"]].append(entry.record)
        return histories

    async def _once_more(
        self, keys: Collection[str], said: Mapping[str, Said]
    ) -> tuple[dict[str, Judged], Collection[str]]:
        """Of what GeNiE had when asked: what the lanes had settled before the ledger is read again is in it. Besides,
        which keys are under way."""
        if not keys:
            return {}, ()
        names = self._desk.names
        lanes = await stand(self._desk, self._asked.group, (names.payments, names.scores, names.replays))
        histories = await self._histories(keys)
        under_way = await self._under_way(frozenset(keys), lanes)
        return {key: judged(histories[key], said.get(key)) for key in keys}, under_way

    async def _under_way(self, keys: frozenset[str], lanes: Mapping[str, Standing]) -> set[str]:
        """Those that were announced at an offset that its lane has not settled."""
        found: set[str] = set()

        def take(some: Sequence[Found]) -> None:
            for each in some:
                lane = lanes.get(each.record["lane"]) if each.record is not None else None
                if each.record is None or lane is None or lane.watermark is None:
                    continue
                entries = (entry for entry in each.record["entries"] if entry["idempotency_key"] in keys)
                found.update(entry["idempotency_key"] for entry in entries if not lane.has_settled(entry["offset"]))

        await self._desk.read(self._desk.names.intents, take)
        return found

    def _note(self, key: str, result: Judged, under_way: Collection[str]) -> None:
        if result.is_not_recorded and key in under_way:
            self._counts["under_way"] += 1
            return
        self._counts["explained"] += result.agree
        for each in result.differences:
            at = each.record["input"]
            self._findings.add(each.kind, at["topic"], at["partition"], at["offset"], f"{each.what}; key {key}")
        for resolution in result.resolutions:
            self._counts["resolved"] += 1
            if len(self._resolved) < LISTED_MAX:
                at = resolution.record["input"]
                place = f"{at['topic']}:{at['partition']}:{at['offset']}"
                self._resolved.append(Resolved(place, key, resolution.received, resolution.what))

    def _save(self) -> None:
        if self._state is not None:
            self._state.save(self._saved())

    def _saved(self) -> Saved:
        document = {
            "since": self._asked.since,
            "until": self._asked.until,
            "steps": self._steps.saved(),
            "findings": self._findings.saved(),
            "counts": self._counts,
            "claims": self._claims,
            "resolved": [list(each) for each in self._resolved],
            "doubts": list(self._doubts),
        }
        return Saved(document)


def _is_sure(record: Record, said: Said | None) -> bool:
    """Whether this record by itself agrees with GeNiE."""
    return claim(record) is not Claim.UNKNOWN and judged([record], said).agree


def _chunks(keys: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (keys[at : at + size] for at in range(0, len(keys), size))
