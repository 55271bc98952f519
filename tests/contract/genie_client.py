"""A client of GeNiE for tests: it signs with an independent library and shares nothing with the gateway's client."""

import asyncio
import base64
import hashlib
import itertools
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, MappingKeyResolver
from http_message_signatures.algorithms import ECDSA_P256_SHA256, ED25519

from gateway.sandbox import pki
from gateway.sandbox.genie import Sandbox

BATCHES = "/v1/provision-batches"
SINGLE = "/v1/provisions"
LOOKUPS = "/v1/provision-lookups"
COMPONENTS = ("@method", "@target-uri", "content-type", "content-digest", "idempotency-key")
PATIENCE_S = 20.0  # how long a test waits for a condition
NOW = 1_795_305_600_000  # a test's clock starts here, ms

PURPOSES = [
    "claim_assignment_and_collateral",
    "credit_and_claim_administration",
    "credit_model_research",
    "identity_check_and_credit_decision",
]
_numbers = itertools.count(1)


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def key_of(name: str) -> str:
    """32 bytes that follow from a name, as keys and digests are written in JSON."""
    return b64(hashlib.sha256(name.encode()).digest())


def canonical(document: object) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def payment(subject: str = "subject", **history: Any) -> dict[str, Any]:
    """The body of a payment with every item."""
    return {
        "event_type": "lease_payment",
        "envelope": {
            "event_id": "0b7c1d0e-0000-4000-8000-000000000001",
            "occurred_at": "2026-11-20T01:02:03.004Z",
        },
        "subject_key": key_of(subject),
        "contract_key": key_of("contract"),
        "items": {
            "name": {"name": "架空 太郎", "name_kana": "カクウ タロウ"},
            "address": {"address": "東京都架空区見本町1-2-3"},
            "phone": {"phone": "000-0000-0000"},
            "birth_date": {"birth_date": "1980-02-29"},
            "payment_history": {
                "installment_no": 3,
                "billing_month": "2026-10",
                "due_date": "2026-10-27",
                "amount_due_jpy": 45000,
                "amount_paid_jpy": 45000,
                "amount_past_due_jpy": 0,
                "paid_date": "2026-10-27",
                "payment_method": "account_debit",
                "days_past_due": 0,
                "status": "paid",
            }
            | history,
        },
        "permitted_purposes": PURPOSES,
        "consent": {"policy_version": "2026-02-25", "consented_at": "2026-03-01T00:00:00.000Z"},
    }


def score(subject: str = "subject", sequence: int = 1) -> dict[str, Any]:
    """The body of a score with inputs."""
    return {
        "event_type": "norel_score_update",
        "envelope": {"score_id": "0b7c1d0e-0000-4000-8000-000000000002"},
        "subject_key": key_of(subject),
        "items": {
            "norel_score": {
                "sequence": sequence,
                "score": "712.50",
                "scale_min": "0",
                "scale_max": "1000",
                "model_id": "norel",
                "model_version": "3.1",
                "as_of": "2026-11-20T00:00:00.000Z",
            },
            "norel_score_inputs": [
                {
                    "input_id": "late_payments_12m",
                    "value": "-0.5",
                    "unit": "count",
                    "observed_at": "2026-11-19T00:00:00.000Z",
                }
            ],
        },
        "permitted_purposes": PURPOSES,
        "consent": {"policy_version": "2026-02-25", "consented_at": "2026-03-01T00:00:00.000Z"},
    }


def entry(key: str, body: Mapping[str, Any] | None = None, origin: str = "origin") -> dict[str, Any]:
    return {
        "idempotency_key": key_of(key),
        "origin": key_of(origin),
        "source_digest": key_of("source"),
        "body": orjson.Fragment(canonical(payment() if body is None else body)),
    }


def provision(*entries: Mapping[str, Any], **instead: Any) -> dict[str, Any]:
    return {
        "provider": {"name": "株式会社 見本", "address": "東京都見本区", "representative": "見本 花子"},
        "acquisition": "見本",
        "recipient_id": "genie",
        "entries": list(entries),
    } | instead


def lookup(*keys: str, **instead: Any) -> dict[str, Any]:
    return {"recipient_id": "genie", "idempotency_keys": [key_of(key) for key in keys]} | instead


@dataclass
class Clock:
    """GeNiE's clock, moved by the test."""

    ms: int = NOW

    def __call__(self) -> int:
        return self.ms


@dataclass
class Message:
    """A message as the signature library wants it."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes

    @property
    def path(self) -> str:
        return "/" + self.url.split("/", 3)[3]


@dataclass
class Reply:
    """An answer as the signature library wants it."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes
    request: Message

    @property
    def json(self) -> Any:
        return orjson.loads(self.content)

    @property
    def problem(self) -> str:
        return self.json["type"].removeprefix("urn:genie:problem:")

    @property
    def statuses(self) -> list[str]:
        return [result["status"] for result in self.json["results"]]


