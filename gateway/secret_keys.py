"""Reads the secret keys of kafka- and GeNiE-facing names from their files.

Knows their form: base64 of 32 bytes or more. An error names the file and what to do, never the key.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from gateway.core.identity import KEY_BYTES_MIN


class SecretKeyError(ValueError):
    """A key file can't be used."""


def read_secret(path: Path) -> bytes:
    """The key in a file."""
    try:
        key = base64.b64decode(path.read_text("ascii").strip(), validate=True)
    except (OSError, UnicodeError, binascii.Error):
        raise SecretKeyError(f"{path}: not readable as base64; write the key as one line of base64") from None
    if len(key) < KEY_BYTES_MIN:
        raise SecretKeyError(f"{path}: {len(key)} bytes; at least {KEY_BYTES_MIN} are needed")
    return key
