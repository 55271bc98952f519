"""What of a request can be known before its content: method, target and the headers that the contract names.

Knows HTTP; must not know which values are right.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

_HEADERS = (
    "content-type",
    "content-encoding",
    "content-digest",
    "idempotency-key",
    "signature-input",
    "signature",
)


@dataclass(frozen=True, slots=True)
class Head:
    """Repeated headers are joined (RFC 9110), so that a second line can never hide behind the first."""

    method: str
    url: str  # @target-uri
    path: str  # as on the wire, a query included
    headers: Mapping[str, str]

    @classmethod
    def of(cls, request: web.BaseRequest) -> "Head":
        found = ((name, request.headers.getall(name, None)) for name in _HEADERS)
        return cls(
            method=request.method,
            url=f"https://{request.host}{request.raw_path}",
            path=request.raw_path,
            headers={name: ", ".join(lines) for name, lines in found if lines},
        )
