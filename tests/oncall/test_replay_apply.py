"""`gateway replay apply|status|cancel`: each replay is asked for once, whoever applies, dies, cancels or edits."""

import asyncio
import hashlib
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pexpect
import pytest

from gateway.core.canonical import canonical_json
from gateway.kafka.connection import KafkaUnavailableError
from gateway.oncall.desk import Desk
from gateway.oncall.replay import applying
from gateway.oncall.replay.applying import Applying, Pace, StalledError
from gateway.oncall.replay.plan_file import PlanError, read
from gateway.oncall.replay.requests import RequestWriter, TakenOverError
from tests.integration.chosen_records import now_ms
from tests.oncall import golden
from tests.oncall.desk_world import NOW, OPERATOR, T0, DeskWorld, terminal_environment
from tests.oncall.replay_story import ANN, Case, act, plan, write_first

HOUR = 3_600_000


@pytest.fixture
def case(desk_world: DeskWorld, tmp_path: Path) -> Case:
    """Four records."""
    desk_world.now = NOW
    return Case(desk_world, tmp_path / "plan.json")


@pytest.fixture(scope="module")
def unused(desk_world: DeskWorld, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Four more, for tests that ask for nothing."""
    return Case(desk_world, tmp_path_factory.mktemp("unused") / "plan.json")


# --- once -------------------------------------------------------------------------------------------------


def test_a_plan_is_applied(case: Case) -> None:
    """A request for each record, by the subject's key; who did it is in the audit, before."""
    result = case.apply()
    golden.check("replay_apply.txt", result.stdout)
    assert (result.status, result.stderr) == (0, "")
    assert case.requested() == case.offsets
    requests = case.world.records(case.world.names.replays)[-4:]
    assert requests[0] == {
        "request_id": case.plan.request_id(case.plan.entries[0]),
        "plan_id": case.plan.plan_id,
        "plan_digest": case.plan.digest,
        "input": dict(zip(("topic", "partition", "offset"), case.places[0], strict=True)),
        "subject_ref": case.subject,
        "requested_at": NOW,
        "operator": "ann",
        "reason": "test",
        "ticket": "T-1",
    }
    assert len({each["request_id"] for each in requests}) == 4
    assert case.audited() == [("replay apply", 4)]


def test_applying_twice_asks_once(case: Case) -> None:
    """The second has nothing to do, and says so; a program sees it in the numbers."""
    case.apply()
    again = case.apply("--json")
    told = orjson.loads(again.stdout)
    assert (again.status, told["before"], told["now"], told["unsettled"]) == (0, 4, 0, 4)
    assert "nothing to do: all 4 records" in case.apply().stdout
    assert case.requested() == case.offsets
    assert case.audited() == [("replay apply", 4)]


def test_what_was_begun_is_gone_on_with(case: Case) -> None:
    """Only what is not on the topic is asked for, and counted in the audit."""
    write_first(case, 3)
    assert "1 replay asked for, 3 before" in case.apply().stdout
    assert case.requested() == case.offsets
    assert case.audited() == [("replay apply", 1)]


def test_what_was_not_committed_does_not_count(case: Case) -> None:
    """Who dies inside a transaction has asked for nothing; the next apply ends it and asks again."""

    async def die(desk: Desk) -> None:
        writer = RequestWriter(desk, case.plan)
        await writer.take_over()
        writer._producer.commit_alone = lambda: asyncio.sleep(0)
        await writer.write(case.plan.entries[:2], ANN)
        await writer.close()

    case.world.at_desk(die)
    assert "4 replays asked for;" in case.apply().stdout
    assert case.requested() == case.offsets


@pytest.mark.parametrize("how", ["Ctrl-C", "kill -9"])
def test_stopped_it_goes_on(case: Case, how: str) -> None:
    """In a terminal, with a bar; whatever it was stopped by, each is asked for once."""
    world = case.world
    world.now = now_ms()
    case.file.unlink()
    plan(world, case.file, "--subject", case.subject)
    case.plan = read(case.file)
    command = ["-m", "gateway", "replay", "apply", str(case.file), *OPERATOR, "--rate"]
    slow = pexpect.spawn(
        sys.executable, [*command, "1/s"], env=terminal_environment(world), encoding="utf-8", dimensions=(24, 100)
    )
    slow.expect(r"asked for .*1/4.* 1 not settled")
    if how == "Ctrl-C":
        slow.sendintr()
        slow.expect(r"stopped with \d of 4 replays asked for; the same command\s+goes on from there")
    else:
        slow.kill(signal.SIGKILL)
    slow.expect(pexpect.EOF)
    slow.close()
    assert (slow.exitstatus, slow.signalstatus) == ((130, None) if how == "Ctrl-C" else (None, signal.SIGKILL))
    assert 0 < len(case.requested()) < 4
    case.apply()
    assert case.requested() == case.offsets


# --- one writer -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("newer", ["apply", "cancel"])
def test_who_comes_later_takes_over(case: Case, newer: str) -> None:
    """The one before writes nothing more, and says so: neither of two applies asks twice, none outlives a cancel."""

    async def write(desk: Desk) -> None:
        writer = RequestWriter(desk, case.plan)
        await writer.take_over()
        await writer.write(case.plan.entries[:1], ANN)
        result = await asyncio.to_thread(act, case.world, newer, case.file, *OPERATOR)
        assert result.status == 0
        with pytest.raises(TakenOverError, match="nothing more is written by this one"):
            await writer.write(case.plan.entries[1:], ANN)
        await writer.close()

    case.world.at_desk(write)
    assert case.requested() == (case.offsets if newer == "apply" else case.offsets[:1])


def test_a_cancel_says_what_it_left(case: Case) -> None:
    """What was asked for can't be taken back; the rest is never asked for."""
    write_first(case, 3)
    case.settle(("PROVIDED", "accepted"))
    result = act(case.world, "cancel", case.file, *OPERATOR)
    golden.check("replay_cancel.txt", result.stdout)
    assert result.status == 0
    refused = case.apply()
    assert (refused.status, refused.stderr) == (
        1,
        "error: the plan was cancelled by ann at 2026-05-02 09:00:00 JST (00:00:00Z): plan again by "
        f"`gateway replay plan --subject {case.subject}`\n",
    )
    assert case.requested() == case.offsets[:3]
    assert case.audited() == [("replay cancel", None)]
    told = orjson.loads(act(case.world, "status", case.file, "--json").stdout)
    assert told["cancelled"] == {"operator": "ann", "at": "2026-05-02T00:00:00.000Z"}
    assert (told["requested"], told["settled"], told["over"]) == (3, 1, False)


def test_a_cancel_that_could_not_stop_an_apply_says_so(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written down, but who writes requests now was not fenced."""

    async def away(_: object) -> None:
        raise KafkaUnavailableError("taking over the plan's requests", "no answer")

    monkeypatch.setattr(RequestWriter, "take_over", away)
    result = act(case.world, "cancel", case.file, *OPERATOR)
    assert result.status == 3
    assert "an apply that runs now may go on" in result.stderr
    assert "run the same command again" in result.stderr


def test_there_may_be_nothing_left_to_cancel(case: Case) -> None:
    """And it says so."""
    case.apply()
    result = act(case.world, "cancel", case.file, *OPERATOR)
    assert result.stdout.startswith("nothing was left to cancel: all 4 records of the plan were asked for\n")


# --- not too fast -----------------------------------------------------------------------------------------


def test_no_more_wait_than_lanes_can_take(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody settles, it stops asking; it goes on when some are settled."""
    monkeypatch.setattr(applying, "MOST_UNSETTLED", 2)

    async def apply(desk: Desk) -> Any:
        doing = Applying(desk, case.plan, ANN, 1_000, lambda _: None, stalled_s=0)
        return await doing.run()

    with pytest.raises(StalledError, match="2 replays are asked for, and none was settled"):
        case.world.at_desk(apply)
    assert case.requested() == case.offsets[:2]
    case.settle(("PROVIDED", "accepted"))
    with pytest.raises(StalledError):
        case.world.at_desk(apply)
    assert case.requested() == case.offsets[:3]
    case.settle(*[("PROVIDED", "accepted")] * 3)
    assert (case.world.at_desk(apply).now, case.requested()) == (1, case.offsets)


def test_the_pace_is_kept() -> None:
    """Half a second's worth at once, then as many as time gives."""
    pace = Pace(10, 0.0)
    assert pace.room(0.0) == 5
    pace.spend(5)
    assert (pace.room(0.0), pace.wait()) == (0, 0.1)
    assert pace.room(0.2) == 2
    assert pace.room(100.0) == 5


@pytest.mark.parametrize("rate", ["0", "1001", "fast", "1.5"])
def test_a_pace_that_is_none_is_refused(unused: Case, rate: str) -> None:
    """Before anything is read."""
    assert unused.apply("--rate", rate).status == 2


# --- only as it was planned -------------------------------------------------------------------------------


def test_many_records_need_a_second_look(unused: Case) -> None:
    """Above a hundred, --yes."""
    entries = [replace(unused.plan.entries[0], offset=offset) for offset in range(101)]
    many = unused.file.with_name("many.json")
    replace(unused.plan, entries=entries).write(many)
    result = act(unused.world, "apply", many, *OPERATOR)
    assert (result.status, result.stderr) == (
        2,
        "error: this plan asks for 101 replays: look at it once more, then add --yes\n",
    )


@pytest.mark.parametrize("command", ["apply", "cancel", "status"])
def test_an_edited_plan_is_refused(unused: Case, tmp_path: Path, command: str) -> None:
    """By its digest."""
    edited = tmp_path / "edited.json"
    edited.write_text(unused.file.read_text().replace('"today":"no_consent"', '"today":"provide"', 1))
    result = act(unused.world, command, edited, *(OPERATOR if command != "status" else ()))
    assert result.status == 1
    assert result.stderr.startswith("error: PLAN was changed after it was made: its digest does not fit.")
    assert unused.audited() == unused.requested() == []


def test_an_old_plan_is_refused(case: Case) -> None:
    """What a person approved was decided a day ago; what it began may still be looked at."""
    case.world.now = NOW + 24 * HOUR + 1
    result = case.apply()
    assert (result.status, case.audited(), case.requested()) == (1, [], [])
    assert "older than 24 hours" in result.stderr
    assert act(case.world, "status", case.file).status == 0
    case.world.now = NOW + 24 * HOUR
    assert case.apply().status == 0


def test_a_plan_whose_records_were_replayed_since_is_refused(case: Case) -> None:
    """By another plan, that knew nothing of this one."""
    other = case.file.with_name("other.json")
    plan(case.world, other, "--offset", "{}:{}:{}".format(*case.places[2]))
    assert act(case.world, "apply", other, *OPERATOR).status == 0
    result = case.apply()
    assert (result.status, case.audited(), case.requested()) == (1, [], [])
    assert "1 of its records were replayed by another plan since it was made: plan again by" in result.stderr


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"cluster_id": "another"}, "the plan was made on Kafka cluster another"),
        ({"topics": {}}, "a topic of the plan"),
    ],
)
def test_a_plan_of_other_topics_is_refused(unused: Case, tmp_path: Path, changed: dict[str, Any], says: str) -> None:
    """The same offsets mean other records there."""
    file = tmp_path / "elsewhere.json"
    replace(unused.plan, **changed).write(file)
    result = act(unused.world, "apply", file, *OPERATOR)
    assert (result.status, result.stderr.startswith(f"error: {says}")) == (1, True)


