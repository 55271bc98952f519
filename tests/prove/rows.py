"""Which removal of which step is noticed by which tool: a row for each.

A step may have several rows: the model shows the promise that breaks, and with how few things happening; a test shows
that the code which carries the step out is looked at, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.model import removals as in_model
from tests.promises.launch import PATCHES
from tests.prove.steps import Promise, Step

TESTS = Path(__file__).parent.parent
INTEGRATION = TESTS / "integration"
AND = " and "
MOST_STORIES = 400  # a removal is mostly found in the first few; some show in only one story of a hundred
TWO_BODIES = "else GeNiE gets two bodies under one key, refuses the second, and what was provided is parked"


@dataclass(frozen=True, slots=True)
class Model:
    """The model checker, in the world that tests/model/removals.py names."""


@dataclass(frozen=True, slots=True)
class Stories:
    """The simulation: so many stories of it, of which one must be bad."""

    seeds: int


@dataclass(frozen=True, slots=True)
class Check:
    """A test that must fail, in a process without the step. Its name is unlike any other's."""

    name: str

    @property
    def path(self) -> Path:
        """The file that it is in."""
        (found,) = _files()[self.name]
        return found

    @property
    def needs_kafka(self) -> bool:
        """Whether it runs on a real one."""
        return INTEGRATION in self.path.parents

    @property
    def tests_itself(self) -> bool:
        """Whether it starts a real gateway without the step, and fails unless it notices."""
        return INTEGRATION / "promises" in self.path.parents


@dataclass(frozen=True, slots=True)
class Row:
    """A step, what is taken out, and what must notice."""

    step: Step
    removal: str
    by: Model | Stories | Check
    breaks: tuple[Promise, ...]
    instead: str = ""  # what it is for, if no promise breaks without it

    @property
    def name(self) -> str:
        """Unlike any other's."""
        by = self.by.name if isinstance(self.by, Check) else type(self.by).__name__.lower()
        return f"{self.step.value}: {self.removal}, {by}"

    @property
    def taken_out(self) -> str:
        """What the removal does, in its own words."""
        named = in_model.NAMED if isinstance(self.by, Model) else PATCHES
        return " ".join((named[each].__doc__ or "").strip() for each in self.removals)

    @property
    def removals(self) -> tuple[str, ...]:
        """The names of the functions that take it out."""
        return tuple(self.removal.split(AND))


