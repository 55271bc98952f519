"""Makes the keys and certificates that a development GeNiE and a gateway need to talk to each other.

Knows file names and formats; must not know who reads them. Nothing here is fit for production: the
authority's own key is thrown away and the rest lies unencrypted in one directory.
"""

import base64
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

NOREL_ED25519_ID = "norel-2026-1"
NOREL_P256_ID = "norel-p256-1"
GENIE_ED25519_ID = "genie-2026-1"

_PRIVATE = 0o600
_PUBLIC = 0o644
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Pki:
    """Where each file is; a `.pub` beside each signing key holds its public half."""

    directory: Path

    @property
    def ca(self) -> Path:
        """The authority that both sides trust."""
        return self.directory / "ca.pem"

    @property
    def server(self) -> Path:
        """GeNiE's certificate and its key in one file."""
        return self.directory / "server.pem"

    @property
    def server_expired(self) -> Path:
        """A certificate of GeNiE's that has expired, for trouble on purpose."""
        return self.directory / "server-expired.pem"

    @property
    def server_elsewhere(self) -> Path:
        """A certificate for another host, for trouble on purpose."""
        return self.directory / "server-elsewhere.pem"

    @property
    def server_of_stranger(self) -> Path:
        """A certificate by another authority, for trouble on purpose."""
        return self.directory / "server-of-stranger.pem"

    @property
    def client(self) -> Path:
        """The gateway's certificate."""
        return self.directory / "client.pem"

    @property
    def client_key(self) -> Path:
        return self.directory / "client.key"

    @property
    def norel_ed25519(self) -> Path:
        """Signs requests by default."""
        return self.directory / "norel-ed25519.key"

    @property
    def norel_p256(self) -> Path:
        """Signs requests where a hardware module cannot do Ed25519."""
        return self.directory / "norel-p256.key"

    @property
    def genie_ed25519(self) -> Path:
        """Signs answers."""
        return self.directory / "genie-ed25519.key"

    @property
    def idempotency_key(self) -> Path:
        """The gateway's secret behind idempotency keys, origins and source digests."""
        return self.directory / "idempotency.key"

    @property
    def pseudonym_key(self) -> Path:
        """The gateway's secret behind subject and contract keys."""
        return self.directory / "pseudonym.key"


def make(directory: Path, host: str = "localhost", client_ends: datetime | None = None) -> Pki:
    """Make what is missing in `directory`; what is there stays as it is. `client_ends`: of the gateway's certificate,
    which else outlives every test.
    """
    directory.mkdir(parents=True, exist_ok=True)
    pki = Pki(directory)
    servers = (pki.server, pki.server_expired, pki.server_elsewhere, pki.server_of_stranger)
    if not all(path.exists() for path in (pki.ca, *servers, pki.client, pki.client_key)):
        _make_certificates(pki, host, client_ends)
    if not pki.norel_ed25519.exists():
        make_signing_key(pki.norel_ed25519, ed25519.Ed25519PrivateKey.generate())
    if not pki.norel_p256.exists():
        make_signing_key(pki.norel_p256, ec.generate_private_key(ec.SECP256R1()))
    if not pki.genie_ed25519.exists():
        make_signing_key(pki.genie_ed25519, ed25519.Ed25519PrivateKey.generate())
    for secret in (pki.idempotency_key, pki.pseudonym_key):
        if not secret.exists():
            _write(secret, base64.b64encode(os.urandom(_SECRET_BYTES)) + b"\n", _PRIVATE)
    return pki


def public_half(key: Path) -> Path:
    """The file with the public half of a signing key."""
    return key.with_suffix(".pub")


def _make_certificates(pki: Pki, host: str, client_ends: datetime | None) -> None:
    authority = trustme.CA()
    hosts = tuple(dict.fromkeys([host, "localhost", "127.0.0.1"]))
    yesterday = datetime.now(UTC) - timedelta(days=1)
    servers = {
        pki.server: authority.issue_cert(*hosts),
        pki.server_expired: authority.issue_cert(*hosts, not_after=yesterday),
        pki.server_elsewhere: authority.issue_cert("elsewhere.invalid"),
        pki.server_of_stranger: trustme.CA().issue_cert(*hosts),
    }
    client = authority.issue_cert("gateway.norel.invalid", not_after=client_ends)
    _write(pki.ca, authority.cert_pem.bytes(), _PUBLIC)
    for path, server in servers.items():
        _write(path, server.private_key_and_cert_chain_pem.bytes(), _PRIVATE)
    _write(pki.client, b"".join(part.bytes() for part in client.cert_chain_pems), _PUBLIC)
    _write(pki.client_key, client.private_key_pem.bytes(), _PRIVATE)


def make_signing_key(path: Path, key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> None:
    """Write a private key, and its public half beside it."""
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(public_half(path), public, _PUBLIC)
    _write(path, private, _PRIVATE)


def _write(path: Path, content: bytes, mode: int) -> None:
    """All of it or nothing: another process may be waiting for the file."""
    part = path.with_name(path.name + ".part")
    part.touch(mode)
    part.write_bytes(content)
    part.replace(path)
