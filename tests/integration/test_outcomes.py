"""Every way an input record can end that is cheap to reach, on one run of a real gateway process."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.core.canonical import iso_day, iso_ms
from tests.core_cases import DAY_MS, POLICY
from tests.integration.bad_input import fault_of
from tests.integration.chosen_records import POLICY_DAY, today
from tests.integration.gateway_world import RECIPIENT_NAME
from tests.integration.outcome_run import EXPECTED, Run, everything

COUNTED = re.compile(r'gateway_settled_total{outcome="(?P<outcome>\w+)",reason="(?P<reason>\w+)",.*} (?P<count>.*)')


@pytest.fixture(scope="module")
def run(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The whole run, once; without a clean verdict, or a record for each input, no fault of it has passed."""
    return asyncio.run(everything(kafka, tmp_path_factory.mktemp("outcomes")))


def marked(case: str) -> object:
    """The case, as the proof of its fault if it is one."""
    fault = fault_of(case)
    return pytest.param(case, marks=[pytest.mark.fault(fault)] if fault else [])


@pytest.mark.parametrize("case", [marked(case) for case in EXPECTED])
def test_ending(run: Run, case: str) -> None:
    """The record ends once, with the outcome and the reason of its case."""
    record = run.record(case)
    outcome, transmitted = EXPECTED[case].split()
    assert (record["reason"], record["outcome"], record["transmitted"]) == (
        case.split(maxsplit=1)[0],
        outcome,
        transmitted,
    )


def test_every_ending_is_counted(run: Run) -> None:
    """An operator sees each outcome and reason that occurred."""
    counted = {
        (found["outcome"], found["reason"]) for found in COUNTED.finditer(run.metrics) if found["count"] != "0.0"
    }
    assert {(run.record(case)["outcome"], run.record(case)["reason"]) for case in EXPECTED} <= counted


def test_hold_pauses_a_type_of_event(run: Run) -> None:
    """Scores wait while they are held; payments go on, and the scores after the release."""
    assert run.settled_while_held == {run.at["accepted payment"][0]}
    assert run.record("accepted score")["settled_at"] > run.record("accepted payment")["settled_at"]


def test_payment_as_sent(run: Run) -> None:
    """GeNiE got the payment field by field as the contract says, and nothing else."""
    given = run.given["accepted payment"]
    assert run.body(given["event_id"]) == {
        "event_type": "lease_payment",
        "envelope": {"event_id": given["event_id"], "occurred_at": iso_ms(given["occurred_at"])},
        "subject_key": pseudonym(run, given["subject_ref"]),
        "contract_key": pseudonym(run, given["contract_ref"]),
        "items": {
            "name": {"name": given["customer"]["name"], "name_kana": given["customer"]["name_kana"]},
            "address": {"address": given["customer"]["address"]},
            "phone": {"phone": given["customer"]["phone"]},
            "birth_date": {"birth_date": iso_day(given["customer"]["birth_date"])},
            "payment_history": {
                "installment_no": 3,
                "billing_month": "2026-11",
                "due_date": iso_day(today()),
                "amount_due_jpy": 45_000,
                "amount_paid_jpy": 45_000,
                "amount_past_due_jpy": 0,
                "paid_date": iso_day(today()),
                "payment_method": "account_debit",
                "days_past_due": 0,
                "nonpayment_reason": "customer",
                "status": "paid",
            },
        },
        "permitted_purposes": sorted(POLICY.purpose_codes),
        "consent": {"policy_version": "2026-02-25", "consented_at": consented_at(run, "accepted payment")},
    }


