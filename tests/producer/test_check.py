"""What billing is told of an event before it is sent: every mistake at once, by field, and never a value."""

import asyncio
import json
import subprocess
import sys
import typing
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from gateway import schemas
from gateway.core.consent import parse_consent
from gateway.core.events import FIRST_DAY, INT_MAX, LAST_DAY, LAST_MS, SAFE_INTEGER, Event, EventType, parse
from gateway.kafka.codec import MAX_RECORD_BYTES, Codec, Decoded
from gateway.kafka.registry import FileRegistry
from gateway.producer import (
    Customer,
    InvalidEventError,
    LeasePayment,
    NorelScore,
    ScoreInput,
    Vehicle,
    check,
    check_event,
    kind_of,
)
from gateway.producer.rules import RULES
from gateway.producer.shape import Mistake, leaves
from tests.core_cases import LAYOUTS
from tests.core_cases import payment as payment_record
from tests.core_cases import score as score_record
from tests.producer.event_documents import KINDS, NOW, NOW_MS, document, document_of, payment, score

TYPED = {LeasePayment: "LeasePaymentEvent", NorelScore: "NorelScoreUpdate"}
INNER = {Customer: "customer", Vehicle: "vehicle", ScoreInput: "inputs"}
RECORD_OF = {EventType.LEASE_PAYMENT: "LeasePaymentEvent", EventType.NOREL_SCORE_UPDATE: "NorelScoreUpdate"}
RECORDS = {EventType.LEASE_PAYMENT: payment_record, EventType.NOREL_SCORE_UPDATE: score_record}
CODEC = Codec(FileRegistry(), {kind: kind for kind in KINDS})
FAR_MS = 1 << 50  # later than every moment that a test draws
SIMPLE_LEAVES = {
    kind: [
        (path, leaf if isinstance(leaf, str) else leaf["logicalType"])
        for path, leaf in leaves(schemas.schema(kind).source)
        if isinstance(leaf, str) or (isinstance(leaf, dict) and "logicalType" in leaf)
    ]
    for kind in RECORD_OF.values()
}
UUID = "0b7c1d0e-0000-4000-8000-00000000000a"
CANARY = "山田太郎090-1234-5678"


def mistakes(kind: str, made: object) -> list[str]:
    """What is said of a document, as lines."""
    try:
        check(kind, made, NOW_MS)
    except InvalidEventError as error:
        return [str(mistake) for mistake in error.mistakes]
    return []


