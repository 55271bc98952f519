"""The member of the group: what it knows by its heartbeats, and what it says when they stop."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.kafka import membership
from gateway.kafka.membership import GroupSettings, Membership, MembershipLostError

SETTINGS = GroupSettings("credit-gateway", None, 6_000, 60_000)


class Coordinator:
    """aiokafka's, with heartbeats that end as the test says."""

    def __init__(self) -> None:
        self.succeeds = True
        self._do_heartbeat = self._beat
        self._send_req = self._send

    async def _beat(self) -> bool:
        return self.succeeds

    async def _send(self, request: object) -> object:
        return request


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that the test sets."""
    now = SimpleNamespace(s=100.0)
    monkeypatch.setattr(membership.time, "monotonic", lambda: now.s)
    return now


async def test_silence_counts_from_what_the_brokers_last_said(clock: SimpleNamespace) -> None:
    """A heartbeat that succeeds and any other answer end it, one that fails does not; past the session it is long."""
    coordinator = Coordinator()
    member = Membership(SETTINGS, "kafka-1:9092", pytest.fail)
    consumer: Any = SimpleNamespace(_coordinator=coordinator)
    member.watch(consumer)
    clock.s += 6
    assert (member.silence(), member.is_silent) == (6, False)
    clock.s += 1
    coordinator.succeeds = False
    await coordinator._do_heartbeat()
    assert (member.silence(), member.is_silent) == (7, True)
    coordinator.succeeds = True
    await coordinator._do_heartbeat()
    assert (member.silence(), member.is_silent) == (0, False)
    clock.s += 7
    member.heard()
    assert (member.silence(), member.is_silent) == (0, False)


async def test_a_membership_that_is_not_confirmed_says_where_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads the one line that ends the process learns group, brokers, settings and remedy."""
    plain = asyncio.timeout
    monkeypatch.setattr(membership.asyncio, "timeout", lambda seconds: plain(seconds / 1_000_000))
    with pytest.raises(MembershipLostError) as lost:
        await Membership(SETTINGS, "kafka-1:9092", pytest.fail).confirm()
    for words in ("no heartbeat within 6000 ms", "credit-gateway", "kafka-1:9092", "kafka.bootstrap_servers", "Check"):
        assert words in str(lost.value)
