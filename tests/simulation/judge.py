"""The verdict on a story: the sandbox's independent verifier, over what the topics and GeNiE's receipts say.

Knows how records and receipts get to the verifier. Must not know what a defect is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from gateway.sandbox.verifier import policy
from gateway.sandbox.verifier.history import History, Raw, Topic
from gateway.sandbox.verifier.judge import Judge
from gateway.sandbox.verifier.receipts import parse
from gateway.sandbox.verifier.verdict import Defect, Findings, Verdict

EXAMPLES = 5  # of each kind of defect


def verdict(
    records: Mapping[Topic, Iterable[Raw]],
    receipts: Sequence[bytes],
    logs: Iterable[str],
    *,
    skew_ms: int,
    drift_ms: int,
) -> Verdict:
    """What the verifier finds when all is settled."""
    findings = Findings(EXAMPLES)

    def leaked(where: str, what: str) -> None:
        findings.add(Defect.LEAKED_FIELDS, where, what)

    history = History(leaked)
    try:
        for topic in Topic:
            for raw in records[topic]:
                history.add(topic, raw)
        for number, line in enumerate(logs, 1):
            for field in history.personal.canaries.found(line):
                leaked(f"log:{number}", f"a value of {field}")
        judge = Judge(history, _policy(), findings, complete=True, skew_ms=skew_ms, drift_ms=drift_ms)
        return judge.verdict(parse(f"receipts:{number}", line) for number, line in enumerate(receipts, 1))
    finally:
        history.close()


@cache
def _policy() -> policy.Policy:
    return policy.load()


def violations(found: Verdict) -> list[str]:
    """Each defect in words."""
    told = [
        f"{name}: {example.where} {example.key or ''}: {example.what}"
        for name, examples in found.examples.items()
        for example in examples
    ]
    return [*told, *([f"sent while held: {found.sent_while_held}"] if found.sent_while_held else [])]
