"""Stages towards GeNiE: a batch as bytes, its signature, the connection, and the proof of the answer.

Knows the doors of gateway/genie and how the sandbox signs. Must not know how time is taken. GeNiE is a process of its
own here: what it costs is its own affair.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from gateway.core.canonical import iso_ms
from gateway.core.events import EventType
from gateway.core.facts import OutgoingEntry
from gateway.core.identity import b64url
from gateway.core.minimise import body_digest
from gateway.core.outcome import Answer, Reply
from gateway.genie.client import BATCH_PATH, Credentials, GenieClient
from gateway.genie.contract import Provider, RequestWriter, read_reply
from gateway.genie.keys import load_answer_keys, load_signing_key
from gateway.genie.signing import SignedRequest, sign_request, signed_answer
from gateway.genie.transport import GenieTransport
from gateway.sandbox import pki as pkis
from gateway.sandbox.demo.children import Crew
from gateway.sandbox.genie.head import Head
from gateway.sandbox.genie.signatures import AnswerSigner
from gateway.tls import tls_context
from load.stages.inside import traffics
from load.stages.material import Material, now_ms
from load.stages.watch import Watch

CONNECTIONS = 16
BOUND_S = 300.0  # of all rounds of a stage, or for GeNiE to start
JSON = "application/json"
URL = f"https://localhost:8443{BATCH_PATH}"

Batch = Sequence[OutgoingEntry]


class NotTakenError(Exception):
    """GeNiE did not take a batch, so the stage would time the wrong thing."""

    def __init__(self, answer: Answer) -> None:
        said = f"{answer.status}, {answer.problem_type}" if isinstance(answer, Reply) else answer.detail.value
        super().__init__(f"GeNiE did not take a batch: {said}")


async def encode(material: Material, watch: Watch) -> None:
    """RequestWriter.batch: the content of a request."""
    writer = request_writer()
    for _ in watch.rounds(len(EventType) * material.size.events):
        batches = await new_batches(material)
        with watch:
            for batch in batches:
                writer.batch(batch)


async def sign(material: Material, watch: Watch) -> None:
    """sign_request: digest, signature base and Ed25519."""
    with TemporaryDirectory() as directory:
        key = credentials(pkis.make(Path(directory))).signing_key
    writer = request_writer()
    for _ in watch.rounds(len(EventType) * material.size.events):
        contents = [writer.batch(batch) for batch in await new_batches(material)]
        now = now_ms() // 1000
        with watch:
            for number, content in enumerate(contents):
                sign_request(key, URL, content, created=now, expires=now + 30, nonce=f"nonce-{number:018}")


async def verify(material: Material, watch: Watch) -> None:
    """signed_answer and read_reply: digest, Ed25519, and each result in the form that the contract defines."""
    with TemporaryDirectory() as directory:
        pki = pkis.make(Path(directory))
        ours = credentials(pki)
        signer = AnswerSigner.load(pki.genie_ed25519, pkis.GENIE_ED25519_ID, now_ms)
    writer = request_writer()
    for _ in watch.rounds(len(EventType) * material.size.events):
        for batch in await new_batches(material):
            now = now_ms()
            signed = _signed(ours, writer.batch(batch), now // 1000)
            content = orjson.dumps({"results": [_result(entry, now) for entry in batch]})
            head = Head("POST", URL, BATCH_PATH, signed.headers)
            headers = {"content-type": JSON}
            for name, value in signer.headers(head, 200, JSON, content).items():
                headers[name.lower()] = value
            with watch:
                answer = signed_answer(
                    ours.answer_keys, signed, 200, headers, content, now_ms=now, skew_ms=material.limits.skew_ms
                )
                reply = read_reply(200, JSON, None, content, key_id=answer.key_id if answer else None, now_ms=now)
            if not reply.verified or reply.results is None or len(reply.results) != len(batch):
                raise AssertionError("the answer is not verified: the stage would time the wrong thing")


async def send(material: Material, watch: Watch) -> None:
    """GenieClient.send over TLS, with encoding, signing and verifying in it."""
    await _send(material, watch, material.limits.batch, material.size.events)


async def single(material: Material, watch: Watch) -> None:
    """GenieClient.send, one event a request."""
    await _send(material, watch, 1, max(1, material.size.events // 10))


async def _send(material: Material, watch: Watch, size: int, events: int) -> None:
    slots = asyncio.Semaphore(CONNECTIONS)

    async def post(client: GenieClient, batch: Batch) -> None:
        async with slots:
            answer = await client.send(batch, now_ms() + material.limits.expires_ms)
        if not isinstance(answer, Reply) or not answer.verified or answer.status != 200:
            raise NotTakenError(answer)

    async with connected(material) as client:
        for _ in watch.rounds(len(EventType) * events):
            entries = [entry for batch in await new_batches(material, events) for entry in batch]
            with watch:
                await asyncio.gather(
                    *(post(client, entries[start : start + size]) for start in range(0, len(entries), size))
                )


@asynccontextmanager
async def connected(material: Material) -> AsyncIterator[GenieClient]:
    """A client of a GeNiE that answers at once, in a process of its own."""
    with TemporaryDirectory() as directory:
        crew = Crew(Path(directory))
        try:
            genie = crew.start("genie", "dev", "genie", "--data", directory, "--latency-ms", "0", "--json")
            told = await genie.says("url", BOUND_S)
            client = GenieClient(
                base_url=told["url"],
                transport=lambda tls: GenieTransport(told["url"], tls, CONNECTIONS),
                writer=request_writer(),
                credentials=credentials(pkis.Pki(Path(told["pki"]))),
                skew_ms=material.limits.skew_ms,
            )
            await client.start()
            try:
                async with asyncio.timeout(BOUND_S):
                    yield client
            finally:
                await client.close()
        finally:
            await crew.end()


async def new_batches(material: Material, events: int | None = None) -> list[Batch]:
    """New events of both types on their way to GeNiE."""
    return [send.entries for traffic in await traffics(material, events) for send in traffic.sends]


def request_writer() -> RequestWriter:
    """Writes what the development gateway would."""
    return RequestWriter(Provider("provider", "somewhere", "somebody"), "by contract with the customer", "genie")


def credentials(pki: pkis.Pki) -> Credentials:
    """The development gateway's."""
    return Credentials(
        tls_context(pki.ca, pki.client, pki.client_key),
        load_signing_key(pki.norel_ed25519, pkis.NOREL_ED25519_ID),
        load_answer_keys({pkis.GENIE_ED25519_ID: pkis.public_half(pki.genie_ed25519)}),
    )


def _signed(ours: Credentials, content: bytes, now: int) -> SignedRequest:
    return sign_request(ours.signing_key, URL, content, created=now, expires=now + 30, nonce="nonce-nonce-nonce-nonce")


def _result(entry: OutgoingEntry, now: int) -> dict[str, object]:
    """GeNiE's yes to one entry, as in its JSON."""
    return {
        "idempotency_key": entry.idempotency_key,
        "status": "accepted",
        "receipt_id": f"receipt-{now}",
        "first": {
            "origin": entry.origin,
            "source_digest": b64url(entry.source_digest),
            "body_digest": b64url(body_digest(entry.body)),
            "received_at": iso_ms(now),
        },
    }
