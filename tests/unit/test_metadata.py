"""The commit's metadata: what fits, and what is not ours."""

import base64

import pytest

from gateway.core.metadata import (
    MAX_LIVE_INTENTS,
    MAX_METADATA_BYTES,
    MAX_WINDOW,
    CommitMetadata,
    IntentRef,
    NotOurMetadataError,
)


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).rstrip(b"=").decode()


def test_the_worst_case_fits() -> None:
    """Every second offset of a full window settled, as many live intents as may be, far apart, in a late partition."""
    settled = tuple(range(1, MAX_WINDOW, 2))
    intents = tuple(IntentRef(1_000, 10**12 + n * 2**26) for n in range(MAX_LIVE_INTENTS))
    metadata = CommitMetadata(tuple(o + 10**12 for o in settled), intents, 1_000_000)
    text = metadata.encode(10**12)
    assert len(text) <= MAX_METADATA_BYTES
    assert CommitMetadata.decode(text, 10**12) == metadata


def test_a_nearly_settled_window_is_short() -> None:
    """Runs say in a few bytes what a bitmap says in two thousand."""
    assert len(CommitMetadata(tuple(range(1, MAX_WINDOW))).encode(0)) < 20


@pytest.mark.parametrize("settled", [(4,), (5 + MAX_WINDOW,)])
def test_offsets_outside_the_window_are_refused(settled: tuple[int, ...]) -> None:
    """They would be read as others."""
    with pytest.raises(ValueError, match="outside"):
        CommitMetadata(settled).encode(5)


def test_what_does_not_fit_is_refused() -> None:
    """The broker would refuse the commit."""
    intents = tuple(IntentRef(2**60 + n, (-1) ** n * 2**60) for n in range(MAX_LIVE_INTENTS))
    with pytest.raises(ValueError, match="at most"):
        CommitMetadata(tuple(range(1, MAX_WINDOW, 2)), intents).encode(0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "AA",
        "é",
        encoded(b"\x02\x00\x00\x00"),
        encoded(b"\x01"),
        encoded(b"\x01\x00"),
        encoded(b"\x01\x00\x01"),
        encoded(b"\x01\x00\x00\x02"),
        encoded(b"\x01\x00\xa1\x01" + b"\x00\x00" * 161 + b"\x00"),
        encoded(b"\x01\x00\x00\x01\x05"),
        encoded(b"\x01\x00\x00\x01\x00\xff\xff\xff\xff\x7f"),
        encoded(b"\x01\x00\x00\x01" + b"\x00\x80\x80\x01" * 100),
        encoded(b"\x01\x00\x00\x00" + b"\x00" * MAX_WINDOW + b"\x01"),
        encoded(b"\x01" + b"\xff" * 11),
    ],
)
def test_anything_else_is_not_ours(text: str) -> None:
    """Another program's metadata, a later format, a cut or an impossible one: one error, and bounded work."""
    with pytest.raises(NotOurMetadataError):
        CommitMetadata.decode(text, 0)
