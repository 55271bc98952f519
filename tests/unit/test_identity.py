"""Names at GeNiE: the contract's formulas, computed a second time with the standard library."""

import hashlib
import hmac
from base64 import urlsafe_b64decode

import pytest

from gateway.core.events import EventType
from gateway.core.identity import Identity, b64url
from tests.core_cases import IDENTITY


def expected(key: bytes, *parts: str) -> bytes:
    return hmac.digest(key, "\x1f".join(parts).encode(), hashlib.sha256)


def decoded(name: str) -> bytes:
    assert len(name) == 43
    return urlsafe_b64decode(name + "=")


def test_idempotency_key():
    """HMAC of version, recipient, event type and event id."""
    for kind in EventType:
        name = IDENTITY.idempotency_key(kind, "event-1")
        assert decoded(name) == expected(b"k" * 32, "v1", "genie", kind.value, "event-1")


def test_origin():
    """HMAC of version, cluster, topic, partition and offset."""
    name = IDENTITY.origin("lease.payments", 3, 4_567)
    assert decoded(name) == expected(b"k" * 32, "o1", "cluster-1", "lease.payments", "3", "4567")


def test_source_digest():
    """HMAC of the input's value as it is, bytes and all."""
    value = bytes(range(256))
    assert IDENTITY.source_digest(value) == hmac.digest(b"k" * 32, value, "sha256")


def test_pseudonyms():
    """HMAC of recipient and reference with the pseudonym key, alike for subjects and contracts."""
    assert decoded(IDENTITY.subject_key("subject-1a")) == expected(b"p" * 32, "genie", "subject-1a")
    assert decoded(IDENTITY.contract_key("contract-1a")) == expected(b"p" * 32, "genie", "contract-1a")


def test_one_name_leaves_no_trace_in_the_next():
    """The keyed state is copied, so that names do not depend on those made before."""
    first = IDENTITY.subject_key("subject-1a")
    IDENTITY.subject_key("subject-2b")
    assert IDENTITY.subject_key("subject-1a") == first


def test_other_keys_recipients_and_clusters_give_other_names():
    """Nothing links what two recipients got."""
    others = [
        Identity(b"K" * 32, b"P" * 32, "genie", "cluster-1"),
        Identity(b"k" * 32, b"p" * 32, "other", "cluster-1"),
    ]
    for other in others:
        assert other.subject_key("subject-1a") != IDENTITY.subject_key("subject-1a")
        key = EventType.LEASE_PAYMENT, "event-1"
        assert other.idempotency_key(*key) != IDENTITY.idempotency_key(*key)
    moved = Identity(b"k" * 32, b"p" * 32, "genie", "cluster-2")
    assert moved.origin("t", 0, 0) != IDENTITY.origin("t", 0, 0)


@pytest.mark.parametrize("keys", [(b"", b"p" * 32), (b"k" * 32, b"p" * 31)])
def test_short_keys_are_refused(keys):
    """A key that could be guessed is no key."""
    with pytest.raises(ValueError, match="32 bytes"):
        Identity(*keys, "genie", "cluster-1")


def test_base64url_has_no_padding():
    """As the contract writes digests."""
    assert b64url(b"\xff\xfe") == "__4"
