"""`gateway explain`: the story of one event, and what would become of it now."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.desk_options import Index, OperatorName, Since, Ticket, Why, at_desk, moment, operator
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import Bootstrap, Group, Prefix, Registry
from gateway.cli.paragraphs import counted, labelled
from gateway.cli.policy_option import PolicyFile, rules_by
from gateway.cli.revealed import Reveal, Unmasked, revealed_data, revealed_text

if TYPE_CHECKING:
    from gateway.core.decide import Permit
    from gateway.core.policy import Policy
    from gateway.oncall.audit import Operator
    from gateway.oncall.desk import Desk
    from gateway.oncall.explain import Search, Traces
    from gateway.oncall.ledger.source import Place
    from gateway.oncall.reveal import Revealed
    from gateway.oncall.standing import Rules, Verdict
    from gateway.oncall.story import Step, Story, Told

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed, understood."""

    event_id: str
    place: Place | None
    since: int | None
    group: str
    index: str
    rules: Rules
    what_if: bool
    who: Operator | None  # looks inside
    unmasked: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to print."""

    story: Story
    verdict: Verdict | None
    revealed: Revealed | None


def explain(
    *,
    event_id: Annotated[
        str, typer.Argument(metavar="[EVENT_ID]", show_default=False, help="event_id or score_id of the event.")
    ] = "",
    offset: Annotated[
        str, typer.Option("--offset", show_default=False, help="Or topic:partition:offset of its record or its replay.")
    ] = "",
    what_if: Annotated[
        bool, typer.Option("--what-if", help="Also decide it again now, by consent, holds and policy; send nothing.")
    ] = False,
    reveal: Reveal = False,
    unmasked: Unmasked = False,
    operator_name: OperatorName = "",
    why: Why = "",
    ticket: Ticket = "",
    since: Since = "",
    index: Index = "",
    policy_file: PolicyFile,
    bootstrap: Bootstrap,
    prefix: Prefix,
    group: Group,
    registry: Registry,
    as_json: AsJson = False,
) -> None:
    """Tell the story of one event, from the topics: arrived, announced, decided, answered, settled, parked, replayed.

    Each decision names the rule of core/decide.py, the words of the policy and the consent that it went by. Nothing of
    the customer is shown but references; --reveal shows the shape of what is in the record, and is audited.
    Example: gateway explain 7d4f1f0e-2f0b-4a53-9a39-0a4f1c1f4c11 --what-if
    """
    if bool(event_id) == bool(offset):
        raise CommandError(Exit.WRONG_USE, "give either an EVENT_ID or --offset TOPIC:PARTITION:OFFSET")
    if unmasked and not reveal:
        raise CommandError(Exit.WRONG_USE, "--unmasked: it goes with --reveal, which says who looks and why")
    asked = Asked(
        _event_id(event_id) if event_id else "",
        _place(offset) if offset else None,
        moment("--since", since),
        group,
        index,
        rules_by(policy_file),
        what_if,
        operator(operator_name, why, ticket) if reveal else None,
        unmasked,
    )
    from gateway.oncall.explain import NothingFoundError

    async def do(desk: Desk) -> Found:
        return await _look(desk, asked)

    found = at_desk(bootstrap, prefix, registry, do, (NothingFoundError,))
    answer("\n".join(_lines(found, asked)), _data(found, asked), as_json=as_json)


async def _look(desk: Desk, asked: Asked) -> Found:
    from gateway.oncall.explain import Search
    from gateway.oncall.ledger.source import open_ledger
    from gateway.oncall.reveal import reveal
    from gateway.oncall.story import tell
    from gateway.oncall.wary import wary
    from gateway.oncall.whatif import what_if

    async with open_ledger(desk, asked.index) as ledger, wary(desk) as careful:
        traces = await _traces(Search(desk, careful, ledger, asked.group, asked.since), asked)
    verdict = revealed = None
    place, original = traces.original(asked.place)
    if asked.what_if and original is not None:
        verdict = await what_if(desk, original, asked.rules)
    if asked.who is not None:
        revealed = await reveal(desk, asked.who, "explain", place, traces.subject_ref, unmasked=asked.unmasked)
    return Found(tell(traces, asked.rules.policy, desk.names.ledger), verdict, revealed)


async def _traces(search: Search, asked: Asked) -> Traces:
    return await (search.by_id(asked.event_id) if asked.place is None else search.by_place(asked.place))


def _event_id(text: str) -> str:
    from gateway.core.events import is_uuid

    if not is_uuid(text):
        raise CommandError(
            Exit.WRONG_USE, f"{text[:64]}: an event id is a UUID in lower case; for a place give --offset"
        )
    return text


def _place(text: str) -> Place:
    from gateway.oncall.places import parse_place

    try:
        return parse_place(text)
    except ValueError as error:
        raise CommandError(Exit.WRONG_USE, f"--offset {text}: {error}") from None


def _lines(found: Found, asked: Asked) -> list[str]:
    story = found.story
    name = f"event {story.event_id}" if story.event_id else "an event that can't be read"
    about = f"{story.event_type or 'unknown type'} of {story.subject_ref or 'an unknown subject'}"
    lines = [f"{name}: {about}", *(f"  {_now(told)}" for told in story.records), ""]
    lines.insert(-1, f"  {_at_genie(story)}")
    for before, step in zip((None, *story.steps), story.steps, strict=False):
        lines += _step(step, before, several=len(story.records) > 1)
    lines += ["", f"{_records(story)}, {counted(len(story.steps), 'step')}", *story.notes]
    if asked.what_if:
        lines += ["", *_what_if(found.verdict, story, asked.rules.policy)]
    if asked.who is not None:
        return [*lines, "", *revealed_text(found.revealed)]
    commands = _next(story, asked)
    return [*lines, "next:", *(f"  {command}" for command in commands)] if commands else lines


def _now(told: Told) -> str:
    where = told.place if told.replay_of is None else f"{told.place} (replay of {told.replay_of})"
    if told.outcome is None:
        return f"{where}: not settled yet"
    gone = ", gone from the log" if told.gone else ""
    return f"{where}: {told.outcome} {told.reason}, transmitted {told.transmitted}{gone}"


def _at_genie(story: Story) -> str:
    if any(told.is_kept for told in story.records):
        return "GeNiE has it"
    transmitted = {told.transmitted for told in story.records} - {"yes"}
    if transmitted & {"unknown", None}:
        return "GeNiE may have it, or may yet get it"
    return "GeNiE does not have it"


def _step(step: Step, before: Step | None, *, several: bool) -> list[str]:
    """What happened, and how long after the step before."""
    from gateway.oncall.times import shown

    where = step.where if step.about == step.where or not step.about else f"in {step.where}"
    about = f"{step.about}, " if several and step.about != step.where and step.about else ""
    after = "" if before is None else _after(step.at - before.at)
    head = f"{shown(step.at)}  {after:>12}  {step.what:<9}  {about}{where}"
    return [head, *labelled((("", line) for line in step.told), 4)]


def _after(ms: int) -> str:
    from gateway.oncall.times import lasted

    return f"+{ms / 1000:.3f} s" if ms < MINUTE_MS else f"+{lasted(ms)}"


def _records(story: Story) -> str:
    replays = sum(told.replay_of is not None for told in story.records)
    inputs = len(story.records) - replays
    same = " of the same event" if inputs > 1 else ""
    return f"{counted(inputs, 'input record')}{same}, {counted(replays, 'replay')}"


def _what_if(verdict: Verdict | None, story: Story, policy: Policy) -> list[str]:
    from gateway.core.reasons import Reason
    from gateway.oncall.times import shown

    if verdict is None:
        return ["what if: the input topic no longer has the record, so there is nothing to decide about"]
    head = f"what if it were decided now, {shown(verdict.at)} (nothing was sent):"
    if not isinstance(verdict.said, Reason):
        return [head, *labelled([*_permitted(verdict.said, policy), *_already(story)])]
    return [head, *labelled(_refused(verdict, verdict.said, story, policy))]


def _permitted(permit: Permit, policy: Policy) -> list[tuple[str, str]]:
    from gateway.oncall.clauses import purposes_in_numbers, shown_day
    from gateway.oncall.times import shown

    consent = permit.consent
    ends = "" if consent.expires_at is None else f", ends {shown(consent.expires_at)}"
    return [
        ("permit", "every rule of core/decide.py holds"),
        *(("items" if not at else "", f"{item}: {policy.texts[item]}") for at, item in enumerate(permit.scope.items)),
        ("purposes", f"{purposes_in_numbers(permit.scope.purposes, policy)} of the policy's {len(policy.purposes)}"),
        (
            "consent",
            f"version {consent.version} ({consent.record_id}), {consent.status.value} {shown(consent.consented_at)}, "
            f"policy version {shown_day(consent.policy_version)}{ends}",
        ),
    ]


def _already(story: Story) -> list[tuple[str, str]]:
    if any(told.is_kept for told in story.records):
        return [
            ("but", "GeNiE has this event already: a replay would end as DUPLICATE or SUPERSEDED and provide nothing")
        ]
    return []


def _refused(verdict: Verdict, reason: Any, story: Story, policy: Policy) -> list[tuple[str, str]]:
    from gateway.core.consent import Consent
    from gateway.oncall.clauses import clauses_of, rule_of, shown_day
    from gateway.oncall.whatif import hold_in_words

    consent = verdict.state if isinstance(verdict.state, Consent) else None
    version = None if consent is None else consent.policy_version
    rule = rule_of(reason.code, announced=False)
    rows = [(reason.outcome.code.lower(), f"{reason.code}: {reason.sentence}")]
    rows += [("rule", f"core/decide.py requires that {rule}")] if rule else []
    rows += [("policy", each) for each in clauses_of(reason.code, story.event_type, version, (), policy)]
    names = _holds(verdict)
    rows += [("hold", f"{hold_in_words(hold)}, {name}") for hold, name in zip(verdict.holds, names, strict=True)]
    if consent is not None:
        told = f"version {consent.version} ({consent.record_id}), {consent.status.value}"
        rows.append(("consent", f"{told}, policy version {shown_day(consent.policy_version)}"))
    return [*rows, ("do", reason.remedy)]


def _holds(verdict: Verdict) -> list[str]:
    """Their ids; one that is none of ours may say anything."""
    from gateway.oncall.places import id_or_place

    return [id_or_place(hold.hold_id, "`gateway hold list`") for hold in verdict.holds]


def _next(story: Story, asked: Asked) -> list[str]:
    commands = [] if asked.what_if else [f"gateway explain {_named(story)} --what-if"]
    resolved = {step.about for step in story.steps if step.what == "resolved"}
    stuck = [told.replay_of or told.place for told in story.records if told.outcome == "PARKED"]
    commands += [f"gateway parked show {place}" for place in dict.fromkeys(stuck) if place not in resolved]
    if story.subject_ref is not None:
        commands.append(f"gateway consent show {story.subject_ref}")
    return commands


def _named(story: Story) -> str:
    return story.event_id or f"--offset {story.records[0].place}"


def _data(found: Found, asked: Asked) -> dict[str, Any]:
    from gateway.oncall.times import iso

    story = found.story
    data: dict[str, Any] = {
        "event_id": story.event_id,
        "event_type": story.event_type,
        "subject_ref": story.subject_ref,
        "records": [asdict(told) for told in story.records],
        "story": [{**step.data, **_step_data(step), "at": iso(step.at)} for step in story.steps],
        "notes": story.notes,
    }
    if asked.what_if:
        data["what_if"] = None if found.verdict is None else _verdict_data(found.verdict)
    if asked.who is not None:
        data["original"] = revealed_data(found.revealed)
    return data


def _step_data(step: Step) -> dict[str, Any]:
    return {"what": step.what, "about": step.about, "where": step.where, "told": step.told}


def _verdict_data(verdict: Verdict) -> dict[str, Any]:
    from gateway.core.consent import Consent
    from gateway.core.decide import Permit
    from gateway.oncall.times import iso

    said, consent = verdict.said, verdict.state
    permit = said.scope if isinstance(said, Permit) else None
    return {
        "at": iso(verdict.at),
        "permit": permit is not None,
        "reason": None if isinstance(said, Permit) else said.code,
        "items": permit.items if permit else (),
        "permitted_purposes": permit.purposes if permit else (),
        "consent_version": consent.version if isinstance(consent, Consent) else None,
        "holds": _holds(verdict),
    }
