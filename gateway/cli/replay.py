"""`gateway replay ...`: process records again, through the same checks as any other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import completions
from gateway.cli.answers import AsJson, answer
from gateway.cli.desk_options import Index, OperatorName, Since, Ticket, Until, Why, at_desk, operator, span
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import Bootstrap, Prefix, Registry
from gateway.cli.ledger_options import at_ledger
from gateway.cli.policy_option import PolicyFile, rules_by

if TYPE_CHECKING:
    from gateway.oncall.desk import Desk
    from gateway.oncall.ledger.source import Ledger
    from gateway.oncall.replay.applying import Applied
    from gateway.oncall.replay.course import Course
    from gateway.oncall.replay.plan_file import Plan
    from gateway.oncall.replay.planning import Planned
    from gateway.oncall.replay.selection import Selection

WITHOUT_YES = 100  # records that a plan may ask for without --yes

app = typer.Typer(help="Process records again, through the same checks as any other.", no_args_is_help=True)

PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="A file that `gateway replay plan` wrote.")]


@app.command()
def plan(
    *,
    parked_reason: Annotated[
        list[str] | None,
        typer.Option("--parked-reason", autocompletion=completions.parked_reasons, help="Parked, and for this reason."),
    ] = None,
    ledger_reason: Annotated[
        list[str] | None,
        typer.Option("--ledger-reason", autocompletion=completions.reasons, help="Ended for this reason."),
    ] = None,
    outcome: Annotated[
        list[str] | None,
        typer.Option(
            "--outcome", autocompletion=completions.outcomes, help="PARKED, WITHHELD or INVALID; by default PARKED."
        ),
    ] = None,
    event_type: Annotated[
        list[str] | None,
        typer.Option("--event-type", autocompletion=completions.event_types, help="Of this type."),
    ] = None,
    producer: Annotated[list[str] | None, typer.Option("--producer", help="From this producing service.")] = None,
    event_id: Annotated[list[str] | None, typer.Option("--event-id", help="This event, whatever became of it.")] = None,
    offset: Annotated[
        list[str] | None,
        typer.Option("--offset", help="topic:partition:offset or topic:partition:first-last, whatever became of it."),
    ] = None,
    subject: Annotated[list[str] | None, typer.Option("--subject", help="Of this customer, by subject_ref.")] = None,
    since: Since = "",
    until: Until = "",
    would_provide: Annotated[bool, typer.Option("--would-provide", help="Only what would be provided today.")] = False,
    often: Annotated[bool, typer.Option("--often", help="Take what was replayed 5 times or more, too.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", show_default=False, help="The file to write; by default replay-ID.json.")
    ] = None,
    policy_file: PolicyFile,
    index: Index = "",
    bootstrap: Bootstrap,
    prefix: Prefix,
    registry: Registry,
    as_json: AsJson = False,
) -> None:
    """Find records to process again, say what would become of each today, and write that down as a plan.

    A record is taken as it stands now: all options must fit, of an option that is repeated one. --since and --until
    are about when it was settled. Left out, and counted, is what a replay can't help: what is not settled yet, what
    GeNiE has, what was replayed since. Nothing is changed. Ends with 1 if no record is left to replay.

    Example: gateway replay plan --parked-reason held --since 2h --out plan.json
    """
    from gateway.cli import replay_texts
    from gateway.oncall.replay.planning import Planning, TooManyError

    start, end = span(since, until)
    chosen = _selection(
        parked_reason=parked_reason,
        outcomes=outcome,
        reasons=ledger_reason,
        event_types=event_type,
        producers=producer,
        event_ids=event_id,
        offsets=offset,
        subjects=subject,
        since=start,
        until=end,
        would_provide=would_provide,
        often=often,
    )
    rules = rules_by(policy_file)
    if out is not None and out.exists():  # said before much is read
        raise CommandError(Exit.WRONG_USE, f"{out} is there already: give another name by --out, or remove it")

    async def do(desk: Desk, ledger: Ledger) -> Planned:
        try:
            return await Planning(desk, ledger, rules, chosen).run()
        except TooManyError as error:
            raise CommandError(Exit.FOUND_WRONG, str(error)) from None

    planned = at_ledger(bootstrap, prefix, registry, index, do)
    path = None
    if planned.plan.entries:
        path = out or Path(f"replay-{planned.plan.plan_id[:8]}.json")
        _written(planned.plan, path)
    answer(replay_texts.planned(planned, path), replay_texts.planned_data(planned, path), as_json=as_json)
    if path is None:
        raise typer.Exit(Exit.FOUND_WRONG)


@app.command()
def apply(
    plan_file: PlanFile,
    *,
    reason: Why,
    ticket: Ticket,
    who: OperatorName,
    rate: Annotated[
        str, typer.Option("--rate", help="Replays asked for in a second, 1 to 1000: 100 or 100/s.")
    ] = "100",
    yes: Annotated[bool, typer.Option("--yes", help="Also if it is more than 100 records.")] = False,
    bootstrap: Bootstrap,
    prefix: Prefix,
    registry: Registry,
    as_json: AsJson = False,
) -> None:
    """Ask for the replays of a plan, each once, however often it is applied.

    Lanes take them as they take any record: consent, holds and order are asked for anew, and GeNiE is asked whether it
    has the event. Never more than a second's worth waits for them, so that live events keep their pace. Stopped by
    Ctrl-C or worse, the same command goes on where it was. A plan that was edited, is older than 24 hours, was
    cancelled, or whose records another plan replayed, is refused; one that is cancelled or grows too old on the way is
    gone on with for some seconds at most, and ends with 1. Writes an audit record first.

    Example: gateway replay apply plan.json --reason "hold released" --ticket INC-7 --yes
    """
    from gateway.cli import replay_texts
    from gateway.cli.replay_bar import Bar
    from gateway.oncall.replay.applying import Applying, StalledError
    from gateway.oncall.replay.plan_file import PlanError
    from gateway.oncall.replay.requests import TakenOverError

    by, a_second, to_apply = operator(who, reason, ticket), _rate(rate), _read(plan_file)
    if len(to_apply.entries) > WITHOUT_YES and not yes:
        raise CommandError(
            Exit.WRONG_USE,
            f"this plan asks for {len(to_apply.entries):,} replays: look at it once more, then add --yes",
        )

    async def do(desk: Desk) -> Applied:
        with Bar(desk, len(to_apply.entries), "asked for") as bar:
            applying = Applying(desk, to_apply, by, a_second, lambda course: bar.show(replay_texts.asked(course)))
            try:
                return await applying.run()
            except PlanError:
                raise
            except BaseException:
                bar.say(replay_texts.stopped(applying.course))
                raise

    applied = at_desk(bootstrap, prefix, registry, do, (PlanError, TakenOverError, StalledError))
    answer(
        replay_texts.applied(to_apply, applied, plan_file),
        replay_texts.applied_data(to_apply, applied),
        as_json=as_json,
    )


@app.command()
def status(
    plan_file: PlanFile,
    *,
    watching: Annotated[bool, typer.Option("--watch", help="Until all is settled; Ctrl-C stops watching.")] = False,
    bootstrap: Bootstrap,
    prefix: Prefix,
    registry: Registry,
    as_json: AsJson = False,
) -> None:
    """Say how far a plan is: how its replays ended in the ledger, beside what was planned, and what is left.

    Ends with 1 if a replay ended PARKED or INVALID.

    Example: gateway replay status plan.json --watch
    """
    from gateway.cli import replay_texts
    from gateway.cli.replay_bar import Bar
    from gateway.oncall.replay.plan_file import PlanError

    followed = _read(plan_file)

    async def do(desk: Desk) -> Course:
        from gateway.oncall.replay.course import Course, watch

        course = Course(desk, followed)
        await course.check_cluster()
        if not watching:
            await course.follow()
            return course
        with Bar(desk, len(followed.entries), "settled") as bar:
            await watch(course, lambda course: bar.show(replay_texts.settled(course)))
        return course

    course = at_desk(bootstrap, prefix, registry, do, (PlanError,))
    answer(replay_texts.status(course), replay_texts.status_data(course), as_json=as_json)
    if course.again or any(end.outcome in ("PARKED", "INVALID") for end in course.ends()):
        raise typer.Exit(Exit.FOUND_WRONG)


@app.command()
def cancel(
    plan_file: PlanFile,
    *,
    reason: Why,
    ticket: Ticket,
    who: OperatorName,
    bootstrap: Bootstrap,
    prefix: Prefix,
    registry: Registry,
    as_json: AsJson = False,
) -> None:
    """Let no more replays of a plan be asked for, by an apply that runs or by a later one.

    What was asked for already can't be taken back; it is counted. Writes an audit record first.

    Example: gateway replay cancel plan.json --reason "wrong selection" --ticket INC-7
    """
    from gateway.cli import replay_texts
    from gateway.oncall.replay.plan_file import PlanError

    by, to_cancel = operator(who, reason, ticket), _read(plan_file)

    async def do(desk: Desk) -> Course:
        from gateway.oncall.replay.applying import cancel

        return await cancel(desk, to_cancel, by)

    course = at_desk(bootstrap, prefix, registry, do, (PlanError,))
    answer(replay_texts.cancelled(course), replay_texts.status_data(course), as_json=as_json)


def _selection(*, parked_reason: list[str] | None, offsets: list[str] | None, **given: object) -> Selection:
    from typing import Any

    from gateway.core.reasons import Outcome, Reason
    from gateway.oncall.replay.selection import Range, Selection, SelectionError

    parts: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    parts = {name: () if value is None and name not in ("since", "until") else value for name, value in parts.items()}
    codes = {each.code for each in Reason if each.outcome is Outcome.PARKED}
    for code in parked_reason or ():
        if code not in codes:
            raise CommandError(Exit.WRONG_USE, f"--parked-reason {code[:40]}: give one of {', '.join(sorted(codes))}")
    parts["reasons"] = (*(parked_reason or ()), *parts["reasons"])
    try:
        return Selection(offsets=tuple(Range.parse(text) for text in offsets or ()), **parts)
    except SelectionError as error:
        raise CommandError(Exit.WRONG_USE, str(error)) from None


def _read(path: Path) -> Plan:
    from gateway.oncall.replay import plan_file

    try:
        return plan_file.read(path)
    except plan_file.NoPlanFileError as error:
        raise CommandError(Exit.WRONG_USE, str(error)) from None
    except plan_file.PlanError as error:
        raise CommandError(Exit.FOUND_WRONG, str(error)) from None


def _written(made: Plan, path: Path) -> None:
    from gateway.oncall.replay.plan_file import PlanError

    try:
        made.write(path)
    except PlanError as error:
        raise CommandError(Exit.WRONG_USE, str(error)) from None


def _rate(text: str) -> int:
    from gateway.oncall.replay.applying import MAX_RATE

    number = text.removesuffix("/s")
    if not number.isdecimal() or not 1 <= int(number) <= MAX_RATE:
        raise CommandError(Exit.WRONG_USE, f"--rate {text[:20]}: give 1 to {MAX_RATE}, replays a second")
    return int(number)
