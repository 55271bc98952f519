"""How commands read and write topics: parts of them by time and offset, what can't be read, and the audit."""

import pytest

from gateway.cli.errors import Exit
from gateway.core.reasons import Reason
from gateway.kafka.scan import Span
from gateway.oncall import times
from gateway.oncall.audit import MAX_WORDS, Deed, Operator, audited
from gateway.oncall.desk import Desk, Found
from tests.oncall.desk_world import NOW, T0, DeskWorld

MINUTE = 60_000


@pytest.fixture(scope="module")
def payments(desk_world: DeskWorld) -> list[tuple[str, int, int]]:
    """Six, a minute apart, in two partitions; bytes that are no payment; a tombstone."""
    there = [desk_world.add_payment("subject-1", partition=n % 2, at=T0 + n * MINUTE) for n in range(6)]
    desk_world.add(desk_world.names.payments, "subject-2", b"garbage", at=T0 + 6 * MINUTE)
    desk_world.add(desk_world.names.payments, "subject-3", None, at=T0 + 7 * MINUTE)
    return there


def read(world: DeskWorld, span: Span) -> tuple[list[Found], dict[int, int]]:
    found: list[Found] = []

    async def reading(desk: Desk) -> dict[int, int]:
        return await desk.read(desk.names.payments, found.extend, span)

    return found, world.at_desk(reading)


def test_all_is_read_and_what_can_not_be_decoded_says_why(
    desk_world: DeskWorld, payments: list[tuple[str, int, int]]
) -> None:
    """In the order of each partition; what was read ends where the topic does."""
    found, ends = read(desk_world, Span())
    assert sorted((each.partition, each.offset) for each in found) == [(0, n) for n in range(5)] + [
        (1, 0),
        (1, 1),
        (1, 2),
    ]
    assert ends == {0: 5, 1: 3}
    assert {each.place: each.why for each in found if each.record is None} == {
        f"{desk_world.names.payments}:0:3": Reason.NOT_AVRO,
        f"{desk_world.names.payments}:0:4": None,
    }
    assert {each.key for each in found if each.record is not None} == {"subject-1"}


@pytest.mark.parametrize(
    ("span", "there", "ends"),
    [
        (Span(since=T0 + 3 * MINUTE, until=T0 + 5 * MINUTE), [(0, 2), (1, 1)], {0: 3, 1: 2}),
        (Span(since=T0 + 8 * MINUTE), [], {0: 5, 1: 3}),
        (Span(until=T0), [], {0: 0, 1: 0}),
        (Span(starts={1: 2}), [(1, 2)], {1: 3}),
        (Span(since=T0 + MINUTE, starts={0: 4, 1: 0}), [(0, 4), (1, 0), (1, 1), (1, 2)], {0: 5, 1: 3}),
    ],
)
def test_a_part_is_read(
    desk_world: DeskWorld,
    payments: list[tuple[str, int, int]],
    span: Span,
    there: list[tuple[int, int]],
    ends: dict[int, int],
) -> None:
    """By time, by offset, by both: the later start counts."""
    found, read_to = read(desk_world, span)
    assert (sorted((each.partition, each.offset) for each in found), read_to) == (there, ends)


def test_records_are_found_at_their_places(desk_world: DeskWorld, payments: list[tuple[str, int, int]]) -> None:
    """And where there is none, nothing is."""

    async def look(desk: Desk) -> list[Found | None]:
        return await desk.at([payments[3], (desk.names.payments, 0, 99), payments[0]])

    third, nothing, first = desk_world.at_desk(look)
    assert (third.place, nothing, first.place) == (
        "{}:{}:{}".format(*payments[3]),
        None,
        "{}:{}:{}".format(*payments[0]),
    )
    assert third.record["subject_ref"] == "subject-1"
    assert third.headers == (("producer", b"billing"),)


def test_a_deed_is_in_the_audit(desk_world: DeskWorld) -> None:
    """Who, what, why, about what, and when."""
    deed = Deed("parked show", subject_ref="subject-1", input=("t", 1, 2), count=1)

    async def do(desk: Desk) -> str:
        return await audited(desk, Operator("ann", "asked by the desk", "T-1"), deed)

    audit_id = desk_world.at_desk(do)
    assert desk_world.records(desk_world.names.audit) == [
        {
            "audit_id": audit_id,
            "at": NOW,
            "operator": "ann",
            "command": "parked show",
            "reason": "asked by the desk",
            "ticket": "T-1",
            "subject_ref": "subject-1",
            "plan_id": None,
            "hold_id": None,
            "input": {"topic": "t", "partition": 1, "offset": 2},
            "count": 1,
        }
    ]


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "x" * (MAX_WORDS + 1)])
def test_who_asks_says_who_and_why(text: str) -> None:
    """In words that fit a line."""
    for given in ((text, "why", "T-1"), ("ann", text, "T-1"), ("ann", "why", text)):
        with pytest.raises(ValueError, match="printable"):
            Operator(*given)


@pytest.mark.parametrize(
    ("text", "at"),
    [("2026-05-01T09:00:00+09:00", T0), ("2026-05-01T00:00:00Z", T0), ("90m", NOW - 90 * MINUTE), ("1d", T0)],
)
def test_times_are_read_as_people_type_them(text: str, at: int) -> None:
    """With their zone, or so long ago."""
    assert times.parse_time(text, NOW) == at


@pytest.mark.parametrize("text", ["2026-05-01", "2026-05-01T00:00:00", "yesterday", "5", "-5m", "1969-01-01T00:00:00Z"])
def test_other_times_are_refused(text: str) -> None:
    """A time without its zone would be somebody's guess."""
    with pytest.raises(ValueError):
        times.parse_time(text, NOW)


def test_times_are_shown_in_both_zones() -> None:
    """And how long something lasted."""
    assert times.shown(T0 + 1_500) == "2026-05-01 09:00:01 JST (00:00:01Z)"
    assert times.iso(T0 + 1_500) == "2026-05-01T00:00:01.500Z"
    lasted = [times.lasted(value) for value in (-5, 59_999, 60_000, 3_600_000, 172_800_000)]
    assert lasted == ["0 s", "59 s", "1 min", "1 h 0 min", "2 d 0 h"]


def test_what_is_no_time_is_shown_as_it_is() -> None:
    """Somebody else may have written microseconds; who must see that record must not be left without it."""
    assert (times.shown(10**17), times.iso(-(10**17))) == ("100000000000000000 ms", "-100000000000000000")


@pytest.mark.parametrize(
    "command", ["ledger verify", "ledger reconcile", "ledger count", "parked list", "parked stats", "replay plan"]
)
@pytest.mark.parametrize("typed", [("--since", "1h", "--until", "2h"), ("--since", "2099-01-01T00:00:00Z")])
def test_a_time_in_which_nothing_is_is_refused(desk_world: DeskWorld, command: str, typed: tuple[str, ...]) -> None:
    """By mistake it would be said that nothing is wrong."""
    ended = desk_world.run([*command.split(), *typed])
    assert (ended.stdout, ended.status) == ("", Exit.WRONG_USE)
    assert f"--since {typed[1]} is not before --until" in ended.stderr


def test_any_time_may_be_long_ago(desk_world: DeskWorld, payments: list[tuple[str, int, int]]) -> None:
    """Before the year in which computers' time begins, by what is taken off; Kafka has other meanings for it."""
    assert len(read(desk_world, Span(since=-1))[0]) == len(payments) + 2
    assert len(read(desk_world, Span(since=-600_000))[0]) == len(payments) + 2
