"""TLS contexts and certificates from PEM files, for every connection on which both sides prove who they are.

Knows PEM, whether key and certificate belong together, and until when. Must not know who is at the other end.
Errors name the file and what to do, never what is in it.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

T = TypeVar("T")
C = TypeVar("C", bound=ssl.SSLContext)


class TlsFileError(ValueError):
    """A certificate cannot be used; the message names the file and the remedy."""


def tls_context(ca: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """Trust `ca` and nothing else; prove who we are by `certificate` (PEM chain) and `key`."""
    context = trusting(ca, ssl.SSLContext)
    prove(context, certificate, key)
    return context


def trusting(ca: Path, kind: type[C]) -> C:
    """Trust the authorities in `ca` and nothing else."""
    context = kind(ssl.PROTOCOL_TLS_CLIENT)  # verifies the certificate and the host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=str(ca))
    except OSError:
        raise TlsFileError(f"authority {ca}: not readable as PEM certificates; check the path") from None
    return context


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
    return min(_of_each(path, lambda certificate: certificate.not_valid_after_utc))


def authorities_end(path: Path) -> datetime:
    """When the last authority of a file expires: the others may be there for a change of authority."""
    return max(_of_each(path, lambda certificate: certificate.not_valid_after_utc))


def subject(path: Path) -> str:
    """Whom the first certificate of a chain names, as Kafka writes it."""
    return _of_each(path, lambda certificate: certificate.subject.rfc4514_string())[0]


def _of_each(path: Path, told: Callable[[x509.Certificate], T]) -> list[T]:
    """What each certificate of a file says; it is only parsed when it is asked, and may fail then too."""
    try:
        return [told(certificate) for certificate in x509.load_pem_x509_certificates(path.read_bytes())]
    except (OSError, ValueError, UnsupportedAlgorithm):
        raise TlsFileError(f"certificate {path}: not readable as PEM certificates; check the path") from None
