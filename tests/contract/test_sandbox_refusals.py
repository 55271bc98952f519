"""Each rule of the contract, broken alone, is refused by its name and leaves nothing behind."""

import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from gateway.sandbox.genie import server
from gateway.sandbox.genie.problems import Rule
from tests.contract.genie_client import (
    ANSWER_COMPONENTS,
    BATCHES,
    COMPONENTS,
    LOOKUPS,
    SINGLE,
    Client,
    Message,
    canonical,
    entry,
    headers_of,
    lookup,
    payment,
    provision,
    score,
    verify,
)
from tests.contract.test_sandbox_openapi import conforms


@dataclass
class Case:
    """One way to break one rule; what is not said is right."""

    rule: Rule
    why: str
    path: str = BATCHES
    content: Any = field(default_factory=lambda: provision(entry("a")))
    signing: dict[str, Any] = field(default_factory=dict)
    before: Callable[[Message], None] = lambda message: None  # what is spoiled before it is signed
    after: Callable[[Message], None] = lambda message: None  # and after it is signed

    def __str__(self) -> str:
        return f"{self.rule.slug}: {self.why}"


def header(name: str, value: str | None) -> Callable[[Message], None]:
    def change(message: Message) -> None:
        for known in [known for known in message.headers if known.lower() == name.lower()]:
            del message.headers[known]
        if value is not None:
            message.headers[name] = value

    return change


def edit(name: str, old: str, new: str) -> Callable[[Message], None]:
    def change(message: Message) -> None:
        assert old in message.headers[name]
        message.headers[name] = message.headers[name].replace(old, new)

    return change


def method(name: str) -> Callable[[Message], None]:
    def change(message: Message) -> None:
        message.method = name

    return change


def content_of(content: bytes) -> Callable[[Message], None]:
    def change(message: Message) -> None:
        message.content = content

    return change


def with_body(body: dict[str, Any]) -> dict[str, Any]:
    return provision(entry("a", body))


def raw(old: bytes, new: bytes, document: dict[str, Any] | None = None) -> bytes:
    content = orjson.dumps(document or provision(entry("a")))
    assert old in content
    return content.replace(old, new, 1)


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {member: value for member, value in body.items() if member != name}


def with_items(body: dict[str, Any], **items: Any) -> dict[str, Any]:
    return body | {"items": body["items"] | items}


