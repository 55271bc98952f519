"""Reads secrets from their files: the keys of names that GeNiE sees, and passwords.

Knows their form: base64 of 32 bytes or more; one line of text. An error names the file and what to do, never what is
in it.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from gateway.core.identity import KEY_BYTES_MIN

PASSWORD_CHARS_MAX = 1_000


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


def read_password(path: Path) -> str:
    """The password in a file: its one line, without the line's end."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(PASSWORD_CHARS_MAX + 1).rstrip("\r\n")
    except (OSError, UnicodeError):
        raise SecretKeyError(f"{path}: not readable as text; write the password as one line in UTF-8") from None
    if not text or len(text) > PASSWORD_CHARS_MAX or len(text.splitlines()) > 1:
        raise SecretKeyError(f"{path}: not one line of text; write the password as one line in UTF-8")
    return text
