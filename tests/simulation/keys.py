"""The keys of every simulated world: the same in each run, so that a seed replays to the last byte.

Knows which files of the sandbox's keys decide what is written. Must not know who reads them.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519

from gateway.sandbox import pki
from gateway.sandbox.pki import Pki
from tests.simulation import room


def make(directory: Path) -> Pki:
    """All files of a sandbox's keys; certificates are made anew, for nobody looks at them here."""
    directory.mkdir(parents=True, exist_ok=True)
    keys = Pki(directory)
    for path in (keys.norel_ed25519, keys.genie_ed25519):
        pki.make_signing_key(path, ed25519.Ed25519PrivateKey.from_private_bytes(_bytes_of(path.name)))
    for path in (keys.idempotency_key, keys.pseudonym_key):
        path.write_bytes(base64.b64encode(_bytes_of(path.name)) + b"\n")
        path.chmod(0o600)
    return pki.make(directory)


def _bytes_of(name: str) -> bytes:
    return hashlib.sha256(f"simulation {name}".encode()).digest()


@cache
def cached() -> Pki:
    """Made once, for this interpreter and those forked from it; gone with the run."""
    return make(room.of_this_run() / "keys")
