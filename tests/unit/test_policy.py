"""The policy data: that the shipped file is what it should be."""

import pytest
import yaml

from gateway.core.events import LAST_DAY, EventType
from gateway.core.policy import Clause
from gateway.policies import GENIE
from tests.core_cases import LAYOUTS, POLICY, day, score, score_input

DATA = yaml.safe_load(GENIE.read_text(encoding="utf-8"))

# Written down a second time from the contract's table of items.
ITEMS = {
    EventType.LEASE_PAYMENT: {
        "name": {"customer.name", "customer.name_kana"},
        "address": {"customer.address"},
        "phone": {"customer.phone"},
        "birth_date": {"customer.birth_date"},
        "payment_history": {
            "installment_no",
            "billing_month",
            "due_date",
            "amount_due_jpy",
            "amount_paid_jpy",
            "amount_past_due_jpy",
            "paid_date",
            "payment_method",
            "days_past_due",
            "nonpayment_reason",
            "status",
            "corrects_event_id",
        },
        "envelope": {"event_id", "occurred_at"},
    },
    EventType.NOREL_SCORE_UPDATE: {
        "norel_score": {
            "sequence",
            "score",
            "scale_min",
            "scale_max",
            "model_id",
            "model_version",
            "as_of",
            "supersedes",
        },
        "norel_score_inputs": {"inputs[].input_id", "inputs[].value", "inputs[].unit", "inputs[].observed_at"},
        "envelope": {"score_id"},
    },
}


def test_the_file_lets_leave_what_the_contract_lists():
    """Field by field, the policy's items are the contract's."""
    listed = {kind: {item: set(table) for item, table in tables.items()} for kind, tables in POLICY.fields.items()}
    assert listed == ITEMS
    assert POLICY.event_items == {kind: set(tables) - {"envelope"} for kind, tables in ITEMS.items()}


def test_the_schemas_label_those_fields_alike():
    """Both locks of every field open: policy and schema name the same item for the same leaf, and no leaf more."""
    for kind, tables in POLICY.fields.items():
        by_policy = {path: item for item, table in tables.items() for path in table}
        assert by_policy == {path: item for path, item in LAYOUTS[kind].items.items() if item != "internal"}


def test_the_ten_purposes_bear_the_numbers_of_the_clause():
    """Code names, numbers and the one opt-out are those of clause 5(5)."""
    assert [code for code, _ in sorted(POLICY.purposes.items(), key=lambda each: each[1])] == [
        "credit_model_research",
        "identity_check_and_credit_decision",
        "credit_and_claim_administration",
        "claim_assignment_and_collateral",
        "inquiry_handling",
        "transaction_recordkeeping",
        "credit_product_marketing",
        "other_product_marketing",
        "market_research_and_product_development",
        "insurance_administration",
    ]
    assert sorted(POLICY.purposes.values()) == list(range(1, 11))
    assert POLICY.purpose_codes == tuple(sorted(POLICY.purposes))
    assert POLICY.opt_out_allowed == {"credit_product_marketing"}


def test_items_bear_the_words_of_the_clause():
    """In their order, the items read as the clause does."""
    words = [POLICY.texts[item] for item in DATA["items"]]
    assert words == [
        "氏名",
        "住所",
        "電話番号",
        "生年月日",
        "当社へのサービス利用料の支払い履歴",
        "当社が算出するノレルスコア",
        "ノレルスコア算出のために収集された情報",
    ]


def test_only_the_newest_version_is_proven():
    """22 versions, and every one before 2026-02-25 is unknown, which denies."""
    clauses = [version.clause for version in POLICY.versions.values()]
    assert clauses == [Clause.UNKNOWN] * 21 + [Clause.YES]
    assert max(POLICY.versions) == day("2026-02-25")


@pytest.mark.parametrize(
    ("on", "start"),
    [
        ("2016-07-31", None),
        ("2016-08-01", "2016-08-01"),
        ("2026-02-24", "2026-02-05"),
        ("2026-02-25", "2026-02-25"),
        ("2030-01-01", "2026-02-25"),
    ],
)
def test_a_version_is_in_force_until_the_next_one_starts(on, start):
    """Its first day belongs to it, the next version's first day does not."""
    in_force = [version.start for version in POLICY.versions.values() if version.start <= day(on) < version.end]
    assert in_force == ([day(start)] if start else [])


def test_inputs_are_registered_by_model_version_and_source():
    """Another version, another model or another source than the registered one registers nothing."""
    ours = score_input(input_id="active_contracts", source="contract")
    assert POLICY.registered_inputs(score(model_version="2", inputs=[ours])) == [ours]
    assert POLICY.registered_inputs(score(model_version="1", inputs=[ours])) == []
    assert POLICY.registered_inputs(score(model_version="3", inputs=[ours])) == []
    assert POLICY.registered_inputs(score(model_id="other", inputs=[ours])) == []
    assert POLICY.registered_inputs(score(model_version="2", inputs=[ours | {"source": "bureau"}])) == []


def test_the_newest_version_is_in_force_as_long_as_days_are_counted():
    """No day after its start is without a version."""
    assert POLICY.versions[day("2026-02-25")].end == LAST_DAY + 1