@pytest.mark.parametrize("kind", KINDS)
def test_an_example_is_right(kind: str) -> None:
    """What people start from passes, and goes to its topic under its customer's key."""
    checked = check(kind, document(kind), NOW_MS)
    assert checked.key == b"customer-1"
    assert schemas.decode(checked.value())[0] == kind == kind_of(document(kind))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"event_id": "NOT-A-UUID"}, "/event_id: wanted a UUID in lower case"),
        ({"event_id": ...}, "/event_id: is missing: UUID of the event"),
        ({"occurred_at": "2026-11-20T01:02:03"}, "/occurred_at: wanted a moment with its zone"),
        ({"occurred_at": "yesterday"}, "/occurred_at: wanted a moment with its zone"),
        ({"occurred_at": 1_795_305_600_000}, "/occurred_at: wanted a moment with its zone, ...got a number"),
        ({"occurred_at": "2026-11-20T02:02:03Z"}, "/occurred_at: lies in the future"),
        ({"occurred_at": "1969-12-31T23:59:59Z"}, "/occurred_at: wanted a moment from 1970 to 2199"),
        ({"subject_ref": "090-1234-5678"}, "/subject_ref: wanted 6 to 64 of"),
        ({"contract_ref": "short"}, "/contract_ref: wanted 6 to 64 of"),
        ({"creditor": "us"}, "/creditor: wanted one of idom_caas, partner_lessor"),
        ({"installment_no": "3"}, "/installment_no: wanted a whole number of 32 bits, got text"),
        ({"installment_no": True}, "/installment_no: wanted a whole number of 32 bits, got true or false"),
        ({"installment_no": -1}, "/installment_no: wanted a number that is not negative"),
        ({"installment_no": 1 << 31}, "/installment_no: wanted a whole number of 32 bits, got a number"),
        ({"amount_due_jpy": 45_000.5}, "/amount_due_jpy: wanted a whole number of 64 bits, got a number with a point"),
        ({"amount_past_due_jpy": -1}, "/amount_past_due_jpy: wanted whole yen that are not negative"),
        ({"billing_month": "2026-13"}, "/billing_month: wanted a month, as 2026-11"),
        ({"due_date": "2026-02-30"}, "/due_date: wanted a day of the calendar"),
        ({"due_date": "20261120"}, "/due_date: wanted a day in Japan"),
        ({"due_date": datetime(2026, 11, 20, tzinfo=UTC)}, "/due_date: wanted a day in Japan"),
        ({"paid_date": "1899-12-31"}, "/paid_date: wanted a day from 1900 to 2199"),
        ({"paid_date": 5}, "/paid_date: wanted a day in Japan, as 2026-11-27 or null, got a number"),
        ({"status": ["paid"]}, "/status: wanted one of ...got a list"),
        ({"customer": None}, "/customer: wanted an object with the fields of Customer, got null"),
        ({"customer__phone": ""}, "/customer/phone: wanted 1 to 32 characters, got 0"),
        ({"customer__name": "\ud800"}, "/customer/name: wanted text without halves of surrogate pairs"),
        ({"customer__memo": 5}, "/customer/memo: wanted text or null, got a number"),
        ({"customer__memo": "x" * MAX_RECORD_BYTES}, "(the whole): takes ... bytes, at most 131,072 are read"),
        ({"custmer": {}}, "/custmer: no such field: is it `customer`?"),
        ({"vehicle__colour_of_it": "red"}, "/vehicle/colour_of_it: no such field: take it out"),
        ({f"vehicle__{CANARY}": "red"}, "/vehicle: has a member whose name is none of a field's"),
    ],
)
def test_a_wrong_field_is_named_alone(change: dict[str, Any], said: str) -> None:
    """One mistake, one line: the place, what is wanted, and at most the kind of what was found."""
    (line,) = mistakes("LeasePaymentEvent", payment(**change))
    begins, *goes_on = said.split("...")
    assert line.startswith(begins)
    assert all(part in line for part in goes_on)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"score": "712,5"}, "/score: wanted a decimal number as text"),
        ({"score": 712.5}, "/score: wanted text, got a number with a point"),
        ({"score": "1000.1"}, "/score: is not between scale_min and scale_max"),
        ({"inputs": {}}, "/inputs: wanted a list, got an object"),
        ({"inputs": [{}] * 201}, "/inputs: wanted at most 200 inputs"),
        ({"inputs__0__value": "1e3"}, "/inputs/0/value: wanted a decimal number as text"),
        ({"inputs__0__source": "rumour"}, "/inputs/0/source: wanted one of payment_record"),
        ({"computed_at": "2026-11-20T02:02:03Z"}, "/computed_at: lies in the future"),
        ({"sequence": -1}, "/sequence: wanted a number from 0"),
    ],
)
def test_a_wrong_field_of_a_score_is_named_alone(change: dict[str, Any], said: str) -> None:
    """In lists by the number of the element."""
    (line,) = mistakes("NorelScoreUpdate", score(**change))
    assert line.startswith(said)


def test_all_mistakes_are_named_at_once() -> None:
    """Nobody mends a file field by field."""
    found = mistakes(
        "LeasePaymentEvent", payment(event_id="x", due_date=5, customer__phone=..., vehicle=[], status="payed")
    )
    assert [line.partition(": ")[0] for line in found] == [
        "/event_id",
        "/due_date",
        "/status",
        "/customer/phone",
        "/vehicle",
    ]


