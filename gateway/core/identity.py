"""The names that events, input records and subjects bear at GeNiE: keyed digests that nobody else can compute or undo.

Knows the formulas of the contract. Must not know bodies, or where the secret keys come from.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hmac import digest as hmac_digest

from gateway.core.events import EventType

SEPARATOR = (
    b"\x1f"  # the unit separator: no part contains it, so no two lists of parts join to the same bytes
)
KEY_VERSION = 1  # of the idempotency key: a new key is a new version, and both are tried
KEY_BYTES_MIN = 32


def b64url(data: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


class Identity:
    """Makes the names, for one recipient and one Kafka cluster."""

    __slots__ = ("_events", "_key", "_origins", "_pseudonym_key", "_subjects")

    def __init__(
        self, idempotency_key: bytes, pseudonym_key: bytes, recipient_id: str, cluster_id: str
    ) -> None:
        if min(len(idempotency_key), len(pseudonym_key)) < KEY_BYTES_MIN:
            raise ValueError(
                f"the idempotency key and the pseudonym key need {KEY_BYTES_MIN} bytes or more each"
            )
        self._key = idempotency_key
        self._pseudonym_key = pseudonym_key
        self._events = {
            type: _join(b"v%d" % KEY_VERSION, recipient_id.encode(), type.code.encode(), b"")
            for type in EventType
        }
        self._origins = _join(b"o1", cluster_id.encode(), b"")
        self._subjects = _join(recipient_id.encode(), b"")

    def idempotency_key(self, type: EventType, event_id: str) -> str:  # noqa: A002 - the word of the glossary
        """The name of an event: the same for every record, attempt and scope of it."""
        return b64url(hmac_digest(self._key, self._events[type] + event_id.encode(), "sha256"))

    def origin(self, topic: str, partition: int, offset: int) -> str:
        """The name of an input record: tells a producer's duplicate from our own second attempt."""
        parts = _join(topic.encode(), b"%d" % partition, b"%d" % offset)
        return b64url(hmac_digest(self._key, self._origins + parts, "sha256"))

    def source_digest(self, value: bytes) -> bytes:
        """Stands for the content of an input record."""
        return hmac_digest(self._key, value, "sha256")

    def subject_key(self, ref: str) -> str:
        """The pseudonym of a subject."""
        return b64url(hmac_digest(self._pseudonym_key, self._subjects + ref.encode(), "sha256"))

    def contract_key(self, ref: str) -> str:
        """The pseudonym of a contract; the contract gives it the same formula as a subject's."""
        return self.subject_key(ref)


def _join(*parts: bytes) -> bytes:
    return SEPARATOR.join(parts)
