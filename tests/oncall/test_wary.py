"""No command of the desk dies of an input record that kills the decoder, whether the gateway has met it yet or not."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.core.reasons import Reason
from gateway.kafka import taster
from gateway.kafka.codec import Codec
from tests.integration.chosen_records import a_customer
from tests.oncall.desk_world import OPERATOR, T0, DeskWorld, number_id
from tests.promises import deadly_decoder
from tests.promises.deadly_decoder import ENDS_PROCESS

DEADLY = {"customer": a_customer("subject-1a", memo=ENDS_PROCESS.decode())}
SETTLED, NEW, GOOD = number_id(1), number_id(2), number_id(3)


@pytest.fixture(scope="module")
def world(desk_world: DeskWorld) -> DeskWorld:
    """One such record is settled, one is not; a good one is behind them."""
    desk_world.add_consent("subject-1a", record_id=number_id(9))
    settled = desk_world.add_payment("subject-1a", event_id=SETTLED, **DEADLY)
    told = {"outcome": "INVALID", "event_id": None, "event_type": None, "consent": None, "idempotency_key": None}
    desk_world.add_withheld(settled, None, "kills_decoder", **told)
    desk_world.add_payment("subject-1a", event_id=NEW, at=T0 + 1_000, **DEADLY)
    desk_world.add_payment("subject-1a", event_id=GOOD, at=T0 + 2_000)
    return desk_world


@pytest.fixture(autouse=True)
def _deadly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The child dies of them; this process, which stands for the command's, would too."""
    decode = Codec.decode

    def dies(self: Codec, topic: str, value: bytes | None) -> Any:
        assert value is None or ENDS_PROCESS not in value, "the command is dead"
        return decode(self, topic, value)

    monkeypatch.setattr(Codec, "decode", dies)
    monkeypatch.setattr(taster, "COMMAND", (sys.executable, "-m", deadly_decoder.__name__))
    yield


def asked(world: DeskWorld, *arguments: str) -> Any:
    result = world.run(["explain", *arguments, "--json"])
    assert result.status == 0, result
    return json.loads(result.stdout)


def test_a_settled_one_is_told(world: DeskWorld) -> None:
    """How it ended is in the ledger; what it would be now needs no decoder in the command."""
    told = asked(world, "--offset", f"{world.names.payments}:0:0", "--what-if")
    assert [record["reason"] for record in told["records"]] == ["kills_decoder"]
    assert (told["what_if"]["permit"], told["what_if"]["reason"]) == (False, "kills_decoder")


def test_one_to_come_is_told(world: DeskWorld) -> None:
    """The gateway has not met it: whoever asks why its lane stands still learns it before the lane does."""
    told = asked(world, "--offset", f"{world.names.payments}:0:1", "--reveal", *OPERATOR)
    assert told["story"][0]["unreadable"] == "kills_decoder"
    assert (told["event_id"], told["original"]["unreadable"]) == (None, Reason.KILLS_DECODER.sentence)


def test_one_among_those_looked_through_does_no_harm(world: DeskWorld) -> None:
    """By its id an event is looked for in all that is not settled yet."""
    told = asked(world, GOOD, "--what-if")
    assert [record["place"] for record in told["records"]] == ["prefixed1.lease.payments:0:2"]
    assert told["what_if"]["permit"]


def test_one_asked_for_by_its_id_does_no_harm_either(world: DeskWorld) -> None:
    """Nobody knows its id but who wrote it, and the bytes say it."""
    assert world.run(["explain", NEW]).status == 1
