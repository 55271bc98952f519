"""Faults of TLS: GeNiE shows a certificate that nobody should trust, or none.

Knows which certificates are wrong; must not know how a handshake goes (genie/tls.py).
"""

from dataclasses import dataclass
from pathlib import Path

from gateway.sandbox.genie.faults.fault import Fault, Point
from gateway.sandbox.pki import Pki


class HandshakeFault(Fault):
    """Strikes new connections; switching one on or off ends the old ones, so that there are new ones."""

    point = Point.HANDSHAKE

    @classmethod
    def certificate(cls, pki: Pki) -> Path | None:
        """What is shown instead of GeNiE's certificate; None ends the handshake."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class WrongAuthority(HandshakeFault):
    sentence = "GeNiE's certificate is by an authority that was never agreed"

    @classmethod
    def certificate(cls, pki: Pki) -> Path | None:
        return pki.server_of_stranger


@dataclass(frozen=True, kw_only=True)
class ExpiredCertificate(HandshakeFault):
    sentence = "GeNiE's certificate has expired"

    @classmethod
    def certificate(cls, pki: Pki) -> Path | None:
        return pki.server_expired


@dataclass(frozen=True, kw_only=True)
class WrongHost(HandshakeFault):
    sentence = "GeNiE's certificate is for another host"

    @classmethod
    def certificate(cls, pki: Pki) -> Path | None:
        return pki.server_elsewhere


@dataclass(frozen=True, kw_only=True)
class HandshakeRefused(HandshakeFault):
    sentence = "GeNiE ends every connection before TLS stands: an outage in which no request leaves"

    @classmethod
    def certificate(cls, pki: Pki) -> Path | None:
        return None
