"""Faults of an answer's signature: missing, wrong, or right for something else.

Knows what of a signature can be wrong; must not know how one is made (signatures.py).
"""

from dataclasses import dataclass, replace

from gateway.sandbox.genie.answer import Answer
from gateway.sandbox.genie.faults.fault import Point, RequestFault
from gateway.sandbox.genie.head import Head
from gateway.sandbox.genie.signatures import AnswerSigner


class SignatureFault(RequestFault):
    """Signs answers in GeNiE's place."""

    point = Point.SIGNING

    def sign(self, signer: AnswerSigner, head: Head, answer: Answer) -> dict[str, str]:
        """The digest and signature headers of the answer to the request with this head."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class UnsignedAnswer(SignatureFault):
    sentence = "the answer is right and not signed"

    def sign(self, signer: AnswerSigner, head: Head, answer: Answer) -> dict[str, str]:
        return {}


@dataclass(frozen=True, kw_only=True)
class BadSignature(SignatureFault):
    sentence = "the signature does not verify"

    def sign(self, signer: AnswerSigner, head: Head, answer: Answer) -> dict[str, str]:
        headers = signer.headers(head, answer.status, answer.media_type, answer.content)
        label, _, signature = headers["Signature"].partition("=")
        return headers | {"Signature": f"{label}=:{'B' if signature[1] == 'A' else 'A'}{signature[2:]}"}


@dataclass(frozen=True, kw_only=True)
class SwappedSignature(SignatureFault):
    sentence = "the signature answers another request"

    def sign(self, signer: AnswerSigner, head: Head, answer: Answer) -> dict[str, str]:
        other = replace(head, headers={**head.headers, "signature": f"norel=:{'A' * 86}==:"})
        return signer.headers(other, answer.status, answer.media_type, answer.content)


@dataclass(frozen=True, kw_only=True)
class UnknownKeyId(SignatureFault):
    sentence = "the signature is by a key id that was never agreed"

    def sign(self, signer: AnswerSigner, head: Head, answer: Answer) -> dict[str, str]:
        other = replace(signer, key_id="genie-unknown")
        return other.headers(head, answer.status, answer.media_type, answer.content)


@dataclass(frozen=True, kw_only=True)
class OldSignature(SignatureFault):
    sentence = "the signature was created long ago, or in the future"
    seconds: int = 3600
    ahead: bool = False

    def sign(self, signer: AnswerSigner, head: Head, answer: Answer) -> dict[str, str]:
        off = self.seconds if self.ahead else -self.seconds
        other = replace(signer, clock=lambda: signer.clock() + off * 1000)
        return other.headers(head, answer.status, answer.media_type, answer.content)


@dataclass(frozen=True, kw_only=True)
class WrongDigest(SignatureFault):
    sentence = "the signature is right, but Content-Digest is that of another content"

    def sign(self, signer: AnswerSigner, head: Head, answer: Answer) -> dict[str, str]:
        return signer.headers(head, answer.status, answer.media_type, answer.content + b" ")
