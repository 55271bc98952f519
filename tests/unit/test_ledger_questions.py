"""How GeNiE is asked: at the agreed pace, again while that helps, never without end."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest

from gateway.core.outcome import (
    Answer,
    First,
    LookupReply,
    LookupResult,
    LookupStatus,
    Loss,
    Lost,
    NotSent,
    Reply,
    Unsent,
)
from gateway.oncall.ledger.questions import (
    PROCESSING_TRIES,
    TRIES,
    GenieAwayError,
    GenieRefusesError,
    Questions,
    Said,
)

FIRST = First("origin", bytes(32), bytes(32), 1)
ABSENT, PROCESSING = LookupStatus.NOT_RECEIVED, LookupStatus.PROCESSING
AWAY: tuple[Answer, ...] = (
    NotSent(Unsent.REFUSED),
    Lost(Loss.TIMEOUT),
    Reply(503, True, "application/json", 20_000, None, None, b"", "key"),
    Reply(200, False, "application/json", None, None, None, b"", None),
)


class Genie:
    """Answers as told, and tells the time."""

    def __init__(self, answers: Iterator[LookupReply | Answer]) -> None:
        self.now = 0.0
        self.asked: list[tuple[float, tuple[str, ...]]] = []
        self._answers = answers

    async def look_up(self, keys: Sequence[str]) -> LookupReply | Answer:
        self.asked.append((self.now, tuple(keys)))
        return next(self._answers)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def questions(self, per_second: float = 1) -> Questions:
        return Questions(self.look_up, per_second, clock=lambda: self.now, sleep=self.sleep)


def said(*results: tuple[str, LookupStatus], as_of: int = 9) -> LookupReply:
    return LookupReply(
        as_of,
        tuple(LookupResult(key, status, FIRST if status is LookupStatus.RECEIVED else None) for key, status in results),
    )


async def test_questions_keep_their_pace() -> None:
    """However fast the answers come; time that went by is not made up for."""
    genie = Genie(said(("a", ABSENT)) for _ in range(9))
    questions = genie.questions(per_second=4)
    for _ in range(3):
        await questions.ask(["a"])
    genie.now = 100.0
    for _ in range(3):
        await questions.ask(["a"])
    assert [at for at, _ in genie.asked] == [0.0, 0.25, 0.5, 100.0, 100.25, 100.5]
    assert questions.asked == 6


async def test_what_is_being_judged_or_left_out_is_asked_again() -> None:
    """Alone; what it then says counts, with its own time."""
    answers = iter(
        [said(("a", ABSENT), ("b", PROCESSING)), said(("b", LookupStatus.RECEIVED), ("c", ABSENT), as_of=12)]
    )
    genie = Genie(answers)
    found = await genie.questions().ask(["a", "b", "c"])
    assert [keys for _, keys in genie.asked] == [("a", "b", "c"), ("b", "c")]
    assert found == {
        "a": Said(LookupResult("a", ABSENT), 9),
        "b": Said(LookupResult("b", LookupStatus.RECEIVED, FIRST), 12),
        "c": Said(LookupResult("c", ABSENT), 12),
    }


async def test_it_is_not_asked_for_ever_about_a_key() -> None:
    """The last word stays: it is being judged; one never spoken of is left out."""
    genie = Genie(said(("a", PROCESSING)) for _ in range(99))
    found = await genie.questions().ask(["a", "b"])
    assert found == {"a": Said(LookupResult("a", PROCESSING), 9)}
    assert len(genie.asked) == PROCESSING_TRIES


@pytest.mark.parametrize("answer", AWAY)
async def test_a_question_without_answer_is_asked_again_and_then_no_more(answer: Answer) -> None:
    """Later and later, and never before Retry-After."""
    genie = Genie(answer for _ in range(99))
    with pytest.raises(GenieAwayError, match="gateway check --genie"):
        await genie.questions().ask(["a"])
    times = [at for at, _ in genie.asked]
    waits = [after - before for before, after in pairwise(times)]
    assert len(times) == TRIES
    assert waits == sorted(waits)
    assert min(waits) >= (20.0 if isinstance(answer, Reply) and answer.retry_after_ms else 1.0)


async def test_an_answer_after_failures_counts() -> None:
    """Each question begins with all its tries."""
    once = [*AWAY, said(("a", ABSENT))]
    genie = Genie(iter(once * 3))
    questions = genie.questions()
    for _ in range(3):
        assert (await questions.ask(["a"]))["a"].result.status is ABSENT


@pytest.mark.parametrize("status", [401, 403, 404, 415, 302, 418])
async def test_who_is_refused_asks_no_more(status: int) -> None:
    """Our configuration or theirs is wrong."""
    genie = Genie(iter([Reply(status, True, "application/json", None, None, None, b"", "key")]))
    with pytest.raises(GenieRefusesError):
        await genie.questions().ask(["a"])
