"""The commit's metadata: what fits, and what is not ours."""

import base64

import pytest

from gateway.core.metadata import (
    MAX_LIVE_INTENTS,
    MAX_METADATA_BYTES,
    MAX_WINDOW,
    CommitMetadata,
    IntentRef,
    NewerMetadataError,
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


@pytest.mark.parametrize("settled", [(4,), (4, 6), (5 + MAX_WINDOW,)])
def test_offsets_outside_the_window_are_refused(settled: tuple[int, ...]) -> None:
    """They would be read as others."""
    with pytest.raises(ValueError, match=r"^settled offsets outside 5\.\.16388$"):
        CommitMetadata(settled).encode(5)


@pytest.mark.parametrize("settled", [5, 4 + MAX_WINDOW])
def test_the_bounds_of_the_window_are_in_it(settled: int) -> None:
    """The first and the last offset of a window are told apart from all others."""
    metadata = CommitMetadata((settled,))
    assert CommitMetadata.decode(metadata.encode(5), 5) == metadata


def test_what_fits_to_the_last_byte_is_taken_and_one_byte_more_refused() -> None:
    """The broker would refuse the commit."""
    settled = tuple(range(1, MAX_WINDOW, 2))
    refs = (*[IntentRef(1 << 35, 0)] * 139, IntentRef(1 << 28, 0), *[IntentRef(0, 0)] * 20)
    assert len(CommitMetadata(settled, refs).encode(0)) == MAX_METADATA_BYTES
    with pytest.raises(ValueError, match=r"^commit metadata of 4098 bytes: at most 4096 fit$"):
        CommitMetadata(settled, refs, opens=1 << 7).encode(0)


@pytest.mark.parametrize(
    ("metadata", "raw"),
    [
        (CommitMetadata(), [1, 0, 0, 0]),
        (CommitMetadata(opens=300), [1, 0xAC, 2, 0, 0]),
        (CommitMetadata((100, 103, 110)), [1, 0, 0, 0, 0b1001, 0b100]),
        (CommitMetadata((107,)), [1, 0, 0, 0, 0b1000_0000]),
        (CommitMetadata((108,)), [1, 0, 0, 0, 0, 1]),
        (CommitMetadata((108, 109, 110, 112)), [1, 0, 0, 0, 0, 0b1_0111]),  # its text ends with a letter X
        (CommitMetadata(tuple(range(101, 228))), [1, 0, 0, 1, 1, 127]),
        (CommitMetadata((*range(101, 201), *range(203, 303))), [1, 0, 0, 1, 1, 100, 2, 100]),
        (
            CommitMetadata((), (IntentRef(3, 5), IntentRef(3, 4), IntentRef(0, 132))),
            [1, 0, 3, 3, 10, 3, 1, 0, 0x80, 2, 0],
        ),
    ],
)
def test_the_layout_is_what_it_was(metadata: CommitMetadata, raw: list[int]) -> None:
    """Byte by byte: an owner of another release reads it."""
    text = metadata.encode(100)
    assert text == encoded(bytes(raw))
    assert CommitMetadata.decode(text, 100) == metadata


CUT = "a number is cut short"


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (b"\x01", CUT),
        (b"\x01\x00", CUT),
        (b"\x01\x00\x01", CUT),
        (b"\x01\x00\x00", "unknown kind of settled set"),
        (b"\x01\x00\x00\x02", "unknown kind of settled set"),
        (b"\x01\x00\xa1\x01" + b"\x00\x00" * 161 + b"\x00", "161 where at most 160 are allowed"),
        (b"\x01\x00\x00\x01\x05", CUT),
        (b"\x01\x00\x00\x01\x00\xff\xff\xff\xff\x7f", "34359738467 where at most 16484 are allowed"),
        (b"\x01\x00\x00\x01" + b"\x00\x80\x80\x01" * 100, "32868 where at most 16484 are allowed"),
        (b"\x01\x00\x00\x00" + b"\x00" * (MAX_WINDOW // 8) + b"\x01", "settled offsets beyond the window"),
        (b"\x01" + b"\xff" * 11, "a number without end"),
        (b"\x01" + b"\xff" * 10, "a number without end"),
        (b"\x01" + b"\xff" * 9, CUT),
    ],
)
def test_what_is_not_laid_out_so_is_refused(raw: bytes, cause: str) -> None:
    """A cut or an impossible one: the error says that it is not ours, and what exactly is wrong with it."""
    with pytest.raises(NotOurMetadataError, match=r"^cut short or not as laid out$") as refused:
        CommitMetadata.decode(encoded(raw), 100)
    assert str(refused.value.__cause__).endswith(cause)


@pytest.mark.parametrize(
    ("raw", "error", "text"),
    [
        (b"", NotOurMetadataError, "format missing"),
        (b"\x00", NotOurMetadataError, "format 0"),
        (b"\x02\x00\x00\x00", NewerMetadataError, "format 2"),
        (b"\x0f", NewerMetadataError, "format 15"),
        (b"\x10", NotOurMetadataError, "format 16"),
    ],
)
def test_another_format_is_told_from_anything_else(raw: bytes, error: type[NotOurMetadataError], text: str) -> None:
    """What a later release wrote is for a later release to read; all else was never a lane's."""
    with pytest.raises(NotOurMetadataError) as refused:
        CommitMetadata.decode(encoded(raw), 0)
    assert type(refused.value) is error
    assert str(refused.value) == f"{text}, this release reads 1"


@pytest.mark.parametrize("text", ["{}", "AQAA!AA", "A", "é"])
def test_what_is_no_base64_is_not_ours(text: str) -> None:
    """Another program's metadata."""
    with pytest.raises(NotOurMetadataError, match=r"^not base64$"):
        CommitMetadata.decode(text, 0)
