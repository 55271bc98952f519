"""`python -m tests.promises.launch NAME...`: `gateway serve` without the named steps, or dying at a named place."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway import app
from gateway.cli import serve
from gateway.cli.errors import CommandError
from tests.chaos import points
from tests.parentage import end_with_parent
from tests.promises import deaths, decoding, hurry, releases, removals, troubles

PATCHES = {
    name: patch
    for room in (hurry, removals, deaths, decoding, releases, troubles, points)
    for name, patch in room.NAMED.items()
}
ROOMS = app  # imported, so that a process forked from here starts at once


def main(names: Sequence[str]) -> None:
    for name in names:
        PATCHES[name]()
    try:
        serve.serve()
    except CommandError as error:
        error.show(as_json=False)
        sys.exit(error.status)


def main_of_fork(names: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    """`main` in a process forked from one that has imported everything already."""
    end_with_parent()  # the server that it is forked from
    os.environ.clear()
    os.environ.update(environment)
    log.write_bytes(b"")
    with log.open("ab") as out:  # the watchdog writes to it by a descriptor of its own: neither overwrites the other
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    main(names)


if __name__ == "__main__":
    main(sys.argv[1:])