def test_no_mistake_repeats_a_value() -> None:
    """Whatever field a customer's name gets into, what is said of it does not hold it."""
    for path, _ in leaves(schemas.schema("LeasePaymentEvent").source):
        change = {path.replace(".", "__"): CANARY}
        assert CANARY not in "".join(mistakes("LeasePaymentEvent", payment(**change)))
    assert CANARY not in "".join(mistakes("LeasePaymentEvent", CANARY))
    assert CANARY not in "".join(mistakes("LeasePaymentEvent", {CANARY: CANARY}))


@pytest.mark.parametrize("kind", KINDS)
def test_rules_are_of_fields_that_there_are(kind: str) -> None:
    """A rule whose field was renamed would silently judge nothing."""
    paths = {path for path, _ in leaves(schemas.schema(kind).source)}
    assert {path for path in RULES[kind] if path != "inputs"} <= paths


TEXTS = "subject-2b", "1234567", "2026-12", "2026-13", "-0", "01", "1e3", "0.5", "９", UUID.upper(), "山田\n"
EDGES: dict[str, list[Any]] = {
    "int": [0, -1, INT_MAX],
    "long": [0, -1, SAFE_INTEGER, SAFE_INTEGER + 1, -SAFE_INTEGER, -SAFE_INTEGER - 1],
    "date": [FIRST_DAY - 1, FIRST_DAY, 0, LAST_DAY, LAST_DAY + 1],
    "timestamp-millis": [-1, 0, LAST_MS, LAST_MS + 1],
    "string": [*("x" * length for length in (0, 32, 33, 64, 65, 200, 201, 500, 501)), *TEXTS],
}


@pytest.mark.parametrize("kind", EventType)
def test_the_kit_and_the_gateway_judge_alike(kind: EventType) -> None:
    """With an edge value in one leaf an event passes here exactly if the core takes it; then the gateway's own codec
    reads it from the bytes that would be sent."""
    name, seen = RECORD_OF[kind], set()
    for path, leaf in SIMPLE_LEAVES[name]:
        for edge in EDGES[leaf]:
            record = changed(RECORDS[kind](), path, edge)
            taken = isinstance(parse(kind, LAYOUTS[kind], record, record["subject_ref"].encode()), Event)
            seen.add(taken)
            try:
                checked = check(name, document_of(name, record), FAR_MS)
            except InvalidEventError:
                assert not taken, path
                continue
            assert taken, path
            assert decoded(name, checked.value()) == record == checked.record
    assert seen == {True, False}


