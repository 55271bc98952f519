"""Decoded consents kept ready: bounded in bytes, whatever a consent holds."""

from dataclasses import replace

from gateway.kafka.remembered import STATE_BYTES, Remembered
from tests.core_cases import consent

SMALL = replace(consent(), contract_refs=frozenset({"contract-1a"}))
LONG = replace(consent(), contract_refs=frozenset(f"contract-{number}" for number in range(1_000)))


def test_what_came_first_is_forgotten_at_the_bound() -> None:
    """Many small states, and fewer when one is long; the newest is there."""
    remembered = Remembered(200 * STATE_BYTES)
    for number in range(1_000):
        remembered.add(f"subject-{number}", SMALL)
    assert 100 < len(remembered) <= 200
    assert "subject-999" in remembered
    assert "subject-0" not in remembered
    remembered.add("subject-long", LONG)
    assert len(remembered) < 100
    assert remembered["subject-long"] is LONG


def test_a_state_longer_than_the_bound_is_not_kept() -> None:
    """It is read from the disk each time."""
    remembered = Remembered(10 * STATE_BYTES)
    remembered.add("subject-long", LONG)
    assert len(remembered) == 0


def test_what_is_forgotten_makes_room() -> None:
    """Changing a state again and again keeps no more than one, and forgets no other."""
    remembered = Remembered(200 * STATE_BYTES)
    remembered.add("subject-a", None)
    for _ in range(1_000):
        remembered.add("subject-b", SMALL)
        remembered.forget("subject-b")
    remembered.forget("subject-b")
    assert len(remembered) == 1
    assert remembered["subject-a"] is None
