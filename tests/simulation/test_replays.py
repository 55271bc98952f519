"""What on-call asks for again, and what is seen of it: of records written by hand."""

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gateway import schemas
from gateway.sandbox.verifier.history import Raw, Topic
from tests.integration.chosen_records import a_replay
from tests.simulation import replays_seen
from tests.simulation.replays import Replays, Settled, request

PLAN = str(uuid.uuid4())
PARKED = Settled("lease.payments", 0, 3, "subject-1a", "held")
SUBJECT = b"subject-1a"
REQUEST = str(uuid.uuid4())
Records = Mapping[Topic, Sequence[Raw]]


def test_a_second_apply_asks_under_the_same_id() -> None:
    """And another plan, or another record of the plan, under another."""
    other = Settled("lease.payments", 0, 4, "subject-1a", "held")
    ids = [request(plan, of, now)["request_id"] for plan, of, now in ((PLAN, PARKED, 1), (PLAN, PARKED, 2))]
    assert ids[0] == ids[1]
    assert (
        len({ids[0], request(PLAN, other, 1)["request_id"], request(str(uuid.uuid4()), PARKED, 1)["request_id"]}) == 3
    )


def test_races_are_run() -> None:
    """Of many plans some are applied twice, some beside another plan, some while the consent changes."""
    asked: Counter[tuple[str, str]] = Counter()
    changed: list[str] = []
    replays = Replays(
        1,
        lambda: [PARKED],
        lambda plan, target: asked.update([(plan, target.place)]),
        changed.append,
        lambda _, act: act(),
    )
    for _ in range(200):
        replays.apply()
    assert max(asked.values()) > 1
    assert len(asked) > 220
    assert changed.count(PARKED.subject) > 50


def ledger(lane: str, offset: int, outcome: str, reason: str, at: int, of: int | None = None) -> Raw:
    """A ledger record, of an input or of a replay of one."""
    topic, _, partition = lane.rpartition(":")
    place = {"cluster_id": "c", "topic": topic, "partition": int(partition), "offset": offset, "timestamp": 0}
    record: dict[str, Any] = {
        "input": place,
        "source_digest": bytes(32),
        "event_id": None,
        "event_type": None,
        "subject_ref": "subject-1a",
        "outcome": outcome,
        "reason": reason,
        "transmitted": "no",
        "recipient": {"id": "genie", "name": "n", "address": "a", "representative": "r"},
        "consent": None,
        "items": [],
        "permitted_purposes": [],
        "idempotency_key": "k" * 43,
        "body_digest": None,
        "receipt": None,
        "attempts": 0,
        "decided_at": at,
        "announced_at": None,
        "settled_at": at,
        "replay_of": None
        if of is None
        else {"topic": "lease.payments", "partition": 0, "offset": of, "request_id": REQUEST},
        "mapping_version": 1,
        "gateway": {"version": "1", "instance": "two"},
    }
    return Raw(Topic.LEDGER.value, 0, at, at, SUBJECT, schemas.encode("ProvisionRecord", record))


def parked(offset: int, *, stands: bool, at: int) -> Raw:
    """A parked record of an input, or its tombstone."""
    key = f"lease.payments:0:{offset}".encode()
    return Raw(Topic.PARKED.value, 0, at, at, key, b"what it says is not read" if stands else None)


def records(**topics: Sequence[Raw]) -> Records:
    """What the topics hold."""
    return {topic: topics.get(topic.name, ()) for topic in Topic}


def asked_at(*times: int) -> list[Raw]:
    """Requests for input 3."""
    value = schemas.encode("ReplayRequest", a_replay("subject-1a", "lease.payments", 0, 3))
    return [Raw(Topic.REPLAYS.value, 0, offset, at, SUBJECT, value) for offset, at in enumerate(times)]


HELD = ledger("lease.payments:0", 3, "PARKED", "held", 10)
REPLAY = "genie.replay.requests:0"


def test_what_is_parked_and_resolved_as_the_ledger_says() -> None:
    """A parked record, and its tombstone once a replay is settled."""
    told = records(
        LEDGER=[HELD, ledger(REPLAY, 0, "PROVIDED", "accepted", 20, of=3)],
        PARKED=[parked(3, stands=True, at=10), parked(3, stands=False, at=20)],
        REPLAYS=asked_at(15),
    )
    assert list(replays_seen.wrongly_parked(told)) == []
    seen = replays_seen.seen(told, [])
    assert (seen["replay PROVIDED"], seen["a parked record resolved"]) == (1, 1)


