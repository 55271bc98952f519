"""Many stories, two at a time: their counts, what was never reached, and the bad ones made short.

Knows seeds and what came of them. Must not know how a story is played.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from tests.parentage import end_with_parent
from tests.promises import core_removals, removals
from tests.simulation import keys, room
from tests.simulation.evidence import Evidence
from tests.simulation.params import Params
from tests.simulation.run import Outcome, play
from tests.simulation.shrink import shrink
from tests.simulation.sometimes import ENOUGH_SEEDS, never

PROCESSES = 2
SHOW_EVERY_S = 2.0
STORIES_A_POOL = 200  # then other processes take their place: what piles up in memory goes with them
MOST_BAD = 5  # stories; then enough is known
BROKE = "the simulation broke"  # and not the gateway
TOLD_LINES = 60  # of a bad story, its last ones
# Steps of promises that no simulated gateway keeps: log output, memory.
_NOT_HERE = ("library_logs", "no_byte_bounds")


def removable() -> dict[str, removals.Patch]:
    """The steps that can be taken out, by name."""
    every = {**core_removals.NAMED, **removals.NAMED}
    return {name: patch for name, patch in every.items() if name not in _NOT_HERE}


def tell_one(params: Params) -> int:
    """One story in full."""
    outcome = _played(replace(params, told=True))
    sys.stdout.write("".join(f"{line}\n" for line in outcome.lines))
    _tell_verdict(outcome)
    sys.stdout.write(f"digest {outcome.digest}, {outcome.cpu_s:.2f} CPU seconds\n")
    return _last_line([outcome], outcome.evidence, [])


def run(params: Params, seeds: int, *, shorten: bool) -> int:
    """So many stories from the seed of `params` on; the exit status."""
    began, outcomes, evidence = time.monotonic(), list[Outcome](), Evidence()
    bad: list[Outcome] = []
    shown_at = began
    with _told_if_broken_off(outcomes, seeds):
        for outcome in _outcomes([replace(params, seed=params.seed + number) for number in range(seeds)]):
            outcomes.append(replace(outcome, lines=(), about=(), evidence=Evidence()))  # there are many
            evidence.add(outcome.evidence)
            if outcome.violations:
                bad.append(outcome)
                _say(f"seed {outcome.params.seed} breaks a promise: {outcome.violations[0]}")
            if time.monotonic() - shown_at > SHOW_EVERY_S and sys.stderr.isatty():
                shown_at = time.monotonic()
                _say(f"{len(outcomes)} of {seeds} stories, {_sum(outcomes)}", end="\r")
            if len(bad) >= (1 if params.without else MOST_BAD):
                break
    seconds = time.monotonic() - began
    _say(f"{len(outcomes)} stories in {seconds:.1f} s, {_cpu(outcomes):.2f} CPU seconds each, {_sum(outcomes)}")
    for outcome in bad[:1]:
        _tell_bad(outcome, shorten=shorten)
    unreached = never(evidence)
    if len(outcomes) < ENOUGH_SEEDS and unreached:
        _say(f"of {ENOUGH_SEEDS} stories and more each of these must be reached; of so few it need not be")
    return _last_line(outcomes, evidence, unreached)


@contextmanager
def _told_if_broken_off(outcomes: Sequence[Outcome], seeds: int) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        _say(f"broken off after {len(outcomes)} of {seeds} stories")
        raise


def _outcomes(stories: Sequence[Params]) -> Iterator[Outcome]:
    """In order, so that the first bad one is always the same; a process that dies ends the run."""
    for first in range(0, len(stories), STORIES_A_POOL):
        some = stories[first : first + STORIES_A_POOL]
        with _pool(PROCESSES) as pool:
            futures = [pool.submit(_played, story) for story in some]
            yield from map(_result, some, futures)
            if any(future.exception() for future in futures):
                return


def _result(story: Params, future: Future[Outcome]) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        return Outcome(story, violations=(f"{BROKE}: a process died, of this story or of one before",))


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """It notices when one of them dies. They end at once when nobody wants what is left, and with this process."""
    keys.cached()  # theirs too
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, fork, _begin, (os.getpid(),)) as pool:
        try:
            yield pool
        except BaseException:
            for process in list(pool._processes.values()):  # kill_workers() comes with Python 3.14
                process.kill()
            raise
        finally:
            pool.shutdown(cancel_futures=True)  # and wait: the end of `with` would take the cancelling back


def _begin(parent: int) -> None:
    """Ctrl-C is the parent's to act on; what a killed gateway leaves undone is meant to be."""
    end_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore", RuntimeWarning)


_taken_out: list[str] = []


def _played(params: Params) -> Outcome:
    if params.without and params.without not in _taken_out:
        removable()[params.without]()
        _taken_out.append(params.without)
    with tempfile.TemporaryDirectory(dir=room.of_this_run()) as directory:
        try:
            return play(params, Path(directory))
        except Exception as error:  # whatever it is: who plays on must know which seed it was
            told = tuple(traceback.format_exc().splitlines())
            wrong = (f"{BROKE}: {type(error).__name__}: {error}",)
            return Outcome(params, violations=wrong, lines=told, about=told)


def _tell_bad(outcome: Outcome, *, shorten: bool) -> None:
    if shorten:
        _say(f"making the story of seed {outcome.params.seed} shorter ...")
        kind = _kind(outcome)
        with _pool(1) as pool, suppress(BrokenProcessPool):  # told as it is, then

            def bad(params: Params) -> bool:
                return kind == _kind(pool.submit(_played, params).result())

            shorter = shrink(outcome.params, outcome.params.shape.faults, outcome.inputs, bad)
            outcome = pool.submit(_played, shorter).result()
    _say(f"{len(outcome.about)} of {len(outcome.lines)} lines are about what is wrong first:")
    for line in outcome.about[-TOLD_LINES:]:
        _say(line)
    _tell_verdict(outcome)


def _kind(outcome: Outcome) -> str:
    """Which promise is broken first."""
    return outcome.violations[0].partition(":")[0] if outcome.violations else ""


def _tell_verdict(outcome: Outcome) -> None:
    for violation in outcome.violations:
        _say(f"WRONG {violation}")
    _say(f"again: {outcome.params.command}")


def _last_line(outcomes: list[Outcome], evidence: Evidence, unreached: list[str]) -> int:
    violations = sum(len(outcome.violations) for outcome in outcomes)
    told = {
        "seeds": len(outcomes),
        "events": sum(outcome.events for outcome in outcomes),
        "faults": sum(evidence.done.values()),
        "violations": violations,
        "never_reached": unreached,
    }
    sys.stdout.write(json.dumps(told) + "\n")
    return 1 if violations or (unreached and len(outcomes) >= ENOUGH_SEEDS) else 0


def _sum(outcomes: list[Outcome]) -> str:
    events, faults = sum(o.events for o in outcomes), sum(o.faults for o in outcomes)
    return f"{events:,} events, {faults:,} faults, {sum(bool(o.violations) for o in outcomes)} bad"


def _cpu(outcomes: list[Outcome]) -> float:
    return sum(outcome.cpu_s for outcome in outcomes) / max(1, len(outcomes))


def _say(line: str, end: str = "\n") -> None:
    sys.stderr.write(f"{line}{end}")
    sys.stderr.flush()
