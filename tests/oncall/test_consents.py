"""What the consent records say: as the view sees it, what is denied and why, and what would be provided today."""

import orjson
import pytest

from tests.core_cases import day
from tests.oncall import golden
from tests.oncall.desk_world import GIVEN_AT, NOW, T0, DeskWorld, number_id

HOUR = 3_600_000


@pytest.fixture(scope="module")
def world(desk_world: DeskWorld) -> DeskWorld:
    """Customers of every kind, each named after it."""
    add = desk_world.add_consent
    add("given-1", record_id=number_id(1))
    renewed = {
        "status": "renewed",
        "purposes_opted_out": ["credit_product_marketing"],
        "contract_refs": ["C-2026-0001"],
    }
    add("narrow-1", record_id=number_id(2))
    narrow = {"expires_at": NOW + HOUR, "history_from": 20_500, **renewed}
    add("narrow-1", record_id=number_id(3), consent_version=2, at=T0, **narrow)
    add("withdrawn-1", record_id=number_id(4))
    add("withdrawn-1", record_id=number_id(5), consent_version=2, status="withdrawn", status_updated_at=T0, at=T0)
    add("went-back-1", record_id=number_id(6), consent_version=2)
    add("went-back-1", record_id=number_id(7), consent_version=1, at=T0)
    add("erased-1", record_id=number_id(8), status="withdrawn")
    desk_world.add(desk_world.names.consents, "erased-1", None, at=T0)
    desk_world.add(desk_world.names.consents, "garbled-1", b"no record", at=T0)
    add(
        "older-policy-1",
        record_id=number_id(9),
        policy_version=day("2025-03-07"),
        purposes_opted_out=["inquiry_handling"],
    )
    add("no-such-policy-1", record_id=number_id(10), policy_version=20_001, purposes_opted_out=["a_word_of_theirs"])
    never = {"policy_version": 2**31 - 1, "consented_at": 2**62, "status_updated_at": -5, "expires_at": 2**62}
    add("impossible-1", record_id=number_id(12), history_from=-(2**31), **never)
    add("given-1-and-more", record_id=number_id(11), consented_at=GIVEN_AT + HOUR, items=["name", "norel_score"])
    desk_world.flush()
    return desk_world


@pytest.mark.parametrize(
    "subject",
    [
        "given-1",
        "narrow-1",
        "withdrawn-1",
        "went-back-1",
        "erased-1",
        "garbled-1",
        "no-such-policy-1",
        "impossible-1",
        "never-heard-of",
    ],
)
def test_a_consent_is_shown_as_the_view_sees_it(world: DeskWorld, subject: str) -> None:
    """With the records behind it, and what they let go today; nobody else's records are in it."""
    ended = world.run(["consent", "show", subject])
    assert (ended.status, ended.stderr) == (0, "")
    golden.check(f"consent_show_{subject}.txt", ended.stdout)


def test_a_consent_as_json(world: DeskWorld) -> None:
    """All of it, in codes."""
    told = orjson.loads(world.run(["consent", "show", "narrow-1", "--json"]).stdout)
    golden.check("consent_show.json", orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() + "\n")


def test_customers_are_counted(world: DeskWorld) -> None:
    """By their last state; words that the policy does not know are counted as one."""
    ended = world.run(["consent", "stats"])
    assert (ended.status, ended.stderr) == (0, "")
    golden.check("consent_stats.txt", ended.stdout)
    told = orjson.loads(world.run(["consent", "stats", "--json"]).stdout)
    assert told["subjects"] == sum(told["statuses"].values()) + sum(told["denied"].values()) == 10
    assert {kind: sum(counts.values()) for kind, counts in told["today"].items()} == {
        "lease_payment": 10,
        "norel_score_update": 10,
    }


def test_impossible_times_are_told_as_they_are(world: DeskWorld) -> None:
    """A program gets the number."""
    state = orjson.loads(world.run(["consent", "show", "impossible-1", "--json"]).stdout)["state"]
    assert (state["consented_at"], state["policy_version"], state["history_from"]) == (2**62, 2**31 - 1, -(2**31))


def test_a_name_is_no_reference(world: DeskWorld) -> None:
    """And is not looked for."""
    ended = world.run(["consent", "show", "山田太郎"])
    assert ended.status == 2
    assert "山田" not in ended.stderr
