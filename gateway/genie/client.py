"""Sends batches to GeNiE and asks what became of them; every attempt ends in one answer within its bound.

Knows the paths and headers of the contract. Must not know what an answer means (core/outcome.py), when to try
again (the lane), or how many may be in flight (limiter.py). Each attempt is signed anew and is made once.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx

from gateway.core.facts import OutgoingEntry
from gateway.core.outcome import Answer, LookupReply, Loss, Lost, NotSent, Unsent
from gateway.genie.contract import MAX_LOOKUP_KEYS, RequestWriter, read_lookup, read_reply
from gateway.genie.keys import AnswerKey, SigningKey
from gateway.genie.signing import METHOD, SignedRequest, sign_request, verified_key_id
from gateway.genie.transport import TlsRefused

BATCH_PATH = "/v1/provision-batches"
LOOKUP_PATH = "/v1/provision-lookups"
MAX_ANSWER_BYTES = 1024 * 1024
LOOKUP_TIMEOUT_MS = 5_000
_NONCE_BYTES = 18

# What an exception says; the first row that fits. Whatever GeNiE makes a library raise, the lane needs an answer,
# and "it may have arrived" is always safe.
_FAILURES: tuple[tuple[type[Exception], NotSent | Lost], ...] = (
    (TlsRefused, NotSent(Unsent.TLS_FAILED)),
    (httpx.ConnectError, NotSent(Unsent.REFUSED)),
    (httpx.ConnectTimeout, NotSent(Unsent.REFUSED)),
    (TimeoutError, Lost(Loss.TIMEOUT)),
    (Exception, Lost(Loss.BROKEN)),
)


def wall_ms() -> int:
    """Now, in ms since epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class _Whole:
    """A whole HTTP answer, not yet believed: `key_id` is None unless GeNiE's signature holds."""

    status: int
    headers: httpx.Headers
    content: bytes
    key_id: str | None


class GenieClient:
    """One partner, one pool of connections. start() before the first request, close() after the last."""

    def __init__(
        self,
        *,
        base_url: str,
        transport: Callable[[], httpx.AsyncBaseTransport],
        writer: RequestWriter,
        signing_key: SigningKey,
        answer_keys: Mapping[str, AnswerKey],
        skew_ms: int,
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:
        base = httpx.URL(base_url)
        self._batches, self._lookups = base.join(BATCH_PATH), base.join(LOOKUP_PATH)
        self._make_transport = transport
        self._transport: httpx.AsyncBaseTransport | None = None
        self._writer = writer
        self._signing_key = signing_key
        self._answer_keys = answer_keys
        self._skew_ms = skew_ms
        self._now_ms = now_ms

    async def start(self) -> None:
        """Make ready to connect; the first request opens the first connection."""
        self._transport = self._make_transport()

    async def close(self) -> None:
        """Close all connections; requests still in flight are lost."""
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    def use_keys(self, signing_key: SigningKey, answer_keys: Mapping[str, AnswerKey]) -> None:
        """Take other keys from the next request on; an answer is checked by the keys that are live when it comes."""
        self._signing_key, self._answer_keys = signing_key, answer_keys

    async def send(self, entries: Sequence[OutgoingEntry], expires_at: int) -> Answer:
        """Make one attempt; whatever happens is an Answer, by `expires_at` (ms) at the latest."""
        content = self._writer.batch(entries)
        whole = await self._exchange(self._batches, content, expires_at)
        if not isinstance(whole, _Whole):
            return whole
        return read_reply(
            whole.status,
            whole.headers.get("content-type", ""),
            whole.headers.get("retry-after"),
            whole.content,
            key_id=whole.key_id,
            now_ms=self._now_ms(),
        )

    async def look_up(self, keys: Sequence[str]) -> LookupReply | None:
        """Ask about the first MAX_LOOKUP_KEYS of `keys`; None unless a verified answer came."""
        answer = await self.try_look_up(keys)
        return answer if isinstance(answer, LookupReply) else None

    async def try_look_up(self, keys: Sequence[str]) -> LookupReply | Answer:
        """The same for whoever wants to know what came instead."""
        asked = keys[:MAX_LOOKUP_KEYS]
        content = self._writer.lookup(asked)
        whole = await self._exchange(self._lookups, content, self._now_ms() + LOOKUP_TIMEOUT_MS)
        if not isinstance(whole, _Whole):
            return whole
        if whole.key_id is not None and whole.status == 200:
            reply = read_lookup(whole.content, frozenset(asked), key_id=whole.key_id)
            if reply is not None:
                return reply
        media_type = whole.headers.get("content-type", "")
        return read_reply(whole.status, media_type, None, whole.content, key_id=whole.key_id, now_ms=self._now_ms())

    async def _exchange(self, url: httpx.URL, content: bytes, expires_at: int) -> _Whole | NotSent | Lost:
        now = self._now_ms()
        created, expires = now // 1000, expires_at // 1000
        if self._transport is None:
            return NotSent(Unsent.CLOSED)
        if expires <= created:
            return NotSent(Unsent.EXPIRED)
        signed = sign_request(
            self._signing_key,
            str(url),
            content,
            created=created,
            expires=expires,
            nonce=secrets.token_urlsafe(_NONCE_BYTES),
        )
        request = httpx.Request(METHOD, url, headers={**signed.headers, "accept-encoding": "identity"}, content=content)
        try:
            async with asyncio.timeout((expires_at - now) / 1000):
                return await self._receive(self._transport, request, signed)
        except Exception as error:
            return next(answer for kind, answer in _FAILURES if isinstance(error, kind))

    async def _receive(
        self, transport: httpx.AsyncBaseTransport, request: httpx.Request, signed: SignedRequest
    ) -> _Whole | Lost:
        response = await transport.handle_async_request(request)
        try:
            if response.headers.get("content-encoding", "identity") != "identity":
                return Lost(Loss.ENCODED)
            chunks, size = [], 0
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size > MAX_ANSWER_BYTES:
                    return Lost(Loss.TOO_LARGE)
                chunks.append(chunk)
        finally:
            await response.aclose()
        content = b"".join(chunks)
        key_id = verified_key_id(
            self._answer_keys,
            signed,
            response.status_code,
            response.headers,
            content,
            now_ms=self._now_ms(),
            skew_ms=self._skew_ms,
        )
        return _Whole(response.status_code, response.headers, content, key_id)
