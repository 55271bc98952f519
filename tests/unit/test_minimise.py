"""The body: exactly the fields that may leave, in their written form."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.core import minimise
from gateway.core.decide import Permit, Scope, decide
from gateway.core.events import Event, EventType, Layout
from gateway.core.minimise import Minimiser, body_digest
from tests.core_cases import (
    CONTRACT,
    IDENTITY,
    LAYOUTS,
    POLICY,
    SUBJECT,
    TIMES,
    consent,
    customer,
    payment,
    payment_event,
    score,
    score_event,
    score_input,
)

PURPOSES = sorted(POLICY.purposes)


def scope_of(event: Event, **changes: Any) -> Scope:
    permit = decide(event, consent(**changes), POLICY, **TIMES)
    assert isinstance(permit, Permit)
    return permit.scope


def body(event: Event, scope: Scope | None = None) -> dict[str, Any]:
    made = Minimiser(POLICY, IDENTITY).body(event, scope or scope_of(event))
    loaded: dict[str, Any] = json.loads(made)
    return loaded


@pytest.mark.parametrize("event", [payment_event(), score_event(inputs=[score_input()])], ids=["payment", "score"])
def test_keys_are_in_order(event: Event) -> None:
    """At every depth, in whatever order the policy lists its fields."""
    made = Minimiser(POLICY, IDENTITY).body(event, scope_of(event))
    assert made.decode() == json.dumps(json.loads(made), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_the_body_of_a_payment():
    """Every field of the five items is there, written as the contract says, and nulls are not."""
    assert body(payment_event()) == {
        "event_type": "lease_payment",
        "envelope": {"event_id": "00000000-0000-4000-8000-000000000001", "occurred_at": "2026-11-20T11:59:59.000Z"},
        "subject_key": IDENTITY.subject_key(SUBJECT),
        "contract_key": IDENTITY.contract_key(CONTRACT),
        "items": {
            "name": {"name": "山田 太郎", "name_kana": "ヤマダ タロウ"},
            "address": {"address": "東京都千代田区丸の内1-2-3"},
            "phone": {"phone": "03-0000-0000"},
            "birth_date": {"birth_date": "1985-04-01"},
            "payment_history": {
                "installment_no": 3,
                "billing_month": "2026-11",
                "due_date": "2026-11-15",
                "amount_due_jpy": 45000,
                "amount_paid_jpy": 45000,
                "amount_past_due_jpy": 0,
                "paid_date": "2026-11-14",
                "payment_method": "account_debit",
                "days_past_due": 0,
                "nonpayment_reason": "customer",
                "status": "paid",
            },
        },
        "permitted_purposes": PURPOSES,
        "consent": {"policy_version": "2026-02-25", "consented_at": "2026-03-01T12:00:00.000Z"},
    }


def test_the_body_of_a_score():
    """The score with its registered inputs, and no contract."""
    inputs = [score_input(), score_input(input_id="home_area", source="location"), score_input(source="bureau")]
    assert body(score_event(inputs=inputs)) == {
        "event_type": "norel_score_update",
        "envelope": {"score_id": "00000000-0000-4000-8000-000000000002"},
        "subject_key": IDENTITY.subject_key(SUBJECT),
        "items": {
            "norel_score": {
                "sequence": 7,
                "score": "712.5",
                "scale_min": "0",
                "scale_max": "1000",
                "model_id": "norel_score",
                "model_version": "1",
                "as_of": "2026-11-19T12:00:00.000Z",
            },
            "norel_score_inputs": [
                {
                    "input_id": "payment_on_time_ratio",
                    "value": "0.98",
                    "unit": "ratio",
                    "observed_at": "2026-11-19T12:00:00.000Z",
                }
            ],
        },
        "permitted_purposes": PURPOSES,
        "consent": {"policy_version": "2026-02-25", "consented_at": "2026-03-01T12:00:00.000Z"},
    }


def test_nothing_but_the_consented_items_leaves():
    """A consent to the payment history alone sends no name, address, phone or birthday."""
    event = payment_event()
    assert set(body(event, scope_of(event, items=frozenset({"payment_history"})))["items"]) == {"payment_history"}


def test_a_score_without_registered_inputs_has_no_such_item():
    """An empty list would say that something was there."""
    event = score_event(inputs=[score_input(source="location")])
    scope = replace(scope_of(event), items=("norel_score", "norel_score_inputs"))
    assert set(body(event, scope)["items"]) == {"norel_score"}


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    else:
        yield str(value)


def planted(record: dict[str, Any], kind: EventType) -> dict[str, str]:
    """Put a word of its own into every leaf of the record that stays inside; the words by path."""
    canaries = {}
    for number, (path, item) in enumerate(LAYOUTS[kind].items.items()):
        if item != "internal" or path in {"subject_ref", "contract_ref", "creditor", "computed_at"}:
            continue
        part, _, name = path.rpartition(".")
        holders = record["inputs"] if part == "inputs[]" else [record[part] if part else record]
        for holder in holders:
            holder[name] = canaries[path] = f"canary{number:02}"
    return canaries


@pytest.mark.parametrize("kind", list(EventType))
def test_no_internal_leaf_leaves(kind):
    """A word planted in every internal leaf is nowhere in the body, nor are the references in clear."""
    record = payment(customer=customer(), vehicle={}) if kind is EventType.LEASE_PAYMENT else score()
    event = payment_event() if kind is EventType.LEASE_PAYMENT else score_event()
    canaries = planted(record, kind)
    assert len(canaries) == (10 if kind is EventType.LEASE_PAYMENT else 1)
    made = Minimiser(POLICY, IDENTITY).body(replace(event, record=record), scope_of(event)).decode()
    for word in (*canaries.values(), SUBJECT, CONTRACT, "canary"):
        assert word not in made


@pytest.mark.parametrize("kind", list(EventType))
def test_every_value_in_a_body_comes_from_a_leaf_of_its_item(kind):
    """Whatever a schema labels otherwise stays out, even if the policy lists it: both locks must open."""
    event = payment_event() if kind is EventType.LEASE_PAYMENT else score_event()
    full = body(event)
    for path, item in event.layout.items.items():
        if item == "internal":
            continue
        relabelled = Layout(event.layout.schema_id, {**event.layout.items, path: "internal"})
        less = body(replace(event, layout=relabelled), scope_of(event))
        name = path.rpartition(".")[2]
        gone = full["envelope"] if item == "envelope" else full["items"][item]
        left = less["envelope"] if item == "envelope" else less["items"].get(item, {})
        gone, left = (each[0] if isinstance(each, list) else each for each in (gone, left))
        assert left == {key: value for key, value in gone.items() if key != name}


def test_a_leaf_that_only_the_schema_lists_stays_out():
    """A new field with the label of an item waits for the policy to name it."""
    event = payment_event(customer=customer(nickname="canary"))
    layout = Layout(9, {**event.layout.items, "customer.nickname": "name", "customer.email": "name"})
    assert body(replace(event, layout=layout), scope_of(event)) == body(payment_event())


def test_layouts_do_not_get_mixed_up():
    """One minimiser serves several schemas and scopes at once."""
    minimiser = Minimiser(POLICY, IDENTITY)
    event = payment_event()
    other = replace(event, layout=Layout(9, {**event.layout.items, "customer.phone": "internal"}))
    narrow = scope_of(event, items=frozenset({"payment_history", "phone"}))
    named = scope_of(event, items=frozenset({"payment_history", "name"}))
    for _ in range(2):
        assert "phone" in json.loads(minimiser.body(event, scope_of(event)))["items"]
        assert "phone" not in json.loads(minimiser.body(other, scope_of(event)))["items"]
        assert set(json.loads(minimiser.body(event, narrow))["items"]) == {"payment_history", "phone"}
        assert set(json.loads(minimiser.body(other, narrow))["items"]) == {"payment_history"}
        assert set(json.loads(minimiser.body(event, named))["items"]) == {"payment_history", "name"}


def test_more_layouts_than_are_kept_make_the_same_bodies(monkeypatch):
    """Forgetting projections costs time, never correctness."""
    monkeypatch.setattr(minimise, "PROJECTIONS_KEPT", 2)
    minimiser = Minimiser(POLICY, IDENTITY)
    event = payment_event()
    expected = minimiser.body(event, scope_of(event))
    for number in (2, 3, 4, 1):
        layout = Layout(number, event.layout.items)
        assert minimiser.body(replace(event, layout=layout), scope_of(event)) == expected
        assert len(minimiser._projections) <= 2


def test_what_picks_the_fields_is_made_once_for_each_scope(monkeypatch):
    """To compile it costs more than a hundred bodies."""
    made = []
    compiled = Minimiser._compile
    monkeypatch.setattr(Minimiser, "_compile", lambda self, *of: made.append(of) or compiled(self, *of))
    minimiser, event = Minimiser(POLICY, IDENTITY), payment_event()
    scope = scope_of(event)
    assert len({minimiser.body(event, scope) for _ in range(3)}) == len(made) == 1
    minimiser.body(event, replace(scope, items=("payment_history",)))
    assert len(made) == 2


def test_a_scope_beyond_the_event_type_is_refused():
    """Only a mistake in our own code can ask for a score in a payment's body."""
    event = payment_event()
    with pytest.raises(AssertionError, match=r"^a scope holds an item that its event type may not carry$"):
        body(event, replace(scope_of(event), items=("norel_score", "payment_history")))


def test_the_digest_is_that_of_the_bytes():
    """SHA-256, as GeNiE computes it."""
    assert body_digest(b"{}") == hashlib.sha256(b"{}").digest()
