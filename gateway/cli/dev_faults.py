"""`gateway dev faults`: trouble at GeNiE, switched while it runs."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.errors import CommandError, Exit
from gateway.cli.fault_options import faults_of

TIMEOUT_S = 10.0

_OF_EVERY_FAULT = """
NAME=SHARE strikes that share (0 to 1) of requests, entries or handshakes. Every fault takes burst_s: once it
strikes, it strikes everything for so many seconds. Faults that strike requests take on=provisions or on=lookups."""
_EXPLAINED = frozenset({"share", "burst_s", "on"})


class Action(StrEnum):
    """What to do with faults."""

    LIST = "list"
    SET = "set"
    CLEAR = "clear"


def faults(
    action: Annotated[
        Action,
        typer.Argument(
            help="list: every fault, what it imitates and takes, and how often it struck; "
            "set: switch some on, or to other parameters; clear: switch all off."
        ),
    ],
    wanted: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=SHARE[,PARAMETER=VALUE]", help="Such as too_many_requests=0.02,burst_s=5."),
    ] = None,
    *,
    admin: Annotated[str, typer.Option(help="GeNiE's admin address, as `gateway dev genie` prints it.")],
    as_json: AsJson = False,
) -> None:
    """Switch trouble at GeNiE while it runs.

    Example: gateway dev faults set unavailable=0.5 --admin http://127.0.0.1:8444
    """
    if (action is Action.SET) != bool(wanted):
        raise CommandError(
            Exit.WRONG_USE, "`set` takes the faults to switch on, NAME=SHARE ..; `list` and `clear` none"
        )
    match action:
        case Action.LIST:
            told = _ask(admin, "GET")
            text = "\n".join([*(line for name in told for line in _described(name, told[name])), _OF_EVERY_FAULT])
        case Action.SET:
            told = _switched_on(_ask(admin, "PATCH", faults_of(wanted or ())))
            text = "\n".join(_state(name, fault) for name, fault in told.items())
        case Action.CLEAR:
            told = _switched_on(_ask(admin, "PUT", {}))
            text = "every fault is off"
    answer(text, {"faults": told}, as_json=as_json)


def _ask(admin: str, method: str, content: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Every fault, after the change if there is one."""
    import httpx

    try:
        with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as client:
            response = client.request(method, f"{admin.rstrip('/')}/faults", json=content)
        told = response.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise CommandError(
            Exit.UNREACHABLE,
            f"no GeNiE answers at {admin} ({type(error).__name__}): give the admin address that it printed",
        ) from error
    if not isinstance(told, dict) or response.status_code != 200:
        wrong = told.get("error") if isinstance(told, dict) else None
        raise CommandError(
            Exit.WRONG_USE, wrong or f"{admin} is not GeNiE's admin address: status {response.status_code}"
        )
    return told


def _switched_on(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fault for name, fault in told.items() if fault["on"] is not None}


def _described(name: str, fault: Mapping[str, Any]) -> Iterator[str]:
    yield _state(name, fault)
    yield f"    {fault['does']}; strikes when {fault['when']}"
    for parameter, what in fault["parameters"].items():
        if parameter not in _EXPLAINED:
            default = "" if what["default"] in (None, "") else f"; if not given, {_word(what['default'])}"
            yield f"    - {parameter}: {what['takes']}{default}"


def _state(name: str, fault: Mapping[str, Any]) -> str:
    on = fault["on"]
    state = "on: " + " ".join(f"{key}={_word(value)}" for key, value in on.items() if value != "") if on else "off"
    return f"{name:<30}{fault['hits']:>8,} hits   {state}"


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
