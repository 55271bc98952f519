"""`gateway check`: everything that could keep the gateway from starting, without starting it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.errors import Exit

if TYPE_CHECKING:
    from gateway.findings import Finding


def check(
    genie: Annotated[
        bool, typer.Option("--genie", help="Also ask GeNiE, signed, about one made-up key: it changes nothing there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look at settings, files, dates, Kafka, permissions, topics, lanes and schemas; start nothing, change nothing.

    Every fault is in one list; warnings alone end with status 0, parts that could not be reached alone with 3.
    Example: GATEWAY_CONFIG=gateway.toml gateway check --genie
    """
    findings = _findings(genie=genie)
    lines = [f"{finding.severity.value}: {finding}" for finding in findings]
    rows = [
        {
            "severity": finding.severity.value,
            "setting": finding.setting,
            "found": finding.found,
            "needed": finding.needed,
        }
        for finding in findings
    ]
    answer("\n".join(lines) or "nothing wrong", {"findings": rows}, as_json=as_json)
    status = _status(findings)
    if status is not Exit.DONE:
        raise typer.Exit(status)


def _findings(*, genie: bool) -> list[Finding]:
    import asyncio

    from gateway import preflight
    from gateway.address import look_at_address
    from gateway.findings import NotReadyError
    from gateway.settings import values

    try:
        loaded = preflight.settings_in_full()
    except NotReadyError as error:
        return error.findings
    return asyncio.run(preflight.look(loaded, look_at_address(values(loaded)), genie=genie))[1]


def _status(findings: list[Finding]) -> Exit:
    from gateway.findings import Severity

    severities = {finding.severity for finding in findings}
    if Severity.PROBLEM in severities:
        return Exit.FOUND_WRONG
    return Exit.UNREACHABLE if Severity.AWAY in severities else Exit.DONE
