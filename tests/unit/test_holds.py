"""Which holds pause a lane, which park a subject."""

import pytest

from gateway.core.holds import Hold, Holds, HoldScope, InvalidHoldError, parse_control

LANE = "lease.payments:3"
RECORD = {
    "hold_id": "h1",
    "scope": "event_type",
    "value": "lease_payment",
    "state": "held",
    "operator": "o",
    "reason": "r",
    "ticket": "t",
    "at": 1,
    "expires_at": None,
}


@pytest.mark.parametrize(
    ("scope", "value", "pauses", "parks"),
    [
        (HoldScope.ALL, None, True, False),
        (HoldScope.EVENT_TYPE, "lease_payment", True, False),
        (HoldScope.EVENT_TYPE, "norel_score_update", False, False),
        (HoldScope.INPUT_PARTITION, LANE, True, False),
        (HoldScope.INPUT_PARTITION, "lease.payments:4", False, False),
        (HoldScope.SUBJECT, "subject-1", False, True),
        (HoldScope.SUBJECT, "subject-2", False, False),
    ],
)
def test_each_scope_holds_what_it_names(scope: HoldScope, value: str | None, pauses: bool, parks: bool) -> None:
    """A hold acts on what it names and on nothing else."""
    holds = Holds([Hold("h1", scope, value, None)])
    assert holds.pauses("lease_payment", LANE, 0) is pauses
    assert holds.parks("subject-1", 0) is parks


def test_a_hold_ends_at_its_expiry() -> None:
    """A hold is on before its expiry and off from it on."""
    holds = Holds([Hold("h1", HoldScope.ALL, None, 100), Hold("h2", HoldScope.SUBJECT, "subject-1", 100)])
    assert (holds.pauses("lease_payment", LANE, 99), holds.parks("subject-1", 99)) == (True, True)
    assert (holds.pauses("lease_payment", LANE, 100), holds.parks("subject-1", 100)) == (False, False)


def test_a_record_sets_or_releases_a_hold() -> None:
    """`held` is a hold, `released` is none."""
    assert parse_control(RECORD) == Hold("h1", HoldScope.EVENT_TYPE, "lease_payment", None)
    assert parse_control({**RECORD, "state": "released"}) is None


def test_a_hold_may_end_by_itself() -> None:
    """The record says when."""
    assert parse_control({**RECORD, "expires_at": 99}) == Hold("h1", HoldScope.EVENT_TYPE, "lease_payment", 99)


MISSING = "control record: a field is missing, or scope is unknown"
VALUE = "control record: value must be given, but not for scope all"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"scope": "galaxy"}, MISSING),
        ({"state": "perhaps"}, "control record: state is unknown"),
        ({"value": None}, VALUE),
        ({"scope": "all"}, VALUE),
    ],
)
def test_an_impossible_record_is_refused(change: dict[str, object], text: str) -> None:
    """What no on-call tool writes is not read as any hold, and the refusal says which field is wrong."""
    with pytest.raises(InvalidHoldError) as refused:
        parse_control({**RECORD, **change})
    assert str(refused.value) == text


@pytest.mark.parametrize("name", ["state", "hold_id", "scope", "value", "expires_at"])
def test_a_record_without_one_of_its_fields_is_refused(name: str) -> None:
    """A schema that lacks it makes no hold."""
    with pytest.raises(InvalidHoldError) as refused:
        parse_control({key: value for key, value in RECORD.items() if key != name})
    assert str(refused.value) == MISSING


def test_holds_are_kept_in_the_order_of_their_names() -> None:
    """So that what is told of them does not depend on the order in which they were read."""
    holds = [Hold(name, HoldScope.SUBJECT, "subject-1", None) for name in ("h2", "h1", "h3")]
    assert [hold.hold_id for hold in Holds(holds).all] == ["h1", "h2", "h3"]
    assert Holds().all == ()


def test_one_hold_of_several_on_a_subject_is_enough() -> None:
    """A second one that has ended takes nothing from the first."""
    on, ended = Hold("h1", HoldScope.SUBJECT, "subject-1", None), Hold("h2", HoldScope.SUBJECT, "subject-1", 1)
    assert Holds([on, ended]).parks("subject-1", 5)
    assert not Holds([ended]).parks("subject-1", 5)
