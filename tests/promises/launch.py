"""`python -m tests.promises.launch NAME...`: `gateway serve` without the named steps, or dying at a named place."""

import sys

from gateway.cli import serve
from gateway.cli.errors import CommandError
from tests.promises import deaths, removals

PATCHES = {**removals.NAMED, **deaths.NAMED}


def main(names: list[str]) -> None:
    for name in names:
        PATCHES[name]()
    try:
        serve.serve()
    except CommandError as error:
        error.show(as_json=False)
        sys.exit(error.status)


if __name__ == "__main__":
    main(sys.argv[1:])
