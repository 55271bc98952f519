"""`gateway consent ...`: What the consent records say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.desk_options import at_desk, table
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import Bootstrap, Prefix, Registry
from gateway.cli.paragraphs import counted, labelled
from gateway.cli.policy_option import PolicyFile, policy_in

if TYPE_CHECKING:
    from gateway.core.consent import Consent, ConsentState
    from gateway.oncall.consents import Heard, History, Stats, Today

_TIMES = {"consented_at", "expires_at", "status_updated_at"}
_DAYS = {"policy_version", "history_from"}

app = typer.Typer(help="What the consent records say.", no_args_is_help=True)

Subject = Annotated[str, typer.Argument(show_default=False, help="The customer's reference.")]


@app.command()
def show(
    subject: Subject,
    *,
    policy_file: PolicyFile,
    bootstrap: Bootstrap,
    prefix: Prefix,
    registry: Registry,
    as_json: AsJson = False,
) -> None:
    """Show a customer's consent as every gateway sees it, why it denies, and what would be provided today.

    Below it, the records that the topic still has: a compacted topic keeps the last, and others for some days. It holds
    no personal data.

    Example: gateway consent show S-0012345678
    """
    from gateway.core.events import check_ref
    from gateway.oncall import times
    from gateway.oncall.consents import history, today

    if check_ref(subject) is None:
        raise CommandError(
            Exit.WRONG_USE,
            "a reference is 6 to 64 of A-Z a-z 0-9 _ -, with at least one letter: never a name or a phone",
        )
    policy = policy_in(policy_file)
    found = at_desk(bootstrap, prefix, registry, lambda desk: history(desk, subject))
    decided = today(found.state, subject, policy, times.now_ms())
    answer("\n".join(_shown(subject, found, decided)), _data(subject, found, decided), as_json=as_json)


@app.command()
def stats(
    *, policy_file: PolicyFile, bootstrap: Bootstrap, prefix: Prefix, registry: Registry, as_json: AsJson = False
) -> None:
    """Count customers by what their consent says: status, policy version, purposes declined, and what it permits today.

    Reads the whole topic; what it has seen lies on disk meanwhile, about 100 bytes for each customer, and then is gone.

    Example: gateway consent stats
    """
    from gateway.kafka.view_store import ViewFullError
    from gateway.oncall.consents import stats as counting

    policy = policy_in(policy_file)
    told = at_desk(bootstrap, prefix, registry, lambda desk: counting(desk, policy), (ViewFullError,))
    answer("\n".join(_counts(told)), _stats_data(told), as_json=as_json)


# --- one customer -------------------------------------------------------------------------------------------


def _shown(subject: str, found: History, decided: list[Today]) -> list[str]:
    lines = [subject, *labelled(_state(found)), "", "An event that happened now, of a contract it covers:"]
    lines += labelled((_short(each), _would(each)) for each in decided)
    if not found.heard:
        return [*lines, "", "The topic has no record about this reference."]
    rows = [_row(each) for each in found.heard]
    lines += ["", table(("AT", "OFFSET", "VERSION", "STATUS", "POLICY", "CONSENTED", "THEN"), rows, ("VERSION",))]
    if found.left_out:
        lines.append(f"{counted(found.left_out, 'older record')} not shown")
    return lines


def _state(found: History) -> list[tuple[str, str]]:
    from gateway.core.consent import Denied

    state = found.state
    if state is None:
        return [("state", "no consent record")]
    if isinstance(state, Denied):
        version = "" if state.version is None else f"; a version above {state.version} ends it"
        return [
            ("state", f"denied: {state.reason.code}{version}"),
            ("", state.reason.sentence),
            ("do", state.reason.remedy),
        ]
    return _terms(state, found.status_since)


def _terms(state: Consent, since: int | None) -> list[tuple[str, str]]:
    declined = sorted(state.opted_out)
    contracts = "all" if state.contract_refs is None else " ".join(sorted(state.contract_refs)) or "none"
    told = [
        ("state", f"{state.status.value}{'' if since is None else f' since {_at(since)}'}"),
        ("record", f"version {state.version}, {state.record_id}"),
        ("to", f"{state.recipient}, on the basis of {state.legal_basis.value}"),
        ("consented", f"{_at(state.consented_at)} to the policy of {_day(state.policy_version)}"),
        ("items", " ".join(sorted(state.items)) or "none"),
        ("declined", " ".join(declined) or "no purpose"),
        ("contracts", contracts),
    ]
    if state.expires_at is not None:
        told.append(("expires", _at(state.expires_at)))
    if state.history_from is not None:
        told.append(("covers", f"events from {_day(state.history_from)}"))
    return told


def _short(each: Today) -> str:
    return {"lease_payment": "payment", "norel_score_update": "score"}[each.event_type.code]


def _would(each: Today) -> str:
    from gateway.core.reasons import Reason

    if isinstance(each.decision, Reason):
        return f"{each.decision.outcome.code}, {each.decision.code}: {each.decision.sentence}"
    scope = each.decision.scope
    return f"provided: {' '.join(scope.items)}; for {' '.join(scope.purposes)}"


def _row(each: Heard) -> tuple[str, ...]:
    at = (_at(each.appended_at), f"{each.partition}:{each.offset}")
    if each.record is None:
        return *at, "", "(no value)" if each.tombstone else "(unreadable)", "", "", _then(each.state)
    record = each.record
    return (
        *at,
        str(record["consent_version"]),
        record["status"],
        _day(record["policy_version"]),
        _at(record["consented_at"]),
        _then(each.state),
    )


def _at(ms: int) -> str:
    """A time that some service wrote: it may be none."""
    from gateway.core.events import LAST_MS
    from gateway.oncall.times import shown

    return shown(ms) if 0 <= ms <= LAST_MS else f"impossible time {ms}"


def _day(days: int) -> str:
    from gateway.core.canonical import iso_day
    from gateway.core.events import FIRST_DAY, LAST_DAY

    return iso_day(days) if FIRST_DAY <= days <= LAST_DAY else f"impossible day {days}"


def _then(state: ConsentState) -> str:
    from gateway.core.consent import Consent, Denied

    if isinstance(state, Consent):
        return f"version {state.version} holds"
    return f"denied: {state.reason.code}" if isinstance(state, Denied) else "no consent"


def _data(subject: str, found: History, decided: list[Today]) -> dict[str, Any]:
    from gateway.oncall import times

    return {
        "subject_ref": subject,
        "state": _state_data(found.state),
        "today": [_today_data(each) for each in decided],
        "history": [
            {
                "partition": each.partition,
                "offset": each.offset,
                "appended_at": times.iso(each.appended_at),
                "record": None if each.record is None else {name: _plain(name, it) for name, it in each.record.items()},
                "state": _state_data(each.state),
            }
            for each in found.heard
        ],
        "left_out": found.left_out,
    }


def _state_data(state: ConsentState) -> dict[str, Any] | None:
    from gateway.core.consent import Denied

    if state is None:
        return None
    if isinstance(state, Denied):
        return {"denied": state.reason.code, "record_id": state.record_id, "version": state.version}
    told = {
        "record_id": state.record_id,
        "version": state.version,
        "recipient": state.recipient,
        "status": state.status.value,
        "policy_version": state.policy_version,
        "consented_at": state.consented_at,
        "expires_at": state.expires_at,
        "history_from": state.history_from,
        "items": sorted(state.items),
        "purposes_opted_out": sorted(state.opted_out),
        "contract_refs": None if state.contract_refs is None else sorted(state.contract_refs),
        "legal_basis": state.legal_basis.value,
    }
    return {name: _plain(name, it) for name, it in told.items()}


def _plain(name: str, it: object) -> object:
    """Days and times as programs read them; a number that is none stays one."""
    from gateway.core.canonical import iso_day
    from gateway.core.events import FIRST_DAY, LAST_DAY, LAST_MS
    from gateway.oncall.times import iso

    if name in _TIMES and isinstance(it, int) and 0 <= it <= LAST_MS:
        return iso(it)
    return iso_day(it) if name in _DAYS and isinstance(it, int) and FIRST_DAY <= it <= LAST_DAY else it


def _today_data(each: Today) -> dict[str, Any]:
    from gateway.core.reasons import Reason

    told: dict[str, Any] = {"event_type": each.event_type.code}
    if isinstance(each.decision, Reason):
        return told | {"outcome": each.decision.outcome.code, "reason": each.decision.code}
    scope = each.decision.scope
    return told | {"outcome": "PROVIDED", "items": list(scope.items), "purposes": list(scope.purposes)}


# --- all customers ------------------------------------------------------------------------------------------


def _counts(told: Stats) -> list[str]:
    from gateway.oncall.times import shown

    lines = [
        f"{counted(told.subjects, 'customer')}, {counted(told.records, 'record')}, {told.unreadable:,} of them "
        f"unreadable; as of {shown(told.at)}"
    ]
    parts: list[tuple[str, Mapping[Any, int]]] = [
        ("STATUS", told.statuses),
        ("DENIED", told.denied),
        ("POLICY VERSION", told.versions),
        ("DECLINED", told.opted_out),
    ]
    parts += [(f"{kind} TODAY".upper().replace("_", " "), _of(told.today, kind)) for kind in _kinds(told)]
    for name, counts in parts:
        if counts:
            rows = [
                (word, f"{count:,}") for word, count in sorted(counts.items(), key=lambda each: (-each[1], each[0]))
            ]
            lines += ["", table((name, "CUSTOMERS"), rows, ("CUSTOMERS",))]
    return lines


def _kinds(told: Stats) -> list[str]:
    return sorted({kind for kind, _ in told.today})


def _of(today: Counter[tuple[str, str]], kind: str) -> dict[str, int]:
    return {how: count for (each, how), count in today.items() if each == kind}


def _stats_data(told: Stats) -> dict[str, Any]:
    from gateway.oncall.times import iso

    return {
        "at": iso(told.at),
        "records": told.records,
        "unreadable": told.unreadable,
        "subjects": told.subjects,
        "statuses": told.statuses,
        "denied": told.denied,
        "policy_versions": told.versions,
        "purposes_opted_out": told.opted_out,
        "today": {kind: _of(told.today, kind) for kind in _kinds(told)},
    }