@cache
def _files() -> dict[str, list[Path]]:
    """Where a test of each name is."""
    files: dict[str, list[Path]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for name in re.findall(r"def (test_\w+)\(", path.read_text("utf-8")):
            files.setdefault(name, []).append(path)
    return files


def _model(step: Step, removal: str, *breaks: Promise, instead: str = "") -> Row:
    return Row(step, removal, Model(), breaks, instead)


def _simulated(step: Step, removal: str, *breaks: Promise) -> Row:
    return Row(step, removal, Stories(MOST_STORIES), breaks)


def _test(step: Step, removal: str, name: str, *breaks: Promise, instead: str = "") -> Row:
    return Row(step, removal, Check(name), breaks, instead)


def _promise(step: Step, removal: str, name: str) -> Row:
    number = int(name.split("_")[2])
    return Row(step, removal, Check(name), (Promise(number),))


ROWS = (
    _model(Step.OPEN_ORDER, "read_before_taking_over", Promise.DOUBLED),
    _test(
        Step.OPEN_ORDER,
        "read_before_taking_over",
        "test_an_offset_is_read_after_the_take_over",
        Promise.DOUBLED,
    ),
    _simulated(Step.OPEN_ORDER, "read_before_taking_over", Promise.LOST, Promise.DOUBLED),
    _model(Step.ONE_ID, "an_id_for_each_process", Promise.DOUBLED),
    _simulated(Step.ONE_ID, "an_id_for_each_process", Promise.LOST, Promise.DOUBLED),
    _model(Step.MARKERS, "no_wait_for_markers", Promise.DOUBLED),
    _test(
        Step.MARKERS,
        "read_without_waiting_for_markers",
        "test_an_offset_of_a_transaction_that_has_not_ended_is_waited_for",
        Promise.DOUBLED,
    ),
    _test(
        Step.OFFSETS_LOG,
        "read_from_the_coordinator",
        "test_what_the_coordinator_remembers_is_not_asked_for",
        Promise.DOUBLED,
    ),
    _simulated(Step.OFFSETS_LOG, "read_from_the_coordinator", Promise.DOUBLED),
    _test(
        Step.PLACE,
        "any_place_is_ours",
        "test_a_lane_whose_place_is_not_known_is_refused",
        Promise.LOST,
        Promise.DOUBLED,
    ),
    _test(
        Step.EXACT,
        "intents_read_committed",
        "test_an_intent_is_read_behind_an_open_transaction",
        Promise.UNRECORDED,
    ),
    _test(
        Step.MISSING_INTENT,
        "missing_intents_are_forgotten",
        "test_a_lane_whose_intents_are_not_known_is_refused",
        Promise.UNRECORDED,
    ),
    _test(
        Step.OPENINGS,
        "openings_are_not_counted",
        "test_openings_are_counted_until_something_is_settled",
        Promise.BLOCKED,
    ),
    _model(Step.KEYS, "a_key_for_each_record", Promise.DOUBLED),
    _test(Step.KEYS, "a_key_for_each_time", "test_idempotency_key", Promise.DOUBLED),
    _test(
        Step.BODIES,
        "a_body_for_each_attempt",
        "test_a_retry_is_a_new_decision_about_the_same_bytes",
        instead="else nothing could be sent again: (d) and (f) compare bodies, and would look it up",
    ),
    _model(Step.BODIES, AND.join(("a_body_for_each_attempt", "another_body_after_an_unknown")), instead=TWO_BODIES),
    _promise(
        Step.ITEMS,
        AND.join(("unregistered_inputs", "library_logs", "unchecked_keys")),
        "test_promise_6_only_allowed_items_leave",
    ),
    _model(Step.SETTLE, "ledger_outside_the_transaction", Promise.LOST),
    _promise(Step.SETTLE, "ledger_outside_the_transaction", "test_promise_4_exactly_one_ledger_record"),
    _model(Step.WATERMARK, "watermark_at_the_position", Promise.LOST),
    _promise(Step.WATERMARK, "watermark_at_the_position", "test_promise_1_nothing_is_lost"),
    _test(
        Step.GAPS,
        "gaps_stay_open",
        "test_gaps_are_committed_once_the_position_has_passed_them",
        instead="else lag never ends behind the last record, and a start reads gaps again",
    ),
    _model(Step.SETTLED_SET, "no_settled_set", Promise.DOUBLED),
    _promise(Step.SETTLED_SET, "no_settled_set", "test_promise_4_holds_beyond_the_watermark"),
    _model(Step.LIVE_INTENTS, "no_live_intents", Promise.UNRECORDED),
    _promise(Step.LIVE_INTENTS, "no_live_intents", "test_promise_3_no_provision_goes_unrecorded"),
    _model(Step.INTENT, "send_before_the_intent", Promise.UNRECORDED),
    _test(
        Step.INTENT,
        "send_before_the_intent",
        "test_nothing_is_sent_before_its_intent_is_committed",
        Promise.UNRECORDED,
    ),
    _model(Step.EXPIRES, "expires_from_the_sending", Promise.UNRECORDED),
    _test(
        Step.SLOT,
        "announced_without_a_slot",
        "test_a_slot_is_held_before_anything_is_announced",
        instead="else announcements expire in a queue for a connection",
    ),
    _test(
        Step.FUTURES,
        "writes_are_not_looked_at",
        "test_a_batch_that_is_refused_is_not_written",
        Promise.LOST,
        Promise.UNRECORDED,
    ),
    _test(
        Step.FUTURES,
        "writes_are_not_looked_at",
        "test_a_failed_produce_is_never_committed",
        Promise.LOST,
        Promise.UNRECORDED,
    ),
    _test(
        Step.FUTURES,
        "partitions_that_were_refused",
        "test_nothing_is_written_to_a_partition_that_was_refused",
        Promise.LOST,
    ),
    _model(Step.ENDTXN, "doubt_is_asked_again", Promise.DOUBLED),
    _test(
        Step.ENDTXN,
        "endtxn_is_repeated",
        "test_a_lost_answer_to_endtxn_is_doubtful",
        Promise.DOUBLED,
    ),
    _test(
        Step.ENDTXN,
        "offsets_are_repeated",
        "test_a_lost_answer_to_the_offsets_is_doubtful",
        Promise.DOUBLED,
    ),
    _model(Step.FENCE, "no_fence", Promise.UNCONSENTED),
    _promise(Step.FENCE, "no_fence", "test_promise_2_nothing_leaves_without_valid_consent"),
    _model(Step.FENCE, "withhold_without_a_fence", instead="else a record is withheld although consent was renewed"),
    _test(
        Step.FENCE,
        "view_before_the_fence",
        "test_a_fence_brings_what_is_known_once_it_is_reached",
        Promise.UNCONSENTED,
    ),
    _simulated(Step.FENCE, "view_before_the_fence", Promise.UNCONSENTED),
    _test(Step.FENCE, "a_failed_fence_counts", "test_a_call_that_fails_is_told", Promise.UNCONSENTED),
    _model(Step.FENCE_AFTER, "fence_before_the_announcement", Promise.UNCONSENTED),
    _test(
        Step.FENCE_AFTER,
        "join_the_running_round",
        "test_who_comes_during_a_round_joins_the_next",
        Promise.UNCONSENTED,
    ),
    _test(
        Step.FENCE_ENDS,
        "ends_read_committed",
        "test_a_fence_waits_for_a_withdrawal_without_its_marker",
        Promise.UNCONSENTED,
    ),
    _simulated(Step.FENCE_ENDS, "ends_read_committed", Promise.UNCONSENTED),
    _simulated(Step.FENCE_ENDS, "controls_unfenced", Promise.UNCONSENTED),
    _test(
        Step.FENCE_ENDS,
        "partitions_as_first_seen",
        "test_a_fence_finds_a_partition_that_was_added",
        Promise.UNCONSENTED,
    ),
    _test(
        Step.FENCE_CLOCK,
        "the_clock_after_the_ends",
        "test_the_clock_is_read_before_the_end_offsets",
        Promise.UNCONSENTED,
    ),
    _test(
        Step.FENCE_CLOCK,
        "decisions_never_get_old",
        "test_a_decision_that_got_old_is_fenced_again",
        Promise.UNCONSENTED,
    ),
    _model(
        Step.AS_ANNOUNCED,
        "other_body_than_announced",
        instead="else the next owner's ledger record can't say what GeNiE has",
    ),
    _model(Step.REDECIDE, "retry_on_the_old_decision", Promise.UNCONSENTED),
    _promise(Step.REDECIDE, "retry_on_the_old_decision", "test_promise_2_holds_for_every_retry"),
    _model(Step.WAIT, "withhold_without_asking", Promise.UNRECORDED),
    _promise(Step.WAIT, "withhold_without_asking", "test_promise_3_no_provision_goes_unrecorded"),
    _model(Step.WAIT, "give_up_at_once", Promise.OUT_OF_ORDER),
    _model(Step.SAME_BODY, "another_body_after_an_unknown", instead=TWO_BODIES),
    _model(Step.AS_OF, "believe_any_lookup", Promise.UNRECORDED),
    _model(Step.AS_OF, "ask_at_once", Promise.UNRECORDED),
    _model(Step.SIGNED, "believe_anybody", Promise.UNRECORDED),
    _model(Step.RESULTS, "a_refusal_is_an_acceptance", Promise.LOST),
    _simulated(Step.RESULTS, "a_refusal_is_an_acceptance", Promise.LOST),
    _model(Step.RESULTS, "a_retry_is_a_rejection", instead="else a record is parked that GeNiE would have taken"),
    _model(Step.REPLAY, "replay_without_asking", Promise.DOUBLED),
    _test(
        Step.REPLAY_AFTER,
        "replay_at_any_time",
        "test_what_its_own_lane_still_works_on_is_not_replayed",
        Promise.DOUBLED,
    ),
    _simulated(Step.REPLAY_AFTER, "replay_at_any_time", Promise.DOUBLED),
    _promise(Step.BISECT, "no_bisection", "test_promise_8_poison_never_blocks"),
    _model(Step.REOPEN, "doubt_is_success", Promise.LOST),
    _test(
        Step.REOPEN,
        "doubt_is_success",
        "test_a_doubt_lets_go_of_all_before_the_lane_opens_again",
        Promise.LOST,
    ),
    _simulated(Step.REOPEN, "doubt_is_success", Promise.LOST),
    _test(
        Step.MEMBERSHIP,
        "reopen_without_the_group",
        "test_a_doubt_lets_go_of_all_before_the_lane_opens_again",
        instead="else two processes take a lane from each other for ever",
    ),
    _test(
        Step.TWICE,
        "reopen_again_and_again",
        "test_a_second_doubt_says_where_and_what_to_do",
        instead="else a lane that can't commit goes on trying unseen",
    ),
    _test(
        Step.DROP,
        "letting_go_flushes",
        "test_letting_go_loses_what_connections_buffer",
        instead="else an owner that has gone still writes, and only its epoch keeps that out",
    ),
    _model(Step.ORDER, "any_order", Promise.OUT_OF_ORDER),
    _promise(Step.ORDER, "any_order", "test_promise_5_order_per_subject"),
    _model(Step.ORDER, "overtake_at_the_fence", Promise.OUT_OF_ORDER),
    _model(Step.ORDER, "overtake_the_unknown", Promise.OUT_OF_ORDER),
    _promise(Step.POISON, "poison_raises", "test_promise_8_poison_never_blocks"),
    _test(
        Step.POISON,
        "without_the_registry",
        "test_a_lane_waits_for_the_registry_and_says_so_once",
        Promise.LOST,
    ),
    _model(Step.HOLDS, "a_hold_parks_nothing", Promise.UNCONSENTED),
    _model(Step.HOLDS, "a_hold_pauses_nothing", Promise.UNCONSENTED),
    _test(
        Step.WINDOW,
        "no_window",
        "test_the_window_bounds_how_far_the_lane_reads_ahead",
        Promise.UNBOUNDED,
    ),
    _test(
        Step.WINDOW,
        "more_live_intents_than_fit",
        "test_at_the_bound_of_live_intents_lookups_make_room",
        Promise.UNRECORDED,
    ),
    _promise(Step.BYTES, "no_byte_bounds", "test_promise_7_memory_stays_bounded"),
    _test(
        Step.DRAIN,
        "close_at_once",
        "test_closing_settles_what_is_in_flight_and_takes_nothing_new",
        instead="else each restart leaves unknown outcomes behind",
    ),
    _test(
        Step.DRAIN,
        "a_rebalance_waits_for_nothing",
        "test_a_lane_that_closes_in_time_is_waited_for",
        instead="else the next owner takes over while this one still settles",
    ),
)
