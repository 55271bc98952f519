"""What `gateway replay ...` prints, for people and for programs."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.desk_options import table
from gateway.cli.replay_bar import Step
from gateway.core.reasons import Reason
from gateway.oncall import times
from gateway.oncall.replay.plan_file import PROVIDE, STALE_MS, Entry
from gateway.oncall.replay.selection import command

if TYPE_CHECKING:
    from gateway.oncall.replay.applying import Applied
    from gateway.oncall.replay.course import Course
    from gateway.oncall.replay.plan_file import Plan
    from gateway.oncall.replay.planning import Planned

SAMPLE = 5  # entries shown of a plan
SHOWN_EVENTS = 5

_REASONS = {reason.code: reason for reason in Reason}


# --- plan -------------------------------------------------------------------------------------------------


def planned(made: Planned, path: Path | None) -> str:
    """A plan for a person who decides whether to apply it; without a path there is nothing to replay."""
    plan = made.plan
    if path is None:
        parts = ["nothing to replay: no plan was written"]
    else:
        parts = [
            f"plan {plan.plan_id}: {_records(len(plan.entries))} to replay, as of {times.shown(plan.made_at)}\n"
            f"selected by: {command(plan.selection)}",
            table(("would today be", "records", "that is"), _today_rows(plan), right=("records",)),
        ]
    if made.left_out.counts:
        rows = (
            (why.value, f"{count:,}", why.sentence, _place(made.left_out.samples[why][0]))
            for why, count in made.left_out.ranked()
        )
        parts.append(table(("left out", "records", "because", "such as"), rows, right=("records",)))
    parts += [*_unknown(made)]
    if path is not None:
        rest = len(plan.entries) - SAMPLE
        rows = ((str(entry), entry.subject_ref, entry.stands, entry.today) for entry in plan.entries[:SAMPLE])
        sample = table(("record", "subject", "stands", "would today be"), rows)
        parts.append(sample + (f"\nand {rest:,} more" if rest > 0 else ""))
        name = shlex.quote(str(path))
        if PROVIDE not in plan.today():
            parts.append("None of them would be provided today: is the cause gone? If not, mend it and plan again.")
        parts.append(
            f"written to {path}, digest {plan.digest.hex()}\n"
            f"next, within {STALE_MS // 3_600_000} hours: gateway replay apply {name} --reason WHY --ticket TICKET"
        )
    return "\n\n".join(parts)


def planned_data(made: Planned, path: Path | None) -> dict[str, Any]:
    """The same for a program."""
    plan, left = made.plan, made.left_out
    return {
        "plan": None if path is None else str(path),
        "plan_id": None if path is None else plan.plan_id,
        "digest": None if path is None else plan.digest.hex(),
        "made_at": times.iso(plan.made_at),
        "entries": len(plan.entries),
        "today": plan.today(),
        "left_out": [
            {"why": why.value, "records": count, "such_as": [_place(place) for place in left.samples[why]]}
            for why, count in left.ranked()
        ],
        "unknown_event_ids": list(made.unknown_events),
        "unreadable": made.unreadable,
        "sample": [_entry(entry) for entry in plan.entries[:SAMPLE]],
    }


def _today_rows(plan: Plan) -> Iterable[tuple[str, str, str]]:
    for today, count in plan.today().items():
        yield today, f"{count:,}", _meaning(today)


def _meaning(today: str) -> str:
    if today == PROVIDE:
        return "sent to GeNiE, unless it has the event already"
    reason = _REASONS[today]
    return f"{reason.outcome.code}: {reason.sentence}"


def _unknown(made: Planned) -> Iterable[str]:
    events = made.unknown_events
    if events:
        more = f" and {len(events) - SHOWN_EVENTS:,} more" if len(events) > SHOWN_EVENTS else ""
        yield f"no ledger record has event id {', '.join(events[:SHOWN_EVENTS])}{more}: not settled, or never read"
    if made.unreadable:
        yield f"{_records(made.unreadable)} of ours could not be read and were passed over"


def _entry(entry: Entry) -> Mapping[str, Any]:
    return {
        "record": str(entry),
        "subject_ref": entry.subject_ref,
        "stands": entry.stands,
        "today": entry.today,
    }


# --- apply, cancel, status --------------------------------------------------------------------------------


def asked(course: Course) -> Step:
    """How far an apply is."""
    return Step(len(course.requested), f"{course.unsettled:,} not settled")


def settled(course: Course) -> Step:
    """How far lanes are with a plan."""
    return Step(len(course.ended), f"{len(course.requested):,} asked for")


def stopped(course: Course) -> str:
    """Where an apply stopped."""
    return (
        f"stopped with {len(course.requested):,} of {len(course.plan.entries):,} replays asked for; the same command "
        "goes on from there, `gateway replay cancel` lets none follow"
    )


def applied(plan: Plan, done: Applied, path: Path) -> str:
    """What an apply came to."""
    if not done.now:
        text = f"nothing to do: all {_records(len(plan.entries))} of the plan were asked for before"
    else:
        before = f", {done.before:,} before" if done.before else ""
        text = f"{_replays(done.now)} asked for{before}; plan {plan.plan_id}"
    return f"{text}\nfollow them: gateway replay status {shlex.quote(str(path))} --watch"


def applied_data(plan: Plan, done: Applied) -> dict[str, Any]:
    """The same for a program."""
    return {"plan_id": plan.plan_id, "entries": len(plan.entries), **asdict(done)}


def status(course: Course) -> str:
    """How far a plan is."""
    return "\n\n".join([_head(course), *_ends(course)])


def cancelled(course: Course) -> str:
    """What a cancel left of a plan."""
    entries, requested = len(course.plan.entries), len(course.requested)
    if requested == entries:
        text = f"nothing was left to cancel: all {_records(entries)} of the plan were asked for"
    else:
        text = f"cancelled: {entries - requested:,} of {_records(entries)} will not be asked for"
    back = (
        f"{_replays(requested)} asked for can't be taken back: {len(course.ended):,} settled, {course.unsettled:,} not"
    )
    return "\n\n".join([f"{text}\n{back}", *_ends(course)])


def status_data(course: Course) -> dict[str, Any]:
    """How far a plan is, for a program."""
    plan, by = course.plan, course.cancelled
    return {
        "plan_id": plan.plan_id,
        "digest": plan.digest.hex(),
        "entries": len(plan.entries),
        "requested": len(course.requested),
        "settled": len(course.ended),
        "unsettled": course.unsettled,
        "requested_twice": course.again,
        "cancelled": None if by is None else {"operator": by.operator, "at": times.iso(by.at)},
        "over": course.is_over,
        "ends": [asdict(end) for end in course.ends()],
    }


def _head(course: Course) -> str:
    plan, requested = course.plan, len(course.requested)
    lines = [
        f"plan {plan.plan_id}: {_records(len(plan.entries))}, made {times.shown(plan.made_at)}",
        f"asked for {requested:,}, settled {len(course.ended):,}, not settled {course.unsettled:,}, "
        f"not asked for {len(plan.entries) - requested:,}",
    ]
    if course.cancelled is not None:
        lines.append(f"cancelled by {course.cancelled.operator} at {times.shown(course.cancelled.at)}")
    if course.again:
        lines.append(
            f"{course.again:,} requests are on the topic twice: something else than `gateway replay apply` wrote them"
        )
    return "\n".join(lines)


def _ends(course: Course) -> list[str]:
    ends = course.ends()
    if not ends:
        return []
    rows = ((end.planned, end.outcome, end.reason, f"{end.records:,}") for end in ends)
    return [table(("planned", "ended", "reason", "records"), rows, right=("records",))]


def _place(place: tuple[str, int, int]) -> str:
    return "{}:{}:{}".format(*place)


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count:,} records"


def _replays(count: int) -> str:
    return "1 replay" if count == 1 else f"{count:,} replays"
