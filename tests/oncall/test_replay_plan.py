"""`gateway replay plan`: which records it takes, which it leaves out and why, and what would become of them today."""

import tracemalloc
import uuid
from pathlib import Path

import orjson
import pytest

from gateway.oncall.replay import planning
from gateway.oncall.replay.plan_file import PROVIDE, Entry, Plan, read
from gateway.oncall.replay.selection import Selection
from tests.core_cases import ms
from tests.oncall import golden
from tests.oncall.desk_world import NOW, T0, DeskWorld, number_id
from tests.oncall.replay_story import entries, left_out, plan, read_plan

MINUTE = 60_000
LATER = T0 + 60 * MINUTE
(
    GIVEN,
    WITHDRAWN,
    NO_CONSENT,
    PROVIDED,
    RESOLVED,
    PARKED_AGAIN,
    ASKED_FOR,
    IN_FLIGHT,
    SAME_EVENT,
    OTHER_PRODUCER,
    UNREADABLE,
    MISMATCH,
    TOO_OFTEN,
    HELD,
    WITHHELD,
    DEADLY,
) = range(16)
GONE, ELSEWHERE = 90, 91


@pytest.fixture(scope="module")
def world(desk_world: DeskWorld) -> DeskWorld:
    """A record for each fate, in partition 0 of the payments, at the offset that its name stands for."""
    world, names = desk_world, desk_world.names
    subjects = [f"subject-{offset:02d}" for offset in range(16)]
    places = [
        world.add(names.payments, subjects[UNREADABLE], b"garbage")
        if offset == UNREADABLE
        else world.add_payment(
            subject,
            producer="other-service" if offset == OTHER_PRODUCER else "billing",
            **({"event_id": number_id(1_000 + PROVIDED)} if offset == SAME_EVENT else {}),
            **({"subject_ref": "another-subject"} if offset == MISMATCH else {}),
        )
        for offset, subject in enumerate(subjects)
    ]
    for offset, subject in enumerate(subjects):
        if offset != NO_CONSENT:
            world.add_consent(subject, record_id=number_id(offset))
    world.add_consent(
        subjects[WITHDRAWN], record_id=number_id(99), consent_version=2, status="withdrawn", at=T0 + 5_000
    )
    world.add_hold("subject", subjects[HELD])

    def parked(offset: int, reason: str = "held", **changes: object) -> None:
        world.add_parked(places[offset], subjects[offset], reason, **changes)

    def replayed(offset: int, at: int = LATER, again: str | None = None) -> None:
        """A replay that provided it, or parked it again."""
        request = world.add_request(places[offset], subjects[offset])
        of = dict(zip(("topic", "partition", "offset"), places[offset], strict=True))
        more = {"replay_of": of | {"request_id": number_id(7_000)}, "event_id": number_id(1_000 + offset)}
        if again is None:
            world.add_ledger(request, subjects[offset], at=at, **more)
            world.add(names.parked, "{}:{}:{}".format(*places[offset]), None)
        else:
            world.add_parked(request, subjects[offset], again, at=at)
            world.add_withheld(request, subjects[offset], again, at=at, outcome="PARKED", **more)

    for offset in (GIVEN, WITHDRAWN, NO_CONSENT, RESOLVED, PARKED_AGAIN, ASKED_FOR, SAME_EVENT, TOO_OFTEN, HELD):
        parked(offset)
    parked(OTHER_PRODUCER, producer="other-service")
    world.add_ledger(places[PROVIDED], subjects[PROVIDED])
    replayed(RESOLVED)
    replayed(PARKED_AGAIN, again="outcome_unknown")
    world.add_request(places[ASKED_FOR], subjects[ASKED_FOR])
    parked(UNREADABLE, "unknown_schema_id", event_type=None)
    parked(MISMATCH, "subject_mismatch", subject_ref=None)
    for n in range(5):
        replayed(TOO_OFTEN, at=LATER + n, again="genie_fails_on_entry")
    world.add_withheld(places[WITHHELD], subjects[WITHHELD], "no_consent", at=LATER)
    world.add_withheld(places[DEADLY], None, "kills_decoder", outcome="INVALID")
    world.add_parked((names.payments, 0, GONE), "subject-90", "held")
    far = world.position((names.payments, 0, ELSEWHERE), T0) | {"cluster_id": "another"}
    world.add_parked((names.payments, 0, ELSEWHERE), "subject-91", "held", input=far)
    world.add(names.parked, "garbage", b"garbage")
    return world


