"""The rules a request can break, each with its status and its sentence for people (RFC 9457).

Knows the closed lists of the OpenAPI; must not know how a rule is checked. No detail may repeat data of a
request.
"""

from enum import Enum
from typing import Any

import orjson

_URN = "urn:genie:problem:"


class Rule(Enum):
    """What refuses a whole request."""

    MALFORMED_JSON = ("malformed-json", 400, "The content is not JSON")
    DUPLICATE_MEMBER = ("duplicate-member", 400, "A JSON object names a member twice")
    CONTENT_DIGEST_MISSING = ("content-digest-missing", 400, "The header Content-Digest is missing")
    CONTENT_DIGEST_MISMATCH = ("content-digest-mismatch", 400, "Content-Digest is not that of the content")
    IDEMPOTENCY_KEY_MISSING = ("idempotency-key-missing", 400, "The header Idempotency-Key is missing")
    IDEMPOTENCY_KEY_MISMATCH = (
        "idempotency-key-mismatch",
        400,
        "The header Idempotency-Key does not repeat the content digest",
    )
    SIGNATURE_MISSING = ("signature-missing", 401, "The request is not signed")
    SIGNATURE_MALFORMED = ("signature-malformed", 401, "The signature headers cannot be read")
    SIGNATURE_COMPONENTS = ("signature-components", 401, "The signature does not cover what it must")
    SIGNATURE_PARAMETERS = ("signature-parameters", 401, "The signature's parameters are not those agreed")
    SIGNATURE_ALGORITHM = ("signature-algorithm", 401, "The algorithm is not that of the key")
    SIGNATURE_INVALID = ("signature-invalid", 401, "The signature does not verify")
    SIGNATURE_EXPIRED = ("signature-expired", 401, "The signature has expired")
    SIGNATURE_FROM_FUTURE = ("signature-from-future", 401, "The signature was created in the future")
    SIGNATURE_LIFETIME = ("signature-lifetime", 401, "The signature lives too long, or not at all")
    NONCE_REUSED = ("nonce-reused", 401, "The nonce was used before")
    KEY_UNKNOWN = ("key-unknown", 403, "The key is not known here")
    RECIPIENT_WRONG = ("recipient-wrong", 403, "The recipient is not GeNiE")
    NOT_FOUND = ("not-found", 404, "There is no such path")
    METHOD_NOT_ALLOWED = ("method-not-allowed", 405, "Only POST is allowed")
    CONTENT_TOO_LARGE = ("content-too-large", 413, "The content is too large")
    CONTENT_TYPE_UNSUPPORTED = ("content-type-unsupported", 415, "The content is not application/json")
    CONTENT_CODING_UNSUPPORTED = ("content-coding-unsupported", 415, "Content codings are not accepted")
    SCHEMA_VIOLATED = ("schema-violated", 422, "The content does not fit the schema")
    BODY_NOT_CANONICAL = ("body-not-canonical", 422, "A body is not in canonical form")
    PURPOSES_NOT_SORTED = ("purposes-not-sorted", 422, "Permitted purposes are not sorted")
    TOO_MANY_REQUESTS = ("too-many-requests", 429, "Too many requests")
    INTERNAL_ERROR = ("internal-error", 500, "GeNiE failed")
    UNAVAILABLE = ("unavailable", 503, "GeNiE is not available")

    def __init__(self, slug: str, status: int, title: str) -> None:
        self.slug = slug
        self.status = status
        self.title = title

    def content(self, detail: str) -> bytes:
        """The problem as it is sent."""
        return orjson.dumps(_problem(self.slug, self.status, self.title) | {"detail": detail})


class EntryRule(Enum):
    """What rejects one entry of a request that is otherwise taken."""

    IDEMPOTENCY_KEY_REUSED = ("idempotency-key-reused", "The key was first used with another body")
    ENTRY_REFUSED = ("entry-refused", "GeNiE's own rules refuse the entry")

    def __init__(self, slug: str, title: str) -> None:
        self.slug = slug
        self.title = title

    def document(self) -> dict[str, Any]:
        """The problem as it stands in an entry's result."""
        return _problem(self.slug, 422, self.title)


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not an error of this program
    """A request that broke a rule; `detail` says what to look at and never repeats data of the request."""

    def __init__(self, rule: Rule, detail: str) -> None:
        super().__init__(f"{rule.slug}: {detail}")
        self.rule = rule
        self.detail = detail


def _problem(slug: str, status: int, title: str) -> dict[str, Any]:
    return {"type": _URN + slug, "title": title, "status": status}
