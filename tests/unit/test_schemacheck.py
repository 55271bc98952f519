"""`gateway schemas check`: what it finds in a directory of schemas."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway import avro, schemacheck, schemas
from gateway.cli.schemas import app

FILE = "lease_payment_event.avsc"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return Path(shutil.copytree(schemas.directory(), tmp_path / "avro"))


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    raw = json.loads(path.read_text("utf-8"))
    change(raw)
    path.write_text(json.dumps(raw), "utf-8")


def field(raw: dict[str, Any], name: str) -> dict[str, Any]:
    return next(part for part in raw["fields"] if part["name"] == name)


def found(directory: Path) -> list[tuple[str, str, str]]:
    return [(finding.file, finding.path, finding.what) for finding in schemacheck.check(directory)]


def test_our_own_schemas_pass() -> None:
    """The schemas of this release have no findings."""
    assert schemacheck.check(schemas.directory()) == []


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], object], str, str]] = {
    "leaf without item": (lambda raw: field(raw, "status").pop("item"), "status", "a leaf without `item`"),
    "nested leaf without item": (
        lambda raw: field(field(raw, "customer")["type"], "memo").pop("item"),
        "customer.memo",
        "a leaf without `item`",
    ),
    "unknown item": (
        lambda raw: field(raw, "status").update(item="payments"),
        "status",
        "an unknown `item`",
    ),
    "container with item": (
        lambda raw: field(raw, "vehicle").update(item="internal"),
        "vehicle",
        "a container with an item",
    ),
    "recursive": (
        lambda raw: raw["fields"].append({"name": "next", "type": ["null", "LeasePaymentEvent"], "default": None}),
        "next",
        "a record that contains itself",
    ),
    "zero-byte items": (
        lambda raw: raw["fields"].append({"name": "gaps", "type": {"type": "array", "items": "null"}}),
        "gaps",
        "an array or map repeats what takes no bytes",
    ),
    "field removed": (
        lambda raw: raw["fields"].remove(field(raw, "status")),
        "status",
        "cannot be read by released/lease_payment_event/v1.avsc:"
        " the reader needs it, the writer lacks it, and it has no default",
    ),
    "field added without default": (
        lambda raw: raw["fields"].append({"name": "extra", "type": "string", "item": "internal"}),
        "extra",
        "cannot read what released/lease_payment_event/v1.avsc wrote:"
        " the reader needs it, the writer lacks it, and it has no default",
    ),
    "type narrowed": (
        lambda raw: field(raw, "amount_due_jpy").update(type="int"),
        "amount_due_jpy",
        "cannot read what released/lease_payment_event/v1.avsc wrote: long is read as int",
    ),
    "type widened": (
        lambda raw: field(raw, "days_past_due").update(type="long"),
        "days_past_due",
        "cannot be read by released/lease_payment_event/v1.avsc: long is read as int",
    ),
    "symbol added": (
        lambda raw: field(raw, "creditor")["type"]["symbols"].append("bank"),
        "creditor",
        "cannot be read by released/lease_payment_event/v1.avsc: symbols that the reader does not know: bank",
    ),
    "null no longer allowed": (
        lambda raw: field(raw, "paid_date").update(type="int", default=0),
        "paid_date",
        "cannot read what released/lease_payment_event/v1.avsc wrote: the types do not match",
    ),
    "item moved": (
        lambda raw: field(raw, "payer_relation").update(item="payment_history"),
        "payer_relation",
        "against released/lease_payment_event/v1.avsc: its item was internal, now it is payment_history",
    ),
    "changed without a release": (
        lambda raw: field(raw, "status").update(doc="other words"),
        "",
        "differs from every released version",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_wrong_change_is_found(directory: Path, case: str) -> None:
    """Each change is named with its file, field and what is wrong."""
    change, path, what = BROKEN[case]
    edit(directory / FILE, change)
    assert (FILE, path, what) in found(directory)


def test_an_optional_field_is_a_compatible_change(directory: Path) -> None:
    """A new field with a default, released with a new id, has no findings."""
    new = {"name": "channel", "type": ["null", "string"], "default": None, "item": "internal", "doc": "new"}
    edit(directory / FILE, lambda raw: raw["fields"].append(new))
    shutil.copy(directory / FILE, directory / "released" / "lease_payment_event" / "v2.avsc")
    edit(
        directory / "ids.json",
        lambda ids: ids.update({"1": "released/lease_payment_event/v1.avsc", "10": FILE}),
    )
    assert found(directory) == []
    assert schemas.load(directory).current["LeasePaymentEvent"].id == 10


def test_an_id_never_changes_what_it_means(directory: Path) -> None:
    """A released version that no id leads to is found: records out there carry its id."""
    edit(directory / FILE, lambda raw: field(raw, "status").update(doc="other words"))
    shutil.copy(directory / FILE, directory / "released" / "lease_payment_event" / "v2.avsc")
    assert found(directory) == [("released/lease_payment_event/v1.avsc", "", "has no id")]


def test_broken_files_are_findings_not_crashes(directory: Path) -> None:
    """Text that is no JSON, a file without an id and an id without a file are each named."""
    (directory / "control.avsc").write_text("{", "utf-8")
    (directory / "stray.avsc").write_text('"string"', "utf-8")
    (directory / "parked_event.avsc").unlink()
    findings = found(directory)
    assert ("control.avsc", "", "cannot be read as JSON") in findings
    assert ("stray.avsc", "", "has no id") in findings
    assert ("stray.avsc", "", "is not a record") in findings
    assert ("parked_event.avsc", "", "is named in ids.json but cannot be read") in findings


@pytest.mark.parametrize(
    ("reader", "writer", "fits"),
    [
        ("long", "int", True),
        ("double", "float", True),
        ("int", "long", False),
        ("string", "bytes", False),
        (["null", "string"], "string", True),
        ("string", ["null", "string"], False),
        (["null", "string"], ["string", "null"], True),
        ({"type": "array", "items": "long"}, {"type": "array", "items": "int"}, True),
        ({"type": "map", "values": "int"}, {"type": "map", "values": "string"}, False),
        ({"type": "fixed", "name": "F", "size": 2}, {"type": "fixed", "name": "F", "size": 3}, False),
        (
            {"type": "enum", "name": "E", "symbols": ["A"], "default": "A"},
            {"type": "enum", "name": "E", "symbols": ["A", "B"]},
            True,
        ),
    ],
)
def test_a_reader_fits_a_writer_by_the_rules_of_schema_resolution(reader: Any, writer: Any, fits: bool) -> None:
    """Promotion goes one way, null must be allowed for, and names and sizes must agree."""
    assert (not list(schemacheck.breaks(avro.parse(reader), avro.parse(writer)))) is fits


def test_the_command_prints_one_line_for_each_finding(directory: Path) -> None:
    """Exit status 1, and file, field, what is wrong and what to do on each line."""
    edit(directory / FILE, lambda raw: field(raw, "status").pop("item"))
    result = CliRunner().invoke(app, ["check", "--dir", str(directory)])
    assert result.exit_code == 1
    assert any(
        line.startswith(f"{FILE}: status: a leaf without `item`; say which item it is: address,")
        for line in result.output.splitlines()
    )


def test_the_command_prints_json(directory: Path) -> None:
    """--json gives the findings as one object; nothing wrong is exit status 0."""
    result = CliRunner().invoke(app, ["check", "--json", "--dir", str(directory)])
    assert (result.exit_code, json.loads(result.output)) == (0, {"directory": str(directory), "findings": []})
