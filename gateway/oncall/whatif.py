"""What a replay of one input record would come to now."""

from __future__ import annotations

from gateway.core.holds import Hold, HoldScope
from gateway.core.reasons import Reason
from gateway.oncall import times
from gateway.oncall.desk import Desk, Found
from gateway.oncall.standing import Rules, Standing, Verdict


async def what_if(desk: Desk, found: Found, rules: Rules) -> Verdict:
    """Decide now what a replay of this input record would come to.

    Raises TopicMissingError, KafkaUnavailableError, RegistryAway.
    """
    if found.why is not None:  # of what kills a decoder nobody asks again
        return Verdict(times.now_ms(), found.why)
    standing = Standing(desk, rules)
    key = None if found.key is None else found.key.encode()
    event = standing.event(found.topic, key, found.value)
    if isinstance(event, Reason):
        return Verdict(times.now_ms(), event)
    await standing.read([event.subject_ref])
    return standing.decide(event, f"{found.topic}:{found.partition}")


def hold_in_words(hold: Hold) -> str:
    """`subject subject-1a`, `all`."""
    return hold.scope.value if hold.scope is HoldScope.ALL else f"{hold.scope.value} {hold.value}"
