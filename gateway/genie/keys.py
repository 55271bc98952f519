"""Signing and verifying keys, read from PEM files.

Knows the two algorithms and their file formats. Must not know what is signed. Errors name the file and what
to do, never what is in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey as SodiumSigningKey
from nacl.signing import VerifyKey as SodiumVerifyKey

ED25519 = "ed25519"
P256 = "ecdsa-p256-sha256"
SIGNATURE_BYTES = 64  # of both algorithms

_P256_HALF = 32
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)  # the last for a curve that OpenSSL does not know
_MAX_KEY_FILE_BYTES = 64 * 1024
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")  # needs no escaping inside a structured-field string


class KeyFileError(ValueError):
    """A key cannot be used; the message names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with the name GeNiE knows it by; `sign` gives 64 bytes."""

    id: str
    algorithm: str
    sign: Callable[[bytes], bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """A public key of GeNiE's; `verify(message, signature)` says whether it signed the message."""

    id: str
    algorithm: str
    verify: Callable[[bytes, bytes], bool] = field(repr=False)


def load_signing_key(path: Path, key_id: str) -> SigningKey:
    """Read our private key (PKCS8 or SEC1 PEM, unencrypted, Ed25519 or P-256)."""
    remedy = "expected an unencrypted PEM private key, Ed25519 or P-256"
    content = _read(path, key_id)
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except _UNREADABLE:
        raise KeyFileError(f"signing key {path}: not readable as a private key; {remedy}") from None
    if isinstance(key, ed25519.Ed25519PrivateKey):
        seed = key.private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        )
        return SigningKey(key_id, ED25519, _ed25519_signer(seed))
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return SigningKey(key_id, P256, _p256_signer(key))
    raise KeyFileError(f"signing key {path}: a key of another kind; {remedy}")


def load_answer_keys(paths: Mapping[str, Path]) -> dict[str, AnswerKey]:
    """Read GeNiE's public keys by key id; two may be live while GeNiE changes its key."""
    if not paths:
        raise KeyFileError("no key of GeNiE's is configured: no answer could be believed; name one or two")
    return {key_id: load_answer_key(path, key_id) for key_id, path in paths.items()}


def load_answer_key(path: Path, key_id: str) -> AnswerKey:
    """Read one public key (SPKI PEM, Ed25519 or P-256)."""
    remedy = "expected a PEM public key, Ed25519 or P-256"
    content = _read(path, key_id)
    try:
        key = serialization.load_pem_public_key(content)
    except _UNREADABLE:
        raise KeyFileError(f"GeNiE's key {path}: not readable as a public key; {remedy}") from None
    if isinstance(key, ed25519.Ed25519PublicKey):
        raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return AnswerKey(key_id, ED25519, _ed25519_verifier(raw))
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return AnswerKey(key_id, P256, _p256_verifier(key))
    raise KeyFileError(f"GeNiE's key {path}: a key of another kind; {remedy}")


def _read(path: Path, key_id: str) -> bytes:
    if not _KEY_ID.fullmatch(key_id):
        raise KeyFileError(f"key id of {path}: use 1 to 64 letters, digits, '.', '_' or '-'")
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_KEY_FILE_BYTES + 1)
    except OSError as error:
        raise KeyFileError(f"key file {path}: {error.strerror}; check the path and its permissions") from None
    if len(content) > _MAX_KEY_FILE_BYTES:
        raise KeyFileError(f"key file {path}: larger than {_MAX_KEY_FILE_BYTES} bytes; this is no key file")
    return content


def _ed25519_signer(seed: bytes) -> Callable[[bytes], bytes]:
    # PyNaCl signs in 17 us where cryptography needs 30.
    key = SodiumSigningKey(seed)

    def sign(message: bytes) -> bytes:
        return key.sign(message).signature

    return sign


def _ed25519_verifier(raw: bytes) -> Callable[[bytes, bytes], bool]:
    key = SodiumVerifyKey(raw)

    def verify(message: bytes, signature: bytes) -> bool:
        try:
            key.verify(message, signature)
        except (BadSignatureError, ValueError):
            return False
        return True

    return verify


def _p256_signer(key: ec.EllipticCurvePrivateKey) -> Callable[[bytes], bytes]:
    algorithm = ec.ECDSA(hashes.SHA256())

    def sign(message: bytes) -> bytes:
        # RFC 9421 wants r and s of 32 bytes each, not DER.
        r, s = decode_dss_signature(key.sign(message, algorithm))
        return r.to_bytes(_P256_HALF, "big") + s.to_bytes(_P256_HALF, "big")

    return sign


def _p256_verifier(key: ec.EllipticCurvePublicKey) -> Callable[[bytes, bytes], bool]:
    algorithm = ec.ECDSA(hashes.SHA256())

    def verify(message: bytes, signature: bytes) -> bool:
        if len(signature) != SIGNATURE_BYTES:
            return False
        r = int.from_bytes(signature[:_P256_HALF], "big")
        s = int.from_bytes(signature[_P256_HALF:], "big")
        try:
            key.verify(encode_dss_signature(r, s), message, algorithm)
        except InvalidSignature:
            return False
        return True

    return verify
