"""Input records and consents that are right unless a test changes them, dated to the day of the run."""

import time
import uuid
from typing import Any

from tests.core_cases import DAY_MS, customer, day, payment, score, score_input

POLICY_DAY = day("2026-02-25")  # the version that has the clause
JST_MS = 9 * 3_600_000
ITEMS = sorted(
    ("name", "address", "phone", "birth_date", "payment_history", "norel_score", "norel_score_inputs"),
)
# Each is distinctive enough for the verifier to recognise it wherever it turns up.
FAMILY_NAMES = ("青山", "石田", "上野", "江川", "大谷", "加藤", "木村", "久保", "小西", "佐野")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def today() -> int:
    """Days since epoch, in Japan."""
    return (now_ms() + JST_MS) // DAY_MS


def a_consent(subject: str, **changes: Any) -> dict[str, Any]:
    """Given yesterday, to everything."""
    given = now_ms() - DAY_MS
    return {
        "record_id": str(uuid.uuid4()),
        "consent_version": 1,
        "subject_ref": subject,
        "recipient": "genie",
        "status": "given",
        "status_updated_at": given,
        "policy_version": POLICY_DAY,
        "consented_at": given,
        "expires_at": None,
        "history_from": None,
        "items": ITEMS,
        "purposes_opted_out": [],
        "collection_method": "app",
        "consent_actor": "self",
        "contract_refs": None,
        "legal_basis": "consent",
    } | changes


def a_payment(subject: str, **changes: Any) -> dict[str, Any]:
    """Paid today, by a customer of this subject's own."""
    now = now_ms()
    return payment(
        event_id=str(uuid.uuid4()),
        occurred_at=now - 2_000,
        recorded_at=now - 1_000,
        subject_ref=subject,
        contract_ref=f"lease-of-{subject}",
        due_date=today(),
        paid_date=today(),
        customer=a_customer(subject),
    ) | (changes)


def a_score(subject: str, **changes: Any) -> dict[str, Any]:
    """Computed just now from two inputs that the policy registers and one that it does not."""
    now = now_ms()
    inputs = [
        score_input(observed_at=now - 3_000),
        score_input(
            input_id="months_in_contract", value="18", unit="months", source="contract", observed_at=now - 3_000
        ),
        score_input(input_id="home_area", value="13", source="location", observed_at=now - 3_000),
    ]
    return score(
        score_id=str(uuid.uuid4()), subject_ref=subject, as_of=now - 3_000, computed_at=now - 2_000, inputs=inputs
    ) | (changes)


def a_replay(subject: str, topic: str, partition: int, offset: int) -> dict[str, Any]:
    """A request to process the record of this subject that lies there again."""
    return {
        "request_id": str(uuid.uuid4()),
        "plan_id": str(uuid.uuid4()),
        "plan_digest": bytes(32),
        "input": {"topic": topic, "partition": partition, "offset": offset},
        "subject_ref": subject,
        "requested_at": now_ms(),
        "operator": "on-call",
        "reason": "test",
        "ticket": "T-1",
    }


def a_customer(subject: str, **changes: Any) -> dict[str, Any]:
    """A made-up person, the same for the same subject."""
    number = sum(subject.encode())
    family = FAMILY_NAMES[number % len(FAMILY_NAMES)]
    return customer(
        name=f"{family} 花子{number}",
        name_kana=f"カナ{number} ハナコ",
        address=f"東京都架空区架空町{number}番地",
        phone=f"090-0000-{number:04d}",
        birth_date=day("1980-01-01") + number,
        email=f"hanako.{number}@mail.example",
        memo=f"覚え書き{number}",
    ) | (changes)
