"""The signature profile of the contract, from GeNiE's side: request signatures checked, answers signed.

Knows RFC 9421, the agreed keys and the nonces already used. Must not know content. Structured fields are read and
written by a library; the one form that is agreed is filled by hand, since a library for all forms takes six times as
long. The tests hold both directions against such a library.
"""

import base64
import hashlib
import heapq
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import http_sf
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from gateway.sandbox.genie.head import Head
from gateway.sandbox.genie.problems import Refusal, Rule

MAX_AHEAD_S = 5  # how far `created` may lie in our future
MAX_LIFETIME_S = 300
MAX_NONCES = 1_000_000  # kept until they expire: 3,000 requests a second of the longest lifetime

_LABEL = "norel"
_TAG = "norel-provision-v1"
_COMPONENTS = ["@method", "@target-uri", "content-type", "content-digest", "idempotency-key"]
_PARAMETERS = {"created", "expires", "nonce", "keyid", "alg", "tag"}
_SIGNATURE = re.compile(r"norel=:([A-Za-z0-9+/]{86}==):")
_TARGET = re.compile(r"[!-~]+")
_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")

Clock = Callable[[], int]  # ms since 1970
Check = Callable[[bytes, bytes], None]  # of a signature over a message; raises InvalidSignature


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature says of itself."""

    created: int  # seconds
    expires: int
    key_id: str
    nonce: str


@dataclass(frozen=True, slots=True)
class _AgreedKey:
    """A live key: what it is for, and whether it signed a message."""

    algorithm: str
    check: Check


class Nonces:
    """Nonces already used, each until its signature has expired; after that its age refuses the request."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._by_expiry: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._used)

    def use(self, nonce: str, expires: int, now_ms: int) -> None:
        """Refuse a nonce that was used before."""
        while self._by_expiry and self._by_expiry[0][0] * 1000 < now_ms:
            self._used.discard(heapq.heappop(self._by_expiry)[1])
        if nonce in self._used:
            raise Refusal(Rule.NONCE_REUSED, "every attempt carries a fresh nonce")
        if len(self._used) >= MAX_NONCES:
            raise Refusal(Rule.UNAVAILABLE, f"{MAX_NONCES} nonces are waiting to expire")
        self._used.add(nonce)
        heapq.heappush(self._by_expiry, (expires, nonce))


class RequestVerifier:
    """Checks a request's signature rule by rule, so that a refusal can name the one that was broken."""

    def __init__(self, keys: Mapping[str, Path], clock: Clock) -> None:
        """`keys` as in `agree`."""
        self.agree(keys)
        self._clock = clock
        self.nonces = Nonces()

    def agree(self, keys: Mapping[str, Path]) -> None:
        """From now on these keys are live: the public half (PEM) of each, by key id."""
        self._keys = {key_id: _agreed_key(path) for key_id, path in keys.items()}

    def verify(self, head: Head) -> Signed:
        """Refuse a request not signed as agreed; its nonce counts as used once the signature holds."""
        signature = _signature(head)
        signed, key, message = self._agreed(head)
        now_ms = self._clock()
        if signed.created > now_ms / 1000 + MAX_AHEAD_S:
            raise Refusal(Rule.SIGNATURE_FROM_FUTURE, f"created is over {MAX_AHEAD_S} s ahead of our clock")
        if not 0 < signed.expires - signed.created <= MAX_LIFETIME_S:
            raise Refusal(Rule.SIGNATURE_LIFETIME, f"expires is 1 to {MAX_LIFETIME_S} s after created")
        refuse_expired(signed.expires, now_ms)
        try:
            key.check(signature, message)
        except InvalidSignature:
            raise Refusal(Rule.SIGNATURE_INVALID, "not by this key over these components") from None
        self.nonces.use(signed.nonce, signed.expires, now_ms)
        return signed

    def _agreed(self, head: Head) -> tuple[Signed, _AgreedKey, bytes]:
        """What the signature claims, by which key, and of which message, if it has the agreed form."""
        components, parameters = _read(head.headers["signature-input"])
        if components != [(name, {}) for name in _COMPONENTS]:
            raise Refusal(Rule.SIGNATURE_COMPONENTS, f"it must cover {' '.join(_COMPONENTS)}, in this order")
        signed = _signed(parameters)
        key = self._keys.get(signed.key_id)
        if key is None:
            raise Refusal(Rule.KEY_UNKNOWN, "keyid names no key that was agreed")
        if parameters["alg"] != key.algorithm:
            raise Refusal(Rule.SIGNATURE_ALGORITHM, f"this key is for {key.algorithm}")
        return signed, key, _message(head, http_sf.ser([(components, parameters)]))


