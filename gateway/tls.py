"""TLS contexts and certificates from PEM files, for every connection on which both sides prove who they are.

Knows PEM, whether key and certificate belong together, and until when. Must not know who is at the other end.
Errors name the file and what to do, never what is in it.
"""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path

from cryptography import x509


class TlsFileError(ValueError):
    """A certificate cannot be used; the message names the file and the remedy."""


def tls_context(ca: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """Trust `ca` and nothing else; prove who we are by `certificate` (PEM chain) and `key`."""
    context = trusting(ca)
    prove(context, certificate, key)
    return context


def trusting(ca: Path) -> ssl.SSLContext:
    """Trust the authorities in `ca` and nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies the certificate and the host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    trust(context, ca)
    return context


def trust(context: ssl.SSLContext, ca: Path) -> None:
    """Trust the authorities in `ca` too."""
    try:
        context.load_verify_locations(cafile=str(ca))
    except OSError:
        raise TlsFileError(f"authority {ca}: not readable as PEM certificates; check the path") from None


def prove(context: ssl.SSLContext, certificate: Path, key: Path, password: str = "") -> None:
    """Prove who we are by `certificate` (PEM chain) and `key`."""
    try:
        context.load_cert_chain(certificate, key, lambda: password)  # without one OpenSSL asks on the terminal
    except (OSError, ValueError):  # a password longer than OpenSSL takes is a ValueError
        raise TlsFileError(
            f"client certificate {certificate} with key {key}: not readable as PEM, the key needs another password, "
            "or they do not belong together"
        ) from None


def chain_ends(path: Path) -> datetime:
    """When the first certificate of a chain expires: from then on nobody accepts it."""
    return min(certificate.not_valid_after_utc for certificate in _certificates(path))


def authorities_end(path: Path) -> datetime:
    """When the last authority of a file expires: the others may be there for a change of authority."""
    return max(certificate.not_valid_after_utc for certificate in _certificates(path))


def subject(path: Path) -> str:
    """Whom the first certificate of a chain names, as Kafka writes it."""
    return _certificates(path)[0].subject.rfc4514_string()


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        raise TlsFileError(f"certificate {path}: not readable as PEM certificates; check the path") from None
