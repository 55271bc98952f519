"""The AsyncAPI document: sound by its own parser, and the same as the schemas and topics say."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pytest
import yaml

from gateway import asyncapi, schemas
from gateway.kafka.acls import Role

ROOT = Path(__file__).parents[2]
PARSER = Path(__file__).with_name("parse_asyncapi.js")
PARSE_S = 60


@pytest.fixture(scope="module")
def parse(tool: Callable[[str], Path]) -> Callable[[Path], Any]:
    """AsyncAPI's own parser, with its reader of Avro schemas."""
    packages = tool("asyncapi")
    node = shutil.which("node")
    assert node, "npm without node"

    def run(document: Path) -> Any:
        environment = {**os.environ, "NODE_PATH": str(packages)}
        done = subprocess.run(
            [node, PARSER, document], env=environment, capture_output=True, text=True, timeout=PARSE_S, check=True
        )
        return json.loads(done.stdout)

    return run


def test_its_own_parser_finds_nothing(parse: Callable[[Path], Any]) -> None:
    """All nine topics, each with the fields of its schema, and no complaint, not even a recommendation."""
    found = parse(ROOT / "schemas" / "asyncapi.yaml")
    assert found["diagnostics"] == []
    assert found["channels"] == list(asyncapi.NAMES.record_kinds())
    assert found["fields"] == {
        kind: [part.name for part in schema.record.fields] for kind, schema in schemas.own().current.items()
    }


def test_a_schema_that_is_gone_is_found(parse: Callable[[Path], Any], tmp_path: Path) -> None:
    """The test above can fail: a reference that leads nowhere is named."""
    broken = tmp_path / "asyncapi.yaml"
    broken.write_text(asyncapi.text().replace("lease_payment_event.avsc", "gone.avsc"), "utf-8")
    assert any("LeasePaymentEvent" in each["path"] for each in parse(broken)["diagnostics"])


def test_every_schema_that_it_refers_to_is_avro() -> None:
    """The parser takes an impossible type for a possible one: fastavro does not."""
    document = yaml.safe_load(asyncapi.text())
    for kind, message in document["components"]["messages"].items():
        source = json.loads((ROOT / "schemas" / message["payload"]["schema"]["$ref"]).read_text("utf-8"))
        assert fastavro.parse_schema(source)["name"] == f"{schemas.NAMESPACE}.{kind}"


def test_every_topic_has_a_writer_a_reader_and_a_key() -> None:
    """A topic that was added without permissions or key would be described by halves."""
    for topic, kind in asyncapi.NAMES.record_kinds().items():
        assert asyncapi.writers(topic)
        assert Role.ON_CALL in asyncapi.readers(topic)
        assert asyncapi.key_of(kind)
        assert asyncapi.settings(topic)


def test_the_gateways_own_rights_are_its_operations() -> None:
    """It receives what it may read and sends what it may write; the desk's own records are sent by its commands."""
    operations = asyncapi.document()["operations"]
    received = {asyncapi.NAMES.record_kinds()[topic] for topic in asyncapi.NAMES.record_kinds() if reads(topic)}
    assert {name.removeprefix("receive") for name in operations if name.startswith("receive")} == received
    assert {name.removeprefix("send") for name in operations if name.startswith("send")} == {
        "ProvisionIntent",
        "ProvisionRecord",
        "ParkedEvent",
        "ReplayRequest",
        "Control",
        "AuditRecord",
    }


def reads(topic: str) -> bool:
    return Role.GATEWAY in asyncapi.readers(topic)