def test_a_plan_says_what_it_would_do_and_what_it_leaves_out(world: DeskWorld, tmp_path: Path) -> None:
    """All that is parked, as a person reads it."""
    file = tmp_path / "plan.json"
    result = plan(world, file, "--outcome", "PARKED")
    golden.check("replay_plan.txt", result.stdout)
    assert (result.status, result.stderr) == (0, "")
    assert file.stat().st_mode & 0o777 == 0o600
    assert entries(file) == {
        GIVEN: ("held", "provide"),
        WITHDRAWN: ("held", "consent_withdrawn"),
        NO_CONSENT: ("held", "no_consent"),
        PARKED_AGAIN: ("outcome_unknown", "provide"),
        OTHER_PRODUCER: ("held", "provide"),
        UNREADABLE: ("unknown_schema_id", "not_avro"),
        MISMATCH: ("subject_mismatch", "subject_mismatch"),
        HELD: ("held", "held"),
    }


def test_a_plan_for_a_program(world: DeskWorld, tmp_path: Path) -> None:
    """The same as JSON; event ids that nobody knows are told."""
    nobody = number_id(4_711)
    known = number_id(1_000 + PARKED_AGAIN)
    result = plan(world, tmp_path / "plan.json", "--event-id", known, "--event-id", nobody, "--json")
    golden.check("replay_plan.json", result.stdout)
    assert orjson.loads(result.stdout)["unknown_event_ids"] == [nobody]


@pytest.mark.parametrize(
    ("arguments", "taken"),
    [
        (("--parked-reason", "unknown_schema_id"), [UNREADABLE]),
        (("--parked-reason", "outcome_unknown"), [PARKED_AGAIN]),
        (("--ledger-reason", "no_consent"), [WITHHELD]),
        (("--outcome", "WITHHELD"), [WITHHELD]),
        (("--outcome", "PARKED", "--producer", "other-service"), [OTHER_PRODUCER]),
        (("--offset", "{payments}:0:0-20", "--producer", "other-service"), [OTHER_PRODUCER]),
        (("--subject", "subject-00"), [GIVEN]),
        (("--outcome", "PARKED", "--since", "2026-05-01T10:00:00+09:00"), [PARKED_AGAIN]),
        (("--ledger-reason", "no_consent", "--until", "2026-05-01T10:00:00+09:00"), []),
        (("--parked-reason", "held", "--would-provide"), [GIVEN, OTHER_PRODUCER]),
        (("--parked-reason", "genie_fails_on_entry", "--often"), [TOO_OFTEN]),
        (("--outcome", "PARKED", "--event-type", "norel_score_update"), []),
        (("--offset", "{payments}:0:1", "--offset", "{payments}:0:14"), [WITHDRAWN, WITHHELD]),
    ],
)
def test_records_are_selected(world: DeskWorld, tmp_path: Path, arguments: tuple[str, ...], taken: list[int]) -> None:
    """By how they stand now, by what they are, and by where they lie; all of it must fit."""
    file = tmp_path / "plan.json"
    result = plan(world, file, *(each.format(payments=world.names.payments) for each in arguments))
    assert (result.status, sorted(entries(file)) if taken else file.exists()) == ((0, taken) if taken else (1, False))


@pytest.mark.parametrize(
    ("offset", "why"),
    [
        (PROVIDED, "at_genie"),
        (RESOLVED, "at_genie"),
        (ASKED_FOR, "replay_in_flight"),
        (IN_FLIGHT, "in_flight"),
        (SAME_EVENT, "event_at_genie"),
        (TOO_OFTEN, "often"),
        (GONE, "gone"),
        (DEADLY, "kills_decoder"),
    ],
)
def test_what_a_replay_can_not_help_is_left_out(world: DeskWorld, tmp_path: Path, offset: int, why: str) -> None:
    """And says why; nothing is written."""
    file = tmp_path / "plan.json"
    result = plan(world, file, "--offset", f"{world.names.payments}:0:{offset}", "--json")
    assert (left_out(result), result.status, file.exists()) == ({why: 1}, 1, False)


def test_a_replay_is_never_replayed(world: DeskWorld, tmp_path: Path) -> None:
    """Its request is no input; the record that it asked for is."""
    result = plan(world, tmp_path / "plan.json", "--offset", f"{world.names.replays}:0:0", "--json")
    assert left_out(result) == {"no_input": 1}