def changed(record: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    *outer, field = path.split(".")
    inner = record[outer[0].removesuffix("[]")] if outer else record
    (inner[0] if isinstance(inner, list) else inner)[field] = value
    return record


def test_a_consent_that_passes_is_one_to_the_gateway() -> None:
    """And one with a wrong id or reference is not."""
    parse_consent(check("ConsentRecord", document("ConsentRecord"), NOW_MS).record)
    found = mistakes("ConsentRecord", document("ConsentRecord", record_id="1", subject_ref="x", items=[5]))
    assert [line.partition(": ")[0] for line in found] == ["/record_id", "/subject_ref", "/items/0"]


def a_payment(**changes: Any) -> LeasePayment:
    customer = Customer(
        name="架空 花子",
        name_kana="カクウ ハナコ",
        address="東京都架空区見本町1-2-3",
        postal_code="000-0000",
        phone="000-0000-0000",
        birth_date=date(1985, 4, 1),
    )
    given: dict[str, Any] = {
        "event_id": "0b7c1d0e-0000-4000-8000-000000000001",
        "occurred_at": NOW - timedelta(minutes=1),
        "recorded_at": NOW,
        "subject_ref": "customer-1",
        "contract_ref": "contract-1",
        "creditor": "idom_caas",
        "installment_no": 3,
        "billing_month": "2026-11",
        "due_date": date(2026, 11, 20),
        "amount_due_jpy": 45_000,
        "amount_paid_jpy": 45_000,
        "amount_past_due_jpy": 0,
        "paid_date": date(2026, 11, 20),
        "payment_method": "account_debit",
        "days_past_due": 0,
        "payer_relation": "self",
        "status": "paid",
        "customer": customer,
        "vehicle": Vehicle(vehicle_id="vehicle-1"),
    }
    return LeasePayment(**(given | changes))


def test_a_typed_event_and_its_document_are_the_same_bytes() -> None:
    """Python's types and JSON's texts are two ways to write one event."""
    typed = check_event(a_payment(), NOW_MS)
    assert typed.value() == check("LeasePaymentEvent", payment(event_id=typed.id), NOW_MS).value()


def test_an_invalid_typed_event_says_all_its_mistakes() -> None:
    """As an exception with the mistakes as data."""
    with pytest.raises(InvalidEventError) as caught:
        check_event(a_payment(subject_ref="x", due_date="someday"), NOW_MS)
    assert [mistake.pointer for mistake in caught.value.mistakes] == ["/subject_ref", "/due_date"]
    assert str(caught.value).count("\n") == 1
    assert isinstance(caught.value.mistakes[0], Mistake)


@pytest.mark.parametrize("typed", [*TYPED, *INNER])
def test_typed_events_have_the_fields_of_the_schema(typed: type) -> None:
    """In order, with its types, its words and its defaults: neither goes on without the other."""
    assert is_dataclass(typed)
    hints = typing.get_type_hints(typed)
    found = [(each.name, python_type(hints[each.name])) for each in fields(typed)]
    if typed in TYPED:
        source = schemas.schema(TYPED[typed]).source
    else:
        source = inner_record("NorelScoreUpdate" if typed is ScoreInput else "LeasePaymentEvent", INNER[typed])
    assert found == [(part["name"], schema_type(part["type"])) for part in source["fields"]]


def test_importing_the_kit_loads_none_of_the_gateway() -> None:
    """Billing's process pays for Avro and Kafka's client alone."""
    program = "import sys, json, gateway.producer; print(json.dumps(sorted(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(json.loads(ended.stdout))
    heavy = {"lmdb", "pydantic", "pydantic_settings", "prometheus_client", "structlog", "typer", "uvloop", "httpx"}
    assert not heavy & loaded
    rooms = {name.split(".")[1] for name in loaded if name.startswith("gateway.")}
    assert not {"app", "genie", "oncall", "observe", "cli", "sandbox", "settings", "sections"} & rooms


def decoded(kind: str, value: bytes) -> dict[str, Any]:
    """A value read by the gateway's own codec."""
    asyncio.run(CODEC.prepare([value]))
    found = CODEC.decode(kind, value)
    assert isinstance(found, Decoded)
    return found.record


def inner_record(kind: str, field: str) -> dict[str, Any]:
    part = next(part for part in schemas.schema(kind).source["fields"] if part["name"] == field)
    return part["type"].get("items", part["type"])


def schema_type(kind: Any) -> str:
    match kind:
        case ["null", inner]:
            found = f"{schema_type(inner)} or None"
        case {"type": "enum", "symbols": symbols}:
            found = " ".join(symbols)
        case {"logicalType": logical}:
            found = {"date": "date", "timestamp-millis": "datetime"}[logical]
        case {"type": "array", "items": {"name": name}}:
            found = f"list of {name}"
        case {"type": "record", "name": name}:
            found = name
        case _:
            found = {"string": "str", "int": "int", "long": "int"}[kind]
    return found


def python_type(hint: Any) -> str:
    inner = typing.get_args(hint)
    if type(None) in inner:
        return f"{python_type(next(each for each in inner if each is not type(None)))} or None"
    if typing.get_origin(hint) is typing.Literal:
        return " ".join(inner)
    if inner:
        return f"list of {inner[0].__name__}"
    return "int" if hint is int else hint.__name__
