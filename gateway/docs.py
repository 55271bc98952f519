"""What is written from the code: docs/reference, docs/runbook (a page for each reason, stop and alert), the rules,
and the AsyncAPI document.

`python -m gateway.docs` writes them, with --check it compares. Knows where each of them is in the code and how a page
looks. Must not know what any of it means.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import typer
from typer.core import TyperCommand, TyperGroup

from gateway import asyncapi, interface_pages
from gateway.cli import app
from gateway.cli.errors import Exit
from gateway.cli.output import READER_GONE
from gateway.core.outcome import Stop
from gateway.core.reasons import Outcome, Reason
from gateway.observe import rules
from gateway.observe.metrics import reference as metrics
from gateway.oncall import advice
from gateway.oncall.advice import Advice
from gateway.pages import table
from gateway.settings import CONFIG_VARIABLE
from gateway.settings import reference as settings

DIRECTORY = Path(__file__).parents[1] / "docs" / "reference"
_STATUSES = {
    Exit.DONE: "Done, and nothing is wrong.",
    Exit.FOUND_WRONG: "It found something wrong, or Kafka refused, or its answer can't be written, as to a full disk. "
    "What it prints says what, and what to do.",
    Exit.WRONG_USE: "An option, an argument or a setting is wrong. Nothing was done.",
    Exit.UNREACHABLE: "Kafka, GeNiE, the schema registry, a gateway or a database did not answer. Try again.",
}
_CODE = re.compile(r"`([A-Za-z_]+)`")
_NOTE = "<!-- Written by `python -m gateway.docs`: change the code, not this page. -->"
_RULES_NOTE = "# Written by `python -m gateway.docs` from gateway/observe/rules.py and alerts.toml: change those."
_ASYNCAPI_NOTE = "# Written by `python -m gateway.docs` from the schemas, topics and permissions: change those."
_LIVES = {rules.PAGE: "somebody is called at any hour", rules.TICKET: "somebody looks in working hours"}


def render() -> dict[Path, str]:
    """Every page, by the path it belongs to."""
    pages = {DIRECTORY / name: page() for name, page in _PAGES.items()}
    pages |= {DIRECTORY.with_name("runbook") / f"{code}.md": _runbook(given) for code, given in advice.every().items()}
    pages |= {DIRECTORY.with_name("runbook") / f"{name}.md": _alert(name) for name in rules.words()}
    written = {path: f"{_NOTE}\n\n" + "\n".join(page) + "\n" for path, page in pages.items()}
    root = DIRECTORY.parents[1]
    return written | {
        root / "deploy" / "prometheus" / "rules.yaml": f"{_RULES_NOTE}\n{rules.render(rules.Timing())}",
        root / "schemas" / "asyncapi.yaml": f"{_ASYNCAPI_NOTE}\n{asyncapi.text()}",
    }


def _settings() -> Iterator[str]:
    yield "# Settings\n"
    yield (
        "Each is a variable of the environment, or a line of the TOML file that "
        f"`{CONFIG_VARIABLE}` names: `bootstrap_servers` under `[kafka]` is `GATEWAY_KAFKA__BOOTSTRAP_SERVERS`. "
        "The environment wins. `gateway settings` prints this list with what is set where it runs. "
        "Secrets are never settings: settings name the files that hold them.\n"
    )
    rows = ((f"`{variable}`", f"`{setting}`", default, sentence) for setting, variable, default, sentence in settings())
    yield from table(("variable", "in the file", "default", "what it is"), rows)


def _metrics() -> Iterator[str]:
    yield "# Metrics\n"
    yield (
        "What `/metrics` shows, beside the `process_*` and `python_gc_*` of the Prometheus client. "
        "Labels take values of closed sets, and no value of a record. "
        "A lane's gauges go when the lane is closed.\n"
    )
    rows = (
        (f"`{name}`", kind, ", ".join(f"`{label}`" for label in labels), sentence)
        for name, kind, labels, sentence in metrics()
    )
    yield from table(("metric", "type", "labels", "what it says"), rows)


def _reasons() -> Iterator[str]:
    yield "# Outcomes and reasons\n"
    yield (
        "Every input record ends in exactly one ledger record, with one of these outcomes and reasons. "
        "Each has a page: what it means, what to check, what to type.\n"
    )
    for outcome in Outcome:
        yield f"## {outcome.value}\n"
        reasons = (reason for reason in Reason if reason.outcome is outcome)
        rows = ((_page_of(reason.code), reason.sentence, reason.remedy) for reason in reasons)
        yield from table(("reason", "what happened", "what to do"), rows)
        yield ""
    yield "## Stops\n"
    yield "Not an outcome: lanes wait, park nothing and try again, until a person has mended what is wrong.\n"
    yield from table(("code", "what is wrong"), ((_page_of(stop.value), stop.sentence) for stop in Stop))


def _cli() -> Iterator[str]:
    command = typer.main.get_command(app)
    yield "# Commands\n"
    yield (
        "With `--json` a command prints JSON: one object, or one on each line where it follows something. "
        "Progress goes to standard error. So does an error, but with `--json` it is the object that is printed.\n"
    )
    yield "## How a command ends\n"
    yield from table(("status", "means"), ((str(status.value), _STATUSES[status]) for status in Exit))
    yield "| 130 | Stopped by Ctrl-C. What was written until then stays. |"
    yield f"| {READER_GONE} | Whoever reads what it prints has read enough, as `head`: what it found is not told. |\n"
    yield "## What it takes from the environment\n"
    yield (
        "An option that is not given comes from its variable, else from the file that "
        f"`{CONFIG_VARIABLE}` names, so that a command and the gateway beside it mean the same Kafka. "
        "The login comes from the [settings](settings.md) under `kafka` alone.\n"
    )
    variables: dict[str, set[str]] = {}
    for variable, option in _environment(command):
        variables.setdefault(variable, set()).add(option)
    rows = ((f"`{name}`", ", ".join(f"`{option}`" for option in sorted(variables[name]))) for name in sorted(variables))
    yield from table(("variable", "option"), rows)
    yield ""
    if any("--install-completion" in parameter.opts for parameter in command.params):
        yield "## Completion in the shell\n"
        yield (
            "`gateway --install-completion` sets it up for the shell that it is typed in: bash, zsh, fish or "
            "PowerShell. `gateway --show-completion` prints what it would set up. A Tab then offers commands, options, "
            "and the words of closed sets such as reasons, with what they mean where the shell shows that. It never "
            "asks Kafka.\n"
        )
    yield from _commands(command, "gateway")


def _environment(command: object) -> Iterator[tuple[str, str]]:
    """Each variable that an option of a command may come from, with the option."""
    if isinstance(command, TyperGroup):
        for inner in command.commands.values():
            yield from _environment(inner)
    elif isinstance(command, TyperCommand) and not command.hidden:
        for parameter in command.params:
            named = parameter.envvar or ()
            yield from ((each, parameter.opts[0]) for each in ([named] if isinstance(named, str) else named))


def _commands(command: object, name: str) -> Iterator[str]:
    if isinstance(command, TyperGroup):
        for inner in sorted(command.commands):
            yield from _commands(command.commands[inner], f"{name} {inner}")
        return
    if not isinstance(command, TyperCommand) or command.hidden:
        return
    context = typer.Context(command, info_name=name)
    yield f"## `{' '.join([name, *command.collect_usage_pieces(context)])}`\n"
    yield f"{(command.help or '').strip()}\n"
    records = [parameter.get_help_record(context) for parameter in command.params]
    rows = [(f"`{record[0].strip()}`", record[1]) for record in records if record is not None]
    if rows:
        yield from table(("option", "what it does"), rows)
        yield ""


def _runbook(given: Advice) -> Iterator[str]:
    outcome = next((reason.outcome.value for reason in Reason if reason.code == given.code), "a lane has stopped")

    def linked(text: str) -> str:
        return _linked(text, given.code)

    yield f"# `{given.code}`: {outcome}\n"
    yield f"{linked(given.means)}\n"
    yield "## What to check\n"
    yield from (f"* {linked(question)}" for question in given.check)
    yield "\n## What to type\n"
    yield "```\n" + "\n".join(given.type) + "\n```\n"
    yield f"{_on_capitals(given.type)}[All commands](../reference/cli.md).\n"
    yield "## What a replay does\n"
    yield f"{'It can help. ' if given.replay else ''}{linked(given.after)}\n"
    yield "[All reasons and stops](../reference/reasons.md) · [Runbook](../runbook.md)"


def _alert(name: str) -> Iterator[str]:
    said = rules.words()[name]
    yield f"# `{name}`\n"
    yield f"{said.summary} {_linked(said.means, name)}\n"
    yield "## When it fires\n"
    for rule in rules.alerts(rules.Timing()):
        if rule.alert == name:
            lasts = "at once" if rule.lasts == "0s" else f"after {rule.lasts}"
            yield f"As a {rule.severity} ({_LIVES[rule.severity]}), {lasts}:\n"
            yield f"```promql\n{rule.expr}\n```\n"
    yield "## What to check\n"
    yield from (f"* {_linked(question, name)}" for question in said.check)
    yield "\n## What to type\n"
    yield "```\n" + "\n".join(said.type) + "\n```\n"
    yield f"{_on_capitals(said.type)}[All commands](../reference/cli.md) · [all metrics](../reference/metrics.md).\n"
    yield "[Objectives, and why these windows](../explanation/objectives.md) · [Runbook](../runbook.md)"


def _linked(text: str, own: str) -> str:
    """With a link to the page of each other code and alert that it names."""
    others = (advice.every().keys() | rules.words().keys()) - {own}
    return _CODE.sub(lambda found: _page_of(found[1], "") if found[1] in others else found[0], text)


def _on_capitals(commands: Iterable[str]) -> str:
    capitals = any(word.isupper() for command in commands for word in command.split())
    return "Words in capitals are yours to fill in. " if capitals else ""


def _page_of(code: str, directory: str = "../runbook/") -> str:
    return f"[`{code}`]({directory}{code}.md)"


_PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "settings.md": _settings,
    "metrics.md": _metrics,
    "reasons.md": _reasons,
    "cli.md": _cli,
    "topics.md": interface_pages.topics,
    "genie-api.md": interface_pages.genie,
}


def main() -> int:
    """Write the pages, or with --check only say which are stale."""
    parser = argparse.ArgumentParser(prog="python -m gateway.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if a page is stale")
    check = parser.parse_args().check
    stale = [path for path, text in render().items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(render()[path], "utf-8")
        sys.stdout.write(f"{path.relative_to(DIRECTORY.parents[1])}: {'stale' if check else 'written'}\n")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