@dataclass(frozen=True, slots=True)
class AnswerSigner:
    """Signs answers with GeNiE's key. By hand: the library takes five times as long to fill a fixed form."""

    key: ed25519.Ed25519PrivateKey
    key_id: str
    clock: Clock

    @classmethod
    def load(cls, path: Path, key_id: str, clock: Clock) -> "AnswerSigner":
        """With the private key (PEM) at `path`."""
        key = load_pem_private_key(path.read_bytes(), None)
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise ValueError(f"{path} holds no Ed25519 key")
        return cls(key, key_id, clock)

    def headers(self, head: Head, status: int, media_type: str, content: bytes) -> dict[str, str]:
        """The digest and signature headers of an answer to the request with this head."""
        digest = f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"
        covered = {'"@status"': str(status), '"content-type"': media_type, '"content-digest"': digest}
        if "signature" in head.headers:
            covered['"signature";req'] = head.headers["signature"]
        covered |= {'"@method";req': head.method, '"@target-uri";req': head.url}
        if "content-digest" in head.headers:
            covered['"content-digest";req'] = head.headers["content-digest"]
        parameters = (
            f"({' '.join(covered)});created={self.clock() // 1000}"
            f';keyid="{self.key_id}";alg="ed25519";tag="genie-answer-v1"'
        )
        base = "\n".join(f"{name}: {value}" for name, value in covered.items())
        base += f'\n"@signature-params": {parameters}'
        signature = base64.b64encode(self.key.sign(base.encode("utf-8", "surrogateescape"))).decode()
        return {
            "Content-Digest": digest,
            "Signature-Input": f"genie={parameters}",
            "Signature": f"genie=:{signature}:",
        }


def refuse_expired(expires: int, now_ms: int) -> None:
    """Asked twice: on arrival, and at the moment of acceptance, which is the one that counts."""
    if now_ms > expires * 1000:
        raise Refusal(Rule.SIGNATURE_EXPIRED, "expires has passed; nothing was taken")


def _agreed_key(path: Path) -> _AgreedKey:
    key = load_pem_public_key(path.read_bytes())
    if isinstance(key, ed25519.Ed25519PublicKey):
        return _AgreedKey("ed25519", key.verify)
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return _AgreedKey("ecdsa-p256-sha256", partial(_check_p256, key))
    raise ValueError(f"{path} holds neither an Ed25519 nor a P-256 key")


def _check_p256(key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> None:
    r, s = (int.from_bytes(half) for half in (signature[:32], signature[32:]))
    key.verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))


def _signature(head: Head) -> bytes:
    if "signature-input" not in head.headers or "signature" not in head.headers:
        raise Refusal(Rule.SIGNATURE_MISSING, "Signature-Input and Signature are required")
    found = _SIGNATURE.fullmatch(head.headers["signature"])
    if found is None:
        raise Refusal(Rule.SIGNATURE_MALFORMED, f"Signature must be one member {_LABEL} of 64 bytes")
    return base64.b64decode(found[1])


def _message(head: Head, parameters: str) -> bytes:
    """What is signed (RFC 9421, 2.5)."""
    values = {"@method": head.method, "@target-uri": head.url, **head.headers}
    if not _TARGET.fullmatch(head.url):
        raise Refusal(Rule.SIGNATURE_INVALID, "not by this key over these components")
    lines = [f'"{name}": {values[name]}' for name in _COMPONENTS]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode("ascii")


def _read(signature_input: str) -> tuple[list[Any], dict[str, Any]]:
    try:
        members: Any = http_sf.parse(
            signature_input.encode("ascii"), tltype="dictionary", on_duplicate_key=_refuse_duplicate
        )
        components, parameters = members[_LABEL]
        if len(members) == 1 and isinstance(components, list):
            return components, parameters
    except (ValueError, KeyError):  # the parser's own error is a ValueError
        pass
    raise Refusal(Rule.SIGNATURE_MALFORMED, f"Signature-Input must be one inner list labelled {_LABEL}")


def _refuse_duplicate(_key: str, _context: str) -> None:
    raise ValueError("a name comes twice")  # RFC 8941 takes the last: another reader may take the first


def _signed(parameters: Mapping[str, object]) -> Signed:
    def refuse(detail: str) -> Refusal:
        return Refusal(Rule.SIGNATURE_PARAMETERS, detail)

    if set(parameters) != _PARAMETERS:
        raise refuse(f"exactly {', '.join(sorted(_PARAMETERS))} are required")
    created, expires = parameters["created"], parameters["expires"]
    key_id, nonce = parameters["keyid"], parameters["nonce"]
    if type(created) is not int or type(expires) is not int:
        raise refuse("created and expires are integers")
    if type(key_id) is not str or type(parameters["alg"]) is not str:
        raise refuse("keyid and alg are strings")
    if parameters["tag"] != _TAG:
        raise refuse(f"tag must be {_TAG}")
    if type(nonce) is not str or not _NONCE.fullmatch(nonce):
        raise refuse("nonce must be 16 to 64 of A-Z a-z 0-9 - _")
    return Signed(created, expires, key_id, nonce)
