"""Records of the inputs that are wrong in one way each: how each is made, how it ends, and what an operator is told.

The run of tests/integration/outcome_run.py writes them, tests/integration/test_outcomes.py looks at how they ended.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway import schemas
from gateway.core.reasons import Reason
from tests.faults import Fault, Where
from tests.integration.chosen_records import a_customer, a_payment, a_score

SUBJECT = "subject-poison"
UNLABELLED_ID, DEEP_ID, RECURSIVE_ID, UNKNOWN_ID = 101, 102, 103, 999
HUGE = 400_000  # bytes: less than a broker takes, more than anybody should send
CLAIMS_2_TO_THE_62 = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"
NO_SUCH_SYMBOL = b"\x7e"


@dataclass(frozen=True, slots=True)
class Bad:
    """One way to be wrong. `make` gives the value; the first word of a case's name is the reason."""

    what: str
    make: Callable[[], bytes | None]
    key: str | bytes | None = SUBJECT
    scores: bool = False
    headers: tuple[tuple[str, bytes], ...] = ()


def payment(**changes: Any) -> bytes:
    return schemas.encode("LeasePaymentEvent", a_payment(SUBJECT, **changes))


def score(**changes: Any) -> bytes:
    return schemas.encode("NorelScoreUpdate", a_score(SUBJECT, **changes))


def under(number: int) -> Callable[[], bytes]:
    """A payment that names another schema."""
    return lambda: schemas.frame(number, schemas.unframe(payment())[1])


def unknown_symbol() -> bytes:
    """A status that the schema does not list: its one byte is where two payments of different status differ."""
    given = a_payment(SUBJECT)
    paid, unpaid = (schemas.encode("LeasePaymentEvent", given | {"status": status}) for status in ("paid", "unpaid"))
    (at,) = [at for at, (one, other) in enumerate(zip(paid, unpaid, strict=True)) if one != other]
    return paid[:at] + NO_SUCH_SYMBOL + paid[at + 1 :]


def endless_array() -> bytes:
    """The empty list of inputs, at the end, claims to be long."""
    empty = score(inputs=[])
    assert empty.endswith(b"\x00")
    return empty[:-1] + CLAIMS_2_TO_THE_62 + bytes(50)


def bad_schemas() -> dict[int, Any]:
    """What somebody registered, by id: a leaf without item, 30 levels, and a record inside itself."""
    source = schemas.schema("LeasePaymentEvent").source
    more = {"name": "nickname", "type": "string", "default": ""}
    again = {"name": "earlier", "type": ["null", "LeasePaymentEvent"], "default": None}
    deep: Any = "string"
    for number in range(30):
        deep = {"type": "record", "name": f"Level{number}", "fields": [{"name": "inner", "type": deep}]}
    return {
        UNLABELLED_ID: {**source, "fields": [*source["fields"], more]},
        DEEP_ID: deep,
        RECURSIVE_ID: {**source, "fields": [*source["fields"], again]},
    }


