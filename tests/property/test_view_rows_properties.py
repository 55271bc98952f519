"""Rows of the consent view: whatever a consent record may say comes back as it was."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.consent import Consent, ConsentStatus, Denied, LegalBasis
from gateway.core.reasons import Reason
from gateway.kafka.view_rows import Rows, Seen

ANNA = "subject-anna"

words = st.frozensets(st.text(max_size=30), max_size=8)
longs = st.integers(-(1 << 63), (1 << 63) - 1)
consents = st.builds(
    Consent,
    record_id=st.one_of(st.uuids().map(str), st.text(max_size=40)),
    version=st.one_of(st.integers(0, 9), longs),
    subject_ref=st.just(ANNA),
    recipient=st.sampled_from(["genie", "other"]),
    status=st.sampled_from(ConsentStatus),
    policy_version=st.integers(20_000, 20_003),
    consented_at=st.integers(0, 1 << 48) | longs,
    expires_at=st.none() | longs,
    history_from=st.none() | st.integers(-2, 3) | st.integers((1 << 16) - 3, (1 << 16) + 3) | longs,
    items=words,
    opted_out=words,
    contract_refs=st.none() | words,
    legal_basis=st.sampled_from(LegalBasis),
)
denials = st.builds(Denied, st.sampled_from(Reason), st.none() | st.text(max_size=40), st.none() | longs)
states = st.builds(Seen, st.integers(0, (1 << 31) - 1) | st.integers(0, 5), consents | denials)


@given(st.lists(states, max_size=5))
def test_every_state_comes_back_as_it_was(seen: list[Seen]) -> None:
    """Whatever a consent record may say, also after a restart."""
    rows = Rows({})
    written = [rows.write(each) for each in seen]
    for reading in (rows, Rows(rows.unsaved())):
        assert [reading.read(ANNA, row) for row in written] == seen
