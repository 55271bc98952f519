"""The one directory of a run: it is gone when the run is, and what a killed run left goes with the next one.

Knows where it lies, and whether anybody still works in another. Must not know what is in it.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

PREFIX = "gateway-stories-"


def begin() -> Path:
    """A new one. Who is forked from here works in it too, must end by `os._exit`, and leaves the removing to us."""
    _remove_left()
    while True:
        directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=place()))
        fcntl.flock(os.open(directory, os.O_RDONLY), fcntl.LOCK_EX)  # as long as one of us lives
        if directory.exists():  # else another run took it for one that was left, in between
            atexit.register(shutil.rmtree, directory, ignore_errors=True)
            return directory


of_this_run = cache(begin)  # of this interpreter, that is


def place() -> Path:
    """In memory, if there is a file system there: nothing outlives the run anyway."""
    shared = Path("/dev/shm")  # noqa: S108 - a fresh directory in it
    return shared if shared.is_dir() else Path(tempfile.gettempdir())


def _remove_left() -> None:
    for directory in place().glob(f"{PREFIX}*"):
        with suppress(OSError):  # gone meanwhile, of another user, or locked by those who work in it
            held = os.open(directory, os.O_RDONLY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory, ignore_errors=True)
            finally:
                os.close(held)
