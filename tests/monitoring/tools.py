"""Prometheus and promtool, where a machine has them: a test that lacks one says so, and fails in CI."""

import os
import shutil
from pathlib import Path

import pytest


def tool(name: str) -> Path:
    """The program of this name."""
    if found := shutil.which(name):
        return Path(found)
    reason = f"{name} is not on the PATH: install Prometheus 2.42 or later (Debian: apt-get install prometheus)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
