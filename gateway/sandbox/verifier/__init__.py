"""The independent verifier: reads what went in, what GeNiE received and what the ledger says, and counts defects.

It shares no decision code with the gateway: what consent allows and what a body may hold are written a second time.
Run it while the topics still hold everything: before retention deletes inputs and compaction old consents.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from gateway.sandbox.verifier import policy, receipts, texts
from gateway.sandbox.verifier.history import History, Raw, Topic
from gateway.sandbox.verifier.judge import DEFAULT_SKEW_MS, Judge
from gateway.sandbox.verifier.receipts import ReceiptsError
from gateway.sandbox.verifier.topics import Progress, Topics, TopicsError
from gateway.sandbox.verifier.verdict import Defect, Example, Findings, Verdict

DEFAULT_EXAMPLES = 5

__all__ = [
    "DEFAULT_EXAMPLES",
    "DEFAULT_SKEW_MS",
    "Defect",
    "Example",
    "Progress",
    "ReceiptsError",
    "TopicsError",
    "Verdict",
    "verify",
]


def verify(
    bootstrap: str,
    receipts_file: Path,
    *,
    prefix: str = "",
    logs: Sequence[Path] = (),
    metrics: Path | None = None,
    complete: bool = False,
    examples: int = DEFAULT_EXAMPLES,
    skew_ms: int = DEFAULT_SKEW_MS,
    progress: Progress = lambda topic, done, total: None,
) -> Verdict:
    """The verdict on everything so far. It runs an event loop of its own: call it in a thread where one runs already.

    Raises TopicsError, ReceiptsError or OSError where something cannot be read.
    """
    findings = Findings(examples)

    def leaked(where: str, what: str) -> None:
        findings.add(Defect.LEAKED_FIELDS, where, what)

    # What GeNiE has now is judged by what the ledger says later, and what the ledger says by what GeNiE has after that.
    received_until = receipts_file.stat().st_size
    history = History(leaked)
    try:
        asyncio.run(_read(history, bootstrap, prefix, progress))
        taken_until = receipts_file.stat().st_size
        for path in (*logs, *((metrics,) if metrics else ())):
            for where, what in texts.leaks(path, history.personal.canaries):
                leaked(where, what)
        judge = Judge(history, policy.load(), findings, complete=complete, skew_ms=skew_ms)
        return judge.verdict(
            receipts.read(receipts_file, received_until),
            receipts.read(receipts_file, taken_until, since=received_until),
        )
    finally:
        history.close()


async def _read(history: History, bootstrap: str, prefix: str, progress: Progress) -> None:
    async with Topics(bootstrap) as topics:
        for topic in Topic:
            async for record in topics.records(prefix + topic.value, progress):
                history.add(
                    topic,
                    Raw(
                        record.topic,
                        record.partition,
                        record.offset,
                        record.timestamp,
                        record.key,
                        record.value,
                        record.headers,
                    ),
                )
