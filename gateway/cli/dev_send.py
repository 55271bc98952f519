"""`gateway dev send`: events from files to Kafka, once nothing is wrong with any of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import Bootstrap, Prefix, Registry, connect, login_at
from gateway.cli.paragraphs import counted

if TYPE_CHECKING:
    from gateway.producer import Checked, Place
    from gateway.producer.documents import Document

STDIN = "-"
SHOWN = 20  # places of events; --json gives all


class Kind(StrEnum):
    """What a document is."""

    PAYMENT = "payment"
    SCORE = "score"
    CONSENT = "consent"


_RECORDS = {Kind.PAYMENT: "LeasePaymentEvent", Kind.SCORE: "NorelScoreUpdate", Kind.CONSENT: "ConsentRecord"}


@dataclass(frozen=True, slots=True)
class Wrong:
    """One mistake, and where it stands."""

    file: str
    line: int
    pointer: str | None  # None: where the file stops being JSON, at this column
    what: str
    column: int | None = None

    def __str__(self) -> str:
        if self.pointer is None:
            return f"{self.file}:{self.line}:{self.column}: {self.what}"
        return f"{self.file}:{self.line}: {self.pointer or '(the whole)'}: {self.what}"


@dataclass(frozen=True, slots=True)
class Right:
    """One event, and where it stands."""

    file: str
    line: int
    event: Checked


def send(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="JSON or NDJSON files; - is standard input.")
    ] = None,
    *,
    kind: Annotated[
        Kind | None, typer.Option("--kind", show_default=False, help="What they hold, if their id does not say it.")
    ] = None,
    service: Annotated[
        str, typer.Option(help="Who produces: the header `producer`, by which rejected events are found.")
    ] = "dev-send",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is wrong, send nothing.")] = False,
    example: Annotated[
        Kind | None, typer.Option("--example", show_default=False, help="Print an event to start from, and end.")
    ] = None,
    bootstrap: Bootstrap,
    prefix: Prefix,
    registry: Registry,
    as_json: AsJson = False,
) -> None:
    """Send payments, scores or consents to the gateway's inputs, if nothing is wrong with any of them.

    Days are written as 2026-11-27, moments as 2026-11-27T10:15:30+09:00, each wrong field is named with its line.

    Example: gateway dev send payment.json more.ndjson --dry-run
    """
    if example is not None:
        _print_example(example)
        return
    if not files:
        raise CommandError(Exit.WRONG_USE, "no file: name some, - for standard input, or --example payment")
    right: list[Right] = []
    wrong: list[Wrong] = []
    for file in files:
        for found in _judged(file, kind):
            if isinstance(found, Right):
                right.append(found)
            else:
                wrong.append(found)
    if wrong:
        _refuse(wrong, right, as_json=as_json)
    if dry_run:
        text = f"{counted(len(right), 'event')}, nothing wrong; nothing was sent"
        answer(text, {"events": len(right), "mistakes": [], "sent": []}, as_json=as_json)
        return
    places = _send([each.event for each in right], bootstrap, prefix, registry, service)
    _tell(right, places, as_json=as_json)


def _print_example(kind: Kind) -> None:
    from datetime import UTC, datetime

    from gateway.producer.examples import example

    made = example(_RECORDS[kind], datetime.now(UTC))
    sys.stdout.write(orjson.dumps(made, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())


def _judged(file: str, kind: Kind | None) -> Iterator[Right | Wrong]:
    """Every event of a file, and every mistake."""
    from gateway.producer.documents import NotJsonError, read

    is_empty = True
    try:
        for document in read(_text(file)):
            is_empty = False
            yield from _judge(file, document, kind)
        if is_empty:  # whoever names a file believes that there is something to send in it
            yield Wrong(file, 1, "", "no event in it: write one, or begin with what --example payment prints")
    except NotJsonError as error:
        yield Wrong(file, error.line, None, f"{error.what}; what follows was not looked at", error.column)


def _judge(file: str, document: Document, kind: Kind | None) -> Iterator[Right | Wrong]:
    from gateway.producer import InvalidEventError, check, kind_of

    record = kind_of(document.value) if kind is None else _RECORDS[kind]
    if record is None:
        what = "wanted an object with an event_id (payment), a score_id or a record_id (consent): or say --kind"
        yield Wrong(file, document.line, "", what)
        return
    try:
        yield Right(file, document.line, check(record, document.value))
    except InvalidEventError as error:
        lines = document.lines_of([each.pointer for each in error.mistakes])
        for line, each in zip(lines, error.mistakes, strict=True):
            yield Wrong(file, line, each.pointer, each.what)


def _text(file: str) -> str:
    from gateway.producer.documents import MAX_BYTES

    try:
        with sys.stdin.buffer if file == STDIN else Path(file).open("rb") as source:
            raw = source.read(MAX_BYTES + 1)
    except OSError as error:
        raise CommandError(Exit.WRONG_USE, f"{file}: {error.strerror}: name a file that can be read") from None
    if len(raw) > MAX_BYTES:
        raise CommandError(Exit.WRONG_USE, f"{file}: more than {MAX_BYTES:,} bytes: send it in parts")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CommandError(Exit.WRONG_USE, f"{file}: is not UTF-8: write it so") from None


def _refuse(wrong: list[Wrong], right: list[Right], *, as_json: bool) -> None:
    lines = "\n".join(map(str, wrong))
    mistakes = [asdict(each) for each in wrong]
    total = f"{counted(len(wrong), 'mistake')}, {counted(len(right), 'event')} without any"
    answer(
        f"{lines}\n{total}: nothing was sent",
        {"events": len(right), "mistakes": mistakes, "sent": []},
        as_json=as_json,
    )
    raise typer.Exit(Exit.FOUND_WRONG)


def _send(events: list[Checked], bootstrap: str, prefix: str, registry: str, service: str) -> list[Place]:
    import asyncio

    from gateway.producer import Producer, SendError, UnreachableError

    security: dict[str, Any] = connect(bootstrap).kwargs()
    address = security.pop("bootstrap_servers")
    try:
        producer = Producer(
            address,
            service=service,
            prefix=prefix,
            registry_url=registry or None,
            registry_login=login_at(registry) if registry else None,
            **security,
        )
    except ValueError as error:
        raise CommandError(Exit.WRONG_USE, f"--{error}") from None

    async def do() -> list[Place]:
        async with producer:
            return await producer.send_all(events)

    try:
        return asyncio.run(do())
    except UnreachableError as error:
        raise CommandError(Exit.UNREACHABLE, str(error)) from error
    except SendError as error:
        raise CommandError(Exit.FOUND_WRONG, str(error)) from error


def _tell(right: list[Right], places: list[Place], *, as_json: bool) -> None:
    told = list(zip(right, places, strict=True))
    lines = [f"{each.file}:{each.line}: {place}" for each, place in told[:SHOWN]]
    if len(told) > SHOWN:
        lines.append(f"... and {len(told) - SHOWN:,} more: --json names all")
    lines.append(f"{counted(len(told), 'event')} sent")
    if explained := next((place for each, place in told if each.event.kind != _RECORDS[Kind.CONSENT]), None):
        lines += ["what becomes of it:", f"  gateway explain --offset {explained}"]
    sent = [
        {"file": each.file, "line": each.line, "id": each.event.id, "topic": place.topic}
        | {"partition": place.partition, "offset": place.offset}
        for each, place in told
    ]
    answer("\n".join(lines), {"events": len(right), "mistakes": [], "sent": sent}, as_json=as_json)
