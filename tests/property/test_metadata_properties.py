"""Metadata says what was put in, and nothing else is taken for it."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.metadata import MAX_LIVE_INTENTS, MAX_WINDOW, CommitMetadata, IntentRef, NotOurMetadataError

offsets = st.integers(0, 2**50)
refs = st.builds(IntentRef, st.integers(0, 2_000), st.integers(0, 2**50))


@given(
    offsets, st.sets(st.integers(0, MAX_WINDOW - 1), max_size=300), st.lists(refs, max_size=20), st.integers(0, 2**20)
)
def test_what_is_encoded_is_decoded(offset: int, settled: set[int], intents: list[IntentRef], opens: int) -> None:
    """Any settled set of a window, any live intents, any count."""
    metadata = CommitMetadata(tuple(sorted(offset + each for each in settled)), tuple(intents), opens)
    assert CommitMetadata.decode(metadata.encode(offset), offset) == metadata


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: (b"AQ" + raw.hex().encode()).decode()), offsets)
def test_any_text_is_read_or_refused(text: str, offset: int) -> None:
    """Whatever stands in the group's offset, decoding ends in our error or in something within the bounds."""
    try:
        metadata = CommitMetadata.decode(text, offset)
    except NotOurMetadataError:
        return
    assert len(metadata.intents) <= MAX_LIVE_INTENTS
    assert all(offset <= each < offset + MAX_WINDOW for each in metadata.settled)
    assert list(metadata.settled) == sorted(set(metadata.settled))
