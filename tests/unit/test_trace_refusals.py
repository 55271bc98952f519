"""Traces that don't say safely where a lane goes on: each refusal says why, and what else to do."""

from collections.abc import Callable

import pytest

from gateway.core import traces as module
from gateway.core.metadata import MAX_LIVE_INTENTS, MAX_WINDOW, CommitMetadata, IntentRef
from gateway.core.traces import CLOCKS_DIFFER_MS, KEPT, Log, Traces, UnsafeStartError
from tests.unit.test_traces import APPENDED, EARLIER, END, intent, resumed, traces


def only_of_an_earlier_log() -> None:
    made = Traces(Log(0, END, APPENDED))
    made.settle(0, EARLIER)
    resumed(made, force=True)


def from_just_before() -> None:
    made = traces(range(3))
    made.settle(1, APPENDED - 1)
    made.settle(2, APPENDED - 1)
    resumed(made, force=True)


def announced_just_before() -> None:
    made = traces([0], intent(1, at=APPENDED - 1))
    made.settle(0, EARLIER)
    resumed(made, force=True)


def too_far_apart() -> None:
    made = traces([0])
    for number in range(MAX_LIVE_INTENTS):
        made.announce(intent(number + 1), IntentRef(2**60 * (number % 2), 2**60 + number * 2**50))
    for offset in range(200, 16_000, 2):
        made.settle(offset, APPENDED)
    resumed(made, force=True)


REFUSALS: list[tuple[Callable[[], object], str]] = [
    (lambda: resumed(traces(), force=True), "neither ledger nor intents have a record of it"),
    (
        only_of_an_earlier_log,
        "the ledger and the intents are about other records than those in the log: the topic was made anew. "
        "Use --from earliest --force with --lane",
    ),
    (
        from_just_before,
        "2 ledger records are about records appended up to 10 s before the first that the log holds. Either the "
        "topic was made anew just then: use --from earliest --force with --lane, or a time up to which the new log is "
        "settled. Or the clocks of the brokers differ",
    ),
    (
        lambda: resumed(traces(range(8)), end=7, force=True),
        "the ledger speaks of offset 7, but the log ends at 7: the topic was made anew, so the ledger is about other "
        "records. Use --from earliest with --lane",
    ),
    (
        lambda: resumed(traces([0, 1, 4, 9], intent(3)), start=6),
        "3 offsets below 6, where the log begins, have no ledger record and are gone: have their producers send them "
        "again. 1 of them were announced: ask GeNiE whether it holds them. (Markers of transactions look the same.) "
        "Then --force starts the lane behind them",
    ),
    (
        lambda: resumed(traces([3], intent(5)), start=1),
        "nothing is recorded of the offsets 1 to 2: the lane was begun behind them, or had not settled them yet. "
        "(Markers of transactions look the same.) --force takes what is there, after later records of the same "
        "subjects; --from a time, with --force and --lane, leaves it out",
    ),
    (
        announced_just_before,
        "the topic was made anew within 10 s of batches announced for its earlier log that have no outcome in the "
        "ledger. Ask GeNiE what it holds of them; then use --from earliest --force with --lane, or a time up to which "
        "the new log is settled",
    ),
    (
        lambda: resumed(traces([], *(intent(n) for n in range(MAX_LIVE_INTENTS + 1))), force=True),
        "161 announced batches have no outcome in the ledger, and only 160 can be named as live. Ask GeNiE what it "
        "holds of them before the lane is started by --from TIME",
    ),
    (
        lambda: traces([], *(intent(1, digest=b"%d" % n) for n in range(KEPT + 1))),
        "more than 65536 bodies were announced and are not settled",
    ),
]


@pytest.mark.parametrize(("unsafe", "text"), REFUSALS, ids=[text[:30] for _, text in REFUSALS])
def test_a_refusal_says_why_and_what_to_do(unsafe: Callable[[], object], text: str) -> None:
    """A person decides by nothing but this sentence."""
    with pytest.raises(UnsafeStartError) as refused:
        unsafe()
    assert str(refused.value) == text


def test_what_does_not_fit_the_metadata_is_refused() -> None:
    """The lane could not commit what it was opened with."""
    with pytest.raises(UnsafeStartError) as refused:
        too_far_apart()
    assert str(refused.value).startswith(
        "what is settled or announced beyond offset 1 does not fit: commit metadata of "
    )


def test_as_many_live_intents_as_can_be_named_are_taken() -> None:
    """The bound itself is no reason to refuse."""
    _, metadata = resumed(traces([], *(intent(number) for number in range(MAX_LIVE_INTENTS))))
    assert len(metadata.intents) == MAX_LIVE_INTENTS


def test_announcements_below_the_window_are_forgotten() -> None:
    """However many bodies an hour of attempts announced, those that later ones left behind take no memory."""
    made = traces([], *(intent(0, digest=b"%d" % n) for n in range(KEPT)), intent(KEPT))
    assert len(made._announced) == 1
    assert resumed(made)[1] == CommitMetadata(intents=(IntentRef(0, KEPT),))


def test_as_many_bodies_are_kept_as_may_be() -> None:
    """To the first offset of the window; what lies below it goes first."""
    last = MAX_WINDOW + 4
    made = traces([], intent(0), *(intent(5, digest=b"%d" % n) for n in range(KEPT - 1)), intent(last))
    assert len(made._announced) == KEPT
    assert min(offset for offset, _ in made._announced) == 5