@pytest.mark.parametrize(
    ("there", "wrong"),
    [
        ([], ["1 tombstones are missing", "1 parked records are missing"]),
        ([parked(3, stands=True, at=10)], ["1 tombstones are missing"]),
        ([parked(3, stands=False, at=20)], ["1 parked records are missing"]),
        ([parked(3, stands=False, at=9), parked(3, stands=True, at=10)], ["it is parked after it was resolved"]),
        (
            [parked(3, stands=True, at=10), *(parked(3, stands=False, at=at) for at in (20, 21))],
            ["1 tombstones too many"],
        ),
    ],
)
def test_what_is_parked_otherwise_is_wrong(there: Sequence[Raw], wrong: Sequence[str]) -> None:
    """Missing, too many, or in the wrong order."""
    told = records(LEDGER=[HELD, ledger(REPLAY, 0, "PROVIDED", "accepted", 20, of=3)], PARKED=there)
    assert [said.partition(" : ")[2] for said in replays_seen.wrongly_parked(told)] == wrong


def test_two_requests_at_once_are_seen() -> None:
    """The second comes before the first is settled; one applied again has its id."""
    ends = [ledger(REPLAY, offset, "DUPLICATE", "same_event", at, of=3) for offset, at in ((0, 20), (1, 22))]
    seen = replays_seen.seen(records(LEDGER=ends, REPLAYS=asked_at(15, 16)), [])
    assert (seen["replays of one record at once"], seen["a request applied twice"]) == (1, 1)
    assert not replays_seen.seen(records(LEDGER=ends, REPLAYS=asked_at(15, 21)), [])["replays of one record at once"]


def test_a_withdrawal_that_raced_is_seen() -> None:
    """One before the request, or after the settlement, is none."""

    def withheld(withdrawn_at: int) -> int:
        consent = {
            "record_id": "r",
            "consent_version": 2,
            "subject_ref": "subject-1a",
            "recipient": "genie",
            "status": "withdrawn",
            "status_updated_at": 0,
            "policy_version": 20_000,
            "consented_at": 0,
            "expires_at": None,
            "history_from": None,
            "items": [],
            "purposes_opted_out": [],
            "collection_method": "web_form",
            "consent_actor": "self",
            "contract_refs": None,
            "legal_basis": "consent",
        }
        value = schemas.encode("ConsentRecord", consent)
        told = records(
            LEDGER=[ledger(REPLAY, 0, "WITHHELD", "consent_withdrawn", 20, of=3)],
            REPLAYS=asked_at(15),
            CONSENTS=[Raw(Topic.CONSENTS.value, 0, 0, withdrawn_at, SUBJECT, value)],
        )
        return replays_seen.seen(told, [])["a replay withheld after a withdrawal that raced it"]

    assert [withheld(at) for at in (14, 17, 21)] == [0, 1, 0]


@pytest.mark.parametrize(
    ("kills", "seen"),
    [
        ([], "a replay in flight across a rebalance"),
        ([("one", 18)], "a replay in flight across a kill"),
        ([("one", 25)], "a replay in flight across a rebalance"),
    ],
)
def test_who_was_killed_meanwhile_is_told_from_whose_lane_moved(kills: list[tuple[str, int]], seen: str) -> None:
    """One announces, two settles."""
    intent = {
        "lane": REPLAY,
        "batch_id": "b",
        "announced_at": 0,
        "expires_at": 0,
        "policy_version": 1,
        "mapping_version": 1,
        "key_version": 1,
        "entries": [
            {
                "offset": 0,
                "idempotency_key": "k" * 43,
                "body_digest": bytes(32),
                "items": [],
                "permitted_purposes": [],
                "consent_record_id": "r",
                "consent_version": 7,
                "consented_at": 0,
            }
        ],
        "gateway": {"version": "1", "instance": "one", "epoch": 1},
    }
    told = records(
        LEDGER=[ledger(REPLAY, 0, "PROVIDED", "accepted", 20, of=3)],
        REPLAYS=asked_at(15),
        INTENTS=[Raw(Topic.INTENTS.value, 0, 0, 17, None, schemas.encode("ProvisionIntent", intent))],
    )
    found = replays_seen.seen(told, kills)
    assert {name for name in found if "in flight" in name} == {seen}
