"""What the brokers say of this process as a member of its group: that it is one, or that another has its place.

Knows aiokafka's coordinator, which tells nobody of a heartbeat that succeeded, and does not know when another process
takes its group.instance.id. Must not know partitions, or what is done about a membership that is lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.protocol.group import HeartbeatRequest

from gateway.kafka.requests import StaticHeartbeatRequest

_FENCED_INSTANCE_ID = 82


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """How this process is a member of the group; times in ms."""

    group: str
    instance_id: str | None
    session_timeout_ms: int
    rebalance_timeout_ms: int


class MembershipLostError(Exception):
    """The group did not confirm within the session timeout that this process is still a member."""

    def __init__(self, settings: GroupSettings, bootstrap: str) -> None:
        super().__init__(
            f"group {settings.group}: no heartbeat within {settings.session_timeout_ms} ms (kafka.session_timeout_ms) "
            f"was answered by {bootstrap} (kafka.bootstrap_servers), so others may have our lanes. Check that the "
            "brokers are up and reachable, and that this machine does not pause. The next start goes on from what is "
            "committed."
        )


class InstanceIdTakenError(Exception):
    """Another process has joined the group with our group.instance.id; or the brokers think so, because they crashed
    just after we took it over from a process before us, and forgot it: they answer both alike."""

    def __init__(self, group: str, instance_id: str) -> None:
        super().__init__(
            f"kafka.group_instance_id: found {instance_id}, but another process has joined group {group} with it "
            "and has our lanes now; give each process its own GATEWAY_KAFKA__GROUP_INSTANCE_ID. If none has, and "
            "brokers have just crashed, they forgot that we had: start again"
        )


class Membership:
    """One member of the group. `failed` is told that another process has taken its group.instance.id."""

    def __init__(self, settings: GroupSettings, bootstrap: str, failed: Callable[[BaseException], None]) -> None:
        self._settings = settings
        self._bootstrap = bootstrap
        self._failed = failed
        self._heartbeat = asyncio.Event()
        self._heard_at = time.monotonic()
        self._coordinator: Any = None

    def heard(self) -> None:
        """The brokers have answered something just now."""
        self._heard_at = time.monotonic()

    def silence(self) -> float:
        """Seconds since the brokers last answered."""
        return time.monotonic() - self._heard_at

    @property
    def is_silent(self) -> bool:
        """Whether they have not for longer than the session: the group may have given our partitions to others."""
        return self.silence() > self._settings.session_timeout_ms / 1000

    @property
    def member_id(self) -> str:
        """What the group calls this process; empty before it has joined."""
        return "" if self._coordinator is None else str(self._coordinator.member_id)

    async def confirm(self) -> None:
        """Wait for a heartbeat of this generation from now on; raises MembershipLostError."""
        self._heartbeat.clear()
        try:
            async with asyncio.timeout(self._settings.session_timeout_ms / 1000):
                await self._heartbeat.wait()
        except TimeoutError:
            raise MembershipLostError(self._settings, self._bootstrap) from None

    def watch(self, consumer: AIOKafkaConsumer) -> None:
        """Learn of its heartbeats, once it is started. Those of aiokafka don't let the group tell us apart from another
        process with our group.instance.id: two of them would take the lanes from each other for ever."""
        coordinator: Any = consumer._coordinator
        self._coordinator = coordinator
        heartbeat, send = coordinator._do_heartbeat, coordinator._send_req
        group, instance_id = self._settings.group, self._settings.instance_id

        async def sent(request: Any) -> Any:
            if instance_id is not None and isinstance(request, HeartbeatRequest):
                request = StaticHeartbeatRequest(group, coordinator.generation, coordinator.member_id, instance_id)
            answer = await send(request)
            if instance_id is not None and getattr(answer, "error_code", 0) == _FENCED_INSTANCE_ID:
                self._failed(InstanceIdTakenError(group, instance_id))
            return answer

        async def observed() -> bool:
            succeeded: bool = await heartbeat()
            if succeeded:
                self._heartbeat.set()
                self.heard()
            return succeeded

        coordinator._do_heartbeat, coordinator._send_req = observed, sent
