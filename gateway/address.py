"""Whether health and metrics can listen where the settings say, and what to change if not.

Knows which of host and port is to blame. Must not know what is served there.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from gateway.findings import Finding, Severity
from gateway.mistakes import variable
from gateway.observe.health import address_error

HOST, PORT = "observe.host", "observe.port"
_ANY_PORT = 0


def look_at_address(settings: Mapping[str, Any]) -> list[Finding]:
    """Whether it could listen now, by what of the settings is right; where a gateway runs already the port is taken."""
    if not {HOST, PORT} <= settings.keys():
        return []
    host, port = settings[HOST], settings[PORT]
    error = address_error(host, port)
    if error is None:
        return []
    runs = Severity.WARNING if error.errno == errno.EADDRINUSE else Severity.PROBLEM
    return [unusable(host, port, error, runs)]


def unusable(host: str, port: int, error: OSError, severity: Severity = Severity.PROBLEM) -> Finding:
    """What is wrong with an address at which listening failed so."""
    of_host = address_error(host, _ANY_PORT)
    if of_host is not None:
        needed = f"change {variable(HOST)} to an address of this machine (0.0.0.0: to all of them)"
        return Finding(severity, HOST, f"found {host!r}: {of_host.strerror}", needed)
    if error.errno == errno.EADDRINUSE:
        needed = f"end what listens there, unless it is this very gateway, or change {variable(PORT)}"
    else:
        needed = f"change {variable(PORT)} to a port that this user may have"
    return Finding(severity, PORT, f"found {port} on {host}: {error.strerror}", needed)