BAD: Mapping[str, Bad] = {
    "not_avro unframed": Bad("text instead of Avro", lambda: b'{"event_id": "1"}'),
    "not_avro garbage": Bad("random bytes behind a proper schema id", lambda: schemas.frame(1, b"\xff" * 300)),
    "not_avro truncated": Bad("a record whose end is missing", lambda: payment()[:-1]),
    "not_avro of another topic": Bad("a record of another topic", score),
    "not_avro unknown enum": Bad("an enum's value that the schema does not list", unknown_symbol),
    "not_avro endless array": Bad(
        "a few bytes that claim an array of 2^62 entries", endless_array, scores=True
    ),
    "too_large": Bad("a record of 300 KB", lambda: payment(customer=a_customer(SUBJECT, memo="長" * 100_000))),
    "too_deep": Bad("a schema nested 30 levels deep", under(DEEP_ID)),
    "too_deep recursive": Bad("a schema that contains itself", under(RECURSIVE_ID)),
    "trailing_bytes": Bad("bytes after the end of a record", lambda: payment() + b"\x00"),
    "null_value": Bad("a record without value", lambda: None),
    "bad_key missing": Bad("a record without key", payment, key=None),
    "bad_key a phone number": Bad(
        "a phone number as key", payment, key=a_payment(SUBJECT)["customer"]["phone"]
    ),
    "bad_key huge": Bad("a key of 400 KB", payment, key=b"k" * HUGE),
    "bad_value": Bad("a month that does not exist", lambda: payment(billing_month="2026-13")),
    "bad_value date": Bad("a date in the year 4707", lambda: payment(due_date=1_000_000)),
    "bad_value time": Bad("a time before 1970", lambda: payment(occurred_at=-1)),
    "bad_value amount": Bad("a negative amount past due", lambda: payment(amount_past_due_jpy=-1)),
    "bad_value huge amount": Bad("an amount that JSON readers would round", lambda: payment(amount_due_jpy=2**53)),
    "bad_value no uuid": Bad("an event id that is no UUID", lambda: payment(event_id="event-1")),
    "bad_value no number": Bad("a score that is no number", lambda: score(score="NaN"), scores=True),
    "bad_value off scale": Bad("a score beyond its own scale", lambda: score(score="1001"), scores=True),
    "bad_value many inputs": Bad(
        "a score of 201 inputs", lambda: score(inputs=a_score(SUBJECT)["inputs"][:1] * 201), scores=True
    ),
    "unknown_schema_id": Bad("a schema id that the registry lacks", under(UNKNOWN_ID)),
    "schema_without_item": Bad("a schema with a field that has no item", under(UNLABELLED_ID)),
    "subject_mismatch": Bad("a key of another customer", payment, key="subject-somebody-else"),
    "accepted with huge headers": Bad(
        "headers of 400 KB, one of them claiming a producer with a phone number for a name",
        payment,
        headers=(("trace", b"h" * HUGE), ("producer", b"09012345678"), ("producer", b"p" * 1_000)),
    ),
}  # fmt: skip

# Cases that the run itself makes: what goes wrong, in the words of an operator.
OTHERS: Mapping[str, tuple[str, str]] = {
    "accepted score": (
        "a score with an input that the policy does not register",
        "provides the score without that input",
    ),
    "future_event": ("an event from the future", "parks it; a replay provides it once its time has come"),
    "same_event": ("an event that comes again", "ends the second as DUPLICATE: GeNiE has it once"),
    "same_event_other_scope": (
        "an event that comes again after its customer consented to other items",
        "ends the second as DUPLICATE; what was provided first stands",
    ),
    "event_id_reused": (
        "an event id that comes again with other content",
        "parks the second: a person must find out which is right",
    ),
    "contract_not_covered": ("a contract that the customer's consent does not name", "withholds the event"),
}


def ending(case: str) -> str:
    """Outcome and whether it was transmitted, of a case of BAD."""
    outcome = Reason(reason_of(case)).outcome.name
    return f"{outcome} {'yes' if outcome == 'PROVIDED' else 'no'}"


def fault_of(case: str) -> Fault | None:
    """What docs/faults.md says of a case, if it is a fault of the input."""
    reason = Reason(reason_of(case))
    outcome, code = reason.outcome.name, reason.value
    if case in BAD:
        what = BAD[case].what
        does = f"ends it as {outcome} {code}; the records behind it go on"
        if outcome == "PROVIDED":
            does = "provides it; the headers are neither kept nor shown"
    elif case in OTHERS:
        what, does = OTHERS[case]
    else:
        return None
    return Fault(Where.INPUT, what, does, f'`gateway_settled_total{{outcome="{outcome}",reason="{code}"}}`')


def reason_of(case: str) -> str:
    return case.split(maxsplit=1)[0]
