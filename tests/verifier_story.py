"""A history that a test writes by hand: inputs, consents, announcements, receipts and ledger, right unless changed."""

import base64
import copy
import hashlib
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway import schemas
from gateway.sandbox.verifier import policy, receipts, texts
from gateway.sandbox.verifier.history import History, Raw, Topic
from gateway.sandbox.verifier.judge import Judge
from gateway.sandbox.verifier.verdict import Defect, Findings, Verdict

NOW = 1_795_305_600_000  # 2026-11-22, ms
DAY = 20_779  # the same day since the epoch, in Japan
POLICY_DAY = 20_509  # 2026-02-25
SKEW_MS = 1_000
CONSENTED_AT = NOW - 30 * 86_400_000
ANN, BOB = "cust-ann-000001", "cust-bob-000002"
PURPOSES = sorted(policy.load().purposes)
PAYMENT_FIELDS = {
    "installment_no": 3,
    "billing_month": "2026-11",
    "due_date": DAY,
    "amount_due_jpy": 43_800,
    "amount_paid_jpy": 43_800,
    "amount_past_due_jpy": 0,
    "paid_date": DAY,
    "payment_method": "account_debit",
    "days_past_due": 0,
    "nonpayment_reason": None,
    "status": "paid",
    "corrects_event_id": None,
}
CUSTOMER = {
    "name": "青山 春香",
    "name_kana": "アオヤマ ハルカ",
    "address": "東京都千代田区丸の内九丁目9-9 見本ビル",
    "postal_code": "100-9999",
    "phone": "090-0000-1234",
    "birth_date": 6_000,  # 1986-06-06
    "email": "haruka.1@mail.example",
    "bank_account": "0001-002-1234567",
    "card_last4": "4242",
    "licence_no": "302912345678",
    "memo": "転居予定、次回更新時に確認",
}
SCORE_INPUTS = [
    {"input_id": "max_days_past_due", "value": "0", "unit": "days", "observed_at": NOW, "source": "payment_record"},
    {"input_id": "night_driving", "value": "0.2", "unit": "ratio", "observed_at": NOW, "source": "location"},
]

Change = Callable[[dict[str, Any]], object]


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def digest(*parts: object) -> bytes:
    return hashlib.sha256(repr(parts).encode()).digest()