LATE = {"created": -31, "expires": -1}
CASES = [
    Case(Rule.NOT_FOUND, "no such path", path="/v1/provision"),
    Case(Rule.NOT_FOUND, "a query", path=BATCHES + "?a=b"),
    Case(Rule.METHOD_NOT_ALLOWED, "GET", before=method("GET"), content=b""),
    Case(Rule.METHOD_NOT_ALLOWED, "PUT", before=method("PUT")),
    Case(Rule.CONTENT_TYPE_UNSUPPORTED, "text", before=header("Content-Type", "text/plain")),
    Case(
        Rule.CONTENT_TYPE_UNSUPPORTED,
        "a parameter",
        before=header("Content-Type", "application/json; charset=utf-8"),
    ),
    Case(
        Rule.CONTENT_CODING_UNSUPPORTED,
        "gzip",
        content=gzip.compress(orjson.dumps(provision(entry("a")))),
        before=header("Content-Encoding", "gzip"),
    ),
    Case(Rule.CONTENT_TOO_LARGE, "one byte", content=b" " * (server.MAX_CONTENT + 1)),
    Case(Rule.CONTENT_DIGEST_MISSING, "none", after=header("Content-Digest", None)),
    Case(Rule.CONTENT_DIGEST_MISMATCH, "other content", after=content_of(b"{}")),
    Case(
        Rule.CONTENT_DIGEST_MISMATCH,
        "another member",
        before=edit("Content-Digest", "sha-256=", f"sha-512=:{'A' * 86}==:, sha-256="),
    ),
    Case(Rule.CONTENT_DIGEST_MISMATCH, "other name", after=edit("Content-Digest", "sha-256", "sha-512")),
    Case(Rule.IDEMPOTENCY_KEY_MISSING, "none", after=header("Idempotency-Key", None)),
    Case(Rule.IDEMPOTENCY_KEY_MISMATCH, "another", before=header("Idempotency-Key", '"abc"')),
    Case(Rule.IDEMPOTENCY_KEY_MISMATCH, "a token", before=edit("Idempotency-Key", '"', "")),
    Case(Rule.SIGNATURE_MISSING, "no input", after=header("Signature-Input", None)),
    Case(Rule.SIGNATURE_MISSING, "no signature", after=header("Signature", None)),
    Case(Rule.SIGNATURE_MALFORMED, "other label", signing={"label": "other"}),
    Case(Rule.SIGNATURE_MALFORMED, "not base64", after=header("Signature", "norel=:%%:")),
    Case(Rule.SIGNATURE_MALFORMED, "no list", after=header("Signature-Input", "norel=1")),
    Case(Rule.SIGNATURE_MALFORMED, "open list", after=header("Signature-Input", 'norel=("@method"')),
    Case(Rule.SIGNATURE_MALFORMED, "parameter twice", after=edit("Signature-Input", ";created", ";created=1;created")),
    Case(Rule.SIGNATURE_MALFORMED, "list twice", after=edit("Signature-Input", "norel=", "norel=();created=1, norel=")),
    Case(
        Rule.SIGNATURE_MALFORMED,
        "two labels",
        after=edit("Signature-Input", "norel=", 'more=("@method");created=1, norel='),
    ),
    *(
        Case(
            Rule.SIGNATURE_COMPONENTS,
            f"without {left_out}",
            signing={"components": [name for name in COMPONENTS if name != left_out]},
        )
        for left_out in COMPONENTS
    ),
    Case(Rule.SIGNATURE_COMPONENTS, "one more", signing={"components": [*COMPONENTS, "@path"]}),
    Case(Rule.SIGNATURE_COMPONENTS, "other order", signing={"components": [*COMPONENTS[::-1]]}),
    Case(
        Rule.SIGNATURE_COMPONENTS,
        "a parameter",
        signing={"components": [*COMPONENTS[:2], '"content-type";bs', *COMPONENTS[3:]]},
    ),
    Case(Rule.SIGNATURE_PARAMETERS, "other tag", signing={"tag": "other"}),
    Case(Rule.SIGNATURE_PARAMETERS, "no expires", signing={"expires": None}),
    Case(Rule.SIGNATURE_PARAMETERS, "no nonce", signing={"nonce": None}),
    Case(Rule.SIGNATURE_PARAMETERS, "short nonce", signing={"nonce": "a" * 15}),
    Case(Rule.SIGNATURE_PARAMETERS, "long nonce", signing={"nonce": "a" * 65}),
    Case(Rule.SIGNATURE_PARAMETERS, "no alg", signing={"include_alg": False}),
    Case(Rule.SIGNATURE_PARAMETERS, "one more", after=edit("Signature-Input", ";created", ";x=1;created")),
    Case(
        Rule.SIGNATURE_PARAMETERS,
        "created with a fraction",
        after=edit("Signature-Input", ";keyid", ".5;keyid"),
    ),
    Case(Rule.SIGNATURE_ALGORITHM, "of another key", after=edit("Signature-Input", "ed25519", "hmac-sha256")),
    Case(Rule.SIGNATURE_INVALID, "nonce changed", after=edit("Signature-Input", 'nonce="n', 'nonce="m')),
    Case(
        Rule.SIGNATURE_INVALID,
        "another key's",
        after=edit("Signature-Input", 'norel-2026-1";alg="ed25519', 'norel-p256-1";alg="ecdsa-p256-sha256'),
    ),
    Case(Rule.SIGNATURE_EXPIRED, "a second ago", signing=LATE),
    Case(Rule.SIGNATURE_FROM_FUTURE, "6 s ahead", signing={"created": 6, "expires": 30}),
    Case(Rule.SIGNATURE_LIFETIME, "301 s", signing={"expires": 301}),
    Case(Rule.SIGNATURE_LIFETIME, "0 s", signing={"expires": 0}),
    Case(Rule.KEY_UNKNOWN, "never agreed", signing={"key_id": "norel-1999-1"}),
    Case(Rule.RECIPIENT_WRONG, "another", content=provision(entry("a"), recipient_id="other")),
    Case(Rule.RECIPIENT_WRONG, "lookup", path=LOOKUPS, content=lookup("a", recipient_id="other")),
    Case(Rule.MALFORMED_JSON, "half", content=orjson.dumps(provision(entry("a")))[:-1]),
    Case(Rule.MALFORMED_JSON, "empty", content=b""),
    Case(Rule.MALFORMED_JSON, "not UTF-8", content=raw("見本".encode(), b"\xff")),
    Case(Rule.MALFORMED_JSON, "NaN", content=raw(b"45000", b"NaN")),
    Case(Rule.MALFORMED_JSON, "deep", content=b"[" * 100_000 + b"]" * 100_000),
    Case(Rule.DUPLICATE_MEMBER, "of the batch", content=raw(b"{", b'{"recipient_id":"x",')),
    Case(Rule.DUPLICATE_MEMBER, "of a body", content=raw(b'"status":', b'"status":"paid","status":')),
    Case(Rule.DUPLICATE_MEMBER, "deep", content=raw(b"{", b'{"recipient_id":' + b"[" * 900 + b"]" * 900 + b",")),
    Case(
        Rule.MALFORMED_JSON,
        "a number of 5,000 digits",
        content=raw(b"{", b'{"recipient_id":' + b"1" * 5000 + b","),
    ),
    Case(Rule.SCHEMA_VIOLATED, "not an object", content=b"[]"),
    Case(Rule.SCHEMA_VIOLATED, "no entries", content=provision()),
    Case(Rule.SCHEMA_VIOLATED, "501 entries", content=provision(*[entry("a")] * 501)),
    Case(Rule.SCHEMA_VIOLATED, "two at the single path", path=SINGLE, content=provision(entry("a"), entry("b"))),
    Case(Rule.SCHEMA_VIOLATED, "501 lookups", path=LOOKUPS, content=lookup(*["a"] * 501)),
    Case(Rule.SCHEMA_VIOLATED, "a provision looked up", path=LOOKUPS),
    Case(Rule.SCHEMA_VIOLATED, "no provider", content=without(provision(entry("a")), "provider")),
    Case(Rule.SCHEMA_VIOLATED, "more in the batch", content=provision(entry("a"), memo="x")),
    Case(Rule.SCHEMA_VIOLATED, "more in an entry", content=provision(entry("a") | {"memo": "x"})),
    Case(Rule.SCHEMA_VIOLATED, "more in a body", content=with_body(payment() | {"memo": "x"})),
    Case(
        Rule.SCHEMA_VIOLATED,
        "another item",
        content=with_body(with_items(payment(), email={"email": "x@example.invalid"})),
    ),
    Case(
        Rule.SCHEMA_VIOLATED,
        "a score in a payment",
        content=with_body(with_items(payment(), norel_score=score()["items"]["norel_score"])),
    ),
    Case(Rule.SCHEMA_VIOLATED, "more in an item", content=with_body(payment(payer_relation="other"))),
    Case(Rule.SCHEMA_VIOLATED, "null", content=with_body(payment(paid_date=None))),
    Case(Rule.SCHEMA_VIOLATED, "no such day", content=with_body(payment(due_date="2026-02-30"))),
    Case(Rule.SCHEMA_VIOLATED, "a float", content=with_body(payment(amount_due_jpy=0.5))),
    Case(Rule.SCHEMA_VIOLATED, "beyond 2^53", content=with_body(payment(amount_due_jpy=2**53))),
    Case(Rule.SCHEMA_VIOLATED, "a number as text", content=with_body(payment(amount_due_jpy="1"))),
    Case(Rule.SCHEMA_VIOLATED, "other type", content=with_body(payment() | {"event_type": "other"})),
    Case(Rule.SCHEMA_VIOLATED, "no purpose", content=with_body(payment() | {"permitted_purposes": []})),
    Case(Rule.SCHEMA_VIOLATED, "no matter", content=with_body(payment() | {"items": {}})),
    Case(Rule.SCHEMA_VIOLATED, "a key of 31 bytes", content=provision(entry("a") | {"origin": "A" * 42})),
    Case(Rule.BODY_NOT_CANONICAL, "space", content=raw(b'"status":"paid"', b'"status": "paid"')),
    Case(
        Rule.BODY_NOT_CANONICAL,
        "order",
        content=provision(entry("a") | {"body": orjson.Fragment(orjson.dumps(payment()))}),
    ),
    Case(Rule.BODY_NOT_CANONICAL, "escapes", content=raw("架空".encode(), rb"\u67b6\u7a7a")),
    Case(Rule.BODY_NOT_CANONICAL, "1.0", content=raw(b'"installment_no":3', b'"installment_no":3.0')),
    Case(Rule.BODY_NOT_CANONICAL, "1E0", content=raw(b'"installment_no":3', b'"installment_no":3E0')),
    Case(Rule.BODY_NOT_CANONICAL, "-0", content=raw(b'"days_past_due":0', b'"days_past_due":-0')),
    Case(
        Rule.BODY_NOT_CANONICAL,
        "the first of two equal ones",
        content=provision(entry("b") | {"body": payment()}, entry("a")),
    ),
    Case(
        Rule.PURPOSES_NOT_SORTED,
        "reversed",
        content=with_body(payment() | {"permitted_purposes": payment()["permitted_purposes"][::-1]}),
    ),
]
ELSEWHERE = {  # tested below, or with the faults
    Rule.NONCE_REUSED,
    Rule.TOO_MANY_REQUESTS,
    Rule.UNAVAILABLE,
    Rule.INTERNAL_ERROR,
}


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_refusal(genie: Client, case: Case) -> None:
    """The refusal has the rule's status and name, is signed, says no data, and nothing was taken."""
    content = case.content if isinstance(case.content, bytes) else orjson.dumps(case.content)
    message = Message("POST", genie.sandbox.url + case.path, headers_of(content), content)
    case.before(message)
    genie.sign(message, **case.signing)
    case.after(message)
    reply = await genie.send(message)
    assert (reply.status_code, reply.problem) == (case.rule.status, case.rule.slug)
    assert reply.headers["Content-Type"] == "application/problem+json"
    conforms("Problem", reply.json)
    sent = {name.lower() for name in message.headers}
    covered = [name for name in ANSWER_COMPONENTS if not name.endswith(";req")]
    covered += [f'"{name}";req' for name in ("signature", "content-digest") if name in sent]
    verify(reply, genie.sandbox, [*covered, '"@method";req', '"@target-uri";req'])
    assert (await genie.stats())["distinct_keys"] == 0


