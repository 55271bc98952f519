"""What is told to a customer and to GeNiE, made from what a real gateway wrote, held against what GeNiE took."""

import asyncio
import io
import uuid
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pypdf
import pytest
from typer.testing import CliRunner

from gateway import schemas
from gateway.cli import app
from tests.integration.chosen_records import a_payment
from tests.integration.gateway_world import LANES, World
from tests.integration.genie_course import Course

CUSTOMER, OTHER = "subject-withdraws", "subject-stays"
ASKER = ["--operator", "ann", "--ticket", "PRV-1"]

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """What GeNiE took, by event id, and what was made of the gateway's records afterwards."""

    taken: Mapping[str, Document]
    provided: tuple[str, str]  # event ids: a payment, a score
    unknown: str
    corrected: str
    withheld_key: str
    answer: Document
    answer_pdf: str
    notice: Document
    notice_pdf: str
    personal: tuple[str, ...]


@pytest.fixture(scope="module")
def run(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A payment and a score are provided; GeNiE takes a payment and all its answers are lost; the customer withdraws;
    a correction comes."""
    return asyncio.run(_ran(kafka, tmp_path_factory.mktemp("disclosed")))


def test_each_provision_is_what_genie_took(run: Run) -> None:
    """Its receipt, its time, its items, its purposes; and nothing else is said to be provided."""
    rows = {row["receipt_id"]: row for row in run.answer["provisions"]}
    assert set(rows) == {run.taken[event]["receipt_id"] for event in run.provided}
    for event in run.provided:
        entry, row = run.taken[event], rows[run.taken[event]["receipt_id"]]
        assert row["kind"] == "provided"
        assert _ms(row["at"]) == entry["received_at_ms"]
        assert row["event_type"] == entry["body"]["event_type"]
        assert sorted(row["items"]) == sorted(entry["body"]["items"])
        assert sorted(row["purposes"]) == sorted(entry["body"]["permitted_purposes"])
    assert run.answer["provided"]


def test_what_nobody_knew_is_told_as_such(run: Run) -> None:
    """GeNiE took it; the gateway does not know, and says so, with what was in it."""
    (row,) = run.answer["unsettled"]
    body = run.taken[run.unknown]["body"]
    assert row["doubt"] == "outcome_unknown"
    assert sorted(row["items"]) == sorted(body["items"])
    assert sorted(row["purposes"]) == sorted(body["permitted_purposes"])
    assert run.answer["ledger"]["in_flight_known"]
    assert run.answer["ledger"]["unreadable_records"] == 0


def test_the_notice_names_what_genie_has_as_genie_does(run: Run) -> None:
    """Keys, origins, digests and receipts are those in GeNiE's books; also of what the gateway does not know of."""
    assert run.notice["subject_key"] == run.taken[run.corrected]["body"]["subject_key"]
    held = {row["idempotency_key"]: row for row in run.notice["held"]}
    assert set(held) == {run.taken[event]["idempotency_key"] for event in run.provided}
    for event in run.provided:
        entry = run.taken[event]
        row = held[entry["idempotency_key"]]
        assert (row["origin"], row["receipt_id"]) == (entry["origin"], entry["receipt_id"])
        assert row["body_digest"] == _hex(entry["body_digest"])
    (doubtful,) = run.notice["unsettled"]
    taken = run.taken[run.unknown]
    assert (doubtful["idempotency_key"], doubtful["origin"]) == (taken["idempotency_key"], taken["origin"])


def test_a_correction_after_the_withdrawal_is_in_the_notice(run: Run) -> None:
    """It was not sent: GeNiE holds what it corrects, by the name that is told."""
    (row,) = run.notice["corrections_withheld"]
    assert row["idempotency_key"] == run.withheld_key
    assert row["corrects_idempotency_key"] == run.taken[run.corrected]["idempotency_key"]
    assert run.withheld_key not in {entry["idempotency_key"] for entry in run.taken.values()}


def test_the_pdfs_say_the_same(run: Run) -> None:
    """Every receipt and key can be copied out of them; no value of the customer can, and nothing of another one."""
    for event in run.provided:
        assert run.taken[event]["receipt_id"] in run.answer_pdf
        assert run.taken[event]["idempotency_key"] in run.notice_pdf
    assert "受領未確認" in run.answer_pdf
    assert run.withheld_key in run.notice_pdf
    for text in (run.answer_pdf, run.notice_pdf, str(run.answer), str(run.notice)):
        assert [value for value in (*run.personal, OTHER) if value in text] == []
    assert CUSTOMER not in run.notice_pdf


async def _ran(kafka: str, directory: Path) -> Run:
    async with World(kafka, f"t{uuid.uuid4().hex[:8]}.", directory) as world:
        for subject in (CUSTOMER, OTHER):
            await world.consent(subject)
        ids = {name: str(uuid.uuid4()) for name in ("payment", "score", "unknown", "correction")}
        async with world.gateway("gives_up_soon") as gateway:
            await gateway.ready(LANES)
            first = a_payment(CUSTOMER, event_id=ids["payment"])
            await world.write(world.names.payments, CUSTOMER, schemas.encode("LeasePaymentEvent", first))
            await world.score(CUSTOMER, score_id=ids["score"])
            await world.payment(OTHER)
            await world.settled(3)
            world.faults(reset_after_accepting={"share": 1})
            await world.payment(CUSTOMER, event_id=ids["unknown"])
            await world.settled(4)
            world.faults()
            await world.withdraw(CUSTOMER)
            changed = {"status": "corrected", "corrects_event_id": ids["payment"]}
            await world.payment(CUSTOMER, event_id=ids["correction"], **changed)
            await world.settled(5)
            key = Course(world, gateway).key(ids["correction"])
            made = {}
            for name, options in (("answer", ()), ("notice", ("--stop-notice",))):
                for form in ("json", "pdf"):
                    made[name, form] = await _disclosed(world, directory / f"{name}.{form}", form, *options)
        reasons = [each["reason"] for each in world.ledger if each["subject_ref"] == CUSTOMER]
        assert reasons == ["accepted", "accepted", "outcome_unknown", "correction_after_withdrawal"]
        taken = {
            entry["body"]["envelope"].get("event_id") or entry["body"]["envelope"]["score_id"]: entry
            for entry in world.received()
            if entry["status"] == "accepted"
        }
        customer = first["customer"]
        return Run(
            taken,
            (ids["payment"], ids["score"]),
            ids["unknown"],
            ids["payment"],
            key,
            orjson.loads(made["answer", "json"]),
            _text(made["answer", "pdf"]),
            orjson.loads(made["notice", "json"]),
            _text(made["notice", "pdf"]),
            tuple(str(customer[name]) for name in ("name", "name_kana", "address", "phone")),
        )


async def _disclosed(world: World, out: Path, form: str, *options: str) -> bytes:
    """What `gateway ledger disclose` writes, with the settings of the gateway."""
    command = ["ledger", "disclose", "--subject", CUSTOMER, *ASKER, "--format", form, "--out", str(out), *options]
    result = await asyncio.to_thread(CliRunner().invoke, app, command, env=world.settings("desk"))
    assert result.exit_code == 0, (result.output, result.exception)
    return await asyncio.to_thread(out.read_bytes)


def _text(pdf: bytes) -> str:
    return "".join("".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages).split())


def _ms(iso: str) -> int:
    return round(datetime.fromisoformat(iso).timestamp() * 1_000)


def _hex(b64url: str) -> str:
    return urlsafe_b64decode(b64url + "=" * (-len(b64url) % 4)).hex()
