"""The record kinds: contract's fields and items, and the wire format."""

from collections.abc import Iterator

import pytest

from gateway import avro, schemas

ITEM_TABLE = {  # the contract's table; what it does not list is internal
    "LeasePaymentEvent": {
        "envelope": "event_id occurred_at",
        "name": "customer.name customer.name_kana",
        "address": "customer.address",
        "phone": "customer.phone",
        "birth_date": "customer.birth_date",
        "payment_history": """
            installment_no billing_month due_date amount_due_jpy amount_paid_jpy amount_past_due_jpy
            paid_date payment_method days_past_due nonpayment_reason status corrects_event_id
        """,
    },
    "NorelScoreUpdate": {
        "envelope": "score_id",
        "norel_score": "sequence score scale_min scale_max model_id model_version as_of supersedes",
        "norel_score_inputs": "inputs[].input_id inputs[].value inputs[].unit inputs[].observed_at",
    },
}

FIELDS = {
    "LeasePaymentEvent": """
        event_id occurred_at recorded_at subject_ref contract_ref creditor installment_no billing_month
        due_date amount_due_jpy amount_paid_jpy amount_past_due_jpy paid_date? payment_method
        days_past_due payer_relation nonpayment_reason? status corrects_event_id? customer customer.name
        customer.name_kana customer.address customer.postal_code customer.phone customer.birth_date
        customer.email? customer.bank_account? customer.card_last4? customer.licence_no? customer.memo?
        vehicle vehicle.vehicle_id vehicle.last_location?
    """,
    "NorelScoreUpdate": """
        score_id subject_ref sequence score scale_min scale_max model_id model_version as_of computed_at
        supersedes? inputs inputs[].input_id inputs[].value inputs[].unit inputs[].observed_at
        inputs[].source
    """,
    "ConsentRecord": """
        record_id consent_version subject_ref recipient status status_updated_at policy_version
        consented_at expires_at? history_from? items purposes_opted_out collection_method consent_actor
        contract_refs? legal_basis
    """,
    "ProvisionIntent": """
        lane batch_id announced_at expires_at policy_version mapping_version key_version entries
        entries[].offset entries[].idempotency_key entries[].body_digest entries[].items
        entries[].permitted_purposes entries[].consent_record_id entries[].consent_version
        entries[].consented_at gateway gateway.version gateway.instance gateway.epoch
    """,
    "ProvisionRecord": """
        input input.cluster_id input.topic input.partition input.offset input.timestamp source_digest
        event_id? event_type? subject_ref? outcome reason transmitted recipient recipient.id
        recipient.name recipient.address recipient.representative consent? consent.record_id
        consent.consent_version consent.policy_version consent.consented_at items permitted_purposes
        idempotency_key? body_digest? receipt? receipt.id receipt.received_at receipt.answer_digest
        receipt.key_id attempts decided_at announced_at? settled_at replay_of? replay_of.topic
        replay_of.partition replay_of.offset replay_of.request_id mapping_version gateway gateway.version
        gateway.instance
    """,
    "ParkedEvent": """
        input input.cluster_id input.topic input.partition input.offset input.timestamp event_type?
        subject_ref? producer? reason detail transmitted parked_at input_expires_at attempts gateway
        gateway.version gateway.instance
    """,
    "ReplayRequest": """
        request_id plan_id plan_digest input input.topic input.partition input.offset subject_ref
        requested_at operator reason ticket
    """,
    "Control": """
        hold_id scope value? state operator reason ticket at expires_at?
    """,
}


def _fields(name: str) -> Iterator[str]:
    for path, part, _ in avro.fields_below(schemas.schema(name).record):
        yield f"{path}?" if isinstance(part.type, avro.Nullable) else path


@pytest.mark.parametrize("name", FIELDS)
def test_a_record_kind_has_the_fields_of_the_contract(name: str) -> None:
    """Names, order and nullability are the contract's, and every nullable field defaults to null."""
    assert list(_fields(name)) == FIELDS[name].split()
    for _, part, _ in avro.fields_below(schemas.schema(name).record):
        assert part.has_default == isinstance(part.type, avro.Nullable)


