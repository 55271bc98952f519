"""How the command ends when it is broken off."""

import os
import signal
import subprocess
import sys

import psutil

from tests.prove.__main__ import INTERRUPTED
from tests.prove.test_tools import BOUND_S, until

ROW = "any_order, model"


def test_ctrl_c_while_all_is_still_imported_ends_quietly() -> None:
    """It comes to every process of the command at once, and none of them says a word."""
    command = [sys.executable, "-m", "tests.prove", ROW]
    with subprocess.Popen(command, stdout=-1, stderr=-1, start_new_session=True, text=True) as started:
        us = psutil.Process(started.pid)
        until(lambda: any("forkserver" in " ".join(each.cmdline()) for each in us.children()), "it starts its server")
        os.killpg(started.pid, signal.SIGINT)
        out, err = started.communicate(timeout=BOUND_S)
    assert (started.returncode, out, err) == (INTERRUPTED, "", "")
