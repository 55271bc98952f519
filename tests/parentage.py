"""A process that ends with the one that started it, whatever ends that.

Knows what Linux promises of it; elsewhere nothing is done. Must not know whose process it is.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h; it lasts over execve, and is told when the thread that forked ends


def end_with_parent(parent: int | None = None) -> None:
    """SIGKILL for this process when its parent ends; `parent` is its id, if known: it may have ended already."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