def document(**changes: Any) -> bytes:
    """A plan of a format that fits, with a digest that fits."""
    said = {"format": 1, **changes}
    return orjson.dumps({**said, "digest": hashlib.sha256(canonical_json(said)).hexdigest()})


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"format": 2}', document(), document(entries=[{}]), document(entries=None)]
)
def test_what_is_no_plan_is_refused(tmp_path: Path, content: bytes) -> None:
    """Whatever it is."""
    file = tmp_path / "plan.json"
    file.write_bytes(content)
    with pytest.raises(PlanError, match="gateway replay plan"):
        read(file)


def test_a_plan_that_is_not_there_is_refused(unused: Case, tmp_path: Path) -> None:
    """By its name; the command was typed wrongly, nothing was found wrong with a plan."""
    with pytest.raises(PlanError, match="No such file"):
        read(tmp_path / "plan.json")
    refused = unused.world.run(["replay", "status", str(tmp_path / "plan.json")])
    assert (refused.status, refused.stdout) == (2, "")
    assert "No such file" in refused.stderr


def test_a_plan_is_read_as_it_was_written(unused: Case) -> None:
    """To the millisecond, or its digest would be another in the requests."""
    again = unused.file.with_name("again.json")
    written = replace(unused.plan, made_at=T0 + 123)
    written.write(again)
    assert (read(again), read(again).digest) == (written, written.digest)


