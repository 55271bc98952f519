"""When a round counts for nothing, and that a result survives its file."""

import json
from dataclasses import replace

import pytest

from load import words
from load.result import PRODUCER_LATE_MS, SANDBOX_BUSY_SHARE, PerEvent, Result, Void
from tests.load.results import SOUND


def test_a_sound_round_counts() -> None:
    """Nothing voids it, and its words say so."""
    assert SOUND.verified
    assert SOUND.voids == ()
    assert "verified: nothing lost" in words.text(SOUND)
    assert "VOID" not in words.text(SOUND)


@pytest.mark.parametrize(
    ("changed", "void"),
    [
        ({"verdict": {}}, Void.NOT_VERIFIED),
        ({"verdict": {"lost": 1, "leaked_fields": 0}}, Void.DEFECTS),
        ({"events": 0}, Void.NOTHING_SETTLED),
        ({"provided": 0}, Void.NOTHING_PROVIDED),
        ({"per_event": PerEvent(0.0, 1.0, 0.01, 0.001)}, Void.NO_FENCES),
        ({"per_event": PerEvent(0.001, 0.0, 0.01, 0.001)}, Void.NO_ANNOUNCEMENTS),
        ({"per_event": PerEvent(0.001, 1.0, 0.0, 0.001)}, Void.NO_VERIFIED_ANSWERS),
        ({"per_event": PerEvent(0.001, 1.0, 0.01, 0.0)}, Void.NO_TRANSACTIONS),
    ],
)
def test_what_voids_a_round(changed: dict[str, object], void: Void) -> None:
    """One thing wrong is enough, and it is named."""
    result = replace(SOUND, **changed)
    assert result.voids == (void,)
    assert not result.verified
    assert void.sentence in words.text(result)
    assert words.short(result)["verified"] is False


def test_a_result_survives_its_file() -> None:
    """What is read back is what was written."""
    assert Result.from_json(json.loads(json.dumps(SOUND.to_json()))) == SOUND


@pytest.mark.parametrize(
    ("changed", "mark"),
    [
        ({"genie_cores": SANDBOX_BUSY_SHARE + 0.01}, "busy"),
        ({"producer_behind_ms": PRODUCER_LATE_MS + 1}, "late"),
    ],
)
def test_a_sandbox_that_was_the_limit_is_marked(changed: dict[str, float], mark: str) -> None:
    """GeNiE had no time left, or the producer did not keep its clock: the reader is told."""
    result = replace(SOUND, sandbox=replace(SOUND.sandbox, **changed))
    assert result.to_json()["sandbox"][mark] is True
    assert SOUND.to_json()["sandbox"][mark] is False
    assert "CAREFUL" in words.text(result)
    assert "CAREFUL" not in words.text(SOUND)
