"""Sends entries to GeNiE and asks what became of them; every attempt ends in one answer within its bound.

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

from gateway.core.facts import OutgoingEntry
from gateway.core.outcome import Answer, LookupReply, Loss, Lost, NotSent, Unsent
from gateway.genie.contract import MAX_LOOKUP_KEYS, RequestWriter, read_lookup, read_reply
from gateway.genie.keys import AnswerKey, SigningKey
from gateway.genie.signing import SignedAnswer, SignedRequest, sign_request, signed_answer
from gateway.genie.transport import HttpAnswer, NotConnectedError, Origin, TlsRefusedError, TooLargeError, Transport

BATCH_PATH = "/v1/provision-batches"
SINGLE_PATH = "/v1/provisions"  # a batch of one
LOOKUP_PATH = "/v1/provision-lookups"
LOOKUP_TIMEOUT_MS = 5_000
_NONCE_BYTES = 18
_UNCOMPRESSED = {"accept-encoding": "identity"}
_TRACEPARENT = "traceparent"  # W3C Trace Context; no signature covers it, and GeNiE may pass it over
_SECOND_MS = 1000

# What an exception says; the first row that fits. Whatever GeNiE makes a library raise, the lane needs an answer,
# and "it may have arrived" is always safe.
_FAILURES: tuple[tuple[type[Exception], NotSent | Lost], ...] = (
    (TlsRefusedError, NotSent(Unsent.TLS_FAILED)),
    (NotConnectedError, NotSent(Unsent.REFUSED)),
    (TooLargeError, Lost(Loss.TOO_LARGE)),
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

    def __init__(self, credentials: Credentials, transport: Transport) -> None:
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

    http: HttpAnswer
    key_id: str | None


class GenieClient:
    """One partner, one pool of connections. start() before the first request, close() after the last."""

    def __init__(
        self,
        *,
        base_url: str,
        transport: Callable[[ssl.SSLContext], Transport],
        writer: RequestWriter,
        credentials: Credentials,
        skew_ms: int,
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:
        self._origin = Origin.of(base_url)
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

    async def send(self, entries: Sequence[OutgoingEntry], expires_at: int, traceparent: str | None = None) -> Answer:
        """Make one attempt; whatever happens is an Answer, by `expires_at` (ms) at the latest."""
        path = SINGLE_PATH if len(entries) == 1 else BATCH_PATH
        whole = await self._exchange(path, self._writer.batch(entries), expires_at, traceparent)
        return self._read(whole) if isinstance(whole, _Whole) else whole

    async def look_up(self, keys: Sequence[str], traceparent: str | None = None) -> LookupReply | None:
        """Ask about the first MAX_LOOKUP_KEYS of `keys`; None unless a verified answer came."""
        answer = await self.try_look_up(keys, traceparent)
        return answer if isinstance(answer, LookupReply) else None

    async def try_look_up(self, keys: Sequence[str], traceparent: str | None = None) -> LookupReply | Answer:
        """The same for whoever wants to know what came instead."""
        asked = keys[:MAX_LOOKUP_KEYS]
        content, expires_at = self._writer.lookup(asked), self._now_ms() + LOOKUP_TIMEOUT_MS
        whole = await self._exchange(LOOKUP_PATH, content, expires_at, traceparent)
        if not isinstance(whole, _Whole):
            return whole
        if whole.key_id is not None and whole.http.status == 200:
            reply = read_lookup(whole.http.content, frozenset(asked), key_id=whole.key_id)
            if reply is not None:
                return reply
        return self._read(whole)

    def _read(self, whole: _Whole) -> Answer:
        http, headers = whole.http, whole.http.headers
        return read_reply(
            http.status,
            headers.get("content-type", ""),
            headers.get("retry-after"),
            http.content,
            key_id=whole.key_id,
            now_ms=self._now_ms(),
        )

    async def _exchange(
        self, path: str, content: bytes, expires_at: int, traceparent: str | None
    ) -> _Whole | NotSent | Lost:
        now, link = self._now_ms(), self._link
        created, expires = now // 1000, expires_at // 1000
        if link is None:
            return NotSent(Unsent.CLOSED)
        if expires <= created:
            return NotSent(Unsent.EXPIRED)
        request = sign_request(
            link.credentials.signing_key,
            self._origin.uri(path),
            content,
            created=created,
            expires=expires,
            nonce=secrets.token_urlsafe(_NONCE_BYTES),
        )
        plain = _UNCOMPRESSED if traceparent is None else {**_UNCOMPRESSED, _TRACEPARENT: traceparent}
        try:
            with link:
                async with asyncio.timeout((expires_at - now) / 1000):
                    http = await link.transport.post(path, {**request.headers, **plain}, content)
                return self._believed(link.credentials, request, http, now)
        except Exception as error:
            return next(answer for kind, answer in _FAILURES if isinstance(error, kind))

    def _believed(self, ours: Credentials, request: SignedRequest, http: HttpAnswer, sent_at: int) -> _Whole | Lost:
        if http.headers.get("content-encoding", "identity") != "identity":
            return Lost(Loss.ENCODED)
        now = self._now_ms()
        answer = signed_answer(
            ours.answer_keys, request, http.status, http.headers, http.content, now_ms=now, skew_ms=self._skew_ms
        )
        if answer is None:
            return _Whole(http, None)
        self._compare_clocks(answer, sent_at, now)
        return _Whole(http, answer.key_id) if answer.fresh else Lost(Loss.CLOCK)

    def _compare_clocks(self, answer: SignedAnswer, sent_at: int, now: int) -> None:
        """It was signed between sending and now, within the second that it names."""
        least, most = answer.created_ms - now, answer.created_ms + _SECOND_MS - sent_at
        self.clock_difference_ms = least if least > 0 else min(most, 0)
