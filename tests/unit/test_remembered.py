"""Decoded consents kept ready: two generations, bounded in bytes whatever a consent holds."""

from gateway.core.consent import ConsentState
from gateway.kafka.remembered import STATE_BYTES, TEXT_FACTOR, Remembered
from tests.core_cases import consent

STATE: ConsentState = consent()
MOST = 20  # states that are kept at most


def remembered(count: int) -> Remembered:
    """After so many states, one after the other."""
    made = Remembered(MOST * STATE_BYTES)
    for number in range(count):
        made.add(str(number), STATE, 0)
    return made


def test_what_came_first_is_forgotten_at_the_bound() -> None:
    """The newest half of the bound is always there, and never more than the bound."""
    for count in range(1, 100):
        made = remembered(count)
        newest = [str(number) for number in range(max(0, count - MOST // 2), count)]
        assert made.find(newest).keys() == set(newest)
        assert len(made) == len(made.find(map(str, range(count)))) <= MOST


def test_long_states_leave_room_for_fewer() -> None:
    """What a consent holds counts as what it takes in memory."""
    made = remembered(0)
    for number in range(100):
        made.add(str(number), STATE, 2 * STATE_BYTES // TEXT_FACTOR)
    assert MOST // 6 <= len(made) <= MOST // 3


def test_a_state_longer_than_the_bound_is_not_kept() -> None:
    """It is read from the disk each time, and drives out no other."""
    made = remembered(MOST // 2)
    made.add("subject-long", STATE, MOST * STATE_BYTES)
    assert len(made) == MOST // 2
    assert made.find(["subject-long", "0"]) == {"0": STATE}


def test_what_has_changed_is_forgotten_in_both_generations() -> None:
    """Nobody is told what is not so any more; that there is no consent is remembered, and forgotten, like one."""
    made = remembered(MOST // 2)
    made.add("subject-young", None, 0)
    assert made.find(["0", "subject-young", "subject-other"]) == {"0": STATE, "subject-young": None}
    made.forget(["0", "subject-young", "subject-other"])
    assert made.find(["0", "subject-young", "1"]) == {"1": STATE}
