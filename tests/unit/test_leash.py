"""Child processes end with their parent."""

import os
import signal
import subprocess
import sys

import pytest

from gateway.sandbox.leash import popen

PARENT = """
import sys
from gateway.sandbox.leash import popen
child = "import time; print('up', flush=True); time.sleep(600)"
popen([sys.executable, "-c", child], output=sys.stdout.fileno())
input()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
def test_a_child_ends_when_its_parent_is_killed() -> None:
    """After kill -9 of the parent, the pipe that the child alone still holds is closed."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"up\n"
    parent.kill()
    assert parent.communicate(timeout=20)[0] == b""


def test_a_child_does_not_get_the_terminals_ctrl_c() -> None:
    """The child has a session of its own: an interrupt from the keyboard reaches only the parent."""
    child = popen([sys.executable, "-c", "input()"])
    assert os.getsid(child.pid) == child.pid
    child.send_signal(signal.SIGKILL)
    child.wait()