@pytest.mark.parametrize("name", ITEM_TABLE)
def test_only_the_leaves_of_the_item_table_belong_to_an_item(name: str) -> None:
    """Every leaf of an input that the contract's table does not list is internal."""
    table = {path: item for item, paths in ITEM_TABLE[name].items() for path in paths.split()}
    assert dict(schemas.leaves(name)) == {path: table.get(path, "internal") for path, _ in schemas.leaves(name)}
    assert table.keys() <= dict(schemas.leaves(name)).keys()


def test_no_record_of_ours_carries_a_policy_item() -> None:
    """The leaves of consent and own records are internal or an event's id."""
    for name in schemas.own().current.keys() - ITEM_TABLE.keys():
        assert {item for _, item in schemas.leaves(name)} <= {"internal", "envelope"}


def test_the_file_registry_numbers_the_record_kinds() -> None:
    """Ids 1 to 8 are the record kinds in the order of the contract, 9 is the audit."""
    assert [schemas.own().by_id[number].name for number in range(1, 10)] == [
        "LeasePaymentEvent",
        "NorelScoreUpdate",
        "ConsentRecord",
        "ProvisionIntent",
        "ProvisionRecord",
        "ParkedEvent",
        "ReplayRequest",
        "Control",
        "AuditRecord",
    ]


def test_a_type_name_means_one_thing_in_all_schemas() -> None:
    """A consumer may load all schemas into one program: equal full names have equal definitions."""
    defined: dict[str, avro.Node] = {}

    def collect(node: avro.Node) -> None:
        match node:
            case avro.Nullable(inner) | avro.Array(inner) | avro.Map(inner):
                collect(inner)
            case avro.Record(name, fields):
                assert defined.setdefault(name, node) == node
                for part in fields:
                    collect(part.type)
            case avro.EnumType(name) | avro.Fixed(name):
                assert defined.setdefault(name, node) == node
            case avro.Scalar():
                pass

    for kind in schemas.own().current.values():
        collect(kind.record)


def test_every_field_says_what_it_means() -> None:
    """No field is without `doc`."""

    def undocumented(raw: object) -> Iterator[str]:
        if isinstance(raw, dict):
            yield from (part["name"] for part in raw.get("fields", []) if not part.get("doc"))
        for inner in raw.values() if isinstance(raw, dict) else raw if isinstance(raw, list) else []:
            yield from undocumented(inner)

    for kind in schemas.own().current.values():
        assert list(undocumented(kind.source)) == []


CONTROL = {
    "hold_id": "h-1",
    "scope": "all",
    "value": None,
    "state": "held",
    "operator": "on-call",
    "reason": "drill",
    "ticket": "OPS-1",
    "at": 1_800_000_000_000,
    "expires_at": None,
}


def test_a_record_is_framed_with_its_id_and_read_back() -> None:
    """The wire format is a zero byte, the id in four bytes, then Avro; times stay integers."""
    value = schemas.encode("Control", CONTROL)
    assert value[:5] == b"\x00\x00\x00\x00\x08"
    assert schemas.decode(value) == ("Control", CONTROL)


def test_a_registry_may_give_another_id() -> None:
    """The id in the frame is the one asked for."""
    assert schemas.unframe(schemas.encode("Control", CONTROL, 70_000))[0] == 70_000


def test_a_record_with_a_field_too_many_or_too_few_is_refused() -> None:
    """A misspelt or forgotten field is an error where it is written, not a null in the ledger."""
    for wrong in ({**CONTROL, "vlaue": "x"}, {key: CONTROL[key] for key in CONTROL if key != "ticket"}):
        with pytest.raises(ValueError, match=r"Control|ticket|vlaue"):
            schemas.encode("Control", wrong)


@pytest.mark.parametrize("value", [b"", b"\x00\x00\x00\x00", b"\x01\x00\x00\x00\x08rest", b"{}      "])
def test_what_is_not_framed_is_refused(value: bytes) -> None:
    """Short values and other first bytes raise NotFramedError."""
    with pytest.raises(schemas.NotFramedError):
        schemas.unframe(value)


def test_an_unknown_kind_or_id_is_named() -> None:
    """The error says what was asked for and where the schemas are."""
    with pytest.raises(schemas.UnknownSchemaError, match="'Nothing'"):
        schemas.schema("Nothing")
    with pytest.raises(schemas.UnknownSchemaError, match="id 99"):
        schemas.decode(schemas.frame(99, b""))
