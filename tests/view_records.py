"""Consent and control records for tests of the view."""

from typing import Any
from uuid import UUID

from gateway import schemas

RECIPIENT = "genie"


def consent(subject: str, version: int, status: str = "given", **fields: Any) -> dict[str, Any]:
    """A valid consent record; its id follows from subject and version."""
    record = {
        "record_id": str(UUID(int=hash((subject, version, status)) & (1 << 128) - 1)),
        "consent_version": version,
        "subject_ref": subject,
        "recipient": RECIPIENT,
        "status": status,
        "status_updated_at": 1_772_000_000_000,
        "policy_version": 20_510,
        "consented_at": 1_772_000_000_000,
        "expires_at": None,
        "history_from": None,
        "items": ["payment_history", "name"],
        "purposes_opted_out": [],
        "collection_method": "web",
        "consent_actor": "self",
        "contract_refs": None,
        "legal_basis": "consent",
    }
    return {**record, **fields}


def consent_value(subject: str, version: int, status: str = "given", **fields: Any) -> bytes:
    """The same, framed."""
    return schemas.encode("ConsentRecord", consent(subject, version, status, **fields))


def control_value(hold_id: str, scope: str, value: str | None = None, state: str = "held", **fields: Any) -> bytes:
    """A valid control record, framed."""
    record = {
        "hold_id": hold_id,
        "scope": scope,
        "value": value,
        "state": state,
        "operator": "on-call",
        "reason": "test",
        "ticket": "T-1",
        "at": 1,
        "expires_at": None,
    }
    return schemas.encode("Control", {**record, **fields})
