"""What `load.view` fills its topic with."""

from gateway import schemas
from gateway.core.consent import parse_consent
from load.view import consents, subject


def test_every_consent_is_of_its_own_subject() -> None:
    """They are made from one by putting in other references: each must still be a consent of its key."""
    made = list(consents(200))
    read = [parse_consent(schemas.decode(value)[1]) for _, value in made]
    assert [key.decode() for key, _ in made] == [each.subject_ref for each in read] == [subject(n) for n in range(200)]
    assert len({each.record_id for each in read}) == len({each.subject_ref for each in read}) == 200
