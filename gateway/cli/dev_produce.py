"""`gateway dev produce`: believable input for the gateway, and what goes wrong with it."""

import dataclasses
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import Bootstrap, Prefix, Registry, ask_registry

if TYPE_CHECKING:
    from gateway.kafka.http_registry import HttpRegistry
    from gateway.sandbox.producers.run import Produced, Progress

EVENTS_PER_SUBJECT = 10
FEWEST_SUBJECTS = 100


def produce(
    *,
    bootstrap: Bootstrap,
    prefix: Prefix,
    registry: Registry,
    events: Annotated[int, typer.Option(min=0, help="How many events.")] = 20_000,
    subjects: Annotated[
        int | None, typer.Option(min=1, help="How many customers; one for ten events if not given.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0, help="Events a second; 0: as fast as Kafka takes them.")] = 0,
    withdrawals: Annotated[
        float, typer.Option(min=0, help="Changes of consent a second while events flow; most are withdrawals.")
    ] = 10,
    withdrawals_after: Annotated[
        float, typer.Option(min=0, help="Seconds for which consents go on changing after the last event.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="All customers and events follow from it.")] = 1,
    poison: Annotated[
        bool, typer.Option("--poison/--no-poison", help="Mix in records that nobody should send.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Write consents, then lease payments and NOREL scores, while consents change.

    Example: gateway dev produce --subjects 1 --events 4 --no-poison --withdrawals 0
    """
    try:
        import uvloop

        from gateway.sandbox.producers import run
    except ImportError as error:
        raise CommandError(
            Exit.WRONG_USE,
            f"the package {error.name} is missing: install the gateway with its extra `sandbox`",
        ) from error
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end it in order
    try:
        done = uvloop.run(
            run.produce(
                bootstrap,
                prefix,
                subjects=subjects or max(FEWEST_SUBJECTS, events // EVENTS_PER_SUBJECT),
                events=events,
                rate=rate,
                seed=seed,
                withdrawals_per_second=withdrawals,
                withdrawals_after=withdrawals_after,
                poison=poison,
                ids=_ids(registry, prefix, run.KINDS) if registry else None,
                progress=_json_line if as_json else _line(events) if sys.stderr.isatty() else None,
            )
        )
    except KeyboardInterrupt:
        return
    except run.UnreachableError as error:
        raise CommandError(Exit.UNREACHABLE, str(error)) from error
    except run.ProduceError as error:
        raise CommandError(Exit.WRONG_USE, str(error)) from error
    answer(_text(done), dataclasses.asdict(done), as_json=as_json)


def _ids(registry: str, prefix: str, kinds: Sequence[str]) -> dict[str, int]:
    """Under which each kind's schema is registered there."""

    async def ids(there: "HttpRegistry") -> dict[str, int]:
        return {kind: await there.id_of(kind) for kind in kinds}

    return ask_registry(registry, prefix, ids)


def _line(events: int) -> Callable[["Progress"], None]:
    def show(now: "Progress") -> None:
        print(
            f"\r{now.events:,} of {events:,} events, {now.waiting:,} not yet acknowledged, "
            f"{now.changes:,} changes of consent, {now.behind_seconds:.1f} s behind",
            end="",
            file=sys.stderr,
            flush=True,
        )

    return show


def _json_line(now: "Progress") -> None:
    print(orjson.dumps({"progress": dataclasses.asdict(now)}).decode(), file=sys.stderr, flush=True)


def _text(done: "Produced") -> str:
    rows = [*done.produced.items(), *done.kinds.items()]
    table = "\n".join(f"{name:<28}{count:>10,}" for name, count in rows)
    return f"{table}\nin {done.seconds:.1f} s; {done.aborted:,} records more in aborted transactions"