def test_a_plan_that_would_provide_nothing_says_so(world: DeskWorld, tmp_path: Path) -> None:
    """Applied too early it parks again, and counts against the record."""
    for offset, said in ((0, False), (1, True)):
        result = plan(world, tmp_path / f"{offset}.json", "--offset", f"{world.names.payments}:0:{offset}")
        assert ("None of them would be provided today" in result.stdout, result.status) == (said, 0)


def test_a_mistyped_partition_is_not_one_that_is_behind(world: DeskWorld, tmp_path: Path) -> None:
    """Nothing will ever be settled of it, however long one waits."""
    result = plan(world, tmp_path / "plan.json", "--offset", f"{world.names.payments}:999:0", "--json")
    assert (left_out(result), result.status) == ({"no_input": 1}, 1)


def test_another_record_at_the_same_place_is_not_replayed(world: DeskWorld, tmp_path: Path) -> None:
    """A topic that was made anew has other records at the same offsets: their times differ."""
    topic, partition, offset = world.add_payment("subject-new", partition=1, at=NOW - MINUTE)
    world.add_parked((topic, partition, offset), "subject-new", "held")  # of one appended at T0
    result = plan(world, tmp_path / "plan.json", "--subject", "subject-new", "--json")
    assert left_out(result) == {"gone": 1}


def test_whose_record_it_is_may_be_known_only_today(world: DeskWorld, tmp_path: Path) -> None:
    """A release that reads more finds the subject, and asks for its consent."""
    world.add_consent("subject-late", record_id=number_id(77))
    place = world.add_score("subject-late", as_of=ms("2026-05-01", 0), inputs=[])
    world.add_withheld(place, None, "bad_value", outcome="INVALID")
    file = tmp_path / "plan.json"
    plan(world, file, "--ledger-reason", "bad_value")
    (entry,) = read_plan(file).entries
    assert (entry.subject_ref, entry.today) == ("subject-late", "provide")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--outcome", "PROVIDED"),
        ("--parked-reason", "no_consent"),
        ("--ledger-reason", "accepted"),
        ("--outcome", "WITHHELD", "--ledger-reason", "held"),
        ("--event-type", "gossip"),
        ("--producer", "two words"),
        ("--event-id", "4711"),
        ("--offset", "payments:1"),
        ("--offset", "payments:1:9-3"),
        ("--offset", "payments:1:0-200000"),
        ("--subject", "090-0000-0000"),
        ("--since", "yesterday"),
        ("--outcome", "PARKED", "--policy-file", "/no/such/file"),
    ],
)
def test_a_selection_that_can_not_be_meant_is_refused(
    world: DeskWorld, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """With what to give instead; before anything is read."""
    result = plan(world, tmp_path / "plan.json", *arguments)
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")


def test_a_selection_is_told_as_it_was_typed() -> None:
    """Why records are parked is asked for by an option of its own."""
    chosen = Selection(outcomes=("PARKED", "WITHHELD"), reasons=("held", "no_consent"))
    typed = "--outcome PARKED --outcome WITHHELD --parked-reason held --ledger-reason no_consent"
    assert chosen.command() == f"gateway replay plan {typed}"


def test_a_plan_overwrites_nothing(world: DeskWorld, tmp_path: Path) -> None:
    """What is there may have been approved."""
    file = tmp_path / "plan.json"
    file.write_text("mine")
    result = plan(world, file, "--subject", "subject-00")
    assert (result.status, file.read_text()) == (2, "mine")
    assert "is there already" in result.stderr


@pytest.mark.parametrize("arguments", [("--outcome", "PARKED"), ("--outcome", "PARKED", "--outcome", "WITHHELD")])
def test_a_plan_has_a_bound(
    world: DeskWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """Wherever the records are found."""
    monkeypatch.setattr(planning, "MAX_ENTRIES", 3)
    result = plan(world, tmp_path / "plan.json", *arguments)
    assert (result.status, "more than 3 records are selected: narrow it down" in result.stderr) == (1, True)


def test_a_large_plan_is_written_piece_by_piece(tmp_path: Path) -> None:
    """And its digest is made so: beside its entries it takes next to no memory."""
    entries = [Entry("lease.payments", 0, offset, f"subject-{offset}", "held", PROVIDE) for offset in range(20_000)]
    large = Plan(str(uuid.uuid4()), T0, "c", {}, {}, {}, {}, entries)
    tracemalloc.start()
    large.write(tmp_path / "plan.json")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 500_000
    assert read(tmp_path / "plan.json") == large
