"""Whose it is: what is told of each trouble, without any of the parts."""

from dataclasses import replace

import pytest

from gateway.core.delays import Delay
from gateway.core.holds import Hold, HoldScope
from gateway.kafka.brokers import Brokers
from gateway.kafka.group import Group, Member
from gateway.kafka.view_reader import Control
from gateway.oncall import status
from gateway.oncall.holds import Listed
from gateway.oncall.lanes import Lane, Picture
from gateway.oncall.processes import Fleet, LaneSeen, Process, Status
from gateway.oncall.status import Finding, Level, Overview, Part, Whose
from tests.core_cases import DAY_MS
from tests.oncall.desk_world import NOW, number_id

MINUTE = 60_000


def lane(oldest_ms: int | None = None, committed_ms: int | None = 1_000, *, name: str = "t:0", **seen: object) -> Lane:
    view = LaneSeen.model_validate({"watermark": 5, **seen})
    return Lane(name, "one", Process("one:1", None), view, 5, 0, oldest_ms, committed_ms, False)


def picture(*lanes: Lane) -> Picture:
    return Picture(NOW, Fleet(None, ()), lanes)


def fleet(**parts: object) -> Fleet:
    whole = {"ready": True, "live": True, "reasons": [], "lanes": {}, "process": {"instance": "one"}, **parts}
    return Fleet(Group("g", "Stable", ()), (Process("one:1", Status.model_validate(whole)),))


@pytest.mark.parametrize(
    ("oldest_ms", "committed_ms", "late"),
    [
        (None, None, False),
        (59_999, None, False),
        (60_000, None, True),
        (60_000, 29_999, False),  # it catches up
        (60_000, 30_000, True),
        (299_999, 0, False),
        (300_000, 0, True),
    ],
)
def test_a_record_is_late_if_its_lane_is_stuck_or_it_is_very_old(
    oldest_ms: int | None, committed_ms: int | None, late: bool
) -> None:
    """After an outage all records are old, and lanes work through them."""
    assert status.is_late(lane(oldest_ms, committed_ms)) is late


@pytest.mark.parametrize("delay", list(Delay))
def test_every_delay_is_somebodys(delay: Delay) -> None:
    """What waits for GeNiE is GeNiE's, a commit or fence Kafka's; a hold is on purpose."""
    (found,) = status.lanes(picture(lane(10 * MINUTE, delay=delay.value))).findings
    genie = {Delay.SLOT, Delay.ANSWER, Delay.RETRY, Delay.LOOKUP, Delay.LOOKUP_TIME, Delay.INTENTS}
    kafka = {Delay.COMMIT, Delay.FENCE}
    assert found.whose is (Whose.GENIE if delay in genie else Whose.KAFKA if delay in kafka else Whose.US)
    assert found.level is (Level.NOTE if delay is Delay.HOLD else Level.WRONG)


def test_lanes_of_one_delay_are_told_together() -> None:
    """And a lane that stopped is told once; what another release calls a delay is not known."""
    late = [lane(10 * MINUTE, delay="fence", name=f"t:{n}") for n in range(3)]
    part = status.lanes(picture(*late, lane(9 * MINUTE, stopped=True, name="t:7"), lane(8 * MINUTE, delay="new")))
    assert [found.text for found in part.findings] == [
        "stopped for a configuration that is wrong, ours or GeNiE's: t:7",
        "3 lanes late by 10 min: the consent view must first be proven fresh",
        "1 lane late by 8 min: not known why",
    ]


def test_brokers_and_topics_that_are_not_well_are_named() -> None:
    """A few by name, the others counted."""
    part = status.kafka(Brokers(("1 a:1",), ("2 b:1",), ("x",), (), tuple(f"t:{n}" for n in range(7))))
    assert part.line == "1 of 2 brokers answer"
    assert [found.text for found in part.findings] == [
        "no answer from broker 2 b:1",
        "with fewer copies in sync than there are: t:0, t:1, t:2, t:3, t:4 and 2 more",
        "no such topic: x",
    ]
    assert [found.whose for found in part.findings] == [Whose.KAFKA, Whose.KAFKA, Whose.US]
    assert status.kafka(Brokers(("1 a:1",), (), (), (), ())).level is Level.OK


def test_a_process_that_is_not_ready_for_kafka_is_kafkas() -> None:
    """Any other reason is ours."""
    for reason, whose in (("Kafka says nothing for longer", Whose.KAFKA), ("lane t:0 opening", Whose.US)):
        (found,) = status.processes(fleet(ready=False, reasons=[reason])).findings
        assert (found.level, found.whose, found.text) == (Level.WRONG, whose, f"one is not ready: {reason}")
    (found,) = status.processes(fleet(live=False)).findings
    assert (found.whose, found.text) == (Whose.US, "one: its event loop hangs")


