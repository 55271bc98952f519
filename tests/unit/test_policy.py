"""The policy data: that the shipped file is what it should be, and that slips in it are refused."""

from copy import deepcopy

import pytest
import yaml

from gateway.core.events import EventType
from gateway.core.policy import Clause, PolicyError, from_mapping
from gateway.policies import GENIE, load
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


def changed(*path, to):
    data = deepcopy(DATA)
    part = data
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = to
    return data


SLIPS = [
    (("shoe_size",), 1),
    (("recipient_id",), ""),
    (("mapping_version",), 0),
    (("mapping_version",), "1"),
    (("mapping_version",), 1 << 31),
    (("items", "postal_code"), "郵便番号"),
    (("items",), {}),
    (("purposes", 0, "number"), 2),
    (("purposes", 0, "code"), "inquiry_handling"),
    (("purposes", 0, "text"), ""),
    (("purposes", 0, "code"), "\u6c38" * 400),
    (("purposes",), None),
    (("opt_out_allowed",), ["everything"]),
    (("opt_out_allowed",), "credit_product_marketing"),
    (("versions", 3, "from"), "2020-11-03"),
    (("versions", 3, "from"), DATA["versions"][2]["from"]),
    (("versions", 3, "clause"), True),
    (("versions", 3, "clause"), "perhaps"),
    (("versions", 3), {"from": DATA["versions"][3]["from"]}),
    (("events", "lease_payment", "postal_code"), {"customer.postal_code": "text"}),
    (("events", "lease_payment", "internal"), {"customer.memo": "text"}),
    (("events", "lease_payment", "name", "memo"), "text"),
    (("events", "lease_payment", "name", "customer.name"), "float"),
    (("events", "lease_payment"), {"envelope": {"event_id": "text"}}),
    (("events", "norel_score_update", "norel_score_inputs"), {"input_id": "text"}),
    (("events", "norel_score_update", "norel_score"), {"inputs[].value": "text"}),
    (("events", "other"), {}),
    (("score_inputs", "norel_score", "1", "home_area"), "location"),
    (("score_inputs", "norel_score", "1", "loans_elsewhere"), "bureau"),
    (("score_inputs", "norel_score", "1", "months_in_contract"), None),
    (("score_inputs", "norel_score", "1"), {}),
    (("score_inputs", "norel_score", 3), {"months_in_contract": "contract"}),
]


@pytest.mark.parametrize(("path", "to"), SLIPS, ids=lambda value: str(value)[:60])
def test_a_slip_is_refused_and_says_where(path, to):
    """The error names the part of the file, what it needs and what was found."""
    with pytest.raises(PolicyError, match=r"^policy: .+: needs .+, found "):
        from_mapping(changed(*path, to=to))


def test_a_missing_part_is_refused():
    """Every part of the file is needed."""
    for name in DATA:
        with pytest.raises(PolicyError, match="the file"):
            from_mapping({key: value for key, value in DATA.items() if key != name})


@pytest.mark.parametrize("content", [b"versions: [", b"\xff", b"", b"- a list"])
def test_a_file_that_is_no_policy_is_refused(tmp_path, content):
    """Whatever the file holds, the refusal is a PolicyError."""
    file = tmp_path / "policy.yaml"
    file.write_bytes(content)
    with pytest.raises(PolicyError):
        load(file)


@pytest.mark.parametrize("content", ["CANARY-text", "CANARY: [", "- CANARY\n\t- x", "items: CANARY"])
def test_no_refusal_quotes_a_file_that_is_no_policy(tmp_path, content):
    """It may be a key that was named by mistake."""
    file = tmp_path / "policy.yaml"
    file.write_text(content)
    with pytest.raises(PolicyError) as refused:
        load(file)
    assert "CANARY" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    """The error names the path."""
    with pytest.raises(PolicyError, match=r"missing\.yaml"):
        load(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("old", "new", "line_of", "where"),
    [
        ("code: inquiry_handling", "code: 7", "code: 7", "purposes[4].code"),
        ("mapping_version: 1", "mapping_version: none", "mapping_version: none", "mapping_version"),
        (
            '{from: 2020-06-08, clause: "unknown"}',
            "{from: 2020-06-08, clause: yes}",
            "clause: yes",
            "versions[1].clause",
        ),
        ("opt_out_allowed:", "opt_out_alowed:", "# What may be", "the file"),
        ("recipient_id: genie", "recipient_id: genie\nrecipient_id: other", "recipient_id: other", "each key once"),
    ],
)
def test_a_slip_in_the_file_is_named_with_its_line(tmp_path, old: str, new: str, line_of: str, where: str) -> None:
    """File, line, place, what is needed; a key that is set twice is a slip too."""
    text = GENIE.read_text("utf-8")
    assert old in text
    file = tmp_path / "policy.yaml"
    file.write_text(text.replace(old, new, 1), "utf-8")
    line = next(n for n, each in enumerate(file.read_text("utf-8").splitlines(), 1) if line_of in each)
    with pytest.raises(PolicyError) as refused:
        load(file)
    assert f"{file} line {line}:" in str(refused.value)
    assert where in str(refused.value)
