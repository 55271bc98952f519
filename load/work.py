"""Runs what a command means, and says what went wrong with it and where to look.

Knows directories, and which errors are expected. Must not know what the work is.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from load.round import Say

WRONG, UNREACHABLE = 1, 3

Done = TypeVar("Done")


def done(directory: Path | None, work: Callable[[Path, Say], Coroutine[Any, Any, Done]]) -> Done:
    """What came of it, in this directory or in one that is gone afterwards if all is well. Raises SystemExit."""
    import uvloop

    from gateway.sandbox.broker import ArtifactError, NodeError, UnreachableError
    from gateway.sandbox.demo.children import ChildError
    from gateway.sandbox.verifier import TopicsError
    from load.measure import MeasureError
    from load.round import RoundError
    from load.screen import Screen

    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    screen = Screen()
    where = directory or Path(tempfile.mkdtemp(prefix="gateway-load-"))
    wrong = None
    try:
        found = uvloop.run(work(where, screen.say))
        screen.say("done")
        return found
    except (ArtifactError, ChildError, MeasureError, NodeError, OSError, RoundError, TopicsError) as error:
        wrong = error
    finally:
        screen.end()
        shutil.rmtree(where / "kafka", ignore_errors=True)  # gigabytes, perhaps
        if directory is None and wrong is None:
            shutil.rmtree(where, ignore_errors=True)
    away = isinstance(wrong, UnreachableError) or getattr(wrong, "unreachable", False)
    sys.stderr.write(f"{type(wrong).__name__}: {wrong}\nlogs are in {where}\n")
    print(json.dumps({"verified": False, "error": type(wrong).__name__}))
    raise SystemExit(UNREACHABLE if away else WRONG)