class Story:
    """Records in the order of writing; `at` moves on by itself."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.at = NOW
        self.records: list[tuple[Topic, Raw]] = []
        self.receipts: list[dict[str, Any]] = []
        self._ends: dict[tuple[Topic, int], int] = {}
        self._versions: dict[str, int] = {}

    # ---- what comes in --------------------------------------------------------------------------------------------

    def consent(self, ref: str = ANN, partition: int = 0, **changes: Any) -> None:
        """A consent record, acknowledged now."""
        self._versions[ref] = self._versions.get(ref, 0) + 1
        record = {
            "record_id": str(uuid.uuid4()),
            "consent_version": self._versions[ref],
            "subject_ref": ref,
            "recipient": "genie",
            "status": "given",
            "status_updated_at": self.at,
            "policy_version": POLICY_DAY,
            "consented_at": CONSENTED_AT,
            "expires_at": None,
            "history_from": None,
            "items": sorted(policy.load().items),
            "purposes_opted_out": [],
            "collection_method": "app",
            "consent_actor": "self",
            "contract_refs": None,
            "legal_basis": "consent",
            **changes,
        }
        self.write(Topic.CONSENTS, "ConsentRecord", record, ref, partition)

    def payment(self, ref: str = ANN, partition: int = 0, **changes: Any) -> Raw:
        """An input record of lease.payments."""
        record = {
            "event_id": str(uuid.uuid4()),
            "occurred_at": self.at,
            "recorded_at": self.at,
            "subject_ref": ref,
            "contract_ref": f"lease-{ref}",
            "creditor": "idom_caas",
            "payer_relation": "self",
            "customer": {**CUSTOMER, **changes.pop("customer", {})},
            "vehicle": {"vehicle_id": "VIN000000000001", "last_location": "35.68120,139.76710"},
            **PAYMENT_FIELDS,
            **changes,
        }
        return self.write(Topic.PAYMENTS, "LeasePaymentEvent", record, ref, partition)

    def score(self, ref: str = ANN, partition: int = 0, **changes: Any) -> Raw:
        """An input record of norel.scores."""
        record = {
            "score_id": str(uuid.uuid4()),
            "subject_ref": ref,
            "sequence": 1,
            "score": "712",
            "scale_min": "0",
            "scale_max": "1000",
            "model_id": "norel_score",
            "model_version": "1",
            "as_of": NOW,
            "computed_at": NOW,
            "supersedes": None,
            "inputs": SCORE_INPUTS,
            **changes,
        }
        return self.write(Topic.SCORES, "NorelScoreUpdate", record, ref, partition)

    def write(self, topic: Topic, kind: str, record: dict[str, Any], key: str | None, partition: int = 0) -> Raw:
        return self.raw(topic, schemas.encode(kind, record), key, partition)

    def raw(self, topic: Topic, value: bytes | None, key: str | None, partition: int = 0) -> Raw:
        """One record, one millisecond after the one before."""
        self.at += 1
        offset = self._ends.get((topic, partition), 0)
        self._ends[topic, partition] = offset + 1
        encoded = None if key is None else key.encode()
        raw = Raw(self.prefix + topic.value, partition, offset, self.at, encoded, value)
        self.records.append((topic, raw))
        return raw

    def skip(self, topic: Topic, offsets: int, partition: int = 0) -> None:
        """Offsets that no read_committed reader gets."""
        self._ends[topic, partition] = self._ends.get((topic, partition), 0) + offsets

    # ---- what the gateway did -------------------------------------------------------------------------------------

    def provide(self, raw: Raw, *changes: Change, **options: Any) -> None:
        """Announce, decide, send, settle: the whole way of one input."""
        announced_at = self.announce(raw, *changes)
        self.at += 10
        decided_at = self.at
        self.receive(raw, *changes)
        self.settle(raw, decided_at=decided_at, announced_at=announced_at, **options)

    def announce(self, raw: Raw, *changes: Change, lane: Raw | None = None) -> int:
        """An intent with this one entry; `lane` is the replay request that it answers, if any. Returns its time."""
        body = made(raw, *changes)
        of = lane or raw
        announced_at = self.at
        intent = {
            "lane": f"{of.topic}:{of.partition}",
            "batch_id": str(uuid.uuid4()),
            "announced_at": announced_at,
            "expires_at": announced_at + 30_000,
            "policy_version": POLICY_DAY,
            "mapping_version": 1,
            "key_version": 1,
            "entries": [
                {
                    "offset": of.offset,
                    "idempotency_key": key_of(raw),
                    "body_digest": digest_of(body),
                    "items": sorted(body["items"]),
                    "permitted_purposes": body["permitted_purposes"],
                    "consent_record_id": str(uuid.uuid4()),
                    "consent_version": 1,
                    "consented_at": CONSENTED_AT,
                }
            ],
            "gateway": {"version": "0.1.0", "instance": "gateway-0", "epoch": 1},
        }
        self.write(Topic.INTENTS, "ProvisionIntent", intent, intent["lane"])
        return announced_at

    def receive(self, raw: Raw, *changes: Change, status: str = "accepted") -> None:
        """What GeNiE writes down."""
        self.at += 5
        body = made(raw, *changes)
        self.receipts.append(
            {
                "seq": len(self.receipts) + 1,
                "received_at_ms": self.at,
                "endpoint": "/v1/provision-batches",
                "request_digest": text(digest(self.at)),
                "idempotency_key": key_of(raw),
                "origin": text(digest("origin", raw.where)),
                "source_digest": text(digest("source", raw.value)),
                "status": status,
                "body_digest": text(digest_of(body)),
                "body": body,
                "receipt_id": f"receipt-{len(self.receipts) + 1:010}",
            }
        )

    def settle(self, raw: Raw, *changes: Change, lane: Raw | None = None, **fields: Any) -> None:
        """A ledger record: PROVIDED unless `fields` say otherwise."""
        of = lane or raw
        record = {
            "input": position(of),
            "source_digest": digest("source", raw.value),
            "event_id": event_id(raw),
            "event_type": "lease_payment",
            "subject_ref": (raw.key or b"").decode() or None,
            "outcome": "PROVIDED",
            "reason": "accepted",
            "transmitted": "yes",
            "recipient": {
                "id": "genie",
                "name": "GeNiE株式会社",
                "address": "見本県見本市1",
                "representative": "見本 太郎",
            },
            "consent": None,
            "items": ["payment_history"],
            "permitted_purposes": PURPOSES,
            "idempotency_key": key_of(raw),
            "body_digest": digest("body"),
            "receipt": None,
            "attempts": 1,
            "decided_at": self.at,
            "announced_at": None,
            "settled_at": self.at,
            "replay_of": None if lane is None else replayed(raw),
            "mapping_version": 1,
            "gateway": {"version": "0.1.0", "instance": "gateway-0"},
            **fields,
        }
        for change in changes:
            change(record)
        self.write(Topic.LEDGER, "ProvisionRecord", record, record["subject_ref"])

    def withhold(self, raw: Raw, reason: str = "no_consent") -> None:
        self.settle(raw, outcome="WITHHELD", reason=reason, transmitted="no", items=[], idempotency_key=None)

    def invalid(self, raw: Raw) -> None:
        """A ledger record of poison, of which nothing was read."""
        nothing = {"event_id": None, "event_type": None, "subject_ref": None, "idempotency_key": None}
        self.settle(raw, outcome="INVALID", reason="not_avro", transmitted="no", items=[], **nothing)

    # ---- the verdict ----------------------------------------------------------------------------------------------

    def verdict(
        self,
        *files: Path,
        complete: bool = False,
        rules: policy.Policy | None = None,
        drift_ms: int = 0,
        later: int = 0,
    ) -> Verdict:
        """Judged in memory, as if read from Kafka; so many receipts came `later` than reading began."""
        findings = Findings(keep=5)
        history = History(lambda where, what: findings.add(Defect.LEAKED_FIELDS, where, what))
        for topic, raw in self.in_order():
            history.add(topic, raw)
        for path in files:
            for where, what in texts.leaks(path, history.personal.canaries):
                findings.add(Defect.LEAKED_FIELDS, where, what)
        judge = Judge(history, rules or policy.load(), findings, complete=complete, skew_ms=SKEW_MS, drift_ms=drift_ms)
        read = [receipts.parse(f"receipts.jsonl:{number}", line) for number, line in enumerate(self.lines(), 1)]
        before = len(read) - later
        try:
            return judge.verdict(read[:before], read[before:])
        finally:
            history.close()

    def in_order(self) -> list[tuple[Topic, Raw]]:
        """Topic after topic, as the verifier reads them."""
        return [(topic, raw) for topic in Topic for of, raw in self.records if of is topic]

    def lines(self) -> list[bytes]:
        """The receipts as the sandbox writes them."""
        return [json.dumps(receipt, ensure_ascii=False).encode() + b"\n" for receipt in self.receipts]


def event_id(raw: Raw) -> str | None:
    try:
        record = schemas.decode(raw.value or b"")[1]
    except schemas.NotFramedError:
        return None
    return str(record.get("event_id") or record.get("score_id"))


def key_of(raw: Raw) -> str:
    return text(digest("key", event_id(raw)))


def digest_of(body: dict[str, Any]) -> bytes:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()


def position(raw: Raw) -> dict[str, Any]:
    return {
        "cluster_id": "test",
        "topic": raw.topic,
        "partition": raw.partition,
        "offset": raw.offset,
        "timestamp": raw.timestamp,
    }


def replayed(raw: Raw) -> dict[str, Any]:
    return {"topic": raw.topic, "partition": raw.partition, "offset": raw.offset, "request_id": str(uuid.uuid4())}


def made(raw: Raw, *changes: Change) -> dict[str, Any]:
    """The right body of an input whose values are this file's own, written out; then changed."""
    kind, record = schemas.decode(raw.value or b"")
    body = payment_body(record) if kind == "LeasePaymentEvent" else score_body(record)
    body["permitted_purposes"] = list(PURPOSES)
    body["consent"] = {"policy_version": "2026-02-25", "consented_at": "2026-10-23T00:00:00.000Z"}
    body = copy.deepcopy(body)
    for change in changes:
        change(body)
    return body


