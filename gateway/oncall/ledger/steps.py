"""Reads topics step by step, each from where it was left, and says now and then that it is time to save.

Knows which steps are done, and how far the one under way is. Must not know what is read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import isawaitable
from typing import Any

from gateway.kafka.cluster import TopicMissingError, describe
from gateway.kafka.scan import Span, scan
from gateway.oncall.desk import Desk

SAVE_EVERY = 200_000  # records: a state file of a million inputs is some 30 MB

TakeRaw = Callable[[Sequence[Any]], Awaitable[None] | None]


class Steps:
    """The steps of one look; `save` is called with all records taken that `saved` counts as read."""

    def __init__(self, desk: Desk, save: Callable[[], None], saved: Mapping[str, Any] | None = None) -> None:
        self._desk = desk
        self._save = save
        self._done: list[str] = list(saved["done"]) if saved else []
        self._at = {
            step: {int(partition): offset for partition, offset in at.items()}
            for step, at in (saved["at"] if saved else {}).items()
        }
        self._unsaved = 0

    def saved(self) -> dict[str, Any]:
        """For a state file."""
        at = {step: {str(partition): offset for partition, offset in ends.items()} for step, ends in self._at.items()}
        return {"done": self._done, "at": at}

    def is_done(self, step: str) -> bool:
        return step in self._done

    def finish(self, step: str) -> None:
        """It need not be done again."""
        self._done.append(step)
        self._save()

    def ends(self, step: str) -> Mapping[int, int]:
        """The offset after what was read, for each partition."""
        return self._at.get(step, {})

    async def read(self, step: str, topic: str, take: TakeRaw, span: Span, *, decoded: bool = True) -> None:
        """Hand what is left of a topic to `take`: as the desk finds records, or raw if nothing of them is read.

        Raises what Desk.read raises.
        """
        if self.is_done(step):
            return
        at = self._at.setdefault(step, {})

        async def taking(records: Sequence[Any]) -> None:
            if not records:
                return
            taken = take(records)
            if isawaitable(taken):
                await taken
            at[records[0].partition] = records[-1].offset + 1
            self._unsaved += len(records)
            if self._unsaved >= SAVE_EVERY:
                self._unsaved = 0
                self._save()

        starts = {number: max(at.get(number, 0), first) for number, first in (await self._starts(topic, span)).items()}
        part = Span(span.since, span.until, starts)
        if decoded:
            ends = await self._desk.read(topic, taking, part)
        else:
            ends = await scan(self._desk.connection, self._desk.client, topic, taking, self._desk.tell, part)
        at.update(ends)
        self.finish(step)

    async def _starts(self, topic: str, span: Span) -> Mapping[int, int]:
        if span.starts is not None:
            return span.starts
        cluster = await describe(self._desk.client, [topic])
        if topic not in cluster.topics:
            raise TopicMissingError([topic])
        return dict.fromkeys(cluster.topics[topic].leaders, 0)


async def bound(desk: Desk, look: str, topics: Sequence[str], **options: str) -> dict[str, Any]:
    """What binds a state file to one look: a topic that was made anew has another id."""
    cluster = await describe(desk.client, topics)
    if missing := set(topics) - cluster.topics.keys():
        raise TopicMissingError(missing)
    return {
        "command": look,
        "cluster": cluster.id,
        "topics": {topic: str(cluster.topics[topic].id) for topic in topics},
        **options,
    }