# --- status -----------------------------------------------------------------------------------------------


def test_status_follows_to_the_ledger(case: Case) -> None:
    """How each ended, beside what was planned; wrong if one is parked again."""
    before = act(case.world, "status", case.file)
    assert (before.status, "asked for 0, settled 0, not settled 0, not asked for 4" in before.stdout) == (0, True)
    write_first(case, 3)
    case.settle(("PROVIDED", "accepted"), ("WITHHELD", "no_consent"))
    result = act(case.world, "status", case.file)
    golden.check("replay_status.txt", result.stdout)
    assert result.status == 0
    write_first(case, 3)  # by a writer that does not look
    case.settle(*[("PARKED", "held")] * 3)
    result = act(case.world, "status", case.file, "--json")
    told = orjson.loads(result.stdout)
    assert (result.status, told["requested"], told["requested_twice"], told["settled"]) == (1, 3, 3, 3)
    assert {(end["outcome"], end["records"]) for end in told["ends"]} == {
        ("PROVIDED", 1),
        ("WITHHELD", 1),
        ("PARKED", 1),
    }


def test_status_is_watched_until_all_is_settled(case: Case) -> None:
    """In a terminal; it ends by itself."""
    case.apply()
    arguments = ["-m", "gateway", "replay", "status", str(case.file), "--watch"]
    watching = pexpect.spawn(
        sys.executable, arguments, env=terminal_environment(case.world), encoding="utf-8", dimensions=(24, 100)
    )
    watching.expect(r"settled .*0/4.* 4 asked for")
    case.settle(*[("PROVIDED", "accepted")] * 4)
    case.world.flush()
    watching.expect(r"asked for 4, settled 4, not settled 0, not asked for 0")
    watching.expect(pexpect.EOF)
    watching.close()
    assert watching.exitstatus == 0
