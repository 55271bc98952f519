"""The member of the group: what it knows by its heartbeats, and what it says when they stop."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.protocol.group import HeartbeatRequest, LeaveGroupRequest

from gateway.kafka import membership
from gateway.kafka.membership import GroupSettings, InstanceIdTakenError, Membership, MembershipLostError
from gateway.kafka.requests import StaticHeartbeatRequest

SETTINGS = GroupSettings("credit-gateway", None, 6_000, 60_000)


class Coordinator:
    """aiokafka's, with heartbeats that end as the test says."""

    generation, member_id = 5, "member-1"

    def __init__(self) -> None:
        self.succeeds = True
        self.error_code = 0
        self.sent: list[object] = []
        self._do_heartbeat = self._beat
        self._send_req = self._send

    async def _beat(self) -> bool:
        return self.succeeds

    async def _send(self, request: object) -> object:
        self.sent.append(request)
        return SimpleNamespace(error_code=self.error_code)


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


async def test_only_a_heartbeat_from_now_on_confirms_the_membership() -> None:
    """One that was heard before says nothing of the time since, and one that fails says the opposite."""
    coordinator = Coordinator()
    member = Membership(SETTINGS, "kafka-1:9092", pytest.fail)
    consumer: Any = SimpleNamespace(_coordinator=coordinator)
    member.watch(consumer)
    assert await coordinator._do_heartbeat()
    confirming = asyncio.create_task(member.confirm())
    await asyncio.sleep(0)
    coordinator.succeeds = False
    assert not await coordinator._do_heartbeat()
    await asyncio.sleep(0)
    assert not confirming.done()
    coordinator.succeeds = True
    await coordinator._do_heartbeat()
    await confirming


FENCED = 82


@pytest.mark.parametrize(
    ("instance_id", "code", "is_taken"),
    [("gateway-1", FENCED, True), ("gateway-1", 0, False), ("gateway-1", 27, False), (None, FENCED, False)],
)
async def test_who_has_our_instance_id_is_told_by_a_heartbeat_that_names_it(
    instance_id: str | None, code: int, is_taken: bool
) -> None:
    """aiokafka's own heartbeat does not name it; other requests stay as they are, and so does a member without one."""
    coordinator, failures = Coordinator(), []
    coordinator.error_code = code
    settings = GroupSettings("credit-gateway", instance_id, 6_000, 60_000)
    consumer: Any = SimpleNamespace(_coordinator=coordinator)
    Membership(settings, "kafka-1:9092", failures.append).watch(consumer)
    await coordinator._send_req(HeartbeatRequest("credit-gateway", 5, "member-1"))
    await coordinator._send_req(LeaveGroupRequest("credit-gateway", "member-1"))
    kinds = [StaticHeartbeatRequest if instance_id else HeartbeatRequest, LeaveGroupRequest]
    assert [type(request) for request in coordinator.sent] == kinds
    assert [type(failure) for failure in failures] == [InstanceIdTakenError] * (2 if is_taken else 0)
