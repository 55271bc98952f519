"""A client that knows of no living broker any more asks those that it was given."""

from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from gateway.kafka import rebootstrap


class Client:
    """Its updates succeed as told, one after the other."""

    def __init__(self, *updates: bool, is_away: bool = False) -> None:
        self.updates = list(updates)
        self.is_away = is_away
        self.bootstraps = 0

    async def bootstrap(self) -> None:
        self.bootstraps += 1
        if self.is_away:
            raise KafkaConnectionError


@pytest.mark.parametrize(
    ("client", "succeeds", "bootstraps"),
    [
        (Client(True), True, 0),
        (Client(False, True), True, 1),
        (Client(False, False), False, 1),
        (Client(False, is_away=True), False, 1),
    ],
)
async def test_an_update_that_fails_is_made_again_from_the_beginning(
    monkeypatch: pytest.MonkeyPatch, client: Client, succeeds: bool, bootstraps: int
) -> None:
    """Once; whoever needs the metadata asks again."""

    async def update(asked: Client, cluster: object, topics: object) -> bool:
        return asked.updates.pop(0)

    monkeypatch.setattr(rebootstrap, "_update", update)
    asked: Any = client
    assert await rebootstrap._update_or_bootstrap(asked, None, []) is succeeds
    assert (client.bootstraps, client.updates) == (bootstraps, [])
