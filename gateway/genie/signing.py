"""The two signature profiles of the contract (RFC 9421, RFC 9530): ours for requests, GeNiE's for answers.

Knows exactly these two profiles, so that a signature base is a few joins instead of a parse. Must not know
what the content says, or where keys come from. An answer is verified if nothing in it deviates: no second
signature, no other component, order or parameter.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from gateway.genie.keys import AnswerKey, SigningKey

METHOD = "POST"
REQUEST_MEDIA_TYPE = "application/json"

_REQUEST_COMPONENTS = '("@method" "@target-uri" "content-type" "content-digest" "idempotency-key")'
_REQUEST_TAG = "norel-provision-v1"
_ANSWER_COMPONENTS = (
    '("@status" "content-type" "content-digest" "signature";req "@method";req "@target-uri";req "content-digest";req)'
)
_ANSWER_TAG = "genie-answer-v1"
_ANSWER_PARAMETER_COUNT = 4  # each exactly once
_SECOND_MS = 1000  # what `created` leaves out
_ANSWER_PARAMETER = r';(?:(created)=([0-9]{1,12})|(keyid|alg|tag)="([!#-\[\]-~]{1,64})")'
_ANSWER_PARAMETERS = re.compile(_ANSWER_PARAMETER)
_ANSWER_INPUT = re.compile(
    f"genie=(?P<signed>{re.escape(_ANSWER_COMPONENTS)}(?P<parameters>(?:{_ANSWER_PARAMETER}){{{_ANSWER_PARAMETER_COUNT}}}))"
)
_ANSWER_SIGNATURE = re.compile(r"genie=:([A-Za-z0-9+/]{86}==):")


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What of a request its answer must be bound to, and the headers that carry it."""

    target_uri: str
    created: int
    content_digest: str
    signature: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class SignedAnswer:
    """An answer that GeNiE's key surely signed, to this request; it is verified only if it is `fresh` too."""

    key_id: str
    created_ms: int  # by GeNiE's clock, in whole seconds
    fresh: bool


def content_digest(content: bytes) -> str:
    """The Content-Digest header of these bytes."""
    return f"sha-256=:{b64encode(sha256(content).digest()).decode('ascii')}:"


def sign_request(
    key: SigningKey, target_uri: str, content: bytes, *, created: int, expires: int, nonce: str
) -> SignedRequest:
    """Sign a POST of `content` to `target_uri`; times in whole seconds."""
    digest = sha256(content).digest()
    digest_header = f"sha-256=:{b64encode(digest).decode('ascii')}:"
    idempotency_key = f'"{urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")}"'
    parameters = (
        f"{_REQUEST_COMPONENTS};created={created};expires={expires};"
        f'nonce="{nonce}";keyid="{key.id}";alg="{key.algorithm}";tag="{_REQUEST_TAG}"'
    )
    base = (
        f'"@method": {METHOD}\n"@target-uri": {target_uri}\n"content-type": {REQUEST_MEDIA_TYPE}\n'
        f'"content-digest": {digest_header}\n"idempotency-key": {idempotency_key}\n'
        f'"@signature-params": {parameters}'
    )
    signature = f"norel=:{b64encode(key.sign(base.encode('ascii'))).decode('ascii')}:"
    headers = {
        "content-type": REQUEST_MEDIA_TYPE,
        "content-digest": digest_header,
        "idempotency-key": idempotency_key,
        "signature-input": f"norel={parameters}",
        "signature": signature,
    }
    return SignedRequest(target_uri, created, digest_header, signature, headers)


def signed_answer(
    keys: Mapping[str, AnswerKey],
    request: SignedRequest,
    status: int,
    headers: Mapping[str, str],
    content: bytes,
    *,
    now_ms: int,
    skew_ms: int,
) -> SignedAnswer | None:
    """Who signed this answer to this request, and when; None if that is not proven.

    `headers` maps lower-case names to values, several fields of one name joined by ", ".
    """
    if headers.get("content-digest") != content_digest(content):
        return None
    described = _ANSWER_INPUT.fullmatch(headers.get("signature-input", ""))
    signature = _ANSWER_SIGNATURE.fullmatch(headers.get("signature", ""))
    if described is None or signature is None:
        return None
    claimed = _claimed(keys, described["parameters"])
    if claimed is None:
        return None
    key, created_ms = claimed
    base = (
        f'"@status": {status}\n"content-type": {headers.get("content-type", "")}\n'
        f'"content-digest": {headers["content-digest"]}\n"signature";req: {request.signature}\n'
        f'"@method";req: {METHOD}\n"@target-uri";req: {request.target_uri}\n'
        f'"content-digest";req: {request.content_digest}\n"@signature-params": {described["signed"]}'
    )
    if not key.verify(base.encode("utf-8", "replace"), b64decode(signature[1])):
        return None
    # The covered signature of the request binds the answer to this attempt; the time is a second wall.
    fresh = request.created * 1000 - skew_ms - _SECOND_MS < created_ms <= now_ms + skew_ms
    return SignedAnswer(key.id, created_ms, fresh)


def _claimed(keys: Mapping[str, AnswerKey], text: str) -> tuple[AnswerKey, int] | None:
    """The accepted key that the parameters name, and their time, if they are the four of the profile."""
    found = {
        number_name or word_name: number or word
        for number_name, number, word_name, word in _ANSWER_PARAMETERS.findall(text)
    }
    if len(found) != _ANSWER_PARAMETER_COUNT:
        return None
    key = keys.get(found["keyid"])
    if key is None or found["alg"] != key.algorithm or found["tag"] != _ANSWER_TAG:
        return None
    return key, int(found["created"]) * 1000
