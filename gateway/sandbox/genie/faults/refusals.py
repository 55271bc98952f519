"""Faults that refuse a whole request: GeNiE, or somebody on the way, answers in its place.

Knows statuses and how refusals look; must not know what was asked.
"""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from enum import IntEnum
from http import HTTPStatus

import orjson

from gateway.sandbox.genie.answer import PROBLEM, Answer, Wire
from gateway.sandbox.genie.faults.fault import Point, RequestFault
from gateway.sandbox.genie.problems import Refusal, Rule

# The rule that a signed refusal names; GeNiE's contract has none for the other statuses.
_RULES: Mapping[int, Rule] = {
    400: Rule.MALFORMED_JSON,
    401: Rule.SIGNATURE_INVALID,
    403: Rule.KEY_UNKNOWN,
    404: Rule.NOT_FOUND,
    405: Rule.METHOD_NOT_ALLOWED,
    413: Rule.CONTENT_TOO_LARGE,
    415: Rule.CONTENT_TYPE_UNSUPPORTED,
    422: Rule.SCHEMA_VIOLATED,
    429: Rule.TOO_MANY_REQUESTS,
    500: Rule.INTERNAL_ERROR,
    503: Rule.UNAVAILABLE,
}


class ServerStatus(IntEnum):
    """How a server fails."""

    INTERNAL_SERVER_ERROR = 500
    BAD_GATEWAY = 502
    SERVICE_UNAVAILABLE = 503
    GATEWAY_TIMEOUT = 504


class ClientStatus(IntEnum):
    """What a server may blame a client for."""

    BAD_REQUEST = 400
    UNAUTHORIZED = 401
    FORBIDDEN = 403
    NOT_FOUND = 404
    METHOD_NOT_ALLOWED = 405
    REQUEST_TIMEOUT = 408
    CONFLICT = 409
    GONE = 410
    CONTENT_TOO_LARGE = 413
    UNSUPPORTED_MEDIA_TYPE = 415
    UNPROCESSABLE_CONTENT = 422
    UNAVAILABLE_FOR_LEGAL_REASONS = 451


class RedirectStatus(IntEnum):
    """How a server sends a client elsewhere."""

    MOVED_PERMANENTLY = 301
    FOUND = 302
    SEE_OTHER = 303
    TEMPORARY_REDIRECT = 307
    PERMANENT_REDIRECT = 308


@dataclass(frozen=True, kw_only=True)
class _PushBack(RequestFault):
    """Parameters of a refusal that says when to come back."""

    retry_after: int = 1  # seconds
    as_date: bool = False
    signed: bool = True

    def later(self, status: int) -> Answer:
        at = formatdate(time.time() + self.retry_after, usegmt=True)
        return refusing(status, {"Retry-After": at if self.as_date else str(self.retry_after)}, signed=self.signed)


@dataclass(frozen=True, kw_only=True)
class TooManyRequests(_PushBack):
    point = Point.BEFORE_JUDGING
    sentence = "a 429 with Retry-After; with burst_s a storm of them"

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        return self.later(429)


@dataclass(frozen=True, kw_only=True)
class Unavailable(_PushBack):
    point = Point.BEFORE_JUDGING
    sentence = "a 503 with Retry-After; with burst_s an outage"

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        return self.later(503)


@dataclass(frozen=True, kw_only=True)
class ServerError(RequestFault):
    point = Point.BEFORE_JUDGING
    sentence = "GeNiE fails before it takes anything"
    status: ServerStatus = ServerStatus.INTERNAL_SERVER_ERROR
    signed: bool = False

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        return refusing(self.status, signed=self.signed)


@dataclass(frozen=True, kw_only=True)
class ServerErrorAfterAccepting(RequestFault):
    point = Point.ON_ANSWERING
    sentence = "GeNiE takes the entries, then fails"
    status: ServerStatus = ServerStatus.INTERNAL_SERVER_ERROR
    signed: bool = False

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        return refusing(self.status, signed=self.signed)


@dataclass(frozen=True, kw_only=True)
class BadGateway(RequestFault):
    point = Point.BEFORE_READING
    sentence = "something before GeNiE answers 502, unsigned, and GeNiE never hears of the request"

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        return refusing(502, signed=False)


@dataclass(frozen=True, kw_only=True)
class BadGatewayAfterAccepting(RequestFault):
    point = Point.ON_ANSWERING
    sentence = "GeNiE takes the entries, but its answer is replaced by an unsigned 502"

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        return refusing(502, signed=False)


@dataclass(frozen=True, kw_only=True)
class ClientError(RequestFault):
    point = Point.BEFORE_JUDGING
    sentence = "GeNiE blames us: a wrong URL (404, 405, 410), key (401, 403), media type (415), whole batch (422), .."
    status: ClientStatus
    signed: bool = True

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        return refusing(self.status, signed=self.signed)


@dataclass(frozen=True, kw_only=True)
class SignatureExpired(RequestFault):
    point = Point.BEFORE_JUDGING
    sentence = "GeNiE finds our signature expired, as after a slow network"

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        return Answer.refusing(Refusal(Rule.SIGNATURE_EXPIRED, "expires has passed; nothing was taken"))


@dataclass(frozen=True, kw_only=True)
class Redirect(RequestFault):
    point = Point.BEFORE_READING
    sentence = "the request is sent elsewhere: `to` another URL, or round in a circle"
    status: RedirectStatus = RedirectStatus.TEMPORARY_REDIRECT
    to: str = ""
    signed: bool = False

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        return refusing(self.status, {"Location": self.to or wire.head.url}, signed=self.signed)


def refusing(status: int, headers: Mapping[str, str] | None = None, *, signed: bool) -> Answer:
    """A refusal by GeNiE itself, or by somebody on the way."""
    phrase = HTTPStatus(status).phrase
    if not signed:
        page = f"<html><head><title>{status} {phrase}</title></head><body><h1>{status} {phrase}</h1></body></html>\n"
        return Answer(status, page.encode(), "text/html", headers or {}, signed=False)
    if status in _RULES:
        return Answer.refusing(Refusal(_RULES[status], "a fault of the sandbox"), headers)
    problem = {"type": "about:blank", "title": phrase, "status": status, "detail": "a fault of the sandbox"}
    return Answer(status, orjson.dumps(problem), PROBLEM, headers or {})
