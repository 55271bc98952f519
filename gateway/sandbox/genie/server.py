"""The way of one request through GeNiE, from its head to its answer, and what is counted on it.

Knows the order of the steps; must not know how any of them is done.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.sandbox.genie import content as contents
from gateway.sandbox.genie.answer import LOOKUPS, Answer, ConnectionCut, Wire, message
from gateway.sandbox.genie.books import Books, rfc3339
from gateway.sandbox.genie.faults import Faults, Point
from gateway.sandbox.genie.faults.signature import SignatureFault
from gateway.sandbox.genie.head import Head
from gateway.sandbox.genie.problems import Refusal, Rule
from gateway.sandbox.genie.signatures import AnswerSigner, Clock, RequestVerifier, refuse_expired

MAX_CONTENT = 4 * 1024 * 1024
RECIPIENT_ID = "genie"

_LOG = logging.getLogger(__name__)
_SCHEMAS = {
    "/v1/provision-batches": "ProvisionBatch",
    "/v1/provisions": "SingleProvision",
    LOOKUPS: "Lookup",
}


class Counts:
    """What happened so far, for the admin port."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()  # by HTTP status
        self.refusals: Counter[str] = Counter()  # by problem
        self.entries: Counter[str] = Counter()  # by entry status
        self.lookups: Counter[str] = Counter()  # by status of the key
        self.cut = 0
        self.in_flight = 0


@dataclass(slots=True)
class Genie:
    """GeNiE's parts, wired; the signer may change while it runs."""

    verifier: RequestVerifier
    signer: AnswerSigner
    books: Books
    faults: Faults
    clock: Clock
    counts: Counts

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        head = Head.of(request)
        wire = Wire(request, head)
        self.counts.in_flight += 1
        try:
            wire.answer = await self._answer(head, request, wire)
            response = await self._sent(wire.answer, wire)
            self.counts.answers[str(response.status)] += 1
            return response
        except ConnectionCut:
            self.counts.cut += 1
            return web.Response(status=499)  # the connection is gone: nobody reads this
        except Exception as error:  # a fault of ours must not look like an answer from somebody else
            # The exception's text may hold data.
            _LOG.error("GeNiE failed on %s: %s", head.path, type(error).__name__)
            self.counts.refusals[Rule.INTERNAL_ERROR.slug] += 1
            answer = Answer.refusing(Refusal(Rule.INTERNAL_ERROR, "see GeNiE's log"))
            return _response(answer, self._headers(answer, wire))
        finally:
            self.counts.in_flight -= 1

    async def _sent(self, answer: Answer, wire: Wire) -> web.Response:
        """The answer as it leaves, if it leaves as an answer."""
        if wire.ended:
            raise ConnectionCut
        answer = await self.faults.strike(Point.ON_ANSWERING, wire) or answer
        headers = self._headers(answer, wire, self.faults.signing(wire) if answer.signed else None)
        wire.message = message(answer.status, headers, answer.content)
        await self.faults.strike(Point.ON_SENDING, wire)
        return _response(answer, headers)

    async def _answer(self, head: Head, request: web.BaseRequest, wire: Wire) -> Answer:
        try:
            _check_head(head)
            instead = await self.faults.strike(Point.BEFORE_READING, wire)
            if instead is not None:
                return instead
            return await self._judged(head, await _read(request), wire)
        except Refusal as refusal:
            self.counts.refusals[refusal.rule.slug] += 1
            allow = {"Allow": "POST"} if refusal.rule is Rule.METHOD_NOT_ALLOWED else None
            return Answer.refusing(refusal, allow)

    async def _judged(self, head: Head, content: bytes, wire: Wire) -> Answer:
        digest = _check_digest(head, content)
        expires = self.verifier.verify(head).expires
        document = contents.read(_SCHEMAS[head.path], content)
        if document["recipient_id"] != RECIPIENT_ID:
            raise Refusal(Rule.RECIPIENT_WRONG, f"recipient_id must be {RECIPIENT_ID}")
        if head.path == LOOKUPS:
            return await self._look_up(document["idempotency_keys"], expires, wire)
        entries = contents.entries(document, content)
        wire.keys = [entry.idempotency_key for entry in entries]
        instead = await self.faults.strike(Point.QUEUED, wire)
        if instead is not None:
            return instead
        with self.books.in_progress(entries):
            instead = await self.faults.strike(Point.BEFORE_JUDGING, wire)
            if instead is not None:
                return instead
            now_ms = self.clock()
            refuse_expired(expires, now_ms)
            origin = {"endpoint": head.path, "request_digest": digest}
            verdicts = self.books.take(entries, now_ms, self.faults.whim, origin)
        self.counts.entries.update(verdict.status.value for verdict in verdicts)
        instead = await self.faults.strike(Point.AFTER_ACCEPTING, wire)
        return instead or Answer(200, orjson.dumps({"results": [verdict.document() for verdict in verdicts]}))

    async def _look_up(self, keys: list[str], expires: int, wire: Wire) -> Answer:
        instead = await self.faults.strike(Point.BEFORE_JUDGING, wire)
        if instead is not None:
            return instead
        now_ms = self.clock()
        refuse_expired(expires, now_ms)
        results = self.books.look_up(keys)
        self.counts.lookups.update(result["status"] for result in results)
        instead = await self.faults.strike(Point.AFTER_ACCEPTING, wire)
        return instead or Answer(200, orjson.dumps({"as_of": rfc3339(now_ms), "results": results}))

    def _headers(self, answer: Answer, wire: Wire, instead: SignatureFault | None = None) -> dict[str, str]:
        headers = {"Content-Type": answer.media_type, **answer.headers}
        if instead is not None:
            return headers | instead.sign(self.signer, wire.head, answer)
        if answer.signed:
            headers |= self.signer.headers(wire.head, answer.status, answer.media_type, answer.content)
        return headers