@dataclass
class Client:
    """Sends signed requests; anything of a request can be made wrong."""

    sandbox: Sandbox
    clock: Clock
    session: aiohttp.ClientSession
    key_id: str = pki.NOREL_ED25519_ID
    sent: list[Message] = field(default_factory=list)

    def request(self, path: str, document: object, **signing: Any) -> Message:
        """A request that GeNiE takes, unless `signing` spoils it."""
        content = document if isinstance(document, bytes) else orjson.dumps(document)
        message = Message("POST", self.sandbox.url + path, headers_of(content), content)
        self.sign(message, **signing)
        return message

    def sign(
        self,
        message: Message,
        *,
        created: int = 0,
        expires: int | None = 30,
        nonce: str | None = "",
        key_id: str | None = None,
        components: Iterable[str] = COMPONENTS,
        label: str = "norel",
        tag: str = "norel-provision-v1",
        include_alg: bool = True,
    ) -> None:
        """Sign; `created` and `expires` are seconds from now."""
        now = self.clock() // 1000
        kid = self.key_id if key_id is None else key_id
        p256 = kid == pki.NOREL_P256_ID
        key = self.sandbox.pki.norel_p256 if p256 else self.sandbox.pki.norel_ed25519
        signer = HTTPMessageSigner(
            signature_algorithm=ECDSA_P256_SHA256 if p256 else ED25519,
            key_resolver=MappingKeyResolver(public_keys={}, private_keys={kid: key.read_bytes()}),
        )
        signer.sign(
            message,
            key_id=kid,
            created=datetime.fromtimestamp(now + created, UTC),
            expires=None if expires is None else datetime.fromtimestamp(now + expires, UTC),
            nonce=f"nonce-{next(_numbers):012d}" if nonce == "" else nonce,
            label=label,
            tag=tag,
            include_alg=include_alg,
            covered_component_ids=components,
            use_existing_digest=True,
        )

    async def send(self, message: Message) -> Reply:
        self.sent.append(message)
        async with self.session.request(
            message.method, message.url, data=message.content, headers=message.headers, allow_redirects=False
        ) as response:
            return Reply(response.status, response.headers.copy(), await response.read(), message)

    async def post(self, path: str, document: object, **signing: Any) -> Reply:
        return await self.send(self.request(path, document, **signing))

    async def provide(self, *entries: Mapping[str, Any], **signing: Any) -> Reply:
        return await self.post(BATCHES, provision(*entries), **signing)

    async def look_up(self, *keys: str) -> Reply:
        return await self.post(LOOKUPS, lookup(*keys))

    async def set_faults(self, **faults: Any) -> None:
        async with self.session.put(f"{self.sandbox.admin_url}/faults", json=faults) as response:
            assert response.status == 200, await response.text()

    async def stats(self) -> dict[str, Any]:
        async with self.session.get(f"{self.sandbox.admin_url}/stats") as response:
            stats: dict[str, Any] = await response.json()
            return stats

    async def stats_until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first stats for which the condition holds; fails when that takes too long."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds(stats := await self.stats()):
                pass
        return stats


def headers_of(content: bytes) -> dict[str, str]:
    digest = hashlib.sha256(content).digest()
    return {
        "Content-Type": "application/json",
        "Content-Digest": f"sha-256=:{base64.b64encode(digest).decode()}:",
        "Idempotency-Key": f'"{b64(digest)}"',
    }


class _AtTestTime(HTTPMessageVerifier):
    """Answers carry the time of the test's clock."""

    def validate_created_and_expires(self, sig_input: object, max_age: object = None) -> None:
        return


def verify(reply: Reply, sandbox: Sandbox, covered: Iterable[str] | None = None) -> None:
    """Raise unless GeNiE signed this answer to this very request."""
    public = pki.public_half(sandbox.pki.genie_ed25519).read_bytes()
    verifier = _AtTestTime(
        signature_algorithm=ED25519,
        key_resolver=MappingKeyResolver(public_keys={pki.GENIE_ED25519_ID: public}, private_keys={}),
    )
    results = verifier.verify(
        reply,
        max_age=None,
        expect_tag="genie-answer-v1",
        expect_label="genie",
        body=reply.content,
        require_components=covered or ANSWER_COMPONENTS,
    )
    assert len(results) == 1
    assert set(results[0].parameters) == {"created", "keyid", "alg", "tag"}


ANSWER_COMPONENTS = (
    '"@status"',
    '"content-type"',
    '"content-digest"',
    '"signature";req',
    '"@method";req',
    '"@target-uri";req',
    '"content-digest";req',
)


def tls(sandbox: Sandbox, *, certificate: bool = True) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(sandbox.pki.ca))
    if certificate:
        context.load_cert_chain(sandbox.pki.client, sandbox.pki.client_key)
    return context


@asynccontextmanager
async def client_of(sandbox: Sandbox, clock: Clock) -> AsyncIterator[Client]:
    connector = aiohttp.TCPConnector(ssl=tls(sandbox), limit=0)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield Client(sandbox, clock, session)
