"""What stands behind a reason: the rules of core/decide.py in its words, and the clauses in the policy's own."""

import re

import pytest

from gateway.core import decide
from gateway.core.reasons import Outcome, Reason
from gateway.oncall.clauses import ALL_HOLD, RULES, clauses_of, known_reason, purposes_in_numbers, rule_of, shown_day
from tests.core_cases import POLICY, day

TABLE = " ".join(re.sub(r"\(a\)|\(b\)|[,:]", " ", decide.__doc__ or "").split())


def test_every_reason_of_the_decision_has_its_rule() -> None:
    """All that withholds, and the event of the future, which parks."""
    assert set(RULES) == {*(each for each in Reason if each.outcome is Outcome.WITHHELD), Reason.FUTURE_EVENT}


@pytest.mark.parametrize("reason", RULES)
def test_a_rule_is_quoted(reason: Reason) -> None:
    """Every word of it stands in the table of the decision."""
    words = set(re.findall(r"[a-z']+", RULES[reason]))
    assert words <= set(re.findall(r"[a-z']+", TABLE))


def test_what_was_announced_broke_no_rule() -> None:
    """Whatever became of it; and what was not may never have come to the decision."""
    assert rule_of("accepted", announced=True) == ALL_HOLD
    assert rule_of("rejected_by_genie", announced=True) == ALL_HOLD
    assert rule_of("consent_withdrawn", announced=True) == RULES[Reason.CONSENT_WITHDRAWN]
    assert rule_of("held", announced=False) is None
    assert rule_of("of_a_later_release", announced=False) is None
    assert known_reason("of_a_later_release") is None


@pytest.mark.parametrize(
    ("reason", "event_type", "version", "items", "clauses"),
    [
        ("accepted", "lease_payment", day("2026-02-25"), ["name"], ["items.name: 氏名"]),
        ("accepted", "lease_payment", day("2026-02-25"), ["of_a_later_release"], []),
        ("matter_not_consented", "norel_score_update", None, [], ["items.norel_score: 当社が算出するノレルスコア"]),
        ("creditor_not_us", "lease_payment", None, [], ["items.payment_history: 当社へのサービス利用料の支払い履歴"]),
        ("wrong_recipient", "lease_payment", None, [], ["recipient_id: genie"]),
        (
            "policy_version_without_clause",
            "lease_payment",
            day("2026-02-05"),
            [],
            ["versions: 2026-02-05 to 2026-02-24: contains the clause: unknown"],
        ),
        (
            "consented_outside_version",
            "lease_payment",
            day("2026-02-25"),
            [],
            ["versions: 2026-02-25 on: contains the clause: yes"],
        ),
        ("policy_version_unknown", "lease_payment", 1 << 40, [], [f"versions: there is none from day {1 << 40}"]),
        ("consent_withdrawn", "lease_payment", day("2026-02-25"), [], []),
        ("of_a_later_release", None, None, [], []),
    ],
)
def test_the_policy_is_quoted(
    reason: str, event_type: str | None, version: int | None, items: list[str], clauses: list[str]
) -> None:
    """What it says on the rule, or on what was sent."""
    assert clauses_of(reason, event_type, version, items, POLICY) == clauses


def test_an_opt_out_that_is_not_offered_names_the_one_that_is() -> None:
    """By its number in the clause."""
    [clause] = clauses_of("purposes_unclear", "lease_payment", None, [], POLICY)
    assert clause.startswith("opt_out_allowed: 7 GeNiE 社の与信業務に係る金融商品")


def test_purposes_are_numbered_as_in_the_clause() -> None:
    """One that it does not know stays a word; a day that is none stays a number."""
    assert purposes_in_numbers(["inquiry_handling", "credit_model_research", "later"], POLICY) == "later 1 5"
    assert (shown_day(day("2026-02-25")), shown_day(-(10**9))) == ("2026-02-25", "day -1000000000")
