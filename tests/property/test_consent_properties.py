"""Consent records one after the other: the version only grows, or the subject is denied."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.consent import Consent, ConsentState, Denied, successor
from tests.core_cases import consent

records = st.builds(
    consent, version=st.integers(0, 5), record_id=st.sampled_from(["a", "b"]), items=st.just(frozenset({"name"}))
)


@given(st.lists(records, min_size=1))
def test_the_state_is_the_highest_record_or_a_denial(history: list[Consent]):
    """It is a consent only if that record is the only one of the highest version and nothing lower came after it."""
    state: ConsentState = None
    for record in history:
        state = successor(state, record)
    highest = max(record.version for record in history)
    first = next(i for i, record in enumerate(history) if record.version == highest)
    if all(record == history[first] for record in history[first:]):
        assert state == history[first]
    else:
        assert isinstance(state, Denied)
        assert (state.version, state.record_id) == (highest, history[first].record_id)


@given(st.lists(records), records)
def test_reading_a_record_again_changes_nothing(history: list[Consent], last: Consent):
    """A view that reads the end of the topic twice is where it was."""
    state: ConsentState = None
    for record in [*history, last]:
        state = successor(state, record)
    assert successor(state, last) == state