def test_score_as_sent(run: Run) -> None:
    """GeNiE got the score with its registered inputs alone, and without the purpose that was opted out of."""
    given = run.given["accepted score"]
    ratio, months, _location = given["inputs"]
    assert run.body(given["score_id"]) == {
        "event_type": "norel_score_update",
        "envelope": {"score_id": given["score_id"]},
        "subject_key": pseudonym(run, given["subject_ref"]),
        "items": {
            "norel_score": {
                "sequence": 7,
                "score": "712.5",
                "scale_min": "0",
                "scale_max": "1000",
                "model_id": "norel_score",
                "model_version": "1",
                "as_of": iso_ms(given["as_of"]),
            },
            "norel_score_inputs": [
                {name: each[name] for name in ("input_id", "value", "unit")}
                | {"observed_at": iso_ms(each["observed_at"])}
                for each in (ratio, months)
            ],
        },
        "permitted_purposes": sorted(set(POLICY.purpose_codes) - {"credit_product_marketing"}),
        "consent": {"policy_version": "2026-02-25", "consented_at": consented_at(run, "accepted score")},
    }


def test_ledger_record_of_a_provision(run: Run) -> None:
    """It names input, recipient, consent, items, purposes and receipt, and the key that GeNiE deduplicates by."""
    record, given = run.record("accepted payment"), run.given["accepted payment"]
    key = hmac.digest(
        run.secrets["idempotency"], f"v1\x1fgenie\x1flease_payment\x1f{given['event_id']}".encode(), "sha256"
    )
    assert record["idempotency_key"] == unpadded(key)
    assert record["recipient"]["name"] == RECIPIENT_NAME
    assert record["items"] == ["address", "birth_date", "name", "payment_history", "phone"]
    assert record["permitted_purposes"] == sorted(POLICY.purpose_codes)
    assert record["consent"]["policy_version"] == POLICY_DAY
    assert record["announced_at"] <= record["decided_at"] <= record["receipt"]["received_at"] <= record["settled_at"]
    assert record["body_digest"] == hashlib.sha256(canonical(run.body(given["event_id"]))).digest()
    assert (record["event_id"], record["event_type"]) == (given["event_id"], "lease_payment")
    assert (record["subject_ref"], record["attempts"]) == (given["subject_ref"], 1)


def test_withheld_names_its_consent(run: Run) -> None:
    """The consent that withheld it is named; items, purposes and receipt are empty."""
    record = run.record("consent_withdrawn")
    assert record["consent"]["consent_version"] == 1
    assert (record["items"], record["permitted_purposes"], record["receipt"], record["attempts"]) == ([], [], None, 0)


def test_replay_says_what_it_replays(run: Run) -> None:
    """The replay's record names the record that it replays."""
    topic, partition, offset = run.at["no_consent"]
    replayed = run.record("accepted by replay")["replay_of"]
    assert (replayed["topic"], replayed["partition"], replayed["offset"]) == (topic, partition, offset)


def test_invalid_key_is_not_copied(run: Run) -> None:
    """An unchecked key stands nowhere in the ledger."""
    assert run.record("bad_key a phone number")["subject_ref"] is None


@pytest.mark.parametrize("case", [case for case, expected in EXPECTED.items() if expected.startswith("PARKED")])
def test_parked_by_reference(run: Run, case: str) -> None:
    """On-call finds the position and the reason, and no payload."""
    topic, partition, offset = run.at[case]
    parked = run.parked[f"{topic}:{partition}:{offset}"]
    assert parked is not None
    assert (parked["input"]["topic"], parked["input"]["partition"], parked["input"]["offset"]) == run.at[case]
    assert parked["reason"] == case.split(maxsplit=1)[0]
    assert parked["input_expires_at"] - parked["input"]["timestamp"] >= 90 * DAY_MS


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def pseudonym(run: Run, ref: str) -> str:
    return unpadded(hmac.digest(run.secrets["pseudonym"], f"genie\x1f{ref}".encode(), "sha256"))


def consented_at(run: Run, case: str) -> str:
    return iso_ms(run.record(case)["consent"]["consented_at"])


def canonical(body: Mapping[str, Any]) -> bytes:
    """RFC 8785 of a body without numbers other than integers."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
