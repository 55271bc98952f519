"""Writes the requests of one plan, each batch whole or not at all, and as the only one who does.

Knows transactions. Must not know which requests are still to be written.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.kafka.connection import KafkaUnavailableError
from gateway.kafka.transactions import COMMIT_TIMEOUT_S, Doubtful, Fenced, LaneProducer, Outgoing, Produced
from gateway.oncall import times
from gateway.oncall.audit import Operator
from gateway.oncall.desk import Desk
from gateway.oncall.replay.plan_file import Entry, Plan


class TakenOverError(Exception):
    """Another apply or a cancel of the same plan writes, or forbids, what is left."""


class _Producer(LaneProducer):
    """A lane's producer of transactions without offsets."""

    async def commit_alone(self) -> None:
        """Commit the transaction."""
        async with self._clear(COMMIT_TIMEOUT_S, "commit") as producer:
            await producer.commit()


class RequestWriter:
    """Who has taken over last writes; all others can't any more."""

    def __init__(self, desk: Desk, plan: Plan) -> None:
        self._desk = desk
        self._plan = plan
        self._producer = _Producer(desk.connection, plan.transactional_id)

    async def take_over(self) -> None:
        """Fence whoever writes requests of this plan: what is on the topic then stays all there is, until `write`.

        Raises KafkaUnavailableError.
        """
        try:
            await self._producer.take_over()
        except Doubtful as error:
            raise KafkaUnavailableError("taking over the plan's requests", str(error)) from error

    async def write(self, entries: Sequence[Entry], operator: Operator) -> tuple[Produced, ...]:
        """Ask for these records; where each request lies. All are there, or (with an exception) none or all.

        Raises TakenOverError, or KafkaUnavailableError if it is not known what was written.
        """
        topic = self._desk.names.replays
        now = times.now_ms()
        outgoing = [
            Outgoing(
                topic,
                None,
                entry.subject_ref.encode(),
                await self._desk.encoded(topic, self._record(entry, operator, now)),
            )
            for entry in entries
        ]
        try:
            produced = await self._producer.begin_and_produce(outgoing)
            await self._producer.commit_alone()
        except Fenced:
            raise TakenOverError(
                "another apply or a cancel of this plan has taken over: nothing more is written by this one. "
                "`gateway replay status` says how far it is"
            ) from None
        except Doubtful as error:
            raise KafkaUnavailableError(
                f"asking for {len(entries)} replays",
                f"{error}. It is not known whether they were written: run the same command again, it finds out",
            ) from error
        return produced

    async def close(self) -> None:
        """Let go; an open transaction is never committed."""
        await self._producer.drop()

    def _record(self, entry: Entry, operator: Operator, now: int) -> dict[str, object]:
        return {
            "request_id": self._plan.request_id(entry),
            "plan_id": self._plan.plan_id,
            "plan_digest": self._plan.digest,
            "input": {"topic": entry.topic, "partition": entry.partition, "offset": entry.offset},
            "subject_ref": entry.subject_ref,
            "requested_at": now,
            "operator": operator.name,
            "reason": operator.reason,
            "ticket": operator.ticket,
        }
