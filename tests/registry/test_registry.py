"""The gateway's schemas in a real schema registry: what a user types, what is refused, and what both releases read."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

from gateway import schemacheck, schemas
from gateway.avro_writer import compile_writer
from gateway.cli import app
from gateway.cli.errors import CommandError, Exit
from gateway.core.reasons import Reason
from gateway.kafka import http_registry
from gateway.kafka.codec import Codec, Decoded, Undecodable
from gateway.kafka.http_registry import HttpRegistry
from gateway.kafka.names import TopicNames
from gateway.kafka.registry import RegistryAway
from gateway.producer import Producer, SendError, check
from gateway.settings import SettingsError, load_schemas
from tests.producer.event_documents import NOW_MS, payment
from tests.registry import later_release, story
from tests.registry.apicurio import Apicurio
from tests.registry.door import Door
from tests.registry.later_release import ADDED, Change, add_everywhere

KINDS = list(TopicNames().record_kinds().values())
NOT_THERE = 2_000_000_000


def run(
    command: str, registry: Apicurio | Door, prefix: str, *more: str, environment: dict[str, str] | None = None
) -> Result:
    variables = {f"GATEWAY_{name.upper()}": value for name, value in (environment or {}).items()}
    words = ["schemas", command, "--registry", registry.url, "--prefix", prefix, *more]
    return CliRunner().invoke(app, words, env=variables)


def release(monkeypatch: pytest.MonkeyPatch, made: schemas.SchemaSet) -> None:
    """From now on this process is of another release."""
    monkeypatch.setattr(schemas, "own", lambda: made)


def field(kind: str, name: str, **change: Any) -> Change:
    """A change of one field of a record kind."""

    def apply(source: dict[str, Any]) -> None:
        part = next(part for part in source["fields"] if part["name"] == name)
        part.update(change)

    return apply


def needed_field(source: dict[str, Any]) -> None:
    source["fields"].append({"name": ADDED, "type": "string", "item": "internal", "doc": "New"})


def field_gone(source: dict[str, Any]) -> None:
    source["fields"] = [part for part in source["fields"] if part["name"] != "amount_due_jpy"]


INCOMPATIBLE = {
    "another type": (field("LeasePaymentEvent", "installment_no", type="string"), "installment_no"),
    "a field that is needed": (needed_field, ADDED),
    "a needed field gone": (field_gone, "amount_due_jpy"),
}


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> schemas.SchemaSet:
    """A release that adds an optional field to every record, and to every record inside one."""
    directory = tmp_path_factory.mktemp("later") / "avro"
    made = later_release.make(directory, add_everywhere)
    assert schemacheck.check(directory) == []
    return made


@pytest.fixture(scope="module")
def both(apicurio: Apicurio, later: schemas.SchemaSet) -> Iterator[str]:
    """The prefix of subjects that have this release's schemas and the later one's."""
    prefix = "both."
    assert run("register", apicurio, prefix).exit_code == 0
    with pytest.MonkeyPatch.context() as patch:
        release(patch, later)
        done = run("register", apicurio, prefix, "--json")
    assert done.exit_code == 0, done.output
    assert {each["kept"] for each in json.loads(done.stdout)["subjects"]} == {"new"}
    yield prefix


def test_register_then_diff_then_check(apicurio: Apicurio, prefix: str) -> None:
    """What a user types before the first start: each subject is there, with its level, and nothing differs."""
    missing = run("diff", apicurio, prefix)
    assert missing.exit_code == 1
    assert f"{prefix}lease.payments-value: (whole schema): no schema is registered" in missing.stdout
    first = run("register", apicurio, prefix)
    assert first.exit_code == 0
    assert first.stdout.count(": registered, id ") == len(KINDS)
    again = run("register", apicurio, prefix)
    assert again.stdout.count(": there already, id ") == len(KINDS)
    assert run("diff", apicurio, prefix).stdout == "the registry has this release's schemas\n"
    assert CliRunner().invoke(app, ["schemas", "check"]).exit_code == 0
    for topic in TopicNames(prefix).record_kinds():
        level = httpx.get(f"{apicurio.url}/config/{topic}-value").json()
        assert level == {"compatibilityLevel": "FULL_TRANSITIVE"}


@pytest.mark.parametrize("kind", KINDS)
def test_this_release_reads_what_a_later_one_writes(
    kind: str, apicurio: Apicurio, both: str, later: schemas.SchemaSet
) -> None:
    """By the later schema, found in the registry under its id; what is new in it is internal and stays inside."""
    newer = later.current[kind]
    written = later_release.sample(newer.record)
    number = the_id(apicurio, both, kind, newer.text)
    found = decoded(apicurio, both, kind, schemas.frame(number, compile_writer(newer.record)(written)))
    assert found == Decoded(number, written)


@pytest.mark.parametrize("kind", KINDS)
def test_a_later_release_reads_what_this_one_writes(
    kind: str, apicurio: Apicurio, both: str, later: schemas.SchemaSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The added fields have their default."""
    ours = schemas.own().current[kind]
    written = later_release.sample(ours.record)
    number = the_id(apicurio, both, kind, ours.text)
    value = schemas.frame(number, compile_writer(ours.record)(written))
    release(monkeypatch, later)
    found = decoded(apicurio, both, kind, value)
    assert found == Decoded(number, later_release.with_null(written, later.current[kind].record, ADDED))


