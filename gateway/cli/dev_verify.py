"""`gateway dev verify`: the independent verifier's verdict on what the gateway did."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import Bootstrap, Prefix

if TYPE_CHECKING:
    from gateway.sandbox.verifier import Verdict

_FILE = {"exists": True, "dir_okay": False, "readable": True}


def verify(
    *,
    receipts: Annotated[Path, typer.Option(**_FILE, help="receipts.jsonl of `gateway dev genie`.")],
    bootstrap: Bootstrap,
    prefix: Prefix,
    logs: Annotated[
        list[Path] | None, typer.Option(**_FILE, help="Log file to search for personal data; may be repeated.")
    ] = None,
    metrics: Annotated[Path | None, typer.Option(**_FILE, help="Saved metrics to search for personal data.")] = None,
    complete: Annotated[bool, typer.Option("--complete", help="Every input must be settled by now.")] = False,
    examples: Annotated[int, typer.Option(min=0, max=1000, help="Examples shown of each kind of defect.")] = 5,
    skew_ms: Annotated[int, typer.Option(min=0, help="How far the clocks may be apart.")] = 5_000,
    as_json: AsJson = False,
) -> None:
    """Compare inputs, consents, ledger and GeNiE's receipts, and count what is wrong. Exit status 1 if anything is.

    Example: gateway dev verify --receipts genie/receipts.jsonl --logs gateway.log --complete
    """
    try:
        from gateway.sandbox.verifier import ReceiptsError, TopicsError
        from gateway.sandbox.verifier import verify as run
    except ImportError as error:
        raise CommandError(
            Exit.WRONG_USE,
            f"the package {error.name} is missing: install the gateway with its extra `sandbox`",
        ) from error
    try:
        verdict = run(
            bootstrap,
            receipts,
            prefix=prefix,
            logs=logs or (),
            metrics=metrics,
            complete=complete,
            examples=examples,
            skew_ms=skew_ms,
            progress=_show_progress if sys.stderr.isatty() else _show_nothing,
        )
    except TopicsError as error:
        raise CommandError(Exit.UNREACHABLE, str(error)) from error
    except ReceiptsError as error:
        raise CommandError(Exit.WRONG_USE, str(error)) from error
    except OSError as error:
        raise CommandError(Exit.WRONG_USE, f"cannot read {error.filename}: {error.strerror}") from error
    answer(_text(verdict), {**dataclasses.asdict(verdict), "clean": verdict.clean}, as_json=as_json)
    if not verdict.clean:
        raise typer.Exit(Exit.FOUND_WRONG)


def _show_progress(topic: str, done: int, total: int) -> None:
    end = "\n" if done >= total else ""
    print(f"\r\x1b[Kreading {topic}: {done:,} of {total:,}", end=end, file=sys.stderr, flush=True)


def _show_nothing(topic: str, done: int, total: int) -> None:
    """Progress is for people who look at a terminal."""


def _text(verdict: "Verdict") -> str:
    from gateway.sandbox.verifier import Defect

    outcomes = ", ".join(f"{name} {count:,}" for name, count in sorted(verdict.outcomes.items())) or "none"
    lines = [
        f"{verdict.produced:,} input records, {verdict.ledger_records:,} ledger records,"
        f" {verdict.partner_received:,} events at GeNiE",
        f"outcomes: {outcomes}",
        "",
    ]
    counts = verdict.defects
    for defect in Defect:
        count = counts[defect.value]
        lines.append(f"{_coloured(f'{count:>9,}', good=not count)}  {defect.value:<14} {defect.sentence}")
        lines.extend(
            f"{'':11}- {example.where}{f' {example.key}' if example.key else ''}: {example.what}"
            for example in verdict.examples[defect.value]
        )
    if verdict.sent_while_held:
        lines.append(
            f"{_coloured(f'{verdict.sent_while_held:>9,}', good=False)}  events sent although on-call held them"
        )
    return "\n".join(lines)


def _coloured(text: str, *, good: bool) -> str:
    if not sys.stdout.isatty():
        return text
    return typer.style(text, fg=typer.colors.GREEN if good else typer.colors.RED, bold=not good)
