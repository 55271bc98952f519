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


@pytest.mark.parametrize(
    "change",
    [{"scope": "galaxy"}, {"state": "perhaps"}, {"value": None}, {"scope": "all"}],
)
def test_an_impossible_record_is_refused(change: dict[str, object]) -> None:
    """What no on-call tool writes is not read as any hold."""
    with pytest.raises(InvalidHoldError):
        parse_control({**RECORD, **change})
