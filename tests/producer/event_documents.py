"""Documents of events: those of the examples, and those of records that other tests draw."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from gateway import schemas
from gateway.producer.examples import example
from gateway.producer.shape import leaves

NOW = datetime(2026, 11, 20, 1, 2, 3, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1_000)
KINDS = ("LeasePaymentEvent", "NorelScoreUpdate", "ConsentRecord")


def document(kind: str, **changes: Any) -> dict[str, Any]:
    """An example; `customer__phone=...` changes a field inside, ... takes it away."""
    made = example(kind, NOW)
    for path, value in changes.items():
        *outer, name = path.split("__")
        at: Any = made
        for part in outer:
            at = at[int(part) if part.isdigit() else part]
        if value is ...:
            del at[name]
        else:
            at[name] = value
    return made


def payment(**changes: Any) -> dict[str, Any]:
    return document("LeasePaymentEvent", **changes)


def score(**changes: Any) -> dict[str, Any]:
    return document("NorelScoreUpdate", **changes)


def document_of(kind: str, record: dict[str, Any]) -> dict[str, Any]:
    """What a person would write for a record: its days and moments as Python has them."""
    types = dict(leaves(schemas.schema(kind).source))

    def written(value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return {name: written(inner, f"{path}.{name}" if path else name) for name, inner in value.items()}
        if isinstance(value, list):
            return [written(inner, f"{path}[]" if isinstance(inner, dict) else path) for inner in value]
        logical = [each.get("logicalType") for each in _branches(types[path]) if isinstance(each, dict)]
        if type(value) is int and "date" in logical:
            return date(1970, 1, 1) + timedelta(days=value)
        if type(value) is int and "timestamp-millis" in logical:
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value)
        return value

    return written(record, "")


def _branches(kind: Any) -> list[Any]:
    return kind if isinstance(kind, list) else [kind]
