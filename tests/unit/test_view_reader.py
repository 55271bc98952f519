"""What consent and control records make of states and holds; every doubt denies or holds."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.core.consent import Consent, Denied
from gateway.core.holds import HoldScope
from gateway.core.reasons import Reason
from gateway.kafka.codec import Codec
from gateway.kafka.registry import FileRegistry
from gateway.kafka.view_reader import LOGGED_OF_EACH, Changes, ViewCounts, ViewReader
from gateway.kafka.view_rows import Seen
from gateway.kafka.view_store import Origin, ViewStore
from tests.view_records import consent_value, control_value

CONSENTS, CONTROLS = "consent.records", "genie.gateway.controls"
ANNA, BERT = "subject-anna", "subject-bert"


@dataclass
class Delivered:
    """A record as the consumer delivers it."""

    key: bytes | None
    value: bytes | None
    topic: str = CONSENTS
    partition: int = 0
    offset: int = 0


class View:
    """A reader on a dictionary instead of a disk."""

    def __init__(self) -> None:
        self.codec = Codec(FileRegistry(), {CONSENTS: "ConsentRecord", CONTROLS: "Control"})
        self.counts = ViewCounts()
        self.reader = ViewReader(self.codec, CONSENTS, self.counts)
        self.seen: dict[str, Seen] = {}

    async def read(self, *records: Delivered) -> Changes:
        await self.codec.prepare(record.value for record in records)
        changes = self.reader.read(records, self._look_up)
        self.seen.update(changes.seen)
        return changes

    def state(self, subject: str) -> Consent | Denied:
        return self.seen[subject].state

    def denied(self, subject: str) -> tuple[Reason, int | None]:
        state = self.state(subject)
        assert isinstance(state, Denied)
        return state.reason, state.version

    def _look_up(self, subjects: Iterable[str]) -> dict[str, Seen | None]:
        return {subject: self.seen.get(subject) for subject in subjects}


@pytest.fixture
def view() -> View:
    """An empty view."""
    return View()


def written(subject: str, version: int, status: str = "given", partition: int = 0) -> Delivered:
    return Delivered(subject.encode(), consent_value(subject, version, status), partition=partition)


async def test_the_newest_record_is_the_state(view: View) -> None:
    """Records of one subject follow each other within one delivery and over several."""
    await view.read(written(ANNA, 1), written(ANNA, 2, "withdrawn"))
    await view.read(written(ANNA, 3, "renewed"))
    state = view.state(ANNA)
    assert isinstance(state, Consent)
    assert (state.version, state.status) == (3, "renewed")
    assert view.counts == ViewCounts(read=3)


async def test_a_version_that_goes_back_denies_until_a_higher_one(view: View) -> None:
    """Neither the older record nor the newest one repeated is believed; a higher version is."""
    await view.read(written(ANNA, 5), written(ANNA, 4))
    assert view.denied(ANNA) == (Reason.CONSENT_SUPERSEDED_VERSION, 5)
    await view.read(written(ANNA, 5))
    assert view.denied(ANNA) == (Reason.CONSENT_SUPERSEDED_VERSION, 5)
    assert view.counts.went_back == 2
    await view.read(written(ANNA, 6))
    assert isinstance(view.state(ANNA), Consent)


async def test_a_record_sent_twice_changes_nothing(view: View) -> None:
    """A producer's retry is no version that goes back."""
    await view.read(written(ANNA, 5), written(ANNA, 5))
    assert isinstance(view.state(ANNA), Consent)
    assert view.counts.went_back == 0


async def test_a_tombstone_denies(view: View) -> None:
    """Erased means denied, for a known and for an unknown subject, until a higher version."""
    await view.read(written(ANNA, 5), Delivered(ANNA.encode(), None), Delivered(BERT.encode(), None))
    assert view.denied(ANNA) == (Reason.NO_CONSENT, 5)
    assert view.denied(BERT) == (Reason.NO_CONSENT, None)
    await view.read(written(ANNA, 5))
    assert view.denied(ANNA) == (Reason.CONSENT_SUPERSEDED_VERSION, 5)
    await view.read(written(ANNA, 6))
    assert isinstance(view.state(ANNA), Consent)


async def test_a_subject_in_two_partitions_is_denied(view: View) -> None:
    """Which of two partitions' records is newer cannot be known, so both orders deny; one more record settles it."""
    for subject, first, second in ((ANNA, 5, 6), (BERT, 6, 5)):
        await view.read(written(subject, first, partition=0), written(subject, second, partition=1))
        assert view.denied(subject) == (Reason.CONSENT_SUPERSEDED_VERSION, 6)
    assert view.counts.in_two_partitions == 2
    await view.read(written(ANNA, 7, partition=1), written(BERT, 7, partition=0))
    assert isinstance(view.state(ANNA), Consent)
    assert isinstance(view.state(BERT), Consent)


