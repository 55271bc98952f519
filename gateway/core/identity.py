"""The names of events, input records, subjects and contracts at GeNiE: digests that only we can compute.

Knows the formulas of the contract. Must not know bodies, or where the secret keys come from.
"""

from __future__ import annotations

from binascii import b2a_base64

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC  # its copies cost a third of hmac.digest

from gateway.core.events import EventType

_SEPARATOR = "\x1f"  # the unit separator: in no part, so no two lists of parts join alike
KEY_VERSION = 1  # of the idempotency key: a new key is a new version, and both are tried
KEY_BYTES_MIN = 32

_URLSAFE = bytes.maketrans(b"+/", b"-_")


def b64url(data: bytes) -> str:
    """Base64url without padding."""
    return b2a_base64(data, newline=False).translate(_URLSAFE, b"=").decode("ascii")


class Identity:
    """Makes the names, for one recipient and one Kafka cluster."""

    __slots__ = ("_events", "_origins", "_refs", "_values")

    def __init__(self, idempotency_key: bytes, pseudonym_key: bytes, recipient_id: str, cluster_id: str) -> None:
        if min(len(idempotency_key), len(pseudonym_key)) < KEY_BYTES_MIN:
            raise ValueError(f"idempotency key and pseudonym key: each needs {KEY_BYTES_MIN} bytes or more")
        version = f"v{KEY_VERSION}"
        self._events = {kind: _keyed(idempotency_key, version, recipient_id, kind.code) for kind in EventType}
        self._origins = _keyed(idempotency_key, "o1", cluster_id)
        self._values = _keyed(idempotency_key)
        self._refs = _keyed(pseudonym_key, recipient_id)

    def idempotency_key(self, type: EventType, event_id: str) -> str:  # noqa: A002 - as in Event
        """The name of an event: the same for every record, attempt and scope of it."""
        return b64url(_digest(self._events[type], event_id.encode()))

    def origin(self, topic: str, partition: int, offset: int) -> str:
        """The name of an input record: tells a producer's duplicate from our own second attempt."""
        return b64url(_digest(self._origins, f"{topic}{_SEPARATOR}{partition}{_SEPARATOR}{offset}".encode()))

    def source_digest(self, value: bytes) -> bytes:
        """Stands for the content of an input record."""
        return _digest(self._values, value)

    def subject_key(self, ref: str) -> str:
        """The pseudonym of a subject."""
        return b64url(_digest(self._refs, ref.encode()))

    def contract_key(self, ref: str) -> str:
        """The pseudonym of a contract, by the same formula."""
        return self.subject_key(ref)


def _keyed(key: bytes, *parts: str) -> HMAC:
    """An HMAC that has read `parts`, each with a separator behind it."""
    keyed = HMAC(key, SHA256())
    for part in parts:
        keyed.update(f"{part}{_SEPARATOR}".encode())
    return keyed


def _digest(keyed: HMAC, last: bytes) -> bytes:
    mac = keyed.copy()
    mac.update(last)
    return mac.finalize()