def _response(answer: Answer, headers: Mapping[str, str]) -> web.Response:
    return web.Response(status=answer.status, body=answer.content, headers=headers)


def _check_head(head: Head) -> None:
    if head.path not in _SCHEMAS:
        raise Refusal(Rule.NOT_FOUND, f"there are {', '.join(_SCHEMAS)}, without a query")
    if head.method != "POST":
        raise Refusal(Rule.METHOD_NOT_ALLOWED, "every operation is a POST")
    if head.headers.get("content-type") != "application/json":
        raise Refusal(Rule.CONTENT_TYPE_UNSUPPORTED, "it must be application/json, without parameters")
    if "content-encoding" in head.headers:
        raise Refusal(Rule.CONTENT_CODING_UNSUPPORTED, "send the content as it is")


async def _read(request: web.BaseRequest) -> bytes:
    content = bytearray()
    try:
        async for chunk in request.content.iter_any():
            content += chunk
            if len(content) > MAX_CONTENT:
                raise Refusal(Rule.CONTENT_TOO_LARGE, f"at most {MAX_CONTENT} bytes")
    except (OSError, web.PayloadAccessError, web.RequestPayloadError, HttpProcessingError):
        raise ConnectionCut from None  # half a request: the client left, or does not speak HTTP
    return bytes(content)


def _check_digest(head: Head, content: bytes) -> str:
    """The content's digest, if both headers that name one are right."""
    if "content-digest" not in head.headers:
        raise Refusal(Rule.CONTENT_DIGEST_MISSING, "Content-Digest is required")
    if "idempotency-key" not in head.headers:
        raise Refusal(Rule.IDEMPOTENCY_KEY_MISSING, "Idempotency-Key is required")
    digest = contents.digest(content)
    standard = digest.replace("-", "+").replace("_", "/")
    if head.headers["content-digest"] != f"sha-256=:{standard}=:":
        raise Refusal(Rule.CONTENT_DIGEST_MISMATCH, "exactly one member is allowed, sha-256, of the content")
    if head.headers["idempotency-key"] != f'"{digest}"':
        raise Refusal(Rule.IDEMPOTENCY_KEY_MISMATCH, "it must be the string of base64url(SHA-256(content))")
    return digest
