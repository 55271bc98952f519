"""A bad story tells what hangs together with what is wrong, and nothing of others."""

import base64

import orjson

from gateway import schemas
from gateway.sandbox.verifier.history import Raw, Topic
from tests.simulation import weave
from tests.simulation.clocks import EPOCH_MS
from tests.simulation.partner import Asked
from tests.simulation.story import Line
from tests.simulation.workload import Append

KEYS = [base64.urlsafe_b64encode(bytes([number]) * 32).decode().rstrip("=") for number in range(3)]
LANE = "lease.payments:0"


def records() -> dict[Topic, list[Raw]]:
    """Three events of two customers, announced in one batch after a second."""
    intent = {
        "lane": LANE,
        "batch_id": "b",
        "announced_at": 0,
        "expires_at": 0,
        "policy_version": 1,
        "mapping_version": 1,
        "key_version": 1,
        "entries": [
            {
                "offset": offset,
                "idempotency_key": key,
                "body_digest": bytes(32),
                "items": [],
                "permitted_purposes": [],
                "consent_record_id": "r",
                "consent_version": 7,
                "consented_at": 0,
            }
            for offset, key in enumerate(KEYS)
        ],
        "gateway": {"version": "1", "instance": "two", "epoch": 1},
    }
    subjects = [b"cust-a", b"cust-b", b"cust-a"]
    found: dict[Topic, list[Raw]] = {topic: [] for topic in Topic}
    found[Topic.PAYMENTS] = [
        Raw("lease.payments", 0, offset, EPOCH_MS, subject, b"") for offset, subject in enumerate(subjects)
    ]
    value = schemas.encode("ProvisionIntent", intent)
    found[Topic.INTENTS] = [Raw("genie.provision.intents", 1, 0, EPOCH_MS + 1_000, None, value)]
    return found


RECEIPTS = [orjson.dumps({"idempotency_key": key, "status": "accepted"}) for key in KEYS]
SENT = orjson.dumps({"entries": [{"idempotency_key": key} for key in KEYS]})


def test_what_hangs_together() -> None:
    """A receipt leads to its key, its record, its lane and its subject, and to no other event."""
    wanted = weave.followed("unrecorded: receipts:2 : nothing says so", records(), RECEIPTS)
    assert wanted == {KEYS[1], f"{LANE}:1", LANE, "cust-b"}


def test_order_is_about_all_of_a_subject() -> None:
    """What came too late is told with what overtook it."""
    wanted = weave.followed(f"out_of_order: {LANE}:0 came after 1 later of its subject", records(), RECEIPTS)
    assert {f"{LANE}:0", f"{LANE}:2"} <= wanted
    assert f"{LANE}:1" not in wanted


def test_a_lane_is_about_all_in_it() -> None:
    """What is not settled is every event of its lane."""
    assert {*KEYS, LANE} <= weave.followed(f"not settled: {LANE}, 300 s after the last trouble: x", records(), RECEIPTS)


def test_it_is_told() -> None:
    """Who announced it, what GeNiE took and that the answer was lost, in order; not what is of others."""
    asked = [
        Asked(1.1, "two", "/", SENT, receipts=[1, 2, 3], judged_s=1.5, status=200),
        Asked(1.7, "one", "/", orjson.dumps({"idempotency_keys": KEYS[2:]})),
    ]
    told = [Line(0.5, "a fault"), Line(1.2, "consent of another", frozenset({"cust-a"}))]
    wanted = weave.followed(f"unrecorded: {KEYS[1]}", records(), RECEIPTS)
    lines = weave.woven(told, records(), asked, RECEIPTS, wanted)
    assert len(lines) == 5
    assert [str(line).strip() for line in weave.only(lines, wanted)] == [
        "0.500  a fault",
        f"1.000  two announces 0-2 of {LANE} (1 as {KEYS[1][:8]}, by consent version 7)",
        f"1.500  GeNiE judges what two sends, sent at 1.100: 3 accepted ({KEYS[1][:8]} accepted as receipts:2)"
        "; the answer is lost",
    ]


def test_what_flows_in() -> None:
    """Events by their offsets, consents by whose they are."""
    events = Append("lease.payments", 0, ((b"cust-a", b"", ()),) * 3, "abort", "3 events")
    assert weave.of_append(events, [3, 4, 6]) == (
        f"3 events to {LANE} at 3-4, 6, in a transaction that is aborted",
        {f"{LANE}:3", f"{LANE}:4", f"{LANE}:6"},
    )
    consent = Append("consent.records", 0, ((b"cust-a", b"", ()),), None, "consent given")
    assert weave.of_append(consent, [1]) == ("consent given of a to consent.records:0 at 1", {"cust-a"})
