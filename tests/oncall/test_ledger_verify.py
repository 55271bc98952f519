"""`gateway ledger verify`: every kind of finding once, what is open or gone, and a look that is broken off."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition

from gateway.core.traces import CLOCKS_DIFFER_MS
from gateway.kafka import scan
from gateway.oncall.desk import Desk
from gateway.oncall.ledger import steps
from gateway.oncall.ledger import verify as verify_module
from gateway.oncall.ledger.findings import Kind
from gateway.oncall.ledger.lanes import lanes_of
from gateway.oncall.ledger.source import BROKER_SKEW_MS
from tests.oncall import golden
from tests.oncall.desk_world import T0, DeskWorld, Result
from tests.oncall.ledger_story import KEY, UNKNOWN, Story

FOUND_WRONG, WRONG_USE, BROKEN_OFF = 1, 2, 130
BATCHES_MAX = 60
HOUR = 3_600_000


@pytest.fixture(scope="module")
def story(desk_world: DeskWorld) -> Story:
    """Each kind of finding once, beside what looks like one and is none."""
    told = Story(desk_world)
    names = desk_world.names
    payments, scores = names.payments, names.scores
    nobody, marker = told.aborted(payments, 1)
    p = [told.payment() for _ in range(17)]
    told.provided(p[0], idempotency_key="key-of-one-event")
    desk_world.add_intent(f"{payments}:0", [{"offset": 0}, {"offset": 1}])  # 1 is lost
    told.provided(p[2])
    told.withheld(p[2])
    told.provided(p[3], source_digest=bytes(32))
    told.provided(p[4], idempotency_key="key-of-one-event")
    told.provided(p[5], transmitted="no")
    told.parked(p[6])
    told.parked(p[7], is_listed=False)
    told.parked(p[8])
    told.removed(p[8])
    told.parked(p[9])
    told.replayed(p[9], is_removed=False)
    told.parked(p[10])
    told.replayed(p[10])
    told.provided(p[11])
    told.listed(p[11])
    told.parked(p[12], "outcome_unknown", **UNKNOWN)
    told.parked(p[13], "outcome_unknown", **UNKNOWN, idempotency_key="key-resolved")
    told.replayed(p[13], idempotency_key="key-resolved")
    # 14 is open, 15 was settled beyond the watermark and is lost, 16 was settled since
    told.provided(p[16])
    told.committed((payments, 0), 14, [15])
    told.provided(nobody)
    desk_world.add_intent(f"{payments}:1", [{"offset": marker[2]}])
    told.provided((payments, 1, 99))
    desk_world.add(names.ledger, "subject-1", b"no record", at=T0 + 1_000)
    desk_world.add(names.intents, "lane", b"no record", at=T0 + 1_000)
    s = [told.score() for _ in range(4)]
    for place in (s[0], s[2], s[3]):
        told.provided(place)
    told.provided(s[3], input=desk_world.position(s[3], T0 - HOUR))  # of an earlier topic of this name
    told.provided(s[3], input=desk_world.position(s[3], T0) | {"cluster_id": "x" * 22})
    told.provided(("elsewhere", 0, 0))
    told.deleted(scores, 0, 2)
    told.committed((scores, 0), 4)
    return told


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    path = tmp_path / "key"
    path.write_text(base64.b64encode(KEY).decode())
    return str(path)


def run(story: Story, *options: str, key_file: str = "") -> Result:
    given = {"GATEWAY_KAFKA__GROUP_ID": story.group}
    if key_file:
        given["GATEWAY_KEYS__IDEMPOTENCY_KEY_FILE"] = key_file
    return story.world.run(["ledger", "verify", *options], **given)


def test_each_kind_of_finding_is_found_once(story: Story, key_file: str) -> None:
    """Lost only what the lane had settled by then; the intent of a lost one says that GeNiE may have it."""
    result = run(story, key_file=key_file)
    golden.check("ledger_verify.txt", result.stdout)
    assert (result.stderr, result.status) == ("", FOUND_WRONG)


def test_a_program_gets_the_same(story: Story, key_file: str) -> None:
    """One JSON object; every kind that verify knows is in it."""
    result = run(story, "--json", key_file=key_file)
    golden.check("ledger_verify.json", json.dumps(json.loads(result.stdout), indent=1, ensure_ascii=False) + "\n")
    found = set(json.loads(result.stdout)["findings"])
    assert found == {kind.code for kind in Kind} - {
        "not_at_genie",
        "other_body",
        "other_receipt",
        "not_recorded",
        "no_answer",
    }


def test_a_range_without_findings_is_clean(story: Story) -> None:
    """Behind the last input there is nothing, and nothing is wrong with that; what was not compared is said."""
    result = run(story, "--since", "2h", "--examples", "0")
    golden.check("ledger_verify_clean.txt", result.stdout)
    assert (result.stderr, result.status) == ("", 0)


def test_a_look_goes_on_where_it_was_broken_off(
    story: Story, key_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever that is: the answer is the same, no record is taken twice, and at the end the file is gone."""
    whole, state = run(story, key_file=key_file), tmp_path / "state"
    monkeypatch.setattr(scan, "POLL_RECORDS", 3)
    monkeypatch.setattr(steps, "SAVE_EVERY", 5)
    seen: list[str] = []
    for after in range(1, BATCHES_MAX, 4):
        with monkeypatch.context() as patched:
            patched.setattr(steps.Steps, "read", breaking(after, seen))
            ended = run(story, "--state", str(state), key_file=key_file)
        if ended.status != BROKEN_OFF:
            break
        assert "the same command goes on from" in ended.stderr
        assert state.exists()
    assert (ended.stdout, ended.status) == (whole.stdout, whole.status)
    assert not state.exists()
    assert len(seen) == len(set(seen)) > 20, "each batch was taken once"