def test_every_rule_is_broken_by_a_case() -> None:
    """No rule is without a test."""
    assert {case.rule for case in CASES} | ELSEWHERE == set(Rule)
    assert not {case.rule for case in CASES} & ELSEWHERE


async def test_a_nonce_is_used_once(genie: Client) -> None:
    """The very same request is taken once."""
    message = genie.request(BATCHES, provision(entry("a")))
    assert (await genie.send(message)).statuses == ["accepted"]
    assert (await genie.send(message)).problem == "nonce-reused"


async def test_a_nonce_is_remembered_across_requests_and_forgotten_when_expired(genie: Client) -> None:
    """Another request may not reuse a nonce; once the first signature has expired it takes no memory."""
    await genie.provide(entry("a"), nonce="n" * 22, expires=10)
    assert (await genie.provide(entry("b"), nonce="n" * 22)).problem == "nonce-reused"
    genie.clock.ms += 10_001
    assert (await genie.provide(entry("c"))).statuses == ["accepted"]
    assert (await genie.stats())["nonces"] == 1


async def test_a_refused_signature_leaves_its_nonce_unused(genie: Client) -> None:
    """Only who has the key can use up a nonce."""
    message = genie.request(BATCHES, provision(entry("a")), nonce="n" * 22)
    right = message.headers["Signature"]
    message.headers["Signature"] = f"norel=:{'A' * 86}==:"
    assert (await genie.send(message)).problem == "signature-invalid"
    message.headers["Signature"] = right
    assert (await genie.send(message)).statuses == ["accepted"]


