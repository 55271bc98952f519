"""What is cut together is what a producer would have written."""

import re

import pytest

from gateway import schemas
from load.records import Id, Moulds, chooser, subject_ref, uuid

MOULDS = Moulds(1_000)


@pytest.mark.parametrize("number", [0, 1, 2, 3, 500, 999_999, 50_000_001])
def test_an_event_is_a_record_of_its_schema(number: int) -> None:
    """With its own ids, about its subject, under its key."""
    made = MOULDS.event(number, 7)
    name, record = schemas.decode(made.value)
    assert name == ("NorelScoreUpdate" if number % 2 else "LeasePaymentEvent")
    assert record["subject_ref"].encode() == made.key == subject_ref(7)
    assert schemas.encode(name, record) == made.value
    kind, field = (Id.SCORE, "score_id") if number % 2 else (Id.PAYMENT, "event_id")
    assert record[field].encode() == uuid(kind, number)


def test_scores_of_a_subject_grow() -> None:
    """Else GeNiE would call the later ones superseded."""
    records = [schemas.decode(MOULDS.event(number, 7).value)[1] for number in range(1, 200_000, 49_998)]
    sequences = [record["sequence"] for record in records]
    assert sequences == sorted(set(sequences))


def test_a_withdrawal_follows_the_consent() -> None:
    """The same subject's next version."""
    (_, given), (_, withdrawn) = (schemas.decode(made.value) for made in (MOULDS.consent(5), MOULDS.withdrawal(5)))
    assert (given["status"], withdrawn["status"]) == ("given", "withdrawn")
    assert given["subject_ref"] == withdrawn["subject_ref"]
    assert withdrawn["consent_version"] == given["consent_version"] + 1
    assert given["record_id"] != withdrawn["record_id"]


def test_no_two_things_share_an_id() -> None:
    """And each is a UUID of version 4."""
    ids = {uuid(kind, number) for kind in Id for number in range(2_000)}
    assert len(ids) == 2_000 * len(Id)
    pattern = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
    assert all(pattern.fullmatch(each) for each in ids)


def test_a_memo_is_as_large_as_asked() -> None:
    """Of payments: scores have none."""
    _, record = schemas.decode(Moulds(10, memo_bytes=64 * 1024).event(0, 1).value)
    assert len(record["customer"]["memo"]) == 64 * 1024


def test_a_hot_subject_has_its_share() -> None:
    """And without one nobody does."""
    hot, even = chooser(1_000, 0.1, 1), chooser(1_000, 0.0, 1)
    assert 800 < sum(hot() == 0 for _ in range(10_000)) < 1_200
    assert sum(even() == 0 for _ in range(10_000)) < 50