def test_a_group_that_is_not_there_is_told_with_those_that_are() -> None:
    """It is mistyped, or no gateway ever committed anything."""
    missing = Fleet(Group("gatewya", "Dead", ()), (), ("gateway", "other"))
    (found,) = status.group(missing, picture()).findings
    assert found.text == "Kafka has no group gatewya, there is gateway, other: check kafka.group_id"
    (found,) = status.group(replace(missing, other_groups=()), picture()).findings
    assert found.text == "Kafka has no group gatewya: check kafka.group_id"


def test_a_member_that_can_not_be_asked_is_one_process() -> None:
    """Also where something was tried at its host; what was named besides is another one."""
    member = Member("one-" + "0" * 36, "10.0.0.1", frozenset())
    silent = (Process("10.0.0.1:9464", None, "closed"), Process("[::1]:9464", None, "closed"))
    assert status.processes(Fleet(Group("g", "Stable", (member,)), silent)).line == "0 of 2 ready"


def test_a_hold_on_everything_is_told_as_such() -> None:
    """Whoever asks why nothing is sent reads it in the first line."""
    one, every = (
        Listed(Control(number_id(n), Hold(number_id(n), scope, value, None)), b"", 0, n, NOW)
        for n, (scope, value) in enumerate([(HoldScope.SUBJECT, "subject-1"), (HoldScope.ALL, None)])
    )
    assert [found.text for found in status.holds([one], NOW).findings] == ["1 hold on, on purpose"]
    assert [found.text for found in status.holds([one, every], NOW).findings] == ["everything is held, on purpose"]


def test_a_view_that_is_not_whole_is_told() -> None:
    """Nothing is sent on an old one."""
    assert status.consents(fleet(consents={"whole_at": NOW - MINUTE}), NOW).level is Level.OK
    (found,) = status.consents(fleet(consents={"whole_at": NOW - 5 * MINUTE, "lag": 7}), NOW).findings
    assert found.text == "one: its consent view was last whole 5 min ago, lag 7; nothing is sent meanwhile"
    (found,) = status.consents(fleet(consents={"whole_at": 0}), NOW).findings
    assert "was never whole" in found.text


def test_certificates_are_told_in_time() -> None:
    """A month before it is worth knowing, a week before it is wrong."""
    ends = {"genie": NOW + 60 * DAY_MS, "genie_ca": NOW + 29 * DAY_MS, "kafka": NOW + 6 * DAY_MS, "old": NOW - 1}
    metrics = {
        status.CERTIFICATES: {(name,): moment / 1_000 for name, moment in ends.items()},
        status.CHANGE_REFUSED: {("genie",): 0.0, ("kafka",): 1.0},
    }
    part = status.certificates({"one": metrics}, NOW)
    assert [(found.level, found.text) for found in part.findings] == [
        (Level.WRONG, "one: changed keys or certificates for kafka can't be used, the old ones still are"),
        (Level.NOTE, "certificate genie_ca ends in 29 d 0 h"),
        (Level.WRONG, "certificate kafka ends in 6 d 0 h"),
        (Level.WRONG, "certificate old has ended"),
    ]
    assert part.line.startswith("old ends first, at ")


def overview(*findings: Finding) -> Overview:
    return Overview(NOW, tuple(Part(f"part {n}", "", (found,)) for n, found in enumerate(findings)))


def test_the_verdict_names_everyone_whose_it_is() -> None:
    """Kafka before GeNiE before us: what is upstream explains what is downstream."""
    us, kafka, genie = (Finding(Level.WRONG, whose, f"of {whose.value}") for whose in Whose)
    away = Finding(Level.UNREACHABLE, Whose.KAFKA, "away")
    note = Finding(Level.NOTE, Whose.US, "1 hold on, on purpose")
    assert overview().verdict == "All is well."
    assert overview(note).verdict == "All is well; to know: 1 hold on, on purpose."
    hold = Hold(number_id(1), HoldScope.ALL, None, None)
    (everything,) = status.holds([Listed(Control(hold.hold_id, hold), b"", 0, 1, NOW)], NOW).findings
    nothing_sent = "Nothing is wrong; nothing is sent: everything is held, on purpose."
    assert overview(note, everything).verdict == nothing_sent
    assert overview(us, everything).verdict == "It is us: of us."
    assert overview(us, genie, note).verdict == "It is GeNiE and us: of GeNiE; of us."
    assert overview(us, away, kafka).verdict == "It is Kafka and us: away; of us."
    assert (overview(away).unreachable, overview(away).wrong) == (True, False)
    assert (overview(note).unreachable, overview(note).wrong) == (False, False)
    assert overview(kafka).wrong
