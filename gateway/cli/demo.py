"""`gateway demo`: the whole thing on this machine, ending in a verdict."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.errors import CommandError, Exit

if TYPE_CHECKING:
    from gateway.sandbox.demo.lifetime import Wishes
    from gateway.sandbox.demo.plan import Plan
    from gateway.sandbox.demo.run import Finished
    from gateway.sandbox.demo.screen import Screen

DEFAULT_EVENTS = 20_000
_OUT_FILE = {"dir_okay": False, "writable": True}


def demo(
    *,
    events: Annotated[int, typer.Option(min=1, help="How many events.")] = DEFAULT_EVENTS,
    subjects: Annotated[
        int | None, typer.Option(min=1, help="How many customers; one for ten events if not given.")
    ] = None,
    report: Annotated[Path | None, typer.Option(**_OUT_FILE, help="Write the report to this file, as JSON.")] = None,
    stay: Annotated[bool, typer.Option("--stay", help="Keep everything up in the end, until Ctrl-C.")] = False,
    board: Annotated[bool, typer.Option("--board/--no-board", help="A live board, on a terminal.")] = True,
    faults: Annotated[
        bool, typer.Option("--faults/--no-faults", help="Trouble at GeNiE; without it events come at full speed.")
    ] = True,
    kill: Annotated[bool, typer.Option("--kill", help="Kill the gateway with -9 a few times on the way.")] = False,
    monitor: Annotated[
        bool, typer.Option("--monitor", help="Prometheus beside it, over the gateway's metrics.")
    ] = False,
    svg: Annotated[Path | None, typer.Option(**_OUT_FILE, help="Write the board to this file, as a picture.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="All customers, events and faults follow from it.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Run Apache Kafka, a strict GeNiE, producers and the gateway here, and have an independent verifier judge.

    Exit status 1 if anything is wrong, or if the run missed what it was to show: a verdict over nothing fails. What
    strikes few events is expected of runs of 10,000 events or more, every outcome of 2,000 or more.
    Example: gateway demo --kill
    """
    try:
        from gateway.sandbox.demo import lifetime
        from gateway.sandbox.demo import monitor as prometheus
        from gateway.sandbox.demo.plan import EVENTS_PER_SUBJECT, FEWEST_SUBJECTS, Plan
        from gateway.sandbox.demo.screen import Screen
    except ImportError as error:
        raise CommandError(
            Exit.WRONG_USE,
            f"the package {error.name} is missing: install the gateway with its extra `sandbox`",
        ) from error
    for path in (report, svg):
        if path is not None and not path.absolute().parent.is_dir():
            raise CommandError(Exit.WRONG_USE, f"there is no directory {path.absolute().parent} to write {path} to")
    watching = prometheus.program() if monitor else None
    if monitor and watching is None:
        raise CommandError(Exit.WRONG_USE, prometheus.MISSING)
    people = subjects or max(FEWEST_SUBJECTS, events // EVENTS_PER_SUBJECT)
    finished = _performed(
        Plan(events=events, subjects=people, seed=seed, faults=faults, kills=kill),
        lifetime.Wishes(report, svg, stay, watching),
        Screen(live=board, as_json=as_json),
    )
    if as_json:
        answer("", finished.report.document(), as_json=True)
    if finished.wrong:
        raise typer.Exit(Exit.FOUND_WRONG)


def _performed(plan: "Plan", wishes: "Wishes", screen: "Screen") -> "Finished":
    from gateway.core.reasons import Reason
    from gateway.sandbox.broker import ArtifactError, UnreachableError
    from gateway.sandbox.demo import lifetime
    from gateway.sandbox.demo.children import ChildError

    sentences = {reason.value: reason.sentence for reason in Reason}
    try:
        return lifetime.perform(plan, wishes, screen, sentences)
    except (lifetime.InterruptedRunError, KeyboardInterrupt):
        message = "stopped before there was a verdict; every part has ended and nothing is left behind"
        raise CommandError(Exit.FOUND_WRONG, message) from None
    except UnreachableError as error:
        raise CommandError(Exit.UNREACHABLE, str(error)) from error
    except ArtifactError as error:
        raise CommandError(Exit.FOUND_WRONG, str(error)) from error
    except ChildError as error:
        raise CommandError(Exit.UNREACHABLE if error.unreachable else Exit.FOUND_WRONG, str(error)) from error
