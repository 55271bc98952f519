"""GeNiE's side of mutual TLS, with the certificate chosen anew for each connection.

Knows handshakes; must not know which certificates are wrong, or why one is shown (faults/tls.py).
"""

import ssl
from pathlib import Path

from gateway.sandbox.genie.faults import KINDS, Faults
from gateway.sandbox.genie.faults.tls import HandshakeFault
from gateway.sandbox.pki import Pki


def server_context(pki: Pki, faults: Faults) -> ssl.SSLContext:
    """What the port listens with: GeNiE's certificate, unless a fault shows another one."""
    certificates = {kind: kind.certificate(pki) for kind in KINDS.values() if issubclass(kind, HandshakeFault)}
    instead = {kind: _context(pki, path) for kind, path in certificates.items() if path is not None}

    def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> int | None:
        fault = faults.handshake()
        if fault is None:
            return None
        if type(fault) not in instead:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = instead[type(fault)]
        return None

    context = _context(pki, pki.server)
    context.sni_callback = choose
    return context


def _context(pki: Pki, certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pki.ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate)
    return context