def breaking(after: int, seen: list[str]) -> Callable[..., Any]:
    """`read` that is broken off in its next batch, as Ctrl-C does it; each batch is let through once."""
    read = steps.Steps.read

    async def broken(self: steps.Steps, step: str, topic: str, take: Any, span: Any, *, decoded: bool = True) -> None:
        def taking(records: Any) -> None:
            name = f"{step} {records[0].partition} {records[0].offset}"
            if len(seen) > after:
                raise KeyboardInterrupt
            seen.append(name)
            take(records)

        await read(self, step, topic, taking, span, decoded=decoded)

    return broken


def test_another_look_is_not_gone_on_with(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other options, or a file that is none: refused, and the file is left as it is."""
    state = tmp_path / "state"
    with monkeypatch.context() as patched:
        patched.setattr(steps.Steps, "read", breaking(1, []))
        assert run(story, "--state", str(state)).status == BROKEN_OFF
    kept = state.read_bytes()
    other = run(story, "--state", str(state), "--since", "3d")
    assert (other.status, state.read_bytes()) == (WRONG_USE, kept)
    assert "another since" in other.stderr
    for content in (b"anything", kept[:-1], b"", kept.replace(b"{", b"[", 1)):
        state.write_bytes(content)
        refused = run(story, "--state", str(state))
        assert (refused.status, state.read_bytes()) == (WRONG_USE, content)
        assert "no state file of this release" in refused.stderr


def test_retention_that_moves_on_meanwhile_finds_nothing(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inputs that left before they were read were delivered nevertheless; those without a record are told."""
    story = Story(DeskWorld(kafka))
    places = [story.payment() for _ in range(5)]
    for place in (places[0], places[1], places[3], places[4]):
        story.provided(place)
    story.committed((story.world.names.payments, 0), 5)

    async def retention(desk: Desk, topics: Any, since: int | None) -> Any:
        lanes = await lanes_of(desk, topics, since)
        await story._delete(TopicPartition(story.world.names.payments, 0), 4)
        return lanes

    monkeypatch.setattr(verify_module, "lanes_of", retention)
    result = run(story)
    assert result.stdout.endswith("\nnothing wrong\n")
    assert "payments:0, without a ledger record: 1 offsets" in result.stdout
    assert result.status == 0


def test_a_ledger_whose_clock_is_behind_is_read(kafka: str) -> None:
    """By as much as everywhere else: the record is stamped minutes before the input."""
    story = Story(DeskWorld(kafka))
    story.provided(story.payment(), at=T0 - BROKER_SKEW_MS + 1_000)
    story.committed((story.world.names.payments, 0), 1)
    result = run(story, "--since", "2026-05-01T00:00:00Z")
    assert result.stdout.endswith("\nnothing wrong\n")
    assert "an event PROVIDED twice is found only if both records are about these inputs" in result.stdout
    assert "PROVIDED twice is found only" not in run(story).stdout


def test_what_a_range_can_not_tell_is_told_of_the_whole(kafka: str) -> None:
    """Records of one event are compared as far as they are about inputs of the range, and the answer says so."""
    story = Story(DeskWorld(kafka))
    world, payments = story.world, story.world.names.payments
    early, unknown = story.payment(), story.payment()
    late = world.add_payment("subject-1", at=T0 + HOUR)
    story.parked(unknown, "outcome_unknown", **UNKNOWN, idempotency_key="key-resolved")
    story.replayed(unknown, idempotency_key="key-resolved")
    story.provided(early, idempotency_key="key-of-one-event")
    at_its_time = {"at": T0 + HOUR + 1_000, "input": world.position(late, T0 + HOUR)}
    story.provided(late, idempotency_key="key-of-one-event", **at_its_time)
    story.committed((payments, 0), 3)
    for options, twice, unresolved in (
        (["--since", "2026-05-01T00:30:00Z"], 0, 0),
        (["--until", "2026-05-01T00:00:01Z"], 0, 1),  # before the replay was asked for
        ([], 1, 0),
    ):
        told = json.loads(run(story, "--json", *options).stdout)
        assert told["findings"].get("provided_twice", {"count": 0})["count"] == twice
        assert told["unresolved"]["count"] == unresolved
        assert any("is listed as unresolved; without --since" in note for note in told["notes"]) == bool(options)


def test_a_mistyped_group_is_refused(story: Story) -> None:
    """All that is lost would count as open, and nothing as wrong."""
    refused = run(story, "--group", f"{story.group}x")
    assert (refused.stdout, refused.status) == ("", FOUND_WRONG)
    assert "Kafka has no group prefixed1.gatewayx, so what its lanes have settled is not known" in refused.stderr
    assert "there is prefixed1.gateway" in refused.stderr


def test_clocks_may_differ_by_ten_seconds(kafka: str) -> None:
    """A record about an input dated so little before the log begins is about this log; by more, about an earlier one
    of the name."""
    story = Story(DeskWorld(kafka))
    place = story.payment()
    story.provided(place, input=story.world.position(place, T0 - CLOCKS_DIFFER_MS))
    story.provided(place, input=story.world.position(place, T0 - CLOCKS_DIFFER_MS - 1))
    story.committed((story.world.names.payments, 0), 1)
    assert CLOCKS_DIFFER_MS == 10_000
    result = run(story)
    assert result.stdout.endswith("\nnothing wrong\n")
    assert "left out: 1 ledger records about earlier topics of the same names" in result.stdout
