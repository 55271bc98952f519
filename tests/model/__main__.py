"""`python -m tests.model [part of a world's name]`: explore the named worlds, two at a time; exit status 1 if a promise
is broken in any. Ends in one line of JSON."""

import json
import multiprocessing
import sys
from collections.abc import Sequence

from tests.model import worlds
from tests.model.search import Explored, explore

PROCESSES = 2


def main(parts: Sequence[str]) -> int:
    chosen = [shape for shape in worlds.ALL if not parts or any(part in shape.name for part in parts)]
    if not chosen:
        sys.stderr.write(f"error: no world is named so; there are: {', '.join(shape.name for shape in worlds.ALL)}\n")
        return 2
    explored = []
    with multiprocessing.Pool(PROCESSES, maxtasksperchild=1) as pool:  # a process for each: its memory goes with it
        for each in pool.imap_unordered(explore, chosen, chunksize=1):
            explored.append(each)
            _show(each)
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
        sys.exit(130)
