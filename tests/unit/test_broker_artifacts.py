"""The jars of the embedded Apache Kafka: found, fetched, checked, or refused with a remedy."""

import hashlib
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
import pytest

from gateway.sandbox.broker.artifacts import (
    Jar,
    UnreachableError,
    WrongArtifactError,
    ensure_jars,
    locked_jars,
)
from gateway.sandbox.broker.progress import Lines

CONTENT = b"a jar"
JAR = Jar("org.example", "thing", "1.0", "jar", hashlib.sha256(CONTENT).hexdigest())
# Port 9 (discard) of this machine: nothing listens there.
NOWHERE = {"nowhere": "http://127.0.0.1:9"}


class Repository(SimpleHTTPRequestHandler):
    """Serves a directory and counts what was asked for."""

    asked: list[str]

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name in the base class
        self.asked.append(self.path)


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def repository(tmp_path: Path, asked: list[str]) -> Iterator[dict[str, str]]:
    """A Maven repository that holds JAR."""
    home = tmp_path / "repository"
    place = home / "org/example/thing/1.0"
    place.mkdir(parents=True)
    (place / "thing-1.0.jar").write_bytes(CONTENT)
    handler = type("Counting", (Repository,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(home))) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield {"here": f"http://127.0.0.1:{server.server_port}"}
        server.shutdown()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def ensure(cache: Path, repositories: dict[str, str], *jars: Jar) -> tuple[list[Path], str]:
    told = io.StringIO()
    paths = ensure_jars(cache=cache, jars=jars or (JAR,), progress=Lines(told), repositories=repositories)
    return paths, told.getvalue()


def test_a_missing_jar_is_downloaded_once(cache: Path, repository: dict[str, str]) -> None:
    """The first run downloads and says so; the second needs no network and is silent."""
    (path,), told = ensure(cache, repository)
    assert path.read_bytes() == CONTENT
    assert "downloading Apache Kafka" in told
    assert ensure(cache, NOWHERE) == ([path], "")


def test_nothing_but_jars_is_left_in_the_cache(cache: Path, repository: dict[str, str]) -> None:
    """After a download the cache holds the jar and the lock of cold runs, no half files."""
    ensure(cache, repository)
    assert sorted(path.name for path in cache.iterdir()) == [".lock", "thing-1.0.jar"]


def test_a_download_with_another_hash_is_deleted_and_named(cache: Path, repository: dict[str, str]) -> None:
    """A repository that serves other bytes than the locked ones is refused, by the jar's name."""
    wrong = Jar("org.example", "thing", "1.0", "jar", "0" * 64)
    with pytest.raises(WrongArtifactError, match=r"org\.example:thing:1\.0"):
        ensure(cache, repository, wrong)
    assert list(cache.rglob("*.jar")) == []


def test_a_spoiled_jar_in_the_cache_is_replaced(cache: Path, repository: dict[str, str]) -> None:
    """A cached jar that no longer matches is deleted, named, and downloaded again."""
    (path,), _ = ensure(cache, repository)
    path.write_bytes(CONTENT + b"!")
    _, told = ensure(cache, repository)
    assert f"deleted {path}" in told
    assert path.read_bytes() == CONTENT


def test_without_network_the_error_says_what_to_do(cache: Path) -> None:
    """Without a repository the error names the jar, the command to repeat, the directory to copy, no host."""
    with pytest.raises(UnreachableError) as caught:
        ensure(cache, NOWHERE)
    message = str(caught.value)
    assert "org.example:thing:1.0" in message
    assert "gateway dev kafka --fetch-only" in message
    assert str(cache) in message
    assert "127.0.0.1" not in message
    assert list(cache.rglob("*.jar")) == []


def test_a_repository_without_the_jar_is_unreachable_too(cache: Path, repository: dict[str, str]) -> None:
    """A 404 is reported like a missing network: the jar cannot be had."""
    with pytest.raises(UnreachableError, match=r"org\.example:other:1\.0"):
        ensure(cache, repository, Jar("org.example", "other", "1.0", "jar", "0" * 64))


def test_two_cold_runs_download_once(cache: Path, repository: dict[str, str], asked: list[str]) -> None:
    """Of two cold runs at once one downloads, the other waits and finds the jar there."""
    with ThreadPoolExecutor(2) as pool:
        first, second = [pool.submit(ensure, cache, repository) for _ in range(2)]
        assert first.result()[0] == second.result()[0]
    assert len([path for path in asked if path.endswith(".jar")]) == 1


def test_the_command_exits_3_without_network(tmp_path: Path) -> None:
    """`gateway dev kafka --fetch-only --json` on a machine without network answers JSON with status 3."""
    proxy = "http://127.0.0.1:9"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "HTTPS_PROXY": proxy, "https_proxy": proxy}
    environment.pop("NO_PROXY", None)
    environment.pop("no_proxy", None)
    command = [sys.executable, "-m", "gateway", "dev", "kafka", "--fetch-only", "--json"]
    ended = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert ended.returncode == 3, ended.stderr.decode()
    error = orjson.loads(ended.stdout)["error"]
    assert (error["status"], error["kind"]) == (3, "unreachable")
    assert b"Traceback" not in ended.stderr


def test_every_locked_jar_has_a_hash_and_a_name_of_its_own() -> None:
    """The lock file holds Kafka's 46 jars, each with a sha256 and a file name no other has."""
    jars = locked_jars()
    assert len(jars) == 46
    assert {len(jar.sha256) for jar in jars} == {64}
    assert len({jar.file_name for jar in jars}) == 46
    assert {jar.version for jar in jars if jar.group == "org.apache.kafka"} == {"4.3.0"}