def payment_body(record: dict[str, Any]) -> dict[str, Any]:
    customer = record["customer"]
    history = {name: record[name] for name in PAYMENT_FIELDS if record[name] is not None}
    return {
        "event_type": "lease_payment",
        "envelope": {"event_id": record["event_id"], "occurred_at": moment(record["occurred_at"])},
        "subject_key": text(digest("subject", record["subject_ref"])),
        "contract_key": text(digest("contract", record["contract_ref"])),
        "items": {
            "name": {"name": customer["name"], "name_kana": customer["name_kana"]},
            "address": {"address": customer["address"]},
            "phone": {"phone": customer["phone"]},
            "birth_date": {"birth_date": "1986-06-06"},
            "payment_history": {**history, "due_date": "2026-11-22", "paid_date": "2026-11-22"},
        },
    }


def score_body(record: dict[str, Any]) -> dict[str, Any]:
    names = ("sequence", "score", "scale_min", "scale_max", "model_id", "model_version")
    return {
        "event_type": "norel_score_update",
        "envelope": {"score_id": record["score_id"]},
        "subject_key": text(digest("subject", record["subject_ref"])),
        "items": {
            "norel_score": {**{name: record[name] for name in names}, "as_of": moment(record["as_of"])},
            "norel_score_inputs": [
                {"input_id": "max_days_past_due", "value": "0", "unit": "days", "observed_at": moment(NOW)}
            ],
        },
    }


def moment(ms: int) -> str:
    """Good for the day of NOW, which is all that these stories use."""
    since = ms - 1_795_305_600_000
    return f"2026-11-22T{since // 3_600_000:02}:{since // 60_000 % 60:02}:{since // 1000 % 60:02}.{since % 1000:03}Z"


def only(verdict: Verdict, **defects: int) -> str:
    """The verdict has exactly these defects; returns what its examples say."""
    assert {name: count for name, count in verdict.defects.items() if count} == defects
    return "; ".join(example.what for found in verdict.examples.values() for example in found)


def right_story() -> Story:
    """Ann consented; one payment and one score of hers were provided."""
    story = Story()
    story.consent()
    story.provide(story.payment())
    story.provide(story.score())
    return story