def test_diff_names_what_a_later_release_added(apicurio: Apicurio, both: str) -> None:
    """An older gateway still runs beside it; whoever asks learns what is newer there, field by field."""
    newer = run("diff", apicurio, both)
    assert newer.exit_code == 1
    said = f"{both}lease.payments-value: customer.{ADDED}: only the registered schema has it; find out which release"
    assert said in newer.stdout
    assert run("register", apicurio, both).exit_code == 0  # it is there already, beside the newer one


@pytest.mark.parametrize("case", INCOMPATIBLE)
def test_an_incompatible_change_is_refused_with_what_to_change(
    case: str, apicurio: Apicurio, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the check of the files already, with the same field; and the registry itself keeps what it has."""
    change, path = INCOMPATIBLE[case]
    assert run("register", apicurio, prefix).exit_code == 0
    broken = later_release.make(tmp_path / "avro", change, "LeasePaymentEvent")
    checked = CliRunner().invoke(app, ["schemas", "check", "--dir", str(tmp_path / "avro")])
    assert checked.exit_code == 1
    assert f"lease_payment_event.avsc: {path}: " in checked.stdout
    with monkeypatch.context() as patch:
        release(patch, broken)
        refused = run("register", apicurio, prefix)
    assert refused.exit_code == 1
    subject = f"{prefix}lease.payments-value"
    assert f"{subject}: refused as incompatible with what is registered" in refused.stdout
    assert f"\n  {path}: " in refused.stdout
    assert "keep the field as it is registered, and add a new one with a default instead" in refused.stdout
    answer = httpx.post(
        f"{apicurio.url}/subjects/{subject}/versions", json={"schema": broken.current["LeasePaymentEvent"].text}
    )
    assert answer.status_code == 409
    assert httpx.get(f"{apicurio.url}/subjects/{subject}/versions").json() == [1]


def test_an_id_that_nobody_registered_is_known_to_be_absent(apicurio: Apicurio) -> None:
    """Its records are parked, not waited for."""
    value = schemas.frame(NOT_THERE, b"x")
    assert decoded(apicurio, "", "LeasePaymentEvent", value) == Undecodable(Reason.UNKNOWN_SCHEMA_ID)


def test_a_schema_of_another_format_is_not_avro(apicurio: Apicurio, prefix: str) -> None:
    """A registry holds others' schemas too."""
    schema = {"schemaType": "PROTOBUF", "schema": 'syntax = "proto3"; message Other { string a = 1; }'}
    number = httpx.post(f"{apicurio.url}/subjects/{prefix}others-value/versions", json=schema).json()["id"]
    value = schemas.frame(number, b"")
    assert decoded(apicurio, "", "LeasePaymentEvent", value) == Undecodable(Reason.NOT_AVRO)


def test_a_registry_that_hangs_is_away_and_then_not(apicurio: Apicurio, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is never taken for "no such schema"."""
    monkeypatch.setattr(http_registry, "ANSWER_TIMEOUT_S", 0.5)
    value = schemas.encode("LeasePaymentEvent", check("LeasePaymentEvent", payment(), NOW_MS).record)
    apicurio.freeze()
    try:
        with pytest.raises(RegistryAway, match=r"no usable answer about schema 1 \(TimeoutError|ReadTimeout"):
            decoded(apicurio, "", "LeasePaymentEvent", value)
    finally:
        apicurio.thaw()
    monkeypatch.undo()
    assert isinstance(decoded(apicurio, "", "LeasePaymentEvent", value), Decoded)


async def test_a_producer_that_nobody_registered_for_is_told_so(apicurio: Apicurio, kafka: str, prefix: str) -> None:
    """The kit writes by the registry's id or not at all: it registers nothing by itself."""
    async with Producer(kafka, service="billing", prefix=prefix, registry_url=apicurio.url) as producer:
        with pytest.raises(SendError, match="run `gateway schemas register`"):
            await producer.send_all([check("LeasePaymentEvent", payment(), NOW_MS)])


def test_a_command_logs_in_as_the_gateway_does(door: Door, login: dict[str, str], prefix: str) -> None:
    """By TLS that its own authority vouches for, with user and password from the settings."""
    done = run("register", door, prefix, environment=login)
    assert done.exit_code == 0, done.output
    assert run("diff", door, prefix, environment=login).exit_code == 0


def test_a_login_that_does_not_open_is_told_with_the_setting_to_change(
    door: Door, login: dict[str, str], prefix: str, tmp_path: Path
) -> None:
    """A wrong password, no user at all, an authority that does not vouch for it: nobody takes it for a schema gone."""
    wrong = tmp_path / "password"
    wrong.write_text("guess", "utf-8")
    wrong.chmod(0o600)
    refused = run("register", door, prefix, environment=login | {"schemas__registry_password_file": str(wrong)})
    assert isinstance(refused.exception, CommandError)
    assert refused.exception.status is Exit.FOUND_WRONG
    assert "with status 401: check" in refused.exception.message
    assert "schemas.registry_password_file" in refused.exception.message
    stranger = run("diff", door, prefix, environment={"schemas__registry_url": door.url})
    assert isinstance(stranger.exception, CommandError)
    assert stranger.exception.status is Exit.UNREACHABLE


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schemas__registry_url": None}, "schemas.registry_username: set, but without schemas.registry_url"),
        (
            {"schemas__registry_url": "http://registry:8081"},
            "schemas.registry_ca_file: set, but schemas.registry_url has",
        ),
        (
            {"schemas__registry_username": None},
            "schemas.registry_username: missing, but schemas.registry_password_file",
        ),
        (
            {"schemas__registry_password_file": None},
            "schemas.registry_password_file: missing, but schemas.registry_user",
        ),
    ],
)
def test_half_a_login_is_refused(
    change: dict[str, str | None], said: str, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is asked, with the variable to set or unset."""
    for name, value in (login | change).items():
        if value is not None:
            monkeypatch.setenv(f"GATEWAY_{name.upper()}", value)
    with pytest.raises(SettingsError) as refused:
        load_schemas()
    assert said in str(refused.value)


def the_id(apicurio: Apicurio, prefix: str, kind: str, text: str) -> int:
    """Under which the registry has this schema."""

    async def ask() -> int | None:
        registry = HttpRegistry.of(apicurio.url, TopicNames(prefix))
        try:
            return await registry.find(kind, text)
        finally:
            await registry.close()

    number = asyncio.run(ask())
    assert number is not None
    return number


def decoded(apicurio: Apicurio, prefix: str, kind: str, value: bytes) -> Decoded | Undecodable:
    """A value of a topic of this kind, as the gateway's codec reads it."""
    topic = next(topic for topic, each in TopicNames(prefix).record_kinds().items() if each == kind)

    async def read() -> Decoded | Undecodable:
        registry = HttpRegistry.of(apicurio.url, TopicNames(prefix))
        codec = Codec(registry, TopicNames(prefix).record_kinds())
        try:
            await codec.prepare([value])
            return codec.decode(topic, value)
        finally:
            await registry.close()

    return asyncio.run(read())


@pytest.fixture(scope="module")
def run_of_two(
    apicurio: Apicurio,
    kafka: str,
    tmp_path_factory: pytest.TempPathFactory,
    later: schemas.SchemaSet,
    login: dict[str, str],
) -> story.Run:
    """Two gateways that log in at a registry which hangs for a while, and four kinds of producer; the verifier found
    nothing."""
    return asyncio.run(story.everything(apicurio, kafka, tmp_path_factory.mktemp("two"), later, login))


def test_what_any_client_writes_through_the_registry_is_provided(run_of_two: story.Run) -> None:
    """The kit, the example in Java as it stands in the docs, Confluent's client, a producer that is a release ahead."""
    given = {name: run_of_two.reasons[name] for name in ("kit", "java", "librdkafka", "later")}
    assert given == dict.fromkeys(given, "accepted")
    assert len(run_of_two.bodies) == len(given)


def test_a_field_of_a_later_release_stays_inside(run_of_two: story.Run) -> None:
    """It is internal, and no body has it."""
    assert ADDED not in json.dumps(run_of_two.bodies)


def test_while_the_registry_hangs_lanes_wait_and_nothing_is_parked(run_of_two: story.Run) -> None:
    """What needs an answer waits for it, in sight, and goes on once it comes."""
    assert run_of_two.settled_while_it_hung == 0
    assert len(run_of_two.waited) >= 1


def test_billing_sees_its_rejected_events_without_personal_data(run_of_two: story.Run) -> None:
    """By the header `producer`: which record, and why; only the one that is its own."""
    assert run_of_two.reasons["unknown"] == "unknown_schema_id"
    assert "unknown_schema_id" in run_of_two.rejected
    assert "1 selected" in run_of_two.stats
    assert story.SUBJECT in run_of_two.rejected