async def test_a_repeated_header_cannot_hide(genie: Client) -> None:
    """A second line of a header counts, although most servers look at the first alone."""
    message = genie.request(BATCHES, provision(entry("a")))
    async with genie.session.post(
        message.url,
        data=message.content,
        headers=[*message.headers.items(), ("Content-Digest", "sha-256=:AAAA:")],
    ) as response:
        assert (await response.json(content_type=None))["type"].endswith("content-digest-mismatch")


async def test_a_spaced_wrapper_is_taken(genie: Client) -> None:
    """Only bodies must be canonical: white space and another order around them are fine."""
    one, two = canonical(payment()), canonical(score())
    document = provision(entry("a") | {"body": 1}, entry("b") | {"body": 2})
    content = orjson.dumps(document, option=orjson.OPT_INDENT_2)
    content = content.replace(b'"body": 1', b'"body": ' + one).replace(b'"body": 2', b'"body" :\n' + two)
    assert (await genie.post(BATCHES, content)).statuses == ["accepted", "accepted"]


async def test_a_fault_of_genies_own_is_a_signed_500(genie: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception inside GeNiE becomes a problem without its text."""

    def fail(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(server.contents, "entries", fail)
    reply = await genie.provide(entry("a"))
    assert (reply.status_code, reply.problem) == (500, "internal-error")
    assert b"secret" not in reply.content
    verify(reply, genie.sandbox)


async def test_genie_is_unavailable_when_it_cannot_write(genie: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """When receipts cannot be kept nothing is taken, and the answer says so."""

    write, space = os.write, [100]

    def full(descriptor: int, content: bytes) -> int:
        if not space:
            raise OSError(28, "no space left")
        return write(descriptor, content[: space.pop()])

    with monkeypatch.context() as patch:
        patch.setattr("gateway.sandbox.genie.receipts.os.write", full)
        reply = await genie.provide(entry("a"))
    assert (reply.status_code, reply.problem) == (503, "unavailable")
    assert genie.sandbox.receipts.read_bytes() == b""
    assert (await genie.look_up("a")).statuses == ["not_received"]
    assert (await genie.provide(entry("a"))).statuses == ["accepted"]
