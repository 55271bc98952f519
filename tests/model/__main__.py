"""`python -m tests.model [part of a world's name ...]`: explore the named worlds, two at a time; exit status 1 if a
promise is broken in any. Ends in one line of JSON."""

import argparse
import json
import signal
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection, wait

from tests.model import worlds
from tests.model.search import Explored, explore
from tests.model.shape import Shape

PROCESSES = 2
COULD_NOT, INTERRUPTED = 3, 130


class DiedError(Exception):
    """The process that explored this world ended without an answer."""


def main(arguments: Sequence[str]) -> int:
    chosen = _chosen(arguments)
    explored: list[Explored] = []
    try:
        for each in _each(chosen):
            explored.append(each)
            _show(each)
    except DiedError as died:
        sys.stderr.write(f"error: the process that explored {died} died; perhaps memory was short: try it alone\n")
        return COULD_NOT
    except KeyboardInterrupt:
        sys.stderr.write(f"interrupted: {_so_far(chosen, explored)}\n")
        return INTERRUPTED
    endings = sorted(set().union(*(each.endings for each in explored)))
    sys.stdout.write(f"endings that were reached: {', '.join(endings)}\n")
    violations = sum(each.violation is not None for each in explored)
    told = {
        "states": sum(each.states for each in explored),
        "depth": max(each.depth for each in explored),
        "violations": violations,
    }
    sys.stdout.write(json.dumps(told) + "\n")
    return 1 if violations else 0


def _chosen(arguments: Sequence[str]) -> list[Shape]:
    parser = argparse.ArgumentParser(
        prog="python -m tests.model",
        description="Explore every state that small worlds around the real lane can reach. Ends in one line of JSON.",
        epilog="worlds:\n" + "\n".join(f"  {shape.name:36} {shape.about}" for shape in worlds.ALL),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="world", help="a part of its name; none means all worlds")
    names = parser.parse_args(arguments).names
    for name in names:
        if not any(name in shape.name for shape in worlds.ALL):
            parser.error(f"no world is named {name!r}; there are: {', '.join(shape.name for shape in worlds.ALL)}")
    return [shape for shape in worlds.ALL if not names or any(name in shape.name for name in names)]


def _each(chosen: Sequence[Shape]) -> Iterator[Explored]:
    """Each world as it is explored, in a process of its own: its memory goes with it. Raises DiedError."""
    waiting = deque(chosen)
    under_way: dict[Connection, tuple[Shape, Process]] = {}
    try:
        while waiting or under_way:
            while waiting and len(under_way) < PROCESSES:
                shape = waiting.popleft()
                here, there = Pipe(duplex=False)
                process = Process(target=_explore, args=(shape, there))
                under_way[here] = shape, process
                process.start()
                there.close()  # so that the end of the process is the end of the pipe
            for here in wait(under_way):
                shape, process = under_way[here]
                try:
                    yield here.recv()
                except EOFError:
                    raise DiedError(shape.name) from None
                process.join()
                del under_way[here]
    finally:
        for _, process in under_way.values():
            process.kill()
            process.join()


def _explore(shape: Shape, there: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started this process ends it
    there.send(explore(shape))


def _so_far(chosen: Sequence[Shape], explored: Sequence[Explored]) -> str:
    """What is known although not every world is explored."""
    broken = [each.name for each in explored if each.violation is not None]
    states = sum(each.states for each in explored)
    verdict = f"a promise is broken in {', '.join(broken)}" if broken else "no promise is broken in them"
    return f"{len(explored)} of {len(chosen)} worlds explored, {states:,} states; {verdict}"


def _show(each: Explored) -> None:
    how = "exhausted" if each.is_whole else f"to depth {each.depth}"
    sys.stdout.write(
        f"{each.name:36} {each.states:>9,} states  depth {each.depth:>3}  {each.seconds:6.1f} s  {how}"
        f"  ({each.lanes:,} lanes)\n"
    )
    if each.violation is not None:
        sys.stdout.write("".join(f"{number:>4}  {line}\n" for number, line in enumerate(each.story, 1)))
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