@pytest.mark.parametrize("value", [b"", b"\0\0\0\0\3garbage", b"\0\0\0\0\1" + b"\2" * 40, b"\0\0\xff\xff\xff123"])
async def test_a_record_that_cannot_be_read_denies_its_subject(view: View, value: bytes) -> None:
    """It may have been the withdrawal."""
    await view.read(written(ANNA, 5), Delivered(ANNA.encode(), value))
    assert view.denied(ANNA) == (Reason.CONSENT_UNKNOWN, 5)
    assert view.counts.unreadable_consents == 1


async def test_a_key_that_is_not_the_subject_denies_both(view: View) -> None:
    """It may have been the withdrawal of either."""
    await view.read(written(ANNA, 5), written(BERT, 5))
    await view.read(Delivered(ANNA.encode(), consent_value(BERT, 6, "withdrawn")))
    assert view.denied(ANNA)[0] is Reason.CONSENT_UNKNOWN
    assert view.denied(BERT)[0] is Reason.CONSENT_UNKNOWN


@pytest.mark.parametrize("key", [None, b"", b"\xff\xfe", b"0901234567", b"x" * 200])
async def test_a_bad_key_denies_whom_the_value_names(view: View, key: bytes | None) -> None:
    """A record with an impossible key is not lost on the subject that it names."""
    await view.read(Delivered(key, consent_value(ANNA, 1)), Delivered(key, None), Delivered(key, b"garbage"))
    assert view.denied(ANNA)[0] is Reason.CONSENT_UNKNOWN
    assert list(view.seen) == [ANNA]


async def test_a_hold_is_set_and_released(view: View) -> None:
    """The last record of a hold's id counts; a tombstone removes it too."""
    changes = await view.read(Delivered(b"h1", control_value("h1", "subject", ANNA), CONTROLS))
    assert changes.holds["h1"] is not None
    assert changes.holds["h1"].value == ANNA
    released = Delivered(b"h1", control_value("h1", "subject", ANNA, "released"), CONTROLS)
    assert (await view.read(released)).holds == {"h1": None}
    assert (await view.read(Delivered(b"h1", None, CONTROLS))).holds == {"h1": None}


@pytest.mark.parametrize(
    "value",
    [b"garbage", control_value("other", "all"), control_value("h1", "event_type"), control_value("h1", "all", "x")],
)
async def test_a_control_that_cannot_be_read_holds_everything(view: View, value: bytes) -> None:
    """It may have been meant to; a tombstone under the same key ends it."""
    hold = (await view.read(Delivered(b"h1", value, CONTROLS))).holds["h1"]
    assert hold is not None
    assert hold.scope is HoldScope.ALL
    assert view.counts.unreadable_controls == 1


async def test_nothing_of_a_record_is_logged(view: View) -> None:
    """What is found wrong is logged by its place alone."""
    with capture_logs() as lines:
        await view.read(
            written(ANNA, 5), written(ANNA, 4), written(ANNA, 6, partition=1), Delivered(ANNA.encode(), b"x")
        )
    assert len(lines) == 4
    assert ANNA not in str(lines)
    assert all({"topic", "partition", "offset"} <= set(line) for line in lines)


@pytest.mark.parametrize("key", ["\u6c38".encode() * 300, b"\xff" * 600, b"k" * 600])
async def test_a_hold_with_an_endless_name_can_be_kept(view: View, key: bytes, tmp_path: Path) -> None:
    """LMDB takes no key of more than 511 bytes, and would call the view damaged at each start."""
    changes = await view.read(Delivered(key, control_value(key.decode("utf-8", "replace"), "all"), CONTROLS))
    store = ViewStore.open(tmp_path, Origin("cluster", {}), now=0, max_idle_ms=1)
    store.write({}, changes.holds, {})
    assert store.holds() == changes.holds
    store.close()


async def test_a_consent_whose_record_is_no_consent_denies_its_subject(view: View) -> None:
    """It decodes, but says nothing that may be believed."""
    value = consent_value(ANNA, 6, record_id="taro@example.jp")
    await view.read(written(ANNA, 5), Delivered(ANNA.encode(), value))
    assert view.denied(ANNA) == (Reason.CONSENT_UNKNOWN, 5)


async def test_of_each_finding_only_the_first_are_logged(view: View) -> None:
    """A producer that goes mad must not fill the disk with lines; the counts go on."""
    many = LOGGED_OF_EACH + 5
    unreadable = [Delivered(ANNA.encode(), b"x")] * many
    back = [written(BERT, 500), *(written(BERT, 499 - number) for number in range(many))]
    apart = [written("subject-carl", number + 1, partition=number % 2) for number in range(many + 1)]
    controls = [Delivered(b"h1", b"x", CONTROLS)] * many
    for records in (unreadable, back, apart, controls):
        with capture_logs() as lines:
            await view.read(*records)
        assert len(lines) == LOGGED_OF_EACH
    counts = view.counts
    assert (counts.unreadable_consents, counts.went_back, counts.in_two_partitions) == (many, many, many)
    assert counts.unreadable_controls == many
