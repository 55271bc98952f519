"""Whether a group has members."""

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.kafka import connection
from gateway.kafka.group import GroupInUseError, refuse_live_group

NOT_COORDINATOR = 16


class Client:
    """Gives its answers one after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    async def coordinator_lookup(self, kind: object, group: str) -> int:
        return 1

    async def send(self, node: int, request: object) -> Any:
        return self.answers.pop(0)


def described(state: str, code: int = 0) -> Any:
    return SimpleNamespace(groups=[(code, "group", state, "consumer", "", [], 0)])


@pytest.mark.parametrize("told", [described("Empty"), described("Dead"), described(""), described("", 69)])
async def test_a_group_without_members_may_be_changed(told: Any) -> None:
    """Also one that there is not."""
    client: Any = Client(told)
    await refuse_live_group(client, "group")


@pytest.mark.parametrize("state", ["Stable", "PreparingRebalance", "CompletingRebalance"])
async def test_a_group_with_members_is_theirs(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    """An error is no answer: it is asked again."""
    monkeypatch.setattr(connection, "RETRY_BACKOFF_S", 0)
    client: Any = Client(described("", NOT_COORDINATOR), described(state))
    with pytest.raises(GroupInUseError, match=f"group group is in state {state}"):
        await refuse_live_group(client, "group")
