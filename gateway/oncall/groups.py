"""What is told of a consumer group that is not there: those that are, the ones most like it first."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from gateway.oncall.reveal import plain

NAMED = 6


def missing(name: str, others: Sequence[str], so: str) -> str:
    """The sentence, with what follows from it, and what to do."""
    likely = [plain(each) for each in get_close_matches(name, others, n=NAMED, cutoff=0.0)]
    more = f" and {len(others) - len(likely)} more" if len(others) > len(likely) else ""
    there = f"there is {', '.join(likely)}{more}" if others else "there is none, or none may be seen"
    return f"Kafka has no group {plain(name)}, so {so}: {there}. Check --group (GATEWAY_KAFKA__GROUP_ID)."
