"""Sends batches to GeNiE and asks what became of them; every attempt ends in one answer within its bound.

Knows the paths and headers of the contract. Must not know what an answer means (core/outcome.py), when to try
again (the lane), or how many may be in flight (limiter.py). Each attempt is signed anew and is made once.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx

from gateway.core.facts import OutgoingEntry
from gateway.core.outcome import Answer, LookupReply, Loss, Lost, NotSent, Unsent
from gateway.genie.contract import MAX_LOOKUP_KEYS, RequestWriter, read_lookup, read_reply
from gateway.genie.keys import AnswerKey, SigningKey
from gateway.genie.signing import METHOD, SignedAnswer, SignedRequest, sign_request, signed_answer
from gateway.genie.transport import TlsRefused

BATCH_PATH = "/v1/provision-batches"
LOOKUP_PATH = "/v1/provision-lookups"
MAX_ANSWER_BYTES = 1024 * 1024
LOOKUP_TIMEOUT_MS = 5_000
_NONCE_BYTES = 18
_SECOND_MS = 1000

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
class Credentials:
    """Who we are to GeNiE, and whose answers we believe: one set, taken and replaced as a whole."""

    tls: ssl.SSLContext
    signing_key: SigningKey
    answer_keys: Mapping[str, AnswerKey]


class _Link:
    """Connections made with one set of credentials. `with` it while a request is under way."""

    def __init__(self, credentials: Credentials, transport: httpx.AsyncBaseTransport) -> None:
        self.credentials = credentials
        self.transport = transport
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def __enter__(self) -> None:
        self._under_way += 1
        self._idle.clear()

    def __exit__(self, *_: object) -> None:
        self._under_way -= 1
        if not self._under_way:
            self._idle.set()

    async def retire(self) -> None:
        """Close once nothing is under way; each request has its own deadline."""
        try:
            await self._idle.wait()
        finally:
            await self.transport.aclose()


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
        transport: Callable[[ssl.SSLContext], httpx.AsyncBaseTransport],
        writer: RequestWriter,
        credentials: Credentials,
        skew_ms: int,
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:
        base = httpx.URL(base_url)
        self._batches, self._lookups = base.join(BATCH_PATH), base.join(LOOKUP_PATH)
        self._make_transport = transport
        self._writer = writer
        self._credentials = credentials
        self._link: _Link | None = None
        self._skew_ms = skew_ms
        self._now_ms = now_ms
        self.clock_difference_ms = 0
        """GeNiE's clock minus ours, as far as the last signed answer proves: it names whole seconds only."""

    async def start(self) -> None:
        """Make ready to connect; the first request opens the first connection."""
        self._link = self._linked()

    async def close(self) -> None:
        """Close all connections; requests still in flight are lost."""
        link, self._link = self._link, None
        if link is not None:
            await link.transport.aclose()

    async def use(self, credentials: Credentials) -> None:
        """Take another set from the next request on; what is under way ends with the old set, and is waited for."""
        self._credentials = credentials
        old = self._link
        if old is not None:
            self._link = self._linked()
            await old.retire()

    def _linked(self) -> _Link:
        return _Link(self._credentials, self._make_transport(self._credentials.tls))

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
        now, link = self._now_ms(), self._link
        created, expires = now // 1000, expires_at // 1000
        if link is None:
            return NotSent(Unsent.CLOSED)
        if expires <= created:
            return NotSent(Unsent.EXPIRED)
        signed = sign_request(
            link.credentials.signing_key,
            str(url),
            content,
            created=created,
            expires=expires,
            nonce=secrets.token_urlsafe(_NONCE_BYTES),
        )
        request = httpx.Request(METHOD, url, headers={**signed.headers, "accept-encoding": "identity"}, content=content)
        try:
            with link:
                async with asyncio.timeout((expires_at - now) / 1000):
                    return await self._receive(link, request, signed, now)
        except Exception as error:
            return next(answer for kind, answer in _FAILURES if isinstance(error, kind))

    async def _receive(self, link: _Link, request: httpx.Request, signed: SignedRequest, sent_at: int) -> _Whole | Lost:
        response = await link.transport.handle_async_request(request)
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
        content, now = b"".join(chunks), self._now_ms()
        answer = signed_answer(
            link.credentials.answer_keys,
            signed,
            response.status_code,
            response.headers,
            content,
            now_ms=now,
            skew_ms=self._skew_ms,
        )
        if answer is not None:
            self._compare_clocks(answer, sent_at, now)
            if not answer.fresh:
                return Lost(Loss.CLOCK)
        return _Whole(response.status_code, response.headers, content, answer.key_id if answer is not None else None)

    def _compare_clocks(self, answer: SignedAnswer, sent_at: int, now: int) -> None:
        """It was signed between sending and now, within the second that it names."""
        least, most = answer.created_ms - now, answer.created_ms + _SECOND_MS - sent_at
        self.clock_difference_ms = least if least > 0 else min(most, 0)