def test_what_is_settled_below_the_window_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as more is kept than may be; what lies in the window stays."""
    monkeypatch.setattr(module, "KEPT", MAX_WINDOW + 5)
    made = traces(range(MAX_WINDOW + 5))
    assert len(made._settled) == MAX_WINDOW + 5
    made.settle(MAX_WINDOW + 5, APPENDED)
    assert (len(made._settled), min(made._settled)) == (MAX_WINDOW, 6)
    made.settle(3, APPENDED)
    assert len(made._settled) == MAX_WINDOW
    assert resumed(made) == (MAX_WINDOW + 6, CommitMetadata())


@pytest.mark.parametrize(
    ("settled", "announced", "start", "gone", "gone_announced"),
    [([], [0], 1, 1, 1), ([0, 2], [], 2, 1, 0), ([0], [2], 2, 1, 0), ([0, 1], [], 2, 0, 0)],
)
def test_what_has_left_the_log_is_counted_to_the_offset(
    settled: list[int], announced: list[int], start: int, gone: int, gone_announced: int
) -> None:
    """From the first that is known to the last before the log."""
    found = traces(settled, intent(*announced)).resume(start, END, force=True)
    assert (found.gone, found.gone_announced) == (gone, gone_announced)


@pytest.mark.parametrize(
    ("settled", "unrecorded"),
    [
        ([0, 10, MAX_WINDOW + 9], 9),
        ([2, 10, MAX_WINDOW + 9], 7),
        ([2, 9, 11, MAX_WINDOW + 9], 6),
        ([*range(11), MAX_WINDOW + 9], 0),
        ([10, MAX_WINDOW + 9], 0),
    ],
)
def test_what_was_never_recorded_below_the_window_is_counted(settled: list[int], unrecorded: int) -> None:
    """From the first that is known; in the window each offset is known by itself."""
    assert traces(settled).resume(0, END, force=True).unrecorded == unrecorded


def test_each_record_of_an_intent_counts_for_itself() -> None:
    """One that is settled, or of an earlier log, says nothing of those announced with it."""
    made = Traces(Log(2, END, APPENDED))
    for offset in (0, 1, 3):
        made.settle(offset, EARLIER if offset < 2 else APPENDED)
    made.announce(intent(3, 4), IntentRef(0, 0))
    made.announce(intent(5, 6, 1, 7, at=EARLIER), IntentRef(0, 1))
    found = made.resume(2, END, force=True)
    assert (found.ignored, found.metadata.intents) == (3, (IntentRef(0, 0),))
    below = traces([0, 2], {**intent(2, 1), "announced_at": APPENDED})
    assert resumed(below)[1].intents == (IntentRef(0, 0),)


@pytest.mark.parametrize(("before", "ignored"), [(CLOCKS_DIFFER_MS, 0), (CLOCKS_DIFFER_MS + 1, 1)])
def test_clocks_may_differ_by_so_much_and_no_more(before: int, ignored: int) -> None:
    """What is dated earlier than that is of another log, for sure."""
    made = traces([0], intent(1, at=APPENDED - before))
    found = made.resume(0, END, force=False)
    assert (found.ignored, len(found.metadata.intents)) == (ignored, 1 - ignored)


def test_a_trace_of_the_moment_when_the_log_began_is_of_this_log() -> None:
    """The first record itself was appended then."""
    made = Traces(Log(5, END, APPENDED))
    made.settle(5, APPENDED)
    assert made.resume(5, END, force=False).offset == 6


def test_in_an_empty_log_no_trace_is_dated_before_its_first_record() -> None:
    """Retention took all of it, so there is nothing to compare with."""
    made = Traces(Log(3, 3, None))
    for offset in range(3):
        made.settle(offset, EARLIER)
    assert made.resume(3, 3, force=False).offset == 3


def test_any_trace_makes_traces() -> None:
    """Also one of an earlier log, and one that nobody can date."""
    empty, known, ignored, doubtful = traces(), traces([0]), traces(), traces()
    ignored.settle(0, EARLIER)
    doubtful.settle(0, APPENDED - 1)
    assert [made.is_empty for made in (empty, known, ignored, doubtful)] == [True, False, False, False]
    assert not traces([], intent(0)).is_empty


def test_the_newest_settled_record_is_known_with_its_time() -> None:
    """By its offset, in whatever order the ledger is read."""
    made = traces()
    assert made.newest_settled is None
    for offset, late in ((4, 7), (9, 5), (3, 9)):
        made.settle(offset, APPENDED + late)
    assert made.newest_settled == (9, APPENDED + 5)


def test_of_two_intents_that_expire_together_the_later_read_stands() -> None:
    """And one that expires earlier never does, in whatever order they are read."""
    assert resumed(traces([], intent(0), intent(0)))[1].intents == (IntentRef(0, 1),)
    assert resumed(traces([], intent(0, at=APPENDED + 5), intent(0)))[1].intents == (IntentRef(0, 0),)


def test_live_intents_are_named_in_the_order_of_their_announcements() -> None:
    """Those of one moment in the order in which they lie."""
    made = traces([], intent(0, at=APPENDED + 5), intent(1, at=APPENDED), intent(2, at=APPENDED + 5))
    assert resumed(made)[1].intents == (IntentRef(0, 1), IntentRef(0, 0), IntentRef(0, 2))
