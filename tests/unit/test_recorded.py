"""What each release wrote is read by this one; what a later one wrote is refused in words, or made anew."""

import base64
import json
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiokafka.structs import TopicPartition

from gateway import __version__, avro, schemas
from gateway.core import metadata as metadata_module
from gateway.core import records
from gateway.core.entry import Announcement
from gateway.core.metadata import CommitMetadata, NewerMetadataError, NotOurMetadataError
from gateway.kafka import view_store
from gateway.kafka.codec import Codec, Decoded
from gateway.kafka.registry import FileRegistry
from gateway.kafka.view_store import Origin, Rebuilt, ViewStore
from tests.core_cases import POLICY
from tests.faults import Where, fault
from tests.recorded import METADATA, NAMES, RECORDS, SCHEMAS, STATES, VIEW, plain, releases, samples, summary

each_release = pytest.mark.parametrize("release", releases(), ids=lambda path: path.name)
LATER_INTENT_ID = 99


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def test_this_release_is_recorded() -> None:
    """What it writes can be compared with what it recorded; else run `python -m tests.recorded`, once."""
    assert releases()[-1].name == __version__


@fault(
    Where.RELEASES,
    "a gateway is replaced by the next release, or by the one before",
    does="reads the commit metadata, intents, ledger and view of the other, and makes the same names and bodies",
    seen="nothing but `gateway_build_info`",
)
@each_release
def test_commit_metadata_is_read(release: Path) -> None:
    """Every shape that was committed means the same."""
    for recorded in read(release / METADATA):
        metadata = CommitMetadata.decode(recorded["text"], recorded["offset"])
        assert summary(metadata) == recorded["means"]


@each_release
async def test_records_are_read(release: Path) -> None:
    """Each kind of record decodes strictly, to what was written and defaults for what came later."""
    recorded = read(release / RECORDS)
    codec = Codec(FileRegistry(), {kind: kind for kind in schemas.own().current})
    values = [base64.b64decode(each["value"]) for each in recorded]
    await codec.prepare(values)
    assert {each["kind"] for each in recorded} >= {"ProvisionIntent", "ProvisionRecord", "ParkedEvent", "Control"}
    for each, value in zip(recorded, values, strict=True):
        decoded = codec.decode(each["kind"], value)
        assert isinstance(decoded, Decoded), each["kind"]
        assert each["means"].items() <= plain(decoded.record).items(), each["kind"]


@each_release
async def test_live_intents_are_understood(release: Path) -> None:
    """What an intent says of each of its entries is what a lane that opens is told."""
    for each in read(release / RECORDS):
        if each["kind"] == "ProvisionIntent":
            (record,) = await decoded(FileRegistry(), [base64.b64decode(each["value"])])
            held = list(records.held_in(record, Announcement("b", 0, 0)))
            told = [
                (entry["offset"], entry["idempotency_key"], entry["body_digest"]) for entry in each["means"]["entries"]
            ]
            assert [(offset, key, one.digest.hex()) for offset, key, one in held] == told


@each_release
def test_a_schema_id_means_for_ever_what_it_meant(release: Path) -> None:
    """Topics hold records under it for years."""
    for number, source in read(release / SCHEMAS).items():
        now, then = schemas.own().by_id[int(number)].record, avro.parse(source)
        assert isinstance(then, avro.Record)
        assert avro.bare(now) == avro.bare(then)
        assert list(avro.leaves(now)) == list(avro.leaves(then))


@each_release
def test_names_and_bodies_are_the_same(release: Path) -> None:
    """GeNiE knows events by them: another name is another provision, another body another content."""
    recorded = read(release / NAMES)
    assert samples.names() == recorded["names"]
    if recorded["mapping_version"] == POLICY.mapping_version:
        assert {what: body.decode() for what, body in samples.bodies()} == recorded["bodies"]


@each_release
def test_the_view_is_read(release: Path, tmp_path: Path) -> None:
    """States, holds and positions are there, and nothing is built anew; else the release notes must say so."""
    recorded = read(release / STATES)
    shutil.copytree(release / VIEW, tmp_path / VIEW)
    topics = {name: UUID(number) for name, number in recorded["origin"]["topics"].items()}
    origin = Origin(recorded["origin"]["cluster_id"], topics)
    store = ViewStore.open(tmp_path / VIEW, origin, now=recorded["caught_up_at"], max_idle_ms=1)
    try:
        assert store.rebuilt is None
        assert plain(store.seen(recorded["seen"])) == recorded["seen"]
        assert plain(store.holds()) == recorded["holds"]
        assert [[*at, offset] for at, offset in sorted(store.positions().items())] == sorted(recorded["positions"])
    finally:
        store.close()


# --- and back: what a later release wrote -------------------------------------------------------------------


def later(text: str, number: int) -> str:
    """Metadata of another format version."""
    raw = bytearray(base64.b64decode(text + "=" * (-len(text) % 4)))
    raw[0] = number
    return base64.b64encode(raw).rstrip(b"=").decode()


def test_metadata_of_a_later_format_is_told_from_what_is_not_ours() -> None:
    """A rollback over two releases is no reason to give up the offset."""
    text = CommitMetadata(settled=(5, 6)).encode(4)
    with pytest.raises(NewerMetadataError, match="format 2, this release reads 1"):
        CommitMetadata.decode(later(text, metadata_module.FORMAT + 1), 4)
    with pytest.raises(NotOurMetadataError) as refused:
        CommitMetadata.decode(later(text, 200), 4)
    assert not isinstance(refused.value, NewerMetadataError)


def test_a_view_of_a_later_format_is_built_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a copy of what Kafka holds: nothing is lost but the time to read it."""
    with monkeypatch.context() as next_release:
        next_release.setattr(view_store, "FORMAT", view_store.FORMAT + 1)
        store = ViewStore.open(tmp_path, samples.ORIGIN, now=0, max_idle_ms=1)
        store.write(samples.SEEN, samples.HOLDS, samples.POSITIONS)
        store.close()
    store = ViewStore.open(tmp_path, samples.ORIGIN, now=0, max_idle_ms=1)
    try:
        assert store.rebuilt is Rebuilt.OTHER_ORIGIN
        assert (store.count(), store.positions()) == (0, dict[TopicPartition, int]())
    finally:
        store.close()


class LaterRegistry(FileRegistry):
    """It knows an intent's schema with a field that a later release has added."""

    def __init__(self) -> None:
        self.source = deepcopy(dict(schemas.schema("ProvisionIntent").source))
        self.source["fields"].append({"name": "later", "type": ["null", "string"], "default": None, "item": "internal"})

    async def writer_schema(self, schema_id: int) -> Any | None:
        return self.source if schema_id == LATER_INTENT_ID else await super().writer_schema(schema_id)


async def decoded(registry: FileRegistry, values: list[bytes]) -> list[dict[str, Any]]:
    """Intents as a lane that opens reads them."""
    codec = Codec(registry, {"intents": "ProvisionIntent"})
    await codec.prepare(values)
    read = [codec.decode("intents", value) for value in values]
    assert all(isinstance(each, Decoded) for each in read), read
    return [each.record for each in read if isinstance(each, Decoded)]


async def test_an_intent_with_a_later_field_is_understood() -> None:
    """A release may add a field with a default, if the registry has its schema."""
    _, payload = schemas.unframe(schemas.encode("ProvisionIntent", samples.INTENT))
    value = schemas.frame(LATER_INTENT_ID, payload + b"\x02\x0athere")
    (record,) = await decoded(LaterRegistry(), [value])
    assert plain(samples.INTENT).items() <= plain(record).items()
