"""What may be provided of an entry now, and what is made of it only once."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.decide import Permit
from gateway.core.entry import Announcement, Entry, Held
from gateway.core.events import EventType
from gateway.core.holds import Hold, Holds, HoldScope
from gateway.core.judge import Judge
from gateway.core.reasons import Reason
from gateway.core.rules import Limits, Rules
from tests.core_cases import NOW, POLICY, consent
from tests.lane_story import OPTED_OUT, record, state
from tests.lane_world.world import MINIMISER, ORIGIN

EXPIRES = NOW + 30_000
PAYMENTS = EventType.LEASE_PAYMENT


def judge(holds: Holds | None = None, kind: EventType | None = PAYMENTS) -> Judge:
    return Judge(Rules(POLICY, MINIMISER, ORIGIN, Limits(), lambda *_: 0, lambda: 0, kind), holds or Holds())


def entry(given: Any = None) -> Entry:
    return Entry(record(0), consent=given or state())


def held(scope: HoldScope, value: str | None = None, until: int | None = None) -> Holds:
    return Holds([Hold("h1", scope, value, until)])


def announced(by: Judge, of: Entry) -> Permit:
    """Announced as it is permitted now."""
    permit = by.judge(of, NOW, EXPIRES)
    assert isinstance(permit, Permit)
    made, given = by.make(of, permit), permit.consent
    of.announce(Held(made.scope, made.digest, given.record_id, given.version, Announcement("b", NOW, EXPIRES)))
    return permit


@pytest.mark.parametrize(
    ("holds", "kind", "pauses", "reason"),
    [
        (Holds(), PAYMENTS, False, None),
        (held(HoldScope.ALL), PAYMENTS, True, None),
        (held(HoldScope.ALL), None, False, Reason.HELD),
        (held(HoldScope.EVENT_TYPE, "lease_payment"), PAYMENTS, True, None),
        (held(HoldScope.EVENT_TYPE, "lease_payment"), None, False, Reason.HELD),
        (held(HoldScope.EVENT_TYPE, "norel_score_update"), None, False, None),
        (held(HoldScope.INPUT_PARTITION, "lease.payments:0"), PAYMENTS, True, None),
        (held(HoldScope.INPUT_PARTITION, "lease.payments:0"), None, False, Reason.HELD),
        (held(HoldScope.SUBJECT, "subject-1a"), PAYMENTS, False, Reason.HELD),
        (held(HoldScope.SUBJECT, "subject-1a"), None, False, Reason.HELD),
        (held(HoldScope.SUBJECT, "subject-2a"), None, False, None),
        (held(HoldScope.SUBJECT, "subject-1a", until=NOW), PAYMENTS, False, None),
        (held(HoldScope.ALL, until=NOW), PAYMENTS, False, None),
        (held(HoldScope.ALL, until=NOW), None, False, None),
        (held(HoldScope.ALL, until=NOW + 1), None, False, Reason.HELD),
        (held(HoldScope.ALL, until=NOW + 1), PAYMENTS, True, None),
    ],
)
def test_a_hold_pauses_a_lane_or_parks_a_record(
    holds: Holds, kind: EventType | None, pauses: bool, reason: Reason | None
) -> None:
    """What would pause a lane of one type parks the record in one that mixes types."""
    by = judge(holds, kind)
    assert by.pauses(NOW) is pauses
    said = by.judge(entry(), NOW, EXPIRES)
    assert said is reason if reason else isinstance(said, Permit)


def test_a_permit_is_kept_as_long_as_consent_and_time_allow() -> None:
    """Deciding costs, and most entries are judged twice under the same consent."""
    by, of = judge(), entry(consent(subject_ref="subject-1a", expires_at=EXPIRES + 10))
    permit = by.judge(of, NOW, EXPIRES)
    assert by.judge(of, NOW, EXPIRES + 9) is permit
    assert by.judge(of, NOW, EXPIRES + 10) is Reason.CONSENT_EXPIRED
    assert of.permit is None
    assert by.judge(of, NOW, EXPIRES) == permit


def test_a_changed_consent_is_judged_anew() -> None:
    """Also when it says the same under another version."""
    by, of = judge(), entry()
    by.judge(of, NOW, EXPIRES)
    of.consent = OPTED_OUT
    again = by.judge(of, NOW, EXPIRES)
    assert isinstance(again, Permit)
    assert again.consent is OPTED_OUT
    of.consent = None
    assert by.judge(of, NOW, EXPIRES) is Reason.NO_CONSENT


def test_a_body_is_built_once_for_each_scope() -> None:
    """An equal scope of another decision needs no other body."""
    by, of = judge(), entry()
    permit = by.judge(of, NOW, EXPIRES)
    assert isinstance(permit, Permit)
    made = by.make(of, permit)
    assert by.make(of, permit) is made
    assert by.make(of, replace(permit, scope=replace(permit.scope))) is made
    smaller = replace(permit.scope, items=("payment_history",))
    other = by.make(of, replace(permit, scope=smaller))
    assert (other.scope, other.body) == (smaller, MINIMISER.body(of.event, smaller))
    assert other.digest != made.digest


def test_what_may_have_been_received_goes_only_as_it_was() -> None:
    """Another body goes only after a lookup, and of two that were announced neither."""
    by, of = judge(), entry()
    announced(by, of)
    of.consent = OPTED_OUT
    other = by.judge(of, NOW, EXPIRES)
    assert isinstance(other, Permit)
    assert by.may_send(of, other)
    of.maybe_received = True
    assert not by.may_send(of, other)
    announced(by, of)
    assert not by.may_send(of, other)


@pytest.mark.parametrize(
    "changed",
    [
        {"record_id": "record-2", "version": 1},
        {"record_id": state().record_id, "version": 2},
        {"opted_out": OPTED_OUT.opted_out, "version": 1, "record_id": state().record_id},
    ],
    ids=["record", "version", "scope"],
)
def test_an_announcement_names_one_body_and_one_consent(changed: dict[str, Any]) -> None:
    """If any of them is another one now, it does not stand for what would be sent."""
    by, of = judge(), entry()
    assert by.is_as_announced(of, announced(by, of))
    of.consent = state(**changed)
    now = by.judge(of, NOW, EXPIRES)
    assert isinstance(now, Permit)
    assert not by.is_as_announced(of, now)
